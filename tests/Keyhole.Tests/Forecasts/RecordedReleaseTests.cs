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

/// <summary>
/// Boots of other kernels than the golden records', and of other Xens, forecast and compared line by line: linux612 and edges61 on Xen 4.17, matrix
/// on each.
/// </summary>
[TestClass]
public sealed partial class RecordedReleaseTests
{
    private static readonly string[] s_compared =
        ["Released ", "Remapped ", "initrd moved ", "Unable to find available pfn range", "available for PCI devices", "Xen: [mem ",
            "Xen hypervisor allocated "];

    // What the images of Debian's packages say of themselves (tests/fixtures/matrix/README.md).
    private static readonly Dictionary<string, (KernelRelease Release, KernelImage Image)> s_kernels = new(StringComparer.Ordinal)
    {
        ["5.10"] = (new(5, 10, 262), new(null, 0x100_0000, 0x400_0000, 0x402_c000, 0x460_0000)),
        ["6.1"] = (new(6, 1, 192), new(null, 0x100_0000, 0x440_0000, 0x443_0000, 0x4a0_0000)),
        ["6.12"] = (new(6, 12, 117), new(null, 0x100_0000, 0x3c0_0000, 0x3c3_0000, 0x420_0000)),
        ["7.x"] = (new(7, 2, 12), new(null, 0x100_0000, 0x420_0000, 0x423_0000, 0x480_0000)),
    };

    // The scenarios' maps that were installed by hand between "xl create -p" and "xl unpause".
    private static readonly Dictionary<string, E820Entry[]> s_byHand = new(StringComparer.Ordinal)
    {
        ["nvskernel/both-sides"] = Around(0x180_0000, 0x1a0_0000, E820Type.Nvs, 0x1020_0000),
        ["nvskernel/acpi-at-kernel"] = Around(0x180_0000, 0x1a0_0000, E820Type.Acpi, 0x1020_0000),
        ["nvskernel/reserved-at-kernel"] = Around(0x180_0000, 0x1a0_0000, E820Type.Reserved, 0x1020_0000),
        ["nvskernel/nvs-over-all"] = Around(0x100_0000, 0x500_0000, E820Type.Nvs, 0x2400_0000),
        ["oddnvs/both-sides"] = Around(0x100_0800, 0x102_3c01, E820Type.Nvs, 0x2002_4000),
        ["oddnvs-a/both-sides"] = Around(0x100_0800, 0x102_3c01, E820Type.Nvs, 0x2002_4000),
        ["plain/hole"] = Around(0x800_0000, 0x900_0000, E820Type.Reserved, 0x1100_0000),
    };

    private static IEnumerable<object[]> Records => Names().Select(static name => new object[] { name });

    private static IEnumerable<object[]> Guests =>
        Names().SelectMany(static name => GoldenLog.LoadOther(name).Guests().Where(static guest => guest.WasBooted)
            .Select(guest => new object[] { name, guest.Name }));

    [TestMethod]
    [DynamicData(nameof(Records))]
    public void Dom0_says_what_was_forecast(string name)
    {
        BootForecast forecast = OfDom0(name);

        AssertSameWords(GoldenLog.LoadOther(name).Head, forecast);
        Assert.AreEqual(Dom0Boots(name), forecast.Boots);
    }

    [TestMethod]
    [DynamicData(nameof(Guests))]
    public void A_guest_says_what_was_forecast(string name, string guestName)
    {
        GoldenGuest guest = GoldenLog.LoadOther(name).Guests().Single(candidate => candidate.Name == guestName);
        BootForecast forecast = OfGuest(name, guest);

        Assert.AreEqual(guest.Kernel.Contains("=== DONE"), forecast.Boots);
        // A guest's console does not live long enough for what it says when it halts so early.
        if (!guest.Kernel.Contains("=== DIED"))
            AssertSameWords(guest.Kernel, forecast);
    }

