// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>keyhole verify</c> on boots of which a line of the map is garbled, or missing: what stands behind it counts all the same.</summary>
[TestClass]
public sealed class VerifyGarbledMapTests
{
    private static readonly string[] s_garbled =
    [
        "[    0.000000] Xen: [mem 0x00000000badf9000-0x00000000badd0fff] ACPI data", "[    0.000000] Xen: [mem 0x00000000badc9000-0x0000",
    ];

    private static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    private static CommandRun OfKvm(string[] lines) => Verify(lines, "--guest", PathOf("kvm", "verify", "sea-ports.cmd"));

    private static string[] KvmLines() => File.ReadAllLines(PathOf("kvm", "verify", "sea-ports.log"));

    private static string[] MapLines(string[] lines) => [.. lines.Where(static line => line.Contains("BIOS-e820: [mem", StringComparison.Ordinal))];

    private static CommandRun Verify(string[] lines, params string[] options) =>
        CommandRun.WithInput(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"), ["verify", "--dmesg", "-", .. options]);

    private static string[] Replaced(string[] lines, string old, string by)
    {
        int at = Array.IndexOf(lines, old);
        Assert.IsGreaterThanOrEqualTo(0, at, old);
        return [.. lines[..at], by, .. lines[(at + 1)..]];
    }

    /// <summary>A PV guest of the recorded boots, on its host.</summary>
    private static (string Config, string[] Lines) PvGuest()
    {
        const int start = 133;
        string[] log = File.ReadAllLines(PathOf("golden", "seed8g.log"));
        Assert.Contains("Released", log[start]);
        return ("name=\"g\"\ntype=\"pv\"\nkernel=\"/k/vmlinuz\"\nmemory=2048\ne820_host=1\n", log[start..160]);
    }

    [TestMethod]
    public void Behind_a_garbled_line_of_a_KVM_guests_map_the_map_goes_on()
    {
        string[] lines = KvmLines();
        string[] map = MapLines(lines);
        string[] garbled = Replaced(lines, map[2], map[2][..^12]);
        int number = Array.IndexOf(lines, map[2]) + 1;

        CommandRun same = OfKvm(garbled);
        Assert.AreEqual(0, same.Status, same.Output + same.Errors);
        Assert.Contains($"line {number} is cut short or garbled", same.Output);
        Assert.DoesNotContain("the log is cut there", same.Output);

        CommandRun other = OfKvm(Replaced(garbled, map[^1], map[^1].Replace("usable", "reserved", StringComparison.Ordinal)
            .Replace("reserved", "ACPI data", StringComparison.Ordinal)));
        Assert.AreEqual(1, other.Status, other.Output + other.Errors);
        Assert.Contains("≠   map entry", other.Output);
    }

    [TestMethod]
    public void A_first_line_that_is_garbled_leaves_the_rest_of_the_map_to_be_compared()
    {
        string[] lines = KvmLines();
        string[] map = MapLines(lines);

        CommandRun run = OfKvm(Replaced(lines, map[0], map[0][..^12]));

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("=   map entry", run.Output);
        Assert.Contains("1 entry of the map: line", run.Output);
    }

    [TestMethod]
    public void What_a_PV_guests_map_has_behind_a_garbled_line_is_compared()
    {
        (string config, string[] lines) = PvGuest();
        string whole = lines.First(static line => line.Contains("Xen: [mem 0x00000000badc9000", StringComparison.Ordinal));
        string last = lines.Last(static line => line.Contains("Xen: [mem 0x0000000100000000", StringComparison.Ordinal));
        string file = Path.Combine(Path.GetTempPath(), $"keyhole-{Guid.NewGuid():n}.cfg");
        File.WriteAllText(file, config);
        try
        {
            foreach (string text in s_garbled)
            {
                string[] garbled = Replaced(lines, whole, text);
                CommandRun same = Verify(garbled, "--host", PathOf("golden", "seed8g.log"), "--guest", file);
                Assert.AreEqual(0, same.Status, same.Output + same.Errors);
                Assert.Contains("1 entry of the map: line 10 is cut short or garbled", same.Output);

                CommandRun larger = Verify(Replaced(garbled, last, last.Replace("15fffffff", "1dfffffff", StringComparison.Ordinal)),
                    "--host", PathOf("golden", "seed8g.log"), "--guest", file);
                Assert.AreEqual(1, larger.Status, larger.Output + larger.Errors);
                Assert.Contains("0x1e0000000", larger.Output);
            }
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestMethod]
    public void A_last_line_that_is_missing_where_the_kernel_goes_on_is_a_difference()
    {
        string[] lines = File.ReadAllLines(PathOf("golden", "seed8g-3g.log"))[..54];
        int last = Array.FindLastIndex(lines, static line => line.Contains("Xen: [mem", StringComparison.Ordinal));
        Assert.Contains("last_pfn = ", string.Join('\n', lines[last..]));

        CommandRun run = CommandRun.WithInput(Encoding.UTF8.GetBytes(string.Join('\n', [.. lines[..last], .. lines[(last + 1)..]])),
            "verify", "--dom0", "--host", "-");

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.DoesNotContain("the log is cut there", run.Output);
    }

    /// <summary>The recorded boot has nothing of what follows the map at once, so that its end may be missing.</summary>
    [TestMethod]
    [DataRow("", 0)]
    [DataRow("[    0.000000] last_pfn = 0x20000 max_arch_pfn = 0x400000000", 1)]
    public void The_end_of_a_PVH_guests_map_is_missing_where_its_last_page_frame_follows(string next, int status)
    {
        string[] lines = File.ReadAllLines(PathOf("hvm", "boots", "pvh.dmesg"));
        int last = Array.FindLastIndex(lines, static line => line.Contains("BIOS-e820: [mem", StringComparison.Ordinal));
        lines[last] = next;

        CommandRun run = Verify(lines, "--host", PathOf("hvm", "linux.log"), "--guest", PathOf("hvm", "boots", "pvh.cfg"));

        Assert.AreEqual(status, run.Status, run.Output + run.Errors);
    }

    [TestMethod]
    public void A_line_that_is_missing_in_the_middle_is_said_to_be_perhaps_missing()
    {
        string[] lines = KvmLines();
        foreach (string word in new[] { "BIOS-e820: [mem", "root bus resource [mem", "  bridge window [mem" })
        {
            int at = Array.FindLastIndex(lines, line => line.Contains(word, StringComparison.Ordinal));
            Assert.IsGreaterThan(0, at, word);

            CommandRun run = OfKvm([.. lines[..at], .. lines[(at + 1)..]]);

            if (run.Status == 0)
                continue;
            string words = string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            Assert.Contains("It may have got lost on the way into the log", words, word);
            if (words.Contains("With none of the usual", StringComparison.Ordinal))
                Assert.Contains("such as lines that are missing, other devices", words, word);
        }
    }

    /// <summary>A guest with less memory has no RAM at 4 GiB, and no line of its log got lost.</summary>
    /// <summary>Unless its kernel counts as much RAM as was forecast.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Where_RAM_is_missing_the_guest_may_have_less_of_it(bool isCounted)
    {
        CommandRun run = OfKvm([.. KvmLines().Where(line => !line.Contains("BIOS-e820: [mem 0x0000000100000000-", StringComparison.Ordinal)
            && (isCounted || !line.Contains("] Memory: ", StringComparison.Ordinal)))]);

        string words = string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.AreEqual(!isCounted, words.Contains("or the guest has less memory than was told", StringComparison.Ordinal), words);
        Assert.Contains("may have got lost on the way", words);
    }

    [TestMethod]
    public void A_line_that_says_something_else_is_none_that_is_missing()
    {
        string[] lines = KvmLines();
        string[] map = MapLines(lines);

        CommandRun run = OfKvm(Replaced(lines, map[1], map[1].Replace("reserved", "ACPI NVS", StringComparison.Ordinal)));

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.DoesNotContain("got lost", run.Output);
    }
}
