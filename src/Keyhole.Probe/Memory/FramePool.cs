// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Probe;

/// <summary>
/// Gives out the probe's own frames for its tables: RAM of the map behind what the domain builder placed, below the pages that the guest starts
/// with, in rising order. All that was given out lies in [<see cref="First"/>, <see cref="Next"/>).
/// </summary>
internal unsafe struct FramePool : IEntrySource
{
    private readonly E820Entry* _map;
    private readonly int _mapCount;
    private readonly ulong* _builderList;
    private readonly ulong _end;

    /// <param name="map">The sanitised map; it must stay where it is, as what the arena gives does.</param>
    /// <param name="first">The first frame that may be taken.</param>
    /// <param name="builderList">The domain builder's list, an entry for each initial page.</param>
    public FramePool(ReadOnlySpan<E820Entry> map, Pfn first, ReadOnlySpan<ulong> builderList)
    {
        fixed (E820Entry* entries = map)
            _map = entries;
        fixed (ulong* list = builderList)
            _builderList = list;
        _mapCount = map.Length;
        _end = (ulong)builderList.Length;
        First = first;
        Next = first;
    }

    public Pfn First { get; }

    public Pfn Next { get; private set; }

    /// <summary>Frames that can still be taken.</summary>
    public readonly ulong Available
    {
        get
        {
            ulong count = 0;
            for (int i = 0; i < _mapCount; i++)
            {
                ulong start = StartOf(i, Next);
                ulong end = EndOf(i);
                count += start < end ? end - start : 0;
            }

            return count;
        }
    }

    /// <summary>The next frame, as its machine frame; it is then the one before <see cref="Next"/>.</summary>
    public ulong TakeMfn()
    {
        for (int i = 0; i < _mapCount; i++)
        {
            ulong start = StartOf(i, Next);
            if (start >= EndOf(i))
                continue;
            Next = new(start + 1);
            return _builderList[start];
        }

        Panic.NoRoom("no RAM left for the probe's own tables"u8);
        return 0;
    }

    public ulong EntryOf(ulong page) => (TakeMfn() << Frames.Shift) | AddressSpace.Writable;

    public void Fill(ulong* entries, ulong page, int count)
    {
        for (int i = 0; i < count; i++)
            entries[i] = EntryOf(page + (ulong)i);
    }

    private readonly ulong StartOf(int entry, Pfn from)
    {
        ulong start = Pfn.AtOrAbove(_map[entry].Address).Value;
        return start > from.Value ? start : from.Value;
    }

    /// <summary>0 where the entry is no RAM.</summary>
    private readonly ulong EndOf(int entry)
    {
        if (!_map[entry].IsRam)
            return 0;
        ulong end = Pfn.Containing(_map[entry].End).Value;
        return end < _end ? end : _end;
    }
}