    /// <summary>docs/kernels.md tells of each Xen with each Linux how many lines and outcomes of its boots are the forecast's.</summary>
    [TestMethod]
    public void The_table_of_pairs_says_how_many_lines_and_outcomes_agree()
    {
        string[] rows = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "fixtures", "shown", "kernels.md"))
            .Where(static line => line.Contains(" of ", StringComparison.Ordinal) && line.StartsWith("| ", StringComparison.Ordinal))];
        string[] ours =
            [.. s_kernels.Keys.Select(linux =>
                $"| {s_kernels[linux].Release.Major}.{s_kernels[linux].Release.Minor}.{s_kernels[linux].Release.Patch} | "
                    + $"{string.Join(" | ", Xens().Select(xen => Agreeing(xen, linux)))} |")];

        CollectionAssert.AreEqual(ours, rows.Where(static row => AgreeOf().IsMatch(row)).ToArray(), string.Join('\n', ours));
    }

    private static string Agreeing(string xen, string linux)
    {
        (int agree, int of) = (0, 0);
        foreach (string name in Names()
            .Where(name => name.Contains($"xen-{xen}-linux-{linux}{Path.DirectorySeparatorChar}", StringComparison.Ordinal)))
        {
            Count(GoldenLog.LoadOther(name).Head, Dom0Boots(name), OfDom0(name));
            foreach (GoldenGuest guest in GoldenLog.LoadOther(name).Guests().Where(static guest => guest.WasBooted))
                Count(guest.Kernel.Contains("=== DIED") ? [] : guest.Kernel, guest.Kernel.Contains("=== DONE"), OfGuest(name, guest));
        }

        return string.Create(CultureInfo.InvariantCulture, $"{agree} of {of}");

        void Count(IEnumerable<string> observed, bool boots, BootForecast forecast)
        {
            List<string> words = WordsOf(forecast);
            of++;
            agree += forecast.Boots == boots ? 1 : 0;
            foreach (string line in WordsIn(observed))
            {
                of++;
                agree += words.Remove(line) ? 1 : 0;
            }
        }
    }

    private static BootForecast OfDom0(string name)
    {
        Dom0Log dom0 = Dom0Of(name);
        (KernelRelease release, KernelImage image) = KernelOf(name);
        return Forecaster.Forecast(new()
        {
            Map = MachineMapOf(name),
            IsDom0 = true,
            PageCount = dom0.PageCount!.Value,
            MaxPages = dom0.MaxPages,
            Layout = dom0.Layout with { KernelProper = image.Checked(KernelProfile.Of(release).Has(KernelBehaviour.ChecksToEnd)) },
            Kernel = release,
        });
    }

    private static bool Dom0Boots(string name) => !GoldenLog.LoadOther(name).Lines.Contains("=== HALTED");

    private static BootForecast OfGuest(string name, GoldenGuest guest)
    {
        (KernelRelease release, KernelImage image) = KernelOf(name);
        ulong memoryKiB = guest.MemoryMiB << 10;
        ImmutableArray<E820Entry> map = s_byHand.TryGetValue($"{Path.GetFileName(name)}/{guest.Name}", out E820Entry[]? byHand)
            ? [.. byHand]
            : [.. LibxlPolicy.Sanitize(MachineMapOf(name), memoryKiB, unchecked((guest.MaxmemMiB << 10)
                - memoryKiB)).Entries.Select(planned => planned.Entry)];
        return Forecaster.Forecast(new()
        {
            Map = map,
            PageCount = guest.MemoryMiB << 8,
            Layout = LayoutOf(guest) with { KernelProper = image.Checked(KernelProfile.Of(release).Has(KernelBehaviour.ChecksToEnd)) },
            Kernel = release,
        });
    }

    /// <summary>Without its image all that is known of 6.1.192 is how much Xen gives it: of the two edges neither is told apart, and both answers say
    /// so.</summary>
    [TestMethod]
    [DataRow("edges61/k-edge61", 0x443_0000UL)]
    [DataRow("edges61/k-below-edge61", 0x442_f000UL)]
    public void Without_the_image_the_forecast_names_the_address_that_the_verdict_hangs_on(string name, ulong address)
    {
        Dom0Log dom0 = Dom0Of(name);

        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = MachineMapOf(name),
            IsDom0 = true,
            PageCount = dom0.PageCount!.Value,
            MaxPages = dom0.MaxPages,
            Layout = dom0.Layout,
            Kernel = new(6, 1, 192),
        });

        Assert.IsTrue(forecast.Halts);
        Assert.IsTrue(forecast.IfShorter!.Boots);
        Assert.AreEqual(address, forecast.KernelEndThatMatters);
        Assert.IsTrue(forecast.Problems.Any(static problem => problem.Code == Keyhole.Diagnostics.ProblemCodes.KernelEndNotKnown));
    }

    [TestMethod]
    [DynamicData(nameof(Records))]
    public void Start_info_and_page_tables_lie_where_they_follow_from_the_kernels_span(string name)
    {
        Dom0Log dom0 = Dom0Of(name);
        GuestLayout usual = GuestLayout.OfDom0(KernelOf(name).Image.Loaded);

        Assert.AreEqual(dom0.Layout.Kernel, usual.Kernel);
        Assert.AreEqual(dom0.Layout.StartInfo.Start, usual.StartInfo.Start);
        Assert.AreEqual(dom0.Layout.PageTables, usual.PageTables);
        foreach (GoldenGuest guest in GoldenLog.LoadOther(name).Guests())
        {
            GuestLayout shown = LayoutOf(guest);
            GuestLayout own = GuestLayout.OfXl(guest.MemoryMiB << 8, is32Bit: false, KernelOf(name).Image.Loaded);
            Assert.AreEqual(shown.Kernel, own.Kernel);
            Assert.AreEqual(shown.PageTables, own.PageTables, guest.Name);
            Assert.AreEqual(shown.P2mList.SizeBytes, own.P2mList.SizeBytes, guest.Name);
            // A ramdisk, or without one the list, begins where the first page tables' mapping ends.
            Assert.AreEqual((shown.Initrd.IsEmpty ? shown.P2mList : shown.Initrd).Start, own.P2mList.Start, guest.Name);
        }
    }

    private static IEnumerable<string> Names()
    {
        string fixtures = Path.Combine(AppContext.BaseDirectory, "fixtures");
        string[] folders = ["linux612", "edges61",
            .. Directory.GetDirectories(Path.Combine(fixtures, "matrix")).Select(folder => Path.Combine("matrix", Path.GetFileName(folder)))];
        return folders
            .SelectMany(folder => Directory.GetFiles(Path.Combine(fixtures, folder), "*.log")
                .Select(path => Path.Combine(folder, Path.GetFileNameWithoutExtension(path))))
            .Order(StringComparer.Ordinal);
    }

    private static E820Entry[] Around(ulong start, ulong end, E820Type type, ulong all) =>
        [E820Entry.FromBounds(0, start, E820Type.Ram), E820Entry.FromBounds(start, end, type), E820Entry.FromBounds(end, all, E820Type.Ram)];

    private static (KernelRelease Release, KernelImage Image) KernelOf(string name) =>
        s_kernels[name.StartsWith("linux612", StringComparison.Ordinal) ? "6.12"
            : name.StartsWith("edges61", StringComparison.Ordinal) ? "6.1" : PairName().Match(name).Groups["linux"].Value];

    private static Dom0Log Dom0Of(string name)
    {
        using FileStream file = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "fixtures", name + ".log"));
        return Dom0Log.Of(LogScanner.Scan(file, name))!;
    }

    private static ImmutableArray<E820Entry> MachineMapOf(string name)
    {
        XenVersion? xen = PairName().Match(name) is { Success: true } pair && XenVersion.TryParse(pair.Groups["xen"].Value, out XenVersion version)
            ? version : null;
        return MachineMap.Of(new Host { Entries = [.. GoldenLog.LoadOther(name).Firmware], Traits = new() { XenVersion = xen } });
    }

    private static GuestLayout LayoutOf(GoldenGuest guest)
    {
        ByteRange Segment(string name)
        {
            Match? match = guest.Xl.Select(line => SegmentLine().Match(line))
                .FirstOrDefault(match => match.Success && match.Groups["name"].Value == name);
            return match is null ? default : ByteRange.FromSize(Hex(match.Groups["pfn"].Value) << 12, Hex(match.Groups["pages"].Value) << 12);
        }

        return new() { Kernel = Segment("kernel"), PageTables = Segment("page tables"), P2mList = Segment("phys2mach"), Initrd = Segment("module0") };
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static void AssertSameWords(IEnumerable<string> observed, BootForecast forecast)
    {
        List<string> expected = WordsIn(observed);
        List<string> ours = WordsOf(forecast);

        CollectionAssert.AreEqual(expected, ours, $"expected\n{string.Join('\n', expected)}\nforecast\n{string.Join('\n', ours)}");
    }

    private static List<string> WordsIn(IEnumerable<string> observed) => [.. observed.Select(line => Stamp().Replace(line, "")).Where(IsCompared)];

    /// <summary>The line of 7.x about the gap is another, which records of it do not have.</summary>
    private static List<string> WordsOf(BootForecast forecast) =>
        [.. forecast.Log.Where(IsCompared).Where(static line => !line.StartsWith("[gap ", StringComparison.Ordinal))];

    private static IEnumerable<string> Xens() =>
        Names().Select(static name => PairName().Match(name)).Where(static match => match.Success).Select(static match => match.Groups["xen"].Value)
            .Distinct().Order(StringComparer.Ordinal);

    private static bool IsCompared(string line) => s_compared.Any(word => line.Contains(word, StringComparison.Ordinal));

    [GeneratedRegex(@"^(\(early\) )?\[ *[0-9]+\.[0-9]+\] ")]
    private static partial Regex Stamp();

    [GeneratedRegex(@"xc_dom_alloc_segment:   (?<name>\S.*?) *: .*\(pfn 0x(?<pfn>[0-9a-f]+) \+ 0x(?<pages>[0-9a-f]+) pages\)")]
    private static partial Regex SegmentLine();

    [GeneratedRegex(@"\| [0-9]+ of [0-9]+ \|")]
    private static partial Regex AgreeOf();

    [GeneratedRegex(@"xen-(?<xen>[0-9.]+)-linux-(?<linux>[0-9.x]+)")]
    private static partial Regex PairName();
}
