// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What <c>keyhole verify</c> takes for granted where the line that would tell it is lost, how far it says that a log agrees, and what the
/// guest's own command line decides.</summary>
[TestClass]
public sealed class VerifyAssumptionsTests
{
    private const string AssumedFirmware = "The log names no release of the guest's firmware (\"DMI: … BIOS …\"): seabios 1.16.1 is assumed";

    private static string[] Whole => File.ReadAllLines(PathOf("kvm", "verify", "sea-ports.log"));

    [TestMethod]
    public void A_firmware_that_the_log_does_not_name_is_said_to_be_assumed()
    {
        Assert.Contains(AssumedFirmware, Words(OfKvm(Without("DMI: "))));
        Assert.DoesNotContain("is assumed", Words(OfKvm(Whole)));
        Assert.DoesNotContain("is assumed", Words(OfKvm(Without("DMI: "), "--firmware", "seabios-1.16.2")));
    }

    [TestMethod]
    [DataRow(", BIOS ", ", BIOS\n")]
    [DataRow("PC (Q35 ", "PC\n> (Q35 ")]
    [DataRow(" 04/01/2014", "\n04/01/2014")]
    public void A_firmware_that_a_mail_has_wrapped_is_named_all_the_same(string whole, string wrapped)
    {
        string[] lines = [.. Whole.Select(line => line.Contains("DMI: ", StringComparison.Ordinal)
            ? line.Replace(whole, wrapped, StringComparison.Ordinal) : line)];

        Assert.Contains('\n', string.Concat(lines));
        Assert.DoesNotContain("is assumed", Words(OfKvm(lines)));
    }

    [TestMethod]
    public void A_firmware_without_a_date_takes_no_other_line()
    {
        string[] lines = [.. Whole.Select(static line => line.Replace(" 04/01/2014", "", StringComparison.Ordinal))];

        Assert.DoesNotContain("is assumed", Words(OfKvm(lines)));
        Assert.AreEqual(0, OfKvm(lines).Status);
    }

    [TestMethod]
    [DataRow("rel-1.16.2-14-g1e1da7a96300-prebuilt.qemu.org", true)]
    [DataRow("1.16.2-debian-1.16.2-1", false)]
    public void A_firmware_between_two_releases_may_be_the_reason(string release, bool isTold)
    {
        string[] lines = [.. Whole.Select(line => line.Contains(", BIOS ", StringComparison.Ordinal)
                ? $"{line[..line.IndexOf("BIOS", StringComparison.Ordinal)]}BIOS {release} 04/01/2014" : line)
            .Where(static line => !line.Contains("root bus resource [mem 0x4", StringComparison.Ordinal))
            .Select(static line => line.Replace("root bus resource [mem 0xc0000000-0xfebfffff", "root bus resource [mem 0xd0000000-0xfebfffff",
                StringComparison.Ordinal))];

        string words = Words(OfKvm(lines));
        Assert.Contains("what differs has another reason", words);
        Assert.AreEqual(isTold, words.Contains("its firmware, which is between two releases", StringComparison.Ordinal), words);
    }

    [TestMethod]
    [DataRow("DMI: ", "Xen version", true)]
    [DataRow("DMI: ", "nothing of the kind", false)]
    public void A_Xen_that_nobody_names_is_said_to_be_assumed(string mark, string other, bool isAssumed)
    {
        string[] lines = [.. File.ReadLines(PathOf("hvm", "boots", "hvm.dmesg")).Where(line => !line.Contains(mark, StringComparison.Ordinal)
            && !line.Contains(other, StringComparison.Ordinal))];
        CommandRun run = Verify(lines, "--type", "hvm", "--memory", "1024");

        Assert.AreEqual(isAssumed, Words(run).Contains("Neither the log nor the host's source names the release of Xen: 4.17 is assumed.",
            StringComparison.Ordinal), run.Output + run.Errors);
    }

    [TestMethod]
    public void A_Xen_that_dom0s_host_does_not_name_is_said_to_be_assumed()
    {
        const string assumed = "The host's source does not name the release of Xen: one from 4.2 to 4.19 is assumed.";
        Assert.Contains(assumed, Words(CommandRun.Of("verify", "--dom0", "--host", PathOf("golden", "seed8g.log"))));
        Assert.DoesNotContain("is assumed", Words(CommandRun.Of("verify", "--dom0", "--host", PathOf("field", "xen", "initrd-moved.txt"))));
    }

