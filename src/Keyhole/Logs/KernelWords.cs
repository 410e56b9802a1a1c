// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Pci;
using Keyhole.PvGuest;

namespace Keyhole.Logs;

/// <summary>What happens during a memory setup, in the words of the kernel that it happens to.</summary>
internal static class KernelWords
{
    /// <summary>The lines of a boot as that kernel prints them, without time stamps.</summary>
    public static ImmutableArray<string> Log(KernelVersion version, IReadOnlyList<BootEvent> events, in SetupResult result, IReadOnlyList<E820Entry> kernelMap, bool is32Bit)
    {
        var lines = ImmutableArray.CreateBuilder<string>();
        // What comes once memory can be allocated is printed behind the map.
        List<string> late = [];
        foreach (BootEvent happened in events)
        {
            bool isLate = happened.Kind is BootEventKind.Remapped or BootEventKind.NonRamRemapped;
            if (Words(version, happened) is { } words)
                (isLate ? (ICollection<string>)late : lines).Add(words);
        }

        if (result.Halt is HaltReason.None or HaltReason.ReleasesItself or HaltReason.ExtraMemoryMismatch or HaltReason.RemapFailed)
            AddMap(version, kernelMap, lines);
        lines.AddRange(late);
        if (result.Halt == HaltReason.None)
            AddGap(version, result.PciGap, kernelMap, is32Bit, lines);
        else if (LastWords(version, result.Halt) is { Length: > 0 } last)
            lines.Add(last);
        return lines.ToImmutable();
    }

    /// <summary>What the kernel says before it stops; empty where it says nothing, null where it does not stop.</summary>
    public static string? LastWords(KernelVersion version, HaltReason reason) => reason switch
    {
        HaltReason.None => null,
        HaltReason.KernelConflict => "Xen hypervisor allocated kernel memory conflicts with E820 map",
        HaltReason.StartInfoConflict => "Xen hypervisor allocated xen_start_info memory conflicts with E820 map",
        HaltReason.PageTableConflict when version == KernelVersion.Linux72 => "Xen hypervisor allocated page table memory conflicts with E820 map",
        HaltReason.PageTableConflict => "Xen hypervisor allocated page table conflicts with E820 map",
        HaltReason.NoRoomForNvs => "No suitable area found for required E820 entry remapping action",
        HaltReason.TooManyNvs => "Number of required E820 entry remapping actions exceed maximum value",
        HaltReason.P2mListConflict => "Xen hypervisor allocated p2m list conflicts with E820 map",
        HaltReason.NoRoomForP2mList => "Can't find new memory area for p2m needed due to E820 map conflict",
        HaltReason.NoRoomForInitrd => "Can't find new memory area for initrd needed due to E820 map conflict",
        HaltReason.NoMemoryMap or HaltReason.ExtraMemoryMismatch or HaltReason.RemapFailed or HaltReason.ReleasesItself or HaltReason.TooManyPieces
            or HaltReason.CallbacksRefused => "",
    };

    /// <summary>An entry of the kernel's map, as that kernel prints it under Xen.</summary>
    public static string MapLine(KernelVersion version, E820Entry entry) => version <= KernelVersion.Linux34
        ? string.Create(CultureInfo.InvariantCulture, $" Xen: {entry.Address:x16} - {entry.End:x16} ({TypeName(version, entry.Type)})")
        : string.Create(CultureInfo.InvariantCulture, $"Xen: [mem 0x{entry.Address:x16}-0x{entry.End - 1:x16}] {TypeName(version, entry.Type)}");

