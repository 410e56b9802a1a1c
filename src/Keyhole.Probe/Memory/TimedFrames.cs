// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>Takes the time of what a memory setup has carried out.</summary>
internal ref struct TimedFrames : IFrames
{
    public BatchedFrames<RealXen, FrameMapper> Inner;
    private readonly Span<PhaseFigures> _figures;

    public TimedFrames(BatchedFrames<RealXen, FrameMapper> inner, Span<PhaseFigures> figures)
    {
        Inner = inner;
        _figures = figures;
    }

    public readonly void SetIdentity(PfnRange range) => Inner.SetIdentity(range);

    public readonly void Invalidate(PfnRange range) => Inner.Invalidate(range);

    public readonly void InvalidateUnlessIdentity(PfnRange range) => Inner.InvalidateUnlessIdentity(range);

    public readonly void InvalidateUnlessLeafIsIdentity(Pfn pfn) => Inner.InvalidateUnlessLeafIsIdentity(pfn);

    public ulong Release(PfnRange range, bool stopsAtFailure)
    {
        PhaseFigures begun = Phases.Begin();
        ulong released = Inner.Release(range, stopsAtFailure);
        Phases.End(_figures, Phase.Release, begun, released);
        return released;
    }

    public ulong Populate(PfnRange range)
    {
        PhaseFigures begun = Phases.Begin();
        ulong populated = Inner.Populate(range);
        Phases.End(_figures, Phase.Populate, begun, populated);
        return populated;
    }

    public bool PrepareRemap(PfnRange source, Pfn target)
    {
        PhaseFigures begun = Phases.Begin();
        bool prepared = Inner.PrepareRemap(source, target);
        Phases.End(_figures, Phase.Prepare, begun, source.Count);
        return prepared;
    }

    public HaltReason Remap(ref ExtraMemory extra, out ulong remapped)
    {
        PhaseFigures begun = Phases.Begin();
        HaltReason reason = Inner.Remap(ref extra, out remapped);
        Phases.End(_figures, Phase.Remap, begun, remapped);
        return reason;
    }

    public bool MoveNow(PfnRange source, Pfn target)
    {
        PhaseFigures begun = Phases.Begin();
        bool moved = Inner.MoveNow(source, target);
        Phases.End(_figures, Phase.Remap, begun, source.Count);
        return moved;
    }

    public readonly void RemapNonRam(Mfn source, PfnRange target) => Inner.RemapNonRam(source, target);

    public void RemapAddresses(PfnRange range, bool zaps) => Inner.RemapAddresses(range, zaps);
}

/// <summary>Reports the events of a setup as they happen, or keeps quiet.</summary>
internal struct SetupLog : IBootLog
{
    public bool IsQuiet;

    public readonly void Report(in BootEvent bootEvent)
    {
        if (IsQuiet)
            return;
        Json.Begin("event"u8);
        Json.Text("name"u8, NameOf(bootEvent.Kind));
        Json.Hex("start"u8, bootEvent.Range.Start.Value);
        Json.Hex("end"u8, bootEvent.Range.End.Value);
        Json.Number("count"u8, bootEvent.Count);
        if (!bootEvent.To.IsEmpty)
        {
            Json.Hex("from"u8, bootEvent.From.Start);
            Json.Hex("to"u8, bootEvent.To.Start);
            Json.Hex("size"u8, bootEvent.To.SizeBytes);
        }

        Json.End();
    }

    private static ReadOnlySpan<byte> NameOf(BootEventKind kind)
    {
        if (kind == BootEventKind.Freed)
            return "freed"u8;
        if (kind == BootEventKind.Populated)
            return "populated"u8;
        if (kind == BootEventKind.Released)
            return "released"u8;
        if (kind == BootEventKind.IdentitySet)
            return "identity"u8;
        if (kind == BootEventKind.NoRangeToRemap)
            return "noRangeToRemap"u8;
        if (kind == BootEventKind.InitrdMoved)
            return "initrdMoved"u8;
        if (kind == BootEventKind.P2mListMoved)
            return "p2mListMoved"u8;
        if (kind == BootEventKind.NvsMoved)
            return "nvsMoved"u8;
        if (kind == BootEventKind.Remapped)
            return "remapped"u8;
        if (kind == BootEventKind.EntryIgnored)
            return "entryIgnored"u8;
        if (kind == BootEventKind.RemappedAtOnce)
            return "remappedAtOnce"u8;
        return kind == BootEventKind.NonRamRemapped ? "nonRamRemapped"u8 : "notEnoughExtraRegions"u8;
    }
}