    [TestMethod]
    public void A_log_that_ends_early_agrees_as_far_as_it_goes_and_no_farther()
    {
        string[] cut = [.. Whole.TakeWhile(static line => !line.Contains("root bus resource", StringComparison.Ordinal))];

        CommandRun run = OfKvm(cut);
        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("the log agrees with the forecast, as far as it goes (to line 165)", Words(run));
        Assert.DoesNotContain("as far as it goes", Words(OfKvm(Whole)));
    }

    [TestMethod]
    public void What_else_a_cut_log_agrees_with_is_said_of_what_it_shows()
    {
        CommandRun run = OfKvm([.. Without("DMI: ").TakeWhile(static line => !line.Contains("pci 0000:01:00.0", StringComparison.Ordinal))],
            "--firmware", "seabios-1.16.3");

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.Contains("it lacks a part) agrees with", Words(run));
        Assert.DoesNotContain("Everything agrees", Words(run));
    }

    [TestMethod]
    [DataRow("pci=nocrs")]
    [DataRow("pci=noacpi,realloc")]
    [DataRow("acpi=off")]
    public void Windows_that_Linux_was_told_to_pass_over_are_not_compared(string option)
    {
        string[] lines = [.. With(option).Select(static line => line.Contains("root bus resource [mem 0x80000000", StringComparison.Ordinal)
            ? line.Replace("0x80000000-0xafffffff window", "0x00000000-0xffffffffff", StringComparison.Ordinal) : line)
            .Where(static line => !line.Contains("root bus resource [mem 0x4", StringComparison.Ordinal)
                && !line.Contains("root bus resource [mem 0xc", StringComparison.Ordinal))];

        CommandRun run = OfKvm(lines);
        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains($"the host bridge's windows: with {option.Split(',')[0]} (line 2) Linux passes over what ACPI tells of them", Words(run));
        Assert.AreEqual(1, OfKvm([.. lines.Select(line => line.Replace($" {option}", " pci=use_crs", StringComparison.Ordinal)
            .Replace("0x00000000-0xffffffffff", "0x90000000-0xafffffff window", StringComparison.Ordinal))]).Status);
    }

    [TestMethod]
    public void Buses_that_Linux_was_told_to_number_are_not_compared()
    {
        static string[] Renumbered(string option) => [.. With(option).Select(static line => line
            .Replace("0000:02:00.0", "0000:05:00.0", StringComparison.Ordinal))];

        Assert.AreEqual(1, OfKvm(Renumbered("quiet")).Status);
        CommandRun run = OfKvm(Renumbered("pci=assign-busses"));
        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("functions behind bridges: with pci=assign-busses (line 2) Linux numbers buses itself", Words(run));
    }

    [TestMethod]
    public void What_Linux_was_told_to_place_anew_is_its_own_doing()
    {
        string[] moved = ["[    2.9] pci 0000:01:00.0: BAR 0 [mem 0xfe801000-0xfe801fff]: assigned"];

        Assert.Contains("With pci=realloc on its command line (line 2) Linux places BARs and bridges' windows anew",
            Words(OfKvm([.. With("pci=realloc"), .. moved])));
        Assert.DoesNotContain("anew", Words(OfKvm([.. With("pci=realloc=off"), .. moved])));
        Assert.DoesNotContain("anew", Words(OfKvm(With("pci=realloc"))));
    }

    /// <summary>As where the head of a log is lost: the first listing of a bridge is what Linux made of it.</summary>
    [TestMethod]
    public void A_listing_of_a_bridge_behind_what_Linux_placed_is_none_of_the_firmwares()
    {
        string[] lines =
        [
            "[    0.000000] Linux version 6.12.117+deb12-amd64 (a@b) #1 SMP",
            "[    2.1] pci 0000:01:00.0: BAR 0 [mem 0xc0000000-0xc0000fff]: assigned",
            "[    2.2] pci 0000:00:01.0: PCI bridge to [bus 01]", "[    2.3] pci 0000:00:01.0:   bridge window [mem 0xc0000000-0xc01fffff]",
        ];

        CommandRun run = OfKvm(lines);
        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("the windows of bridge 0000:00:01.0", Words(run));
    }