    /// <summary>"BAR 0 [mem 0xfebc0000-0xfebdffff]: can't claim; address conflict with Unusable memory [mem …]" (golden/passthrough).</summary>
    public static string CannotClaim(Bar bar, E820Entry entry)
    {
        string name = bar.Kind switch
        {
            BarKind.Memory => string.Create(CultureInfo.InvariantCulture, $"BAR {bar.Index}"),
            BarKind.Rom => "ROM",
            BarKind.VirtualFunction => string.Create(CultureInfo.InvariantCulture, $"VF BAR {bar.Index - Bar.FirstVirtualFunctionIndex}"),
            BarKind.BridgeWindow => "bridge window",
        };
        string flags = (bar.Is64Bit ? " 64bit" : "") + (bar.IsPrefetchable || bar.Kind == BarKind.Rom ? " pref" : "");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{name} [mem 0x{bar.Start:x8}-0x{bar.End - 1:x8}{flags}]: can't claim; address conflict with {ResourceName(entry.Type)} [mem 0x{entry.Address:x8}-0x{entry.End - 1:x8}]");
    }

    /// <summary>Linux's name of a type as its resources have it ("can't claim; address conflict with …").</summary>
    public static string ResourceName(E820Type type) => (uint)type switch
    {
        (uint)E820Type.Ram => "System RAM",
        (uint)E820Type.Acpi => "ACPI Tables",
        (uint)E820Type.Nvs => "ACPI Non-volatile Storage",
        (uint)E820Type.Unusable => "Unusable memory",
        (uint)E820Type.PersistentMemory => "Persistent Memory",
        (uint)E820Type.Pram => "Persistent Memory (legacy)",
        _ => "Reserved",
    };

    private static void AddMap(KernelVersion version, IReadOnlyList<E820Entry> kernelMap, ImmutableArray<string>.Builder lines)
    {
        lines.Add(version switch
        {
            KernelVersion.Linux33 or KernelVersion.Linux34 => "BIOS-provided physical RAM map:",
            KernelVersion.Linux43 or KernelVersion.Linux44 => "e820: BIOS-provided physical RAM map:",
            KernelVersion.Linux61 or KernelVersion.Linux66 or KernelVersion.Linux72 => "BIOS-provided physical RAM map:",
        });
        ulong reached = 0;
        for (int i = 0; i < kernelMap.Count; i++)
        {
            E820Entry entry = kernelMap[i];
            if (version == KernelVersion.Linux72 && i > 0 && entry.Address > reached)
                lines.Add(string.Create(CultureInfo.InvariantCulture, $"Xen: [gap 0x{reached:x16}-0x{entry.Address - 1:x16}]"));
            lines.Add(MapLine(version, entry));
            reached = entry.End;
        }
    }

    private static string TypeName(KernelVersion version, E820Type type)
    {
        bool isNew = version == KernelVersion.Linux72;
        return (uint)type switch
        {
            (uint)E820Type.Ram => isNew ? "System RAM" : "usable",
            (uint)E820Type.Reserved => isNew ? "device reserved" : "reserved",
            (uint)E820Type.Acpi => "ACPI data",
            (uint)E820Type.Nvs => "ACPI NVS",
            (uint)E820Type.Unusable => "unusable",
            (uint)E820Type.PersistentMemory or (uint)E820Type.Pram => string.Create(CultureInfo.InvariantCulture, $"persistent (type {(uint)type})"),
            uint number => string.Create(CultureInfo.InvariantCulture, $"type {number}"),
        };
    }

