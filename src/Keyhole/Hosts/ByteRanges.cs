// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;

namespace Keyhole.Hosts;

/// <summary>Sets of bytes: sorted ranges that neither overlap nor touch. What goes in may be in any order; what comes out is such a set.</summary>
internal static class ByteRanges
{
    public static ImmutableArray<ByteRange> Union(IEnumerable<ByteRange> ranges)
    {
        List<ByteRange> sorted = [.. ranges];
        sorted.RemoveAll(static range => range.IsEmpty);
        sorted.Sort(static (left, right) => left.Start.CompareTo(right.Start));
        var union = ImmutableArray.CreateBuilder<ByteRange>(sorted.Count);
        foreach (ByteRange range in sorted)
        {
            if (union.Count > 0 && range.Start <= union[^1].End)
                union[^1] = ByteRange.FromBounds(union[^1].Start, ulong.Max(union[^1].End, range.End));
            else
                union.Add(range);
        }

        return union.ToImmutable();
    }

    /// <summary>What is in both sets.</summary>
    public static ImmutableArray<ByteRange> Intersect(ImmutableArray<ByteRange> left, ImmutableArray<ByteRange> right)
    {
        var common = ImmutableArray.CreateBuilder<ByteRange>();
        int i = 0;
        int j = 0;
        while (i < left.Length && j < right.Length)
        {
            ByteRange part = left[i].Intersect(right[j]);
            if (!part.IsEmpty)
                common.Add(part);
            if (left[i].End < right[j].End)
                i++;
            else
                j++;
        }

        return common.ToImmutable();
    }

    /// <summary>What is in the first set and not in the second.</summary>
    public static ImmutableArray<ByteRange> Subtract(ImmutableArray<ByteRange> from, ImmutableArray<ByteRange> taken)
    {
        var left = ImmutableArray.CreateBuilder<ByteRange>();
        int j = 0;
        foreach (ByteRange range in from)
        {
            while (j < taken.Length && taken[j].End <= range.Start)
                j++;
            foreach (RangePiece piece in new RangeMap<ByteRange>(taken.AsSpan(j, taken.Length - j)).Over(range))
            {
                if (piece.IsGap)
                    left.Add(piece.Range);
            }
        }

        return left.ToImmutable();
    }

    /// <summary>The pages that lie whole in the set.</summary>
    public static ImmutableArray<ByteRange> WholePages(ImmutableArray<ByteRange> ranges)
    {
        var pages = ImmutableArray.CreateBuilder<ByteRange>();
        foreach (ByteRange range in ranges)
        {
            ByteRange inner = ByteRange.FromBounds(Align.Up(range.Start, Frames.SizeBytes), Align.Down(range.End, Frames.SizeBytes));
            if (!inner.IsEmpty)
                pages.Add(inner);
        }

        return pages.ToImmutable();
    }

    /// <summary>The pages that the set touches.</summary>
    public static ImmutableArray<ByteRange> TouchedPages(ImmutableArray<ByteRange> ranges)
    {
        List<ByteRange> pages = [];
        foreach (ByteRange range in ranges)
            pages.Add(ByteRange.FromBounds(Align.Down(range.Start, Frames.SizeBytes), Align.Up(range.End, Frames.SizeBytes)));
        return Union(pages);
    }

    public static ulong Sum(ImmutableArray<ByteRange> ranges)
    {
        ulong sum = 0;
        foreach (ByteRange range in ranges)
            sum += range.SizeBytes;
        return sum;
    }

    /// <summary>The largest range, aligned at its start; empty where there is none.</summary>
    public static ByteRange Largest(ImmutableArray<ByteRange> ranges, ulong alignment)
    {
        ByteRange largest = default;
        foreach (ByteRange range in ranges)
        {
            ByteRange aligned = ByteRange.FromBounds(Align.Up(range.Start, alignment), range.End);
            if (aligned.SizeBytes > largest.SizeBytes)
                largest = aligned;
        }

        return largest;
    }
}
