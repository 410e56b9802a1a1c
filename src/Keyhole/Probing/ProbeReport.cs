// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.PvGuest;

namespace Keyhole.Probing;

/// <summary>Something that the probe looked at.</summary>
/// <param name="Name">"pages", "m2p", "holes", "bar" …; stable, for scripts.</param>
/// <param name="Details">What else the line says, in its order: frames, error numbers.</param>
/// <param name="Line">The console's 1-based line.</param>
public sealed record ProbeCheck(string Name, bool Passed, ImmutableArray<(string Name, string Value)> Details, int Line)
{
    /// <summary>The details in one line.</summary>
    public string Describe() => string.Join(", ", Details.Select(static detail => $"{detail.Name} {detail.Value}"));
}

/// <summary>A part of the probe's work.</summary>
/// <param name="Ticks">Of the time-stamp counter; <see cref="ProbeReport.TicksPerMillisecond"/> tells how long one is.</param>
public sealed record ProbePhase(string Name, ulong PageCount, ulong Ticks, ulong Hypercalls)
{
    /// <summary>Those of <see cref="Ticks"/> within mmu_update: Xen's own work; 0 where the report does not say it.</summary>
    public ulong MmuUpdateTicks { get; init; }
}

/// <summary>
/// What the probe kernel said on its console about a memory setup that it has carried out for real. A report that breaks off has no
/// <see cref="Passed"/>.
/// </summary>
public sealed record ProbeReport
{
    /// <summary>Whether the probe ran as dom0.</summary>
    public bool IsDom0 { get; init; }

    /// <summary>The Linux whose memory setup the probe ran.</summary>
    public KernelRelease Kernel { get; init; }

    /// <summary>Pages that the guest started with.</summary>
    public ulong PageCount { get; init; }

    /// <summary>Pages that Xen lets it have; null for no limit.</summary>
    public ulong? MaxPages { get; init; }

    /// <summary>0 when Xen gave no factor.</summary>
    public ulong TicksPerMillisecond { get; init; }

    /// <summary>Where the domain builder put things, as start_info tells.</summary>
    public GuestLayout Layout { get; init; } = GuestLayout.Unknown;

    /// <summary>The map as Xen gave it.</summary>
    public ImmutableArray<E820Entry> Map { get; init => field = Given.Array(value); } = [];

    /// <summary>The map that the kernel made of it.</summary>
    public ImmutableArray<E820Entry> KernelMap { get; init => field = Given.Array(value); } = [];

    /// <summary>RAM that only the balloon can reach, in the probe's words.</summary>
    public ImmutableArray<ByteRange> Extra { get; init => field = Given.Array(value); } = [];

    /// <summary>The list of frames after the setup, from frame 0 on, without gaps; populated and kept RAM are one kind.</summary>
    public ImmutableArray<P2mRun> P2m { get; init => field = Given.Array(value); } = [];

    /// <summary>Why the memory setup stopped, in the forecast that the probe makes first or in fact; null when no result was reported.</summary>
    public HaltReason? Halt { get; init; }

    /// <summary>Pages that the setup gave back to Xen.</summary>
    public ulong ReleasedPages { get; init; }

    /// <summary>Pages that the setup moved.</summary>
    public ulong RemappedPages { get; init; }

    /// <summary>Pages that the setup asked back.</summary>
    public ulong PopulatedPages { get; init; }

    /// <summary>The gap that Linux would give to PCI devices, in bytes.</summary>
    public ByteRange PciGap { get; init; }

    /// <summary>What was checked, in the probe's order.</summary>
    public ImmutableArray<ProbeCheck> Checks { get; init => field = Given.Array(value); } = [];

    /// <summary>How long each part took, in the probe's order.</summary>
    public ImmutableArray<ProbePhase> Phases { get; init => field = Given.Array(value); } = [];

    /// <summary>By name, as the probe lists them; without the console's own.</summary>
    public ImmutableArray<(string Name, ulong Count)> Hypercalls { get; init => field = Given.Array(value); } = [];

    /// <summary>What ended the probe before its time, in one line: trap, address, what it was at. Null when nothing did.</summary>
    public string? Trap { get; init; }

    /// <summary>The probe's own verdict; null when it did not get there.</summary>
    public bool? Passed { get; init; }

    /// <summary>Checks that the probe says it has made; null when it does not say.</summary>
    public ulong? CheckCount { get; init; }

    /// <summary>The boot that the probe went through, for a forecast of it.</summary>
    public BootRequest ToRequest() => new()
    {
        Map = Map,
        IsDom0 = IsDom0,
        PageCount = PageCount,
        MaxPages = MaxPages,
        Kernel = Kernel,
        Layout = Layout,
    };

    /// <summary>The part of that name; null where the probe did not get so far.</summary>
    public ProbePhase? Phase(string name) => Phases.FirstOrDefault(phase => phase.Name == name);

    /// <summary>The check of that name; null where the probe did not get so far.</summary>
    public ProbeCheck? Check(string name) => Checks.FirstOrDefault(check => check.Name == name);

    /// <summary>Milliseconds of a phase; 0 where the probe could not tell.</summary>
    public double MillisecondsOf(string phase) =>
        Phase(phase) is { } found && TicksPerMillisecond > 0 ? (double)found.Ticks / TicksPerMillisecond : 0;
}
