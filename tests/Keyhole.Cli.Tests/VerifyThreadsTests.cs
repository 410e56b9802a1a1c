// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>keyhole verify</c> on what people paste into a thread: parts of logs, prose between them. Excerpts of our own, made after public
/// reports.</summary>
[TestClass]
public sealed class VerifyThreadsTests
{
    private const string XensMap = """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Command line: placeholder dom0_mem=1024M,max:1024M
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [0000000100000000, 000000013fffffff] (usable)
        (XEN) System RAM: 4095MB (4193912kB)

        """;

    private const string Dom0sMap = """
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009efff] usable
        [    0.000000] Xen: [mem 0x000000000009fc00-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x0000000040060fff] usable

        """;

    [TestMethod]
    [DataRow("[  197.060965] dracut-initqueue[311]: Warning: /dev/disk/by-uuid/0 does not exist")]
    [DataRow("[    2.060965] Run /init as init process")]
    [DataRow("Jan 01 10:00:00 host systemd[1]: Detected virtualization xen.")]
    public void A_log_in_which_a_program_speaks_is_of_a_kernel_that_boots(string line)
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--json", "--host", Written($"{XensMap}{Dom0sMap}...\n{line}\n"));

        Assert.Contains("\"observed\":\"boots\"", run.Output.Replace(" ", "", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_PVH_dom0_whose_size_is_not_told_dies_of_what_Xen_names()
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written(XensMap.Replace("dom0_mem=1024M,max:1024M", "dom0=pvh",
            StringComparison.Ordinal) + """
            (XEN) *** Building a PVH Dom0 ***
            (XEN) Unable to allocate memory with order 0!
            (XEN) Failed to setup Dom0 physical memory map
            (XEN) 
            (XEN) ****************************************
            (XEN) Panic on CPU 0:
            (XEN) Could not construct d0
            (XEN) ****************************************

            """));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("Before that Xen says \"Unable to allocate memory with order 0!\": memory has a part in it.", run.Output);
    }

    private const string PvhDom0sMap = """
        (XEN) Dom0 memory map:
        (XEN)  [0000000000000000, 000000000009efff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 0000000040060f1d] (usable)
        (XEN)  [0000000040060f1e, 0000000040060fa7] (ACPI data)
        (XEN)  [0000000040061000, 00000000bfffffff] (unusable)
        (XEN)  [0000000100000000, 000000013fffffff] (unusable)

        """;

    private static readonly string s_headless = XensMap[XensMap.IndexOf("(XEN) Xen-e820", StringComparison.Ordinal)..];

    [TestMethod]
    public void The_map_that_Xen_prints_of_a_PVH_dom0_tells_that_it_is_one_and_its_size()
    {
        string log = Written($"{s_headless}[...]\n{PvhDom0sMap}[    0.000000] Linux version 6.1.19 (a@b)\n"
            + PvhDom0sMap.Replace("(XEN) Dom0 memory map:\n", "", StringComparison.Ordinal)
                .Replace("(XEN)  [", "[    0.000000] BIOS-e820: [mem 0x", StringComparison.Ordinal)
                .Replace(", ", "-0x", StringComparison.Ordinal)
                .Replace("(", "", StringComparison.Ordinal).Replace(")", "", StringComparison.Ordinal));
        CommandRun verify = CommandRun.Of("verify", "--dom0", "--host", log);
        CommandRun boot = CommandRun.Of("boot", "--dom0", "--host", log);

        Assert.AreEqual(0, verify.Status, verify.Errors + verify.Output);
        Assert.Contains("This dom0 is a PVH one", verify.Output);
        Assert.Contains("[0x40060f1e, 0x40060fa8) acpi", verify.Output);
        Assert.AreEqual(0, boot.Status, boot.Errors);
        Assert.Contains("guest:  dom0, 1024 MiB", boot.Output);
        Assert.Contains("0x40060f1e", boot.Output);
        Assert.DoesNotContain("P2M", boot.Output);
    }

    [TestMethod]
    public void A_part_of_the_map_that_Xen_prints_of_a_PVH_dom0_does_not_tell_its_size()
    {
        string part = PvhDom0sMap[..PvhDom0sMap.IndexOf("(XEN)  [0000000040061000", StringComparison.Ordinal)];
        CommandRun boot = CommandRun.Of("boot", "--dom0", "--host", Written($"{s_headless}{part}[...]\n"));

        Assert.AreEqual(2, boot.Status);
        Assert.Contains("how many pages dom0 starts with is not known", boot.Errors);
    }

