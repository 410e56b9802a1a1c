// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.PvGuest;
using Keyhole.Xen;

namespace Keyhole.Probe;

/// <summary>Gives pages back to Xen and takes them again, as a balloon does.</summary>
internal static unsafe class BalloonChecks
{
    /// <summary>Down and up by the topmost frames that are not the probe's own.</summary>
    public static void Run(ulong wanted, ref BatchedFrames<RealXen, FrameMapper> frames, OwnFrames own, Span<PhaseFigures> figures)
    {
        Activity.Begin(Task.Ballooning);
        PfnRange range = TopmostRun(frames.P2m, own, wanted);
        Activity.Subject = range.Start.Value;
        long before = default(RealXen).CurrentReservation(DomainId.Self);

        PhaseFigures begun = Phases.Begin();
        long unmapped = AddressSpace.Unmap(range.Start.Value, range.Count);
        ulong down = frames.Release(range, stopsAtFailure: true);
        Phases.End(figures, Phase.BalloonDown, begun, down);
        long between = default(RealXen).CurrentReservation(DomainId.Self);
        uint value = 0;
        bool isGone = !range.IsEmpty && !Native.TryRead(AddressSpace.AddressOf(range.Start.Value), &value);

        begun = Phases.Begin();
        ulong up = frames.Populate(range);
        FrameMapper.Map(PfnRange.FromCount(range.Start, up), frames.P2m, out long mapped);
        Phases.End(figures, Phase.BalloonUp, begun, up);
        long after = default(RealXen).CurrentReservation(DomainId.Self);

        bool holds = mapped == 0 && IsWritable(range, up);
        bool reckons = before - between == (long)down && after - between == (long)up;
        Check.Begin("balloon"u8, unmapped == 0 && down == range.Count && up == range.Count && isGone && holds && reckons);
        Json.Hex("start"u8, range.Start.Value);
        Json.Hex("end"u8, range.End.Value);
        Json.Number("down"u8, down);
        Json.Number("up"u8, up);
        Json.Signed("reservationBefore"u8, before);
        Json.Signed("reservationBetween"u8, between);
        Json.Signed("reservationAfter"u8, after);
        Json.End();
    }

    /// <summary>Populates extra memory until Xen has no more for this domain: the check passes when what it gave is what it reckons.</summary>
    public static void TryExtra(ulong wanted, ref BatchedFrames<RealXen, FrameMapper> frames, ReadOnlySpan<ByteRange> extra)
    {
        Activity.Begin(Task.Ballooning);
        long limit = default(RealXen).MaximumReservation(DomainId.Self);
        long before = default(RealXen).CurrentReservation(DomainId.Self);
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

    private static PfnRange TopmostRun(ReadOnlySpan<ulong> p2m, OwnFrames own, ulong wanted)
    {
        ulong end = (ulong)p2m.Length;
        while (end > 0 && !IsFree(p2m, own, end - 1))
            end--;
        ulong start = end;
        while (start > 0 && end - start < wanted && IsFree(p2m, own, start - 1))
            start--;
        return PfnRange.FromBounds(new Pfn(start), new Pfn(end));
    }

    private static bool IsFree(ReadOnlySpan<ulong> p2m, OwnFrames own, ulong pfn) => P2mEntry.HasFrame(p2m[(int)pfn]) && !own.Contains(pfn);

    private static bool IsWritable(PfnRange range, ulong count)
    {
        for (ulong pfn = range.Start.Value; pfn < range.Start.Value + count; pfn++)
            *(ulong*)AddressSpace.AddressOf(pfn) = pfn;
        for (ulong pfn = range.Start.Value; pfn < range.Start.Value + count; pfn++)
        {
            if (*(ulong*)AddressSpace.AddressOf(pfn) != pfn)
                return false;
        }

        return true;
    }
}
