// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What Xen says before it ends a guest, as <c>keyhole verify</c> tells it.</summary>
[TestClass]
public sealed class VerifyXenWordsTests
{
    private const string Crashed = "(XEN) Domain 1 (vcpu#0) crashed on cpu#3:\n";

    private const string HapPool = """
        (XEN) arch/x86/mm/hap/hap.c:304: d1 failed to allocate from HAP pool
        (XEN) Failed to shatter gfn 7ed37: -12
        (XEN) d1v0 EPT violation 0x19c (--x/rw-) gpa 0x0000007ed373a1 mfn 0x33ed37 type 0
        (XEN) d1v0 Walking EPT tables for GFN 7ed37:
        (XEN) d1v0  epte 9c0000047eba3107
        (XEN) domain_crash called from arch/x86/hvm/vmx/vmx.c:3758

        """;

    private static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    /// <summary>An HVM or PVH domain that dies early leaves this one line.</summary>
    [TestMethod]
    [DataRow("pvh", "(XEN) d5v0 Triple fault - invoking HVM shutdown action 1\n(XEN) *** Dumping Dom5 vcpu#0 state: ***\n")]
    [DataRow("hvm", "(XEN) [2024-12-11 10:00:00] d5v0 Triple fault - invoking HVM shutdown action 3\n")]
    [DataRow("hvm", "(XEN) hvm.c:1346:d5v0 Triple fault on VCPU0 - invoking HVM shutdown action 1.\n")]
    public void A_triple_fault_is_a_guests_end(string type, string log)
    {
        CommandRun run = OfGuest(log, type);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("Triple fault", run.Output);
        Assert.Contains("a processor met a fault that the guest could not take", run.Output);
        Assert.DoesNotContain("does not say", run.Output);
    }

