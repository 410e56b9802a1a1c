// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Addresses;

/// <summary>A half-open range of bytes [Start, End) of an address space. The default is empty.</summary>
public readonly partial struct ByteRange : System.IEquatable<ByteRange>, IRanged
{
    private ByteRange(ulong start, ulong sizeBytes)
    {
        Start = start;
        SizeBytes = sizeBytes;
    }

    /// <summary>The first byte.</summary>
    public ulong Start { get; }

    /// <summary>Bytes in the range.</summary>
    public ulong SizeBytes { get; }

    /// <summary>The first byte behind the range; 0 where it ends at 2^64, less than <see cref="Start"/> where it wraps, as a hostile map may have
    /// it.</summary>
    public ulong End => unchecked(Start + SizeBytes);

    /// <summary>Whether there is no byte in it.</summary>
    public bool IsEmpty => SizeBytes == 0;

    /// <summary>The range of <paramref name="sizeBytes"/> bytes from <paramref name="start"/> on; it may wrap at 2^64.</summary>
    public static ByteRange FromSize(ulong start, ulong sizeBytes) => new(start, sizeBytes);

    /// <summary>The range from <paramref name="start"/> to <paramref name="end"/>; empty where the end does not lie behind the start.</summary>
    public static ByteRange FromBounds(ulong start, ulong end) => new(start, end > start ? end - start : 0);

    /// <summary>The bytes of whole pages.</summary>
    public static ByteRange FromFrames(PfnRange frames) => FromBounds(frames.Start.ToAddress(), frames.End.ToAddress());

    /// <summary>The frames that the range touches.</summary>
    public PfnRange Touched => PfnRange.FromBounds(Pfn.Containing(Start), Pfn.AtOrAbove(End));

    ByteRange IRanged.Range => this;

    /// <summary>Whether the byte at <paramref name="address"/> lies in the range.</summary>
    public bool Contains(ulong address) => address >= Start && address - Start < SizeBytes;

    /// <summary>Whether the other range lies in this one, whole. An empty one lies nowhere.</summary>
    public bool Contains(ByteRange other) => !other.IsEmpty && Contains(other.Start) && other.SizeBytes <= SizeBytes - (other.Start - Start);

    /// <summary>What both have; empty where they have nothing in common. A range that wraps has nothing in common with any.</summary>
    public ByteRange Intersect(ByteRange other) => FromBounds(Start > other.Start ? Start : other.Start, End < other.End ? End : other.End);

    /// <summary>Whether both have a byte in common.</summary>
    public bool Overlaps(ByteRange other) => !Intersect(other).IsEmpty;

    /// <inheritdoc/>
    public bool Equals(ByteRange other) => Start == other.Start && SizeBytes == other.SizeBytes;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is ByteRange other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)Start ^ (int)(Start >> 12) ^ (int)SizeBytes);

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(ByteRange left, ByteRange right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(ByteRange left, ByteRange right) => !left.Equals(right);
}
