// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Migration;

/// <summary>Hosts whose devices start at the same address below 4 GiB.</summary>
/// <param name="HoleStart">Bytes; 4 GiB for hosts that ask for no hole.</param>
public sealed record FleetGroup(ulong HoleStart, long HostCount);

/// <summary>How a guest fares on the hosts of a fleet, with the hole that all share. A host may have more than one trouble, and then counts for
/// each.</summary>
/// <param name="TooLittleMemory">Hosts with less RAM than the guest.</param>
/// <param name="HoleTooLow">Hosts that no hole suits; 0 for a guest that needs none.</param>
/// <param name="MeetsHighWindow">Hosts with a device's window where the guest's memory above 4 GiB would be.</param>
/// <param name="Offenders">Some of the hosts that it cannot be on, worst first.</param>
public sealed record FleetGuestFit(
    FleetGuest Guest,
    long TooLittleMemory,
    long HoleTooLow,
    long MeetsHighWindow,
    ImmutableArray<HostDemand> Offenders)
{
    /// <summary>Hosts whose source shows all of their RAM, which is not less than the guest's memory.</summary>
    public long KnownToHaveMemory { get; init; }

    /// <summary>Of those, the hosts whose map costs the guest more than half of the low RAM that it could have, with libxl's own map.</summary>
    public long LosesHalfOfLowMemory { get; init; }

    /// <summary>Where its firmware places all BARs; null for a guest whose firmware places none.</summary>
    public FleetPlacement? Placement { get; init; }

    /// <summary>Hosts on which the toolstack does not create the guest, whatever map it has; null where there is none, and for guests that are
    /// forecast.</summary>
    public FleetRefusals? Refused { get; init; }

    /// <summary>Whether the guest can live on every host of the fleet.</summary>
    public bool FitsAll => TooLittleMemory == 0 && Refused is null && HoleTooLow == 0 && MeetsHighWindow == 0
        && Placement is null or { Fails: 0, NotKnown: 0 };
}

/// <summary>Hosts on which the toolstack does not create a guest.</summary>
/// <param name="HostCount">At least 1.</param>
/// <param name="Groups">By reason, most hosts first; cut at <see cref="FleetTally.MaxPlacementGroups"/>.</param>
public sealed record FleetRefusals(long HostCount, ImmutableArray<PlacementGroup> Groups);

/// <summary>What can be said of a fleet: which hole suits all its hosts, and which of them force it. The same whatever the order of the hosts
/// was.</summary>
public sealed record Fleet
{
    /// <summary>Hosts that were read.</summary>
    public required long HostCount { get; init; }

    /// <summary>Hosts whose devices' windows are known; the others count by their map alone.</summary>
    public required long WithWindowsCount { get; init; }

    /// <summary>Hosts that could not be read, or whose needs are not known for lines of their map are lost.</summary>
    public required long UnreadableCount { get; init; }

    /// <summary>Of those the hosts that were read, and whose needs are not known.</summary>
    public long NotJudgedCount { get; init; }

    /// <summary>Hosts that are judged for guests that need no hole, and whose own hole is not known for lines of their map are lost.</summary>
    public long HoleNotKnownCount { get; init; }

    /// <summary>Some of the hosts that could not be read, in order of source and line.</summary>
    public required ImmutableArray<InputError> Unreadable { get; init => field = Given.Array(value); }

    /// <summary>
    /// Where the hole starts that suits every host, apart from those of <see cref="ImpossibleCount"/>: bytes, 4 GiB where no host asks for one. The
    /// highest such start: the guest keeps most of its low memory. Null where there is no host that any hole suits.
    /// </summary>
    public required ulong? HoleStart { get; init; }

    /// <summary>Hosts with a device so low that no guest's kernel would find memory below a hole.</summary>
    public required long ImpossibleCount { get; init; }

    /// <summary>By where their hole starts, lowest first; the impossible ones too. Cut at <see cref="FleetTally.MaxGroups"/>.</summary>
    public required ImmutableArray<FleetGroup> Groups { get; init => field = Given.Array(value); }

    /// <summary>Groups of hosts that ask for the same hole.</summary>
    public required long GroupCount { get; init; }

    /// <summary>The hosts that ask for the lowest holes, worst first. Cut at <see cref="FleetTally.MaxOffenders"/>.</summary>
    public required ImmutableArray<HostDemand> Worst { get; init => field = Given.Array(value); }

    /// <summary>The hosts that ask for the lowest holes among those that a hole suits, worst first, cut in the same way.</summary>
    public required ImmutableArray<HostDemand> Forcing { get; init => field = Given.Array(value); }

    /// <summary>Every host by name; null when they are more than <see cref="FleetTally.MaxListed"/>.</summary>
    public required ImmutableArray<HostDemand>? Hosts { get; init; }

    /// <summary>Of each host in <see cref="Hosts"/> how each guest fares whose firmware places BARs, in the guests' order; null where
    /// <see cref="Hosts"/> is.</summary>
    public ImmutableArray<ImmutableArray<HostPlacement>>? Placements { get; init; }

    /// <summary>How each guest fares, in the order given.</summary>
    public required ImmutableArray<FleetGuestFit> Guests { get; init => field = Given.Array(value); }

    /// <summary>Of the ways from one host to another, how many a guest can take with the hole of the host it started on, as far as holes go: 0 to 1.
    /// Null where there is no host.</summary>
    public required double? ShareOfMovesAsTheyAre { get; init; }

    /// <summary>Without guests: hosts on which no PV guest with a device is created; else null.</summary>
    public FleetRefusals? NoDevices { get; init; }

    /// <summary>The hosts that force the fleet's hole.</summary>
    public IEnumerable<HostDemand> ForcedBy => HoleStart is { } start and < Frames.FourGiB ? Forcing.Where(host => host.HoleStart == start) : [];

    /// <summary>How many they are.</summary>
    public required long ForcedByCount { get; init; }

    /// <summary>Where the hole could start without the hosts that force it; null where that leaves none.</summary>
    public required ulong? HoleStartWithout { get; init; }

    /// <summary>Whether a hole is asked for at all: there are guests, and the firmware of all of them gives their devices addresses of the guest's
    /// own.</summary>
    public bool NeedsNoHole => !Guests.IsEmpty && Guests.All(static fit => fit.Placement is not null);

    /// <summary>Whether every host could be read and suits every guest.</summary>
    public bool SuitsAll => UnreadableCount == 0 && (ImpossibleCount == 0 || NeedsNoHole) && NoDevices is null
        && Guests.All(static guest => guest.FitsAll);
}
