// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Hosts;

/// <summary>
/// The map that Xen hands to dom0 (<c>XENMEM_machine_memory_map</c>), and so the one that libxl starts from: the firmware's, and RESERVED
/// for what lies in its gaps and dom0 may not map.
/// </summary>
/// <remarks>
/// Xen reports the pages that dom0's I/O memory permissions lack, whole pages, and only in gaps between the firmware's entries or before a
/// permitted page behind the last one. Hence the AMD HyperTransport range shows only where it does not end the address space: the golden
/// records of an AMD processor with 40 address bits have none.
/// </remarks>
public static class MachineMap
{
    private const int HyperTransportTopBits = 40;
    private const int FirstZenFamily = 0x17;

    /// <summary>Entries of the machine map, sorted as Xen keeps them.</summary>
    public static ImmutableArray<E820Entry> Of(Host host)
    {
        ArgumentNullException.ThrowIfNull(host);
        if (!host.MachineEntries.IsEmpty)
            return host.MachineEntries;
        ImmutableArray<E820Entry> entries = host.Entries;
        if (host.IsMachineMap)
            return entries;
        ImmutableArray<E820Entry> sorted = entries.Sort(static (left, right) => left.Address.CompareTo(right.Address));
        IReadOnlyList<PfnRange> denied = Merge(DeniedTo(host.Traits));
        var map = ImmutableArray.CreateBuilder<E820Entry>(sorted.Length + denied.Count);
        Pfn gapStart = default;
        foreach (E820Entry entry in sorted)
        {
            AddDenied(map, denied, PfnRange.FromBounds(gapStart, Pfn.Containing(entry.Address)));
            map.Add(entry);
            Pfn behind = Pfn.AtOrAbove(entry.End);
            if (behind > gapStart)
                gapStart = behind;
        }

        AddDenied(map, denied, PfnRange.FromBounds(gapStart, new Pfn(Frames.MaxCount)));
        return map.ToImmutable();
    }

    private static List<PfnRange> DeniedTo(HostTraits traits)
    {
        // Xen 4.2 to 4.19 keeps the whole window of interrupt messages, others the APIC's own page; HyperTransport's range is kept since 4.2.
        bool isOld = traits.XenVersion is { } version && version.IsUpTo(4, 1);
        bool isNew = traits.XenVersion is { } other && !other.IsUpTo(4, 19);
        List<PfnRange> denied = [isOld || isNew ? Page(X86Layout.LocalApicStart) : Bytes(X86Layout.LocalApicStart, X86Layout.LocalApicEnd)];
        foreach (ulong address in traits.IoApics.IsEmpty ? [X86Layout.UsualIoApic] : traits.IoApics)
            denied.Add(Page(address));
        foreach (ulong address in traits.Iommus)
            denied.Add(Page(address));
        if (traits.ProtectedHpet is { } hpet)
            denied.Add(Page(hpet));
        denied.AddRange(traits.OtherDenied);
        denied.AddRange(traits.ReservedInDom0);
        if (!isOld && ReportsHyperTransport(traits))
            denied.Add(Bytes(X86Layout.HyperTransportStart, X86Layout.HyperTransportEnd));
        return denied;
    }

    /// <summary>Since family 0x17 the range ends the address space, and Xen reports no denied pages that nothing permitted follows.</summary>
    private static bool ReportsHyperTransport(HostTraits traits) =>
        traits.CpuVendor is "AuthenticAMD" or "HygonGenuine"
        && traits.CpuFamily is not >= FirstZenFamily
        && (traits.PhysicalAddressBits ?? (traits.CpuFamily >= 0x10 ? 48 : HyperTransportTopBits)) > HyperTransportTopBits;

    private static PfnRange Page(ulong address) => PfnRange.FromCount(Pfn.Containing(address), 1);

    private static PfnRange Bytes(ulong start, ulong end) => PfnRange.FromBounds(Pfn.Containing(start), Pfn.AtOrAbove(end));

    private static List<PfnRange> Merge(List<PfnRange> ranges)
    {
        ranges.Sort(static (left, right) => left.Start.CompareTo(right.Start));
        List<PfnRange> merged = [];
        foreach (PfnRange range in ranges)
        {
            if (merged.Count > 0 && range.Start <= merged[^1].End)
                merged[^1] = PfnRange.FromBounds(merged[^1].Start, range.End > merged[^1].End ? range.End : merged[^1].End);
            else
                merged.Add(range);
        }

        return merged;
    }

    private static void AddDenied(ImmutableArray<E820Entry>.Builder map, IReadOnlyList<PfnRange> denied, PfnRange gap)
    {
        foreach (PfnRange range in denied)
        {
            PfnRange part = range.Intersect(gap);
            if (!part.IsEmpty)
                map.Add(E820Entry.FromBounds(part.Start.ToAddress(), part.End.ToAddress(), E820Type.Reserved));
        }
    }
}
