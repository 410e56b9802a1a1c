// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
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
        ImmutableArray<ByteRange> denied = ByteRanges.Union(DeniedTo(host.Traits).Select(ByteRange.FromFrames));
        ImmutableArray<PfnRange> gaps = GapsOf(sorted);
        var map = ImmutableArray.CreateBuilder<E820Entry>(sorted.Length + denied.Length);
        int next = 0;
        foreach (E820Entry entry in sorted)
        {
            for (; next < gaps.Length && gaps[next].End <= Pfn.Containing(entry.Address); next++)
                AddDenied(map, denied, gaps[next]);
            map.Add(entry);
        }

        for (; next < gaps.Length; next++)
            AddDenied(map, denied, gaps[next]);
        return map.ToImmutable();
    }

    /// <summary>The host on its machine map. Where lines of the firmware's map are lost it is not known whether Xen adds anything there: that stays
    /// lost, unless the source has the map that Xen itself gave.</summary>
    public static Host HostOn(Host host)
    {
        ArgumentNullException.ThrowIfNull(host);
        ImmutableArray<E820Entry> entries = Of(host);
        return !host.MachineEntries.IsEmpty
            ? host with { Entries = entries, LostRanges = [], RamCounted = null, IsMachineMap = true }
            : host with { Entries = Known(entries, host), IsMachineMap = true };
    }

    /// <summary>A machine map without what Xen adds where lines of the firmware's are lost.</summary>
    /// <param name="entries">Of the host's own map: see <see cref="Of"/>.</param>
    internal static ImmutableArray<E820Entry> Known(ImmutableArray<E820Entry> entries, Host host) => host.LostRanges.IsEmpty ? entries :
    [
        .. entries.SelectMany(entry => entry.Wraps || host.LostRanges.All(lost => !lost.Overlaps(entry.Range)) ? [entry]
            : ByteRanges.Subtract([entry.Range], host.LostRanges).Select(part => E820Entry.FromBounds(part.Start, part.End, entry.Type))),
    ];

    /// <summary>The whole pages, up to the last that there can be, in which no entry has a byte.</summary>
    /// <param name="sorted">By address; overlaps do no harm.</param>
    internal static ImmutableArray<PfnRange> GapsOf(ImmutableArray<E820Entry> sorted)
    {
        var gaps = ImmutableArray.CreateBuilder<PfnRange>(sorted.Length + 1);
        foreach (RangePiece piece in new RangeMap<E820Entry>(sorted.AsSpan()).Over(ByteRange.FromBounds(0, Frames.AddressLimit)))
        {
            var pages = PfnRange.FromBounds(Pfn.AtOrAbove(piece.Range.Start), Pfn.Containing(piece.Range.End));
            if (piece.IsGap && !pages.IsEmpty)
                gaps.Add(pages);
        }

        return gaps.ToImmutable();
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

    private static void AddDenied(ImmutableArray<E820Entry>.Builder map, ImmutableArray<ByteRange> denied, PfnRange gap)
    {
        foreach (ByteRange range in denied)
        {
            ByteRange part = range.Intersect(ByteRange.FromFrames(gap));
            if (!part.IsEmpty)
                map.Add(E820Entry.FromBounds(part.Start, part.End, E820Type.Reserved));
        }
    }
}