    [TestMethod]
    public void A_triple_fault_of_dom0_is_its_end()
    {
        string log = File.ReadAllText(PathOf("field", "xen", "pvh-dom0.txt"));
        log = log[..log.IndexOf("(XEN) Hardware Dom0 crashed", StringComparison.Ordinal)];

        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written($"{log}(XEN) d0v0 Triple fault - invoking HVM shutdown action 1\n"));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("d0v0 Triple fault", run.Output);
    }

    /// <summary>A system may restart by a triple fault.</summary>
    [TestMethod]
    public void A_triple_fault_behind_the_first_program_is_no_end()
    {
        const string boot = """
            Linux version 6.1.0 (a@b) #1 SMP
            BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
            Memory: 1000000K/1048572K available
            Run /init as init process

            """;

        Assert.DoesNotContain("Triple", OfGuest($"{boot}(XEN) d5v0 Triple fault - invoking HVM shutdown action 1\n", "pvh").Output);
        Assert.Contains("Triple", OfGuest($"{boot.Replace("Run /init", "Ran /init", StringComparison.Ordinal)
            .Replace("init process", "", StringComparison.Ordinal)}(XEN) d5v0 Triple fault - invoking HVM shutdown action 1\n", "pvh").Output);
    }

    [TestMethod]
    [DataRow("(XEN) p2m_pod_demand_populate: Dom1 out of PoD memory! (tot=102385 ents=921600 dom1)\n", "the guest touched more memory")]
    [DataRow(HapPool, "the pool that Xen has for the guest's page tables is used up. Memory has a part in it")]
    [DataRow("(XEN) Can't pre-allocate 9 shadow pages!\n", "the pool that Xen has")]
    [DataRow("(XEN) d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -12\n", "no memory was left for the tables of the IOMMU")]
    [DataRow("(XEN) d1: marking GFN 0x3f800 (order 9) as non-PoD failed: -12\n", "no memory left for the guest's page tables")]
    [DataRow("(XEN) d1v1 failed to set entry for 1f9800 -> e39800 altp2m 1, rc -12\n", "the pool that Xen has for the guest's page tables is used up")]
    [DataRow("(XEN) d1v0 EPT violation 0x784 (r--/---) gpa 0x00000080000000 mfn 0xffffffffffffffff type 6\n", "could not fill")]
    public void Memory_has_a_part_where_Xen_says_so(string words, string expected)
    {
        CommandRun run = OfGuest($"{words}(XEN) domain_crash called from p2m-pod.c:1218\n{Crashed}", "hvm");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains(expected, run.Output);
        Assert.Contains("Memory has a part in it", run.Output);
        Assert.DoesNotContain("domain_crash called", run.Output);
    }

    [TestMethod]
    [DataRow("(XEN) d1v0 EPT violation 0xdaa (-w-/r-x) gpa 0x000000f1008470 mfn 0xcc328 type 5\n",
        "wrote to a page that is the memory of a device of the host, where it may do no more than r-x; it is not about the guest's RAM")]
    [DataRow("(XEN) d1: GFN 0xf3078 (0xa2616,0,5,7) -> (0xa2504,0,5,7) not permitted\n", "leads to a device's memory, and was to lead to other memory")]
    public void Where_a_devices_memory_is_the_matter_the_guests_RAM_is_not(string words, string expected)
    {
        CommandRun run = OfGuest($"{words}(XEN) domain_crash called from p2m.c:1301\n{Crashed}", "hvm");

        Assert.Contains(expected, run.Output);
        Assert.Contains("it is not about the guest's RAM", run.Output);
    }

    /// <summary>The number of the type decides, and where there is none nothing is said.</summary>
    [TestMethod]
    [DataRow("(XEN) d1v0 EPT violation 0x182 (-w-/r-x) gpa 0x00000001008470 mfn 0xcc328 type 0\n")]
    [DataRow("(XEN) d1v0 EPT violation 0xdaa (-w-/r-x) gpa 0x000000f1008470 mfn\n")]
    [DataRow("(XEN) d1: GFN 0xf3078 (0xa2616,0,7,7) -> (0xa2504,0,5,7) not permitted\n")]
    [DataRow("(XEN) d1: GFN 0xf3078 (not permitted\n")]
    [DataRow("(XEN) d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -22\n")]
    [DataRow("(XEN) d1v1 failed to set entry for 1f9800 -> e39800 altp2m 1, rc -22\n")]
    [DataRow("(XEN) MMIO emulation failed (1): d1v0 16bit @ f000:0000fea7 -> 66 ea af fe ff ff 10\n")]
    [DataRow("(XEN) d1v0 Weird HVM ioreq state transition 2 -> 1\n")]
    public void What_the_words_do_not_prove_is_not_said(string words)
    {
        CommandRun run = OfGuest($"{words}{Crashed}", "hvm");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("Before that Xen says", run.Output);
        Assert.DoesNotContain("not about", run.Output);
        Assert.DoesNotContain("Memory has a part", run.Output);
    }

    /// <summary>The line before the place in Xen's source is the reason.</summary>
    [TestMethod]
    public void A_page_table_entry_that_L1TF_could_read_is_not_about_memory()
    {
        CommandRun run = OfGuest("(XEN) d1 L1TF-vulnerable L1e 8010000018200066 - Crashing\n(XEN) domain_crash called from "
            + $"./arch/x86/include/asm/shadow.h:211\n{Crashed}", "pv");

        Assert.Contains("L1TF-vulnerable L1e", run.Output);
        Assert.Contains("no shadow paging", run.Output);
        Assert.DoesNotContain("domain_crash called", run.Output);
        Assert.DoesNotContain("Memory has a part", run.Output);
    }

    /// <summary>Each comes right before an end in Xen's source, and a log may be cut there.</summary>
    [TestMethod]
    [DataRow("(XEN) d15v0 vmentry failure (reason 0x80000021): Invalid guest state (0)\n(XEN) *** Guest State ***\n", "Xen gives the guest up")]
    [DataRow("(XEN) p2m_pod_demand_populate: Dom15 out of PoD memory! (tot=102385 ents=921600 dom15)\n", "Memory has a part")]
    public void Words_that_come_before_an_end_alone_are_the_end(string log, string expected)
    {
        CommandRun run = OfGuest(log, "hvm");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("guest 15's", run.Output);
        Assert.Contains(expected, run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
        string whole = OfGuest($"{log}(XEN) Domain 15 (vcpu#0) crashed on cpu#3:\n", "hvm").Output;
        Assert.Contains("halts: \"Domain 15 (vcpu#0) crashed", whole);
        Assert.Contains("Before that Xen says", whole);
        Assert.AreEqual(2, OfGuest("(XEN) d15v0 Unexpected vmexit: reason 63\n", "hvm").Status);
    }

    /// <summary>Windows tells Xen of its crash, and Xen says no more of it.</summary>
    [TestMethod]
    [DataRow("", "CRASH: 7b fffff880009a98e8 ffffffffc0000034 0 0")]
    [DataRow("", "GUEST_CRASH: 0x7b 0xfffff880009a98e8 0xffffffffc0000034 0 0")]
    [DataRow("(d2) Invoking SeaBIOS ...\n(d2) E820 table:\n(d2)  [00]: 00000000:00000000 - 00000000:000a0000: RAM\n",
        "CRASH: 7b fffff880009a98e8 ffffffffc0000034 0 0")]
    public void A_systems_own_crash_that_Xen_passes_on_is_an_end(string before, string words)
    {
        CommandRun run = OfGuest($"{before}(XEN) d2v0 VIRIDIAN {words}\n", "hvm");
        string text = run.Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("halts: \"d2v0", text);
        Assert.Contains("its stop code (bug check) is 0x7b", text);
        Assert.DoesNotContain("Memory has a part", text);
        Assert.DoesNotContain("does not say", text);
    }

    [TestMethod]
    public void Words_of_another_domain_are_not_this_ones() =>
        Assert.DoesNotContain("PoD", OfGuest($"(XEN) p2m_pod_demand_populate: Dom24 out of PoD memory! (tot=1 ents=2 dom24)\n{Crashed}", "hvm").Output);

    [TestMethod]
    public void Memory_and_maxmem_made_equal_cure_what_runs_out_of_memory_on_demand()
    {
        const string log = "(XEN) p2m_pod_demand_populate: Dom1 out of PoD memory! (tot=102385 ents=921600 dom1)\n" + Crashed;

        CommandRun run = OfGuest(log, "hvm", "--maxmem", "3600M");

        Assert.Contains("What to change: set maxmem to memory (512 MiB), or memory to maxmem (3600 MiB)", run.Output);
        CommandRun equal = OfGuest(log, "hvm");
        Assert.DoesNotContain("What to change", equal.Output);
        Assert.Contains("what it was started with is something else", equal.Output);
    }

    [TestMethod]
    public void A_larger_pool_is_the_cure_of_one_that_is_used_up() =>
        Assert.Contains("What to change: raise shadow_memory=", OfGuest(HapPool + Crashed, "hvm").Output);

    /// <summary>A host whose NVS a kernel before 6.12 cannot be on: what comes of it is not what Xen died of.</summary>
    [TestMethod]
    public void What_Xen_itself_dies_of_is_not_cured_by_another_kernel()
    {
        const string panic = "(XEN) ****************************************\n(XEN) Panic on CPU 0:\n(XEN) Xen BUG at drivers/passthrough/amd/"
            + "iommu_init.c:1386\n(XEN) ****************************************\n";
        const string log = "(XEN) Xen version 4.17.3 (a@b) debug=n\n(XEN) Command line: dom0_mem=min:1024M dom0_mem=max:4096M\n(XEN) EFI RAM map:\n"
            + "(XEN)  [0000000000000000, 000000000009ffff] (usable)\n(XEN)  [0000000000100000, 0000000003ffffff] (usable)\n"
            + "(XEN)  [0000000004000000, 0000000004020fff] (ACPI NVS)\n(XEN)  [0000000004021000, 00000000b5b04fff] (usable)\n"
            + "(XEN)  [0000000100000000, 000000103f0fffff] (usable)\n(XEN) No NUMA configuration found\n" + panic;

        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Written(log), "--kernel", "6.1");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("dom0, 4 GiB", run.Output);
        Assert.Contains("Once Xen gets past that: by the forecast, which is for linux-6.1, the kernel halts", run.Output);
        foreach (string claim in (string[])["agrees with", "What is in the way", "What to change", "compared with"])
            Assert.DoesNotContain(claim, run.Output);
    }

    [TestMethod]
    [DataRow("0xf9ffffff", true)]
    [DataRow("0xf8ffffff", false)]
    public void A_guest_that_runs_without_the_hosts_map_is_not_explained_by_it(string end, bool isWithout)
    {
        string log = $"""
            [    2.474667] pcifront pci-0: claiming resource 0000:00:00.0/0
            [    2.474696] pci 0000:00:00.0: can't claim BAR 2 [mem 0xb2100000-0xb2100fff 64bit]: address conflict with System RAM [mem 0x00100000-{end}]
            [    2.474707] pcifront pci-0: Could not claim resource 0000:00:00.0/2! Device offline. Try using e820_host=1 in the guest config.

            """;

        CommandRun run = CommandRun.Of("verify", "--host", CommandRun.Golden("seed8g.log"), "--memory", "4000", "--e820-host", "--dmesg", Written(log));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.AreEqual(isWithout, run.Output.Contains("e820_host was not in force in this boot", StringComparison.Ordinal), run.Output);
        Assert.DoesNotContain("<e820_host", run.Output);
        Assert.AreEqual(!isWithout, run.Output.Contains("under holes of the map", StringComparison.Ordinal));
    }

    /// <summary>The map is maxmem's; how much of it Linux takes depends on what the guest starts with.</summary>
    [TestMethod]
    public void A_guest_without_the_hosts_map_may_have_started_with_more_than_was_told()
    {
        const string log = """
            pcifront pci-0: claiming resource 0000:00:00.0/0
            pci 0000:00:00.0: can't claim BAR 2 [mem 0xb2100000-0xb2100fff 64bit]: address conflict with System RAM [mem 0x00100000-0xf9ffffff]

            """;

        CommandRun run = CommandRun.Of("verify", "--host", CommandRun.Golden("seed8g.log"), "--memory", "300", "--maxmem", "4000M", "--e820-host",
            "--dmesg", Written(log));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("e820_host was not in force in this boot", run.Output);
        Assert.Contains("By the forecast it started with 364 MiB or more", run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
        Assert.DoesNotContain("keyhole compare", run.Output);
    }

    private static CommandRun OfGuest(string log, string type, params string[] options) => CommandRun.Of(
        ["verify", "--host", PathOf("hosts", "dell-xps-8500", "boot.log"), "--memory", "512", "--type", type, "--dmesg", Written(log), .. options]);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