    private static string? Words(KernelVersion version, BootEvent happened)
    {
        PfnRange range = happened.Range;
        // 3.3 has two spaces here; the commit that became 3.4 has one.
        string freeing = version == KernelVersion.Linux33 ? "Freeing  " : "Freeing ";
        return happened.Kind switch
        {
            BootEventKind.Freed => string.Create(CultureInfo.InvariantCulture, $"{freeing}{range.Start.Value:x}-{range.End.Value:x} pfn range: {happened.Count} pages freed"),
            BootEventKind.Populated => string.Create(CultureInfo.InvariantCulture, $"Populating {range.Start.Value:x}-{range.End.Value:x} pfn range: {happened.Count} pages added"),
            BootEventKind.Released when version <= KernelVersion.Linux34 =>
                version == KernelVersion.Linux34 && happened.Count == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"Released {happened.Count} pages of unused memory"),
            BootEventKind.Released => string.Create(CultureInfo.InvariantCulture, $"Released {happened.Count} page(s)"),
            BootEventKind.IdentitySet => happened.Count == 0 && version == KernelVersion.Linux34
                ? null
                : string.Create(CultureInfo.InvariantCulture, $"Set {happened.Count} page(s) to 1-1 mapping"),
            BootEventKind.NoRangeToRemap => "Unable to find available pfn range, not remapping identity pages",
            BootEventKind.InitrdMoved => string.Create(
                CultureInfo.InvariantCulture,
                $"initrd moved from [mem {Alternate(happened.From.Start)}-{Alternate(happened.From.End)}] to [mem {Alternate(happened.To.Start)}-{Alternate(happened.To.End)}]"),
            BootEventKind.P2mListMoved or BootEventKind.NvsMoved => null,
            BootEventKind.Remapped => string.Create(CultureInfo.InvariantCulture, $"Remapped {happened.Count} page(s)"),
            BootEventKind.NonRamRemapped => string.Create(CultureInfo.InvariantCulture, $"Remapped {happened.Count} non-RAM page(s)"),
            BootEventKind.NotEnoughExtraRegions => "Warning: not enough extra memory regions",
        };
    }

    /// <summary>C's %#010llx: ten characters at least, 0x among them; nothing but zeros for zero.</summary>
    private static string Alternate(ulong value) => value == 0 ? "0000000000" : string.Create(CultureInfo.InvariantCulture, $"0x{value:x8}");

    /// <summary>Where the kernel found no gap it takes one of the smallest size behind its memory (64-bit), or at 256 MiB (32-bit, without a word on it).</summary>
    private static void AddGap(KernelVersion version, ByteRange gap, IReadOnlyList<E820Entry> kernelMap, bool is32Bit, ImmutableArray<string>.Builder lines)
    {
        const ulong smallestGapBytes = 4UL << 20;
        const ulong startIn32Bit = 256UL << 20;
        const ulong oneMiB = 1UL << 20;
        if (gap.IsEmpty && !is32Bit)
        {
            lines.AddRange(version switch
            {
                KernelVersion.Linux33 or KernelVersion.Linux34 =>
                    ["PCI: Warning: Cannot find a gap in the 32bit address range", "PCI: Unassigned devices with 32bit resource registers may break!"],
                KernelVersion.Linux43 or KernelVersion.Linux44 =>
                    ["e820: cannot find a gap in the 32bit address range", "e820: PCI devices with unassigned 32bit BARs may break!"],
                KernelVersion.Linux61 or KernelVersion.Linux66 or KernelVersion.Linux72 =>
                    (string[])["Cannot find an available gap in the 32-bit address range", "PCI devices with unassigned 32-bit BARs may not work!"],
            });
        }

        if (gap.IsEmpty)
            gap = ByteRange.FromSize(is32Bit ? startIn32Bit : EndOfRam(kernelMap) + oneMiB, smallestGapBytes);
        string start = Alternate(gap.Start);
        string last = Alternate(gap.End - 1);
        lines.Add(version switch
        {
            KernelVersion.Linux33 or KernelVersion.Linux34 =>
                string.Create(CultureInfo.InvariantCulture, $"Allocating PCI resources starting at {gap.Start:x} (gap: {gap.Start:x}:{gap.SizeBytes:x})"),
            KernelVersion.Linux43 or KernelVersion.Linux44 => $"e820: [mem {start}-{last}] available for PCI devices",
            KernelVersion.Linux61 or KernelVersion.Linux66 => $"[mem {start}-{last}] available for PCI devices",
            KernelVersion.Linux72 => $"[gap {start}-{last}] available for PCI devices",
        });
    }

    /// <summary>Linux's max_pfn as an address: the end of the last whole page of RAM below 64 TiB, which is all that four levels of page tables map.</summary>
    private static ulong EndOfRam(IReadOnlyList<E820Entry> kernelMap)
    {
        const ulong limit = 1UL << 46;
        ulong end = 0;
        foreach (E820Entry entry in kernelMap)
        {
            if (entry.IsRam && entry.Address < limit)
                end = Math.Max(end, entry.Wraps ? limit : Math.Min(entry.End, limit));
        }

        return Pfn.Containing(end).ToAddress();
    }
}
