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
/// records of an AMD processor with 40 address bits have none. What is denied by release: xen/arch/x86/domain_build.c (dom0_build.c since 4.9) of
/// each tag from 4.0.0 to 4.21.2.
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
        List<PfnRange> denied =
        [
            KeepsMessageWindow(traits.XenVersion) ? Bytes(X86Layout.LocalApicStart, X86Layout.LocalApicEnd) : Page(X86Layout.LocalApicStart),
        ];
        foreach (ulong address in traits.IoApics.IsEmpty ? [X86Layout.UsualIoApic] : traits.IoApics)
            denied.Add(Page(address));
        foreach (ulong address in traits.Iommus)
            denied.Add(Page(address));
        if (traits.ProtectedHpet is { } hpet)
            denied.Add(Page(hpet));
        denied.AddRange(traits.OtherDenied);
        denied.AddRange(traits.ReservedInDom0);
        if (ReportsHyperTransport(traits))
            denied.Add(Bytes(X86Layout.HyperTransportStart, X86Layout.HyperTransportEnd));
        return denied;
    }

    /// <summary>Whether dom0 may not map the whole window of interrupt messages ("MSI range"), or the APIC's own page alone. Where the stable
    /// release is not known, what most of them do.</summary>
    private static bool KeepsMessageWindow(XenVersion? xen) => xen is not { } version || (version.Major, version.Minor) switch
    {
        (4, 2) => version.Patch is null or >= 4,
        (4, 3) => version.Patch is not 0,
        (4, >= 4 and <= 17) => true,
        (4, 18) => version.Patch is null or < 5,
        (4, 19) => version.Patch is null or < 2,
        (4, 20) => version.Patch is 0,
        _ => false,
    };

    /// <summary>
    /// AMD's range is denied since 4.4. Up to 4.6 dom0 is permitted what lies beyond every address, so that something follows the range; since then
    /// nothing does where the processor's addresses end with it, and Xen reports no denied pages that nothing permitted follows.
    /// </summary>
    private static bool ReportsHyperTransport(HostTraits traits)
    {
        if (traits.CpuVendor is not ("AuthenticAMD" or "HygonGenuine") || traits.XenVersion is { } old && old.IsUpTo(4, 3))
            return false;
        if (traits.CpuFamily is >= FirstZenFamily && EndsWithZensAddresses(traits.XenVersion))
            return false;
        return traits.XenVersion is { } xen && xen.IsUpTo(4, 6)
            || (traits.PhysicalAddressBits ?? BitsOf(traits.CpuFamily)) > HyperTransportTopBits;
    }

    /// <summary>Address bits of an AMD family where the source does not tell them: by public dumps of CPUID 0x80000008, 0xf, 0x11, 0x12 and 0x16
    /// have 40, 0x14 has 36.</summary>
    private static int BitsOf(int? family) => family is 0x10 or 0x15 or >= FirstZenFamily ? 48 : HyperTransportTopBits;

    /// <summary>Whether the range is below the end of a Zen's addresses, where it is; before it was below 1 TiB for every family.</summary>
    private static bool EndsWithZensAddresses(XenVersion? xen) => xen is not { } version || (version.Major, version.Minor) switch
    {
        (4, 14) => version.Patch is null or >= 4,
        (4, 15) => version.Patch is null or >= 2,
        _ => !version.IsUpTo(4, 13),
    };

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
