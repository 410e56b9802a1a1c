// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>keyhole verify</c> on logs of which somebody left lines out, and on such as were put together: a console, and 'xl dmesg'
/// behind it.</summary>
[TestClass]
public sealed class VerifyCutLogTests
{
    private const string Console = """
        Linux version 6.1.0 (x) #1
        Released 0 page(s)
        BIOS-provided physical RAM map:
        Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        Xen: [mem 0x0000000000100000-0x000000001fffffff] usable

        """;

    private const string Crash = """
        (XEN) d1v0 Unhandled: vec 14, #PF[0002]
        (XEN) Pagetable walk from ffff888000100000:
        (XEN)  L4[0x111] = 0000000000000000 ffffffffffffffff
        (XEN) Domain 1 (vcpu#0) crashed on cpu#1:

        """;

    private static string RealLog => PathOf("field", "xen", "initrd-moved.txt");

    private static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    [TestMethod]
    [DataRow("", "(XEN) ")]
    [DataRow("[    0.000000] ", "(XEN) ")]
    [DataRow("[    0.000000] ", "(XEN) [  123.456] ")]
    public void Xens_words_behind_a_guests_console_without_prefixes_are_of_that_guest(string stamp, string mark)
    {
        string console = string.Concat(Console.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => $"{stamp}{line}\n"));
        CommandRun run = OfGuest(console + Crash.Replace("(XEN) ", mark, StringComparison.Ordinal));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("halts (Domain 1", run.Output);
        Assert.Contains("d1v0 Unhandled: vec 14, #PF[0002]; Pagetable walk from", run.Output);
    }

    /// <summary>Of two that crashed, or that boot, nobody knows which is which; what Xen says before a boot is of an earlier one.</summary>
    [TestMethod]
    [DataRow("", Crash + "(XEN) Domain 2 (vcpu#0) crashed on cpu#1:\n")]
    [DataRow("(d7) Linux version 6.1.0 (x) #1\n(d7) Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\n", Crash)]
    [DataRow(Crash, "")]
    public void A_crash_that_may_be_another_guests_is_not_taken_for_this_ones(string before, string behind)
    {
        CommandRun run = OfGuest(before + Console + behind, "--boot", before.StartsWith("(d7)", StringComparison.Ordinal) ? "2" : "1");

        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
    }

    [TestMethod]
    public void A_guests_crash_is_not_dom0s()
    {
        string log = File.ReadAllText(RealLog);
        string kernel = log[log.IndexOf("[    0.000000] Linux version", StringComparison.Ordinal)..];
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", RealLog, "--dmesg", Written(kernel + Crash));

        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
    }

    /// <summary>A log that is cut looks like one that somebody has copied up to the map's end: only what dom0 has behind it tells.</summary>
    [TestMethod]
    [DataRow("seed8g")]
    [DataRow("no-high")]
    [DataRow("iommu")]
    public void A_hosts_log_that_ends_right_behind_an_entry_of_its_map_is_known_so_far_and_no_farther(string name)
    {
        string[] lines = File.ReadAllLines(CommandRun.Golden($"{name}.log"));
        int first = Array.FindIndex(lines, static line => line.Contains("RAM map:", StringComparison.Ordinal)) + 1;
        int count = lines.Skip(first).TakeWhile(static line => line.StartsWith("(XEN)  [", StringComparison.Ordinal)).Count();
        string boot = Written(string.Join('\n', lines.SkipWhile(static line => !line.StartsWith("[    0.000000]", StringComparison.Ordinal))));

        for (int at = 1; at <= count; at++)
        {
            CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written(string.Join('\n', lines[..(first + at)]) + "\n"), "--dmesg", boot);
            // How much Xen gives dom0 the rest of its log tells.
            Assert.AreNotEqual(1, run.Status, $"{at}: {run.Output}");
        }
    }

    /// <summary>Linux says "NX …" behind its whole map, and excerpts often end there.</summary>
    [TestMethod]
    [DataRow("", 0)]
    [DataRow("[    0.000000] NX (Execute Disable) protection: active\n", 1)]
    public void Where_the_log_ends_with_the_line_behind_the_map_a_missing_entry_is_a_difference(string last, int status)
    {
        string[] lines = File.ReadAllLines(CommandRun.Golden("seed8g.log"));
        int first = Array.FindIndex(lines, static line => line.Contains("Xen: [mem 0x", StringComparison.Ordinal));
        int end = first + lines.Skip(first).TakeWhile(static line => line.Contains("Xen: [mem 0x", StringComparison.Ordinal)).Count();

        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written(string.Join('\n', lines[..(end - 1)]) + "\n" + last));

        Assert.AreEqual(status, run.Status, run.Errors + run.Output);
        Assert.AreEqual(status == 0, run.Output.Contains("the log is cut there", StringComparison.Ordinal));
    }

    [TestMethod]
    public void What_dom0s_map_would_have_where_lines_were_left_out_is_no_difference()
    {
        CommandRun run = WithoutLines(static line =>
            IsOf("[    0.000000] Xen: [mem 0x", line, "0x93c7e000", "0x96684000", "0x966f3000", "0x9716e000"));

        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
        Assert.Contains("4 entries of the map", run.Output);
        Assert.DoesNotContain("≠", run.Output);
    }

    /// <summary>One, two or three lines of Xen's map are left out anywhere, or it is cut at its head or its end. The logs agree when they are
    /// whole.</summary>
    [TestMethod]
    [DataRow("golden/dom0-relocate.log", 2)]
    [DataRow("golden/unusable.log", 3)]
    [DataRow("golden/seed8g-3g.log", 6)]
    [DataRow("field/xen/initrd-moved.txt", 9)]
    [DataRow("field/xen/linux419-unusable.txt", 1)]
    public void Where_lines_of_Xens_map_are_lost_nothing_is_a_difference_that_is_none(string name, int step)
    {
        (string What, string[] Lines)[] cuts = CutsOf(name, step);

        Assert.IsGreaterThan(5, cuts.Length + step);
        foreach ((string what, string[] cut) in cuts)
        {
            CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written(string.Join('\n', cut) + "\n"));

            Assert.AreEqual(0, run.Status, $"{name}, {what}: {run.Errors}{run.Output}");
            Assert.DoesNotContain("≠", run.Output);
            Assert.DoesNotContain("does not name it", run.Output.Replace('\n', ' '), $"{name}, {what}");
            Assert.DoesNotContain("no kernel version that is known", run.Output.Replace('\n', ' '), $"{name}, {what}");
        }
    }

    /// <summary>What a lost line cuts short is not the same as the entry that the log has; and each of the log's lines is told once.</summary>
    [TestMethod]
    [DataRow("golden/seed8g.log", 3)]
    [DataRow("golden/dom0-relocate.log", 4)]
    [DataRow("golden/unusable.log", 5)]
    [DataRow("golden/seed8g-3g.log", 9)]
    [DataRow("field/xen/initrd-moved.txt", 15)]
    public void What_is_told_as_the_same_stands_whole_on_its_line_of_the_log(string name, int step)
    {
        int count = 0;
        foreach ((string what, string[] cut) in CutsOf(name, step))
        {
            CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written(string.Join('\n', cut) + "\n"), "--json");
            JsonElement json = run.Json();
            (string Observed, int Line)[] agreements = EntriesOf(json, "agreements");

            count += agreements.Length;
            foreach ((string observed, int line) in agreements)
                Assert.AreEqual(EntryIn(cut[line - 1]), observed[..observed.IndexOf(')', StringComparison.Ordinal)], $"{name}, {what}, line {line}");
            int[] told = [.. agreements.Concat(EntriesOf(json, "undecided")).Select(static entry => entry.Line)];
            Assert.HasCount(told.Distinct().Count(), told, $"{name}, {what}");
        }

        Assert.IsGreaterThan(5, count);
    }

    private static (string Observed, int Line)[] EntriesOf(JsonElement json, string list) =>
        !json.TryGetProperty(list, out JsonElement found) ? [] : [.. found.EnumerateArray()
            .Where(static one => one.GetProperty("what").GetString() == "map entry")
            .Select(static one => (one.GetProperty("observed").GetString()!, one.GetProperty("line").GetInt32()))];

    /// <summary>"[0x100000, 0x20000000" of "[    0.000000] Xen: [mem 0x0000000000100000-0x000000001fffffff] usable".</summary>
    private static string EntryIn(string line)
    {
        string[] bounds = line[(line.IndexOf("[mem 0x", StringComparison.Ordinal) + 7)..line.LastIndexOf(']')].Split("-0x");
        return $"[0x{Convert.ToUInt64(bounds[0], 16):x}, 0x{Convert.ToUInt64(bounds[1], 16) + 1:x}";
    }

    private static (string What, string[] Lines)[] CutsOf(string name, int step)
    {
        string[] lines = File.ReadAllLines(PathOf(name));
        int first = Array.FindIndex(lines, static line => line.Contains("RAM map:", StringComparison.Ordinal)) + 1;
        int count = lines.Skip(first).TakeWhile(static line => line.StartsWith("(XEN)  [", StringComparison.Ordinal)).Count();
        return Enumerable.Range(1, 3).SelectMany(length => Enumerable.Range(0, count - length + 1)
            .Select(at => (What: $"{length} from {at}", Lines: (string[])[.. lines[..(first + at)], "[...]", .. lines[(first + at + length)..]])))
            .Concat(Enumerable.Range(1, count - 1).SelectMany(at => new[]
            {
                (What: $"head to {at}", Lines: lines[(first + at)..]),
                (What: $"end from {at}", Lines: (string[])[.. lines[..(first + at)], "[...]", .. lines[(first + count)..]]),
            })).Where((_, i) => i % step == 0).ToArray();
    }

    [TestMethod]
    public void A_true_difference_outside_the_lost_lines_is_one_all_the_same()
    {
        string[] lines = [.. File.ReadLines(PathOf("golden/seed8g-3g.log")).Select(static line =>
            IsOf("[    0.000000] Xen: [mem 0x", line, "0xe0000000") ? line.Replace("reserved", "ACPI NVS", StringComparison.Ordinal) : line)];
        int lost = Array.FindIndex(lines, static line => line.StartsWith("(XEN)  [0000000020000000", StringComparison.Ordinal));
        lines[lost] = "[...]";

        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written(string.Join('\n', lines) + "\n"), "--json");

        Assert.AreEqual(1, run.Status, run.Errors + run.Output);
        JsonElement difference = run.Json().GetProperty("differences").EnumerateArray().Single();
        Assert.AreEqual("[0xe0000000, 0xf0000000) nvs", difference.GetProperty("observed").GetString());
    }

    [TestMethod]
    public void What_the_log_shows_where_lines_of_Xens_map_are_lost_is_told_to_be_not_known()
    {
        string log = Without("(XEN)  [0000000020000000");

        CommandRun json = CommandRun.Of("verify", "--dom0", "--host", log, "--json");
        CommandRun text = CommandRun.Of("verify", "--dom0", "--host", log);

        Assert.IsTrue(json.Json().GetProperty("agrees").GetBoolean());
        Assert.AreEqual("0x20000000", json.Json().GetProperty("notKnown")[0].GetProperty("start").GetString());
        Assert.Contains("[0x20000000, 0x20200000) reserved", string.Join('\n',
            json.Json().GetProperty("undecided").EnumerateArray().Select(static one => one.GetProperty("observed").GetString())));
        Assert.Contains("agrees with the forecast, as far as the host's map is known", text.Output.Replace("\n", " ", StringComparison.Ordinal));
        Assert.Contains("Lines of the host's map are lost where", text.Output);
    }

    private static string Without(string start) => Written(string.Join('\n', File.ReadLines(PathOf("golden/seed8g-3g.log"))
        .Select(line => line.StartsWith(start, StringComparison.Ordinal) ? "[...]" : line)) + "\n");

    private static bool IsOf(string mark, string line, params string[] addresses) =>
        line.StartsWith(mark, StringComparison.Ordinal) && addresses.Any(address =>
            line.Contains($"{Convert.ToUInt64(address, 16):x16}", StringComparison.Ordinal)
                && line.IndexOf($"{Convert.ToUInt64(address, 16):x16}", StringComparison.Ordinal) <= mark.Length);

    /// <summary>A real log with "[...]" for the first of the lines that are left out.</summary>
    private static CommandRun WithoutLines(Func<string, bool> isLeftOut, string omission = "[...]\n")
    {
        string text = "";
        bool isMarked = false;
        foreach (string line in File.ReadLines(RealLog))
        {
            bool isOut = isLeftOut(line);
            text += !isOut ? $"{line}\n" : isMarked ? "" : omission;
            isMarked |= isOut;
        }

        Assert.IsTrue(isMarked);
        return CommandRun.Of("verify", "--dom0", "--host", Written(text));
    }

    private static CommandRun OfGuest(string log, params string[] options) => CommandRun.Of(
        ["verify", "--host", PathOf("hosts", "dell-xps-8500", "boot.log"), "--memory", "512", "--dmesg", Written(log), .. options]);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
