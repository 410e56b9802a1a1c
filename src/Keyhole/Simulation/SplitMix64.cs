// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Simulation;

/// <summary>Numbers that look random and are the same each time: the library may not ask for chance.</summary>
internal static class SplitMix64
{
    /// <summary>The next of the row that starts with a seed.</summary>
    public static ulong Next(ref ulong state)
    {
        unchecked
        {
            state += 0x9e37_79b9_7f4a_7c15;
            ulong mixed = (state ^ (state >> 30)) * 0xbf58_476d_1ce4_e5b9;
            mixed = (mixed ^ (mixed >> 27)) * 0x94d0_49bb_1331_11eb;
            return mixed ^ (mixed >> 31);
        }
    }

    /// <summary>The first of the row: a bijection that spreads every bit.</summary>
    public static ulong Mix(ulong seed) => Next(ref seed);
}
