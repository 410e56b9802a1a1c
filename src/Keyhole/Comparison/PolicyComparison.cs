// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Comparison;

/// <summary>What is to be compared.</summary>
public sealed record ComparisonRequest
{
    /// <summary>The host and the guest, and the kernel for which the figures are told and the recommendation is made. A PV guest is taken to use the
    /// host's map.</summary>
    public required Scenario Scenario { get; init => field = Given.NotNull(value); }

    /// <summary>Hosts that the guest is to be able to move to.</summary>
    public ImmutableArray<MigrationHost> MigrateTo { get; init => field = Given.Array(value); } = [];

    /// <summary>Pages that the guest has ballooned away before it moves.</summary>
    public ulong BalloonedPages { get; init; }

    /// <summary>What the guest does about its map on the other side.</summary>
    public ResumeMode Resume { get; init; }

    /// <summary>At least one.</summary>
    public ImmutableArray<IHolePolicy> Policies
    {
        get;
        init => field = Given.Some(value);
    } = Platforms.XenPv.Policies.All;
}

/// <summary>One policy for one host and guest.</summary>
public sealed record ComparedPolicy
{
    /// <summary>The policy.</summary>
    public required IHolePolicy Policy { get; init; }

    /// <summary>The map that it lays.</summary>
    public required Plan Plan { get; init; }

    /// <summary>The forecast for the request's kernel; null where the policy has no map.</summary>
    public required BootForecast? Forecast { get; init; }

    /// <summary>Whether each kernel boots, oldest first; without those of which lost lines of the host's map decide it.</summary>
    public required ImmutableArray<(KernelRelease Kernel, bool Boots)> Kernels { get; init => field = Given.Array(value); }

    /// <summary>How the guest moves to each of the other hosts, in the request's order.</summary>
    public required ImmutableArray<MigrationResult> Migrations { get; init => field = Given.Array(value); }

    /// <summary>Pages that the kernel gives back and does not get again, and such that lie where a 32-bit kernel sees none.</summary>
    public ulong LostPages => Forecast is { } forecast
        ? (forecast.ReleasedPages > forecast.PopulatedPages ? forecast.ReleasedPages - forecast.PopulatedPages : 0) + PagesOutOfSight(forecast)
        : 0;

    /// <summary>RAM below 4 GiB; 0 where there is no map.</summary>
    public ulong LowMemoryKiB => Plan.RamBelow4GiBKiB ?? 0;

    /// <summary>Hypercalls that the kernel makes while it sets its memory up.</summary>
    public ulong HypercallCount => Forecast is { } forecast ? forecast.Hypercalls.Aggregate(0UL, static (sum, call) => sum + call.Count) : 0;

    /// <summary>Windows of the guest's devices that its kernel can claim.</summary>
    public int ClaimedBars => Forecast is { } forecast ? forecast.Bars.Count(static verdict => verdict.CanBeClaimed) : 0;

    /// <summary>Whether a figure is the same whatever lines that the host's source has lost said.</summary>
    internal bool IsAgreed(Func<ComparedPolicy, ulong> figure) =>
        Forecast is null || Forecast.Readings.All(reading => figure(this with { Forecast = reading }) == figure(this));

    private ulong PagesOutOfSight(BootForecast forecast)
    {
        if (!Plan.Guest.Is32Bit)
            return 0;
        PfnRange beyond = PfnRange.FromBounds(Pfn.Containing(X86Layout.PaeLimit), Pfn.Containing(Frames.AddressLimit));
        ulong count = 0;
        foreach (P2mRun run in forecast.P2m)
            count += run.Kind is P2mKind.Ram or P2mKind.Remapped ? run.Range.Intersect(beyond).Count : 0;
        return count;
    }

    /// <summary>What speaks against the policy, the gravest first; null when nothing does.</summary>
    public required Phrase? Against { get; init; }
}

/// <summary>All policies side by side, and which to take.</summary>
public sealed record PolicyComparison
{
    /// <summary>One row for each policy, in the request's order.</summary>
    public required ImmutableArray<ComparedPolicy> Policies { get; init => field = Given.Array(value); }

    /// <summary>Whether there is a choice of policies; else the one row tells what is wrong with the guest.</summary>
    public bool IsChoice { get; init; } = true;

    /// <summary>Whether lost lines of the host's map decide which is best: <see cref="Best"/> is null then, too.</summary>
    public bool IsNotKnown { get; init; }

    /// <summary>Null where none will do.</summary>
    public required ComparedPolicy? Best { get; init; }

    /// <summary>What speaks for the best one, or why there is none.</summary>
    public required Phrase Why { get; init; }

    /// <summary>Settings of the guest's machine that were tried, for a guest whose firmware places the BARs; null for others.</summary>
    public SettingComparison? Settings { get; init; }

    /// <summary>How much room the windows of the guest's devices take, whatever the policy; null where none is known.</summary>
    public BarRoom? Room { get; init; }
}
