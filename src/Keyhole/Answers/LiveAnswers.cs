// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Probing;

namespace Keyhole.Answers;

/// <summary>What is forecast of a live guest's boot, in short.</summary>
public sealed record LiveForecastAnswer
{
    /// <summary>The kernel that was forecast, by its name.</summary>
    public required string Kernel { get; init; }

    /// <summary>"boots" or "halts".</summary>
    public required string Outcome { get; init; }

    /// <summary>The panic message; null where the kernel boots.</summary>
    public string? Message { get; init; }

    /// <summary>Pages that the guest starts with.</summary>
    public required ulong NrPages { get; init; }

    /// <summary>Pages that the kernel gives back to Xen.</summary>
    public required ulong ReleasedPages { get; init; }

    /// <summary>Pages that it moves to other addresses.</summary>
    public required ulong RemappedPages { get; init; }

    /// <summary>The windows of the guest's devices.</summary>
    public required ImmutableArray<LiveBarAnswer> Bars { get; init => field = Given.Array(value); }

    /// <summary>The forecast in short.</summary>
    public static LiveForecastAnswer Of(BootForecast forecast)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        return new()
        {
            Kernel = KernelReleases.NameOf(forecast.Request.Kernel),
            Outcome = Platforms.GuestOutcomes.NameOf(forecast.Outcome),
            Message = forecast.Message,
            NrPages = forecast.Request.PageCount,
            ReleasedPages = forecast.ReleasedPages,
            RemappedPages = forecast.RemappedPages,
            Bars = [.. forecast.Bars.Select(static verdict => new LiveBarAnswer(verdict.Bar.Start, verdict.Bar.End, verdict.CanBeClaimed))],
        };
    }
}

/// <summary>Whether a window can be claimed.</summary>
public readonly record struct LiveBarAnswer(Hex Start, Hex End, bool Claimed);

/// <summary>What <c>apply</c> answers: the map that a paused guest had and the one that it gets.</summary>
public sealed record ApplyAnswer : Answer
{
    /// <summary>The domain's number.</summary>
    public required uint Id { get; init; }

    /// <summary>Null where the toolstack has none, and where a map was taken back.</summary>
    public string? Name { get; init; }

    /// <summary>The policy of the new map: "map" for one given by hand.</summary>
    public required string Policy { get; init; }

    /// <summary>Whether the new map is in force; false too where nothing was to be changed.</summary>
    public required bool Installed { get; init; }

    /// <summary>The map that the guest had.</summary>
    public required ImmutableArray<EntryAnswer> Old { get; init => field = Given.Array(value); }

    /// <summary>With the reasons of a planned map; without any where one was put back.</summary>
    public required ImmutableArray<NewEntryAnswer> New { get; init => field = Given.Array(value); }

    /// <summary>Null where a map was put back.</summary>
    public LiveForecastAnswer? Forecast { get; init; }

    /// <summary>Null where a map was put back.</summary>
    public ImmutableArray<ProblemAnswer>? Problems { get; init; }

    /// <summary>Whether the new map is not installed because it is none to install.</summary>
    [JsonIgnore]
    public bool IsRefused { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => !IsRefused;
}

/// <summary>An entry of an installed map; no reason where it is not known.</summary>
public readonly record struct NewEntryAnswer(Hex Start, Hex End, E820Type Type, string? Why);

/// <summary>What <c>start</c> answers: whether a guest came up on its map, and whether as forecast.</summary>
public sealed record StartAnswer : Answer
{
    /// <summary>The guest's name.</summary>
    public required string Name { get; init; }

    /// <summary>The domain's number; null where none was started.</summary>
    public uint? Id { get; init; }

    /// <summary>The policy that laid its map.</summary>
    public required string Policy { get; init; }

    /// <summary>The map that was planned.</summary>
    public required ImmutableArray<PlannedEntryAnswer> E820 { get; init => field = Given.Array(value); }

