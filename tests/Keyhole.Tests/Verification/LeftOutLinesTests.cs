// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>Logs of guests' boots of which lines are left out: what is not there is not known.</summary>
[TestClass]
public sealed partial class LeftOutLinesTests
{
    private static readonly string[] s_marks =
        ["[...]", "...", "[    1.400000] ** 12 printk messages dropped **", "<snip>", "* * *", "host systemd-journald[1]: Missed 7 kernel messages"];

    private static string Fixture(string name) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", name));

    private static LogScan Scan(IEnumerable<string> lines) =>
        LogScanner.ScanWithPci(new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', lines))), "dmesg");

    /// <summary>Of the guest as it is told, with the firmware that the whole log names.</summary>
    private static Plan PlanOf(string guest, string[] lines)
    {
        Assert.IsTrue(
            GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(guest)), "guest").TryGet(out GuestDocument? told, out InputError? error),
            error?.ToString());
        LogScan scan = Scan(lines);
        return Planner.Plan(FirmwareVerifier.WithEvidence(
            new() { Host = Host.Unknown, Guest = told.Guest, Qemu = new() { Emulator = new QemuVersion(7, 2) } },
            FirmwareVerifier.BootsIn(scan)[0], scan));
    }

    private static BootVerification Compare(Plan plan, IEnumerable<string> lines)
    {
        LogScan scan = Scan(lines);
        return FirmwareVerifier.Compare(plan, FirmwareVerifier.BootsIn(scan)[0], scan);
    }

    private static HashSet<string> Differences(BootVerification boot) =>
        [.. boot.Differences.Select(static one => $"{one.What}: {one.Forecast} / {one.Observed}")];

    [GeneratedRegex(@" ?\(line \d+\)")]
    private static partial Regex LineNumber { get; }

    private static string WithoutLine(string text) => LineNumber.Replace(text, "").TrimEnd('.');

    [TestMethod]
    [DataRow("kvm/verify/sea-ports.cmd", "kvm/verify/sea-ports.log")]
    [DataRow("kvm/verify/sea-unplaced.cmd", "kvm/verify/sea-unplaced.log")]
    [DataRow("kvm/verify/ovmf-unplaced.cmd", "kvm/verify/ovmf-unplaced.log")]
    [DataRow("hvm/boots/hvm.cfg", "hvm/boots/hvm.dmesg")]
    public void A_log_with_lines_left_out_has_no_difference_and_no_explanation_that_the_whole_log_has_not(string guest, string log)
    {
        int[] lengths = [1, 2, 5, 3, 10, 1, 30];
        string[] lines = Fixture(log).Split('\n');
        Plan plan = PlanOf(Fixture(guest), lines);
        BootVerification whole = Compare(plan, lines);
        HashSet<string> differences = Differences(whole);
        string[] explanations = [.. whole.Explanations.Select(static one => WithoutLine(one.ToString()))];
        var failures = new List<string>();
        int cuts = 0;
        for (int at = 0; at < lines.Length; at++)
        {
            // Each line that is compared, and some others.
            if (at % 32 != 0 && !lines[at].Contains("BIOS-e820", StringComparison.Ordinal) && !lines[at].Contains("pci 0", StringComparison.Ordinal)
                && !lines[at].Contains("root bus", StringComparison.Ordinal))
                continue;
            string mark = s_marks[cuts % s_marks.Length];
            int length = Math.Min(lengths[cuts++ % lengths.Length], lines.Length - at);
            BootVerification cut = Compare(plan, [.. lines[..at], mark, .. lines[(at + length)..]]);
            string[] more = [.. Differences(cut).Except(differences),
                .. cut.Explanations.Select(static one => WithoutLine(one.ToString())).Where(one =>
                    !explanations.Any(known => known.StartsWith(one, StringComparison.Ordinal)) && !IsOfALineThatIsThere(one))];
            failures.AddRange(more.Select(one => $"{mark} for {length} from {at}: {one}"));
        }

        Assert.AreEqual("", string.Join('\n', failures));
        Assert.IsGreaterThan(30, cuts);
    }

    /// <summary>Amid its last line too: an address that is cut is none.</summary>
    [TestMethod]
    [DataRow("kvm/verify/sea-ports.cmd", "kvm/verify/sea-ports.log")]
    [DataRow("kvm/verify/sea-unplaced.cmd", "kvm/verify/sea-unplaced.log")]
    [DataRow("kvm/verify/ovmf-unplaced.cmd", "kvm/verify/ovmf-unplaced.log")]
    [DataRow("hvm/boots/hvm.cfg", "hvm/boots/hvm.dmesg")]
    public void A_log_that_ends_anywhere_has_no_difference_that_the_whole_log_has_not(string guest, string log)
    {
        string[] lines = Fixture(log).Split('\n');
        Plan plan = PlanOf(Fixture(guest), lines);
        HashSet<string> differences = Differences(Compare(plan, lines));
        var failures = new List<string>();
        int cuts = 0;
        for (int at = 0; at < lines.Length; at++)
        {
            if (!lines[at].Contains("BIOS-e820", StringComparison.Ordinal) && !lines[at].Contains("pci 0", StringComparison.Ordinal)
                && !lines[at].Contains("root bus", StringComparison.Ordinal))
                continue;
            int length = (cuts++ % 4) switch
            {
                0 => lines[at].Length,
                1 => lines[at].Length - 2,
                2 => Math.Max(lines[at].LastIndexOf("0x", StringComparison.Ordinal) + 6, lines[at].Length / 2),
                _ => lines[at].Length - 9,
            };
            string last = lines[at][..Math.Clamp(length, 0, lines[at].Length)];
            failures.AddRange(Differences(Compare(plan, [.. lines[..at], last])).Except(differences).Select(one => $"{last}: {one}"));
        }

        Assert.AreEqual("", string.Join('\n', failures));
        Assert.IsGreaterThan(30, cuts);
    }

    [TestMethod]
    public void Bars_and_bridges_of_lines_that_are_left_out_are_told_as_not_compared()
    {
        string[] lines = Fixture("kvm/verify/sea-ports.log").Split('\n');
        int at = Array.FindIndex(lines, static line => line.Contains("pci 0000:00:01.0: [1b36", StringComparison.Ordinal)) + 1;
        BootVerification cut = Compare(PlanOf(Fixture("kvm/verify/sea-ports.cmd"), lines), [.. lines[..at], "[...]", .. lines[(at + 10)..]]);

        Assert.IsTrue(cut.Agrees);
        Assert.IsEmpty(cut.Explanations);
        string[] expected =
            ["windows of bridge 0000:00:01.0", "windows of bridge 0000:00:02.0", "BARs of functions that it names: lines are left out"];
        foreach (string part in expected)
            Assert.Contains(part, string.Join('\n', cut.NotCompared));
    }

    [TestMethod]
    public void What_the_lines_that_are_left_show_still_differs()
    {
        string[] lines = Fixture("kvm/verify/sea-ports.log").Split('\n');
        int at = Array.FindIndex(lines, static line => line.Contains("pci 0000:00:01.0: [1b36", StringComparison.Ordinal)) + 1;
        Plan other = PlanOf(Fixture("kvm/verify/sea-ports.cmd").Replace("membar=256M", "membar=512M", StringComparison.Ordinal), lines);

        Assert.Contains(static one => one is { What: "BAR 2 of 0000:02:00.0", Observed: "0x800000000 (256 MiB, mem64-prefetchable)" },
            Compare(other, [.. lines[..at], "[...]", .. lines[(at + 10)..]]).Differences);
    }

    [TestMethod]
    [DataRow("sea-ports", "pci 0000:02:00.0: BAR 1 [")]
    [DataRow("sea-unplaced", "pci 0000:00:02.0: BAR 0 [")]
    public void A_register_that_is_missing_differs_where_lines_are_left_out_elsewhere(string name, string register)
    {
        string[] lines = Fixture($"kvm/verify/{name}.log").Split('\n');
        Plan plan = PlanOf(Fixture($"kvm/verify/{name}.cmd"), lines);
        string[] without = [.. lines.Where(line => !line.Contains(register, StringComparison.Ordinal))];

        // Between two lines of the list's end, far behind.
        Assert.Contains(one => register.Contains($"{one.What.Split(' ')[^1]}: BAR", StringComparison.Ordinal) && one.Observed is null,
            Compare(plan, [.. without[..^4], "[...]", .. without[^2..]]).Differences);
    }

    [TestMethod]
    [DataRow("~~~\n", "\n~~~", false)]
    [DataRow("", "\n...\n[   30.000000] random: crng init done", true)]
    public void What_is_drawn_around_a_log_leaves_nothing_out(string before, string behind, bool isLeftOut)
    {
        string log = Fixture("kvm/verify/sea-ports.log").TrimEnd('\n');

        Assert.AreEqual(isLeftOut, Scan([$"{before}{log}{behind}"]).Pci.LeavesOut(0, int.MaxValue));
    }

    /// <summary>What the lines that are left tell besides: another sentence on the same line of the log, and what agrees with them.</summary>
    private static bool IsOfALineThatIsThere(string text) =>
        text.StartsWith("Linux found no room for", StringComparison.Ordinal) || text.StartsWith("Everything agrees", StringComparison.Ordinal);
}
