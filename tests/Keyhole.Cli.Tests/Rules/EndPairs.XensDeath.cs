// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.CompilerServices;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Xen's own death, and what its call trace tells.</summary>
internal static partial class EndPairs
{
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

    private const string PageFault = "(XEN) Pagetable walk from 00000000ff900020:\n(XEN) Panic on CPU 0:\n(XEN) FATAL PAGE FAULT\n";

    private const string Bug = "(XEN) Panic on CPU 0:\n(XEN) Xen BUG at drivers/passthrough/amd/iommu_init.c:1386\n";

    private const string NotUsable = "The address that it could not use, 0xff900020, is memory of the firmware's ([0xff900000, 0x100000000)) that "
        + "Xen leaves unmapped because the firmware does not say how to use it (\"Unknown cachability\"). What to change: efi=attr=uc";

    private static RulePair[] OfXensDeath =>
    [
        RulePair.Of("Xen shows its own registers (line 13), as where it dies; the words of its panic are not in the log", "Xen goes on",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump + "(XEN) *** Building a PV Dom0 ***\n")),
        RulePair.Of("shows its own registers", "Xen says before the registers that it only warns",
            static () => EndInputs.Dom0(EndInputs.XensStart + Dump),
            static () => EndInputs.Dom0(EndInputs.XensStart + "(XEN) Xen WARN at arch/x86/apic.c:124\n" + Dump)),
        RulePair.Of("the words of its panic are not in the log", "they are",
            static () => EndInputs.Dom0(EndInputs.XensStart + Dump),
            static () => EndInputs.Dom0(EndInputs.XensStart + Dump + PageFault)),
        RulePair.Of("and no line of dom0's kernel on its memory stands before that in the log: there is nothing of it to compare.", "one does",
            static () => EndInputs.Dom0(EndInputs.XensStart + Bug),
            static () => EndInputs.Dom0(EndInputs.XensStart + "[    0.000000] Linux version 6.1.90 (a@b) #1 SMP\n"
                + "[    0.000000] Released 0 page(s)\n" + Bug)),
        RulePair.Of("no line of dom0's kernel on its memory stands before that", "Xen says that dom0 had crashed",
            static () => EndInputs.Dom0(EndInputs.XensStart + Bug),
            static () => EndInputs.Dom0(EndInputs.XensStart + "(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\n" + Bug)),
        RulePair.Of("Before that Xen says \"Unable to allocate memory with order 0!\": memory has a part in it.", "its words are of a file",
            static () => EndInputs.Dom0(EndInputs.XensStart + "(XEN) Unable to allocate memory with order 0!\n" + NotBuilt),
            static () => EndInputs.Dom0(EndInputs.XensStart + "(XEN) Failed to load Dom0 kernel\n" + NotBuilt)),
        RulePair.Of(NotUsable, "the address lies behind that memory",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped.With("0xfffff", "0xff8ff").With("0xff900", "0xff800") + Dump)),
        RulePair.Of(NotUsable, "Xen maps that memory (efi=attr=uc is on)",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump + PageFault),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped.With("fffff\n", "fffff, assuming UC\n") + Dump + PageFault)),
        RulePair.Of(NotUsable, "Xen died of a check of its own, of which the address is none",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump + PageFault),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump + Bug)),
        RulePair.Of(NotUsable, "the words above the registers tell of a check of its own, and the log is cut behind them",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + "(XEN) Xen BUG at common/efi/runtime.c:98\n" + Dump)),
        RulePair.Of(NotUsable, "the words above the registers are an assertion's, and the log is cut behind them",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped
                + "(XEN) Assertion 'spin_is_locked(&efi_rs_lock)' failed at common/efi/runtime.c:98\n" + Dump)),
        RulePair.Of("; or efi=no-rs, with which Xen does without the firmware", "it was Xen's own code, not the firmware's",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump + PageFault),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump.With("efi_get_time", "acpi_tb_checksum") + PageFault)),
        RulePair.Of("; or efi=no-rs", "it was mapping the firmware's memory",
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump + PageFault),
            static () => EndInputs.Dom0(EndInputs.XensStart + Unmapped + Dump.With("efi_get_time", "efi_init_memory") + PageFault)),
    ];

    private const string NotBuilt = "(XEN) Panic on CPU 0:\n(XEN) Could not construct domain 0\n";

    /// <summary>The innermost function that is known tells; a part of a word of its name does not.</summary>
    private static RulePair[] OfXensTrace =>
    [
        Doing("it was at work on the IOMMU", "amd_iommu_prepare setup", "alloc_heap_pages amd_iommu_prepare"),
        Doing("it was at work on the IOMMU", "init_vtd_hw", "vpci_get_slot"),
        Doing("it was reading ACPI's table of the IOMMU", "acpi_parse_dmar acpi_table_parse", "acpi_parse_madt acpi_table_parse"),
        Doing("it was using the firmware (EFI runtime services)", "efi_get_time", "efi_init_memory"),
        Doing("it was using the firmware (EFI runtime services)", "efi_runtime_call", "efi_boot_mem_unused"),
        Doing("it was at work on ACPI's tables", "acpi_parse_madt", "acpi_processor_idle"),
        Doing("it was at work on ACPI's tables", "acpi_tb_checksum", "acpi_enter_sleep"),
        Doing("it was building a PVH dom0", "pvh_populate_p2m dom0_construct_pvh", "pvh_print_info"),
        Doing("it was building a PVH dom0", "dom0_construct_pvh", "dom0_construct_pv"),
        Doing("it was building dom0", "construct_dom0", "setup_dom0_cpus"),
        Doing("it was loading microcode", "microcode_update_cpu", "alloc_heap_pages early_microcode_init"),
        Doing("it was at work on interrupt controllers", "ioapic_guest_write", "apic_timer_interrupt"),
        Doing("it was giving out memory", "alloc_heap_pages alloc_domheap_pages", "free_heap_pages free_domheap_pages"),
        Doing("it was taking memory back", "free_heap_pages free_domheap_pages", "free_heap_pages init_heap_pages"),
        Doing("it was setting up its own memory", "free_heap_pages init_heap_pages end_boot_allocator", "free_heap_pages free_domheap_pages"),
        Doing("it was mapping memory for itself", "map_pages_to_xen", "map_domain_page"),
        Doing("it was at work on a domain's memory table", "ept_set_entry", "svm_intercept_msr"),
        Doing("it was at work on a domain's memory table", "p2m_pt_set_entry", "hvm_map_guest_frame_rw"),
    ];

    private static RulePair Doing(string rule, string said, string silent, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        RulePair.Of(rule, $"it was in {silent}", () => Traced(said), () => Traced(silent), file, line);

    private static CommandRun Traced(string functions)
    {
        string trace = "";
        foreach (string name in functions.Split(' '))
            trace += $"(XEN)    [<ffff82d0403a5ef8>] R {name}+0x288/0x390\n";
        return EndInputs.Dom0($"{EndInputs.XensStart}(XEN) Xen call trace:\n{trace}(XEN) \n{Bug}");
    }
}
