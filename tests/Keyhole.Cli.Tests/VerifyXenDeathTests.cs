// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What Xen shows of itself where it dies, as <c>keyhole verify</c> tells it. Excerpts of our own, made after public reports.</summary>
[TestClass]
public sealed class VerifyXenDeathTests
{
    private const string Host = """
        (XEN) Xen version 4.14.0 (a@b) debug=n
        (XEN) Command line: dom0_mem=1024M,max:1024M
        (XEN) EFI RAM map:
        (XEN)  [0000000000000000, 000000000009ffff] (usable)
        (XEN)  [0000000000100000, 00000000775dffff] (usable)
        (XEN)  [00000000775e0000, 00000000775fffff] (reserved)
        (XEN)  [00000000ff900000, 00000000ffffffff] (reserved)
        (XEN) System RAM: 1909MB (1955712kB)

        """;

    private const string Unmapped = "(XEN) Unknown cachability for MFNs 0xff900-0xfffff\n";

    private const string Dump = """
        (XEN) ----[ Xen-4.14.0  x86_64  debug=n   Not tainted ]----
        (XEN) CPU:    0
        (XEN) RIP:    e008:[<00000000775e0d21>] 00000000775e0d21
        (XEN) RFLAGS: 0000000000010046   CONTEXT: hypervisor
        (XEN) cr3: 00000000711d1000   cr2: 00000000ff900020
        (XEN) Xen call trace:
        (XEN)    [<00000000775e0d21>] R 00000000775e0d21
        (XEN)    [<ffff82d04036e81f>] S common_interrupt+0x8f/0x120
        (XEN)    [<ffff82d0402014cb>] S efi_get_time+0x6b/0xb0

        """;

    [TestMethod]
    public void A_dump_of_Xens_registers_behind_which_nothing_follows_is_its_end_and_says_where_it_was()
    {
        string text = Verify(Host + Unmapped + Dump);

        Assert.Contains("Xen shows its own registers, and nothing follows", text);
        Assert.Contains("the words of its panic are not in the log", text);
        Assert.Contains("Its call trace names common_interrupt, efi_get_time: it was using the firmware (EFI runtime services).", text);
        Assert.Contains("What to change: efi=attr=uc on Xen's command line", text);
    }

    [TestMethod]
    public void A_warning_that_Xen_survived_is_no_part_of_its_death()
    {
        const string warning = """
            (XEN) Xen WARN at mm.c:5627
            (XEN) ----[ Xen-4.14.0  x86_64  debug=n   Not tainted ]----
            (XEN) CPU:    0
            (XEN) RIP:    e008:[<ffff82d08028e3d0>] ioremap+0xc0/0xd0
            (XEN) RFLAGS: 0000000000010002   CONTEXT: hypervisor
            (XEN) cr3: 000000007a244000   cr2: 0000000000000000
            (XEN) Xen call trace:
            (XEN)    [<ffff82d08028e3d0>] R ioremap+0xc0/0xd0
            (XEN)    [<ffff82d0803d9682>] S vesa_init+0x62/0x200
            (XEN) vesafb: mode is 1360x768x32, linelength=5440, font 8x14

            """;

        string text = Verify(Host + warning + Dump);

        Assert.Contains("Its call trace names common_interrupt, efi_get_time", text);
        Assert.DoesNotContain("ioremap", text);
    }

    [TestMethod]
    [DataRow("(XEN) Unknown cachability for MFNs 0xff900-0xfffff, assuming UC\n")]
    [DataRow("(XEN) Unknown cachability for MFNs 0xff800-0xff8ff\n")]
    [DataRow("")]
    public void An_address_that_Xen_has_mapped_is_not_blamed(string line)
    {
        string text = Verify(Host + line + Dump);

        Assert.Contains("efi_get_time", text);
        Assert.DoesNotContain("efi=attr", text);
    }

    [TestMethod]
    [DataRow("(XEN) Xen WARN at arch/x86/apic.c:124\n", "")]
    [DataRow("(XEN) *** Dumping CPU0 host state: ***\n", "")]
    [DataRow("", "(XEN) *** Building a PV Dom0 ***\n")]
    [DataRow("", "[    0.000000] Linux version 6.1.90 (a@b) #1 SMP\n[    0.000000] Released 0 page(s)\n")]
    public void A_dump_after_which_Xen_goes_on_is_no_end(string before, string behind)
    {
        string text = Verify(Host + before + Dump + behind);

        Assert.DoesNotContain("shows its own registers", text);
        Assert.DoesNotContain("call trace", text);
    }

