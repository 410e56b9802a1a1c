// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.PvGuest;

namespace Keyhole.Platforms.XenPvh;

/// <summary>The map that a Linux in a PVH domain prints first: the domain's, with what a PC has below 1 MiB, sanitised.</summary>
/// <remarks>Source: arch/x86/platform/pvh/enlighten.c (init_pvh_bootparams).</remarks>
internal static class PvhLinuxView
{
    public static ImmutableArray<E820Entry> Of(ImmutableArray<E820Entry> given)
    {
        ImmutableArray<E820Entry> map = given.Add(E820Entry.FromBounds(X86Layout.IsaStart, X86Layout.IsaEnd, E820Type.Reserved));
        return SortedMap.Of(map.AsSpan());
    }

    /// <summary>
    /// Whether such a Linux makes RAM of what is unusable in its map, as room for its balloon: 6.9 and later do, and the stable releases 6.6.27 and
    /// 6.8.6 and those after them. Null where it is not known: 6.1.91 was to have it, and it was taken out again.
    /// </summary>
    /// <remarks>Source: commit 38620fc4e893 of the merge window of 6.9; the announcements of the stable releases.</remarks>
    public static bool? MakesRoomForBalloon(KernelRelease kernel)
    {
        const int firstOf66 = 27, firstOf68 = 6, firstUnknownOf61 = 91;
        if (kernel >= new KernelRelease(6, 9) || (kernel.IsOfSeries(6, 6) && kernel.Patch >= firstOf66)
            || (kernel.IsOfSeries(6, 8) && kernel.Patch >= firstOf68))
            return true;
        return kernel.IsOfSeries(6, 1) && kernel.Patch >= firstUnknownOf61 ? null : false;
    }

    /// <summary>
    /// The same map as kernels print it that keep such room: unusable entries become RAM, in all ten times the pages that are RAM at most; an entry
    /// that is larger than what is left is parted.
    /// </summary>
    /// <remarks>Source: arch/x86/xen/enlighten_pvh.c (xen_reserve_extra_memory).</remarks>
    public static ImmutableArray<E820Entry> WithRoomForBalloon(ImmutableArray<E820Entry> given)
    {
        const ulong ratio = 10;
        ulong room = 0;
        foreach (E820Entry entry in given)
            room += entry.IsRam ? WholePages(entry) * ratio : 0;
        var map = ImmutableArray.CreateBuilder<E820Entry>(given.Length + 1);
        foreach (E820Entry entry in given)
        {
            ulong pages = entry.Type == E820Type.Unusable ? Math.Min(room, WholePages(entry)) : 0;
            if (pages == 0)
            {
                map.Add(entry);
                continue;
            }

            ulong end = pages == WholePages(entry) ? entry.End : Pfn.AtOrAbove(entry.Address).ToAddress() + (pages << Frames.Shift);
            map.Add(E820Entry.FromBounds(entry.Address, end, E820Type.Ram));
            if (end < entry.End)
                map.Add(E820Entry.FromBounds(end, entry.End, E820Type.Unusable));
            room -= pages;
        }

        return Of(map.ToImmutable());
    }

    private static ulong WholePages(E820Entry entry) => entry.Wraps || entry.End > Frames.AddressLimit
        ? 0
        : PfnRange.FromBounds(Pfn.AtOrAbove(entry.Address), Pfn.Containing(entry.End)).Count;
}
