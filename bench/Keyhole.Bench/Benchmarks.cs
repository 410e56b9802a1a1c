// SPDX-License-Identifier: GPL-2.0-only

using System;
using BenchmarkDotNet.Attributes;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.PvGuest;

namespace Keyhole.Bench;

[MemoryDiagnoser]
public class SanitizerBenchmark
{
    private readonly E820Entry[] _source = Workloads.MessyMap();
    private readonly E820Entry[] _made = new E820Entry[2 * E820Table.MaxEntries];
    private readonly int[] _scratch = new int[Sanitizer.ScratchLength(E820Table.MaxEntries)];

    [Benchmark]
    public int Sanitise128Entries()
    {
        Sanitizer.TrySanitize(_source, _made, _scratch, out int count);
        return count;
    }
}

[MemoryDiagnoser]
public class ForecastBenchmark
{
    private BootRequest? _request;
    private CoreSetup? _core;

    [Params(512UL, 16384UL)]
    public ulong SizeGiB { get; set; }

    [GlobalSetup]
    public void Make()
    {
        _request = Workloads.Guest(SizeGiB);
        _core = new(_request);
    }

    [Benchmark]
    public BootForecast Forecast() => Forecaster.Forecast(_request!);

    [Benchmark]
    public ulong CoreAlone() => _core!.Run();
}

/// <summary>The flat P2M of a guest of 256 GiB: 64 Mi entries, 512 MiB.</summary>
public class FlatP2mBenchmark
{
    private readonly ulong[] _list = new ulong[1 << 26];
    private readonly P2mRun[] _runs = new P2mRun[64];

    [Benchmark(Baseline = true)]
    public void SpanFill() => _list.AsSpan().Fill(1);

    [Benchmark]
    public void WriteFlatP2m()
    {
        var p2m = new P2mRuns(_runs, 1UL << 26, new Mfn(0x10_0000));
        p2m.WriteTo(_list);
    }
}
