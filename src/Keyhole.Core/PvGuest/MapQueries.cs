// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.PvGuest;

/// <summary>Questions that a kernel asks of its sanitised map.</summary>
internal static class MapQueries
{
    /// <summary>Whether a range does not lie whole in one RAM entry (xen_is_e820_reserved). An empty range never is reserved.</summary>
    public static bool IsReserved(ReadOnlySpan<E820Entry> map, ByteRange range)
    {
        if (range.IsEmpty)
            return false;
        foreach (E820Entry entry in map)
        {
            if (entry.IsRam && entry.Address <= range.Start && entry.End >= range.End)
                return false;
        }

        return true;
    }

    /// <summary>
    /// Pages of RAM at or behind <paramref name="from"/>, which moves to the first of them (xen_find_pfn_range). 0: the search ends. As in Linux,
    /// that is so too where an entry holds no whole page, though more RAM follows; and an entry within one page has so many pages that they go far
    /// beyond it.
    /// </summary>
    public static ulong NextRam(ReadOnlySpan<E820Entry> map, ref Pfn from, bool stopsAtRangeEndingThere)
    {
        foreach (E820Entry entry in map)
        {
            if (!entry.IsRam)
                continue;
            Pfn end = Pfn.Containing(entry.End);
            if (stopsAtRangeEndingThere ? end < from : end <= from)
                continue;
            Pfn start = Pfn.AtOrAbove(entry.Address);
            if (start > from)
                from = start;
            return unchecked(end.Value - from.Value);
        }

        return 0;
    }

    /// <summary>
    /// The gap below 4 GiB that Linux gives to PCI devices: the largest of at least 4 MiB, of equal ones the lowest or (since 7.0) the highest.
    /// Empty when there is none.
    /// </summary>
    public static ByteRange PciGap(ReadOnlySpan<E820Entry> map, bool prefersHigh)
    {
        ByteRange found = default;
        ulong upper = Frames.FourGiB;
        for (int i = map.Length - 1; i >= 0; i--)
        {
            E820Entry entry = map[i];
            if (upper > entry.End)
            {
                ulong size = upper - entry.End;
                bool better = found.IsEmpty ? size >= X86Layout.SmallestPciGapBytes : prefersHigh ? size > found.SizeBytes : size >= found.SizeBytes;
                if (better)
                    found = ByteRange.FromBounds(entry.End, upper);
            }

            if (entry.Address < upper)
                upper = entry.Address;
        }

        return found;
    }
}
