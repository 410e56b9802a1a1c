// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Hosts;

/// <summary>What several readings of one map have in common.</summary>
internal static class MapReadings
{
    /// <summary>Where they differ: sorted, without overlap, up to <see cref="Frames.AddressLimit"/>, which stands for an end that nobody
    /// knows.</summary>
    /// <param name="readings">In any order; where entries overlap the higher type counts.</param>
    public static ImmutableArray<ByteRange> Differences(IReadOnlyList<ImmutableArray<E820Entry>> readings)
    {
        ImmutableArray<E820Entry>[] sorted = [.. readings.Select(static map => SortedMap.Of([.. map.Where(static entry => !entry.Wraps)]))];
        SortedSet<ulong> bounds = [];
        foreach (ImmutableArray<E820Entry> map in sorted)
        {
            foreach (E820Entry entry in map)
            {
                bounds.Add(entry.Address);
                bounds.Add(entry.End);
            }
        }

        List<ByteRange> differing = [];
        int[] next = new int[sorted.Length];
        ulong start = 0;
        foreach (ulong end in bounds)
        {
            if (end > start && Enumerable.Range(0, sorted.Length).Select(i => TypeAt(sorted[i], ref next[i], start)).Distinct().Count() > 1)
                differing.Add(ByteRange.FromBounds(start, end));
            start = end;
        }

        return ByteRanges.Intersect(ByteRanges.Union(differing), [ByteRange.FromBounds(0, Frames.AddressLimit)]);
    }

    /// <summary>The parts of an entry outside of some ranges.</summary>
    public static IEnumerable<E820Entry> Without(E820Entry entry, ImmutableArray<ByteRange> ranges)
    {
        if (entry.Wraps || !ranges.Any(range => range.Overlaps(entry.Range)))
            return [entry];
        return ByteRanges.Subtract([entry.Range], ranges).Select(part => E820Entry.FromBounds(part.Start, part.End, entry.Type));
    }

    private static E820Type? TypeAt(ImmutableArray<E820Entry> map, ref int next, ulong address)
    {
        while (next < map.Length && map[next].End <= address)
            next++;
        return next < map.Length && map[next].Address <= address ? map[next].Type : null;
    }
}
