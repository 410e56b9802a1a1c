// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Captures;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Logs;

/// <summary>The logs of the real Xen and Linux, read again by patterns of their own.</summary>
[TestClass]
public sealed partial class GoldenLogTests
{
    private static readonly Dictionary<string, uint> s_types = new()
    {
        ["usable"] = 1, ["reserved"] = 2, ["ACPI data"] = 3, ["ACPI NVS"] = 4, ["unusable"] = 5,
        ["System RAM"] = 1, ["Reserved"] = 2, ["ACPI Tables"] = 3, ["ACPI Non-volatile Storage"] = 4, ["Unusable memory"] = 5,
    };

    [TestMethod]
    public void Every_golden_log_gives_the_entries_that_Xen_printed()
    {
        int count = 0;
        foreach (string path in MapFixtures.GoldenLogs())
        {
            string expected = string.Join('\n', XenEntry().Matches(File.ReadAllText(path)).Select(ToLine));
            using FileStream stream = File.OpenRead(path);
            HostDocument map = MapFixtures.Expect(HostMapReader.Read(stream, Path.GetFileName(path), HostMapOptions.Default));
            Assert.AreEqual(expected, MapFixtures.Show(map.Host.Entries), path);
            Assert.AreEqual(HostMapDialect.Xen, map.Dialect);
            Assert.IsFalse(map.Host.IsMachineMap);
            count++;
        }

        Assert.AreEqual(13, count);
    }

    [TestMethod]
    public void Every_kernel_map_of_the_golden_logs_is_found_with_its_lines()
    {
        foreach (string path in MapFixtures.GoldenLogs())
        {
            string[] lines = File.ReadAllLines(path);
            List<(int Line, string Entry)> expected = [];
            for (int i = 0; i < lines.Length; i++)
            {
                if (KernelEntry().Match(lines[i]) is { Success: true } match)
                    expected.Add((i + 1, ToLine(match)));
            }

            using FileStream stream = File.OpenRead(path);
            LogScan scan = LogScanner.Scan(stream, path);
            LogMap[] kernels = [.. scan.Maps.Where(map => map.Kind == LogMapKind.GuestKernel)];
            string found = string.Join('\n', kernels.SelectMany(map => map.EntryLines.Zip(MapFixtures.Show(map.Entries).Split('\n')))
                .Select(pair => $"{pair.First}: {pair.Second}"));
            Assert.AreEqual(string.Join('\n', expected.Select(pair => $"{pair.Line}: {pair.Entry}")), found, path);
            Assert.IsTrue(scan.Maps.All(map => map.Error is null), path);
            Assert.AreEqual(lines.Count(line => line.Contains("Xen: [mem 0x0000000000000000-")), kernels.Length, path);
        }
    }

    [TestMethod]
    public void Every_iomem_of_the_golden_logs_gives_its_firmware_resources()
    {
        int count = 0;
        foreach (string path in MapFixtures.GoldenLogs())
        {
            string expected = string.Join('\n', IomemEntry().Matches(File.ReadAllText(path)).Select(ToLine));
            using FileStream stream = File.OpenRead(path);
            LogMap[] found = [.. LogScanner.Scan(stream, path).Maps.Where(map => map.Kind == LogMapKind.Iomem)];
            Assert.AreEqual(expected, MapFixtures.Show(found.SelectMany(map => map.Entries)), path);
            count += found.Length;
        }

        Assert.IsGreaterThan(15, count);
    }

    [TestMethod]
    public void A_golden_log_s_other_maps_are_named_and_can_be_chosen()
    {
        string path = Path.Combine(MapFixtures.Folder("golden"), "seed8g.log");
        using FileStream stream = File.OpenRead(path);
        HostDocument firmware = MapFixtures.Expect(HostMapReader.Read(stream, "seed8g.log", HostMapOptions.Default));
        Assert.AreEqual("Xen's firmware map (Multiboot-e820 RAM map), line 3 of seed8g.log", firmware.Description);
        Assert.Contains(
            "HostMapOptions.MapNumber 2: map of a kernel under Xen (Xen), line 33, 17 entries\nHostMapOptions.MapNumber 3: Linux's resources "
                + "(/proc/iomem), line 56, 18 entries\n", string.Join('\n', firmware.OtherMaps));

        stream.Position = 0;
        HostDocument dom0 = MapFixtures.Expect(HostMapReader.Read(stream, "seed8g.log", new() { MapNumber = 2 }));
        Assert.HasCount(17, dom0.Host.Entries);
        Assert.IsTrue(dom0.Host.IsMachineMap);
    }

    private static string ToLine(Match match)
    {
        ulong start = ulong.Parse(match.Groups["start"].Value, NumberStyles.HexNumber, null);
        ulong last = ulong.Parse(match.Groups["last"].Value, NumberStyles.HexNumber, null);
        return $"{start:x} {last + 1:x} {s_types[match.Groups["type"].Value]}";
    }

    [GeneratedRegex(@"^\(XEN\)  \[(?<start>\w+), (?<last>\w+)\] \((?<type>[\w ]+)\)$", RegexOptions.Multiline | RegexOptions.NonBacktracking)]
    private static partial Regex XenEntry();

    [GeneratedRegex(
        "^ *(?<start>[0-9a-f]{8,16})-(?<last>[0-9a-f]{8,16}) : (?<type>System RAM|Reserved|ACPI Tables|ACPI Non-volatile Storage|Unusable memory)$",
        RegexOptions.Multiline | RegexOptions.NonBacktracking)]
    private static partial Regex IomemEntry();

    [GeneratedRegex(@"Xen: \[mem 0x(?<start>\w+)-0x(?<last>\w+)\] (?<type>[\w ]+)$", RegexOptions.Multiline | RegexOptions.NonBacktracking)]
    private static partial Regex KernelEntry();
}
