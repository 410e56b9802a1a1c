// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.InteropServices;
using Keyhole.Addresses;

namespace Keyhole.E820;

/// <summary>
/// One row of an E820 map, in the 20-byte form in which firmware, Xen and Linux exchange it: u64 address, u64 size, u32 type, packed.
/// Address and size are in bytes. The default is an empty entry at 0 of no type.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly partial struct E820Entry : System.IEquatable<E820Entry>, IRanged
{
    /// <summary>Bytes of an entry on the wire.</summary>
    public const int WireSizeBytes = 20;

    private E820Entry(ulong address, ulong size, E820Type type)
    {
        Address = address;
        Size = size;
        Type = type;
    }

    /// <summary>The first address, in bytes.</summary>
    public ulong Address { get; }

    /// <summary>Bytes of the entry; with <see cref="Address"/> it may go beyond 2^64 (<see cref="Wraps"/>).</summary>
    public ulong Size { get; }

    /// <summary>What is there; any number is valid.</summary>
    public E820Type Type { get; }

    /// <summary>The first address behind the entry; 0 where the entry ends at 2^64, less than <see cref="Address"/> where it wraps.</summary>
    public ulong End => unchecked(Address + Size);

    /// <summary>Whether address + size does not fit 64 bits. A map with such an entry is not sanitised by Linux.</summary>
    public bool Wraps => Size > ulong.MaxValue - Address;

    /// <summary>The addresses of the entry. Of one that wraps, those up to the last that 64 bits hold.</summary>
    public ByteRange Range => ByteRange.FromBounds(Address, Wraps ? ulong.MaxValue : End);

    /// <summary>Whether it is of type <see cref="E820Type.Ram"/>.</summary>
    public bool IsRam => Type == E820Type.Ram;

    /// <summary>The entry of <paramref name="sizeBytes"/> bytes from <paramref name="address"/> on; it may wrap.</summary>
    public static E820Entry FromSize(ulong address, ulong sizeBytes, E820Type type) => new(address, sizeBytes, type);

    /// <summary>The entry [start, end); empty where the end does not lie behind the start.</summary>
    public static E820Entry FromBounds(ulong start, ulong end, E820Type type) => new(start, end > start ? end - start : 0, type);

    /// <summary>Whether the byte at <paramref name="address"/> lies in the entry.</summary>
    public bool Contains(ulong address) => address >= Address && address - Address < Size;

    /// <summary>The same addresses with another type.</summary>
    public E820Entry WithType(E820Type type) => new(Address, Size, type);

    /// <inheritdoc/>
    public bool Equals(E820Entry other) => Address == other.Address && Size == other.Size && Type == other.Type;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is E820Entry other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)Address ^ (int)(Address >> 12) ^ ((int)(Size >> 12) * 31) ^ (int)Type);

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(E820Entry left, E820Entry right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(E820Entry left, E820Entry right) => !left.Equals(right);
}
