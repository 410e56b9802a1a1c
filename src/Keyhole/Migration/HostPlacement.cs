// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;

namespace Keyhole.Migration;

/// <summary>How a guest whose firmware places its BARs fares on a host.</summary>
/// <param name="Verdict">One of the names here, or the code of the problem that decides.</param>
/// <param name="Why">One sentence; empty where every BAR has its place.</param>
public readonly record struct HostPlacement(string Verdict, string Why)
{
    /// <summary>The guest boots, and every BAR of every device has an address of use.</summary>
    public const string PlacesAll = "places-all";

    /// <summary>The host has less RAM than the guest, all of which is pinned for a device that is passed through.</summary>
    public const string TooLittleMemory = "too-little-memory";

    /// <summary>The host's description names devices, and not the one that the guest is given.</summary>
    public const string DeviceMissing = "device-missing";

    /// <summary>Something that decides is not told.</summary>
    public const string NotKnown = "not-known";

    /// <summary>What helps, where that is known beforehand.</summary>
    internal Phrase? Remedy { get; init; }

    /// <summary>Whether the width of the host's addresses, which the guest takes over, is not told and a usual one was assumed.</summary>
    public bool AssumesWidth { get; init; }

    /// <summary>The guest's forecast on the host, without remedies: <c>Scenario → Plan</c>, as for one host.</summary>
    /// <param name="demand">What the host is called, and how much RAM it has.</param>
    public static HostPlacement Of(GuestSpec guest, Host host, HostDemand demand)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(host);
        // Without a device nothing is pinned: QEMU starts with swap alone.
        bool isPinned = guest.Qemu is not { } machine || machine.Machine.Devices.Any(HostFunctions.IsOne);
        if (isPinned && !demand.HasRamFor(guest.MemoryKiB))
            return new(TooLittleMemory, $"the host has {ByteSize.ToText(demand.RamKiB << 10)} of RAM, less than the guest");
        if (!host.Devices.IsEmpty && Missing(guest, host) is { } missing)
            return new(DeviceMissing, $"the host's description names no device {missing}");
        Plan plan = Planner.Plan(ScenarioOf(guest, host, demand.Name));
        bool assumesWidth = host.Traits.PhysicalAddressBits is null && guest.Qemu is { } qemu && qemu.TakesHostPhysBits(qemu.MachineName);
        return Judge(plan) with { AssumesWidth = assumesWidth };
    }

    /// <summary>What a full plan advises against the problem that decides; null where it has no remedy.</summary>
    internal static Phrase? RemedyFor(GuestSpec guest, Host host, string hostName, string code) =>
        Planner.Plan(ScenarioOf(guest, host, hostName) with { SeeksRemedies = true }).Problems
            .FirstOrDefault(problem => problem.Code == code && problem.Remedy is not null)?.Remedy;

    private static Scenario ScenarioOf(GuestSpec guest, Host host, string hostName) =>
        new() { Host = host, HostName = hostName, Guest = guest, SeeksRemedies = false };

    private static HostPlacement Judge(Plan plan)
    {
        if (plan.Problems.FirstOrDefault(static problem => problem.Severity == Severity.Error) is { } error)
            return new(error.Code, error.Message);
        // A window that the host itself has not placed is one that it gives no guest.
        if (plan.Problems.FirstOrDefault(static problem => problem is { Code: ProblemCodes.HostUnplaced, Severity: not Severity.Info })
            is { } unplaced)
            return new(unplaced.Code, unplaced.Message);
        if (plan.Firmware is { Outcome: not GuestOutcome.NotKnown, Placement: not null }
            && !plan.Problems.Any(static problem => problem.Code == ProblemCodes.BarsNotKnown))
            return new(PlacesAll, "");
        string why = plan.Problems.FirstOrDefault(static problem => problem.Code is ProblemCodes.MapNotKnown or ProblemCodes.BarsNotKnown)?.Message
            ?? "the guest cannot be forecast";
        return new(NotKnown, why);
    }

    /// <summary>The first device that the guest is given and the host's description does not name; null for none.</summary>
    private static string? Missing(GuestSpec guest, Host host)
    {
        foreach (PciAssignment assignment in guest.Pci)
        {
            if (assignment.Address is { } address && !host.Devices.Any(device => assignment.Covers(device.Address)))
                return $"{address}";
        }

        foreach (QemuDevice device in guest.Qemu?.Machine.Devices ?? [])
        {
            if (!HostFunctions.IsOne(device) || device.Host is not null)
                continue;
            if (HostFunctions.TryGetSlot(device, out PciAddress slot))
            {
                if (!host.Devices.Any(other => (other.Address.Domain, other.Address.Bus, other.Address.Device)
                    == (slot.Domain, slot.Bus, slot.Device)))
                    return slot.ToString()[..^2];
            }
            else if (HostFunctions.TryGetAddress(device, out PciAddress address) && !host.Devices.Any(other => other.Address == address))
            {
                return $"{address}";
            }
        }

        return null;
    }
}

/// <summary>A host of a fleet: what it asks of a hole, and how the guests fare whose firmware places their BARs.</summary>
/// <param name="Demand">What it asks of a hole.</param>
public readonly record struct FleetHost(HostDemand Demand)
{
    private readonly ImmutableArray<HostPlacement> _placements;

    /// <summary>In the order of the fleet's guests, a default one for guests whose firmware places no BARs; empty where no guest was
    /// forecast.</summary>
    public ImmutableArray<HostPlacement> Placements { get => _placements.IsDefault ? [] : _placements; init => _placements = Given.Array(value); }

    /// <summary>The host itself where guests were forecast on it; null else.</summary>
    public Host? Host { get; init; }

    /// <summary>A host, with the forecasts of those guests whose firmware places BARs.</summary>
    public static FleetHost Of(HostDemand demand, Host host, ImmutableArray<FleetGuest> guests)
    {
        ArgumentNullException.ThrowIfNull(host);
        if (!Given.Array(guests).Any(static guest => guest.Forecast is not null))
            return new(demand);
        return new(demand)
        {
            Host = host,
            Placements = [.. guests.Select(guest => guest.Forecast is { } spec ? HostPlacement.Of(spec, host, demand) : default)],
        };
    }
}

