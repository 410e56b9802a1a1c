// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

/// <summary>Every boot of the real Linux 6.1 on the real Xen that was recorded, forecast and compared line by line.</summary>
[TestClass]
public sealed partial class GoldenBootTests
{
    private static readonly string[] s_compared =
        ["Released ", "Remapped ", "initrd moved ", "Unable to find available pfn range", "available for PCI devices", "Xen: [mem ",
            "Xen hypervisor allocated "];

    // The README of the records: maps that were installed by hand between "xl create -p" and "xl unpause".
    private static readonly Dictionary<string, E820Entry[]> s_byHand = new(StringComparer.Ordinal)
    {
        ["b_short"] = [E820Entry.FromBounds(0, 0x1c00_0000, E820Type.Ram), E820Entry.FromBounds(0x1c00_0000, 0x4000_0000, E820Type.Reserved)],
        ["c_overbar"] = [E820Entry.FromBounds(0, 0x1000_0000, E820Type.Ram), E820Entry.FromBounds(0xfeb0_0000, 0xfec0_0000, E820Type.Unusable)],
    };

    private static IEnumerable<object[]> LogNames => GoldenLog.Names.Select(name => new object[] { name });

    private static IEnumerable<object[]> BootedGuests =>
        GoldenLog.Names.SelectMany(name => GoldenLog.Load(name).Guests().Where(guest => guest.WasBooted)
            .Select(guest => new object[] { name, guest.Name }));

    [TestMethod]
    [DynamicData(nameof(LogNames))]
    public void Dom0_says_what_was_forecast(string name)
    {
        GoldenLog log = GoldenLog.Load(name);
        Dom0Log dom0 = Scan(name);

        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = MachineMapOf(name),
            IsDom0 = true,
            PageCount = dom0.PageCount!.Value,
            MaxPages = dom0.MaxPages,
            Layout = dom0.Layout,
        });

        AssertSameWords(log.Head, forecast);
        Assert.AreEqual(!log.Lines.Contains("=== HALTED"), forecast.Boots);
    }

    [TestMethod]
    [DynamicData(nameof(BootedGuests))]
    public void A_guest_says_what_was_forecast(string name, string guestName)
    {
        GoldenGuest guest = GoldenLog.Load(name).Guests().Single(candidate => candidate.Name == guestName);
        ulong memoryKiB = guest.MemoryMiB << 10;
        ImmutableArray<E820Entry> map = s_byHand.TryGetValue(guestName, out E820Entry[]? byHand)
            ? [.. byHand]
            : guest.UsesHostMap
                ? [.. LibxlPolicy.Sanitize(MachineMapOf(name), memoryKiB, unchecked((guest.MaxmemMiB << 10)
                    - memoryKiB)).Entries.Select(planned => planned.Entry)]
                : [E820Entry.FromSize(0, guest.MaxmemMiB << 20, E820Type.Ram)];

        BootForecast forecast = Forecaster.Forecast(new() { Map = map, PageCount = guest.MemoryMiB << 8, Layout = LayoutOf(guest) });

        AssertSameWords(guest.Kernel, forecast);
        Assert.IsTrue(forecast.Boots);
    }

    [TestMethod]
    [DynamicData(nameof(BootedGuests))]
    public void Every_page_of_a_guest_is_accounted_for_once(string name, string guestName)
    {
        GoldenGuest guest = GoldenLog.Load(name).Guests().Single(candidate => candidate.Name == guestName);
        ulong memoryKiB = guest.MemoryMiB << 10;
        ImmutableArray<E820Entry> map = [.. LibxlPolicy.Sanitize(MachineMapOf(name), memoryKiB, 0).Entries.Select(planned => planned.Entry)];

        foreach (KernelRelease version in KernelReleases.Named)
        {
            BootForecast forecast = Forecaster.Forecast(new() { Map = map, PageCount = guest.MemoryMiB << 8, Layout = LayoutOf(guest),
                Kernel = version });

            Assert.AreEqual(guest.MemoryMiB << 8, forecast.Account.Aggregate(0UL, (sum, line) => sum + line.PageCount),
                KernelReleases.NameOf(version));
        }
    }

    private static Dom0Log Scan(string name)
    {
        using FileStream file = File.OpenRead(Path.Combine(GoldenLog.Folder, name + ".log"));
        return Dom0Log.Of(LogScanner.Scan(file, name))!;
    }

    private static ImmutableArray<E820Entry> MachineMapOf(string name) => MachineMap.Of(new Host
    {
        Entries = [.. GoldenLog.Load(name).Firmware],
        Traits = new() { Iommus = name is "iommu" or "passthrough" ? [0xfed9_0000] : [] },
    });

    private static GuestLayout LayoutOf(GoldenGuest guest)
    {
        ByteRange Segment(string name)
        {
            Match match = guest.Xl.Select(line => SegmentLine().Match(line)).First(match => match.Success && match.Groups["name"].Value == name);
            return ByteRange.FromSize(Hex(match.Groups["pfn"].Value) << 12, Hex(match.Groups["pages"].Value) << 12);
        }

        return new() { Kernel = Segment("kernel"), PageTables = Segment("page tables"), P2mList = Segment("phys2mach"), Initrd = Segment("module0") };
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static void AssertSameWords(IEnumerable<string> observed, BootForecast forecast)
    {
        string[] expected = [.. observed.Select(line => Stamp().Replace(line, "")).Where(IsCompared)];
        string[] ours = [.. forecast.Log.Where(IsCompared)];

        CollectionAssert.AreEqual(expected, ours, $"expected\n{string.Join('\n', expected)}\nforecast\n{string.Join('\n', ours)}");
    }

    private static bool IsCompared(string line) => s_compared.Any(word => line.Contains(word, StringComparison.Ordinal));

    [GeneratedRegex(@"^(\(early\) )?\[ *[0-9]+\.[0-9]+\] ")]
    private static partial Regex Stamp();

    [GeneratedRegex(@"xc_dom_alloc_segment:   (?<name>\S.*?) *: .*\(pfn 0x(?<pfn>[0-9a-f]+) \+ 0x(?<pages>[0-9a-f]+) pages\)")]
    private static partial Regex SegmentLine();
}
