// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPvh;
using Keyhole.PvGuest;

namespace Keyhole.Verification;

/// <summary>
/// Compares what was forecast of a guest whose map does not come from a PV kernel with what its Linux's log shows: the map as the firmware or the
/// domain builder hands it over, the host bridge's windows, every BAR and bridge. Which firmware it is makes no difference here.
/// </summary>
public static class FirmwareVerifier
{
    /// <summary>Lines of others that may stand between a map and what stands for its lines that are left out.</summary>
    private const int LinesBeside = 3;

    /// <summary>The boots that a guest's log holds. One of which only PCI lines or a map were kept counts as a boot as well.</summary>
    public static ImmutableArray<ObservedBoot> BootsIn(LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scan);
        ImmutableArray<ObservedBoot> boots = BootLog.Of(scan);
        if (boots.Any(static boot => boot.HasKernelLines))
        {
            // What belongs to a boot goes on until the next one of the same guest begins.
            return [.. boots.Select((boot, i) => boot with
            {
                // Where the line that names the kernel is lost, what stands before the first that tells of its memory is its own, too.
                FirstLine = boot is { Release: null, HasKernelLines: true } && boots.Take(i).All(before => before.Domain != boot.Domain)
                    ? 1 : boot.FirstLine,
                LastLine = boots.Skip(i + 1).FirstOrDefault(next => next.Domain == boot.Domain)?.FirstLine - 1 ?? scan.LineCount,
            })];
        }

