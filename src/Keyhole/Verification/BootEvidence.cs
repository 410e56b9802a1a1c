// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>What an observed boot tells that its forecast starts from: where things lie, and what only dom0's own lines show of the
/// machine.</summary>
public static class BootEvidence
{
    /// <summary>A guest's layout from its domain builder's lines; else as xl lays it out, with the ramdisk where the kernel found it.</summary>
    /// <param name="pageCount">Pages of the guest: they decide how long the p2m list is.</param>
    public static GuestLayout LayoutOfGuest(ObservedBoot boot, ulong pageCount)
    {
        ArgumentNullException.ThrowIfNull(boot);
        if (!boot.Segments.Kernel.IsEmpty)
            return boot.Segments;
        GuestLayout layout = GuestLayout.OfXl(pageCount);
        ByteRange initrd = InitrdOf(boot);
        return initrd.IsEmpty
            ? layout
            : layout with { Initrd = initrd, P2mList = ByteRange.FromSize(Pfn.AtOrAbove(initrd.End).ToAddress(), layout.P2mList.SizeBytes) };
    }

    /// <summary>dom0's layout as its own boot's Xen lines have it, else the host log's, else as Xen lays out a usual kernel.</summary>
    /// <param name="log">What the host's log says, where the boot's own does not.</param>
    public static GuestLayout LayoutOfDom0(ObservedBoot boot, Dom0Log? log)
    {
        ArgumentNullException.ThrowIfNull(boot);
        GuestLayout layout = boot.Builder?.Layout ?? log?.Layout ?? GuestLayout.OfDom0();
        return layout.Initrd.IsEmpty ? layout with { Initrd = InitrdOf(boot) } : layout;
    }

    /// <summary>The dom0 that Xen builds where nothing is said: all of the host's RAM but a sixteenth, 128 MiB at most, for Xen itself. Where lines
    /// of the map are lost it is the RAM that Xen counts; where it does not, what the lines have that are there: the host may have more.</summary>
    public static Dom0Log UsualDom0(Host host)
    {
        ArgumentNullException.ThrowIfNull(host);
        const ulong mostForXenBytes = 128UL << 20;
        ulong ram = host.RamCounted ?? Math.Min(SortedMap.TotalsOf(host.Entries.AsSpan()).GetValueOrDefault(E820Type.Ram), Frames.AddressLimit);
        ulong pages = (ram - Math.Min(ram / 16, mostForXenBytes)) >> Frames.Shift;
        return new(pages, null, GuestLayout.OfDom0());
    }

    /// <summary>The host on the map that Xen printed in that boot, where the host's log holds several boots; else as it is.</summary>
    /// <param name="host">From the log that holds the boot.</param>
    /// <param name="boot">The one that is looked at.</param>
    /// <param name="sourceName">What errors and the description call the log.</param>
    public static Parsed<HostDocument> OnTheMapOf(HostDocument host, ObservedBoot boot, string sourceName)
    {
        if (host is not { Log: { } log, LogMap: { Kind: LogMapKind.XenFirmware } taken })
            return host;
        LogMap? own = log.Maps.LastOrDefault(map => map.Kind == LogMapKind.XenFirmware && map.Line >= boot.FirstLine && map.Line <= boot.LastLine);
        if (own is null || own.Line == taken.Line)
            return host;
        if (!HostMapReader.FromLog(log, own, sourceName).TryGet(out HostDocument? read, out InputError? error))
            return error;
        return host with
        {
            Host = host.Host with
            {
                Entries = read.Host.Entries,
                RamShown = read.Host.RamShown,
                LostRanges = read.Host.LostRanges,
                Traits = host.Host.Traits with { ReservedInDom0 = read.Host.Traits.ReservedInDom0 },
            },
            Dialect = read.Dialect,
            Description = read.Description,
            LogMap = own,
        };
    }