    /// <summary>RAM of that map below 4 GiB, in KiB; null where that is not known.</summary>
    public ulong? RamBelow4GiBKiB { get; init; }

    /// <summary>What was forecast of its boot.</summary>
    public required LiveForecastAnswer Forecast { get; init; }

    /// <summary>Problems of plan and forecast.</summary>
    public required ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); }

    /// <summary>"booted", "died", "stuck", "silent" or "not-started".</summary>
    public required string Outcome { get; init; }

    /// <summary>Whether its console agrees with the forecast.</summary>
    public required bool Agrees { get; init; }

    /// <summary>Where the console says something else than the forecast.</summary>
    public required ImmutableArray<FindingAnswer> Differences { get; init => field = Given.Array(value); }

    /// <summary>Why, as far as that can be told.</summary>
    public required ImmutableArray<string> Explanations { get; init => field = Given.Array(value); }

    /// <summary>What the guest said of its memory.</summary>
    public required ImmutableArray<string> Console { get; init => field = Given.Array(value); }

    /// <summary>Whether the guest is still there.</summary>
    public required bool Kept { get; init; }

    /// <summary>In words.</summary>
    public required string Verdict { get; init; }

    /// <summary>What becomes of the map at a reboot, where it does not stay; null where it does, or there is no guest.</summary>
    public string? Remark { get; init; }

    /// <summary>Whether it went all as forecast, and well.</summary>
    [JsonIgnore]
    public required bool Succeeded { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => Succeeded;
}

/// <summary>What <c>install</c> answers: what becomes of a guest's configuration, so that its map lasts.</summary>
public sealed record InstallAnswer : Answer
{
    /// <summary>The guest's name.</summary>
    public required string Name { get; init; }

    /// <summary>The configuration's whole path, links followed.</summary>
    public required string Config { get; init; }

    /// <summary>The policy that lays its map.</summary>
    public required string Policy { get; init; }

    /// <summary>"stop" or "libxl": what becomes of the guest where it cannot be given its map; null where the change is taken back.</summary>
    public string? OrElse { get; init; }

    /// <summary>Whether the scripts are in place and the configuration names them.</summary>
    public required bool Installed { get; init; }

    /// <summary>Whether they were taken out again.</summary>
    public required bool Undone { get; init; }

    /// <summary>Keyhole's scripts, with the guest's own ones that they run.</summary>
    public required ImmutableArray<InstalledScriptAnswer> Scripts { get; init => field = Given.Array(value); }

    /// <summary>The lines of the configuration that differ.</summary>
    public required ImmutableArray<LineChangeAnswer> Changes { get; init => field = Given.Array(value); }

    /// <summary>Where the configuration as it was is kept; null where the change is taken back.</summary>
    public string? Copy { get; init; }

    /// <summary>Null where the change is taken back.</summary>
    public LiveForecastAnswer? Forecast { get; init; }

    /// <summary>Problems of plan and forecast.</summary>
    public required ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); }

    /// <summary>What has to be known besides.</summary>
    public required ImmutableArray<string> Remarks { get; init => field = Given.Array(value); }

    /// <summary>Whether nothing is installed because the guest would not boot on the map.</summary>
    [JsonIgnore]
    public bool IsRefused { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => !IsRefused;
}

/// <summary>A script of Keyhole's, and the one that it runs.</summary>
public sealed record InstalledScriptAnswer(string Path, string Runs);

/// <summary>A line before and after.</summary>
public readonly record struct LineChangeAnswer(int Line, string Before, string After);

/// <summary>What <c>inspect</c> answers: what is known of a live domain.</summary>
public sealed record InspectAnswer : Answer
{
    /// <summary>Xen's release.</summary>
    public required string Xen { get; init; }

    /// <summary>The domain's number.</summary>
    public required uint Id { get; init; }

    /// <summary>The domain's name; null where the toolstack has none.</summary>
    public string? Name { get; init; }

    /// <summary>The domain's UUID.</summary>
    public required Guid Uuid { get; init; }

