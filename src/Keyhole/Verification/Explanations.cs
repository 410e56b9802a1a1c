// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;

namespace Keyhole.Verification;

/// <summary>Says for people what a boot's log means: what lies in the way, which kernels cope, what to change, where memory went.</summary>
internal static partial class Explanations
{
    /// <summary>What Xen says of dom0 in a log of its own; of several starts nobody knows which one dom0's log is of.</summary>
    private static Dom0Log? OnlyBuilderIn(LogScan hostLog) =>
        hostLog.Maps.Count(static map => map is { Kind: LogMapKind.XenFirmware, IsBeforeXensChanges: false }) == 1 ? Dom0Log.Of(hostLog) : null;

    private static Dom0Log? BuilderOf(BootForecast forecast, ObservedBoot observed, LogScan? hostLog) =>
        observed.Builder ?? (forecast.Request.IsDom0 && hostLog is not null ? OnlyBuilderIn(hostLog) : null);

    public static IEnumerable<Phrase> Of(BootForecast forecast, ObservedBoot observed, ImmutableArray<Finding> findings, Plan? plan, LogScan? hostLog)
    {
        // Nothing was compared, so nothing agrees, and what the kernel would meet is not in the way yet.
        if (observed is { IsXensOwnEnd: true, BootFailure: { } xens })
        {
            yield return FailureExplanations.OfXensOwnEnd(xens);
            if (forecast.Halts && forecast.Readings.IsEmpty)
                yield return $"Once Xen gets past that: by the forecast, which is for {KernelReleases.NameOf(forecast.Request.Kernel)}, "
                    + $"{forecast.Problems.First(static problem => problem.Code == ProblemCodes.KernelHalts).Message}. "
                    + $"{Setting.Boot} tells more of it.";
            yield break;
        }

        yield return Profile(forecast.Request, observed, plan);
        Phrase? guestsMap = OtherGuest.MapTakenForHosts(plan, hostLog);
        if (guestsMap is not null)
            yield return guestsMap;
        var possible = PossibleForecasts.Of(forecast, observed);
        if (possible.HasLostLines)
            yield return $"Lines of the host's map are lost where {LostLineDoubts.Text(forecast.Request.LostRanges)} "
                + $"{(forecast.Request.LostRanges.Length == 1 ? "is" : "are")}: what the log shows there, and what depends on it, is not compared. "
                + "The whole log, or another source of the host's map, tells the rest.";
        if (forecast.IsDecidedByLostLines && (observed.Halts || possible.All.Any(reading => reading.Outcome != possible.All[0].Outcome)))
        {
            string unknown = forecast.Problems.First(static problem => problem.Code == ProblemCodes.MapNotKnown).Message;
            yield return $"{char.ToUpperInvariant(unknown[0])}{unknown[1..]}.";
            // With the kernel's own map the log says enough of windows.
            foreach (Phrase text in observed.Map is { Error: null, Entries.IsEmpty: false } ? WindowExplanations.Of(possible, observed, plan) : [])
                yield return text;
            yield break;
        }

        foreach (Phrase text in possible.InCommon(one => FailureExplanations.Of(one, observed, findings).Select(static text => (Phrase)text)))
            yield return text;
        Finding[] differing = [.. findings.Where(finding => !finding.Agrees && !Verifier.IsDeathBehindSetup(finding, observed))];
        // What comes behind the memory setup no release, guest or Xen explains that would do the rest alike.
        bool agrees = differing.All(Verifier.IsBehindSetup);
        Phrase? otherPlatform = OtherPlatform.Of(observed, GuestType.Pv, forecast.Request.IsDom0);
        if (otherPlatform is not null)
        {
            yield return otherPlatform;
            yield break;
        }

        // What the forecast has on the host's map says nothing of a guest without it.
        if (OtherGuest.WithoutHostsMap(observed, plan) is { } without)
        {
            yield return without;
            yield break;
        }

        // On a map that is not the host's no other release, guest or map explains what differs.
        if (guestsMap is not null && !agrees)
            yield break;
        // What is no matter of the kernel's release is not blamed on it.
        string? otherXen = agrees ? null : OtherXen(forecast.Request, observed, plan);
        Dom0Log? builder = BuilderOf(forecast, observed, hostLog);
        Phrase? otherGuest = agrees || otherXen is not null ? null : OtherGuest.Of(forecast.Request, observed, plan, builder);
        if ((otherXen ?? Assumptions.OfDom0(plan, "one from 4.2 to 4.19")) is { } ofXen)
            yield return ofXen;
        if (otherGuest is not null)
            yield return otherGuest;
        else if (!agrees && otherXen is null)
        {
            string? missing = MissingLines.Of(findings);
            if (missing is not null)
                yield return missing;
            yield return OtherProfiles(forecast.Request, observed, differing, builder, missing is not null);
        }

        foreach (string text in agrees ? OwnWays(forecast, observed) : OneOtherWay(forecast, observed))
            yield return text;
        if (!agrees && OtherOrigin(forecast.Request, observed, plan) is { } origin)
            yield return origin;
        // Where the real kernel boots, nothing lies in its way, and nothing has to be changed.
        if (forecast.Halts && findings.Any(static finding => finding is { What: Verifier.OutcomeWhat, Observed: "boots" }))
        {
            Problem halt = forecast.Problems.First(static problem => problem.Code == ProblemCodes.KernelHalts);
            yield return $"By the forecast, which is for {KernelReleases.NameOf(forecast.Request.Kernel)}, "
                + $"{halt.Message}. The kernel of the log got past that.";
            foreach (string text in KernelSurvey.Tell(KernelSurvey.Of(forecast.Request)))
                yield return $"By kernel: {text}.";
        }
        else if (forecast.Halts)
        {
            foreach (Phrase text in possible.InCommon(one => Halt(one, plan)))
                yield return text;
        }
        // What differs from the forecast is not told of by it, nor what a kernel would have done that died unseen.
        else if (!(observed.Halts && findings.All(static finding => finding.What == Verifier.OutcomeWhat))
            && observed.Facts.PanicMessage is null && !observed.IsXensOwnEnd && !differing.Any(static finding => IsOfMemory(finding.What)))
        {
            foreach (Phrase text in possible.InCommon(one => MemoryExplanations.Of(one, observed, plan, builder)))
                yield return text;
        }

        foreach (Phrase text in RamTotal.Explain(findings, observed))
            yield return text;
        foreach (Phrase text in WindowExplanations.Of(possible, observed, plan))
            yield return text;
        foreach (Phrase text in possible.InCommon(one => OwnEdits(one, observed).Select(static text => (Phrase)text)))
            yield return text;
        // A guest has nothing to do with Xen's options.
        foreach (string text in forecast.Request.IsDom0 && hostLog is not null ? CommandLineEffects.OnXens(hostLog.Lines) : [])
            yield return text;
        if (plan is not null && Learnt(plan) is { Length: > 0 } learnt)
            yield return learnt;
    }

