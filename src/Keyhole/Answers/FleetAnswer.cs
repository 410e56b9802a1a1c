// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Migration;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Answers;

/// <summary>What <c>fleet</c> answers: the hole that suits all hosts, and who forces it.</summary>
public sealed record FleetAnswer : Answer
{
    public required long Hosts { get; init; }

    /// <summary>Hosts that say where their devices' windows are.</summary>
    public required long WithWindows { get; init; }

    public required UnreadableAnswer Unreadable { get; init; }

    /// <summary>Where the hole [start, 4 GiB) must start that suits all hosts that any suits; 4 GiB where no host asks for one, null where none suits
    /// any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required Hex? HoleStart { get; init; }

    /// <summary>The policy with that hole, as whoever asks would name it; null where no hole below 4 GiB is asked for.</summary>
    public string? Policy { get; init; }

    public required ForcingAnswer ForcedBy { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required Hex? HoleStartWithout { get; init; }

    /// <summary>Hosts that no hole suits.</summary>
    public required long Impossible { get; init; }

    public required long GroupCount { get; init; }

    /// <summary>Hosts by where their hole must start.</summary>
    public required ImmutableArray<FleetGroupAnswer> Groups { get; init; }

    public required ImmutableArray<HostDemandAnswer> Worst { get; init; }

    public required ImmutableArray<FleetGuestAnswer> Guests { get; init; }

    public required double ShareOfMovesAsTheyAre { get; init; }

    /// <summary>Each host; null where they are too many.</summary>
    public ImmutableArray<HostDemandAnswer>? HostList { get; init; }

    /// <summary>Each move of each guest from host to host; null where they are too many.</summary>
    public ImmutableArray<FleetMoveAnswer>? Moves { get; init; }

    public required bool SuitsAll { get; init; }

    [JsonIgnore]
    public required Fleet Fleet { get; init; }

    [JsonIgnore]
    public override bool IsYes => SuitsAll;

    /// <param name="namePolicy">How whoever asks names a policy, of its plain name.</param>
    public static FleetAnswer Of(Fleet fleet, Func<string, string> namePolicy)
    {
        ArgumentNullException.ThrowIfNull(fleet);
        ArgumentNullException.ThrowIfNull(namePolicy);
        return new()
        {
            Hosts = fleet.HostCount,
            WithWindows = fleet.WithWindowsCount,
            Unreadable = new(fleet.UnreadableCount, [.. fleet.Unreadable.Select(static error => error.ToString())]),
            HoleStart = fleet.HoleStart,
            Policy = fleet.HoleStart is { } start and < Frames.FourGiB ? namePolicy($"hole-at:{new Hex(HostHoles.RecommendedStart(start))}") : null,
            ForcedBy = new(fleet.ForcedByCount, HostDemandAnswer.AllOf(fleet.ForcedBy)),
            HoleStartWithout = fleet.HoleStartWithout,
            Impossible = fleet.ImpossibleCount,
            GroupCount = fleet.GroupCount,
            Groups = [.. fleet.Groups.Select(static group => new FleetGroupAnswer(group.HoleStart, group.HostCount))],
            Worst = HostDemandAnswer.AllOf(fleet.Worst),
            Guests = [.. fleet.Guests.Select(fit => FleetGuestAnswer.Of(fleet, fit))],
            ShareOfMovesAsTheyAre = fleet.ShareOfMovesAsTheyAre,
            HostList = fleet.Hosts is { } hosts ? HostDemandAnswer.AllOf(hosts) : null,
            Moves = fleet.Hosts is { } listed ? [.. MovesBetween(fleet, listed)] : null,
            SuitsAll = fleet.SuitsAll,
            Fleet = fleet,
        };
    }

    /// <summary>The guests whose moves are judged; without any, one that needs a hole and fits everywhere.</summary>
    public static IEnumerable<FleetGuest> Movers(Fleet fleet)
    {
        ArgumentNullException.ThrowIfNull(fleet);
        return fleet.Guests.IsEmpty ? [new("any guest with a device", 0, 0, NeedsHole: true)] : fleet.Guests.Select(static fit => fit.Guest);
    }

    private static IEnumerable<FleetMoveAnswer> MovesBetween(Fleet fleet, ImmutableArray<HostDemand> hosts) =>
        from guest in Movers(fleet)
        from source in hosts
        from target in hosts
        where source != target
        select new FleetMoveAnswer(guest.Name, source.Name, target.Name, guest.JudgeMove(source, target, fleet.HoleStart) switch
        {
            MoveVerdict.Never => "never",
            MoveVerdict.WithTheFleetsHole => "fleet-hole",
            MoveVerdict.AsItIs => "as-it-is",
        });
}

/// <summary>Hosts that could not be read: how many, and the first of them.</summary>
public sealed record UnreadableAnswer(long Count, ImmutableArray<string> First);

/// <summary>Hosts that force the hole: how many, and the first of them.</summary>
public sealed record ForcingAnswer(long Count, ImmutableArray<HostDemandAnswer> First);

/// <summary>Hosts whose hole must start at the same address.</summary>
public sealed record FleetGroupAnswer(Hex HoleStart, long Hosts);

/// <summary>A host, and what it asks of the hole.</summary>
/// <param name="Evidence">"map" or "windows".</param>
/// <param name="HighWindow">The lowest window above 4 GiB; null where none is known.</param>
public sealed record HostDemandAnswer(string Name, Hex HoleStart, string Evidence, ulong RamKiB, Hex? HighWindow)
{
    public static HostDemandAnswer Of(HostDemand host) => new(
        host.Name, host.HoleStart, NameOf(host.Evidence), host.RamKiB, host.HighWindow < Frames.AddressLimit ? host.HighWindow : null);

