// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.PvGuest;

/// <summary>What must not be used for anything else while a kernel sets its memory up (Linux's memblock.reserved), over a span of the
/// caller's.</summary>
internal ref struct ReservedAreas
{
    private readonly Span<ByteRange> _areas;
    private int _count;

    public ReservedAreas(Span<ByteRange> areas)
    {
        _areas = areas;
        _count = 0;
        HasOverflowed = false;
    }

    /// <summary>More areas than the span holds: what this then answers is no longer to be relied on.</summary>
    public bool HasOverflowed { get; private set; }

    public void Add(ByteRange area)
    {
        if (area.IsEmpty)
            return;
        if (_count == _areas.Length)
        {
            HasOverflowed = true;
            return;
        }

        _areas[_count] = area;
        _count++;
    }

    /// <summary>Frees an area that was added as it is; anything else stays.</summary>
    public void Remove(ByteRange area)
    {
        for (int i = 0; i < _count; i++)
        {
            if (_areas[i] == area)
            {
                _count--;
                _areas[i] = _areas[_count];
                return;
            }
        }
    }

    /// <summary>
    /// The lowest place for <paramref name="sizeBytes"/> in a RAM entry of the map, at a page's distance from that entry's start, that is not
    /// reserved. It is reserved for the caller. False when there is none (and, as in Linux, when the only place is address 0).
    /// </summary>
    public bool TryTakeFreeArea(ReadOnlySpan<E820Entry> map, ulong sizeBytes, out ByteRange area)
    {
        foreach (E820Entry entry in map)
        {
            if (!entry.IsRam || entry.Size < sizeBytes)
                continue;
            if (!TryFindPlace(entry, sizeBytes, out ulong start))
                continue;
            area = ByteRange.FromSize(start, sizeBytes);
            Add(area);
            return start != 0;
        }

        area = default;
        return false;
    }

    private readonly bool TryFindPlace(E820Entry ram, ulong sizeBytes, out ulong start)
    {
        // Reckoned from the entry's start, so that nothing overflows at the end of the address space.
        ulong room = ram.Size - sizeBytes;
        start = ram.Address;
        while (TryFindObstacle(ByteRange.FromSize(start, sizeBytes), out ByteRange obstacle))
        {
            // Linux tries page after page from the entry's start; the first that the obstacle leaves free is the same.
            ulong beyond = unchecked(obstacle.End - ram.Address);
            ulong offset = unchecked((beyond + Frames.OffsetMask) & ~Frames.OffsetMask);
            // An entry that wraps leads in a circle: what lies at the address space's start is then in the way for ever.
            if (offset < beyond || offset > room || offset <= unchecked(start - ram.Address))
                return false;
            start = unchecked(ram.Address + offset);
        }

        return true;
    }

    /// <summary>The obstacle that reaches furthest among those that a page probe of the place would meet.</summary>
    private readonly bool TryFindObstacle(ByteRange place, out ByteRange obstacle)
    {
        obstacle = default;
        foreach (ByteRange area in _areas.Slice(0, _count))
        {
            if (area.Overlaps(place) && area.End > obstacle.End && MeetsProbe(area, place))
                obstacle = area;
        }

        return !obstacle.IsEmpty;
    }

    /// <summary>Linux looks at the first byte of each page only; an area between two probes goes unseen.</summary>
    private static bool MeetsProbe(ByteRange area, ByteRange place)
    {
        if (area.Start <= place.Start)
            return true;
        ulong offset = area.Start - place.Start;
        ulong probe = unchecked((offset + Frames.OffsetMask) & ~Frames.OffsetMask);
        return probe >= offset && probe < place.SizeBytes && place.Start + probe < area.End;
    }
}
