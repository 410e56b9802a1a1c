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
    public static ImmutableArray<string> Log(KernelProfile profile, IReadOnlyList<BootEvent> events, in SetupResult result,
        IReadOnlyList<E820Entry> kernelMap, bool is32Bit)
    {
        var lines = ImmutableArray.CreateBuilder<string>();
        // What comes once memory can be allocated is printed behind the map.
        List<string> late = [];
        foreach (BootEvent happened in events)
        {
            bool isLate = happened.Kind is BootEventKind.Remapped or BootEventKind.NonRamRemapped;
            if (Words(profile, happened) is { } words)
                (isLate ? (ICollection<string>)late : lines).Add(words);
        }

        if (result.Halt is HaltReason.None or HaltReason.ReleasesItself or HaltReason.ExtraMemoryMismatch or HaltReason.RemapFailed)
            AddMap(profile, kernelMap, lines);
        lines.AddRange(late);
        if (result.Halt == HaltReason.None)
            AddGap(profile, result.PciGap, kernelMap, is32Bit, lines);
        else if (PanicMessage(result.Halt) is { Length: > 0 } last)
            lines.Add(last);
        return lines.ToImmutable();
    }

    /// <summary>What the kernel says before it stops; empty where it says nothing, null where it does not stop.</summary>
    public static string? PanicMessage(HaltReason reason) => reason == HaltReason.None ? null : Vocabulary.WordsOf(reason);

    /// <summary>An entry of the kernel's map, as that kernel prints it under Xen. 7.x leaves two blanks before the type
    /// (matrix/xen-4.20-linux-7.x).</summary>
    public static string MapLine(KernelProfile profile, E820Entry entry)
    {
        bool isNew = profile.Has(KernelBehaviour.SaysSystemRam);
        string type = LinuxTypeNames.InMap(entry.Type, isNew);
        return profile.Has(KernelBehaviour.SaysMem)
            ? string.Create(CultureInfo.InvariantCulture,
                $"Xen: [mem 0x{entry.Address:x16}-0x{unchecked(entry.End - 1):x16}] {(isNew ? " " : "")}{type}")
            : string.Create(CultureInfo.InvariantCulture, $" Xen: {entry.Address:x16} - {entry.End:x16} ({type})");
    }

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
            $"{name} [mem 0x{bar.Start:x8}-0x{bar.End - 1:x8}{flags}]: {Vocabulary.CannotClaim}; address{Vocabulary.ConflictWith}"
                + $"{LinuxTypeNames.OfResource(entry.Type)} "
                + $"[mem 0x{entry.Address:x8}-0x{entry.End - 1:x8}]");
    }

    private static void AddMap(KernelProfile profile, IReadOnlyList<E820Entry> kernelMap, ImmutableArray<string>.Builder lines)
    {
        lines.Add($"{Prefix(profile)}{Vocabulary.MapTitle}");
        // Linux's own loop: it names a gap where an entry starts behind the end of the one before, whatever overlaps.
        ulong reached = 0;
        for (int i = 0; i < kernelMap.Count; i++)
        {
            E820Entry entry = kernelMap[i];
            if (profile.Has(KernelBehaviour.SaysSystemRam) && i > 0 && entry.Address > reached)
                lines.Add(string.Create(CultureInfo.InvariantCulture, $"Xen: [gap 0x{reached:x16}-0x{entry.Address - 1:x16}]"));
            lines.Add(MapLine(profile, entry));
            reached = entry.End;
        }
    }

    private static string? Words(KernelProfile profile, BootEvent happened)
    {
        PfnRange range = happened.Range;
        // Up to 3.4 there are two spaces here; the commit that became 3.5 has one.
        bool isOld = profile.Displaced == DisplacedPages.Release;
        string freeing = isOld ? $"{Vocabulary.Freeing} " : Vocabulary.Freeing;
        return happened.Kind switch
        {
            BootEventKind.Freed => string.Create(CultureInfo.InvariantCulture,
                $"{freeing}{range.Start.Value:x}-{range.End.Value:x}{Vocabulary.PfnRange}{happened.Count}{Vocabulary.PagesFreed}"),
            BootEventKind.Populated => string.Create(CultureInfo.InvariantCulture,
                $"{Vocabulary.Populating}{range.Start.Value:x}-{range.End.Value:x}{Vocabulary.PfnRange}{happened.Count}{Vocabulary.PagesAdded}"),
            BootEventKind.Released when profile.Displaced != DisplacedPages.Remap =>
                !isOld && happened.Count == 0 ? null
                    : string.Create(CultureInfo.InvariantCulture, $"{Vocabulary.Released}{happened.Count}{Vocabulary.PagesOfUnusedMemory}"),
            BootEventKind.Released => string.Create(CultureInfo.InvariantCulture, $"{Vocabulary.Released}{happened.Count}{Vocabulary.Pages}"),
            BootEventKind.IdentitySet when profile.Has(KernelBehaviour.RemapsByList) => null,
            BootEventKind.IdentitySet => happened.Count == 0 && profile.Displaced == DisplacedPages.ReleaseAndPopulate
                ? null
                : string.Create(CultureInfo.InvariantCulture, $"{Vocabulary.Set}{happened.Count}{Vocabulary.PagesToIdentity}"),
            BootEventKind.NoRangeToRemap => $"{Vocabulary.NoRangeToRemap}, not remapping identity pages",
            BootEventKind.InitrdMoved => string.Create(
                CultureInfo.InvariantCulture,
                $"{Vocabulary.InitrdMoved}[mem {Alternate(happened.From.Start)}-{Alternate(happened.From.End)}] to [mem "
                    + $"{Alternate(happened.To.Start)}-{Alternate(happened.To.End)}]"),
            BootEventKind.P2mListMoved or BootEventKind.NvsMoved => null,
            BootEventKind.RemappedAtOnce =>
                string.Create(CultureInfo.InvariantCulture, $"{Vocabulary.Remapped}{happened.Count}{Vocabulary.Pages}, last_pfn={range.Start.Value}"),
            BootEventKind.Remapped => string.Create(CultureInfo.InvariantCulture, $"{Vocabulary.Remapped}{happened.Count}{Vocabulary.Pages}"),
            BootEventKind.NonRamRemapped => string.Create(
                CultureInfo.InvariantCulture, $"{Vocabulary.Remapped}{happened.Count}{Vocabulary.NonRamPages}"),
            BootEventKind.NotEnoughExtraRegions => "Warning: not enough extra memory regions",
            BootEventKind.EntryIgnored => string.Create(
                CultureInfo.InvariantCulture,
                $"{(profile.Has(KernelBehaviour.SaysSystemRam) ? "E820 table full" : $"{Prefix(profile)}too many entries")}; ignoring [mem "
                    + $"{Alternate(happened.From.Start)}-{Alternate(unchecked(happened.From.End - 1))}]"),
        };
    }

    /// <summary>C's %#010llx: ten characters at least, 0x among them; nothing but zeros for zero.</summary>
    private static string Alternate(ulong value) => value == 0 ? "0000000000" : string.Create(CultureInfo.InvariantCulture, $"0x{value:x8}");

    /// <summary>Where the kernel found no gap it takes one of the smallest size behind its memory (64-bit), or at 256 MiB (32-bit, and says nothing
    /// of it).</summary>
    private static void AddGap(KernelProfile profile, ByteRange gap, IReadOnlyList<E820Entry> kernelMap, bool is32Bit,
        ImmutableArray<string>.Builder lines)
    {
        const ulong startIn32Bit = 256UL << 20;
        if (gap.IsEmpty && !is32Bit)
        {
            lines.AddRange(profile.Has(KernelBehaviour.SaysAvailableGap)
                ? [$"{Prefix(profile)}{Vocabulary.NoGap}",
                    $"{Prefix(profile)}PCI devices with unassigned 32-bit BARs may not work!"]
                : profile.Has(KernelBehaviour.SaysMem)
                    ? [$"{Vocabulary.E820}{Vocabulary.NoGapBefore412}", "e820: PCI devices with unassigned 32bit BARs may break!"]
                    : (string[])[Vocabulary.NoGapBefore35,
                        "PCI: Unassigned devices with 32bit resource registers may break!"]);
        }

        if (gap.IsEmpty)
            gap = ByteRange.FromSize(is32Bit ? startIn32Bit : EndOfRam(kernelMap) + X86Layout.OneMiB, X86Layout.SmallestPciGapBytes);
        string start = Alternate(gap.Start);
        string last = Alternate(gap.End - 1);
        lines.Add(profile.Has(KernelBehaviour.SaysMem)
            ? $"{Prefix(profile)}[{(profile.Has(KernelBehaviour.SaysSystemRam) ? "gap" : "mem")} {start}-{last}]{Vocabulary.AvailableForPci}"
            : string.Create(CultureInfo.InvariantCulture,
                $"Allocating PCI resources starting at {gap.Start:x} {Vocabulary.OldGapOpening}{gap.Start:x}:{gap.SizeBytes:x})"));
    }

    private static string Prefix(KernelProfile profile) => profile.Has(KernelBehaviour.SaysMem) && !profile.Has(KernelBehaviour.SaysNoPrefix)
        ? Vocabulary.E820 : "";

    /// <summary>Linux's max_pfn as an address: the end of the last whole page of RAM below 64 TiB, which is all that four levels of page tables
    /// map.</summary>
    private static ulong EndOfRam(IReadOnlyList<E820Entry> kernelMap)
    {
        const ulong limit = X86Layout.LinuxMemoryLimit;
        ulong end = 0;
        foreach (E820Entry entry in kernelMap)
        {
            if (entry.IsRam && entry.Address < limit)
                end = Math.Max(end, entry.Wraps ? limit : Math.Min(entry.End, limit));
        }

        return Pfn.Containing(end).ToAddress();
    }
}
