// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Logs;
using Keyhole.Reading;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Logs;

/// <summary>Records of two consoles, or of a console and a collector, in which each line stands twice.</summary>
[TestClass]
public sealed class RepeatedLinesTests
{
    private const int MostBytes = 1 << 20;

    private static readonly string[] s_endings = [".log", ".txt", ""];

    private static string[] Logs() =>
    [
        .. Directory.GetFiles(MapFixtures.Folder(""), "*", SearchOption.AllDirectories)
            .Where(static path => s_endings.Contains(Path.GetExtension(path)) && new FileInfo(path).Length < MostBytes
                && File.ReadAllBytes(path) is var bytes && !bytes.Contains((byte)0) && !MailText.IsNeededFor(bytes))
            .Order(StringComparer.Ordinal),
    ];

    [TestMethod]
    [DataRow("", "")]
    [DataRow("", "Nov  3 10:00:00 host kernel: ")]
    [DataRow("(early) ", "")]
    [DataRow("Nov  3 10:00:00 host kernel: ", "Nov  3 10:00:01 host kernel: ")]
    public void A_line_that_stands_twice_in_a_row_is_said_once_in_every_log_of_the_fixtures(string before, string beforeRepeat)
    {
        int maps = 0;
        foreach (string path in Logs())
        {
            string[] lines = File.ReadAllText(path, Encoding.Latin1).Split('\n');
            // What a mail or a table is known by stands at the start of its lines.
            bool isPlain = before.Length + beforeRepeat.Length == 0;
            if (!isPlain && !Array.Exists(lines, static line => line.StartsWith("[    0.", StringComparison.Ordinal)))
                continue;
            LogScan scan = ScanOf([.. lines.Select(line => Marked(before, line))], path);
            LogScan doubled = ScanOf([.. lines.SelectMany(line => new[] { Marked(before, line), Marked(beforeRepeat, line) })], path);

            Assert.AreEqual(Told(scan, static line => line), Told(doubled, static line => (line + 1) / 2), path);
            maps += scan.Maps.Length;
        }

        Assert.IsGreaterThan(20, maps);
    }

    [TestMethod]
    public void A_line_in_the_middle_of_a_map_that_stands_twice_is_one_entry()
    {
        const string log = """
            [    0.000000] BIOS-provided physical RAM map:
            [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000003fffffff] usable
            Nov  3 10:00:00 host kernel: [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000003fffffff] usable
            Nov  3 10:00:00 host kernel: BIOS-e820: [mem 0x0000000000100000-0x000000003fffffff] usable
            [    0.000000] BIOS-e820: [mem 0x00000000fffc0000-0x00000000ffffffff] reserved
            """;

        HostDocument read = MapFixtures.Expect(MapFixtures.ReadText(log));

        Assert.AreEqual("0 a0000 1\n100000 40000000 1\nfffc0000 100000000 2", MapFixtures.Show(read.Host.Entries));
        Assert.AreSequenceEqual([2, 3, 6], read.LogMap!.EntryLines);
    }

    [TestMethod]
    [DataRow("[    1.000000] Released 5 page(s)", "[    2.000000] Released 5 page(s)")]
    [DataRow("(d1) [    0.000000] Released 5 page(s)", "(d2) [    0.000000] Released 5 page(s)")]
    [DataRow("(XEN) Command line: dom0_mem=1G", "Command line: dom0_mem=1G")]
    public void What_another_says_or_is_said_at_another_time_is_no_repeat(string first, string second) =>
        Assert.HasCount(2, ScanOf([first, second], "x").Lines);

    [TestMethod]
    public void A_resource_within_one_of_its_own_kind_is_no_repeat()
    {
        const string table = """
            00000000-00000fff : Reserved
            00001000-0009ffff : System RAM
            000a0000-000fffff : Reserved
              000a0000-000fffff : Reserved
            00100000-3fffffff : System RAM
            """;

        string[] lines = table.Split('\n');
        var repeated = new RepeatedLines();

        Assert.IsFalse(lines.Where((line, i) => repeated.Has(line, i + 1)).Any());
    }

    private static string Marked(string before, string line) =>
        line.StartsWith("[    0.", StringComparison.Ordinal) ? before + line : line;

    private static LogScan ScanOf(string[] lines, string name) =>
        LogScanner.ScanWithPci(new MemoryStream(Encoding.Latin1.GetBytes(string.Join('\n', lines))), name);

    /// <summary>All that is told of a log, its lines numbered as those of another.</summary>
    private static string Told(LogScan scan, Func<int, int> number)
    {
        List<string> told = [];
        foreach (LogMap map in scan.Maps.Concat(scan.Pci.FirmwareMaps))
        {
            told.Add($"{number(map.Line)} {map.Kind} {map.Dialect} {map.Title} {map.Domain} {map.IsTitled} {map.IsFollowedByLog} "
                + $"cut {map.CutLine is { } cut && number(cut) > 0} {map.OpenLine is { } open && number(open) > 0} {string.Join(',', map.Cuts)} "
                + $"{map.Error?.What} {map.IsBehindProse}");
            told.AddRange(map.Entries.Zip(map.EntryLines, (entry, line) => $"{number(line)} {entry}"));
        }

        told.AddRange(scan.Lines.Select(line => $"{number(line.Number)} {line.Speaker} {line.Domain} {line.Text}\n{line.Wrapped}"));
        told.AddRange(scan.Pci.Functions.Select(seen => $"{seen with { Line = number(seen.Line) }}"));
        told.AddRange(scan.Pci.Resources.Select(seen => $"{seen with { Line = number(seen.Line) }}"));
        told.AddRange(scan.Pci.RootWindows.Select(seen => $"{seen with { Line = number(seen.Line) }}"));
        told.AddRange(scan.Pci.Unplugged.Select(seen => $"{seen with { Line = number(seen.Line) }}"));
        told.AddRange(scan.Pci.FirstProcesses.Select(seen => $"{number(seen.Line)} {seen.Value}"));
        told.AddRange(scan.Pci.Machines.Select(seen => $"{number(seen.Line)} {seen.Value}"));
        told.AddRange(scan.Pci.Omissions.Select(line => $"{number(line)} left out"));
        told.AddRange(scan.RootWindows.Select(static seen => $"{seen.Window}"));
        told.Add($"{scan.Pci.FirmwarePanic?.Value} {scan.Pci.Refusal?.Value}");
        return string.Join('\n', told);
    }
}
