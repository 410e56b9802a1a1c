// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>Compares what was forecast with what a log shows. What the log does not show is no difference: logs are cut.</summary>
public static class Verifier
{
    /// <summary>What the finding about the boot's end is called.</summary>
    public const string OutcomeWhat = "outcome";

    /// <param name="forecast">For the kernel that the log is taken to be of.</param>
    /// <param name="observed">The boot.</param>
    /// <param name="plan">Where the forecast's map came from, for explanations; null where it came from elsewhere.</param>
    /// <param name="hostLog">The log that the host was read from, for explanations; null where it was read from something else.</param>
    public static BootVerification Compare(BootForecast forecast, ObservedBoot observed, Plan? plan = null, LogScan? hostLog = null)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        ArgumentNullException.ThrowIfNull(observed);
        observed = observed.PastDamage();
        // Where nobody knows where the kernel ends, the boot tells.
        BootForecast? shorter = forecast.Shortest;
        bool isShorter = shorter is not null && !AgreesAll(forecast, observed) && AgreesAll(shorter, observed);
        ulong endsBy = forecast.KernelEndThatMatters;
        if (isShorter)
            forecast = shorter!;
        ComparedBoot compared = Findings(forecast, observed);
        string[] learnt = isShorter
            ? [$"Where the kernel itself ends the log does not say; its boot shows that it ends by 0x{endsBy:x}, before the end that its "
                + $"builder gave it, and it is forecast so."]
            : [];
        return new()
        {
            Profile = forecast.Request.Kernel,
            Boot = observed,
            Findings = compared.Findings,
            Undecided = compared.Undecided,
            NotKnownRanges = compared.NotKnownRanges,
            NotCompared = compared.NotCompared,
            Explanations = [.. Explanations.Of(forecast, observed, compared.Findings, plan, hostLog), .. learnt.Select(static text => (Phrase)text)],
        };
    }

    /// <summary>Whether everything that the log shows of the memory setup is as forecast. Devices' windows are no part of it: what is in their way
    /// may have come later.</summary>
    internal static bool AgreesAll(BootForecast forecast, ObservedBoot observed) =>
        Findings(forecast, observed).Findings
            .All(finding => finding.Agrees || IsBehindSetup(finding) || IsDeathBehindSetup(finding, observed));

    /// <summary>Whether a finding is about what comes behind the memory setup: no other release, guest or map would make it agree.</summary>
    internal static bool IsBehindSetup(Finding finding) => finding.What is BarFindings.What or NeedFindings.What or LaterEnd.What;

    /// <summary>The mainline releases that agree with everything in the log: "3.2 to 3.4, or 6.12 and later".</summary>
    internal static string Agreeing(BootRequest request, ObservedBoot observed) => KernelSurvey.ReleasesThat(
        forecast => AgreesAll(forecast, observed),
        KernelSurvey.Of(request));

    /// <summary>Whether a finding tells no more than that the kernel died of something that no forecast of its memory setup could have in
    /// it.</summary>
    internal static bool IsDeathBehindSetup(Finding finding, ObservedBoot observed) =>
        finding.What == OutcomeWhat && observed is { Facts.PanicMessage: null, BootFailure: not null } && finding.Forecast is (Boots or null);

    /// <summary>A boot of a domain whose map is not forecast: its end is all that can be told.</summary>
    /// <param name="observed">The boot.</param>
    /// <param name="why">Why there is no forecast, as a sentence.</param>
    public static BootVerification WithoutForecast(ObservedBoot observed, string why)
    {
        ArgumentNullException.ThrowIfNull(observed);
        ArgumentNullException.ThrowIfNull(why);
        var findings = ImmutableArray.CreateBuilder<Finding>();
        if (observed.Facts.PanicMessage is { } words)
            findings.Add(new(OutcomeWhat, null, Halts(words.Value), words.Line, Agrees: false));
        else if (observed.BootFailure is { } failure)
            findings.Add(new(OutcomeWhat, null, FailureText(failure.Value), failure.Line, Agrees: false));
        return new()
        {
            Profile = observed.Kernel ?? KernelReleases.Default,
            Boot = observed,
            Findings = findings.ToImmutable(),
            NotCompared = ["everything: there is no forecast"],
            Explanations = observed is { IsXensOwnEnd: true, BootFailure: { } xens } ? [FailureExplanations.OfXensOwnEnd(xens), why] : [why],
        };
    }

    private static ComparedBoot Findings(BootForecast forecast, ObservedBoot observed)
    {
        var possible = PossibleForecasts.Of(forecast, observed);
        var notCompared = new List<string>();
        Finding[] findings = [.. FindingsOf(possible.All[0], observed, possible.NotKnownRanges, notCompared)];
        // Where the kernel lies nobody knows, so that no end was forecast: the one that the log shows is neither as forecast nor otherwise.
        if (!possible.HasLostLines)
        {
            ImmutableArray<Finding> ends =
                notCompared.Contains(EndNotForecast) && Outcome(forecast, observed) is { } end ? [WithoutForecast(end)] : [];
            return new([.. findings], ends, ends.IsEmpty ? [.. notCompared] : [.. notCompared.Where(static what => what != EndNotForecast)], []);
        }

        // What another reading of lines that are lost would have otherwise speaks neither for nor against the forecast.
        Finding[][] others = [.. possible.All.Skip(1)
            .Select(reading => FindingsOf(reading, observed, possible.NotKnownRanges, new List<string>()).ToArray())];
        ILookup<bool, Finding> known = findings.ToLookup(finding => Array.TrueForAll(others, other => other.Contains(finding))
            && !(finding.What == OutcomeWhat && forecast.IsDecidedByLostLines));
        Finding[] undecided = [.. known[false]
            .Concat(MapComparison.Undecided(possible.NotKnownRanges, observed, [.. known[true], .. known[false]]))
            .OrderBy(static finding => finding.Line)];
        // An end that the log shows is told, and so are windows that it says cannot be claimed: both are what is looked for.
        Finding[] told = [.. undecided.Where(finding => forecast.IsDecidedByLostLines
            && (finding.What == BarFindings.What || (finding.What == OutcomeWhat && observed.Halts)))];
        foreach (string what in undecided.Except(told).Select(static finding => finding.What).Distinct())
            notCompared.Add($"{what}{LogExtent.LostLines}");
        return new(
            [.. told.Where(static finding => finding.What == OutcomeWhat).Select(WithoutForecast), .. known[true],
                .. told.Where(static finding => finding.What != OutcomeWhat).Select(WithoutForecast)],
            [.. undecided.Except(told).Where(static finding => finding.Observed is not null).Select(WithoutForecast)],
            [.. notCompared],
            possible.NotKnownRanges);
    }

    private static Finding WithoutForecast(Finding finding) => finding with { Forecast = null, Agrees = false };

    /// <param name="notKnown">Where the kernel's map is not known.</param>
    private static IEnumerable<Finding> FindingsOf(BootForecast forecast, ObservedBoot observed, ImmutableArray<ByteRange> notKnown,
        ICollection<string> notCompared)
    {
        BootFacts expected = FactsOf(forecast);
        BootFacts seen = observed.Facts;
        if (forecast.Outcome == GuestOutcome.NotKnown && !observed.Halts)
        {
            notCompared.Add(EndNotForecast);
        }
        else if (Outcome(forecast, observed) is { } outcome)
        {
            yield return outcome;
            // Up to another end than the setup's own all that was reached is compared.
            if (!outcome.Agrees && !IsDeathBehindSetup(outcome, observed))
            {
                notCompared.Add("everything after the outcome");
                yield break;
            }
        }
        else
        {
            notCompared.Add("the outcome: the log ends before it shows");
        }

        if (observed.Map is { Entries.Length: > 0 })
        {
            ImmutableArray<Finding> map = MapComparison.Compare(forecast.KernelMap, observed, notKnown, out int lost);
            foreach (Finding finding in map)
                yield return finding;
            if (MapComparison.NotCompared(observed.Map, lost) is { } unknown)
                notCompared.Add(unknown);
        }
        else if (!forecast.KernelMap.IsEmpty)
        {
            notCompared.Add("the kernel's map");
        }

        foreach (Finding finding in EachOf("freed pages", expected.Freed, seen.Freed)
            .Concat(EachOf("populated pages", expected.Populated, seen.Populated)))
            yield return finding;
        foreach (Finding? finding in new[]
        {
            Count("pages set to 1-1 mapping", expected.IdentitySet, seen.IdentitySet, notCompared),
            Repeats("no range to remap to", expected.NoRangeToRemapLines.Length, seen.NoRangeToRemapLines),
            Moved(expected.InitrdMoved, seen.InitrdMoved, notCompared),
            Count("released pages", expected.Released, seen.Released, notCompared),
            Ramdisk(forecast, observed),
            Count("remapped pages", expected.Remapped, seen.Remapped, notCompared),
            Count("remapped non-RAM pages", expected.RemappedNonRam, seen.RemappedNonRam, notCompared),
            Gap(expected.PciGap, seen.PciGap, notCompared),
            notKnown.IsEmpty ? RamTotal.Compare(forecast.KernelMap, observed, forecast.Request.Is32Bit) : null,
        })
        {
            if (finding is not null)
                yield return finding;
        }

        foreach (Finding finding in BarFindings.Compare(forecast, seen.FailedClaims).Concat(NeedFindings.Of(seen))
            .Concat(LaterEnd.Of(observed)))
            yield return finding;
    }

    /// <summary>The forecast's own lines, through the reader that reads the log's.</summary>
    private static BootFacts FactsOf(BootForecast forecast)
    {
        var facts = new BootFacts();
        foreach (string line in forecast.Log)
            facts = facts.With(KernelMessage.Parse(line), 0);
        return facts;
    }

    /// <summary>The boot's end beside the forecast's; null where the log does not show it.</summary>
    internal static Finding? Outcome(BootForecast forecast, ObservedBoot observed)
    {
        const string what = OutcomeWhat;
        string? expected = forecast.Outcome == GuestOutcome.NotKnown ? null : forecast.Halts ? Halts(forecast.Message) : Boots;
        BootFacts facts = observed.Facts;
        if (facts.PanicMessage is { } words)
            return new(what, expected, Halts(words.Value), words.Line, forecast.Halts && forecast.Message == words.Value);
        int? alive = facts.Memory?.Line ?? facts.PciGap?.Line ?? facts.Remapped?.Line ?? facts.Ramdisk?.Line ?? facts.FirstProgramLine
            ?? (facts.FailedClaims.IsEmpty ? (int?)null : facts.FailedClaims[0].Line) ?? (facts.Needs.IsEmpty ? (int?)null : facts.Needs[0].Line)
            ?? facts.AliveLine ?? observed.Sleep?.Line;
        // Where the setup was to halt, Xen's or the kernel's word that all is over is that halt, if nothing behind the setup had been said.
        if (observed.BootFailure is { } failure)
            return new(what, expected, FailureText(failure.Value), failure.Line, forecast.Halts && !observed.IsXensOwnEnd
                && (alive is null || alive > failure.Line));
        // A kernel prints its map behind its setup: where it was to stop before that, it did not.
        alive ??= forecast.Halts && forecast.KernelMap.IsEmpty && observed.Map is { Error: null, Entries.IsEmpty: false } map ? map.Line : null;
        return alive is { } line ? new(what, expected, Boots, line, forecast.Boots) : null;
    }

    private const string Boots = "boots";
    private const string EndNotForecast = $"the outcome: {LogExtent.KernelNotKnown}";

    internal static string FailureText(BootFailure failure) => failure.Kind switch
    {
        BootFailureKind.XenPanic => $"Xen halts: \"{failure.Words}\"",
        BootFailureKind.XenDump => "Xen shows its own registers, and nothing follows",
        BootFailureKind.KernelPanic or BootFailureKind.KernelBug => Halts(failure.Words),
        BootFailureKind.Crashed or BootFailureKind.Halted => $"halts ({failure.Words})",
    };

    private static string Halts(string? message) => message is { Length: > 0 } ? $"halts: \"{message}\"" : "halts without a message";

    private static Finding? Count(string what, LogFact<ulong>? expected, LogFact<ulong>? seen, ICollection<string> notCompared)
    {
        if (seen is not { } sighting)
        {
            if (expected is not null)
                notCompared.Add(what);
            return null;
        }

        return new(what, expected is { } known ? Number(known.Value) : null, Number(sighting.Value), sighting.Line,
            expected?.Value == sighting.Value);
    }

    /// <summary>Lines of old kernels, a range each. The log's start may be cut, so only what it shows is looked at.</summary>
    private static IEnumerable<Finding> EachOf(string what, ImmutableArray<LogFact<CountedFrames>> expected,
        ImmutableArray<LogFact<CountedFrames>> seen)
    {
        foreach (LogFact<CountedFrames> sighting in seen)
        {
            CountedFrames? known = null;
            foreach (LogFact<CountedFrames> candidate in expected)
            {
                if (candidate.Value == sighting.Value || (known is null && candidate.Value.Frames.Start == sighting.Value.Frames.Start))
                    known = candidate.Value;
            }

            yield return new(what, known is { } found ? Text(found) : null, Text(sighting.Value), sighting.Line, known == sighting.Value);
        }

        static string Text(CountedFrames counted) =>
            string.Create(CultureInfo.InvariantCulture, $"{counted.Count} of pfns {counted.Frames.Start.Value:x}-{counted.Frames.End.Value:x}");
    }

    private static Finding? Repeats(string what, int expected, ImmutableArray<int> seen) =>
        seen.IsEmpty ? null : new(what, Times(expected), Times(seen.Length), seen[^1], seen.Length <= expected);

    private static string Times(int count) => count == 1 ? "once" : string.Create(CultureInfo.InvariantCulture, $"{count} times");

    private static Finding? Moved(LogFact<MovedBytes>? expected, LogFact<MovedBytes>? seen, ICollection<string> notCompared)
    {
        if (seen is not { } sighting)
        {
            if (expected is not null)
                notCompared.Add("the move of the initrd");
            return null;
        }

        return new("initrd moved", expected is { } known ? Text(known.Value) : null, Text(sighting.Value), sighting.Line,
            expected?.Value == sighting.Value);

        static string Text(MovedBytes moved) => $"{Range(moved.From)} to {Range(moved.To)}";
    }

    /// <summary>The line shows whole pages. Where only it says where the ramdisk lies, there is nothing to compare.</summary>
    private static Finding? Ramdisk(BootForecast forecast, ObservedBoot observed)
    {
        ByteRange known = forecast.Moved.FirstOrDefault(static moved => moved.What == "initrd")?.To ?? forecast.Request.Layout.Initrd;
        if (observed.Facts.Ramdisk is not { } seen || known.IsEmpty)
            return null;
        ByteRange pages = ByteRange.FromBounds(known.Start, Pfn.AtOrAbove(known.End).ToAddress());
        return new("ramdisk", Range(pages), Range(seen.Value), seen.Line, pages == seen.Value);
    }

    private static Finding? Gap(LogFact<ByteRange>? expected, LogFact<ByteRange>? seen, ICollection<string> notCompared)
    {
        if (seen is not { } sighting)
        {
            if (expected is not null)
                notCompared.Add("the gap for PCI devices");
            return null;
        }

        return new("gap for PCI devices", expected is { } known ? Text(known.Value) : null, Text(sighting.Value), sighting.Line,
            expected?.Value == sighting.Value);

        static string Text(ByteRange gap) => gap.IsEmpty ? "none" : Range(gap);
    }

    internal static string Range(ByteRange range) => $"[0x{range.Start:x}, 0x{range.End:x})";

    internal static string Number(ulong count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>All that a comparison comes to; of the undecided findings lost lines decide what is forecast.</summary>
    private readonly record struct ComparedBoot(ImmutableArray<Finding> Findings, ImmutableArray<Finding> Undecided,
        ImmutableArray<string> NotCompared, ImmutableArray<ByteRange> NotKnownRanges);
}
