// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPvh;
using Keyhole.PvGuest;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>Compares what was forecast of a PVH dom0 with what a log shows: Xen makes its map, and Linux takes it over.</summary>
public static class PvhDom0Verifier
{
    /// <summary>The map in a boot's lines: what Linux was given, or where Linux' lines are missing what Xen printed; null where there is
    /// neither.</summary>
    public static LogMap? MapOf(LogScan scan, ObservedBoot boot)
    {
        ArgumentNullException.ThrowIfNull(scan);
        ArgumentNullException.ThrowIfNull(boot);
        LogMap[] own = [.. scan.Maps.Where(map => map.Line >= boot.FirstLine && map.Line <= boot.LastLine && !map.Entries.IsEmpty)];
        return own.FirstOrDefault(static map => map.Kind is LogMapKind.LinuxFirmware or LogMapKind.GuestKernel)
            ?? own.FirstOrDefault(static map => map.Kind == LogMapKind.Dom0BuiltByXen);
    }

    /// <summary>The whole map that Xen printed of the dom0 that it built behind <paramref name="machine"/>'s; null where there is none, or a part.
    /// Both end with the machine's last entry.</summary>
    public static LogMap? BuiltBehind(LogScan scan, LogMap machine)
    {
        ArgumentNullException.ThrowIfNull(scan);
        ArgumentNullException.ThrowIfNull(machine);
        LogMap? next = scan.Maps.FirstOrDefault(map => map.Line > machine.Line
            && map is { Kind: LogMapKind.Dom0BuiltByXen, Entries.IsEmpty: false } or { Kind: LogMapKind.XenFirmware });
        return next is { Kind: LogMapKind.Dom0BuiltByXen, Error: null, Cuts.IsEmpty: true } && !machine.Entries.IsEmpty
            && next.Entries[^1].End == machine.Entries[^1].End ? next : null;
    }

    /// <summary>Pages of RAM that a PVH dom0's map shows, those of the tables that Xen made of them included.</summary>
    public static ulong PagesIn(LogMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        ulong pages = 0;
        foreach (E820Entry entry in SortedMap.RamOf(map.Entries.AsSpan()))
            pages += Pfn.AtOrAbove(entry.End).Value - (entry.Address >> Frames.Shift);
        return pages;
    }

