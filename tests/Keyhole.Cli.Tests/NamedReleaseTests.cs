// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Which Linux dom0 runs where its kernel's own line is not in the log: GRUB and xl info tell it, a guest's or another machine's line
/// does not. A kernel that nobody named is said to be assumed.</summary>
[TestClass]
public sealed class NamedReleaseTests
{
    private const string Grub = """
        Loading Xen 4.19.1 ...
        Loading Linux 6.12.20-0-lts ...
        Loading initial ramdisk ...

        """;

    private const string OtherGrub = """
        Loading Xen 4.19.1 ...
        Loading Linux 5.10.0-28-amd64 ...
        Loading initial ramdisk ...

        """;

    private const string Info = """
        $ sudo xl info
        host                   : saphir.local
        release                : 6.12.20-0-lts
        version                : #1-Alpine SMP PREEMPT_DYNAMIC 2025-03-24 08:09:11
        machine                : x86_64
        xen_major              : 4
        xen_minor              : 19

        """;

    private const string Xen = """
        (XEN) Xen version 4.19.1 (a@b) debug=n
        (XEN) Command line: dom0_mem=512M,max:1G
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009ffff] (usable)
        (XEN)  [00000000000a0000, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [00000000e0000000, 00000000ffffffff] (reserved)
        (XEN)  [0000000100000000, 0000001fffffffff] (usable)

        """;

    private const string Map = """
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x0000000040000fff] usable
        [    0.000000] Xen: [mem 0x00000000e0000000-0x00000000ffffffff] reserved
        [    0.000000] [mem 0xc0000000-0xdfffffff] available for PCI devices

        """;

    private const string Guest = """
        Linux version 5.4.0-1-amd64 (a@b) (gcc) #1 SMP
        [    0.000000] ACPI in unprivileged domain disabled
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
        [    0.000000] last_pfn = 0x40000 max_arch_pfn = 0x400000000
        [    0.100000] Booting paravirtualized kernel on Xen

        """;

    private const string Uname = "Linux saphir 6.12.20-0-lts #1-Alpine SMP PREEMPT_DYNAMIC 2025-03-24 08:09:11 x86_64 GNU/Linux\n";

    [TestMethod]
    [DataRow(Grub + Xen, "GRUB loads Linux 6.12.20-0-lts (line 2)")]
    // Each boot's own.
    [DataRow(OtherGrub + Grub + Xen, "GRUB loads Linux 6.12.20-0-lts (line 5)")]
    [DataRow(Grub + Xen + OtherGrub, "GRUB loads Linux 6.12.20-0-lts (line 2)")]
    [DataRow(Info + Xen, "xl info names Linux 6.12.20-0-lts (line 3)")]
    [DataRow(Xen + Info, "xl info names Linux 6.12.20-0-lts (line 11)")]
    // The line before the boot, not what runs now.
    [DataRow(OtherGrub + Xen + Info, "GRUB loads Linux 5.10.0-28-amd64 (line 2)")]
    [DataRow("root@saphir:~# xl dmesg\n" + Xen + Uname, "uname names Linux 6.12.20-0-lts (line 10)")]
    public void The_Linux_that_dom0_runs_is_told_by_what_stands_around_the_log(string log, string said)
    {
        CommandRun run = With(log, "boot", "--dom0", "--host", "-");

        Assert.Contains(said, Words(run.Errors));
        Assert.Contains("kernel: linux-" + (said.Contains("5.10", StringComparison.Ordinal) ? "5.10" : "6.12.20"), run.Output);
        Assert.DoesNotContain("which is assumed", run.Output);
    }

    /// <summary>Both print the same, and up to Xen 4.0 there is no xl.</summary>
    [TestMethod]
    [DataRow("$ sudo xm info", "4.2.1", "xm info names")]
    [DataRow("$ sudo xl info", "4.2.1", "xl info names")]
    [DataRow("", "4.0.1", "xm info names")]
    [DataRow("", "4.1.2", "xl info names")]
    public void The_tool_that_was_called_is_named(string prompt, string xen, string said)
    {
        string info = Info.Replace("$ sudo xl info", prompt, StringComparison.Ordinal)
            .Replace(": 19", $": {xen.Split('.')[1]}", StringComparison.Ordinal);

        CommandRun run = With(Xen.Replace("4.19.1", xen, StringComparison.Ordinal) + info, "boot", "--dom0", "--host", "-");

        Assert.Contains(said, Words(run.Errors));
    }

