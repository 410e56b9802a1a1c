// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Keyhole.Tests.Golden;
using Keyhole.Verification;

namespace Keyhole.Tests.Verification;

/// <summary>Logs of the records, whole, cut and changed, with the forecasts to compare them with.</summary>
internal static class GoldenBoots
{
    // The README of the records: maps that were installed by hand between "xl create -p" and "xl unpause".
    private static readonly Dictionary<string, E820Entry[]> s_byHand = new(StringComparer.Ordinal)
    {
        ["b_short"] = [E820Entry.FromBounds(0, 0x1c00_0000, E820Type.Ram), E820Entry.FromBounds(0x1c00_0000, 0x4000_0000, E820Type.Reserved)],
        ["c_overbar"] = [E820Entry.FromBounds(0, 0x1000_0000, E820Type.Ram), E820Entry.FromBounds(0xfeb0_0000, 0xfec0_0000, E820Type.Unusable)],
    };

    public static IEnumerable<object[]> LogNames => GoldenLog.Names.Select(static name => new object[] { name });

    public static IEnumerable<object[]> BootedGuests =>
        GoldenLog.Names.SelectMany(static name => GoldenLog.Load(name).Guests().Where(static guest => guest.WasBooted)
            .Select(guest => new object[] { name, guest.Name }));

    public static string[] Lines(string log) => GoldenLog.Load(log).Lines;

    public static LogScan Scan(IEnumerable<string> lines) => Scan(Encoding.Latin1.GetBytes(string.Join('\n', lines) + "\n"));

    public static LogScan Scan(byte[] text)
    {
        using var stream = new MemoryStream(text);
        return LogScanner.Scan(stream, "a test's log");
    }

    /// <summary>A guest's own text: what xl printed and what its kernel printed.</summary>
    public static List<string> TextOf(GoldenGuest guest) => [.. guest.Xl, "=== KERNEL", .. guest.Kernel];

    public static GoldenGuest Guest(string log, string name) => GoldenLog.Load(log).Guests().Single(guest => guest.Name == name);

    /// <summary>dom0's boot in the lines, and its forecast from them alone, as the command line makes it.</summary>
    public static (BootForecast Forecast, ObservedBoot Boot) Dom0(IEnumerable<string> lines, KernelRelease? kernel = null) =>
        Dom0(Scan(lines), kernel);

    public static (BootForecast Forecast, ObservedBoot Boot) Dom0(LogScan scan, KernelRelease? kernel = null)
    {
        ObservedBoot boot = BootLog.Choose(BootLog.Of(scan), wantsDom0: true, null, "a test's log").Value!;
        LogMap firmware = scan.Maps.First(static map => map.Kind == LogMapKind.XenFirmware);
        Host host = BootEvidence.WithPagesReservedIn(HostMapReader.FromLog(scan, firmware, "a test's log").Value!.Host, boot);
        Dom0Log builder = boot.Builder!;
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = MachineMap.Of(host),
            IsDom0 = true,
            PageCount = builder.PageCount!.Value,
            MaxPages = builder.MaxPages,
            Layout = BootEvidence.LayoutOfDom0(boot, builder),
            Kernel = boot.Kernel ?? kernel ?? Kernels.Linux61,
        });
        return (forecast, boot);
    }

    /// <summary>A guest's boot in the lines, and the forecast for the guest of that record.</summary>
    public static (BootForecast Forecast, ObservedBoot Boot) OfGuest(string log, GoldenGuest guest, IEnumerable<string> lines)
    {
        ObservedBoot boot = BootLog.Choose(BootLog.Of(Scan(lines)), wantsDom0: false, null, "a test's log").Value!;
        return (ForecastOf(log, guest, boot), boot);
    }

    public static BootForecast ForecastOf(string log, GoldenGuest guest, ObservedBoot boot)
    {
        ulong memoryKiB = guest.MemoryMiB << 10;
        ImmutableArray<E820Entry> map = s_byHand.TryGetValue(guest.Name, out E820Entry[]? byHand)
            ? [.. byHand]
            : guest.UsesHostMap
                ? [.. LibxlPolicy.Sanitize(MachineMapOf(log), memoryKiB, unchecked((guest.MaxmemMiB << 10)
                    - memoryKiB)).Entries.Select(static planned => planned.Entry)]
                : [E820Entry.FromSize(0, guest.MaxmemMiB << 20, E820Type.Ram)];
        return Forecaster.Forecast(new()
        {
            Map = map,
            PageCount = guest.MemoryMiB << 8,
            Layout = BootEvidence.LayoutOfGuest(boot, guest.MemoryMiB << 8),
            Kernel = boot.Kernel ?? Kernels.Linux61,
        });
    }

    /// <summary>The lines with the first one that holds <paramref name="text"/> changed; fails when there is none. Tells its 1-based
    /// number.</summary>
    public static string[] Changed(IReadOnlyList<string> lines, string text, string replacement, out int line)
    {
        string[] changed = [.. lines];
        int index = Array.FindIndex(changed, candidate => candidate.Contains(text, StringComparison.Ordinal));
        changed[index] = changed[index].Replace(text, replacement, StringComparison.Ordinal);
        line = index + 1;
        return changed;
    }

    private static ImmutableArray<E820Entry> MachineMapOf(string name) => MachineMap.Of(new Host
    {
        Entries = [.. GoldenLog.Load(name).Firmware],
        Traits = new() { Iommus = name is "iommu" or "passthrough" ? [0xfed9_0000] : [] },
    });
}