        bool hasMap = scan.Maps.Any(static map => map.Kind is LogMapKind.LinuxFirmware or LogMapKind.GuestKernel);
        return !hasMap && scan.Pci.IsEmpty
            ? []
            : [new() { Number = 1, Owner = BootOwner.Unknown, FirstLine = 1, LastLine = scan.LineCount, Facts = new(), HasKernelLines = hasMap
                || !scan.Pci.Functions.IsEmpty || !scan.Pci.Resources.IsEmpty }];
    }

    /// <summary>Where a log has nothing of a guest's kernel and firmware, but shows how the toolstack made it: that as a boot, else
    /// none.</summary>
    public static ImmutableArray<ObservedBoot> MadeIn(LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scan);
        return scan.Pci.BuiltGuests.IsEmpty ? []
            : [new() { Number = 1, Owner = BootOwner.Guest, FirstLine = 1, LastLine = scan.LineCount, Facts = new(), HasKernelLines = false }];
    }

    /// <summary>The scenario with what the log itself tells of the guest's firmware, where nobody has told it.</summary>
    public static Scenario WithEvidence(Scenario scenario, ObservedBoot observed, LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(observed);
        ArgumentNullException.ThrowIfNull(scan);
        // Of a guest of Xen its log names the Xen that it ran under.
        if (scenario.Guest.Type is GuestType.Hvm or GuestType.Pvh && scenario.Host.Traits.XenVersion is null
            && NamedXen.In(scan, observed) is { } xen)
            scenario = scenario with { Host = scenario.Host with { Traits = scenario.Host.Traits with { XenVersion = xen.Value } } };
        return Planner.PlatformOf(scenario).Traits.TakesSurroundings && scenario.Qemu.Firmware is null
            && NamedFirmware.In(MachineIn(observed, scan.Pci)) is { Release: { } release }
            ? scenario with { Qemu = scenario.Qemu with { Firmware = release } }
            : scenario;
    }

    private static string MachineIn(ObservedBoot observed, PciLog log) =>
        log.Machines.FirstOrDefault(machine => machine.Line >= observed.FirstLine && machine.Line <= observed.LastLine).Value ?? "";

    /// <param name="plan">Of the guest, with <see cref="WithEvidence"/>.</param>
    /// <param name="observed">One of <see cref="BootsIn"/>.</param>
    /// <param name="scan">The log that holds it, scanned with its PCI lines.</param>
    public static BootVerification Compare(Plan plan, ObservedBoot observed, LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(observed);
        ArgumentNullException.ThrowIfNull(scan);
        var explanations = new List<Phrase>();
        BootVerification verification = CompareOnly(plan, observed, scan, explanations);
        Phrase? otherPlatform = OtherPlatform.OfFirmwareGuest(observed, plan.Guest.Type, scan.Pci);
        if (otherPlatform is null)
            explanations.InsertRange(0, Assumptions.Of(plan, observed));
        NamedFirmware? firmware = plan.Platform.Traits.TakesSurroundings ? NamedFirmware.In(MachineIn(observed, scan.Pci)) : null;
        if (firmware is { } named && plan.Firmware is { } forecast
            && (named.Contradicts(forecast, plan.Scenario.Qemu.Firmware) ?? named.OfSnapshot()) is { } words)
            explanations.Insert(0, words);
        if (OtherHvmGuest.OtherBios(plan, observed, scan) is { } otherBios)
            explanations.Insert(0, otherBios);
        if (otherPlatform is { } other)
            explanations.Insert(0, other);
        else if (observed.Halts && verification.Findings.All(static finding => finding.What == Verifier.OutcomeWhat || finding.Agrees))
            explanations.Add(verification.Findings.All(static finding => finding.What == Verifier.OutcomeWhat)
                ? "Nothing of the map and of the devices could be compared: the guest's end is all that could be looked at."
                : "Everything that the log shows of the map and of the devices is as forecast: what ended the boot comes after it.");
        else if (!verification.Agrees && MovedRam.Of(plan, observed, scan, verification.Findings) is { Length: > 0 } moved)
            explanations.AddRange(moved);
        else if (!verification.Agrees && verification.Findings.Any(static finding => finding.What != Verifier.OutcomeWhat))
            explanations.AddRange(RamTotal.IsAllThatDiffers(verification.Findings)
                || PluggedFunctions.AreAllThatDiffers(verification.Findings, scan.Pci, observed) ? []
                : OtherSurroundings.WithWhich(plan, observed, scan, MissingLines.Of(verification.Findings),
                    firmware is { Changes: > 0 }, LogExtent.Everything(verification)));
        if (!verification.Agrees && otherPlatform is null)
        {
            explanations.AddRange(OtherHvmGuest.Of(plan, observed, scan, verification.Findings));
            explanations.AddRange(RamTotal.Explain(verification.Findings, WithMap(observed, scan) ?? observed));
        }

        if (observed is { Release: { } unknown, Kernel: null })
            explanations.Insert(0, $"The log is of Linux {unknown.Value} (line {unknown.Line}), which is none of those that are known (3.2 to 7.3): "
                + $"where the kernel matters it is taken for {KernelReleases.NameOf(plan.Scenario.Kernel)}.");
        explanations.AddRange(FailureExplanations.OfNeeds(observed.Facts, scan.Pci).Select(static text => (Phrase)text));
        explanations.AddRange(FailureExplanations.OfSurvived(observed.Facts).Select(static text => (Phrase)text));
        if (observed.BootFailure is { } failure)
        {
            Finding[] compared = [.. verification.Findings.Where(static finding => finding.What != Verifier.OutcomeWhat)];
            explanations.AddRange(FailureExplanations.OfFirmwareGuest(failure.Value, plan.Guest,
                compared.Length == 0 || compared.Any(static finding => !finding.Agrees)));
        }

        // What keeps a guest from being created did not keep this one.
        if (verification.Agrees && plan.Problems.FirstOrDefault(static problem => problem is { Severity: Severity.Error, Remedy: not null }
            and not { Code: ProblemCodes.LargerThanHost or ProblemCodes.MaxmemBelowMemory or ProblemCodes.GuestDoesNotStart
                or ProblemCodes.ReservedDeviceMemory }) is { } error)
        {
            // Of BARs without a place each has been told of.
            string what = error.Code == ProblemCodes.BarUnplaced ? "" : $"By the forecast {error.Message}. ";
            explanations.Add($"{what}What to change: {error.Remedy}");
        }

        explanations.AddRange(LaterEnd.Explain(observed).Select(static text => (Phrase)text));
        return verification with
        {
            Pci = scan.Pci,
            LineWithoutAddress = PciFindings.LineWithoutAddress(scan.Pci, observed),
            Findings = [.. verification.Findings, .. NeedFindings.Of(observed.Facts, scan.Pci), .. LaterEnd.Of(observed)],
            Explanations = [.. explanations],
        };
    }

    internal static BootVerification CompareOnly(Plan plan, ObservedBoot observed, LogScan scan, List<Phrase> explanations)
    {
        var findings = new List<Finding>();
        var undecided = new List<Finding>();
        var notCompared = new List<string>();
        KernelRelease kernel = observed.Kernel ?? plan.Scenario.Kernel;
        (GuestOutcome Forecast, GuestOutcome? Observed) outcomes = (plan.Firmware?.Outcome ?? plan.Verdict?.Outcome ?? GuestOutcome.NotKnown, null);
        if (Outcome(outcomes.Forecast, plan.Firmware?.Message ?? plan.Verdict?.Message, observed, scan.Pci, out outcomes.Observed) is { } outcome)
            findings.Add(outcome);
        else
            notCompared.Add(scan.Pci.LeavesOut(observed.FirstLine - 1, observed.LastLine) ? "the outcome: lines are left out"
                : "the outcome: the log ends before it shows");
        // A firmware that gave its devices up starts an operating system all the same where it can without them, and that shows what was programmed:
        // nothing.
        if (outcomes.Forecast is GuestOutcome.Boots or GuestOutcome.NotKnown or GuestOutcome.GivesUp)
        {
            BuilderFindings.Compare(plan, observed, scan.Pci, findings, notCompared);
            CompareMap(plan, kernel, observed, scan, findings, undecided, notCompared);
            if (plan.Firmware?.Placement is { } placement)
                PciFindings.Compare(placement, plan.Firmware.AcpiWindows, scan.Pci, observed, plan.Guest.Type == GuestType.Hvm, findings, notCompared,
                    explanations);
            else if (plan.Firmware is not null)
                notCompared.Add(LogExtent.BarsNotKnown
                    + (plan.Problems.Any(static problem => problem.Code == ProblemCodes.BarsNotKnown) ? ", for those of a passed-through device are "
                        + "not told" : ""));
        }
        else
        {
            notCompared.Add("everything after the outcome");
        }

        return new()
        {
            Profile = kernel,
            Boot = observed,
            Outcomes = outcomes,
            Findings = [.. findings],
            Undecided = [.. undecided],
            NotKnownRanges = plan.NotKnownRanges,
            NotCompared = [.. notCompared],
            Explanations = [],
        };
    }

    /// <summary>How the boot went, or null where the log does not show it.</summary>
    private static Finding? Outcome(GuestOutcome forecast, string? message, ObservedBoot observed, PciLog log, out GuestOutcome? seen)
    {
        string? expected = forecast == GuestOutcome.NotKnown ? null : Text(forecast, message);
        BootFacts facts = observed.Facts;
        int? alive = observed.Release?.Line ?? facts.Memory?.Line ?? facts.PciGap?.Line ?? facts.Ramdisk?.Line
            ?? (log.RootWindows.IsEmpty ? log.Functions.IsEmpty ? (int?)null : log.Functions[0].Line : log.RootWindows[0].Line)
            ?? FirstProcess(observed, log) ?? (log.Resources.IsEmpty ? (int?)null : log.Resources[0].Line)
            ?? observed.Sleep?.Line;
        (seen, string? words, int? line) = facts.PanicMessage is { } last ? (GuestOutcome.Halts, last.Value, last.Line)
            : observed.BootFailure is { } failure ? (GuestOutcome.Halts, failure.Value.Words, failure.Line)
            : alive is not null ? (PciFindings.ShowsNoAddress(log, observed) ? GuestOutcome.GivesUp : GuestOutcome.Boots, null, alive)
            : log.FirmwarePanic is { } panic ? (GuestOutcome.Panics, panic.Value, panic.Line)
            : log.Refusal is { } refusal ? (GuestOutcome.Refused, refusal.Value, refusal.Line)
            : ((GuestOutcome?)null, (string?)null, (int?)null);
        // The lines that are left out may have had the addresses, or the last words.
        if (alive is not null && words is null && log.LeavesOut(alive.Value, observed.LastLine)
            && (seen == GuestOutcome.GivesUp || (forecast == GuestOutcome.Halts && FirstProcess(observed, log) is null)))
        {
            seen = null;
            return null;
        }

        return seen is { } one ? new(Verifier.OutcomeWhat, expected, Text(one, words), line, one == forecast
            || (one, forecast, log.Resources.IsEmpty) == (GuestOutcome.Boots, GuestOutcome.GivesUp, true)) : null;
    }

    /// <summary>Where a console begins late, its last words may be all that tells that the kernel came up.</summary>
    private static int? FirstProcess(ObservedBoot observed, PciLog log)
    {
        foreach (LogFact<int?> seen in log.FirstProcesses)
        {
            if (seen.Line >= observed.FirstLine && seen.Line <= observed.LastLine && seen.Value == observed.Domain)
                return seen.Line;
        }

        return null;
    }

    private static string Text(GuestOutcome outcome, string? message) => message is { Length: > 0 } && outcome != GuestOutcome.Boots
        ? $"{outcome.NameOf()}: \"{message}\"" : outcome.NameOf();

    private static void CompareMap(Plan plan, KernelRelease kernel, ObservedBoot observed, LogScan scan, List<Finding> findings,
        List<Finding> undecided, List<string> notCompared)
    {
        if (!plan.IsMapKnown)
        {
            notCompared.Add(LogExtent.NotModelled);
            return;
        }

        ImmutableArray<ByteRange> notKnown = plan.NotKnownRanges;
        // Linux prints what it was given once it is sorted; in a PVH domain it adds what a PC has below 1 MiB.
        ImmutableArray<E820Entry> forecast = plan.Firmware is null ? PvhLinuxView.Of(plan.Map) : SortedMap.Of(plan.Map.AsSpan());
        if (WithMap(observed, scan) is not { Map: { } map } withMap)
        {
            notCompared.Add("the map");
        }
        else
        {
            ImmutableArray<UnsettledRange> unsettled = plan.Firmware?.Unsettled ?? plan.Unsettled;
            foreach (UnsettledRange part in unsettled)
                notCompared.Add($"{LogExtent.PartOfMap}{Verifier.Range(part.Range)}: {part.Why}");
            ByteRange[] bios = map.Title == FirmwareMapReader.HvmloaderTitle ? [.. OfBios(forecast)] : [];
            if (bios.Length > 0)
                notCompared.Add(LogExtent.ChangedByBios);
            findings.AddRange(MapComparison.Compare(
                forecast, withMap, ByteRanges.Union([.. unsettled.Select(static part => part.Range), .. notKnown, .. bios]), out int lost));
            undecided.AddRange(MapComparison.Undecided(notKnown, withMap, findings));
            if (undecided.Count > 0)
                notCompared.Add($"{MapComparison.What}{LogExtent.LostLines}");
            if (MapComparison.NotCompared(map, lost) is { } unknown)
                notCompared.Add(unknown);
        }

        if (RamTotal.Compare(plan, forecast, observed, WithMap(observed, scan)) is { } total)
            findings.Add(total);
        if (observed.Facts.PciGap is not { } gap)
        {
            notCompared.Add("the gap for PCI devices");
            return;
        }

        bool prefersHigh = KernelProfile.Of(kernel).Has(KernelBehaviour.PrefersHighPciGap);
        ByteRange[] known = [.. (plan.Readings.IsEmpty ? [plan] : plan.Readings).Select(reading => MapQueries.PciGap(
            (reading.Firmware is null ? PvhLinuxView.Of(reading.Map) : SortedMap.Of(reading.Map.AsSpan())).AsSpan(), prefersHigh)).Distinct()];
        if (known is [var one])
        {
            findings.Add(new(GapWhat, GapText(one), GapText(gap.Value), gap.Line, one == gap.Value));
            return;
        }

        undecided.Add(new(GapWhat, null, GapText(gap.Value), gap.Line, Agrees: false));
        notCompared.Add($"{GapWhat}{LogExtent.LostLines}");
    }

    /// <summary>The boot with the map that its system was given, and whether lines of that may be missing; null where the log has none.</summary>
    internal static ObservedBoot? WithMap(ObservedBoot observed, LogScan scan)
    {
        LogMap? map = scan.Maps.FirstOrDefault(map =>
            map.Kind is LogMapKind.LinuxFirmware or LogMapKind.GuestKernel && map.Line >= observed.FirstLine && map.Line <= observed.LastLine
                && map.Domain == observed.Domain && !(map.Entries.IsEmpty && map.BehindDamage.IsEmpty))?.PastDamage();
        bool isFirmwares = map is null;
        map ??= FirmwaresOwn(observed, scan.Pci);
        if (map is null)
            return null;
        bool goesOn = observed.Facts.PciGap is not null || observed.Facts.Memory is not null || !scan.Pci.IsEmpty
            || ClosesMap(scan, observed, map);
        return observed with
        {
            Map = map,
            MapMayBeginLate = isFirmwares ? !map.IsTitled : observed.Release is not { } release || release.Line > map.Line
                || map.Cuts.Contains(0) || scan.Pci.LeavesOut(map.IsTitled ? map.Line - LinesBeside : observed.FirstLine - 1, map.Line),
            MapMayEndEarly = isFirmwares ? map.OpenLine is not null : map.Error is not null || !goesOn
                || scan.Pci.LeavesOut(map.EntryLines[^1], map.EntryLines[^1] + LinesBeside),
        };
    }

    /// <summary>Whether the kernel says behind its map what it says right behind it ("NX (Execute Disable) …", "last_pfn = …").</summary>
    private static bool ClosesMap(LogScan scan, ObservedBoot observed, LogMap map) => scan.Lines.Any(line =>
        line.Speaker == LogSpeaker.Kernel && line.Number > map.EntryLines[^1] && line.Number <= observed.LastLine && line.Domain == observed.Domain
            && KernelMessage.Parse(line.Text).Kind is KernelMessageKind.NoExecute or KernelMessageKind.OptionsTaken);

    /// <summary>Whether a firmware's lines are the guest's whatever number they bear: no kernel speaks that would say whose console it is, and they
    /// are of one guest.</summary>
    internal static bool IsOfOneGuest(ObservedBoot observed, IEnumerable<int?> domains) =>
        !observed.HasKernelLines && observed.Domain is null && domains.Distinct().Count() == 1;

    /// <summary>The map that the guest's firmware printed, the last one up to the boot's end; of SeaBIOS' and hvmloader's the former, which the
    /// operating system gets.</summary>
    private static LogMap? FirmwaresOwn(ObservedBoot observed, PciLog log)
    {
        bool isAny = IsOfOneGuest(observed, log.FirmwareMaps.Select(static map => map.Domain));
        LogMap[] own = [.. log.FirmwareMaps.Where(map => (isAny || map.Domain == observed.Domain) && map.Line <= observed.LastLine)];
        return own.LastOrDefault(static map => map.Title == FirmwareMapReader.SeaBiosTitle) ?? own.LastOrDefault();
    }

    /// <summary>Where a BIOS changes what hvmloader gives it: below 1 MiB, and at the end of RAM below 4 GiB, where it keeps its tables.</summary>
    private static IEnumerable<ByteRange> OfBios(ImmutableArray<E820Entry> forecast)
    {
        yield return ByteRange.FromBounds(0, X86Layout.OneMiB);
        for (int i = 1; i < forecast.Length; i++)
        {
            E820Entry entry = forecast[i];
            if (forecast[i - 1] is { IsRam: true } ram && entry is { Type: E820Type.Reserved } && entry.Address == ram.End
                && entry.End <= Frames.FourGiB)
                yield return entry.Range;
        }
    }

    internal const string GapWhat = "gap for PCI devices";

    private static string GapText(ByteRange gap) => gap.IsEmpty ? "none" : Verifier.Range(gap);
}