    [TestMethod]
    [DataRow("(XEN)    [<ffff82d0403a5ef8>] R amd_iommu_prepare+0x288/0x390\n(XEN)    [<ffff82d0403aa3fc>] S iommu_setup+0x3c/0x230\n",
        "names amd_iommu_prepare, iommu_setup: it was at work on the IOMMU.")]
    [DataRow("(XEN)    [<ffff82c480144b2e>] vpci_get_slot+0xe/0x20\n", "names vpci_get_slot.")]
    [DataRow("(XEN)    [<ffff82c480144b2e>] svm_intercept_msr+0xe/0x20\n", "names svm_intercept_msr.")]
    [DataRow("(XEN)    [<ffff82c480144b2e>] acpi_processor_idle+0xe/0x20\n", "names acpi_processor_idle.")]
    [DataRow("(XEN)    [<ffff82c480144b2e>] acpi_parse_madt+0xe/0x20\n", "names acpi_parse_madt: it was at work on ACPI's tables.")]
    [DataRow("(XEN)    [<ffff82c480144b2e>] ept_set_entry+0xe/0x20\n", "names ept_set_entry: it was at work on a domain's memory table.")]
    [DataRow("(XEN) [    8.234107]    [<ffff82d040309bd6>] R arch/x86/mm/p2m-pt.c#p2m_pt_set_entry+0xc1/0x961\n",
        "names p2m_pt_set_entry: it was at work on a domain's memory table.")]
    public void The_functions_of_a_call_trace_above_a_panic_are_told(string trace, string expected)
    {
        string text = Verify($"{Host}(XEN) Xen call trace:\n{trace}(XEN) \n(XEN) ****************************************\n(XEN) Panic on CPU 0:\n"
            + "(XEN) Xen BUG at drivers/passthrough/amd/iommu_init.c:1386\n(XEN) ****************************************\n");

        Assert.Contains("Xen itself dies (line ", text);
        Assert.Contains(expected, text);
    }

    [TestMethod]
    [DataRow("(XEN) Xen BUG at drivers/passthrough/amd/iommu_init.c:1386\n", "Xen BUG at drivers/passthrough/amd/iommu_init.c:1386")]
    [DataRow("(XEN) FATAL TRAP: vector = 14 (page fault)\n(XEN) [error_code=0000] , IN INTERRUPT CONTEXT\n",
        "FATAL TRAP: vector = 14 (page fault)")]
    [DataRow("(XEN) [    3.123456] FATAL PAGE FAULT\n", "FATAL PAGE FAULT")]
    [DataRow("(XEN) FATAL TRAP: vec 6, #UD[0000]\n(XEN) Xen version 4.14.0 (a@b) debug=n\n", "FATAL TRAP: vec 6, #UD[0000]")]
    public void The_words_of_a_panic_without_its_frame_are_Xens_death(string lines, string words)
    {
        string text = Verify(Host + lines);

        Assert.Contains($"Xen itself dies (line 9: \"{words}\")", text);
    }

    [TestMethod]
    public void The_words_before_a_dump_are_the_reason_where_the_panic_is_not_in_the_log()
    {
        string text = Verify(Host + "(XEN) Xen BUG at arch/x86/efi/runtime.c:12\n" + Dump);

        Assert.Contains("Xen itself dies (line 9: \"Xen BUG at arch/x86/efi/runtime.c:12\")", text);
        Assert.Contains("Its call trace names common_interrupt, efi_get_time", text);
    }

    /// <summary>A guest's end shows no code of Xen's.</summary>
    [TestMethod]
    public void What_an_earlier_dump_showed_is_not_told_of_a_later_panic()
    {
        string text = Verify($"{Host}{Dump}(XEN) *** Building a PV Dom0 ***\n(XEN) Panic on CPU 0:\n(XEN) Could not construct d0\n");

        Assert.Contains("Could not construct d0", text);
        Assert.DoesNotContain("efi_get_time", text);
    }

    private static string Verify(string log)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, log);
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", path);
        Assert.IsLessThan(3, run.Status);
        return (run.Output + run.Errors).Replace("\n  ", " ", StringComparison.Ordinal);
    }
}
