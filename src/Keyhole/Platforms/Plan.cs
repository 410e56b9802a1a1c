// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms;

/// <summary>The map that a guest would get, why each piece is there, and what is wrong with it. Data only.</summary>
public sealed record Plan
{
    /// <summary>What the plan is for.</summary>
    public required Scenario Scenario { get; init; }

    /// <summary>What runs the guest.</summary>
    public required IPlatform Platform { get; init; }

    /// <summary>The policy that laid the map; null where there was none to choose.</summary>
    public IHolePolicy? LaidBy { get; init; }

    /// <summary>What stands in a policy's place where the platform gives its plain map.</summary>
    internal const string NoPolicy = "none";

    /// <summary>The policy's name; "none" where the platform gives its plain map, "machine-map" for dom0.</summary>
    public required string Policy { get; init; }

    /// <summary>Whether somebody chose how the map is laid: there is a name for it.</summary>
    public bool HasPolicy => Policy != NoPolicy;

    /// <summary>The host's map with Xen's additions.</summary>
    public required ImmutableArray<E820Entry> MachineMap { get; init => field = Given.Array(value); }

    /// <summary>Memory windows of the devices passed through, as far as they are known.</summary>
    public required ImmutableArray<Bar> Bars { get; init => field = Given.Array(value); }

    /// <summary>Whether the guest's map can be told at all; else a problem says why not, and <see cref="Entries"/> is empty.</summary>
    public bool IsMapKnown { get; init; } = true;

    /// <summary>The guest's map in the policy's order; empty where the policy failed or the map is not known.</summary>
    public required ImmutableArray<PlannedEntry> Entries { get; init => field = Given.Array(value); }

    /// <summary>Gaps that the policy left on purpose.</summary>
    public ImmutableArray<KeptRange> Gaps { get; init => field = Given.Array(value); } = [];

    /// <summary>What is wrong, or worth knowing.</summary>
    public required ImmutableArray<Problem> Problems { get; init => field = Given.Array(value); }

    /// <summary>RAM of the map below 4 GiB in KiB, room for the balloon included; null where that is not known.</summary>
    public required ulong? RamBelow4GiBKiB { get; init; }

    /// <summary>What the guest's firmware makes of its devices; null for guests without any, and where it is not known.</summary>
    public FirmwareReport? Firmware { get; init; }

    /// <summary>Parts of the map that come out otherwise with something that nobody told; of a guest with firmware that firmware's report has
    /// them.</summary>
    internal ImmutableArray<UnsettledRange> Unsettled { get; init => field = Given.Array(value); } = [];

    /// <summary>How far a guest without firmware gets whose kernel does not lay its memory out by the map; null for others, and where it is not
    /// known.</summary>
    public GuestVerdict? Verdict { get; init; }

    /// <summary>The plan as it would be for each reading of lines that the host's source has lost; the first with gaps there, as this one. Empty
    /// where none are lost.</summary>
    internal ImmutableArray<Plan> Readings { get; init => field = Given.Array(value); } = [];

    /// <summary>
    /// Where the guest's map depends on lines that the host's source has lost: what <see cref="Entries"/> have there is not known. Sorted, without
    /// overlap; empty where none are lost.
    /// </summary>
    public ImmutableArray<ByteRange> NotKnownRanges { get; init => field = Given.Array(value); } = [];

    /// <summary>The host.</summary>
    public Host Host => Scenario.Host;

    /// <summary>What the host is called, in one line.</summary>
    public string HostName => Scenario.HostName;

    /// <summary>The guest.</summary>
    public GuestSpec Guest => Scenario.Guest;

    /// <summary>The plain entries, as the hypervisor takes them.</summary>
    public ImmutableArray<E820Entry> Map => [.. Entries.Select(static planned => planned.Entry)];

    /// <summary>The entries without what lost lines decide.</summary>
    public ImmutableArray<PlannedEntry> KnownEntries => NotKnownRanges.IsEmpty ? Entries
        : [.. Entries.SelectMany(planned => MapReadings.Without(planned.Entry, NotKnownRanges).Select(part =>
            part == planned.Entry ? planned : new(part, "as far as it is known: lines of the host's map are lost")))];

    /// <summary>Whether somebody has to install the map: the toolstack makes another by itself.</summary>
    public bool NeedsInstalling => LaidBy is { Traits.NeedsInstalledMap: true };

    /// <summary>The guest's addresses from 0 to the end of its map without a break, each piece with its reason, gaps included.</summary>
    public ImmutableArray<KeptRange> Layout => Platforms.Layout.Of(KnownEntries,
        [
            .. NotKnownRanges.Select(static range => new KeptRange(range.Start, range.End, null, "not known: lines of the host's map are lost")),
            .. Gaps,
        ],
        MachineMap);

    /// <summary>A plan whose map is not known, without firmware and verdict: a platform fills in what it knows.</summary>
    public static Plan NotKnown(IPlatform platform, Scenario scenario, IEnumerable<Problem> problems)
    {
        ArgumentNullException.ThrowIfNull(platform);
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(problems);
        return new()
        {
            Scenario = scenario,
            Platform = platform,
            Policy = NoPolicy,
            MachineMap = scenario.MachineMap,
            Bars = scenario.Windows,
            IsMapKnown = false,
            Entries = [],
            Problems = [.. problems],
            RamBelow4GiBKiB = null,
        };
    }

    /// <summary>Whether all of the guest's memory has to be there from the start, as VFIO wants it, whatever the host lends.</summary>
    internal bool IsMemoryPinned { get; init; }

    /// <summary>Whether the host that was told has less RAM than the guest is started with: what is forecast is for one that has it. Of dom0 never,
    /// which Xen gives what it has left.</summary>
    public bool IsTooLargeForHost => Scenario.Dom0 is null && Host.RamShown == RamShown.All && Problems.Any(problem =>
        problem.Code == ProblemCodes.LargerThanHost && (IsMemoryPinned || problem.Severity == Severity.Error));

    /// <summary>Whether a problem is an error.</summary>
    public bool HasErrors => Problems.Any(static problem => problem.Severity == Severity.Error);
}
