// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Addresses;

/// <summary>
/// A half-open run of machine frames [Start, End). The default is the empty run at frame 0. A run that ends before it starts cannot be built.
/// </summary>
public readonly partial struct MfnRange : System.IEquatable<MfnRange>
{
    private MfnRange(Mfn start, ulong count)
    {
        Start = start;
        Count = count;
    }

    /// <summary>The first frame.</summary>
    public Mfn Start { get; }

    /// <summary>Frames in the run.</summary>
    public ulong Count { get; }

    /// <summary>The first frame behind the run.</summary>
    public Mfn End => new(Start.Value + Count);

    /// <summary>Whether there is no frame in it.</summary>
    public bool IsEmpty => Count == 0;

    /// <summary>The run of <paramref name="count"/> frames from <paramref name="start"/> on.</summary>
    public static MfnRange FromCount(Mfn start, ulong count) => new(start, count);

    /// <summary>The run from <paramref name="start"/> to <paramref name="end"/>; empty at <paramref name="start"/> when the end does not lie behind
    /// it.</summary>
    public static MfnRange FromBounds(Mfn start, Mfn end) => new(start, end > start ? end.Value - start.Value : 0);

    /// <summary>Whether the frame lies in the run.</summary>
    public bool Contains(Mfn mfn) => mfn >= Start && mfn.Value - Start.Value < Count;

    /// <inheritdoc/>
    public bool Equals(MfnRange other) => Start == other.Start && Count == other.Count;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is MfnRange other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((Start.GetHashCode() * 31) ^ (int)Count ^ (int)(Count >> 32));

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(MfnRange left, MfnRange right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(MfnRange left, MfnRange right) => !left.Equals(right);
}
