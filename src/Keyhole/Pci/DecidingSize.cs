// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Pci;

/// <summary>Of BARs that together do not fit, which decide: those for which there is no room beside all that are smaller.</summary>
internal static class DecidingSize
{
    /// <summary>The smallest size that decides.</summary>
    /// <param name="sizes">Of all BARs that share the room, in bytes; sorted on return.</param>
    /// <param name="needed">What they take, bridges' windows included.</param>
    /// <param name="room">What there is.</param>
    /// <param name="bridgesOnly">Whether the windows of bridges alone need more, whatever the BARs are.</param>
    public static ulong Of(Span<ulong> sizes, ulong needed, ulong room, out bool bridgesOnly)
    {
        bridgesOnly = false;
        if (sizes.IsEmpty)
            return 0;
        sizes.Sort();
        ulong sum = 0;
        foreach (ulong size in sizes)
            sum = Saturated(sum, size);
        // What bridges take beyond the BARs behind them is there, whichever of these is left out.
        ulong bridges = needed > sum ? needed - sum : 0;
        bridgesOnly = bridges > room;
        if (bridgesOnly)
            return 0;
        ulong taken = bridges;
        foreach (ulong size in sizes)
        {
            taken = Saturated(taken, size);
            if (taken > room)
                return size;
        }

        // All would fit side by side: it is the largest that finds no aligned place.
        return sizes[^1];
    }

    private static ulong Saturated(ulong a, ulong b) => a > ulong.MaxValue - b ? ulong.MaxValue : a + b;
}
