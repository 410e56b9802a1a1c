// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Probing;

namespace Keyhole.Answers;

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
            Forecast = LiveForecastAnswer.Of(forecast, map.Scenario.IsKernelAssumed),
            Problems = ProblemAnswer.AllOf(problems, words),
            Differences = FindingAnswer.AllOf(verdict.Differences),
            Hypercalls = CountsByName.Of(report.Hypercalls),
            Checks = [.. report.Checks.Select(static check => new ProbeCheckAnswer(check.Name, check.Passed, check.Describe()))],
        };
    }
}

/// <summary>Something that the probe looked at.</summary>
public sealed record ProbeCheckAnswer(string Name, bool Passed, string Details);
