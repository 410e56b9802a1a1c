// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What is not known is said to be not known, and what is advised was tried.</summary>
[TestClass]
public sealed class ReserveDoubtsTests
{
    private const string Seed = "0 9f000 1\n9f000 a0000 2\n100000 3dee0000 1\n";

    private const string Amid = """
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009efff] (usable)
        (XEN)  [0000000000100000, 000000006fffffff] (usable)
        ...
        (XEN)  [00000000e0000000, 00000000efffffff] (reserved)
        (XEN)  [0000000100000000, 00000002ffffffff] (usable)

        """;

    private const string WithoutHead = """
        [    0.000000] BIOS-e820: [mem 0x0000000000900000-0x000000007ea9ffff] usable
        [    0.000000] BIOS-e820: [mem 0x000000007eaa0000-0x000000007fffffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000ffc00000-0x00000000ffffffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000027fffffff] usable
        [    0.000000] NX (Execute Disable) protection: active

        """;

    [TestMethod]
    [DataRow(WithoutHead, "--start", "512M", "0x900000 0x20000000")]
    [DataRow(WithoutHead, "--range", "4M-512M", "0x900000 0x20000000")]
    [DataRow(Amid, "--range", "2G-3G", "")]
    [DataRow(Amid, "--range", "1G-2G", "0x40000000 0x70000000")]
    [DataRow(Amid, "--below", "3G", "0x1000 0x90000 0x100000 0x70000000")]
    public void What_lost_lines_decide_is_not_known_and_gets_no_parameters(string log, string option, string value, string surely)
    {
        CommandRun run = Run(log, option, value);
        JsonElement json = Run(log, option, value, "--json").Json();

        Assert.Contains("kept-not-known", run.Output);
        Assert.DoesNotContain("GRUB_CMDLINE_LINUX", run.Output);
        Assert.DoesNotContain("nothing-kept", run.Output);
        Assert.IsFalse(json.TryGetProperty("today", out _));
        Assert.IsFalse(json.GetProperty("keptKnown").GetBoolean());
        Assert.AreEqual(surely, string.Join(' ', json.GetProperty("surelyKept").EnumerateArray()
            .SelectMany(static range => new[] { range.GetProperty("start").GetString(), range.GetProperty("end").GetString() })));
        Assert.AreEqual(0, run.Status, "neither yes nor no");
    }

    [TestMethod]
    public void A_part_of_a_map_without_any_RAM_is_an_error_and_has_no_sum()
    {
        CommandRun run = Run("[    0.0] BIOS-e820: [mem 0x00000000dceff000-0x00000000dfa0ffff] reserved\n", "--below", "4G", "--guest-memory", "1G");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("error nothing-kept: the lines of the host's map that are there have no RAM", run.Output);
        Assert.DoesNotContain("0 B", run.Output);
    }

    /// <summary>3 GiB were asked for, from 0 on, on a host with EFI whose RAM above 4 GiB is less.</summary>
    [TestMethod]
    public void RAM_above_4_GiB_that_keeps_less_is_told_to()
    {
        CommandRun run = Run("""
            [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
            [    0.000000] BIOS-e820: [mem 0x00000000ffc00000-0x00000000ffffffff] reserved
            [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000013fffffff] usable
            [    0.000000] efi: EFI v2.7 by X

            """, "--start", "2944M");

        Assert.Contains("keep RAM above 4 GiB (--range", run.Output);
        Assert.Contains("which keeps 736 MiB instead of 2.87 GiB, if the device reaches so far)", run.Output.ReplaceLineEndings(" "));
    }

    [TestMethod]
    public void What_lost_lines_do_not_decide_is_told_and_the_hosts_RAM_is_at_least_what_is_there()
    {
        CommandRun run = Run(WithoutHead, "--range", "4G-5G");

        Assert.Contains("GRUB_CMDLINE_LINUX=\"memmap=1G\\\\\\$4G\"", run.Output);
        Assert.Contains("left to the host at least ", run.Output);
        Assert.Contains("not known, and not listed: [0x0, 0x900000)", run.Output);
        Assert.IsTrue(Run(WithoutHead, "--range", "4G-5G", "--json").Json().GetProperty("keptKnown").GetBoolean());
    }

