// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;

namespace Keyhole.PvGuest;

/// <summary>What stands behind a guest's frames.</summary>
public enum P2mKind
{
    /// <summary>No machine frame.</summary>
    Invalid,

    /// <summary>A machine frame that the guest was given there.</summary>
    Ram,

    /// <summary>A machine frame that was moved there.</summary>
    Remapped,

    /// <summary>The machine frame of the same number: a device's, or nobody's.</summary>
    Identity,

    /// <summary>Machine frames that are no RAM and were moved here: ACPI NVS that lay where the kernel does (7.2).</summary>
    NonRam,
}

/// <summary>Frames in a row with the same thing behind them: machine frames that follow each other, identity, or nothing.</summary>
public readonly struct P2mRun : IEquatable<P2mRun>, IRanged
{
    /// <summary>The <see cref="Mfn"/> of RAM of which it is not known which machine frame Xen gave.</summary>
    public const ulong UnknownMfn = ulong.MaxValue >> 1;

    /// <summary>A run of frames; <paramref name="mfn"/> is the first machine frame behind it, 0 where there is none.</summary>
    public P2mRun(PfnRange range, P2mKind kind, Mfn mfn)
    {
        Range = range;
        Kind = kind;
        Mfn = mfn;
    }

    /// <summary>The guest's frames.</summary>
    public PfnRange Range { get; }

    /// <summary>What is behind them.</summary>
    public P2mKind Kind { get; }

    ByteRange IRanged.Range => ByteRange.FromFrames(Range);

    /// <summary>The first machine frame; 0 for identity and where there is none.</summary>
    public Mfn Mfn { get; }

    /// <summary>Whether the run carries machine frames in a row.</summary>
    public bool HasFrames => Kind is P2mKind.Ram or P2mKind.Remapped or P2mKind.NonRam;

    /// <inheritdoc/>
    public bool Equals(P2mRun other) => Range == other.Range && Kind == other.Kind && Mfn == other.Mfn;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is P2mRun other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Range.GetHashCode() ^ (int)Kind;

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(P2mRun left, P2mRun right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(P2mRun left, P2mRun right) => !left.Equals(right);

    /// <summary>The part of the run within <paramref name="range"/>, machine frames moved along.</summary>
    internal P2mRun Cut(PfnRange range)
    {
        PfnRange part = Range.Intersect(range);
        bool movesFrames = HasFrames && Mfn.Value != UnknownMfn;
        return new(part, Kind, movesFrames ? Mfn.Plus(part.Start.Value - Range.Start.Value) : Mfn);
    }

    internal bool Continues(P2mRun left)
    {
        if (left.Range.End != Range.Start || left.Kind != Kind)
            return false;
        if (!HasFrames || (Mfn.Value == UnknownMfn && left.Mfn.Value == UnknownMfn))
            return true;
        return Mfn.Value != UnknownMfn && left.Mfn.Value != UnknownMfn && Mfn.Value == left.Mfn.Value + left.Range.Count;
    }
}

/// <summary>
/// A guest's P2M as sorted runs without gaps from frame 0 to 2^40, over a span of the caller's. Costs grow with runs, never with pages.
/// </summary>
internal ref struct P2mRuns
{
    private readonly Span<P2mRun> _runs;

    /// <summary>A P2M in which frames 0 to <paramref name="pageCount"/> have machine frames in a row and all others are identity.</summary>
    public P2mRuns(Span<P2mRun> storage, ulong pageCount, Mfn firstMfn)
    {
        _runs = storage;
        _runs[0] = new(PfnRange.FromBounds(default, new Pfn(Frames.MaxCount)), P2mKind.Identity, default);
        Count = 1;
        HasOverflowed = false;
        if (pageCount > 0)
            Set(new(PfnRange.FromCount(default, pageCount), P2mKind.Ram, firstMfn));
    }

    public int Count { get; private set; }

    /// <summary>The span was too small: some of what was set is missing.</summary>
    public bool HasOverflowed { get; private set; }

    public readonly ReadOnlySpan<P2mRun> Runs => _runs.Slice(0, Count);

    /// <summary>The run that holds a frame below 2^40.</summary>
    public readonly P2mRun Find(Pfn pfn) => _runs[IndexOf(pfn)];

    /// <summary>Puts a run in the place of whatever its frames had. Frames from 2^40 on do not exist and are left out.</summary>
    public void Set(P2mRun run)
    {
        run = run.Cut(PfnRange.FromBounds(default, new Pfn(Frames.MaxCount)));
        if (run.Range.IsEmpty)
            return;
        int first = IndexOf(run.Range.Start);
        int last = IndexOf(new Pfn(run.Range.End.Value - 1));
        P2mRun before = _runs[first].Cut(PfnRange.FromBounds(_runs[first].Range.Start, run.Range.Start));
        P2mRun after = _runs[last].Cut(PfnRange.FromBounds(run.Range.End, _runs[last].Range.End));

        Span<P2mRun> replacement = stackalloc P2mRun[5];
        int count = 0;
        if (first > 0)
            Append(replacement, ref count, _runs[first - 1]);
        Append(replacement, ref count, before);
        Append(replacement, ref count, run);
        Append(replacement, ref count, after);
        if (last + 1 < Count)
            Append(replacement, ref count, _runs[last + 1]);

        int from = first > 0 ? first - 1 : first;
        int behind = last + 1 < Count ? last + 2 : last + 1;
        int newCount = Count - (behind - from) + count;
        if (newCount > _runs.Length)
        {
            HasOverflowed = true;
            return;
        }

        _runs.Slice(behind, Count - behind).CopyTo(_runs.Slice(from + count));
        replacement.Slice(0, count).CopyTo(_runs.Slice(from));
        Count = newCount;
    }

    /// <summary>Pages of a kind in <paramref name="range"/>.</summary>
    public readonly ulong CountOf(P2mKind kind, PfnRange range)
    {
        ulong sum = 0;
        foreach (P2mRun run in Runs)
        {
            if (run.Kind == kind)
                sum += run.Range.Intersect(range).Count;
        }

        return sum;
    }

    /// <summary>
    /// Writes the flat list as Linux keeps it: entry i is the mfn of frame i, all ones where there is none, bit 62 set where it is identity.
    /// </summary>
    public readonly void WriteTo(Span<ulong> list)
    {
        foreach (P2mRun run in Runs)
        {
            if (run.Range.Start.Value >= (ulong)list.Length)
                return;
            int start = (int)run.Range.Start.Value;
            ulong end = run.Range.End.Value;
            Span<ulong> part = list.Slice(start, (end < (ulong)list.Length ? (int)end : list.Length) - start);
            if (run.Kind == P2mKind.Invalid || run.Mfn.Value == P2mRun.UnknownMfn)
                part.Fill(P2mEntry.Invalid);
            else
                FlatRun.Fill(part, run.Kind == P2mKind.Identity ? P2mEntry.IdentityBit | run.Range.Start.Value : run.Mfn.Value);
        }
    }

    /// <summary>
    /// Pages that Linux's three-level form of the list takes up to <paramref name="end"/>: one leaf for each 512 frames that are not all
    /// identity or all invalid (those share one page each), one middle page for each 2^18 frames that have a leaf of their own, one top page.
    /// </summary>
    public readonly ulong CountTreePages(Pfn end)
    {
        const int LeafShift = 9;
        const int MiddleShift = 18;
        ulong leaves = 0;
        ulong middles = 0;
        ulong nextLeaf = 0;
        ulong nextMiddle = 0;
        foreach (P2mRun run in Runs)
        {
            PfnRange part = run.Range.Intersect(PfnRange.FromBounds(default, end));
            if (part.IsEmpty)
                continue;
            ulong firstLeaf = part.Start.Value >> LeafShift;
            ulong lastLeaf = (part.End.Value - 1) >> LeafShift;
            if (!run.HasFrames)
            {
                // Leaves that the run shares with a neighbour are not all of one kind.
                bool sharesFirst = (part.Start.Value & 511) != 0;
                bool sharesLast = (part.End.Value & 511) != 0 && part.End != end;
                AddLeaves(sharesFirst ? firstLeaf : firstLeaf + 1, firstLeaf, ref leaves, ref middles, ref nextLeaf, ref nextMiddle, MiddleShift
                    - LeafShift);
                AddLeaves(sharesLast ? lastLeaf : lastLeaf + 1, lastLeaf, ref leaves, ref middles, ref nextLeaf, ref nextMiddle, MiddleShift
                    - LeafShift);
                continue;
            }

            AddLeaves(firstLeaf, lastLeaf, ref leaves, ref middles, ref nextLeaf, ref nextMiddle, MiddleShift - LeafShift);
        }

        return 1 + middles + leaves;
    }

    private static void AddLeaves(ulong first, ulong last, ref ulong leaves, ref ulong middles, ref ulong nextLeaf, ref ulong nextMiddle,
        int middleShift)
    {
        if (first < nextLeaf)
            first = nextLeaf;
        if (first > last)
            return;
        leaves += last - first + 1;
        nextLeaf = last + 1;
        ulong firstMiddle = first >> middleShift;
        ulong lastMiddle = last >> middleShift;
        if (firstMiddle < nextMiddle)
            firstMiddle = nextMiddle;
        if (firstMiddle > lastMiddle)
            return;
        middles += lastMiddle - firstMiddle + 1;
        nextMiddle = lastMiddle + 1;
    }

    private readonly int IndexOf(Pfn pfn)
    {
        int low = 0;
        int high = Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) >> 1;
            if (_runs[middle].Range.Start <= pfn)
                low = middle;
            else
                high = middle - 1;
        }

        return low;
    }

    private static void Append(Span<P2mRun> replacement, ref int count, P2mRun run)
    {
        if (run.Range.IsEmpty)
            return;
        if (count > 0 && run.Continues(replacement[count - 1]))
        {
            P2mRun left = replacement[count - 1];
            replacement[count - 1] = new(PfnRange.FromBounds(left.Range.Start, run.Range.End), left.Kind, left.Mfn);
            return;
        }

        replacement[count] = run;
        count++;
    }
}