    private static string BuiltBy(string version, string pages, string machineEnd = "000000047fffffff") => $"""
        (XEN) Xen version {version} (a@b) debug=n
        (XEN) Command line: placeholder console=com1
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [00000000c0000000, 00000000cfffffff] (reserved)
        (XEN)  [0000000100000000, {machineEnd}] (usable)
        (XEN)   Dom0 alloc.:   0000000168000000->0000000170000000 ({pages} pages to be allocated)
        (XEN)  Loaded kernel: ffffffff81000000->ffffffff84a00000
        (XEN)  Phys-Mach map: 0000008000000000->0000008000800000
        (XEN)  Start info:    ffffffff84a00000->ffffffff84a004b8
        (XEN)  Page tables:   ffffffff84a01000->ffffffff84a2a000
        [    0.000000] Linux version 5.10.100 (a@b)
        [    0.000000] Released 0 page(s)
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009efff] usable
        [    0.000000] Xen: [mem 0x000000000009fc00-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000bfffffff] usable
        [    0.000000] Xen: [mem 0x00000000c0000000-0x00000000cfffffff] reserved
        [    0.000000] Xen: [mem 0x00000000fec00000-0x00000000fec00fff] reserved
        [    0.000000] Xen: [mem 0x00000000fee00000-0x00000000feefffff] reserved
        [    0.000000] Xen: [mem 0x0000000100000000-0x0000000140060fff] usable
        [    0.000000] NX (Execute Disable) protection: active

        """;

    [TestMethod]
    [DataRow("4.14.5", true)]
    [DataRow("4.11.4", false)]
    public void A_limit_may_be_built_into_a_Xen_whose_command_line_has_none_from_4_12_on(string version, bool isTold)
    {
        string log = Written(BuiltBy(version, "1015808"));
        CommandRun verify = CommandRun.Of("verify", "--dom0", "--host", log);
        CommandRun boot = CommandRun.Of("boot", "--dom0", "--host", log);

        Assert.AreEqual(1, verify.Status, verify.Errors);
        Assert.AreEqual(isTold, verify.Output.Contains("max:4096M in the dom0_mem= that is built into this Xen", StringComparison.Ordinal),
            verify.Output);
        Assert.AreEqual(!isTold, verify.Output.Contains("no kernel version that is known does everything", StringComparison.Ordinal));
        Assert.AreEqual(isTold, boot.Errors.Contains("one is built into it", StringComparison.Ordinal), boot.Errors);
    }

    /// <summary>Xen may have kept the rest for itself.</summary>
    [TestMethod]
    public void No_limit_is_said_to_be_built_into_a_Xen_that_gives_dom0_most_of_the_machine()
    {
        CommandRun boot = CommandRun.Of("boot", "--dom0", "--host", Written(BuiltBy("4.14.5", "1015808", "000000017fffffff")));

        Assert.DoesNotContain("built into it", boot.Errors);
    }

    [TestMethod]
    public void Of_a_hole_the_entries_are_told_apart_from_the_gap_behind_them()
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--max", "4096", "--host", Written(BuiltBy("4.14.5", "1015808")));

        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
        Assert.Contains("[0xc0000000, 0xd0000000) reserved: 65,536, [0xd0000000, 0xfec00000) gap: 191,488, [0xfec00000, 0xfec01000) reserved: 1, ",
            run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_log_that_goes_on_behind_the_end_that_was_forecast_is_not_said_to_have_nothing_else()
    {
        string log = BuiltBy("4.14.5", "1015808")
            .Replace("(XEN)  [0000000000100000, 00000000bfffffff] (usable)", "(XEN)  [0000000000100000, 0000000003ffffff] (usable)\n"
                + "(XEN)  [0000000004000000, 0000000004011fff] (ACPI NVS)\n(XEN)  [0000000004012000, 00000000bfffffff] (usable)",
                StringComparison.Ordinal);
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written($"{log}[    0.100000] Memory: 3000000K/4194300K available\n"));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("the rest of the log has no forecast to be compared with", run.Output);
    }

