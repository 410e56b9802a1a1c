// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Numerics;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>Where a guest is told that a window lies.</summary>
/// <param name="GuestStart">Bytes; null where the hole has no room for it.</param>
public sealed record BarPlace(Bar Bar, ulong? GuestStart)
{
    /// <summary>Whether the guest's frames of the window are the machine's.</summary>
    public bool IsIdentity => GuestStart == Bar.Start;

    /// <summary>The machine frame that the P2M must have behind the window's first frame.</summary>
    public Mfn FirstMfn => Mfn.Containing(Bar.Start);
}

/// <summary>
/// What a filter of configuration-space reads would have to do so that devices appear in the hole at 3 GiB: for each window its old address and the new
/// one. Windows that lie in the hole already keep their place; the others follow by falling size, each aligned to its size as PCI has it.
/// </summary>
public static class BarFilter
{
    /// <summary>A virtual bus has 32 slots of 8 functions with 6 registers and a ROM each. Windows beyond find no room.</summary>
    private const int MaxMoved = 32 * 8 * 7;

    /// <summary>Windows are placed below the pages of the APICs.</summary>
    private static readonly ulong s_holeEnd = X86Layout.UsualIoApic;

    /// <summary>In the order of <paramref name="bars"/>. Bridge windows, which no guest gets, are left out.</summary>
    public static ImmutableArray<BarPlace> Place(ImmutableArray<Bar> bars)
    {
        List<(ulong Start, ulong End)> taken = [];
        List<Bar> homeless = [];
        foreach (Bar bar in bars)
        {
            if (bar.Kind == BarKind.BridgeWindow)
                continue;
            if (Stays(bar))
                taken.Add((bar.Start, bar.End));
            else
                homeless.Add(bar);
        }

        homeless.Sort(static (left, right) => left.SizeBytes != right.SizeBytes ? right.SizeBytes.CompareTo(left.SizeBytes) : left.Start.CompareTo(right.Start));
        taken = Join(taken);
        Dictionary<Bar, ulong> found = [];
        foreach (Bar bar in homeless)
        {
            if (found.Count == MaxMoved)
                break;
            if (found.ContainsKey(bar) || FirstFree(taken, bar) is not { } start)
                continue;
            found.Add(bar, start);
            taken.Add((start, start + bar.SizeBytes));
            taken = Join(taken);
        }

        var places = ImmutableArray.CreateBuilder<BarPlace>();
        foreach (Bar bar in bars)
        {
            if (bar.Kind == BarKind.BridgeWindow)
                continue;
            places.Add(new(bar, Stays(bar) ? bar.Start : found.TryGetValue(bar, out ulong start) ? start : null));
        }

        return places.ToImmutable();
    }

    private static bool Stays(Bar bar) => bar.Start >= Hole3GPolicy.HoleStart && bar.End <= Frames.FourGiB;

    /// <summary>Whole pages, sorted, joined: windows of several devices do not share a page.</summary>
    private static List<(ulong Start, ulong End)> Join(List<(ulong Start, ulong End)> taken)
    {
        taken.Sort();
        List<(ulong Start, ulong End)> joined = [];
        foreach ((ulong start, ulong end) in taken)
        {
            ulong first = Pfn.Containing(start).ToAddress();
            ulong last = Pfn.AtOrAbove(end).ToAddress();
            if (joined.Count > 0 && first <= joined[^1].End)
                joined[^1] = (joined[^1].Start, last > joined[^1].End ? last : joined[^1].End);
            else
                joined.Add((first, last));
        }

        return joined;
    }

    private static ulong? FirstFree(List<(ulong Start, ulong End)> taken, Bar bar)
    {
        // The offset within a page stays: the P2M moves whole pages only.
        ulong offset = bar.Start & Frames.OffsetMask;
        ulong size = bar.SizeBytes + offset;
        if (size > s_holeEnd - Hole3GPolicy.HoleStart)
            return null;
        ulong alignment = BitOperations.RoundUpToPowerOf2(size < Frames.SizeBytes ? Frames.SizeBytes : size);
        ulong start = Hole3GPolicy.HoleStart;
        while (start + size <= s_holeEnd)
        {
            (ulong Start, ulong End)? obstacle = null;
            foreach ((ulong Start, ulong End) other in taken)
            {
                if (other.Start < start + size && other.End > start && (obstacle is not { } known || other.End > known.End))
                    obstacle = other;
            }

            if (obstacle is not { } inTheWay)
                return start + offset;
            start = (inTheWay.End + alignment - 1) & ~(alignment - 1);
        }

        return null;
    }
}