    /// <summary>What the running kernel uses as RAM is RAM, though the line that said so is lost.</summary>
    [TestMethod]
    [DataRow("00000000-6fffffff : System RAM\n70000000-efffffff : Reserved\n100000000-2ffffffff : System RAM\n", 0, "agrees")]
    [DataRow("00000000-6fffffff : System RAM\ne0000000-efffffff : Reserved\n100000000-2ffffffff : System RAM\n", 1, "not-known")]
    [DataRow("00000000-bfffffff : System RAM\ne0000000-efffffff : Reserved\n100000000-2ffffffff : System RAM\n", 1, "differs")]
    public void A_check_where_lines_are_lost_goes_by_what_the_running_host_shows(string iomem, int status, string outcome)
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, iomem);
            CommandRun run = Run(Amid, "--range", "2G-3G", "--check", "--iomem", path, "--json");

            Assert.AreEqual(outcome, run.Json().GetProperty("check").GetProperty("outcome").GetString());
            Assert.AreEqual(status, run.Status);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void A_check_advises_nothing_that_is_asked_for_already()
    {
        string iomem = Path.Combine(AppContext.BaseDirectory, "fixtures", "reserve", "efi", "kernel-in-kept-ram.iomem");
        byte[] log = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "fixtures", "reserve", "efi", "memmap-boot.log"));
        CommandRun byLog = CommandRun.WithInput(log, "reserve", "--host", "-", "--range", "4G-5G", "--check");
        CommandRun byIomem = CommandRun.WithInput(log, "reserve", "--host", "-", "--range", "4G-5G", "--check", "--iomem", iomem);

        foreach (CommandRun run in new[] { byLog, byIomem })
        {
            Assert.AreEqual(1, run.Status);
            Assert.Contains("boot the host with memmap=1G$4G", run.Output);
            Assert.DoesNotContain("above 4 GiB", run.Output);
            Assert.DoesNotContain("overwrite", run.Output, "the kernel is where the old memmap= was, which nobody asks to keep");
            Assert.DoesNotContain("CSM", run.Output);
        }
    }

    [TestMethod]
    public void A_range_without_RAM_says_where_RAM_is_and_pastes_nothing()
    {
        CommandRun run = Run(Seed, "--range", "2G-3G");

        Assert.Contains("the host has no RAM in [0x80000000, 0xc0000000): its RAM is in [0x0, 0x9f000), [0x100000, 0x3dee0000)", OneLine(run.Output));
        Assert.DoesNotContain("GRUB", run.Output);
        Assert.IsFalse(Run(Seed, "--range", "2G-3G", "--json").Json().TryGetProperty("today", out _));
    }

    /// <summary>Each remedy that names an option is given to the command itself.</summary>
    [TestMethod]
    [DataRow("--below 4G --guest-memory 2G")]
    [DataRow("--start 512M --guest-memory 600M")]
    [DataRow("--start 983M")]
    [DataRow("--start 0x20001000")]
    [DataRow("--start 4G")]
    [DataRow("--start 1M")]
    [DataRow("--range 2G-3G")]
    [DataRow("--start 512M --crashkernel 420M")]
    public void A_remedy_that_names_options_works(string asked)
    {
        string[] words = asked.Split(' ');
        JsonElement error = Run(Seed, [.. words, "--json"]).Json().GetProperty("problems").EnumerateArray()
            .First(static problem => problem.GetProperty("severity").GetString() == "error");
        string remedy = error.GetProperty("remedy").GetString()!;

        Assert.Contains("tried on this host's map, and works: ", remedy);
        foreach (string alternative in remedy[(remedy.IndexOf(": ", StringComparison.Ordinal) + 2)..].Split("; or "))
        {
            string[] instead = alternative.Split(',')[0].Split(' ');
            string[] others = [.. words.Chunk(2).Where(pair => pair[0] != instead[0]
                && !(instead[0] == "--range" && pair[0] is "--start" or "--below")).SelectMany(static pair => pair)];
            Assert.AreEqual(0, Run(Seed, [.. others, .. instead]).Status, $"{asked}: {alternative}");
        }
    }

    [TestMethod]
    public void Where_nothing_helps_it_is_said() =>
        Assert.Contains("none was found", Run("0 9f000 1\n100000 3000000 1\n", "--start", "32M").Output);

    private static CommandRun Run(string host, params string[] arguments) =>
        CommandRun.WithInput(Encoding.ASCII.GetBytes(host), ["reserve", "--host", "-", .. arguments]);

    private static string OneLine(string text) => text.ReplaceLineEndings("").Replace("  ", " ", StringComparison.Ordinal);
}
