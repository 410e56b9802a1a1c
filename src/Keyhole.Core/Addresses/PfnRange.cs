// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Addresses;

/// <summary>
/// A half-open run of frames [Start, End). The default is the empty run at frame 0. A run that ends before it starts cannot be built.
/// </summary>
public readonly partial struct PfnRange : System.IEquatable<PfnRange>
{
    private PfnRange(Pfn start, ulong count)
    {
        Start = start;
        Count = count;
    }

    /// <summary>The first frame.</summary>
    public Pfn Start { get; }

    /// <summary>Frames in the run.</summary>
    public ulong Count { get; }

    /// <summary>The first frame behind the run.</summary>
    public Pfn End => new(Start.Value + Count);

    /// <summary>Whether there is no frame in it.</summary>
    public bool IsEmpty => Count == 0;

    /// <summary>The run of <paramref name="count"/> frames from <paramref name="start"/> on.</summary>
    public static PfnRange FromCount(Pfn start, ulong count) => new(start, count);

    /// <summary>The run from <paramref name="start"/> to <paramref name="end"/>; empty at <paramref name="start"/> when the end does not lie behind
    /// it.</summary>
    public static PfnRange FromBounds(Pfn start, Pfn end) => new(start, end > start ? end.Value - start.Value : 0);

    /// <summary>Whether the frame lies in the run.</summary>
    public bool Contains(Pfn pfn) => pfn >= Start && pfn.Value - Start.Value < Count;

    /// <summary>Whether both have a frame in common.</summary>
    public bool Overlaps(PfnRange other) => !IsEmpty && !other.IsEmpty && Start < other.End && other.Start < End;

    /// <summary>The frames in both; empty (at the later start) when there are none.</summary>
    public PfnRange Intersect(PfnRange other) =>
        FromBounds(Start > other.Start ? Start : other.Start, End < other.End ? End : other.End);

    /// <inheritdoc/>
    public bool Equals(PfnRange other) => Start == other.Start && Count == other.Count;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is PfnRange other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((Start.GetHashCode() * 31) ^ (int)Count ^ (int)(Count >> 32));

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(PfnRange left, PfnRange right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(PfnRange left, PfnRange right) => !left.Equals(right);
}
