// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Verification;

namespace Keyhole.Answers;

/// <summary>What <c>verify</c> answers: a real boot beside its forecast.</summary>
public sealed record VerificationAnswer : Answer
{
    /// <summary>Whether boot and forecast agree, as far as the forecast is known.</summary>
    public required bool Agrees { get; init; }

    /// <summary>The kernel that the log was compared with.</summary>
    public required string Profile { get; init; }

    /// <summary>Which boot of the log it was.</summary>
    public required ObservedBootAnswer Boot { get; init; }

    /// <summary>How the boot was forecast to end and how it ended.</summary>
    public required OutcomesAnswer Outcome { get; init; }

    /// <summary>Where they do not.</summary>
    public required ImmutableArray<FindingAnswer> Differences { get; init => field = Given.Array(value); }

    /// <summary>Where they do.</summary>
    public required ImmutableArray<FindingAnswer> Agreements { get; init => field = Given.Array(value); }

    /// <summary>Where the guest's map is not known, for lines of the host's map are lost; null where none are.</summary>
    public ImmutableArray<RangeAnswer>? NotKnown { get; init; }

    /// <summary>What the log shows where lines of the host's map are lost that decide what would be forecast, or an outcome of which nothing
    /// is forecast: neither agreement nor difference; null where there is none.</summary>
    public ImmutableArray<FindingAnswer>? Undecided { get; init; }

    /// <summary>What the forecast says and the log does not.</summary>
    public required ImmutableArray<string> NotCompared { get; init => field = Given.Array(value); }

    /// <summary>Why they do not, as far as that can be told.</summary>
    public required ImmutableArray<string> Explanations { get; init => field = Given.Array(value); }

    /// <summary>The comparison.</summary>
    [JsonIgnore]
    public required BootVerification Verification { get; init; }

    /// <summary>What was forecast; null where nothing could be, and the boot's end is all that was looked at.</summary>
    [JsonIgnore]
    public required Boot? Expected { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => Agrees;

    /// <param name="expected">What was forecast; null where nothing could be.</param>
    /// <param name="log">What messages call the log.</param>
    /// <param name="bootCount">Boots in the log.</param>
    /// <param name="words">What settings are called in the explanations; null for their names in this library.</param>
    public static VerificationAnswer Of(Boot? expected, BootVerification verification, string log, int bootCount, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(verification);
        ArgumentNullException.ThrowIfNull(log);
        return new()
        {
            Agrees = verification.Agrees,
            Profile = KernelReleases.NameOf(verification.Profile),
            Boot = new(log, verification.Boot.Number, bootCount, verification.Boot.FirstLine, verification.Boot.LastLine,
            verification.Boot.Release?.Value),
            Outcome = OutcomesOf(expected, verification),
            Differences = FindingAnswer.AllOf(verification.Differences),
            Agreements = FindingAnswer.AllOf([.. verification.Findings.Where(static finding => finding.Agrees)]),
            NotKnown = verification.NotKnownRanges.IsEmpty ? null : [.. verification.NotKnownRanges.Select(RangeAnswer.Of)],
            Undecided = verification.NotKnownRanges.IsEmpty && verification.Undecided.IsEmpty ? null : FindingAnswer.AllOf(verification.Undecided),
            NotCompared = verification.NotCompared,
            Explanations = [.. verification.Explanations.Select(text => text.Worded(words ?? SettingNames.Of))],
            Verification = verification,
            Expected = expected,
        };
    }

    private static OutcomesAnswer OutcomesOf(Boot? expected, BootVerification verification)
    {
        if (verification.Outcomes is { } outcomes)
            return new(outcomes.Forecast.NameOf(), outcomes.Observed?.NameOf());
        // What was compared counts: where the log shows a smaller kernel than was taken, the forecast was of that one.
        Finding? end = verification.Findings.FirstOrDefault(static finding => finding.What == Verifier.OutcomeWhat);
        GuestOutcome forecast = OutcomeIn(end?.Forecast) ?? expected?.Outcome ?? GuestOutcome.NotKnown;
        GuestOutcome? observed = verification.Boot.Halts ? GuestOutcome.Halts : OutcomeIn(end?.Observed);
        observed ??= OutcomeIn(verification.Undecided.FirstOrDefault(static finding => finding.What == Verifier.OutcomeWhat)?.Observed);
        return new(forecast.NameOf(), observed?.NameOf());
    }

    private static GuestOutcome? OutcomeIn(string? finding) => finding is null ? null
        : finding.StartsWith("halts", StringComparison.Ordinal) ? GuestOutcome.Halts
        : finding.StartsWith("boots", StringComparison.Ordinal) ? GuestOutcome.Boots : null;
}

/// <summary>A boot in a log.</summary>
/// <param name="Number">Counted from 1.</param>
/// <param name="Of">Boots in the log.</param>
/// <param name="Release">The kernel's release; null where the log does not say it.</param>
public sealed record ObservedBootAnswer(string Log, int Number, int Of, int FirstLine, int LastLine, string? Release);

/// <summary>Two outcomes side by side.</summary>
/// <param name="Forecast">"not-known" where nothing could be forecast.</param>
/// <param name="Observed">Null where the log does not show it.</param>
public sealed record OutcomesAnswer(string Forecast, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Observed);

/// <summary>One thing that a log says, beside what was forecast; null where one of the two has nothing of the kind.</summary>
/// <param name="What">Stable, for scripts.</param>
/// <param name="Line">The log's line.</param>
public sealed record FindingAnswer(
    string What,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Forecast,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? Observed,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] int? Line)
{
    /// <summary>Findings in their order.</summary>
    public static ImmutableArray<FindingAnswer> AllOf(ImmutableArray<Finding> findings)
    {
        Given.Array(findings, nameof(findings));
        return [.. findings.Select(static finding => new FindingAnswer(finding.What, finding.Forecast, finding.Observed, finding.Line))];
    }
}
