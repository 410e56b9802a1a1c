// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;

namespace Keyhole.Simulation;

/// <summary>Pages of a guest whose pfns and mfns both ascend by one: pfn <c>Pfn + i</c> is mfn <c>Mfn + i</c> for i below
/// <see cref="Count"/>.</summary>
internal readonly struct FrameRun : IEquatable<FrameRun>
{
    public FrameRun(Pfn pfn, Mfn mfn, ulong count)
    {
        Pfn = pfn;
        Mfn = mfn;
        Count = count;
    }

    public Pfn Pfn { get; }

    public Mfn Mfn { get; }

    /// <summary>Pages in the run.</summary>
    public ulong Count { get; }

    /// <inheritdoc/>
    public bool Equals(FrameRun other) => Pfn == other.Pfn && Mfn == other.Mfn && Count == other.Count;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is FrameRun other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Pfn, Mfn, Count);

    public static bool operator ==(FrameRun left, FrameRun right) => left.Equals(right);

    public static bool operator !=(FrameRun left, FrameRun right) => !left.Equals(right);

    /// <inheritdoc/>
    public override string ToString() => $"pfn [0x{Pfn.Value:x}, 0x{unchecked(Pfn.Value + Count):x}) = mfn 0x{Mfn.Value:x}…";
}