    [TestMethod]
    // Not Xen's: a boot without it.
    [DataRow("Loading Linux 6.12.20-0-lts ...\n" + Xen)]
    // A guest's.
    [DataRow("(d1) Loading Xen 4.19.1 ...\n(d1) Loading Linux 6.12.20-0-lts ...\n" + Xen)]
    [DataRow(Xen + Guest)]
    // Another boot's.
    [DataRow(Grub + "(XEN) Xen version 4.19.1\n" + OtherXen + Xen)]
    [DataRow(Xen + Grub)]
    // Two machines, or one that was given another kernel.
    [DataRow(Xen + Info + OtherInfo)]
    // Another Xen's.
    [DataRow(Xen + OldInfo)]
    // Nobody knows on which machine.
    [DataRow(Xen + Uname)]
    [DataRow("root@other:~# xl dmesg\n" + Xen + Uname)]
    [DataRow(Xen + "The release : 6.12.20\n")]
    public void What_may_be_of_a_guest_or_of_another_boot_is_not_taken_for_dom0s(string log)
    {
        CommandRun run = With(log, "boot", "--dom0", "--host", "-", "--map", log.Contains(OtherXen, StringComparison.Ordinal) ? "2" : "1");

        Assert.Contains("kernel: linux-6.1, which is assumed: --kernel names another", run.Output, run.Errors);
    }

    private const string OtherXen = """
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009efff] (usable)
        (XEN)  [0000000000100000, 00000000afffffff] (usable)

        """;

    private const string OtherInfo = """
        host                   : other
        release                : 5.10.0-28-amd64
        version                : #1 SMP

        """;

    private const string OldInfo = """
        host                   : saphir
        release                : 5.10.0-28-amd64
        version                : #1 SMP
        xen_major              : 4
        xen_minor              : 14

        """;

    [TestMethod]
    public void A_uname_of_nobody_knows_which_machine_is_shown_and_not_taken()
    {
        CommandRun run = With(Xen + Uname, "boot", "--dom0", "--host", "-");

        Assert.Contains("uname names Linux 6.12.20-0-lts (line 9); whether that is dom0's does not show: if it is, say so with --kernel",
            Words(run.Errors));
    }

    [TestMethod]
    public void What_the_user_says_comes_before_what_the_log_names()
    {
        CommandRun run = With(Grub + Xen, "boot", "--dom0", "--host", "-", "--kernel", "5.4");

        Assert.Contains("kernel: linux-5.4\n", run.Output);
        Assert.DoesNotContain("GRUB", run.Errors);
    }

    [TestMethod]
    [DataRow(Grub + Xen + Map, "GRUB loads Linux 6.12.20-0-lts (line 2); it is compared with linux-6.12.20.")]
    [DataRow(Xen + Map + Info, "xl info names Linux 6.12.20-0-lts (line 16); it is compared with linux-6.12.20.")]
    [DataRow(Xen + Map, "The log names no kernel version; it is compared with linux-6.1: --kernel names another.")]
    // A dom0 that died answers no xl info.
    [DataRow(Xen + Map + "[    0.000000] Kernel panic - not syncing: out of memory\n" + Info,
        "The log names no kernel version; it is compared with linux-6.1: --kernel names another.")]
    public void Verify_compares_with_the_Linux_that_GRUB_or_xl_info_names_and_says_so(string log, string said)
    {
        CommandRun run = With(log, "verify", "--dom0", "--host", "-");

        Assert.Contains(said, Words(run.Output), run.Errors);
    }

    [TestMethod]
    [DataRow("Linux version 6.12.21-gentoo (a@b) (gcc) #1 SMP\n" + Map, "kernel: linux-6.12.21", "the map's log is of Linux 6.12.21-gentoo (line 1)")]
    [DataRow(Map, "kernel: linux-6.1, which is assumed: --kernel names another", "")]
    public void A_given_map_boots_the_kernel_whose_log_it_stands_in(string log, string kernel, string said)
    {
        CommandRun run = With(log, "boot", "--guest-map", "-");

        Assert.Contains(kernel, run.Output, run.Errors);
        Assert.Contains(said, Words(run.Errors));
    }

    [TestMethod]
    [DataRow("boot")]
    [DataRow("compare")]
    public void A_kernel_that_nobody_named_is_said_to_be_assumed(string verb)
    {
        string[] guest = [verb, "--host", "-", "--memory", "1024", "--e820-host"];

        Assert.Contains("linux-6.1, which is assumed: --kernel names another", Words(With(Xen, guest).Output));
        Assert.DoesNotContain("assumed", With(Xen, [.. guest, "--kernel", "6.1"]).Output);
    }

    private static CommandRun With(string input, params string[] options) => CommandRun.WithInput(Encoding.UTF8.GetBytes(input), options);

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));
}
