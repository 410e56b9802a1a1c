// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Hypercalls;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>Gives pages back to Xen and takes them again, as a balloon does.</summary>
internal static unsafe class BalloonChecks
{
    /// <summary>Runs of frames that a balloon takes pages from, at most.</summary>
    private const int MaxRuns = 512;

    /// <summary>Down and up by the topmost frames that are not the probe's own, as many as there are of those wanted.</summary>
    public static void Run(ulong wanted, ref BatchedFrames<RealXen, FrameMapper> frames, OwnFrames own, Span<PhaseFigures> figures)
    {
        Activity.Begin(Task.Ballooning);
        Span<PfnRange> runs = TopmostRuns(frames.P2m, own, wanted, out ulong taken);
        long before = default(RealXen).CurrentReservation(DomainId.Self);
        frames.ForgetFailure();
        var check = new Check();

        PhaseFigures begun = Phases.Begin();
        ulong down = Down(runs, ref frames, ref check, out long unmapped);
        Phases.End(figures, Phase.BalloonDown, begun, down);
        long between = default(RealXen).CurrentReservation(DomainId.Self);

        begun = Phases.Begin();
        ulong up = Up(runs, ref frames, out long mapped);
        Phases.End(figures, Phase.BalloonUp, begun, up);
        long after = default(RealXen).CurrentReservation(DomainId.Self);
        if (mapped == 0)
            LookAt(runs, frames.P2m, ref check);

        long error = unmapped != 0 ? unmapped : frames.Error != 0 ? frames.Error : mapped;
        bool reckons = before - between == (long)down && after - between == (long)up;
        Check.Begin("balloon"u8, taken > 0 && down == taken && up == taken && error == 0 && check.Failed == 0 && reckons);
        Json.Hex("start"u8, runs.IsEmpty ? 0 : runs[runs.Length - 1].Start.Value);
        Json.Hex("end"u8, runs.IsEmpty ? 0 : runs[0].End.Value);
        Json.Number("wanted"u8, wanted);
        Json.Number("down"u8, down);
        Json.Number("up"u8, up);
        Json.Signed("reservationBefore"u8, before);
        Json.Signed("reservationBetween"u8, between);
        Json.Signed("reservationAfter"u8, after);
        if (error != 0 || check.Failed > 0)
        {
            Json.Signed("error"u8, error);
            Json.Hex("pfn"u8, frames.Error != 0 ? frames.FailedPfn.Value : check.Pfn);
            Json.Hex("mfn"u8, frames.Error != 0 ? frames.FailedMfn.Value : check.Mfn);
        }

        Json.End();
    }

    /// <summary>Populates extra memory until Xen has no more for this domain: the check passes when what it gave is what it reckons.</summary>
    public static void TryExtra(ulong wanted, ref BatchedFrames<RealXen, FrameMapper> frames, ReadOnlySpan<ByteRange> extra)
    {
        Activity.Begin(Task.Ballooning);
        long limit = default(RealXen).MaximumReservation(DomainId.Self);
        long before = default(RealXen).CurrentReservation(DomainId.Self);
        frames.ForgetFailure();
        ulong got = 0;
        ulong asked = 0;
        foreach (ByteRange region in extra)
        {
            PfnRange whole = PfnRange.FromBounds(Pfn.AtOrAbove(region.Start), Pfn.Containing(region.End));
            ulong part = whole.Count < wanted - asked ? whole.Count : wanted - asked;
            asked += part;
            got += frames.Populate(PfnRange.FromCount(whole.Start, part));
        }

        long after = default(RealXen).CurrentReservation(DomainId.Self);
        Check.Begin("extraMemory"u8, after - before == (long)got && (limit < 0 || after <= limit));
        Json.Number("asked"u8, asked);
        Json.Number("got"u8, got);
        Json.Signed("error"u8, frames.Error);
        Json.Hex("pfn"u8, frames.FailedPfn.Value);
        Json.Signed("reservation"u8, after);
        Json.Signed("maximum"u8, limit);
        Json.End();
    }

    private static ulong Down(ReadOnlySpan<PfnRange> runs, ref BatchedFrames<RealXen, FrameMapper> frames, ref Check check, out long unmapped)
    {
        unmapped = 0;
        ulong down = 0;
        foreach (PfnRange run in runs)
        {
            Activity.Subject = run.Start.Value;
            ulong mfn = frames.P2m[(int)run.Start.Value];
            unmapped = AddressSpace.Unmap(run.Start.Value, run.Count);
            if (unmapped != 0)
                break;
            ulong released = frames.Release(run, stopsAtFailure: true);
            down += released;
            // A page given away that can still be read is somebody else's.
            uint value = 0;
            if (Native.TryRead(AddressSpace.AddressOf(run.Start.Value), &value))
                check.Fail(run.Start.Value, mfn, value);
            if (released < run.Count)
                break;
        }

        return down;
    }

    /// <summary>Runs that did not go down take nothing: their frames are there.</summary>
    private static ulong Up(ReadOnlySpan<PfnRange> runs, ref BatchedFrames<RealXen, FrameMapper> frames, out long mapped)
    {
        mapped = 0;
        ulong up = 0;
        foreach (PfnRange run in runs)
        {
            Activity.Subject = run.Start.Value;
            ulong populated = frames.Populate(run);
            up += populated;
            FrameMapper.Map(PfnRange.FromCount(run.Start, populated), frames.P2m, out mapped);
            if (mapped != 0 || populated < run.Count)
                break;
        }

        return up;
    }

    /// <summary>The topmost run first.</summary>
    private static Span<PfnRange> TopmostRuns(ReadOnlySpan<ulong> p2m, OwnFrames own, ulong wanted, out ulong taken)
    {
        Span<PfnRange> runs = Arena.Take<PfnRange>(MaxRuns);
        int count = 0;
        taken = 0;
        ulong end = (ulong)p2m.Length;
        while (count < runs.Length && taken < wanted)
        {
            while (end > 0 && !IsFree(p2m, own, end - 1))
                end--;
            ulong start = end;
            while (start > 0 && taken < wanted && IsFree(p2m, own, start - 1))
            {
                start--;
                taken++;
            }

            if (start == end)
                break;
            runs[count] = PfnRange.FromBounds(new Pfn(start), new Pfn(end));
            count++;
            end = start;
        }

        return runs.Slice(0, count);
    }

    /// <summary>Below the builder's end a frame has a second address: it would stay mapped.</summary>
    private static bool IsFree(ReadOnlySpan<ulong> p2m, OwnFrames own, ulong pfn) =>
        pfn >= FrameMapper.BuilderMappedEnd && FirmwareFrames.IsRam(p2m[(int)pfn], pfn) && !own.Contains(pfn);

    private static void LookAt(ReadOnlySpan<PfnRange> runs, ReadOnlySpan<ulong> p2m, ref Check check)
    {
        foreach (PfnRange run in runs)
        {
            for (ulong pfn = run.Start.Value; pfn < run.End.Value; pfn++)
            {
                if (P2mEntry.HasFrame(p2m[(int)pfn]))
                    *(ulong*)AddressSpace.AddressOf(pfn) = pfn;
            }
        }

        foreach (PfnRange run in runs)
        {
            for (ulong pfn = run.Start.Value; pfn < run.End.Value; pfn++)
            {
                if (P2mEntry.HasFrame(p2m[(int)pfn]) && *(ulong*)AddressSpace.AddressOf(pfn) != pfn)
                    check.Fail(pfn, p2m[(int)pfn], *(ulong*)AddressSpace.AddressOf(pfn));
            }
        }
    }
}
