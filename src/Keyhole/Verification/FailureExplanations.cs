// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Verification;

/// <summary>
/// What the end of a boot that was forecast to get through its memory setup has to do with memory: how far that setup went and whether it went as
/// forecast, and what the panic message itself is about. Nothing is said of a cause that the comparison does not show.
/// </summary>
internal static class FailureExplanations
{
    public static IEnumerable<string> Of(BootForecast forecast, ObservedBoot observed, ImmutableArray<Finding> findings)
    {
        foreach (string text in OfNeeds(observed.Facts).Concat(OfSurvived(observed.Facts)).Concat(LaterEnd.Explain(observed)))
            yield return text;
        if (observed.Facts.PanicMessage is not null || observed.BootFailure is not { } failure)
        {
            if (!observed.Halts && !IsOver(observed))
                yield return $"Behind line {observed.LastLine} the log says no more of this boot's memory: whether the kernel stopped or the log "
                    + $"was cut it does not show.";
            yield break;
        }

        if (observed.IsXensOwnEnd)
        {
            yield return OfXensOwnEnd(failure);
            yield break;
        }

        if (forecast.Halts)
            yield break;
        Finding[] compared = [.. findings.Where(static finding => finding.What is not (Verifier.OutcomeWhat or NeedFindings.What))];
        foreach (string text in OfEnd([.. compared.Where(static finding => !Verifier.IsBehindSetup(finding))], failure))
            yield return text;
        foreach (string text in PartOfMemory(forecast, observed, failure, compared))
            yield return text;
    }

    /// <summary>What got no memory in a kernel that goes on.</summary>
    public static IEnumerable<string> OfNeeds(BootFacts facts, PciLog? pci = null) => facts.Needs.Select(need =>
        $"Line {need.Line}: \"{need.Value}\": "
            + (NeedFindings.WindowBehind(need, facts, pci) is { } line
                ? $"the driver gave up; a window of a device has no place (line {line}), for which drivers say the same, whatever memory there is."
                : $"{KernelNeeds.SaysOf(need.Value)}.")
            + (facts.LateNeeds.TryGetValue(need.Line, out ulong age) ? $" It comes {AgeText(age)} behind the kernel's start: it is no part of the "
                + "boot, and no difference from its forecast." : ""));

    private static string AgeText(ulong seconds)
    {
        const ulong minute = 60;
        const ulong hour = 60 * minute;
        return seconds < 2 * hour ? string.Create(CultureInfo.InvariantCulture, $"{seconds / minute} minutes")
            : string.Create(CultureInfo.InvariantCulture, $"{seconds / hour} hours");
    }

    /// <summary>An Oops behind which the kernel goes on.</summary>
    public static IEnumerable<string> OfSurvived(BootFacts facts) => facts is { Survived: { } oops, AliveLine: { } line }
        ? [$"Line {oops.Line}: {Quoted(oops.Value)}: it ended what the kernel was doing there, and not the boot, which goes on (line {line})."]
        : [];

    /// <summary>Xen's own death, and why where Xen says that in a line before it.</summary>
    public static string OfXensOwnEnd(LogFact<BootFailure> failure)
    {
        // Whether dom0 ran an xl dmesg does not show: its lines are not in it.
        string how = failure.Value.Kind == BootFailureKind.XenDump
            ? $"shows its own registers (line {failure.Line}), as where it dies; the words of its panic are not in the log"
            : $"itself dies (line {failure.Line}: {Quoted(failure.Value)})";
        string text = $"Xen {how}, and no line of dom0's kernel on its memory stands before that in the log: "
            + $"there is nothing of it to compare.{XenTraceWords.Of(failure.Value)}";
        return failure.Value.Cause is not { } cause ? text
            : $"{text} Before that Xen says \"{cause}\"{(failure.Value.IsAboutMemory ? ": memory has a part in it" : "")}.";
    }

    /// <summary>An end that does not point to the map. Where nothing was compared, nothing is acquitted; Xen's word that a domain crashed gives no
    /// reason. That memory has no part in it is said only where the words prove it.</summary>
    public static string NotOfMemory(BootFailure failure, int compared) =>
        XenWords.Of(failure) is { } words
            ? $"{words}{(compared == 0 ? "" : "; nothing that could be compared points to the map")}."
        : failure.GivesNoReason
            ? $"Why it died the log does not say{(compared == 0 ? "" : "; nothing that could be compared points to the map")}."
            : $"{LastWords(failure, "Its words")}{(compared == 0 ? "" : ", and nothing that could be compared points to the map")}."
                + XenTraceWords.Of(failure);