/// <summary>Hosts on which a guest fares alike.</summary>
/// <param name="Verdict">As in <see cref="HostPlacement"/>.</param>
/// <param name="Why">One sentence.</param>
/// <param name="First">The first of them by name.</param>
/// <param name="Remedy">What a plan on the first of them advises; null where it advises nothing, and where it was not asked.</param>
public sealed record PlacementGroup(string Verdict, string Why, long HostCount, ImmutableArray<string> First, Phrase? Remedy);

/// <summary>On which hosts of a fleet a guest's firmware places all BARs.</summary>
public sealed record FleetPlacement
{
    /// <summary>Hosts on which every BAR has its place.</summary>
    public required long PlacesAll { get; init; }

    /// <summary>Hosts of which it is not known.</summary>
    public required long NotKnown { get; init; }

    /// <summary>All the others.</summary>
    public required long Fails { get; init; }

    /// <summary>Hosts that do not tell the width of their addresses, which the guest takes over: a usual one was assumed.</summary>
    public required long WidthAssumed { get; init; }

    /// <summary>Why not, most hosts first; cut at <see cref="FleetTally.MaxPlacementGroups"/>.</summary>
    public required ImmutableArray<PlacementGroup> Groups { get; init => field = Given.Array(value); }

    /// <summary>Hosts in groups that were cut away.</summary>
    public required long Ungrouped { get; init; }
}

/// <summary>Adds up how one guest fares, in memory that does not grow with the hosts. The same whatever their order.</summary>
/// <param name="guest">Null where each placement has its remedy.</param>
internal sealed class PlacementTally(GuestSpec? guest)
{
    /// <summary>Groups whose first host is planned once more for its remedy.</summary>
    private const int MaxRemedies = 8;

    private readonly SortedDictionary<(string Verdict, string Why), Group> _groups = new(Comparer<(string Verdict, string Why)>.Create(Compare));
    private long _placesAll;
    private long _notKnown;
    private long _fails;
    private long _widthAssumed;

    public void Add(FleetHost host, HostPlacement placement)
    {
        _widthAssumed += placement.AssumesWidth ? 1 : 0;
        if (placement.Verdict == HostPlacement.PlacesAll)
        {
            _placesAll++;
            return;
        }

        if (placement.Verdict == HostPlacement.NotKnown)
            _notKnown++;
        else
            _fails++;
        (string Verdict, string Why) key = (placement.Verdict, placement.Why);
        if (!_groups.TryGetValue(key, out Group? group))
        {
            // The lowest are kept. One that was cut away stays above all that are kept, so the counts of those are whole.
            if (_groups.Count == FleetTally.MaxPlacementGroups)
            {
                (string Verdict, string Why) last = _groups.Keys.Last();
                if (Compare(key, last) > 0)
                    return;
                _groups.Remove(last);
            }

            group = new();
            _groups.Add(key, group);
        }

        group.Add(host, placement.Remedy);
    }

    public FleetPlacement ToPlacement()
    {
        var groups = ImmutableArray.CreateBuilder<PlacementGroup>(_groups.Count);
        foreach (((string verdict, string why), Group group) in _groups.OrderByDescending(static pair => pair.Value.Count))
        {
            Phrase? remedy = guest is null ? group.Remedy
                : groups.Count < MaxRemedies && group.FirstHost is { } host && verdict is not (HostPlacement.NotKnown
                or HostPlacement.DeviceMissing or HostPlacement.TooLittleMemory)
                ? HostPlacement.RemedyFor(guest, host, group.Names[0], verdict) : null;
            groups.Add(new(verdict, why, group.Count, [.. group.Names], remedy));
        }

        return new()
        {
            PlacesAll = _placesAll,
            NotKnown = _notKnown,
            Fails = _fails,
            WidthAssumed = _widthAssumed,
            Ungrouped = _notKnown + _fails - groups.Sum(static group => group.HostCount),
            Groups = groups.MoveToImmutable(),
        };
    }

    private static int Compare((string Verdict, string Why) left, (string Verdict, string Why) right)
    {
        int order = string.CompareOrdinal(left.Verdict, right.Verdict);
        return order != 0 ? order : string.CompareOrdinal(left.Why, right.Why);
    }

    private sealed class Group
    {
        public long Count { get; private set; }

        /// <summary>The first few by name.</summary>
        public List<string> Names { get; } = [];

        /// <summary>The host of the first name.</summary>
        public Host? FirstHost { get; private set; }

        /// <summary>What helps on it, where that was known beforehand.</summary>
        public Phrase? Remedy { get; private set; }

        public void Add(FleetHost host, Phrase? remedy)
        {
            Count++;
            string name = host.Demand.Name;
            if (Names.Count == FleetTally.MaxOffenders && string.CompareOrdinal(name, Names[^1]) >= 0)
                return;
            int at = Names.BinarySearch(name, StringComparer.Ordinal);
            at = at < 0 ? ~at : at;
            if (at == 0)
                (FirstHost, Remedy) = (host.Host, remedy);
            if (Names.Count == FleetTally.MaxOffenders)
                Names.RemoveAt(Names.Count - 1);
            Names.Insert(at, name);
        }
    }
}