    [TestMethod]
    public void A_function_of_which_the_log_has_nothing_is_no_single_line()
    {
        string[] lines = Without("0000:02:00.0");

        string words = Words(OfKvm(lines));
        Assert.Contains("it lacks every line of 1 PCI function (PCI function 0000:02:00.0", words);
        Assert.Contains("Either the guest has no such device, or they may have got lost", words);
        Assert.Contains("it lacks 1 line of it and every line of 1 PCI function",
            Words(OfKvm([.. lines.Where(static line => !line.Contains("BIOS-e820: [mem 0x00000000b0", StringComparison.Ordinal))])));
    }

    [TestMethod]
    [DataRow("ROMBIOS", "", "The log is of a guest with ROMBIOS (line 2: \"System requested ROMBIOS\"), and the forecast is for one with SeaBIOS")]
    [DataRow("OVMF", "", "The log is of a guest with OVMF (line 2: \"System requested OVMF\"), and the forecast is for one with SeaBIOS")]
    [DataRow("SeaBIOS", "bios=\"ovmf\"\n",
        "The log is of a guest with SeaBIOS (line 2: \"System requested SeaBIOS\"), and the forecast is for one with OVMF")]
    [DataRow("SeaBIOS", "", null)]
    [DataRow("OVMF", "bios=\"ovmf\"\n", null)]
    public void The_BIOS_that_hvmloader_loads_is_the_logs(string bios, string setting, string? expected)
    {
        string[] lines =
        [
            "(d1) HVM Loader", $"(d1) System requested {bios}", "(d1) E820 table:", "(d1)  [00]: 00000000:00000000 - 00000000:000a0000: RAM",
            "(d1)  [01]: 00000000:000f0000 - 00000000:00100000: RESERVED", "(d1)  [02]: 00000000:00100000 - 00000000:3f800000: RAM",
            "(d1) pci dev 03:0 bar 14 size 001000000: 0f0000008",
        ];
        string config = Path.GetTempFileName();
        File.WriteAllText(config, $"name=\"g\"\ntype=\"hvm\"\nmemory=1024\n{setting}");

        CommandRun run = Verify(lines, "--guest", config);
        if (expected is null)
            Assert.DoesNotContain("The log is of a guest with", run.Output);
        else
            Assert.Contains(expected, Words(run), run.Errors);
    }

    [TestMethod]
    [DataRow("char device redirected to /dev/pts/3 (label serial0)")]
    [DataRow("qemu-system-i386: terminating on signal 1 from pid 4242 (xl)")]
    [DataRow("VNC server running on 127.0.0.1:5900")]
    [DataRow("xen be: qdisk-51712: xen be: qdisk-51712: error: Failed to get \"write\" lock")]
    [DataRow("[00:04.0] xen_pt_register_regions: IO region 0 registered (size=0x01000000 base_addr=0xf6000000 type: 0x0)")]
    [DataRow("May 11 09:12:34 h qemu-system-x86_64[999]: kvm: terminating on signal 15 from pid 812")]
    public void QEMUs_own_log_is_told_for_what_it_is(string line)
    {
        CommandRun run = OfKvm([line]);
        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains("1: this is QEMU's own log (\"", run.Errors);
        string path = Path.GetTempFileName();
        File.WriteAllText(path, line + "\n");
        CommandRun guest = CommandRun.Of("plan", "--guest", path);
        Assert.AreEqual(2, guest.Status, guest.Output);
        Assert.Contains("1: QEMU's own log, without the command that started it", guest.Errors);
        Assert.Contains("this is QEMU's own log", CommandRun.Of("verify", "--host", PathOf("golden", "plain4g.log"), "--memory", "512", "--dmesg",
            path).Errors);
    }

    private static string[] With(string option) => [.. Whole.Select(line => line.Contains("] Command line: ", StringComparison.Ordinal)
        ? $"{line.TrimEnd()} {option}" : line)];

    private static string[] Without(string mark) => [.. Whole.Where(line => !line.Contains(mark, StringComparison.Ordinal))];

    private static CommandRun OfKvm(string[] lines, params string[] options) =>
        Verify(lines, ["--guest", PathOf("kvm", "verify", "sea-ports.cmd"), "--qemu", "7.2", .. options]);

    private static CommandRun Verify(string[] lines, params string[] options) =>
        CommandRun.WithInput(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"), ["verify", "--dmesg", "-", .. options]);

    private static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    private static string Words(CommandRun run) => string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