    [TestMethod]
    public void A_guests_own_map_that_is_taken_for_the_hosts_is_named_as_that()
    {
        const string log = """
            [    0.000000] Linux version 6.1.90 (a@b) #1 SMP
            [    0.000000] ACPI in unprivileged domain disabled
            [    0.000000] Released 0 page(s)
            [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
            [    0.000000] Xen: [mem 0x0000000000100000-0x0000000078da2fff] usable
            [    0.000000] Xen: [mem 0x0000000078da3000-0x00000000795bbfff] reserved
            [    0.000000] Xen: [mem 0x00000000795bc000-0x000000007969ffff] unusable
            [    0.000000] Xen: [mem 0x0000000100000000-0x000000017fffffff] usable
            [    0.000000] Remapped 553565 page(s)

            """;
        CommandRun run = CommandRun.Of("verify", "--host", Written(log), "--memory", "4096", "--e820-host");

        Assert.AreEqual(1, run.Status, run.Output);
        Assert.Contains("is a guest's own: what is", run.Output);
        Assert.DoesNotContain("no kernel version that is", run.Output);
        Assert.DoesNotContain("What to change", run.Output);
    }

    private const string Quoted = """
        dom0's map:
         ...
         Xen: [mem 0x0000000079869000-0x0000000079d29fff] ACPI NVS
         Xen: [mem 0x0000000079d2a000-0x000000008fffffff] reserved
         Xen: [mem 0x00000000c7ffc000-0x00000000c7ffcfff] reserved
         ...
        and the guest's:
         ...
         Xen: [mem 0x0000000079869000-0x0000000079d29fff] ACPI NVS
         Xen: [mem 0x0000000079d2a000-0x000000008fffffff] reserved
         Xen: [mem 0x00000000c7ffc000-0x00000000c7ffcfff] reserved
         ...
        The device is near 0x90000:
         pci 0000:00:00.4: can't claim BAR 0 [mem 0x90004000-0x90007fff 64bit pref]: address conflict with System RAM [mem 0x90000000-0x97ffffff]
         pci 0000:00:00.4: can't claim BAR 3 [mem 0x90024000-0x90027fff 64bit pref]: address conflict with System RAM [mem 0x90000000-0x97ffffff]

        """;

    [TestMethod]
    public void Of_two_maps_that_are_quoted_that_is_the_guest_s_boot_whose_kernel_says_more_and_what_is_left_out_is_no_difference()
    {
        string text = Written(Quoted);
        CommandRun run = CommandRun.Of("verify", "--memory", "4096", "--e820-host", "--host", text, "--dmesg", text);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("boot 2 of 2", run.Output);
        Assert.DoesNotContain("no kernel version that is known", run.Output);
        Assert.DoesNotContain("the outcome: the log ends before it shows", run.Output);
    }

    /// <summary>A host whose firmware names no reserved region below the window (Qubes OS, issue 6042).</summary>
    [TestMethod]
    [DataRow("Unusable memory [mem 0x25800000-0xfebfffff]", "less memory does not help", "or less low memory")]
    [DataRow("System RAM [mem 0x00100000-0xf9ffffff]", "or less low memory", "less memory does not help")]
    public void Less_memory_is_a_remedy_for_RAM_in_a_window_and_not_for_unusable_memory(string met, string said, string unsaid)
    {
        string dmesg = Written($"[    7.7] pci 0000:00:00.0: can't claim BAR 0 [mem 0xe1940000-0xe19403ff]: address conflict with {met}\n");
        CommandRun run = CommandRun.Of("verify", "--memory", "600", "--e820-host", "--host", Written(XensMap), "--dmesg", dmesg);
        string words = string.Join(' ', run.Output.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));

        Assert.Contains(said, words);
        Assert.DoesNotContain(unsaid, words);
    }

    [TestMethod]
    public void What_several_windows_meet_is_told_once()
    {
        string text = Written(Quoted);
        CommandRun run = CommandRun.Of("verify", "--memory", "4096", "--e820-host", "--host", text, "--dmesg", text);
        string output = run.Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("Lines 14 and 15: the device's windows [0x90004000, 0x90008000) and [0x90024000, 0x90028000) conflict with System RAM", output);
        Assert.AreEqual(2, output.Split("That memory was not given but hot-plugged later").Length);
    }

    [TestMethod]
    [DataRow("(XEN) AMD-Vi: Error initialization\n(XEN) I/O virtualisation disabled\n", true)]
    [DataRow("(XEN) I/O virtualisation enabled\n", false)]
    public void A_host_whose_IOMMU_Xen_does_not_use_is_told(string line, bool isTold)
    {
        CommandRun run = CommandRun.Of("show", "--host", Written(XensMap + line));

        string words = string.Join(' ', run.Errors.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));
        Assert.AreEqual(isTold, words.Contains("xl starts no guest with a device", StringComparison.Ordinal), words);
    }

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