    /// <summary>Which Linux the log is of, and which one it is compared with.</summary>
    private static Phrase Profile(BootRequest request, ObservedBoot observed, Plan? plan)
    {
        string name = KernelReleases.NameOf(request.Kernel);
        bool isAssumed = plan is { Scenario.IsKernelAssumed: true };
        if (observed.Release is not { } release)
            return isAssumed ? $"The log names no kernel version; it is compared with {name}: {Setting.Kernel} names another."
                : (Phrase)$"The log names no kernel version; it is compared with {name}.";
        string source = WhoNames(observed);
        if (observed.Kernel is not { } own)
            return $"{source} Linux {release.Value} (line {release.Line}), whose memory setup is not known (known are 3.2 "
                + $"to 7.3); it is compared with {name}{(isAssumed ? (Phrase)$": {Setting.Kernel} names another" : (Phrase)"")}.";
        string other = own != request.Kernel ? $", although it is {KernelReleases.NameOf(own)}"
            : observed.Identity?.Guess is { } guess ? $" (a guess: {guess})" : "";
        return $"{source} Linux {release.Value} (line {release.Line}); it is compared with {name}{other}.";
    }

    /// <summary>Who says which Linux it is, as the words before it.</summary>
    internal static string WhoNames(ObservedBoot observed) => observed.ReleaseSource ?? "The log is of";

    /// <summary>Dom0's map depends on Xen's release. Where a log does not name it, and another release than the one taken explains all of the log,
    /// the kernel is not to blame.</summary>
    private static string? OtherXen(BootRequest request, ObservedBoot observed, Plan? plan)
    {
        if (!request.IsDom0 || plan is null || plan.Host.Traits.XenVersion is not null)
            return null;
        List<string> releases = [];
        foreach ((XenVersion xen, string name) in (ReadOnlySpan<(XenVersion, string)>)[(new(4, 20), "4.18.5, 4.19.2, 4.20.1 and later"),
            (new(4, 1), "4.2.3, 4.3.0 and older")])
        {
            Scenario scenario = plan.Scenario;
            Boot other = Boot.Of(scenario with { Host = scenario.Host with { Traits = scenario.Host.Traits with { XenVersion = xen } } });
            if (other.Forecast is { } forecast && Verifier.AgreesAll(forecast, observed))
                releases.Add(name);
        }

        return releases.Count == 0 ? null : $"The log does not name Xen's release, and one from 4.2 to 4.19 is taken, as most of them are: "
            + $"everything in it agrees with Xen {string.Join("; or ", releases)}, which keeps another window of the APIC from dom0.";
    }

