// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>An HVM guest's log that tells its Xen, its BIOS and its RAM, where those are not what was told.</summary>
[TestClass]
public sealed class VerifyOtherHvmGuestTests
{
    /// <summary>hvmloader's own map of a guest of 512 MiB, 8 of which the video card has.</summary>
    private const string Table = """
        (d1) E820 table:
        (d1)  [00]: 00000000:00000000 - 00000000:000a0000: RAM
        (d1)  HOLE: 00000000:000a0000 - 00000000:000f0000
        (d1)  [01]: 00000000:000f0000 - 00000000:00100000: RESERVED
        (d1)  [02]: 00000000:00100000 - 00000000:1f800000: RAM
        (d1)  HOLE: 00000000:1f800000 - 00000000:fc000000
        (d1)  [03]: 00000000:fc000000 - 00000000:fc00b000: NVS
        (d1)  [04]: 00000000:fc00b000 - 00000001:00000000: RESERVED
        (d1) Invoking SeaBIOS ...

        """;

    /// <summary>As guests of a public cloud print it.</summary>
    private const string Cloud = """
        [    0.000000] Linux version 5.15.0-1063-aws (buildd@x) #69~20.04.1-Ubuntu SMP
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009dfff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009e000-0x000000000009ffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000000e0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000efffffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000ffffffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000010fffffff] usable
        [    0.000000] DMI: Xen HVM domU, BIOS 4.11.amazon 08/24/2006
        [    0.000000] Hypervisor detected: Xen HVM
        [    0.000000] Xen version 4.11.

        """;

    /// <summary>Up to 4.13 hvmloader has one entry for the last 64 MiB below 4 GiB.</summary>
    [TestMethod]
    [DataRow("4.11.amazon", "4.11.", "4.11")]
    [DataRow("4.17.3", "4.17.", "4.17")]
    public void The_Xen_of_a_guest_without_a_host_is_the_one_that_its_log_names(string bios, string kernels, string expected)
    {
        string log = Cloud.Replace("4.11.amazon", bios, StringComparison.Ordinal).Replace("4.11.", kernels, StringComparison.Ordinal);
        string output = CommandRun.Of("verify", "--type", "hvm", "--memory", "4096", "--dmesg", Written(log)).Output;

        Assert.Contains($"firmware: hvmloader {expected}\n", output);
        Assert.AreEqual(expected == "4.11", output.Contains("  =   map entry   [0xfc000000, 0x100000000)", StringComparison.Ordinal), output);
    }

    [TestMethod]
    public void Another_BIOS_is_told_by_what_it_has_reserved()
    {
        string text = Text("--type", "hvm", "--memory", "4096", "--dmesg", Written(Cloud));

        Assert.Contains("Lines 4 and 5: what is reserved below 1 MiB is as hvmloader has it for ROMBIOS", text);
        Assert.Contains("a guest whose video card takes none of it, not 8 MiB (videoram=, vga=), or of one with memory=4104", text);
        Assert.DoesNotContain("ROMBIOS", Text("--type", "hvm", "--memory", "4096", "--dmesg", Written(Cloud.Replace("e0000-", "d0000-",
            StringComparison.Ordinal))));
    }

    [TestMethod]
    [DataRow("memory=504\n", "[0x100000, 0x1efff000)", "whose video card takes none of it, not 8 MiB (videoram=, vga=), or of one with memory=512")]
    [DataRow("memory=512\nvga=\"stdvga\"\n", "[0x100000, 0x1efff000)", "takes 8 MiB of it, not 16 MiB (videoram=, vga=), or of one with memory=520")]
    [DataRow("memory=2048\n", "[0x100000, 0x7f7ff000)", "of a guest with memory=512, all else")]
    public void RAM_that_is_another_guests_names_the_guest(string config, string forecast, string expected)
    {
        CommandRun run = CommandRun.Of("verify", "--guest", Written($"type=\"hvm\"\n{config}"), "--dmesg", Written(Table));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains(expected, run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
        Assert.Contains(forecast.Split(' ')[1], run.Output);
        Assert.DoesNotContain("map entry   -", run.Output);
    }

    [TestMethod]
    public void RAM_that_is_the_same_names_no_other_guest()
    {
        CommandRun run = CommandRun.Of("verify", "--guest", Written("type=\"hvm\"\nmemory=512\n"), "--dmesg",
            Written(Table.Replace("fc00b000", "fc00c000", StringComparison.Ordinal)));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.DoesNotContain("The RAM in the log", run.Output);
    }

    private static string Text(params string[] options) =>
        CommandRun.Of(["verify", .. options]).Output.Replace("\n  ", " ", StringComparison.Ordinal);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