    /// <summary>What the words do not tell.</summary>
    private static string LastWords(BootFailure failure, string words) => failure.IsInMemoryManagement
        ? "The BUG is in the kernel's memory management: whether memory was short its words do not tell"
        : failure.IsOfAddress ? $"{words} are of an address that is not mapped, or not for that use: why they do not tell"
        : $"{words} say nothing of memory";

    /// <summary>Whether memory had a part in the end of a guest whose firmware made its map, as far as the last words tell.</summary>
    /// <param name="hasDifferences">Whether something that was compared differs: whether that is the cause no words tell.</param>
    public static IEnumerable<Phrase> OfFirmwareGuest(BootFailure failure, GuestSpec guest, bool hasDifferences)
    {
        string size = ByteSize.ToText(guest.MemoryKiB << 10);
        if (failure.IsAboutMemory)
            yield return $"{XensWords(failure)}Memory has a part in it{Wanted(failure)}; the guest has {size}.{Balloon(failure)}";
        else if (failure.GivesNoReason || failure.Kind == BootFailureKind.Crashed)
            yield return NotOfMemory(failure, hasDifferences ? 0 : 1);
        else
            yield return LastWords(failure, "The kernel's last words")
                + $"{(hasDifferences ? "" : ", and nothing that could be compared points to the map")}.";
        if (XenWords.CureOf(failure, guest) is { } cure)
            yield return cure;
        if (failure.IsInBalloon && guest.MaxmemKiB > guest.MemoryKiB)
            yield return $"What to change: {GuestReview.OnDemandCure(guest)}: then it has nothing to give back at boot.";
    }

    private static string Balloon(BootFailure failure) =>
        failure.IsInBalloon ? " The BUG is in the balloon driver, which gives memory back to Xen and takes it again." : "";

    private static string XensWords(BootFailure failure) => XenWords.Of(failure) is { } words ? $"{words}. " : "";

    private static string Wanted(BootFailure failure) =>
        WantedBytes(failure.Words) is { } bytes and > 0 ? $": it wanted {ByteSize.ToText(bytes)} in one piece" : "";