    /// <summary>"dying", "crashed", "shut down", "paused" or "running".</summary>
    public required string State { get; init; }

    /// <summary>"poweroff", "reboot", "suspend", "crash", "watchdog" or "soft-reset"; null where it has not ended.</summary>
    public string? Shutdown { get; init; }

    /// <summary>"PV", "PVH", "HVM" or "HVM or PVH".</summary>
    public required string Type { get; init; }

    /// <summary>Whether it has used any time of a processor.</summary>
    public required bool HasRun { get; init; }

    /// <summary>Time of processors that it has used, in nanoseconds.</summary>
    public required ulong CpuTimeNanoseconds { get; init; }

    /// <summary>Pages that it owns.</summary>
    public required ulong Pages { get; init; }

    /// <summary>Null where Xen does not say.</summary>
    public long? MaximumPages { get; init; }

    /// <summary>The balloon's target in KiB; null where the toolstack does not say.</summary>
    public ulong? TargetKiB { get; init; }

    /// <summary>The most that the balloon may be told, in KiB; null where the toolstack does not say.</summary>
    public ulong? StaticMaxKiB { get; init; }

    /// <summary>The map that Keyhole installed; null where it installed none.</summary>
    public InstalledMapAnswer? Applied { get; init; }

    /// <summary>The map that the toolstack gave it; null where it does not say how the domain was made.</summary>
    public ToolstackMapAnswer? Toolstack { get; init; }

    /// <summary>The guest's own P2M list; null where it has none, or it cannot be read: <see cref="P2mRemark"/> says why.</summary>
    public LiveP2mAnswer? P2m { get; init; }

    /// <summary>Why there is no <see cref="P2m"/>, in words; null where there is one.</summary>
    public string? P2mRemark { get; init; }

    /// <summary>What cannot be told of a live domain, in words.</summary>
    public required string Remark { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => true;
}

/// <summary>A running guest's P2M list.</summary>
/// <param name="Basis">How sure it is, in words.</param>
/// <param name="Frames">Frames that it has entries for.</param>
/// <param name="Runs">Frames in a row of which it says the same, sorted, without gaps.</param>
/// <param name="RamPages">Frames with machine frames of the guest's own.</param>
/// <param name="Forecast">How it compares with the forecast for the map that the guest was given; null where that is not known.</param>
public sealed record LiveP2mAnswer(
    string Basis, ulong Frames, ulong RamPages, ImmutableArray<LiveP2mRunAnswer> Runs, LiveP2mForecastAnswer? Forecast);

/// <summary>Frames of a P2M list; the end is exclusive.</summary>
/// <param name="Kind">"ram", "identity", "foreign", "invalid", or "unwritten": identity or invalid, of which a list does not tell which.</param>
/// <param name="Page">Which page of the list for what is unwritten: frames with the same one are of the same kind; null for other kinds.</param>
public readonly record struct LiveP2mRunAnswer(Hex Start, Hex End, string Kind, int? Page);

/// <summary>A P2M list beside a forecast.</summary>
/// <param name="Kernel">Which Linux the forecast is for.</param>
/// <param name="KernelIsKnown">Whether the user or the kernel's image says that it is that one.</param>
/// <param name="Map">The policy of the map: the installed one's, or the toolstack's.</param>
/// <param name="Outcome">What is forecast: "boots", "halts" or "unknown".</param>
/// <param name="Agrees">Whether they agree on every frame; null where no P2M is forecast.</param>
/// <param name="DifferingPages">Frames of which they say other things.</param>
/// <param name="FirstDifference">The first of them; null where there are none.</param>
public sealed record LiveP2mForecastAnswer(
    string Kernel, bool KernelIsKnown, string Map, string Outcome, bool? Agrees, ulong DifferingPages, LiveP2mDifferenceAnswer? FirstDifference);

/// <summary>Frames of which a list and a forecast say other things; the end is exclusive.</summary>
/// <param name="Live">What the list says: a kind of <see cref="LiveP2mRunAnswer"/>.</param>
/// <param name="Forecast">What was forecast.</param>
public sealed record LiveP2mDifferenceAnswer(Hex Start, Hex End, string Live, string Forecast);

/// <summary>A map that was installed.</summary>
/// <param name="Basis">How sure it is, in words.</param>
public sealed record InstalledMapAnswer(string Policy, ImmutableArray<EntryAnswer> E820, string Basis);

/// <summary>A map that the toolstack made.</summary>
/// <param name="Basis">How sure it is, in words.</param>
public sealed record ToolstackMapAnswer(string Policy, ImmutableArray<PlannedEntryAnswer> E820, string Basis);

/// <summary>What <c>probe</c> answers: what a kernel that looks at every page found of a map.</summary>
public sealed record ProbeAnswer : Answer
{
    /// <summary>The guest's name; empty where it has none.</summary>
    public required string Name { get; init; }

