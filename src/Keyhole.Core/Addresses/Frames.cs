// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Addresses;

/// <summary>The size of a frame and the bounds of frame numbers and addresses.</summary>
public static class Frames
{
    /// <summary>log2 of the bytes in a frame.</summary>
    public const int Shift = 12;

    /// <summary>Bytes in a frame.</summary>
    public const ulong SizeBytes = 1UL << Shift;

    /// <summary>The bits of an address that lie within its frame.</summary>
    public const ulong OffsetMask = SizeBytes - 1;

    /// <summary>Physical addresses of x86 are below this (2^52, the architectural limit), so an exclusive end may equal it.</summary>
    public const ulong AddressLimit = 1UL << 52;

    /// <summary>Frames below <see cref="AddressLimit"/>: 2^40.</summary>
    public const ulong MaxCount = AddressLimit >> Shift;

    /// <summary>The address up to which 32-bit BARs and the PCI hole lie: 4 GiB.</summary>
    public const ulong FourGiB = 1UL << 32;
}
