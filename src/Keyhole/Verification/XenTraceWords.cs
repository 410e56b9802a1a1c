// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>Says for people where Xen was when it died, as far as its call trace tells.</summary>
/// <remarks>Source: Xen's common/efi/runtime.c and boot.c (parse_efi_param), common/page_alloc.c, arch/x86/hvm/dom0_build.c.</remarks>
internal static class XenTraceWords
{
    private const int MostNames = 3;
    private const string HeapFreer = "free_heap_pages";
    private const string HeapFiller = "init_heap_pages";

    /// <summary>What calls the firmware. Others with "efi" in their name read its tables, or map its memory.</summary>
    private static readonly ImmutableArray<string> s_callsOfFirmware =
        ["efi_get_time", "efi_runtime_call", "efi_compat_runtime_call", "efi_reset_system", "efi_halt_system", "efi_rs_enter", "efi_rs_leave"];

    /// <summary>By whole words of a function's name, what Xen does there. The first function that has them tells. Most of what has "acpi" in its name
    /// (idling, frequencies, sleep) reads no table, "ept" is a part of "intercept", and a Xen that runs in a PVH guest itself has some with
    /// "pvh".</summary>
    private static readonly ImmutableArray<(string Part, string Doing)> s_doings =
    [
        ("iommu", "it was at work on the IOMMU"),
        ("vtd", "it was at work on the IOMMU"),
        ("dmar", "it was reading ACPI's table of the IOMMU"),
        .. s_callsOfFirmware.Select(static name => (name, "it was using the firmware (EFI runtime services)")),
        ("acpi_tb", "it was at work on ACPI's tables"),
        ("acpi_table", "it was at work on ACPI's tables"),
        ("acpi_parse", "it was at work on ACPI's tables"),
        ("acpi_boot", "it was at work on ACPI's tables"),
        ("acpi_numa", "it was at work on ACPI's tables"),
        ("acpi_get_table", "it was at work on ACPI's tables"),
        ("acpi_os_map_memory", "it was at work on ACPI's tables"),
        ("acpi_find_root_pointer", "it was at work on ACPI's tables"),
        ("acpi_initialize_tables", "it was at work on ACPI's tables"),
        ("pvh_setup", "it was building a PVH dom0"),
        ("pvh_populate", "it was building a PVH dom0"),
        ("pvh_load_kernel", "it was building a PVH dom0"),
        ("pvh_steal_ram", "it was building a PVH dom0"),
        ("pvh_add_mem_range", "it was building a PVH dom0"),
        ("pvh_init_p2m", "it was building a PVH dom0"),
        ("dom0_construct_pvh", "it was building a PVH dom0"),
        ("construct_dom0", "it was building dom0"),
        ("dom0_construct", "it was building dom0"),
        ("create_dom0", "it was building dom0"),
        ("microcode", "it was loading microcode"),
        ("io_apic", "it was at work on interrupt controllers"),
        ("ioapic", "it was at work on interrupt controllers"),
        ("alloc_domheap_pages", "it was giving out memory"),
        ("alloc_heap_pages", "it was giving out memory"),
        (HeapFreer, "it was taking memory back"),
        (HeapFiller, "it was setting up its own memory"),
        ("map_pages_to_xen", "it was mapping memory for itself"),
        ("p2m", "it was at work on a domain's memory table"),
        ("ept", "it was at work on a domain's memory table"),
    ];

    private static bool Has(string name, string words)
    {
        for (int at = name.IndexOf(words, StringComparison.Ordinal); at >= 0; at = name.IndexOf(words, at + 1, StringComparison.Ordinal))
        {
            int end = at + words.Length;
            if ((at == 0 || !char.IsAsciiLetterOrDigit(name[at - 1])) && (end == name.Length || !char.IsAsciiLetterOrDigit(name[end])))
                return true;
        }

        return false;
    }

    /// <summary>Begins with a blank; empty where Xen shows nothing of it.</summary>
    public static string Of(BootFailure failure)
    {
        if (failure.Trace is not { } trace)
            return "";
        string text = "";
        if (!trace.Functions.IsEmpty)
        {
            // Xen fills its heap at boot by freeing what is to be in it.
            bool isFilling = trace.Functions.Any(static name => Has(name, HeapFiller));
            string doing = trace.Functions.Where(name => !isFilling || name != HeapFreer).SelectMany(static name =>
                s_doings.Where(known => Has(name, known.Part)).Select(static known => $": {known.Doing}")).FirstOrDefault("");
            text = $" Its call trace names {string.Join(", ", trace.Functions.Take(MostNames))}{doing}.";
        }

        bool isFault = failure.Kind == BootFailureKind.XenDump || failure.Words.Contains("PAGE FAULT", StringComparison.Ordinal);
        if (!isFault || trace.Fault is not { } fault
            || trace.NotMapped.FirstOrDefault(range => range.Contains(fault)) is not { IsEmpty: false } range)
            return text;
        // What the firmware's own code needs Xen does without where it does not call it; what Xen maps for itself it needs all the same.
        string without = trace.Functions.Any(static name => s_callsOfFirmware.Contains(name))
            ? "; or efi=no-rs, with which Xen does without the firmware" : "";
        return $"{text} The address that it could not use, 0x{fault:x}, is memory of the firmware's ({Verifier.Range(range)}) that Xen leaves "
            + $"unmapped because the firmware does not say how to use it (\"Unknown cachability\"). What to change: efi=attr=uc on Xen's command "
            + $"line, which maps it (Xen 4.4.3, 4.5.1 and later){without}.";
    }
}
