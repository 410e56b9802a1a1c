// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Platforms.XenHvm;

/// <summary>SeaBIOS behind hvmloader: it leaves BARs alone and hands hvmloader's map on, with its own data in it.</summary>
/// <remarks>Source: the lines "e820 map has … items" of SeaBIOS 1.16 in the records of tests/fixtures/hvm.</remarks>
internal static class XenSeaBios
{
    private const ulong ExtendedBiosData = 0x9fc00;
    private const ulong VideoMemory = 0xa0000;
    private const ulong BiosStart = 0xf0000;
    private const ulong MiB = 0x100000;

    /// <param name="map">hvmloader's.</param>
    /// <param name="keptPages">Pages at the end of low RAM that SeaBIOS keeps.</param>
    public static ImmutableArray<E820Entry> MapOf(ImmutableArray<E820Entry> map, ulong keptPages)
    {
        var made = ImmutableArray.CreateBuilder<E820Entry>();
        made.Add(E820Entry.FromBounds(0, ExtendedBiosData, E820Type.Ram));
        made.Add(E820Entry.FromBounds(ExtendedBiosData, VideoMemory, E820Type.Reserved));
        // What hvmloader reserves for option ROMs is given up but for the last 64 KiB.
        made.Add(E820Entry.FromBounds(BiosStart, MiB, E820Type.Reserved));
        foreach (E820Entry entry in map)
        {
            if (entry.Address < MiB)
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
