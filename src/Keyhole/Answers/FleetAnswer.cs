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
    /// <summary>Hosts that were read.</summary>
    public required long Hosts { get; init; }

    /// <summary>Hosts that say where their devices' windows are.</summary>
    public required long WithWindows { get; init; }

    /// <summary>Hosts that could not be read, or whose needs are not known for lines of their map are lost.</summary>
    public required UnreadableAnswer Unreadable { get; init; }

    /// <summary>Of the unreadable ones those that were read, and whose needs are not known for lines of their map are lost.</summary>
    public required long NotJudged { get; init; }

    /// <summary>Hosts that are judged for guests that need no hole, and whose own hole is not known for lines of their map are lost.</summary>
    public required long HoleNotKnown { get; init; }

    /// <summary>Where the hole [start, 4 GiB) must start that suits all hosts that any suits; 4 GiB where no host asks for one, null where none suits
    /// any.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required Hex? HoleStart { get; init; }

    /// <summary>The policy with that hole, as whoever asks would name it; null where no hole below 4 GiB is asked for.</summary>
    public string? Policy { get; init; }

    /// <summary>The hosts that force the hole to start so low.</summary>
    public required ForcingAnswer ForcedBy { get; init; }

    /// <summary>Where the hole could start without the hosts that force it; null where that leaves none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required Hex? HoleStartWithout { get; init; }

    /// <summary>Hosts that no hole suits.</summary>
    public required long Impossible { get; init; }

    /// <summary>How many groups there are, those that are not listed included.</summary>
    public required long GroupCount { get; init; }

    /// <summary>Hosts by where their hole must start.</summary>
    public required ImmutableArray<FleetGroupAnswer> Groups { get; init => field = Given.Array(value); }

    /// <summary>The hosts that ask for the lowest holes, worst first.</summary>
    public required ImmutableArray<HostDemandAnswer> Worst { get; init => field = Given.Array(value); }

    /// <summary>How each guest fares, in the order given.</summary>
    public required ImmutableArray<FleetGuestAnswer> Guests { get; init => field = Given.Array(value); }

    /// <summary>Of the ways from one host to another, how many a guest can take with the hole of the host that it started on: 0 to 1. Null where
    /// there is no host.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required double? ShareOfMovesAsTheyAre { get; init; }

    /// <summary>Without guests: hosts on which no PV guest with a device is created; null where there is none.</summary>
    public FleetRefusalsAnswer? NoDevices { get; init; }

    /// <summary>Each host; null where they are too many.</summary>
    public ImmutableArray<HostDemandAnswer>? HostList { get; init; }

    /// <summary>Each move of each guest from host to host; null where they are too many.</summary>
    public ImmutableArray<FleetMoveAnswer>? Moves { get; init; }

    /// <summary>How each guest whose firmware places BARs fares on each host; null where there is no such guest, and where the hosts are too
    /// many.</summary>
    public ImmutableArray<HostPlacementAnswer>? Placements { get; init; }

    /// <summary>Whether every host could be read and suits every guest.</summary>
    public required bool SuitsAll { get; init; }

    /// <summary>The fleet: painters draw it.</summary>
    [JsonIgnore]
    public required Fleet Fleet { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => SuitsAll;

    /// <param name="namePolicy">How whoever asks names a policy, of its plain name.</param>
    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static FleetAnswer Of(Fleet fleet, Func<string, string> namePolicy, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(fleet);
        ArgumentNullException.ThrowIfNull(namePolicy);
        return new()
        {
            Hosts = fleet.HostCount,
            WithWindows = fleet.WithWindowsCount,
            Unreadable = new(fleet.UnreadableCount, [.. fleet.Unreadable.Select(error => error.ToPhrase().Worded(words ?? SettingNames.Of))])
            {
                Errors = [.. fleet.Unreadable.Select(error => InputErrorAnswer.Of(error, words))],
            },
            NotJudged = fleet.NotJudgedCount,
            HoleNotKnown = fleet.HoleNotKnownCount,
            HoleStart = fleet.HoleStart,
            Policy = fleet.HoleStart is { } start and < Frames.FourGiB ? namePolicy($"hole-at:{new Hex(HostHoles.RecommendedStart(start))}") : null,
            ForcedBy = new(fleet.ForcedByCount, HostDemandAnswer.AllOf(fleet.ForcedBy)),
            HoleStartWithout = fleet.HoleStartWithout,
            Impossible = fleet.ImpossibleCount,
            GroupCount = fleet.GroupCount,
            Groups = [.. fleet.Groups.Select(static group => new FleetGroupAnswer(group.HoleStart, group.HostCount))],
            Worst = HostDemandAnswer.AllOf(fleet.Worst),
            Guests = [.. fleet.Guests.Select(fit => FleetGuestAnswer.Of(fleet, fit, words))],
            ShareOfMovesAsTheyAre = fleet.ShareOfMovesAsTheyAre,
            NoDevices = FleetRefusalsAnswer.OrNull(fleet.NoDevices, words),
            HostList = fleet.Hosts is { } hosts ? HostDemandAnswer.AllOf(hosts) : null,
            Moves = fleet.Hosts is { } listed ? [.. MovesBetween(fleet, listed)] : null,
            Placements = fleet is { Hosts: { } named, Placements: { } placements } && fleet.Guests.Any(static fit => fit.Placement is not null)
                ? [.. PlacementsOn(fleet, named, placements)] : null,
            SuitsAll = fleet.SuitsAll,
            Fleet = fleet,
        };
    }

    /// <summary>The guests whose moves are judged: those that keep the host's addresses; without any guest, one that needs a hole and fits
    /// everywhere.</summary>
    public static IEnumerable<FleetGuest> Movers(Fleet fleet)
    {
        ArgumentNullException.ThrowIfNull(fleet);
        return fleet.Guests.IsEmpty ? [FleetGuest.Any]
            : fleet.Guests.Where(static fit => fit.Placement is null).Select(static fit => fit.Guest);
    }

    private static IEnumerable<HostPlacementAnswer> PlacementsOn(
        Fleet fleet, ImmutableArray<HostDemand> hosts, ImmutableArray<ImmutableArray<HostPlacement>> placements)
    {
        for (int i = 0; i < fleet.Guests.Length; i++)
        {
            if (fleet.Guests[i].Placement is null)
                continue;
            for (int k = 0; k < hosts.Length; k++)
            {
                if (placements[k].Length <= i)
                    continue;
                HostPlacement placement = placements[k][i];
                yield return new(fleet.Guests[i].Guest.Name, hosts[k].Name, placement.Verdict, placement.Why.Length > 0 ? placement.Why : null);
            }
        }
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

/// <summary>How a guest fares on a host.</summary>
/// <param name="Verdict">"places-all", "too-little-memory", "device-missing", "not-known", or the code of the problem that decides.</param>
/// <param name="Why">One sentence; null where every BAR has its place.</param>
public sealed record HostPlacementAnswer(string Guest, string Host, string Verdict, string? Why);

/// <summary>On how many hosts a guest's firmware places all BARs, and why not on the others.</summary>
/// <param name="PlacesAll">Hosts on which every BAR has its place.</param>
/// <param name="Fails">Hosts on which something decides against it.</param>
/// <param name="NotKnown">Hosts of which something that decides is not told.</param>
/// <param name="WidthAssumed">Hosts that do not tell the width of their addresses, which the guest takes over: a usual one was assumed.</param>
/// <param name="Reasons">Most hosts first.</param>
/// <param name="OtherReasons">Hosts whose reasons are left out, because there are too many different ones.</param>
public sealed record FleetPlacementAnswer(
    long PlacesAll, long Fails, long NotKnown, long WidthAssumed, ImmutableArray<PlacementReasonAnswer> Reasons, long OtherReasons)
{
    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static FleetPlacementAnswer Of(FleetPlacement placement, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(placement);
        return new(
            placement.PlacesAll, placement.Fails, placement.NotKnown, placement.WidthAssumed,
            [.. placement.Groups.Select(group => new PlacementReasonAnswer(
                group.Verdict, group.Why, group.HostCount, group.First, group.Remedy?.Worded(words ?? SettingNames.Of)))],
            placement.Ungrouped);
    }
}

/// <summary>Hosts on which the toolstack does not create a guest: how many, and why, most hosts first.</summary>
public sealed record FleetRefusalsAnswer(long Hosts, ImmutableArray<PlacementReasonAnswer> Reasons)
{
    internal static FleetRefusalsAnswer? OrNull(FleetRefusals? refused, Func<Setting, string>? words) => refused is null ? null : new(
        refused.HostCount,
        [.. refused.Groups.Select(group => new PlacementReasonAnswer(
            group.Verdict, group.Why, group.HostCount, group.First, group.Remedy?.Worded(words ?? SettingNames.Of)))]);
}

/// <summary>Hosts on which a guest fares alike.</summary>
/// <param name="Verdict">As in <see cref="HostPlacementAnswer"/>.</param>
/// <param name="First">The first of them by name.</param>
/// <param name="Remedy">What helps on the first of them, as tried; null for nothing.</param>
public sealed record PlacementReasonAnswer(string Verdict, string Why, long Hosts, ImmutableArray<string> First, string? Remedy);

/// <summary>Hosts that could not be read: how many, and the first of them.</summary>
public sealed record UnreadableAnswer(long Count, ImmutableArray<string> First)
{
    /// <summary>The same errors as <see cref="First"/>, for programs.</summary>
    public ImmutableArray<InputErrorAnswer> Errors { get; init => field = Given.Array(value); } = [];
}

/// <summary>Why an input could not be read.</summary>
/// <param name="Code">The kind of fault, as <see cref="InputErrorCodes"/> names it.</param>
/// <param name="Source">What the input came from: a file, an option, standard input.</param>
/// <param name="Line">Counted from 1; null where lines mean nothing.</param>
/// <param name="What">What is wrong.</param>
/// <param name="Parameters">The words and figures in <paramref name="What"/>, in its order.</param>
/// <param name="Remedy">What to do about it.</param>
public sealed record InputErrorAnswer(string Code, string Source, int? Line, string What, ImmutableArray<string> Parameters, string Remedy)
{
    /// <summary>An error.</summary>
    /// <param name="words">What settings are called; null for their names in this library.</param>
    public static InputErrorAnswer Of(InputError error, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(error);
        return new(InputErrorCodes.NameOf(error.Code), error.Source, error.Line, error.What, error.Parameters,
            error.Remedy.Worded(words ?? SettingNames.Of));
    }
}

/// <summary>Hosts that force the hole: how many, and the first of them.</summary>
public sealed record ForcingAnswer(long Count, ImmutableArray<HostDemandAnswer> First);

/// <summary>Hosts whose hole must start at the same address.</summary>
public sealed record FleetGroupAnswer(Hex HoleStart, long Hosts);

/// <summary>A host, and what it asks of the hole.</summary>
/// <param name="Evidence">"map" or "windows".</param>
/// <param name="HighWindow">The lowest window above 4 GiB; null where none is known.</param>
public sealed record HostDemandAnswer(string Name, Hex HoleStart, string Evidence, ulong RamKiB, Hex? HighWindow)
{
    /// <summary>True where lost lines decide <see cref="HoleStart"/>, which is then of the lines that are there; else null.</summary>
    public bool? HoleNotKnown { get; init; }

    /// <summary>What a host asks for.</summary>
    public static HostDemandAnswer Of(HostDemand host) => new(
        host.Name, host.HoleStart, NameOf(host.Evidence), host.RamKiB, host.HighWindow < Frames.AddressLimit ? host.HighWindow : null)
    {
        HoleNotKnown = host.IsHoleNotKnown ? true : null,
    };

    internal static ImmutableArray<HostDemandAnswer> AllOf(IEnumerable<HostDemand> hosts) => [.. hosts.Select(Of)];

    private static string NameOf(DemandEvidence evidence) => evidence switch
    {
        DemandEvidence.Map => "map",
        DemandEvidence.Windows => "windows",
    };
}

/// <summary>How a guest fits the hosts.</summary>
public sealed record FleetGuestAnswer
{
    /// <summary>What the guest is called.</summary>
    public required string Name { get; init; }

    /// <summary>Memory that it starts with, in KiB.</summary>
    public required ulong MemoryKiB { get; init; }

    /// <summary>Memory that it may grow to, in KiB.</summary>
    public required ulong MaxmemKiB { get; init; }

    /// <summary>Whether it has a device passed through, and so needs the hole.</summary>
    public required bool NeedsHole { get; init; }

    /// <summary>Null where no hole suits any host.</summary>
    public Hex? EndOfMemory { get; init; }

    /// <summary>Whether it can live on every host of the fleet.</summary>
    public required bool FitsAll { get; init; }

    /// <summary>Hosts with too little memory.</summary>
    public required long TooLittleMemory { get; init; }

    /// <summary>Hosts that no hole suits; 0 for a guest that needs none.</summary>
    public required long HoleTooLow { get; init; }

    /// <summary>Hosts with a device's window where the guest's memory above 4 GiB would be.</summary>
    public required long MeetsHighWindow { get; init; }

    /// <summary>Hosts that are known to have its memory.</summary>
    public required long KnownToHaveMemory { get; init; }

    /// <summary>Of those, the hosts on which libxl's own map leaves it less than half of the low RAM that it could have.</summary>
    public required long LosesHalfOfLowMemory { get; init; }

    /// <summary>Some of the hosts that it cannot be on, worst first.</summary>
    public required ImmutableArray<HostDemandAnswer> Offenders { get; init => field = Given.Array(value); }

    /// <summary>Where its firmware places all BARs; null for a guest whose firmware places none.</summary>
    public FleetPlacementAnswer? Placement { get; init; }

    /// <summary>Hosts on which the toolstack does not create it, whatever map it has; null where there is none, and for guests whose firmware places
    /// BARs.</summary>
    public FleetRefusalsAnswer? Refused { get; init; }

    /// <summary>What a plan warns of on every host, whatever hole the guest has; null for nothing.</summary>
    public ImmutableArray<ProblemAnswer>? Problems { get; init; }

    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    internal static FleetGuestAnswer Of(Fleet fleet, FleetGuestFit fit, Func<Setting, string>? words = null)
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
            FitsAll = fit.FitsAll && fleet.HostCount > 0,
            TooLittleMemory = fit.TooLittleMemory,
            HoleTooLow = fit.HoleTooLow,
            MeetsHighWindow = fit.MeetsHighWindow,
            KnownToHaveMemory = fit.KnownToHaveMemory,
            LosesHalfOfLowMemory = fit.LosesHalfOfLowMemory,
            Offenders = HostDemandAnswer.AllOf(fit.Offenders),
            Problems = fit.Guest.ProblemAnywhere is { } problem ? ProblemAnswer.AllOf([problem], words) : null,
            Refused = FleetRefusalsAnswer.OrNull(fit.Refused, words),
            Placement = fit.Placement is { } placement ? FleetPlacementAnswer.Of(placement, words) : null,
        };
    }
}

/// <summary>A guest's move.</summary>
/// <param name="How">"never", "fleet-hole" or "as-it-is".</param>
public sealed record FleetMoveAnswer(string Guest, string From, string To, string How);
