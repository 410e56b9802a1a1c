// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Migration;

/// <summary>A host that a guest comes to.</summary>
/// <param name="Bars">Windows of the devices that the guest has there, in addition to those of the host's devices that it names; empty where they are
/// not known.</param>
public sealed record MigrationHost(string Name, Host Host, ImmutableArray<Bar> Bars)
{
    /// <summary>The host.</summary>
    public Host Host { get; init => field = Given.NotNull(value); } = Given.NotNull(Host);

    /// <summary>Windows of its devices.</summary>
    public ImmutableArray<Bar> Bars { get; init => field = Given.Array(value); } = Given.Array(Bars);

    /// <summary>A guest as it would be on this host.</summary>
    public Scenario On(Scenario guest)
    {
        ArgumentNullException.ThrowIfNull(guest);
        return guest with { Host = Host, Bars = Bars };
    }
}

/// <summary>What the guest does about its memory map when it wakes up on the other side.</summary>
public enum ResumeMode
{
    /// <summary>Nothing: the map and the P2M are those of the first boot, which is what Linux does.</summary>
    KeepsP2m,

    /// <summary>It asks for the map again (XENMEM_memory_map), which the toolstack there has made again, and believes it.</summary>
    ConsultsMap,
}

/// <summary>A migration to be played through.</summary>
public sealed record MigrationRequest
{
    /// <summary>The guest on the host that it leaves.</summary>
    public required Scenario Scenario { get; init => field = Given.NotNull(value); }

    /// <summary>The forecast for <see cref="Scenario"/> where it has been made already; else null.</summary>
    internal Boot? Known { get; init; }

    /// <summary>What the host that it leaves is called.</summary>
    public string FromName { get; init; } = "this host";

    /// <summary>The host that the guest moves to.</summary>
    public required MigrationHost To { get; init => field = Given.NotNull(value); }

    /// <summary>What the guest does about its memory map on the other side.</summary>
    public ResumeMode Resume { get; init; }

    /// <summary>What the P2M has in holes where no device is.</summary>
    public HoleFill Fill { get; init; }

    /// <summary>Whether the devices are taken away before the guest is saved.</summary>
    public bool Unplugs { get; init; } = true;

    /// <summary>Pages that the guest has ballooned away before it moves.</summary>
    public ulong BalloonedPages { get; init; }
}

/// <summary>One step of a migration.</summary>
/// <param name="Name">plan, boot, plug, balloon, unplug, save, restore, resume or replug.</param>
/// <param name="Succeeded">Whether it left things as they should be; the first that does not ends the migration.</param>
/// <param name="What">What happened, in a sentence with figures.</param>
/// <param name="DeviceRuns">Frames of holes that lead to machine frames after the step.</param>
public sealed record MigrationStep(string Name, bool Succeeded, string What, ImmutableArray<P2mRun> DeviceRuns);

/// <summary>How a migration went.</summary>
public sealed record MigrationResult
{
    /// <summary>What was asked.</summary>
    public required MigrationRequest Request { get; init; }

    /// <summary>What happens, in order, up to what makes it fail.</summary>
    public required ImmutableArray<MigrationStep> Steps { get; init => field = Given.Array(value); }

    /// <summary>Pages that were carried over; 0 where it did not come to that.</summary>
    public required ulong MovedPages { get; init; }

    /// <summary>The P2M at the end, or where the migration broke; empty where the guest never ran.</summary>
    public required ImmutableArray<P2mRun> P2m { get; init => field = Given.Array(value); }

    /// <summary>What is wrong between the P2M and the machines' own books; empty whenever the simulation is right.</summary>
    public required ImmutableArray<string> Findings { get; init => field = Given.Array(value); }

    /// <summary>Whether the guest lives on the other host with its device.</summary>
    public bool Succeeded => Steps.Length > 0 && Steps[^1].Succeeded && Steps[^1].Name == Migrator.LastStep;

    /// <summary>The step that broke; null when none did.</summary>
    public MigrationStep? Failure => Steps.Length > 0 && !Steps[^1].Succeeded ? Steps[^1] : null;
}
