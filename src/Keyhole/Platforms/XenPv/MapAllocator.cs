// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// Turns what a policy keeps into an E820: RAM from address 0 upward through everything else, and what stays free below 4 GiB marked so that
/// Linux does not take it for PCI space where the host has memory. Knows no policy.
/// </summary>
public static class MapAllocator
{
    /// <param name="kept">In any order. Where they overlap, the earlier in address order wins up to its end.</param>
    /// <param name="input">The host's map, and the guest: RAM for its maxmem is laid out, so that the balloon finds room. Whole pages.</param>
    public static PolicyResult Allocate(IEnumerable<KeptRange> kept, PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(kept);
        ArgumentNullException.ThrowIfNull(input);
        ImmutableArray<E820Entry> machineMap = SortedMap.Of(input.MachineMap.AsSpan());
        ulong limit = input.Guest.Is32Bit ? X86Layout.PaeLimit : Frames.AddressLimit;
        List<KeptRange> holes = Order(kept);
        List<PlannedEntry> map = [];
        List<KeptRange> gaps = [];
        ulong left = (Math.Max(input.Guest.MemoryKiB, input.Guest.MaxmemKiB) << 10) & ~Frames.OffsetMask;
        ulong reached = 0;
        foreach (KeptRange hole in holes)
        {
            // RAM is whole pages; the hole gets the page that it shares with RAM.
            FillUpTo(Pfn.Containing(hole.Start).ToAddress(), ref reached, ref left, machineMap, map);
            if (hole.Type is { } type)
                map.Add(new(E820Entry.FromBounds(hole.Start, hole.End, type), hole.Why));
            else
                gaps.Add(hole);
            reached = Math.Max(reached, Pfn.AtOrAbove(hole.End).ToAddress());
        }

        FillUpTo(Math.Max(Frames.FourGiB, reached), ref reached, ref left, machineMap, map);
        if (reached > Frames.AddressLimit || left > Frames.AddressLimit - reached)
            return DoesNotFit(input.Guest.Is32Bit, left - Math.Min(left, Frames.AddressLimit - Math.Min(reached, Frames.AddressLimit)));
        if (left != 0)
            AddRam(map, reached, reached + left, machineMap);
        ulong beyond = RamFrom(limit, map);
        if (beyond != 0)
            return DoesNotFit(input.Guest.Is32Bit, beyond);
        Shorten(map);
        return map.Count <= E820Table.MaxEntries
            ? new([.. map], []) { Gaps = [.. gaps] }
            : Failure(
                ProblemCodes.TooManyEntries,
                $"the map would have {map.Count} entries; a guest's kernel takes {E820Table.MaxEntries}",
                "take a policy with fewer holes, such as hole-at or minimal");
    }

    private static ulong RamFrom(ulong limit, List<PlannedEntry> map)
    {
        ulong sum = 0;
        foreach (PlannedEntry planned in map)
        {
            if (planned.Entry.IsRam && planned.Entry.End > limit)
                sum += planned.Entry.End - Math.Max(planned.Entry.Address, limit);
        }

        return sum;
    }

    private static PolicyResult DoesNotFit(bool is32Bit, ulong tooMuchBytes) => Failure(
        ProblemCodes.DoesNotFit,
        is32Bit
            ? $"a 32-bit kernel sees 64 GiB, and with the holes {ByteSize.ToText(tooMuchBytes)} of the guest's memory are beyond"
            : $"{ByteSize.ToText(tooMuchBytes)} of the guest's memory do not fit below 2^52",
        is32Bit ? "give the guest less memory, or a 64-bit kernel" : "give the guest less memory");

    private static PolicyResult Failure(string code, string message, string remedy) => new([], [new(Severity.Error, code, message, Remedy: remedy)]);

    /// <summary>By address, overlaps cut off the later one.</summary>
    private static List<KeptRange> Order(IEnumerable<KeptRange> kept)
    {
        KeptRange[] sorted = [.. kept];
        Array.Sort(sorted, static (left, right) => left.Start != right.Start ? left.Start.CompareTo(right.Start) : left.End.CompareTo(right.End));
        List<KeptRange> ordered = [];
        foreach (RangePiece piece in new RangeMap<KeptRange>(sorted).Over(ByteRange.FromBounds(0, ulong.MaxValue)))
        {
            if (!piece.IsGap)
                ordered.Add(sorted[piece.Index] with { Start = piece.Range.Start, End = piece.Range.End });
        }

        return ordered;
    }

    /// <summary>RAM as long as there is some left; then, below 4 GiB, UNUSABLE where the host has memory.</summary>
    private static void FillUpTo(ulong end, ref ulong reached, ref ulong left, ImmutableArray<E820Entry> machineMap, List<PlannedEntry> map)
    {
        if (end <= reached)
            return;
        ulong size = Math.Min(end - reached, left);
        if (size != 0)
            AddRam(map, reached, reached + size, machineMap);
        left -= size;
        ulong free = reached + size;
        reached = end;
        ulong freeEnd = Math.Min(end, Frames.FourGiB);
        if (free >= freeEnd)
            return;
        foreach (E820Entry entry in machineMap)
        {
            ByteRange part = entry.Range.Intersect(ByteRange.FromBounds(free, freeEnd));
            if (part.IsEmpty || !SortedMap.IsMemory(entry))
                continue;
            map.Add(new(
                E820Entry.FromSize(part.Start, part.SizeBytes, E820Type.Unusable),
                "the host has memory here that is not the guest's; unusable, so that Linux does not take it for PCI space"));
        }
    }

    private static void AddRam(List<PlannedEntry> map, ulong start, ulong end, ImmutableArray<E820Entry> machineMap)
    {
        string why = "the guest's memory";
        foreach (E820Entry entry in machineMap)
        {
            if (entry.IsRam || !entry.Range.Overlaps(ByteRange.FromBounds(start, end)))
                continue;
            why = "the guest's memory; also where the host has none, since no device needs it";
            break;
        }

        map.Add(new(E820Entry.FromBounds(start, end, E820Type.Ram), why));
    }

    /// <summary>Neighbours of one type and one reason become one. Where that is not enough, so do neighbours that are no RAM, as reserved.</summary>
    private static void Shorten(List<PlannedEntry> map)
    {
        Merge(map, static (left, right) => left.Entry.Type == right.Entry.Type && left.Why == right.Why, static left => left);
        if (map.Count > E820Table.MaxEntries)
        {
            Merge(
                map,
                static (left, right) => !left.Entry.IsRam && !right.Entry.IsRam,
                static left => new(left.Entry.WithType(E820Type.Reserved), "several regions of the host's in one entry: a map holds 128"));
        }
    }

    private static void Merge(List<PlannedEntry> map, Func<PlannedEntry, PlannedEntry, bool> isOne, Func<PlannedEntry, PlannedEntry> asOne)
    {
        for (int i = map.Count - 1; i > 0; i--)
        {
            PlannedEntry left = map[i - 1];
            PlannedEntry right = map[i];
            if (left.Entry.End != right.Entry.Address || !isOne(left, right))
                continue;
            PlannedEntry one = asOne(left);
            map[i - 1] = one with { Entry = E820Entry.FromBounds(left.Entry.Address, right.Entry.End, one.Entry.Type) };
            map.RemoveAt(i);
        }
    }
}
