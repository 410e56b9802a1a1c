// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;

namespace Keyhole.PvGuest;

/// <summary>
/// The RAM of a guest's map beyond what it was given (Linux's xen_extra_mem): at most as many regions as the caller's span, 128 in Linux,
/// in bytes, never sorted, a region of size 0 being a free slot.
/// </summary>
internal ref struct ExtraMemory
{
    /// <summary>XEN_EXTRA_MEM_MAX_REGIONS.</summary>
    public const int MaxRegions = 128;

    private readonly Span<ByteRange> _regions;

    public ExtraMemory(Span<ByteRange> regions)
    {
        _regions = regions;
        _regions.Clear();
        LostRegions = 0;
    }

    /// <summary>Regions that found no free slot ("Warning: not enough extra memory regions").</summary>
    public int LostRegions { get; private set; }

    /// <summary>All slots, the free ones among them.</summary>
    public readonly ReadOnlySpan<ByteRange> Slots => _regions;

    public readonly ulong TotalBytes
    {
        get
        {
            ulong sum = 0;
            foreach (ByteRange region in _regions)
                sum = unchecked(sum + region.SizeBytes);
            return sum;
        }
    }

    /// <summary>Appends to a region that ends where this one starts, or takes the first free slot, whichever slot comes first. False when there is
    /// neither.</summary>
    public bool Add(ByteRange added)
    {
        for (int i = 0; i < _regions.Length; i++)
        {
            if (_regions[i].IsEmpty)
            {
                _regions[i] = added;
                return true;
            }

            if (_regions[i].End == added.Start)
            {
                _regions[i] = ByteRange.FromSize(_regions[i].Start, unchecked(_regions[i].SizeBytes + added.SizeBytes));
                return true;
            }
        }

        LostRegions++;
        return false;
    }

    /// <summary>
    /// Takes a range out at the start, the end or in the middle of the first region that it touches so. False where Linux stops with BUG:
    /// the range is larger than that region. A range that touches none changes nothing.
    /// </summary>
    /// <remarks>Linux's own order of questions (xen_del_extra_mem), not a sweep: the slots are not sorted, and it looks no further than the first
    /// that answers.</remarks>
    public bool Remove(ByteRange removed)
    {
        for (int i = 0; i < _regions.Length; i++)
        {
            ByteRange region = _regions[i];
            if (region.Start == removed.Start)
            {
                if (removed.SizeBytes > region.SizeBytes)
                    return false;
                _regions[i] = ByteRange.FromBounds(removed.End, region.End);
                return true;
            }

            if (region.End == removed.End)
            {
                if (removed.SizeBytes > region.SizeBytes)
                    return false;
                _regions[i] = ByteRange.FromSize(region.Start, region.SizeBytes - removed.SizeBytes);
                return true;
            }

            if (removed.Start > region.Start && removed.Start < region.End)
            {
                if (removed.End > region.End)
                    return false;
                _regions[i] = ByteRange.FromBounds(region.Start, removed.Start);
                Add(ByteRange.FromBounds(removed.End, region.End));
                return true;
            }
        }

        return true;
    }

    /// <summary>Whether the byte at the frame's start is extra memory: its P2M entry is then invalid, elsewhere beyond the list it is
    /// identity.</summary>
    public readonly bool Contains(Pfn pfn)
    {
        ulong address = pfn.ToAddress();
        foreach (ByteRange region in _regions)
        {
            if (region.Contains(address))
                return true;
        }

        return false;
    }
}
