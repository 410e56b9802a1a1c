// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;

namespace Keyhole.Platforms.Firmware;

/// <summary>
/// SeaBIOS's allocator for what outlives it, at the end of low RAM: from the top down, into the highest gap that is large enough. What lies between
/// gaps at the end stays reserved, in whole pages.
/// </summary>
/// <remarks>Source: src/malloc.c; met by every recorded guest.</remarks>
/// <param name="size">Bytes of the zone: what finds no room in it is not there.</param>
internal sealed class SeaBiosHighZone(ulong size)
{
    private const ulong Top = Frames.FourGiB;
    private const ulong Page = 0x1000;
    private const ulong SmallestAlignment = 16;

    /// <summary>Free ranges, the highest first, none beside another; the last one reaches down to the zone's start.</summary>
    private readonly List<(ulong Start, ulong End)> _free = [(Top - size, Top)];

    /// <summary>What has been taken and not given back, in whole pages.</summary>
    public ulong KeptBytes => Align.Up(_free[^1].Start == Top - size ? Top - _free[^1].End : size, Page);

    /// <summary>Takes memory; empty where there is no room.</summary>
    public ByteRange Take(ulong bytes, ulong alignment = SmallestAlignment)
    {
        for (int i = 0; i < _free.Count; i++)
        {
            (ulong start, ulong end) = _free[i];
            if (end - start < bytes)
                continue;
            ulong at = Align.Down(end - bytes, alignment);
            if (at < start)
                continue;
            if (at > start || i == _free.Count - 1)
                _free[i] = (start, at);
            else
                _free.RemoveAt(i);
            if (at + bytes < end)
                _free.Insert(i, (at + bytes, end));
            return ByteRange.FromSize(at, bytes);
        }

        return default;
    }

    public ByteRange TakePage() => Take(Page, Page);

    /// <summary>Gives back what was taken: a gap, joined with those beside it.</summary>
    public void GiveBack(ReadOnlySpan<ByteRange> taken)
    {
        foreach (ByteRange range in taken)
        {
            if (!range.IsEmpty)
                GiveBack(range);
        }
    }

    private void GiveBack(ByteRange range)
    {
        int below = _free.FindIndex(gap => gap.End <= range.Start);
        ulong start = range.Start, end = range.End;
        if (below >= 0 && _free[below].End == start)
        {
            start = _free[below].Start;
            _free.RemoveAt(below);
        }

        if (below < 0)
            below = _free.Count;
        if (below > 0 && _free[below - 1].Start == end)
        {
            end = _free[below - 1].End;
            _free.RemoveAt(--below);
        }

        _free.Insert(below, (start, end));
    }
}