    private static Phrase OtherProfiles(BootRequest request, ObservedBoot observed, Finding[] differing, Dom0Log? builder,
        bool mayLackLines)
    {
        string agreeing = Verifier.Agreeing(request, observed);
        return agreeing.Length == 0
            ? (Phrase)($"With the {(request.IsDom0 ? "machine map" : "guest's map")} and the memory that are taken here, no kernel version that is "
                + $"known does everything that the log shows (what differs: {What(differing)}). "
                + $"Either {(mayLackLines ? "lines are missing, or " : "")}they are not those of this boot, or its kernel "
                + $"{Elsewhere(observed, builder, differing)}does something that is not known.")
            : $"All of the memory setup in the log agrees with {agreeing}: name it with {Setting.Kernel} if that is the kernel.";
    }

    /// <summary>Where a kernel stops at what lies in its way, or gets past it, and nobody told where it lies, that is what may differ.</summary>
    private static string Elsewhere(ObservedBoot observed, Dom0Log? builder, Finding[] differing)
    {
        if (!observed.Segments.Kernel.IsEmpty || builder is { IsBuildShown: true, Layout.Kernel.IsEmpty: false })
            return "";
        string? other = observed.Facts.PanicMessage is not null ? "larger"
            : differing.Any(static finding => finding is { What: Verifier.OutcomeWhat, Observed: "boots" }) ? "smaller" : null;
        return other is null ? "" : $"is {other} or is elsewhere than the one that is taken (the log does not show where it was put), or it ";
    }

    /// <summary>Whether a finding is about how much memory there is and where; a gap and devices are not.</summary>
    private static bool IsOfMemory(string what) => what is MapComparison.What or RamTotal.What || what.EndsWith("pages", StringComparison.Ordinal);

    private static string What(IEnumerable<Finding> differing) => string.Join(
        ", ",
        differing.Where(static finding => !Verifier.IsBehindSetup(finding)).Select(static finding => finding.What).Distinct());

    /// <summary>What this release does and today's do not, where the log shows it: without it the forecast would differ.</summary>
    private static IEnumerable<string> OwnWays(BootForecast forecast, ObservedBoot observed)
    {
        KernelProfile own = forecast.Request.Profile;
        var newest = KernelProfile.Of(KernelRelease.Last);
        foreach (KernelBehaviour behaviour in System.Enum.GetValues<KernelBehaviour>())
        {
            if (own.Has(behaviour) && !newest.Has(behaviour)
                && !Verifier.AgreesAll(Forecaster.Forecast(forecast.Request with { Unlike = behaviour }), observed))
                yield return $"The log shows what only some releases do ({KernelBehaviours.When(behaviour)}): this kernel "
                    + $"{KernelBehaviours.Describe(behaviour)}.";
        }
    }

    /// <summary>The behaviours of other releases, or of this one, of which each by itself would make all agree if it were turned.</summary>
    private static IEnumerable<string> OneOtherWay(BootForecast forecast, ObservedBoot observed)
    {
        KernelProfile own = forecast.Request.Profile;
        // What two spans of releases do is one behaviour to people.
        foreach (IGrouping<string, KernelBehaviour> same in System.Enum.GetValues<KernelBehaviour>()
            .Where(behaviour => Verifier.AgreesAll(Forecaster.Forecast(forecast.Request with { Unlike = behaviour }), observed))
            .GroupBy(KernelBehaviours.Describe))
        {
            string when = string.Join("; ", same.Select(KernelBehaviours.When));
            yield return same.Any(own.Has)
                ? $"All of it agrees with a kernel that does not do one thing that this release does ({when}): {same.Key}."
                : $"All of it agrees with a kernel that does one thing as other releases do ({when}): {same.Key}. This one may carry it as a patch.";
        }
    }

    /// <summary>What is no RAM came from the host, but for the ISA range, which every kernel reserves.</summary>
    internal static bool IsTheHosts(E820Entry entry) =>
        entry is { IsRam: false, Type: not E820Type.Unusable } && entry.End > X86Layout.OneMiB;

