// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Hosts;

/// <summary>Maps as Linux and Xen sort them out, and what one asks of them.</summary>
public static class SortedMap
{
    /// <summary>By address, without overlap, none empty; where entries overlap the higher type wins. A map with an entry that wraps, which Linux
    /// refuses, stays as it stands.</summary>
    public static ImmutableArray<E820Entry> Of(ReadOnlySpan<E820Entry> map)
    {
        // Linux sorts no map of one entry; what covers no byte is nothing all the same, as it is beside others.
        if (map.Length == 1 && (map[0].Size == 0 || map[0].Type == E820Type.None))
            return [];
        var result = new E820Entry[2 * map.Length];
        return Sanitizer.TrySanitize(map, result, new int[Sanitizer.ScratchLength(map.Length)], out int count) ? [.. result.AsSpan(0, count)]
            : [.. map];
    }

    /// <summary>RAM, or memory that the firmware has found to be bad: no device is there.</summary>
    public static bool IsMemory(E820Entry entry) => entry.Type is E820Type.Ram or E820Type.Unusable;

    /// <summary>Bytes of each type that a map names, each byte counted once: where entries overlap, of the type that wins. Entries that wrap count
    /// for nothing.</summary>
    public static SortedDictionary<E820Type, ulong> TotalsOf(ReadOnlySpan<E820Entry> map)
    {
        var totals = new SortedDictionary<E820Type, ulong>();
        List<E820Entry> whole = [];
        foreach (E820Entry entry in map)
        {
            totals[entry.Type] = 0;
            if (!entry.Wraps)
                whole.Add(entry);
        }

        foreach (E820Entry entry in Of([.. whole]))
            totals[entry.Type] = totals.GetValueOrDefault(entry.Type) + entry.Size;
        return totals;
    }

    /// <summary>The RAM of a map by address, each byte once; what wraps or lies beyond the last frame counts for nothing.</summary>
    public static ImmutableArray<E820Entry> RamOf(ReadOnlySpan<E820Entry> map)
    {
        List<E820Entry> whole = [];
        foreach (E820Entry entry in map)
        {
            if (!entry.Wraps)
                whole.Add(entry);
        }

        return [.. Of([.. whole]).Where(static entry => entry.IsRam && entry.End <= Frames.AddressLimit)];
    }

    /// <summary>Bytes of RAM as Xen counts them: of each piece of it the whole pages.</summary>
    public static ulong PagedRamOf(ReadOnlySpan<E820Entry> map)
    {
        ulong bytes = 0;
        foreach (E820Entry entry in RamOf(map))
            bytes += entry.Size & ~Frames.OffsetMask;
        return bytes;
    }

    /// <summary>Bytes of a range that entries of some kind have.</summary>
    /// <param name="map">As <see cref="Of"/> gives it: what overlaps counts twice.</param>
    public static ulong BytesIn(ByteRange range, ReadOnlySpan<E820Entry> map, Predicate<E820Entry> counts)
    {
        ulong sum = 0;
        foreach (E820Entry entry in map)
        {
            if (counts(entry))
                sum += Math.Min(entry.Range.Intersect(range).SizeBytes, ulong.MaxValue - sum);
        }

        return sum;
    }

    /// <summary>How far the entries of some kind go on from a range's start without a break; its end where they fill it.</summary>
    /// <param name="map">As <see cref="Of"/> gives it.</param>
    internal static ulong EndOfRun(ReadOnlySpan<E820Entry> map, ByteRange range, Predicate<E820Entry> counts)
    {
        foreach (RangePiece piece in new RangeMap<E820Entry>(map).Over(range))
        {
            if (piece.IsGap || !counts(map[piece.Index]))
                return piece.Range.Start;
        }

        return range.End;
    }

    /// <summary>
    /// What stands in the way of a device's window: the first entry with a part of it that is not reserved. Linux lets windows be in gaps and in
    /// reserved memory. Null where nothing does.
    /// </summary>
    public static E820Entry? Obstacle(ReadOnlySpan<E820Entry> map, ByteRange window)
    {
        foreach (E820Entry entry in map)
        {
            if (entry.Type != E820Type.Reserved && entry.Range.Overlaps(window))
                return entry;
        }

        return null;
    }
}