    /// <summary>Whether RAM in that map is dom0's own. A newer Linux makes RAM of what is not, where Xen puts that into the map.</summary>
    public static bool TellsSize(LogMap map, ObservedBoot boot, Host host)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(boot);
        return map.Kind == LogMapKind.Dom0BuiltByXen || map.Entries.Any(static entry => entry.Type == E820Type.Unusable)
            || !XenPvhDom0Platform.MarksOtherRam(host) || boot.Kernel is not { } kernel || PvhLinuxView.MakesRoomForBalloon(kernel) == false;
    }

    /// <summary>The sizes of the tables that Xen made, from the map; null where it does not show them.</summary>
    public static PvhDom0Tables? TablesIn(LogMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        for (int i = map.Entries.Length - 2; i >= 0; i--)
        {
            E820Entry ram = map.Entries[i], acpi = map.Entries[i + 1];
            if (ram.IsRam && acpi.Type == E820Type.Acpi && acpi.Address == ram.End && ram.End < Frames.FourGiB)
                return PvhDom0Tables.Of(ram.End, acpi.End, Pfn.AtOrAbove(acpi.End).ToAddress());
        }

        return null;
    }

    /// <summary>The sizes of the tables that Xen made, by the boot's map, or by the lines of Linux that list them; null where neither shows
    /// them.</summary>
    public static PvhDom0Tables? TablesOf(LogScan scan, ObservedBoot boot) =>
        (MapOf(scan, boot) is { } map ? TablesIn(map) : null) ?? (TablesListed(scan, boot) is { } listed ? listed.Sizes : null);

    /// <summary>The tables that Linux lists: one behind the other up to a page's end, as Xen lays them. The pointer's address, its line.</summary>
    private static (PvhDom0Tables Sizes, ulong Pointer, int Line)? TablesListed(LogScan scan, ObservedBoot boot)
    {
        (ulong Start, ulong End, int Line)? pointer = null, list = null, interrupts = null;
        foreach (LogLine line in LinesOf(scan, boot))
        {
            pointer ??= Listed(line, Vocabulary.TablePointer);
            list ??= Listed(line, Vocabulary.TableList);
            interrupts ??= Listed(line, Vocabulary.InterruptTable);
        }

        if (pointer is not { } first || list is not { } second || interrupts is not { } third || first.End != second.Start
            || second.End != third.Start || first.End - first.Start != PvhDom0Tables.PointerBytes)
            return null;
        ulong madt = third.End - third.Start;
        PvhDom0Tables? sizes = PvhDom0Tables.Of(first.Start, first.Start + madt, third.End);
        return third.End % (1UL << Frames.Shift) == 0 && sizes is not null ? (sizes, first.Start, first.Line) : null;
    }

    /// <summary>What dom0's kernel says, up to the next boot.</summary>
    private static IEnumerable<LogLine> LinesOf(LogScan scan, ObservedBoot boot)
    {
        int end = BootLog.Of(scan).Where(other => other.FirstLine > boot.FirstLine).Select(static other => other.FirstLine)
            .DefaultIfEmpty(int.MaxValue).Min();
        return scan.Lines.Where(line => line is { Speaker: LogSpeaker.Kernel, Domain: null } && line.Number >= boot.FirstLine && line.Number < end);
    }

    /// <summary><c>ACPI: XSDT 0x00000000BEFFFD24 000084 (v01 …)</c>, before Linux 4.4 without 0x.</summary>
    private static (ulong Start, ulong End, int Line)? Listed(LogLine line, string title)
    {
        if (!line.Text.StartsWith(title, StringComparison.Ordinal))
            return null;
        var cursor = new TextCursor(line.Text.AsSpan(title.Length));
        cursor.TryText("0x");
        if (!cursor.TryHex(out ulong start) || !cursor.TryText(" ") || !cursor.TryHex(out ulong size) || size is 0 or > ushort.MaxValue
            || start >= Frames.FourGiB)
            return null;
        return (start, start + size, line.Number);
    }

    /// <param name="plan">Of the dom0.</param>
    /// <param name="observed">The boot, with <paramref name="map"/>'s log.</param>
    /// <param name="map">As <see cref="MapOf"/> has it.</param>
    /// <param name="scan">The boot's log; null where only the boot is at hand.</param>
    public static BootVerification Compare(Plan plan, ObservedBoot observed, LogMap? map, LogScan? scan = null)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(observed);
        var findings = ImmutableArray.CreateBuilder<Finding>();
        var undecided = ImmutableArray.CreateBuilder<Finding>();
        var notCompared = ImmutableArray.CreateBuilder<string>();
        ImmutableArray<ByteRange> notKnown = ByteRanges.Union([.. plan.Host.LostRanges, .. plan.NotKnownRanges]);
        KernelRelease kernel = observed.Kernel ?? plan.Scenario.Kernel;
        bool boots = plan.Verdict is { Outcome: GuestOutcome.Boots };
        bool isKnown = plan.Verdict is { Outcome: not GuestOutcome.NotKnown };
        string? expected = !isKnown ? null : boots ? "boots" : "halts";
        int? alive = observed.Facts.Memory?.Line ?? observed.Facts.PciGap?.Line ?? observed.Facts.Ramdisk?.Line
            ?? observed.Facts.FirstProgramLine ?? observed.Facts.AliveLine ?? observed.Sleep?.Line;
        if (observed.Facts.PanicMessage is { } words)
            findings.Add(new(Verifier.OutcomeWhat, expected, $"halts: \"{words.Value}\"", words.Line, Agrees: false));
        else if (observed.BootFailure is { } failure)
            findings.Add(new(Verifier.OutcomeWhat, expected, $"halts ({failure.Value.Words})", failure.Line, Agrees: isKnown && !boots));
        else if (!isKnown && alive is { } seen)
            undecided.Add(new(Verifier.OutcomeWhat, null, "boots", seen, Agrees: false));
        else if (!isKnown)
            notCompared.Add($"the outcome: {LogExtent.KernelNotKnown}");
        else if (alive is { } line)
            findings.Add(new(Verifier.OutcomeWhat, expected, "boots", line, Agrees: boots));
        else
            notCompared.Add("the outcome: the log ends before it shows");
        bool hasRoom = false;
        if (map is null)
        {
            notCompared.Add("dom0's map");
        }
        else
        {
            map = map.PastDamage();
            ObservedBoot withMap = observed.WithMap(map);
            (ImmutableArray<Finding> entries, hasRoom, int lost) = CompareMap(plan, withMap, notKnown);
            findings.AddRange(entries);
            Finding[] ofMap = [.. MapComparison.Undecided(notKnown, withMap, findings)];
            undecided.AddRange(ofMap);
            if (ofMap.Length > 0)
                notCompared.Add($"{MapComparison.What}{LogExtent.LostLines}");
            if (MapComparison.NotCompared(map, lost) is { } unknown)
                notCompared.Add(unknown);
        }

        bool? hasMoreRam = map is { Kind: not LogMapKind.Dom0BuiltByXen } ? hasRoom
            : !plan.Map.Any(static entry => entry.Type == E820Type.Unusable) ? false
            : observed.Kernel is { } own ? PvhLinuxView.MakesRoomForBalloon(own) : null;
        if (notKnown.IsEmpty && plan.Scenario.Dom0?.Tables is not null && hasMoreRam is { } more && RamTotal.Compare(
            more ? PvhLinuxView.WithRoomForBalloon(plan.Map) : PvhLinuxView.Of(plan.Map), observed, is32Bit: false) is { } total)
            findings.Add(total);
        if (scan is not null && TablesListed(scan, observed) is { } listed && TablesStart(plan) is { } start)
            findings.Add(new("ACPI tables for dom0", $"from 0x{start:x}", $"from 0x{listed.Pointer:x}", listed.Line, start == listed.Pointer));
        if (observed.Facts.PciGap is { } gap)
        {
            bool prefersHigh = KernelProfile.Of(kernel).Has(KernelBehaviour.PrefersHighPciGap);
            ByteRange[] known = [.. (plan.Readings.IsEmpty ? [plan] : plan.Readings)
                .Select(reading => MapQueries.PciGap(PvhLinuxView.Of(reading.Map).AsSpan(), prefersHigh)).Distinct()];
            Finding found = new("gap for PCI devices", known is [var one] ? Text(one) : null, Text(gap.Value), gap.Line,
                known is [var same] && same == gap.Value);
            (known.Length == 1 ? findings : undecided).Add(found);
            if (known.Length > 1)
                notCompared.Add($"{found.What}{LogExtent.LostLines}");
        }
        else
        {
            notCompared.Add("the gap for PCI devices");
        }

        findings.AddRange(NeedFindings.Of(observed.Facts).Concat(LaterEnd.Of(observed)));
        return new()
        {
            Profile = kernel,
            Boot = observed,
            Findings = findings.ToImmutable(),
            Undecided = undecided.ToImmutable(),
            NotKnownRanges = notKnown,
            NotCompared = notCompared.ToImmutable(),
            Explanations =
            [
                .. Explain(plan, observed, findings, map is not { Kind: not LogMapKind.Dom0BuiltByXen } linuxs ? null : hasRoom ? true
                    : linuxs.Entries.Any(static entry => entry.Type == E820Type.Unusable) ? false : null),
                .. RamTotal.Explain(findings, map is { Kind: LogMapKind.Dom0BuiltByXen } or null ? observed : observed.WithMap(map)),
                .. scan is not null && PvhDom0Devices.Of(LinesOf(scan, observed)) is { } unreserved ? [unreserved] : ImmutableArray<Phrase>.Empty,
            ],
        };
    }

    /// <summary>Where the plan has them; null where it has none.</summary>
    private static ulong? TablesStart(Plan plan)
    {
        for (int i = 1; i < plan.Entries.Length; i++)
        {
            if (plan.Entries[i].Why == XenPvhDom0Platform.OfTables && plan.Scenario.Dom0?.Tables is not null)
                return plan.Entries[i].Entry.Address;
        }

        return null;
    }

    /// <summary>Xen prints the map as it made it; Linux with what a PC has below 1 MiB and, in newer releases, with RAM where Xen said unusable.
    /// Where it is not known which of these a release does, its own map tells.</summary>
    private static (ImmutableArray<Finding> Findings, bool HasRoomForBalloon, int Lost) CompareMap(Plan plan, ObservedBoot observed,
        ImmutableArray<ByteRange> notKnown)
    {
        if (observed.Map!.Kind == LogMapKind.Dom0BuiltByXen)
            return (MapComparison.Compare(plan.Map, observed, notKnown, out int cut), false, cut);
        bool makesRoom = observed.Kernel is { } kernel && PvhLinuxView.MakesRoomForBalloon(kernel) == true;
        ImmutableArray<Finding> asXenSays = MapComparison.Compare(PvhLinuxView.Of(plan.Map), observed, notKnown, out int lost);
        ImmutableArray<Finding> withRoom = MapComparison.Compare(PvhLinuxView.WithRoomForBalloon(plan.Map), observed, notKnown, out int lostOfRoom);
        bool hasRoom = !asXenSays.All(static finding => finding.Agrees) && (makesRoom || withRoom.All(static finding => finding.Agrees));
        return hasRoom ? (withRoom, true, lostOfRoom) : (asXenSays, false, lost);
    }

    /// <param name="plan">Of the dom0.</param>
    /// <param name="observed">The boot.</param>
    /// <param name="findings">All that was compared.</param>
    /// <param name="hasRoom">Whether Linux was seen to make RAM of what is unusable; null where its own map does not show it.</param>
    private static IEnumerable<Phrase> Explain(Plan plan, ObservedBoot observed, ImmutableArray<Finding>.Builder findings, bool? hasRoom)
    {
        bool mapAgrees = findings.All(static finding => finding.What != MapComparison.What || finding.Agrees);
        bool hasUnusable = plan.Map.Any(static entry => entry.Type == E820Type.Unusable);
        string linux = hasRoom is null || !mapAgrees || !hasUnusable ? ""
            : hasRoom.Value ? " Linux makes RAM of that in its own map, as room for its balloon: it is not memory that dom0 has."
            : " Linux takes it over as it is.";
        yield return "This dom0 is a PVH one: Xen makes its map from the machine's "
            + (XenPvhDom0Platform.MarksOtherRam(plan.Host) ? $"and marks the host's other RAM unusable.{linux}"
                : "and leaves out the host's other RAM (so up to Xen 4.11): Linux may take that gap for devices.");
        if (observed is { Release: { } release, ReleaseSource: { } source })
            yield return $"{source} Linux {release.Value} (line {release.Line}).";
        else if (observed.Release is null && plan.Scenario.IsKernelAssumed)
            yield return $"The log names no kernel version; it is taken for {KernelReleases.NameOf(plan.Scenario.Kernel)}: "
                + $"{Setting.Kernel} names another.";
        if (Assumptions.OfDom0(plan, "4.12 or later") is { } assumed)
            yield return assumed;
        foreach (string text in FailureExplanations.OfNeeds(observed.Facts).Concat(FailureExplanations.OfSurvived(observed.Facts)))
            yield return text;
        foreach (string text in LaterEnd.Explain(observed))
            yield return text;
        if (MissingLines.Of(findings) is { } missing)
            yield return missing;
        if (observed.Facts.PanicMessage is null && observed.BootFailure is { } failure)
        {
            Finding[] compared = [.. findings.Where(static finding => finding.What is not (Verifier.OutcomeWhat or NeedFindings.What))];
            if (observed.IsXensOwnEnd)
            {
                yield return FailureExplanations.OfXensOwnEnd(failure);
                bool isOfLoading = failure.Value.Cause is not { } cause || !cause.Contains("memory", StringComparison.Ordinal);
                if (isOfLoading && plan.Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.KernelNotOnRam) is { } conflict)
                    yield return $"By the forecast: {conflict.Message}.";
                yield break;
            }

            if (compared.Length == 0)
                yield return "The log has nothing of dom0's map: its end is all that could be looked at.";
            foreach (string text in compared.Length == 0 ? [] : FailureExplanations.OfEnd(compared, failure))
                yield return text;
            if (failure.Value.IsAboutMemory)
                yield return observed.Facts.HasNeeds ? "Its words are about memory."
                    : "Its words are about memory; what led to them the log's other lines do not show.";
            else if (compared.All(static finding => finding.Agrees))
                yield return FailureExplanations.NotOfMemory(failure.Value, compared.Length);
        }

        if (plan.Scenario.Dom0?.Tables is null && !mapAgrees)
            yield return "The last bytes of RAM below 4 GiB hold ACPI tables whose sizes the log does not show.";
    }

    private static string Text(ByteRange gap) => gap.IsEmpty ? "none" : Verifier.Range(gap);
}