    /// <summary>
    /// The host with what dom0's map shows of the machine and nothing else does: reserved pages that stand alone in a gap of the machine map. A page
    /// beside a known entry is no such witness: it may be that entry, gone astray.
    /// </summary>
    public static Host WithPagesReservedIn(Host host, ObservedBoot dom0)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(dom0);
        if (host.IsMachineMap || dom0.Map is not { } seen)
            return host;
        host = host with { Traits = host.Traits with { ReservedInDom0 = [] } };
        ImmutableArray<E820Entry> known = MachineMap.Of(host);
        var learnt = ImmutableArray.CreateBuilder<PfnRange>();
        foreach (E820Entry entry in seen.Entries)
        {
            if (entry.Type != E820Type.Reserved || entry.Size == 0 || ((entry.Address | entry.End) & Frames.OffsetMask) != 0)
                continue;
            ulong before = entry.Address - (entry.Address == 0 ? 0 : Frames.SizeBytes);
            var surroundings = ByteRange.FromBounds(before, entry.End + Frames.SizeBytes);
            bool isAlone = true;
            // Where lines of the host's map are lost it may be one of them.
            foreach (ByteRange lost in host.LostRanges)
                isAlone &= !surroundings.Overlaps(lost);
            foreach (E820Entry other in known)
                isAlone &= other.Wraps || !surroundings.Overlaps(ByteRange.FromBounds(other.Address, other.End));
            if (isAlone)
                learnt.Add(PfnRange.FromBounds(Pfn.Containing(entry.Address), Pfn.AtOrAbove(entry.End)));
        }

        return host with { Traits = host.Traits with { ReservedInDom0 = learnt.ToImmutable() } };
    }

    /// <summary>Where somebody left lines out right behind the host's map, or the log ends there and the map may go on, the boot may show what stood
    /// there: so far the map is known, and no farther.</summary>
    /// <param name="host">From its log.</param>
    /// <param name="boot">Of dom0, or of a guest.</param>
    /// <param name="isDom0">Whether it is dom0's: what it has the machine has.</param>
    public static HostDocument WithOpenEnd(HostDocument host, ObservedBoot boot, bool isDom0)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(boot);
        return host is { Log: { } log, LogMap: { } map } && (map.OpenLine is not null || MapExtent.EndsWithSource(log, map)
            || (MapExtent.IsLastOf(log, map) && HasMoreBehind(boot, map, isDom0)))
            ? host with { Host = host.Host with { LostRanges = LostLines.WithOpenEnd(host.Host) } } : host;
    }

    /// <summary>Whether dom0 has RAM, or a guest something else, behind the last address of the machine's map: both come from it.</summary>
    private static bool HasMoreBehind(ObservedBoot boot, LogMap map, bool isDom0)
    {
        ulong end = map.Entries.Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();
        return boot.Map is { } own && own.Entries.Any(entry => entry.IsRam == isDom0 && !entry.Wraps && entry.End > ulong.Max(end, X86Layout.OneMiB));
    }

    /// <summary>
    /// The host with what the boot's own map shows where lines of the host's map are lost: one more thing that those lines may have said, and the
    /// likeliest. It proves nothing, but nothing is a difference that is none where they said it.
    /// </summary>
    public static Host WithLostLinesSeenIn(Host host, ObservedBoot boot)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(boot);
        if (!host.HasLostEntries || boot.Map is not { } map)
            return host;
        bool isDom0 = boot.Owner == BootOwner.Dom0;
        return host with
        {
            SeenInLostRanges =
            [
                // From 4 GiB on a guest's RAM is not where its host has some; what xl marks unusable is RAM of the host.
                .. map.Entries.Where(entry => !entry.Wraps && (isDom0 || !entry.IsRam || entry.End <= Frames.FourGiB))
                    .Select(entry => entry.Type == E820Type.Unusable && !isDom0 ? entry.WithType(E820Type.Ram) : entry),
            ],
        };
    }

    /// <summary>
    /// Where Xen's log begins amid its map, its command line is lost with the map's head: the limit that dom0's own map shows; else null. A limit
    /// that nobody told is no difference.
    /// </summary>
    public static ulong? LimitWhereHeadIsLost(HostDocument host, ObservedBoot boot)
    {
        ArgumentNullException.ThrowIfNull(host);
        return host.LogMap is { Entries.IsEmpty: false } map && MapExtent.BeginsAmid(map) ? LimitSeenIn(boot) : null;
    }

    /// <summary>Pages of RAM in dom0's own map: what it may have, where it may have less than the machine has. Null where the log has no
    /// map.</summary>
    internal static ulong? LimitSeenIn(ObservedBoot boot)
    {
        ArgumentNullException.ThrowIfNull(boot);
        if (boot.Map is not { } map)
            return null;
        ulong pages = 0;
        foreach (E820Entry entry in map.Entries)
        {
            if (entry is { IsRam: true, Wraps: false } && entry.End <= Frames.AddressLimit)
                pages += PfnRange.FromBounds(Pfn.AtOrAbove(entry.Address), Pfn.Containing(entry.End)).Count;
        }

        return pages == 0 ? null : pages;
    }

    private static ByteRange InitrdOf(ObservedBoot boot) => boot.Facts.InitrdMoved?.Value.From ?? boot.Facts.Ramdisk?.Value ?? default;
}
