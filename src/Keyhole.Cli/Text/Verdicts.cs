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
            : answer.Explanations is [var first, ..] ? first
            : $"The boot was not as forecast: {Counted.Of(answer.Differences.Length, "difference")}.";

    public static string Of(FleetAnswer answer) => answer switch
    {
        { Hosts: 0 } => "No host could be judged.",
        { Fleet.NeedsNoHole: true, SuitsAll: true } => $"Every BAR of every guest has its place on {All(answer)}.",
        { Fleet.NeedsNoHole: true } => "Not every guest has a place for all its BARs on every host; see below.",
        { NoDevices: { } refused } => $"No PV guest with a device is created on {refused.Hosts} of {Counted.Of(answer.Hosts, "host")}; see below.",
        { HoleStart: { } start, SuitsAll: true } => $"A hole from {start} suits {All(answer)}.",
        { HoleStart: { } start, Impossible: > 0 } =>
            $"No hole suits {All(answer)}: one from {start} suits all but {answer.Impossible}{NotEveryGuest(answer)}.",
        { HoleStart: { } start } => $"A hole from {start} suits {All(answer)}{NotEveryGuest(answer)}.",
        _ => "No hole suits all hosts.",
    };

    private static string All(FleetAnswer answer) => (answer.Hosts == 1 ? "the one host" : $"all {Counted.Of(answer.Hosts, "host")}")
        + (answer.NotJudged > 0 ? " that could be judged" : "");

    private static string NotEveryGuest(FleetAnswer answer)
    {
        string unread = answer.Unreadable.Count > 0 ? $" that could be read ({answer.Unreadable.Count} could not)" : "";
        return answer.Guests.Any(static guest => !guest.FitsAll) ? $"{unread}, but not every guest fits every one of them; see below" : unread;
    }
}