    public static ImmutableArray<HostDemandAnswer> AllOf(IEnumerable<HostDemand> hosts) => [.. hosts.Select(Of)];

    private static string NameOf(DemandEvidence evidence) => evidence switch
    {
        DemandEvidence.Map => "map",
        DemandEvidence.Windows => "windows",
    };
}

/// <summary>How a guest fits the hosts.</summary>
public sealed record FleetGuestAnswer
{
    public required string Name { get; init; }

    public required ulong MemoryKiB { get; init; }

    public required ulong MaxmemKiB { get; init; }

    public required bool NeedsHole { get; init; }

    /// <summary>Null where no hole suits any host.</summary>
    public Hex? EndOfMemory { get; init; }

    public required bool FitsAll { get; init; }

    /// <summary>Hosts with too little memory.</summary>
    public required long TooLittleMemory { get; init; }

    public required long HoleTooLow { get; init; }

    public required long MeetsHighWindow { get; init; }

    /// <summary>Hosts that are known to have its memory.</summary>
    public required long KnownToHaveMemory { get; init; }

    /// <summary>Of those, the hosts on which libxl's own map leaves it less than half of the low RAM that it could have.</summary>
    public required long LosesHalfOfLowMemory { get; init; }

    public required ImmutableArray<HostDemandAnswer> Offenders { get; init; }

    public static FleetGuestAnswer Of(Fleet fleet, FleetGuestFit fit)
    {
        ArgumentNullException.ThrowIfNull(fleet);
        ArgumentNullException.ThrowIfNull(fit);
        return new()
        {
            Name = fit.Guest.Name,
            MemoryKiB = fit.Guest.MemoryKiB,
            MaxmemKiB = fit.Guest.MaxmemKiB,
            NeedsHole = fit.Guest.NeedsHole,
            EndOfMemory = fleet.HoleStart is { } start ? fit.Guest.EndOfMemory(start) : null,
            FitsAll = fit.FitsAll,
            TooLittleMemory = fit.TooLittleMemory,
            HoleTooLow = fit.HoleTooLow,
            MeetsHighWindow = fit.MeetsHighWindow,
            KnownToHaveMemory = fit.KnownToHaveMemory,
            LosesHalfOfLowMemory = fit.LosesHalfOfLowMemory,
            Offenders = HostDemandAnswer.AllOf(fit.Offenders),
        };
    }
}

/// <summary>A guest's move.</summary>
/// <param name="How">"never", "fleet-hole" or "as-it-is".</param>
public sealed record FleetMoveAnswer(string Guest, string From, string To, string How);
