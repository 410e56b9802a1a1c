// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Verification;

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

    /// <summary>The memory setup went as forecast, and that is not all.</summary>
    public const string NoMemoryBehindSetup = "the memory setup is as forecast, and behind it something got no memory and does not work";

    /// <summary>The boot went as forecast, and its end is none of a boot.</summary>
    public const string EndedLater = "the boot is as forecast; it ended later, once it had been put to sleep";

    /// <summary>No kernel of it ran.</summary>
    public const string NotCreated = "the guest was not created";

    /// <summary>What else the log of a boot tells that went as forecast: not all is well for that. Empty where nothing.</summary>
    public static string BehindSetup(BootVerification verification)
    {
        ObservedBoot boot = verification.Boot;
        string needs = !verification.HasNeeds ? "" : boot.Facts.HasLateNeedsAlone ? "; long behind the boot it tells of a want of memory"
            : "; behind that it tells of a want of memory";
        int? line = boot.Facts.FailedClaims.Where(static claim => !claim.Value.IsRomsCopy)
            .Select(static claim => (int?)claim.Line).FirstOrDefault();
        if (line is null && verification.LineWithoutAddress is { } without)
            return string.Create(CultureInfo.InvariantCulture, $"{needs}; not every window of a device has an address (line {without})");
        return line is null ? needs
            : string.Create(CultureInfo.InvariantCulture, $"{needs}; not every window of a device could be claimed (line {line})");
    }

    /// <summary>How far a log goes that lacks something that is forecast. Empty where it lacks nothing, and where the host's map is not known, which
    /// is told in its place.</summary>
    public static string AsFarAs(BootVerification verification) => verification.NotKnownRanges.IsEmpty
        && LogExtent.LastLineOfPart(verification) is { } line
        ? string.Create(CultureInfo.InvariantCulture, $", as far as it goes (to line {line})") : "";

    public static string Of(VerificationAnswer answer) =>
        answer.Verification.Outcomes is { Observed: GuestOutcome.Refused }
            ? $"T{NotCreated[1..]}{(answer.Agrees ? ", as forecast" : "")}."
            : answer.Agrees ? answer.Verification.Boot.Halts ? "The kernel halts, as forecast."
                : $"The boot was as forecast{BehindSetup(answer.Verification)}{AsFarAs(answer.Verification)}."
            : answer.Verification.AgreesButForNeeds ? $"{char.ToUpperInvariant(NoMemoryBehindSetup[0])}{NoMemoryBehindSetup[1..]}."
            : answer.Verification.AgreesButForLaterEnd ? $"{char.ToUpperInvariant(EndedLater[0])}{EndedLater[1..]}."
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
