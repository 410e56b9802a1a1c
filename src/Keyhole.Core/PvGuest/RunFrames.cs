// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;

namespace Keyhole.PvGuest;

/// <summary>A run of frames whose machine frames are to move, as <see cref="RunFrames"/> notes it.</summary>
internal readonly struct PreparedRemap
{
    public PreparedRemap(PfnRange source, Pfn target, Mfn mfn)
    {
        Source = source;
        Target = target;
        Mfn = mfn;
    }

    public PfnRange Source { get; }

    public Pfn Target { get; }

    public Mfn Mfn { get; }
}

/// <summary>
/// Carries a memory setup out in arithmetic, run by run, and counts the hypercalls that Linux would make: the forecast of a guest of 16 TiB
/// costs no more than that of a small one. Xen is taken to do what it is asked.
/// </summary>
internal ref struct RunFrames : IFrames
{
    /// <summary>mfns that a page of Linux's remap list holds: 512 words less next, target and size.</summary>
    public const ulong MfnsPerPage = 509;

    private readonly Span<PreparedRemap> _prepared;
    private readonly Pfn _mappedEnd;
    private readonly Mfn _firstMfn;
    private int _preparedCount;
    private bool _movesForeignFrames;

    /// <param name="runs">Storage for the P2M.</param>
    /// <param name="prepared">Storage for runs to move: one for each hole and each RAM range they fill.</param>
    /// <param name="pageCount">Pages that the guest starts with.</param>
    /// <param name="firstMfn">Their machine frames follow each other from here.</param>
    /// <param name="mappedEnd">The domain builder's page tables map frames below this.</param>
    public RunFrames(Span<P2mRun> runs, Span<PreparedRemap> prepared, ulong pageCount, Mfn firstMfn, Pfn mappedEnd)
    {
        P2m = new(runs, pageCount, firstMfn);
        _prepared = prepared;
        _mappedEnd = mappedEnd;
        _firstMfn = firstMfn;
        _preparedCount = 0;
        _movesForeignFrames = false;
        LinearEnd = new(Frames.MaxCount);
        Counts = default;
        HasOverflowed = false;
    }

    public P2mRuns P2m;

    public HypercallCounts Counts;

    /// <summary>Frames from this on have no linear mapping (32 bits: highmem). None at first.</summary>
    public Pfn LinearEnd;

    /// <summary>There was not enough storage: the P2M is incomplete.</summary>
    public bool HasOverflowed { get; private set; }

    public void SetIdentity(PfnRange range) => P2m.Set(new(range, P2mKind.Identity, default));

    public void Invalidate(PfnRange range) => P2m.Set(new(range, P2mKind.Invalid, default));

    public void InvalidateUnlessIdentity(PfnRange range)
    {
        range = Existing(range);
        Pfn next = range.Start;
        while (next < range.End)
        {
            P2mRun run = P2m.Find(next);
            PfnRange part = run.Range.Intersect(range);
            if (run.Kind != P2mKind.Identity)
                P2m.Set(new(part, P2mKind.Invalid, default));
            next = part.End;
        }
    }

    public void InvalidateUnlessLeafIsIdentity(Pfn pfn)
    {
        if (pfn.Value >= Frames.MaxCount)
            return;
        PfnRange leaf = P2mEntry.LeafOf(pfn);
        P2mRun run = P2m.Find(pfn);
        if (run.Kind != P2mKind.Identity || run.Range.Start > leaf.Start || run.Range.End < leaf.End)
            P2m.Set(new(PfnRange.FromCount(pfn, 1), P2mKind.Invalid, default));
    }

    public ulong Release(PfnRange range, bool stopsAtFailure)
    {
        ulong released = 0;
        range = Existing(range);
        Pfn next = range.Start;
        while (next < range.End)
        {
            P2mRun run = P2m.Find(next);
            PfnRange part = run.Range.Intersect(range);
            next = part.End;
            if (run.Kind == P2mKind.Identity)
            {
                // A page that two holes share is identity already. Linux takes it for a page of its own, and Xen does not take that back.
                Counts.DecreaseReservation += stopsAtFailure ? 1 : part.Count;
                if (stopsAtFailure)
                    break;
            }

            if (!run.HasFrames)
                continue;
            released += part.Count;
            P2m.Set(new(part, P2mKind.Invalid, default));
        }

        Counts.DecreaseReservation += released;
        return released;
    }

    public ulong Populate(PfnRange range)
    {
        ulong populated = 0;
        range = Existing(range);
        Pfn next = range.Start;
        while (next < range.End)
        {
            P2mRun run = P2m.Find(next);
            PfnRange part = run.Range.Intersect(range);
            next = part.End;
            if (run.Kind != P2mKind.Invalid)
                continue;
            populated += part.Count;
            P2m.Set(new(part, P2mKind.Ram, new Mfn(P2mRun.UnknownMfn)));
        }

        Counts.PopulatePhysmap += populated;
        return populated;
    }

    public bool MoveNow(PfnRange source, Pfn target)
    {
        // Two holes that share a page: it is identity already when its turn comes again, and Xen refuses to move what is no frame of the guest's.
        if (P2m.CountOf(P2mKind.Ram, source) != source.Count)
            return false;
        PfnRange moved = PfnRange.FromCount(target, source.Count);
        P2m.Set(new(source, P2mKind.Identity, default));
        P2m.Set(new(moved, P2mKind.Remapped, _firstMfn.Plus(source.Start.Value)));
        Counts.MmuUpdate += source.Count;
        return true;
    }

    public bool PrepareRemap(PfnRange source, Pfn target)
    {
        if (_preparedCount == _prepared.Length)
        {
            HasOverflowed = true;
            return true;
        }

        // A map that ends within a page below the guest's end: that page is identity already when its turn comes, and Xen refuses to move what
        // is no frame of the guest's.
        _movesForeignFrames |= P2m.CountOf(P2mKind.Ram, source) != source.Count;
        _prepared[_preparedCount] = new(source, target, _firstMfn.Plus(source.Start.Value));
        _preparedCount++;
        P2m.Set(new(source, P2mKind.Identity, default));
        Counts.UpdateVaMapping += Pages(source.Count) + 1;
        return true;
    }

    public HaltReason Remap(ref ExtraMemory extra, out ulong remapped)
    {
        remapped = 0;
        if (_movesForeignFrames)
            return HaltReason.RemapFailed;
        // One region for as long as runs join downwards, as they do in the list, whose last page comes first.
        PfnRange joined = default;
        for (int i = _preparedCount - 1; i >= 0; i--)
        {
            PreparedRemap run = _prepared[i];
            PfnRange target = PfnRange.FromCount(run.Target, run.Source.Count);
            P2m.Set(new(target, P2mKind.Remapped, run.Mfn));
            remapped += target.Count;
            Counts.UpdateVaMapping += Pages(target.Count) + target.Intersect(PfnRange.FromBounds(default, LinearEnd)).Count;
            Counts.MmuUpdate += target.Count;
            if (joined.IsEmpty || target.End == joined.Start)
            {
                joined = PfnRange.FromCount(target.Start, joined.Count + target.Count);
                continue;
            }

            if (!extra.Remove(ByteRange.FromFrames(joined)))
                return HaltReason.ExtraMemoryMismatch;
            joined = target;
        }

        if (!joined.IsEmpty && !extra.Remove(ByteRange.FromFrames(joined)))
            return HaltReason.ExtraMemoryMismatch;
        Counts.UpdateVaMapping++;
        return HasOverflowed || P2m.HasOverflowed ? HaltReason.TooManyPieces : HaltReason.None;
    }

    public void RemapNonRam(Mfn source, PfnRange target) => P2m.Set(new(target, P2mKind.NonRam, source));

    public void RemapAddresses(PfnRange range, bool zaps) =>
        Counts.UpdateVaMapping += range.Intersect(PfnRange.FromBounds(default, _mappedEnd)).Count;

    /// <summary>The part of a range below 2^40: other frames do not exist, and no run holds them.</summary>
    private static PfnRange Existing(PfnRange range) => range.Intersect(PfnRange.FromBounds(default, new Pfn(Frames.MaxCount)));

    private static ulong Pages(ulong count) => (count + MfnsPerPage - 1) / MfnsPerPage;
}
