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
