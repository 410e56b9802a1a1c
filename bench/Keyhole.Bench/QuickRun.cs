// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Migration;
using Keyhole.PvGuest;

namespace Keyhole.Bench;

/// <summary>
/// The promises of speed, measured in seconds instead of minutes: fastest of many runs, and ratios within one process, because machines are
/// shared and noisy. Each line says what was promised and whether it held.
/// </summary>
internal static class QuickRun
{
    private const int ManyRuns = 2000;
    private static readonly TimeSpan s_untilCompiled = TimeSpan.FromSeconds(1);
    private const int ListEntries = 1 << 26;
    private static readonly E820Entry[] s_made = new E820Entry[2 * E820Table.MaxEntries];
    private static readonly int[] s_scratch = new int[Sanitizer.ScratchLength(E820Table.MaxEntries)];

    /// <summary>Writes the figures; 1 when a promise was broken.</summary>
    public static int Measure(TextWriter output)
    {
        bool holds = true;
        E820Entry[] messy = Workloads.MessyMap();
        double sanitiser = Fastest(ManyRuns, () => Sanitizer.TrySanitize(messy, s_made, s_scratch, out _));
        output.WriteLine($"sanitiser, 128 entries          {sanitiser * 1e6,10:F1} µs");

        BootRequest small = Workloads.Guest(512);
        BootRequest large = Workloads.Guest(16 << 10);
        double smallTime = double.MaxValue;
        double largeTime = double.MaxValue;
        // In turns, so that a noisy moment meets both.
        for (int i = 0; i < 10; i++)
        {
            smallTime = Math.Min(smallTime, Fastest(100, () => Forecaster.Forecast(small)));
            largeTime = Math.Min(largeTime, Fastest(100, () => Forecaster.Forecast(large)));
        }

        holds &= Promise(output, $"forecast, 512 GiB               {smallTime * 1e6,10:F1} µs   under 5 ms", smallTime < 0.005);
        holds &= Promise(output, $"forecast, 16 TiB                {largeTime * 1e6,10:F1} µs   at most twice that: {largeTime / smallTime:F2}",
            largeTime <= 2 * smallTime);

        MigrationRequest move = Workloads.Move(1024);
        double moveTime = Fastest(5, () => Migrator.Run(move));
        holds &= Promise(output, $"a move between hosts, 1 TiB     {moveTime * 1e6,10:F1} µs   under 100 ms", moveTime < 0.1);

        var core = new CoreSetup(small);
        double coreTime = Fastest(ManyRuns, () => core.Run());
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
            core.Run();
        Sanitizer.TrySanitize(messy, s_made, s_scratch, out _);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        holds &= Promise(output, $"Core's setup alone, 512 GiB     {coreTime * 1e6,10:F1} µs   allocates nothing: {allocated} bytes in 100 runs",
            allocated == 0);

        ulong[] list = new ulong[ListEntries];
        P2mRun[] runs = new P2mRun[64];
        double fill = double.MaxValue;
        double write = double.MaxValue;
        for (int i = 0; i < 12; i++)
        {
            fill = Math.Min(fill, Once(() => list.AsSpan().Fill((ulong)i)));
            write = Math.Min(write, Once(() => new P2mRuns(runs, ListEntries, new Mfn(0x10_0000)).WriteTo(list)));
        }

        const double gigabytes = ListEntries * 8.0 / 1e9;
        holds &= Promise(
            output, $"flat P2M of 256 GiB             {gigabytes / write,10:F1} GB/s Span.Fill {gigabytes / fill:F1} GB/s, at "
                + $"least 70 %: {100 * fill / write:F0} %", fill / write >= 0.7);
        return holds & MeasureQemu(output) ? 0 : 1;
    }

    /// <summary>Guests of QEMU. Processor time is what counts: the machine may be shared.</summary>
    private static bool MeasureQemu(TextWriter output)
    {
        const int machines = 100_000;
        QemuWorkload.Forecast(2_000);
        TimeSpan before = Environment.CpuUsage.TotalTime;
        double wall = Once(() => QemuWorkload.Forecast(machines));
        double processor = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        bool holds = Promise(output, $"100,000 guests of QEMU          {wall,10:F1} s    {processor:F1} s of processor time, under 10 s on two cores",
            processor < 20);
        foreach ((string firmware, ulong size, string what) in ((string, ulong, string)[])[
            ("seabios-1.16.3", 1UL << 24, "that fit"), ("ovmf-2025.02", 1UL << 24, "that fit"), ("ovmf-2025.02", 1UL << 39, "too large")])
        {
            Keyhole.Guests.QemuMachine few = QemuWorkload.Crowded(64, firmware, size);
            Keyhole.Guests.QemuMachine many = QemuWorkload.Crowded(256, firmware, size);
            double fewTime = double.MaxValue;
            double manyTime = double.MaxValue;
            for (int i = 0; i < 10; i++)
            {
                fewTime = Math.Min(fewTime, Fastest(5, () => QemuWorkload.Boots(few)));
                manyTime = Math.Min(manyTime, Fastest(5, () => QemuWorkload.Boots(many)));
            }

            // Where most do not fit, OVMF takes one away at a time and asks again: so many rounds are its own.
            bool isRejecting = size > 1UL << 36;
            string promise = isRejecting ? $"under 10 ms; {manyTime / fewTime:F1} times 64 devices"
                : $"at most 8 times 64 devices: {manyTime / fewTime:F1}";
            holds &= Promise(output, $"256 devices {what,-15}     {manyTime * 1e6,10:F1} µs   {firmware}, {promise}", isRejecting ? manyTime < 0.01
                : manyTime <= 8 * fewTime);
        }

        return holds;
    }

    private static bool Promise(TextWriter output, string line, bool holds)
    {
        output.WriteLine($"{line}   {(holds ? "holds" : "BROKEN")}");
        return holds;
    }

    private static double Fastest(int times, Action run)
    {
        double best = double.MaxValue;
        long begun = Stopwatch.GetTimestamp();
        // On a quick machine so many runs may end before .NET has compiled the code a second time: what is called over and over is to be timed.
        for (int i = 0; i < times || (times >= ManyRuns && Stopwatch.GetElapsedTime(begun) < s_untilCompiled); i++)
            best = Math.Min(best, Once(run));
        return best;
    }

    private static double Once(Action run)
    {
        long begun = Stopwatch.GetTimestamp();
        run();
        return Stopwatch.GetElapsedTime(begun).TotalSeconds;
    }
}
