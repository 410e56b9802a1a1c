// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Text;

/// <summary>An answer in one sentence.</summary>
internal static class Verdicts
{
    public static string Of(PlanAnswer answer)
    {
        string outcome = answer.Outcome is { } reached ? $"The guest's outcome: {reached}. " : "";
        // An error may say the same words, and whose they are.
        if (answer.Message is { } message
            && !answer.Problems.Any(problem => problem.Severity == Severity.Error && problem.Message.Contains(message, StringComparison.Ordinal)))
            outcome += $"{message} ";
        ProblemAnswer[] errors = [.. answer.Problems.Where(static problem => problem.Severity == Severity.Error)];
        return errors switch
        {
            [] when answer.E820 is null => $"{outcome}The map of this platform is not known.",
            [] when answer.Problems.FirstOrDefault(static problem => problem.Severity == Severity.Warning) is { } warning =>
                $"{outcome}No error, but a warning: {warning.Message}",
            [] => $"{outcome}No problem was found.",
            [var only] => $"{outcome}{only.Message}",
            [var first, ..] => $"{outcome}{first.Message}, and {errors.Length - 1} more",
        };
    }

    public static string Of(VerificationAnswer answer) =>
        answer.Agrees ? answer.Verification.Boot.Halts ? "The kernel halts, as forecast." : "The boot was as forecast."
            : answer.Explanations is [var first, ..] ? first : $"The boot was not as forecast: {answer.Differences.Length} differences.";

    public static string Of(FleetAnswer answer) => answer switch
    {
        { Fleet.NeedsNoHole: true, SuitsAll: true } => $"Every BAR of every guest has its place on all {answer.Hosts} hosts.",
        { Fleet.NeedsNoHole: true } => "Not every guest has a place for all its BARs on every host; see below.",
        { HoleStart: { } start, SuitsAll: true } => $"A hole from {start} suits all {answer.Hosts} hosts.",
        { HoleStart: { } start, Impossible: > 0 } =>
            $"No hole suits all {answer.Hosts} hosts: one from {start} suits all but {answer.Impossible}{NotEveryGuest(answer)}.",
        { HoleStart: { } start, Guests: [] } => $"A hole from {start} suits the {answer.Hosts} hosts that could be read.",
        { HoleStart: { } start } => $"A hole from {start} suits all {answer.Hosts} hosts{NotEveryGuest(answer)}.",
        _ => "No hole suits all hosts.",
    };

    private static string NotEveryGuest(FleetAnswer answer) => answer.Guests.Any(static guest => !guest.FitsAll)
        ? ", but not every guest fits every one of them; see below" : "";
}
