// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Addresses;

/// <summary>
/// A frame number of the machine, in pages of 4 KiB. The default is frame 0, a valid frame.
/// </summary>
/// <remarks>
/// Range: 0 to <see cref="Frames.MaxCount"/> inclusive (the end of the last frame is a valid exclusive bound).
/// Frames cannot be added by accident: <see cref="Plus"/> says that it moves, and overflow is checked.
/// </remarks>
public readonly partial struct Mfn : System.IEquatable<Mfn>, System.IComparable<Mfn>
{
    /// <summary>The frame of that number.</summary>
    public Mfn(ulong value) => Value = value;

    /// <summary>The number: the frame's address in units of 4 KiB.</summary>
    public ulong Value { get; }

    /// <summary>The frame that holds the byte at <paramref name="address"/>.</summary>
    public static Mfn Containing(ulong address) => new(address >> Frames.Shift);

    /// <summary>The first frame that starts at or above <paramref name="address"/>; correct up to 2^64 − 1.</summary>
    public static Mfn AtOrAbove(ulong address) => new((address >> Frames.Shift) + ((address & Frames.OffsetMask) == 0 ? 0UL : 1UL));

    /// <summary>The byte address at which this frame starts. The frame must be at most <see cref="Frames.MaxCount"/>.</summary>
    public ulong ToAddress() => Value << Frames.Shift;

    /// <summary>The frame so many pages further on. Overflow is checked.</summary>
    public Mfn Plus(ulong pageCount) => new(Value + pageCount);

    /// <inheritdoc/>
    public bool Equals(Mfn other) => Value == other.Value;

    /// <inheritdoc/>
    public int CompareTo(Mfn other) => Value < other.Value ? -1 : Value > other.Value ? 1 : 0;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Mfn other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)Value ^ (int)(Value >> 32));

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(Mfn left, Mfn right) => left.Value == right.Value;

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(Mfn left, Mfn right) => left.Value != right.Value;

    /// <summary>Whether the left one comes before the right one.</summary>
    public static bool operator <(Mfn left, Mfn right) => left.Value < right.Value;

    /// <summary>Whether the left one comes behind the right one.</summary>
    public static bool operator >(Mfn left, Mfn right) => left.Value > right.Value;

    /// <summary>Whether the left one does not come behind the right one.</summary>
    public static bool operator <=(Mfn left, Mfn right) => left.Value <= right.Value;

    /// <summary>Whether the left one does not come before the right one.</summary>
    public static bool operator >=(Mfn left, Mfn right) => left.Value >= right.Value;
}
