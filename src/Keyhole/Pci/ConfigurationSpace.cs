// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;

namespace Keyhole.Pci;

/// <summary>What a PCI function's configuration space says of its capabilities. Offsets and identifiers: PCI Local Bus Specification 3.0, chapter
/// 6.</summary>
public static class ConfigurationSpace
{
    /// <summary>Bytes in front of the capabilities: all that Linux lets anybody but root read.</summary>
    public const int HeaderBytes = 64;

    private const int StatusOffset = 0x06;
    private const int HasCapabilities = 1 << 4;
    private const int HeaderTypeOffset = 0x0e;
    private const int FirstCapabilityOffset = 0x34;
    private const int EndBytes = 256;

    /// <summary>As many of four bytes as fit behind the header; a list that is longer runs in a circle.</summary>
    private const int MaxCapabilities = (EndBytes - HeaderBytes) / 4;

    private const byte MsixId = 0x11;

    /// <summary>Whether there are capabilities that these bytes end in front of.</summary>
    public static bool HidesCapabilities(ReadOnlySpan<byte> space) => space.Length <= HeaderBytes && First(space) != 0;

    /// <summary>Where the function's MSI-X table lies. Null where it has none, or the bytes end before it is told or make no sense.</summary>
    /// <param name="space">From offset 0 on, as long as it could be read.</param>
    public static MsixTable? FindMsix(ReadOnlySpan<byte> space)
    {
        int at = First(space);
        for (int seen = 0; seen < MaxCapabilities && at >= HeaderBytes && at + 8 <= Math.Min(space.Length, EndBytes); seen++)
        {
            if (space[at] == MsixId)
                return Msix(space.Slice(at, 8));
            at = space[at + 1] & ~3;
        }

        return null;
    }

    private static int First(ReadOnlySpan<byte> space)
    {
        // A device that is gone reads as all ones. Of the header's kinds, devices and bridges have their list here.
        if (space.Length < HeaderBytes || space[HeaderTypeOffset] == 0xff || (space[HeaderTypeOffset] & 0x7f) > 1)
            return 0;
        return (space[StatusOffset] & HasCapabilities) == 0 ? 0 : space[FirstCapabilityOffset] & ~3;
    }

    private static MsixTable? Msix(ReadOnlySpan<byte> capability)
    {
        int vectors = (BinaryPrimitives.ReadUInt16LittleEndian(capability[2..]) & 0x7ff) + 1;
        uint place = BinaryPrimitives.ReadUInt32LittleEndian(capability[4..]);
        int register = (int)(place & 7);
        return register > 5 ? null : new MsixTable(register, place & ~7u, vectors);
    }
}
