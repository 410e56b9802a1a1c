// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.XenHvm;

/// <summary>SeaBIOS behind hvmloader: it leaves BARs alone and hands hvmloader's map on, with its own data in it.</summary>
/// <remarks>Source: the lines "e820 map has … items" of SeaBIOS 1.16 in the records of tests/fixtures/hvm.</remarks>
internal static class XenSeaBios
{
    /// <param name="map">hvmloader's.</param>
    /// <param name="keptPages">Pages at the end of low RAM that SeaBIOS keeps.</param>
    public static ImmutableArray<E820Entry> MapOf(ImmutableArray<E820Entry> map, ulong keptPages)
    {
        var made = ImmutableArray.CreateBuilder<E820Entry>();
        made.Add(E820Entry.FromBounds(0, SeaBiosMap.ExtendedBiosData, E820Type.Ram));
        made.Add(E820Entry.FromBounds(SeaBiosMap.ExtendedBiosData, X86Layout.IsaStart, E820Type.Reserved));
        // What hvmloader reserves for option ROMs is given up but for the last 64 KiB.
        made.Add(E820Entry.FromBounds(X86Layout.SystemBiosStart, X86Layout.IsaEnd, E820Type.Reserved));
        foreach (E820Entry entry in map)
        {
            if (entry.Address < X86Layout.IsaEnd)
                continue;
            if (!entry.IsRam || entry.Address >= Frames.FourGiB)
            {
                made.Add(entry);
                continue;
            }

            ulong end = entry.End - (keptPages << Frames.Shift);
            made.Add(E820Entry.FromBounds(entry.Address, end, E820Type.Ram));
            made.Add(E820Entry.FromBounds(end, entry.End, E820Type.Reserved));
        }

        return made.ToImmutable();
    }
}
