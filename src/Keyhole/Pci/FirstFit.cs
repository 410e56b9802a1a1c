// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;

namespace Keyhole.Pci;

/// <summary>
/// Where a size fits into a window, aligned, beside what is taken: the arithmetic of a policy's hole. Real firmwares place BARs by algorithms of
/// their own, each in its file.
/// </summary>
internal static class FirstFit
{
    /// <summary>The lowest place; null where there is none.</summary>
    /// <param name="taken">Sorted by start.</param>
    /// <param name="sizeBytes">At least 1.</param>
    /// <param name="alignment">A power of two.</param>
    public static ulong? Lowest(ByteRange window, ReadOnlySpan<ByteRange> taken, ulong sizeBytes, ulong alignment)
    {
        foreach (RangePiece piece in new RangeMap<ByteRange>(taken).Over(window))
        {
            if (!piece.IsGap)
                continue;
            ulong skipped = unchecked(0 - piece.Range.Start) & (alignment - 1);
            if (skipped <= piece.Range.SizeBytes && sizeBytes <= piece.Range.SizeBytes - skipped)
                return piece.Range.Start + skipped;
        }

        return null;
    }

    /// <summary>The highest place in a window where nothing is taken; null where there is none.</summary>
    public static ulong? Highest(ByteRange window, ulong sizeBytes, ulong alignment)
    {
        if (sizeBytes > window.SizeBytes)
            return null;
        ulong start = Align.Down(window.End - sizeBytes, alignment);
        return start >= window.Start ? start : null;
    }
}
