// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Probe;

/// <summary>What the probe does, in parts that are timed by the processor's time-stamp counter.</summary>
internal enum Phase
{
    Forecast,
    Tables,
    Setup,
    Release,
    Populate,
    Prepare,
    Remap,
    Map,
    Write,
    Read,
    M2p,
    Holes,
    BalloonDown,
    BalloonUp,
    Count,
}

internal struct PhaseFigures
{
    public ulong Ticks;
    public ulong Hypercalls;
    public ulong Pages;

    /// <summary>Ticks within mmu_update, of <see cref="Ticks"/>.</summary>
    public ulong MmuUpdateTicks;
}

internal static class Phases
{
    // One field a phase would need a switch: a span over a struct of them does not outlive its method, the arena does.
    public static PhaseFigures Begin() =>
        new() { Ticks = Native.ReadTimeStampCounter(), Hypercalls = RealXen.Tally.Total, MmuUpdateTicks = RealXen.Tally.MmuUpdateTicks };

    public static void End(Span<PhaseFigures> figures, Phase phase, PhaseFigures begun, ulong pages)
    {
        ref PhaseFigures sum = ref figures[(int)phase];
        sum.Ticks = unchecked(sum.Ticks + Native.ReadTimeStampCounter() - begun.Ticks);
        sum.Hypercalls += RealXen.Tally.Total - begun.Hypercalls;
        sum.MmuUpdateTicks = unchecked(sum.MmuUpdateTicks + RealXen.Tally.MmuUpdateTicks - begun.MmuUpdateTicks);
        sum.Pages += pages;
    }

    public static void Report(ReadOnlySpan<PhaseFigures> figures)
    {
        for (int i = 0; i < figures.Length; i++)
        {
            if (figures[i].Ticks == 0)
                continue;
            Json.Begin("phase"u8);
            Json.Text("name"u8, NameOf((Phase)i));
            Json.Number("pages"u8, figures[i].Pages);
            Json.Number("ticks"u8, figures[i].Ticks);
            Json.Number("hypercalls"u8, figures[i].Hypercalls);
            Json.Number("mmuUpdateTicks"u8, figures[i].MmuUpdateTicks);
            Json.End();
        }
    }

    private static ReadOnlySpan<byte> NameOf(Phase phase)
    {
        if (phase == Phase.Forecast)
            return "forecast"u8;
        if (phase == Phase.Tables)
            return "tables"u8;
        if (phase == Phase.Setup)
            return "setup"u8;
        if (phase == Phase.Release)
            return "release"u8;
        if (phase == Phase.Populate)
            return "populate"u8;
        if (phase == Phase.Prepare)
            return "prepare"u8;
        if (phase == Phase.Remap)
            return "remap"u8;
        if (phase == Phase.Map)
            return "map"u8;
        if (phase == Phase.Write)
            return "write"u8;
        if (phase == Phase.Read)
            return "read"u8;
        if (phase == Phase.M2p)
            return "m2p"u8;
        if (phase == Phase.Holes)
            return "holes"u8;
        return phase == Phase.BalloonDown ? "balloonDown"u8 : "balloonUp"u8;
    }
}