    /// <summary>How far what was compared goes, and whether the end lies behind it.</summary>
    /// <param name="compared">The findings on the memory setup, but for the outcome.</param>
    /// <param name="failure">How the boot ended.</param>
    public static IEnumerable<string> OfEnd(Finding[] compared, LogFact<BootFailure> failure)
    {
        int differing = compared.Count(static finding => !finding.Agrees);
        int last = compared.Where(finding => finding.Line <= failure.Line).Select(static finding => finding.Line ?? 0).DefaultIfEmpty(0).Max();
        string who = failure.Value.IsXens ? "Xen dies" : "the kernel dies";
        if (compared.Length == 0)
            yield return $"Nothing of the memory setup stands in the log before {who.Replace("dies", "died", StringComparison.Ordinal)} (line "
                + $"{failure.Line}), so nothing of it could be compared.";
        else if (differing == 0 && last == 0)
            // What a machine keeps of a crash begins with the end (pstore).
            yield return $"The memory setup is as forecast; it stands behind the death in this log (line {failure.Line}: {Quoted(failure.Value)}), "
                + $"whose parts are not in the order of time.";
        else if (differing == 0)
            yield return $"The memory setup is as forecast to the last line there is of it (line {last}); {who} after it, at line "
                + $"{failure.Line}: {Quoted(failure.Value)}.";
        else
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Before {who.Replace("dies", "died", StringComparison.Ordinal)} (line {failure.Line}: {Quoted(failure.Value)}) {differing} of "
                    + $"{compared.Length} lines of the memory setup differ from the forecast.");
    }

    private static IEnumerable<string> PartOfMemory(BootForecast forecast, ObservedBoot observed, LogFact<BootFailure> failure, Finding[] compared)
    {
        int differing = compared.Count(static finding => !finding.Agrees);
        if (ForbiddenByItsOwnLimit(forecast, observed) is { Length: > 0 } forbidden)
        {
            yield return forbidden;
            yield break;
        }

        // Nothing of the boot's memory is in the log: then it tells no more than the words themselves.
        if (failure.Value.IsAboutMemory && compared.Length == 0)
        {
            yield return $"{XensWords(failure.Value)}Memory has a part in it{Wanted(failure.Value)}.{Balloon(failure.Value)}";
        }
        else if (failure.Value.IsAboutMemory)
        {
            string size = ByteSize.ToText(forecast.Request.PageCount << Addresses.Frames.Shift);
            string whose = forecast.Request.IsDom0 ? "dom0" : "the guest";
            yield return $"{XensWords(failure.Value)}Memory has a part in it{Wanted(failure.Value)}; {whose} has {size}.{Balloon(failure.Value)} "
                + (differing == 0 && forecast.Boots && HasAllOfMap(forecast, compared)
                    ? "Its map is the one that was forecast, and by the forecast the kernel gets through its memory setup on it."
                    : differing == 0 ? "" : "Whether the lines that differ are the cause the log does not show.");
        }
        else if (differing == 0)
        {
            yield return NotOfMemory(failure.Value, compared.Length);
        }
    }

    /// <summary>Whether the log has each entry of the map: of one that is cut the rest may be otherwise.</summary>
    private static bool HasAllOfMap(BootForecast forecast, Finding[] compared) => !forecast.KernelMap.IsEmpty
        && compared.Count(static finding => finding is { What: MapComparison.What, Observed: not null }) >= forecast.KernelMap.Length;

    /// <summary>
    /// Proven by: the kernel's own mem= in the log, and frames that by the forecast it moves to beyond that limit. Linux takes the RAM there out of
    /// its map before it maps the moved frames.
    /// </summary>
    private static string ForbiddenByItsOwnLimit(BootForecast forecast, ObservedBoot observed)
    {
        // A kernel that dies of it does so where it maps the moved frames: words about anything else are not of this.
        // One that has mapped them died of something else.
        if (observed.Facts.CommandLine is not { } line || observed.Facts.BootFailure is { Value.IsAboutMemory: false }
            || observed.Facts is { Remapped: not null } or { Memory: not null } or { PciGap: not null } or { FirstProgramLine: not null })
            return "";
        // Xen names another reason.
        if (observed.EndedByXen is { } end && XenReasons.In(end.Value).Any(static reason => reason.Memory == MemoryPart.No))
            return "";
        // What stands before memmap=exactmap Linux drops.
        KernelMemoryOption[] options = [.. KernelMemoryOptions.Of(line.Value).Reverse()
            .TakeWhile(static option => option.Kind != KernelMemoryOptionKind.ExactMap).Reverse()];
        KernelMemoryOption limit = options
            .Where(static option => option.Kind is KernelMemoryOptionKind.Limit or KernelMemoryOptionKind.Broken)
            .OrderBy(static option => option.Limit).FirstOrDefault();
        if (limit.Text is null || KernelMemoryOptions.MakesRamBehind(options, limit)
            || (observed.UserMap is { } changed && changed.Entries.Any(entry => entry is { IsRam: true, Wraps: false } && entry.End > limit.Limit)))
            return "";
        ulong pages = 0;
        foreach (P2mRun run in forecast.P2m)
        {
            Addresses.PfnRange beyond =
                run.Range.Intersect(Addresses.PfnRange.FromBounds(Addresses.Pfn.Containing(Math.Min(limit.Limit, Addresses.Frames.AddressLimit - 1)),
                    new(Addresses.Frames.MaxCount)));
            if (run.Kind == P2mKind.Remapped)
                pages += beyond.Count;
        }

        string instead = forecast.Request.IsDom0 ? "what dom0 gets dom0_mem= on Xen's command line says"
            : $"what the guest gets {OwnWords.Memory(forecast.Request.Toolstack)} in its configuration says";
        return pages == 0
            ? ""
            : $"{InputError.OneLine(limit.Text, 80)} on the kernel's own command line (line {line.Line}) forbids what it must do: by the forecast "
                + $"it moves {Verifier.Number(pages)} pages to frames beyond that limit, from under holes of its map. "
                + $"What to change: leave {(limit.Text.StartsWith("memmap", StringComparison.Ordinal) ? "memmap=" : "mem=")} out; {instead}.";
    }

    private static ulong? WantedBytes(string words)
    {
        const string mark = "to allocate ";
        int at = words.IndexOf(mark, StringComparison.Ordinal);
        if (at < 0)
            return null;
        ReadOnlySpan<char> rest = words.AsSpan(at + mark.Length);
        int digits = 0;
        while (digits < rest.Length && char.IsAsciiDigit(rest[digits]))
            digits++;
        return rest[digits..].StartsWith(" bytes", StringComparison.Ordinal)
            && ulong.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out ulong bytes) ? bytes : null;
    }

    /// <summary>Whether something is in the log that only comes once the memory setup is over.</summary>
    private static bool IsOver(ObservedBoot observed) =>
        observed.Facts is { Memory: not null } or { PciGap: not null } or { Remapped: not null } or { Ramdisk: not null }
            or { FirstProgramLine: not null } or { AliveLine: not null }
            || observed.Sleep is not null || !observed.Facts.FailedClaims.IsEmpty || !observed.Facts.Needs.IsEmpty;

    private static string Quoted(BootFailure failure) => $"\"{failure.Words}\"";
}