    private static IEnumerable<Phrase> Halt(BootForecast forecast, Plan? plan)
    {
        Problem halt = forecast.Problems.First(static problem => problem.Code == ProblemCodes.KernelHalts);
        yield return $"What is in the way: {halt.Message}.";
        ImmutableArray<E820Entry> obstacles = Obstacles(forecast.Request);
        if (obstacles.Length > 1)
            yield return $"In all, the kernel, its start info and its page tables overlap {string.Join(", ", obstacles.Select(MapComparison.Text))}.";
        ImmutableArray<BootForecast> survey = KernelSurvey.Of(forecast.Request);
        foreach (string text in KernelSurvey.Tell(survey))
            yield return $"By kernel: {text}.";
        Phrase[] remedies = [.. Remedies(forecast.Request, plan, survey)];
        if (remedies.Length > 0)
            yield return $"What to change: {Phrase.Join("; or ", remedies)}.";
    }

    /// <summary>What helps by the forecast.</summary>
    private static IEnumerable<Phrase> Remedies(BootRequest request, Plan? plan, ImmutableArray<BootForecast> survey)
    {
        if (KernelSurvey.ReleasesThat(static other => other.Boots, survey) is { Length: > 0 } releases)
            yield return $"boot a kernel of {releases}";
        if (KernelPlace.ThatBoots(request) is { } place)
            yield return $"build this kernel with CONFIG_PHYSICAL_START=0x{place:x}: there it is on RAM, and by the forecast it boots";
        // Nobody gives dom0 another map. Of a guest's that was given the host's is not known.
        if (request.IsDom0 || plan?.LaidBy is null or PunchPolicy or GivenMapPolicy)
            yield break;
        if (Boot.Of(plan.Scenario with { Policy = new PunchPolicy() }) is { Forecast.Boots: true, Plan.HasErrors: false })
            yield return $"give the guest a map that has RAM there ({Setting.Plan} {Setting.Policy} punch shows one, on which it boots by the "
                + $"forecast)";
    }

    /// <summary>Everything in the map that is no RAM where the kernel, its start info and its page tables lie.</summary>
    private static ImmutableArray<E820Entry> Obstacles(BootRequest request)
    {
        GuestLayout layout = request.Layout;
        ByteRange[] needed = [layout.KernelLookedAt, layout.StartInfo, layout.PageTables];
        return
        [
            .. request.Map.Where(entry => !entry.IsRam && !(request.IsDom0 && entry.Type == E820Type.Unusable) && !entry.Wraps
                && needed.Any(range => range.Overlaps(ByteRange.FromBounds(entry.Address, entry.End)))).OrderBy(static entry => entry.Address),
        ];
    }

    /// <summary>What the command line says and what became of it, and what the kernel takes out of its RAM by itself.</summary>
    private static IEnumerable<string> OwnEdits(BootForecast forecast, ObservedBoot observed)
    {
        BootFacts facts = observed.Facts;
        ImmutableArray<E820Entry> before = observed.Map is { Error: null, Entries.Length: > 0 } map ? map.Entries : forecast.KernelMap;
        if (facts.CommandLine is { } commandLine)
        {
            foreach (string text in CommandLineEffects.Of(commandLine, before, observed.UserMap, facts.Edits, facts.HasNoChangedMap))
                yield return text;
        }

        foreach (LogFact<MapEdit> edit in facts.Edits)
        {
            const ulong worthMentionBytes = 1UL << 20;
            MapEdit change = edit.Value;
            ulong ram = before.Where(static entry => entry.IsRam).Aggregate(0UL, (sum, entry) => sum + entry.Range.Intersect(change.Range).SizeBytes);
            if (change.OldType is not (null or E820Type.Ram) || change.NewType is E820Type.Ram || ram < worthMentionBytes)
                continue;
            yield return $"Line {edit.Line}: the kernel itself takes {ByteSize.ToText(ram)} of its RAM at {Verifier.Range(change.Range)} out of "
                + $"use (its command line, or what the processor's MTRRs say).";
        }
    }

    /// <summary>Pages that are known only because dom0's kernel prints them: there the log was compared with itself.</summary>
    private static string Learnt(Plan plan)
    {
        if (plan.Host.Traits.ReservedInDom0.IsEmpty)
            return "";
        ImmutableArray<E820Entry> without = MachineMap.Of(plan.Host with { Traits = plan.Host.Traits with { ReservedInDom0 = [] } });
        // Where lines of the firmware's map are lost it may name them.
        string[] learnt =
        [
            .. plan.MachineMap.Where(entry => !without.Contains(entry) && !plan.Host.LostRanges.Any(lost => lost.Overlaps(entry.Range)))
                .Select(MapComparison.Text),
        ];
        return learnt.Length == 0
            ? ""
            : $"Not verified: {string.Join(", ", learnt)} in the machine map. The firmware does not name it; it was taken from dom0's own lines, "
                + $"as what Xen keeps to itself (IOMMU registers and the like).";
    }
}
