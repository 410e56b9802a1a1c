// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Platforms;

/// <summary>The map that a guest would get, why each piece is there, and what is wrong with it. Data only.</summary>
public sealed record Plan
{
    /// <summary>The policy's name; "none" where the toolstack gives its plain map because the guest does not use the host's.</summary>
    public required string Policy { get; init; }

    public required HostMemoryMap Host { get; init; }

    /// <summary>The host's map with Xen's additions.</summary>
    public required ImmutableArray<E820Entry> MachineMap { get; init; }

    public required GuestSpec Guest { get; init; }

    /// <summary>Memory windows of the devices passed through, as far as they are known.</summary>
    public required ImmutableArray<Bar> Bars { get; init; }

    /// <summary>The guest's map in the policy's order; empty where the policy failed.</summary>
    public required ImmutableArray<PlannedEntry> Entries { get; init; }

    /// <summary>Gaps that the policy left on purpose.</summary>
    public ImmutableArray<KeptRange> Gaps { get; init; } = [];

    public required ImmutableArray<Problem> Problems { get; init; }

    /// <summary>RAM of the map below 4 GiB in KiB, room for the balloon included.</summary>
    public required ulong RamBelow4GiBKiB { get; init; }

    /// <summary>The guest's addresses from 0 to the end of its map without a break, each piece with its reason, gaps included.</summary>
    public ImmutableArray<KeptRange> Layout => Platforms.Layout.Of(Entries, Gaps, MachineMap);

    public bool HasErrors => Problems.Any(static problem => problem.Severity == Severity.Error);
}
