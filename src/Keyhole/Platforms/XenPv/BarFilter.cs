// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Numerics;
using System.Runtime.InteropServices;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>Where a guest is told that a window lies.</summary>
/// <param name="GuestStart">Bytes; null where the hole has no room for it.</param>
public sealed record BarPlace(Bar Bar, ulong? GuestStart)
{
    /// <summary>The limit that decided where it has no place; null where it has one.</summary>
    public Unplaced? Why { get; init; }

    /// <summary>Whether the guest's frames of the window are the machine's.</summary>
    public bool IsIdentity => GuestStart == Bar.Start;

    /// <summary>The machine frame that the P2M must have behind the window's first frame.</summary>
    public Mfn FirstMfn => Mfn.Containing(Bar.Start);
}

/// <summary>
/// What a filter of configuration-space reads would have to do so that devices appear in the hole at 3 GiB: for each window its old address and the
/// new one. Windows that lie in the hole already keep their place; the others follow by falling size, each aligned to its size as PCI has it.
/// </summary>
internal static class BarFilter
{
    /// <summary>A virtual bus has 32 slots of 8 functions with 6 registers and a ROM each. Windows beyond find no room.</summary>
    private const int MaxMoved = 32 * 8 * 7;

    /// <summary>Windows are placed below the pages of the APICs.</summary>
    private static readonly ByteRange s_hole = ByteRange.FromBounds(Hole3GPolicy.HoleStart, X86Layout.UsualIoApic);

    /// <summary>In the order of <paramref name="bars"/>. Bridge windows, which no guest gets, are left out.</summary>
    public static ImmutableArray<BarPlace> Place(ImmutableArray<Bar> bars)
    {
        Given.Array(bars, nameof(bars));
        ImmutableArray<Bar> windows = [.. bars.Where(static bar => bar.Kind != BarKind.BridgeWindow)];
        // Whole pages: windows of several devices do not share one.
        List<ByteRange> taken = [.. windows.Where(Stays).Select(static bar => ByteRange.FromFrames(bar.Range.Touched))
            .OrderBy(static range => range.Start)];
        Dictionary<Bar, ulong> found = [];
        foreach (Bar bar in windows.Where(static bar => !Stays(bar)).OrderByDescending(static bar => bar.SizeBytes).ThenBy(static bar => bar.Start))
        {
            if (found.Count == MaxMoved)
                break;
            // The offset within a page stays: the P2M moves whole pages only.
            ulong offset = bar.Start & Frames.OffsetMask;
            ulong size = bar.SizeBytes + offset;
            if (found.ContainsKey(bar) || size > s_hole.SizeBytes)
                continue;
            ulong alignment = BitOperations.RoundUpToPowerOf2(Math.Max(size, Frames.SizeBytes));
            if (FirstFit.Lowest(s_hole, CollectionsMarshal.AsSpan(taken), size, alignment) is not { } start)
                continue;
            found.Add(bar, start + offset);
            ByteRange pages = ByteRange.FromFrames(ByteRange.FromSize(start, size).Touched);
            int behind = taken.FindIndex(other => other.Start > pages.Start);
            taken.Insert(behind < 0 ? taken.Count : behind, pages);
        }

        return [.. windows.Select(bar => Stays(bar) ? new(bar, bar.Start)
            : found.TryGetValue(bar, out ulong start) ? new BarPlace(bar, start) : Unplaced(bar))];
    }

    private static BarPlace Unplaced(Bar bar) => new(bar, null) { Why = new(UnplacedReason.Window32Full, bar.SizeBytes, s_hole) };

    private static bool Stays(Bar bar) => bar.Start >= Hole3GPolicy.HoleStart && bar.End <= Frames.FourGiB;
}
