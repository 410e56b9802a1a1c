// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
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

    [TestMethod]
    public void What_dom0s_map_would_have_where_lines_were_left_out_is_no_difference()
    {
        CommandRun run = WithoutLines(static line =>
            IsOf("[    0.000000] Xen: [mem 0x", line, "0x93c7e000", "0x96684000", "0x966f3000", "0x9716e000"));

        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
        Assert.Contains("4 entries of the map", run.Output);
        Assert.DoesNotContain("≠", run.Output);
    }

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
