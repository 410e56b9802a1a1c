// SPDX-License-Identifier: GPL-2.0-only


namespace Keyhole.Addresses;

/// <summary>A half-open range of bytes [Start, End) of a guest's memory, for what Linux keeps in bytes. The default is empty.</summary>
public readonly struct ByteRange : System.IEquatable<ByteRange>
{
    private ByteRange(ulong start, ulong sizeBytes)
    {
        Start = start;
        SizeBytes = sizeBytes;
    }

    public ulong Start { get; }

    public ulong SizeBytes { get; }

    /// <summary>The first byte behind the range; 0 where it ends at 2^64, less than <see cref="Start"/> where it wraps, as a hostile map may have it.</summary>
    public ulong End => unchecked(Start + SizeBytes);

    public bool IsEmpty => SizeBytes == 0;

    public static ByteRange FromSize(ulong start, ulong sizeBytes) => new(start, sizeBytes);

    public static ByteRange FromBounds(ulong start, ulong end) => new(start, end > start ? end - start : 0);

    public static ByteRange FromFrames(PfnRange frames) => FromBounds(frames.Start.ToAddress(), frames.End.ToAddress());

    /// <summary>The frames that the range touches.</summary>
    public PfnRange Touched => PfnRange.FromBounds(Pfn.Containing(Start), Pfn.AtOrAbove(End));

    public bool Overlaps(ByteRange other) => !IsEmpty && !other.IsEmpty && Start < other.End && other.Start < End;

    public bool Equals(ByteRange other) => Start == other.Start && SizeBytes == other.SizeBytes;

    public override bool Equals(object? obj) => obj is ByteRange other && Equals(other);

    public override int GetHashCode() => unchecked((int)Start ^ (int)(Start >> 12) ^ (int)SizeBytes);

    public static bool operator ==(ByteRange left, ByteRange right) => left.Equals(right);

    public static bool operator !=(ByteRange left, ByteRange right) => !left.Equals(right);
}