    /// <summary>The policy that laid the map.</summary>
    public required string Policy { get; init; }

    /// <summary>The map that was tried.</summary>
    public required ImmutableArray<PlannedEntryAnswer> E820 { get; init => field = Given.Array(value); }

    /// <summary>Whether the layout works on this host; null where that is not known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required bool? Works { get; init; }

    /// <summary>In words.</summary>
    public required string Verdict { get; init; }

    /// <summary>Pages that the probe started with.</summary>
    public required ulong NrPages { get; init; }

    /// <summary>Pages that it gave back to Xen.</summary>
    public required ulong ReleasedPages { get; init; }

    /// <summary>Pages that it moved to other addresses.</summary>
    public required ulong RemappedPages { get; init; }

    /// <summary>Pages that it got from Xen.</summary>
    public required ulong PopulatedPages { get; init; }

    /// <summary>For the guest's own kernel.</summary>
    public required LiveForecastAnswer Forecast { get; init; }

    /// <summary>Problems of the forecast.</summary>
    public required ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); }

    /// <summary>Where the probe found something else than was forecast.</summary>
    public required ImmutableArray<FindingAnswer> Differences { get; init => field = Given.Array(value); }

    /// <summary>How often it made each hypercall.</summary>
    public required IReadOnlyDictionary<string, ulong> Hypercalls { get; init; }

    /// <summary>What it looked at.</summary>
    public required ImmutableArray<ProbeCheckAnswer> Checks { get; init => field = Given.Array(value); }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => Works == true;

    /// <param name="map">The map that was tried.</param>
    /// <param name="forecast">For the guest's own kernel.</param>
    /// <param name="problems">Of that forecast.</param>
    /// <param name="works">Null where that is not known.</param>
    /// <param name="text">The verdict in words.</param>
    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static ProbeAnswer Of(
        Platforms.Plan map,
        BootForecast forecast,
        ImmutableArray<Problem> problems,
        ProbeReport report,
        ProbeVerdict verdict,
        bool? works,
        string text,
        Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(forecast);
        Given.Array(problems, nameof(problems));
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(verdict);
        ArgumentNullException.ThrowIfNull(text);
        return new()
        {
            Name = map.Guest.Name ?? "",
            Policy = map.Policy,
            E820 = PlannedEntryAnswer.AllOf(map.Entries),
            Works = works,
            Verdict = text,
            NrPages = report.PageCount,
            ReleasedPages = report.ReleasedPages,
            RemappedPages = report.RemappedPages,
            PopulatedPages = report.PopulatedPages,
            Forecast = LiveForecastAnswer.Of(forecast),
            Problems = ProblemAnswer.AllOf(problems, words),
            Differences = FindingAnswer.AllOf(verdict.Differences),
            Hypercalls = CountsByName.Of(report.Hypercalls),
            Checks = [.. report.Checks.Select(static check => new ProbeCheckAnswer(check.Name, check.Passed, check.Describe()))],
        };
    }
}

/// <summary>Something that the probe looked at.</summary>
public sealed record ProbeCheckAnswer(string Name, bool Passed, string Details);
