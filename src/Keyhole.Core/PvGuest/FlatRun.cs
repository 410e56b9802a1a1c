// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.PvGuest;

/// <summary>Writes numbers that follow each other, at the speed of memory.</summary>
internal static class FlatRun
{
    /// <summary>Fills with <paramref name="first"/>, <paramref name="first"/> + 1, …; modulo 2^64.</summary>
    public static void Fill(Span<ulong> part, ulong first)
    {
        int i = 0;
        // Four independent chains keep the store port busy without vector types, which the probe's core library does not have.
        for (; i + 8 <= part.Length; i += 8)
        {
            Span<ulong> eight = part.Slice(i, 8);
            unchecked
            {
                ulong value = first + (ulong)i;
                eight[0] = value;
                eight[1] = value + 1;
                eight[2] = value + 2;
                eight[3] = value + 3;
                eight[4] = value + 4;
                eight[5] = value + 5;
                eight[6] = value + 6;
                eight[7] = value + 7;
            }
        }

        for (; i < part.Length; i++)
            part[i] = unchecked(first + (ulong)i);
    }
}
