// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.ReservedRam;

/// <summary>Whether a running host is set up as planned, by its /proc/iomem.</summary>
public static class HostCheck
{
    /// <summary>From text to bss, a kernel of today takes 30 to 60 MiB; small ones are smaller.</summary>
    private const ulong MinKernelBytes = 4UL << 20;

    private const ulong MaxKernelBytes = 256UL << 20;

    private static bool Touches(ImmutableArray<ByteRange> ranges, ulong address)
    {
        foreach (ByteRange range in ranges)
        {
            if (range.Start <= address && address < range.End)
                return true;
        }

        return false;
    }

    /// <summary>
    /// What differs. An error: the kernel has System RAM where RAM should have been kept (the part that touches it is named; a kernel that did not
    /// move shows so), or the RAM is not reserved but out of the map. A warning: RAM from the start on is missing, which some other parameter took,
    /// or lines of the source are. Empty: set up that way.
    /// </summary>
    /// <param name="plan">A plan whose start is possible.</param>
    /// <param name="iomem">The running host's /proc/iomem. The names of 2008 ("reserved RAM") and today's ("Reserved") both mean that it is
    /// kept.</param>
    public static ImmutableArray<Problem> Compare(ReservePlan plan, Host iomem)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(iomem);
        return Compare(plan, ShownHost.Of(iomem, null));
    }

    /// <summary>The same by a copy of /proc/iomem, of which somebody may have left out lines.</summary>
    /// <param name="plan">A plan whose start is possible.</param>
    /// <param name="iomem">The copy.</param>
    public static ImmutableArray<Problem> Compare(ReservePlan plan, HostDocument iomem)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(iomem);
        return Compare(plan, ShownHost.Of(iomem.Host, iomem.LogMap));
    }

    /// <summary>
    /// The same by the log of a boot of the host's: the map as the kernel's options changed it, and whether its own image lies where it took RAM
    /// away. Null where no line of the log behind the firmware's map shows what became of it.
    /// </summary>
    /// <param name="plan">A plan whose start is possible.</param>
    /// <param name="log">The log.</param>
    /// <param name="firmware">The firmware's map in it that the plan was made for.</param>
    public static ImmutableArray<Problem>? Compare(ReservePlan plan, LogScan log, LogMap firmware)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(log);
        ArgumentNullException.ThrowIfNull(firmware);
        if (ShownHost.Of(log, firmware, plan.Host.LostRanges, out BootFacts facts) is not { } shown)
            return null;
        if (facts.ImageOutsideRam is { Value.IsEmpty: false } image)
            return Compare(plan, shown.WithRam([image.Value]));
        (ImmutableArray<ByteRange> inUse, Problem? doubt) = InUse(plan, shown, facts.NotSaved);
        if (!inUse.IsEmpty)
            return Compare(plan, shown.WithRam(inUse));
        ImmutableArray<Problem> problems = Compare(plan, shown);
        // A map of which lines are missing leaves it open anyway; and what is not kept needs no doubt.
        if (problems.Any(static problem => problem.Code is ReserveProblemCodes.NotKept or ReserveProblemCodes.KeptNotKnown))
            return problems;
        doubt = facts.ImageOutsideRam is { } outside
            ? OfImage(plan, ByteRanges.Subtract(LinuxIomem.RamOf(firmware.Entries), shown.Ram), outside.Line, CommandLineOf(shown))
            : doubt ?? OfEnd(plan, shown, facts);
        return doubt is null ? problems : [.. problems, doubt];
    }

    /// <summary>
    /// What the kernel uses within what is to be kept, by what it says is no RAM of its own: it prints a range for each entry of its map that is not
    /// RAM and for each gap, so it has RAM where two ranges leave out the inner part of an entry. Where they leave out whole entries a line may be
    /// missing, and where one ends amid an entry and no other follows, the next is.
    /// </summary>
    private static (ImmutableArray<ByteRange> Used, Problem? Doubt) InUse(ReservePlan plan, ShownHost shown, ImmutableArray<ByteRange> notSaved)
    {
        ImmutableArray<ByteRange> wanted = WantedBy(plan);
        ImmutableArray<ByteRange> said = ByteRanges.Union(notSaved);
        if (said.IsEmpty)
            return ([], null);
        (ulong first, ulong last) = (said[0].Start, said[^1].End);
        List<ByteRange> used = [];
        List<ByteRange> open = [];
        foreach (ByteRange between in ByteRanges.Subtract([ByteRange.FromBounds(first, last)], said))
            (shown.IsAmidEntry(between.Start, between.End) ? used : open).AddRange(ByteRanges.Intersect([between], wanted));
        if (shown.IsAmidEntry(first, first))
            open.AddRange(ByteRanges.Intersect([ByteRange.FromBounds(0, first)], wanted));
        if (shown.IsAmidEntry(last, last))
            open.AddRange(ByteRanges.Intersect([ByteRange.FromBounds(last, Frames.AddressLimit)], wanted));
        return ([.. used], open.Count == 0 ? null : new(
            Severity.Warning,
            ReserveProblemCodes.KeptNotKnown,
            "it is not known whether the host's kernel is in what is to be kept: what it leaves out of a hibernation (nosave memory) does not show "
                + "that part, so a line of the log is missing or the kernel is there",
            open[0].Start,
            open[^1].End,
            SourceWanted));
    }

    /// <summary>Where the log ends before a kernel says that its image is not all RAM; null where the kernel avoids what is to be kept.</summary>
    private static Problem? OfEnd(ReservePlan plan, ShownHost shown, BootFacts facts)
    {
        bool isAvoided = plan.Host.Traits.IsEfi == false && !HasOption(CommandLineOf(shown), "nokaslr");
        return facts.BehindImageLine is not null || isAvoided || WantedBy(plan).IsEmpty ? null : new(
            Severity.Warning,
            ReserveProblemCodes.KeptNotKnown,
            "it is not known whether the host's kernel is in what is to be kept: the log has no line from behind the place where a kernel says so",
            Remedy: SourceWanted);
    }

    private const string SourceWanted = "give the whole log, or the host's /proc/iomem, which shows where it is";

    /// <summary>
    /// A kernel whose image is in RAM that its options took away is somewhere in that RAM, which need not be what the plan keeps. Null where none of
    /// it is.
    /// </summary>
    private static Problem? OfImage(ReservePlan plan, ImmutableArray<ByteRange> taken, int line, string? commandLine)
    {
        ImmutableArray<ByteRange> wanted = WantedBy(plan);
        ImmutableArray<ByteRange> places = [.. taken.Where(static range => range.SizeBytes >= MinKernelBytes)];
        ImmutableArray<ByteRange> inside = ByteRanges.Intersect(places, wanted);
        if (!places.IsEmpty && ByteRanges.Sum(inside) < MinKernelBytes)
            return null;
        return ByteRanges.Subtract(places, wanted).Any(static range => range.SizeBytes >= MinKernelBytes)
            ? new(
                Severity.Warning,
                ReserveProblemCodes.KeptNotKnown,
                $"it is not known whether the host's kernel is in what is to be kept: it is in RAM that it was told to leave alone, of which that is "
                    + $"a part, and takes its place back (line {line} of its log)",
                Remedy: "give the host's /proc/iomem, which shows where it is")
            : new(
                Severity.Error,
                ReserveProblemCodes.NotKept,
                $"the host's kernel is in RAM that it was told to leave alone, and takes that place back (line {line} of its log); the "
                    + $"guest's device would overwrite it. Where it is /proc/iomem shows",
                Remedy: HostCheckRemedies.ForKernel(plan, commandLine, inside.IsEmpty ? default : inside[0]));
    }

    internal static bool HasOption(string? commandLine, string option) =>
        commandLine?.Split(' ', StringSplitOptions.RemoveEmptyEntries).Contains(option, StringComparer.Ordinal) == true;

    private static string? CommandLineOf(ShownHost shown) => shown.CommandLine?.Value;

    private static ImmutableArray<ByteRange> WantedBy(ReservePlan plan) =>
        plan.Today is { } today ? ByteRanges.WholePages(today.Map.Kept) : [];

    /// <summary>Where lines of the host's map are lost, for each reading of them; the running host's RAM shows a part of what they said.</summary>
    private static ImmutableArray<Problem> Compare(ReservePlan plan, ShownHost shown)
    {
        if (plan is not { Host.HasLostEntries: true, Request: { } request })
            return CompareWhole(plan, shown);
        ImmutableArray<ByteRange> lost = request.Host.LostRanges;
        ImmutableArray<ByteRange> seen = ByteRanges.Intersect(shown.Ram, lost);
        Host known = request.Host with
        {
            Entries = [.. request.Host.Entries.Concat(seen.Select(static range => E820Entry.FromSize(range.Start, range.SizeBytes, E820Type.Ram)))
                .OrderBy(static entry => entry.Address)],
            LostRanges = ByteRanges.Subtract(lost, seen),
        };
        ImmutableArray<Problem>[] readings = [.. LostLines.Readings(known).Select(host =>
            CompareWhole(ReservePlanner.Model(request with { Host = host }) with { Request = request with { Host = host } }, shown))];
        (List<Problem> agreed, List<string> unknown) = LostLineDoubts.Split(readings, ReserveDoubts.Question);
        if (unknown.Count > 0)
        {
            agreed.Add(new(
                Severity.Warning,
                // What the plan leaves to the host does not decide whether the RAM is kept.
                readings.SelectMany(static reading => reading).Any(static problem =>
                        problem.Code is ReserveProblemCodes.NotKept or ReserveProblemCodes.KeptNotKnown)
                    && !agreed.Exists(static problem => problem.Code == ReserveProblemCodes.NotKept)
                    ? ReserveProblemCodes.KeptNotKnown : ProblemCodes.MapNotKnown,
                $"it is not known {string.Join(", ", unknown)}: lines of the host's map are lost where {LostLineDoubts.Text(lost)} "
                    + $"{(lost.Length == 1 ? "is" : "are")}",
                lost[0].Start,
                lost[0].End,
                LostLineDoubts.SourceWanted));
        }

        return [.. agreed];
    }

    private static ImmutableArray<Problem> CompareWhole(ReservePlan plan, ShownHost shown)
    {
        if (plan.Map is not { } map || plan.Today is not { } today)
            return [];
        List<Problem> problems = [];
        ImmutableArray<ByteRange> wanted = WantedBy(plan);
        AddInUse(problems, plan, today, wanted, shown);
        ImmutableArray<ByteRange> disk = ByteRanges.Intersect(wanted, shown.PersistentMemory);
        if (!disk.IsEmpty)
            problems.Add(HostOptions.PersistentMemory("the host's kernel", disk));
        ImmutableArray<ByteRange> entries = ByteRanges.Union([.. shown.Ram, .. shown.NoRam]);
        ImmutableArray<ByteRange> out_ = ByteRanges.Subtract(wanted, entries);
        ImmutableArray<ByteRange> unknown = ByteRanges.Intersect(out_, shown.Lost);
        if (!unknown.IsEmpty)
            problems.Add(NotShown(unknown, shown.WhyLost));
        foreach (ByteRange range in ByteRanges.Subtract(out_, shown.Lost))
            problems.Add(OutOfMap(plan, today, shown, range));

        // Linux rounds RAM to whole pages, and keeps a few for itself in ways that no map shows: only what is larger counts.
        ImmutableArray<ByteRange> missing = ByteRanges.Subtract(ByteRanges.Subtract(ByteRanges.WholePages(map.HostRam), shown.Ram), shown.Lost);
        ImmutableArray<ByteRange> taken = ByteRanges.Union(shown.NoRam);
        foreach (ByteRange range in missing)
        {
            if (range.SizeBytes < ReservePlanner.StartAlignment
                || (ByteRanges.Intersect([range], taken).IsEmpty && IsLineMissing(shown, range)))
                continue;
            problems.Add(new(
                Severity.Warning, ReserveProblemCodes.HostRamMissing,
                $"the host lacks {ByteSize.ToText(range.SizeBytes)} of RAM that the plan leaves to it", range.Start, range.End,
                RamTaken.By(shown.CommandLine, range) is { } taker ? HostCheckRemedies.ForTaken(plan, today, CommandLineOf(shown), range, taker)
                    : shown.CommandLine is null ? (Phrase?)"see its other memmap= and mem= parameters" : null));
        }

        return [.. problems];
    }

    private static void AddInUse(
        List<Problem> problems, ReservePlan plan, TodaysHost today, ImmutableArray<ByteRange> wanted, ShownHost shown)
    {
        ImmutableArray<ByteRange> used = ByteRanges.Intersect(shown.Ram, wanted);
        foreach (ByteRange range in used)
        {
            // A kernel that finds its own image outside of RAM takes just that back ("… not marked as E820_TYPE_RAM"): an island with kept RAM on
            // both sides.
            bool isKernel = range.SizeBytes is >= MinKernelBytes and <= MaxKernelBytes && Touches(wanted, range.Start - 1)
                && Touches(wanted, range.End)
                && !Touches(used, range.Start - 1) && !Touches(used, range.End);
            problems.Add(isKernel
                ? new(
                    Severity.Error,
                    ReserveProblemCodes.NotKept,
                    $"the host's kernel is in the kept RAM: {ByteSize.ToText(range.SizeBytes)} of it are System RAM again, and the "
                        + $"guest's device would overwrite them",
                    range.Start,
                    range.End,
                    HostCheckRemedies.ForKernel(plan, CommandLineOf(shown), range))
                : new(
                    Severity.Error,
                    ReserveProblemCodes.NotKept,
                    $"{ByteSize.ToText(range.SizeBytes)} that should be kept are the kernel's System RAM",
                    range.Start,
                    range.End,
                    HostCheckRemedies.ForRam(plan, today, CommandLineOf(shown), range)));
        }
    }

    private static Problem NotShown(ImmutableArray<ByteRange> ranges, string why) => new(
        Severity.Warning,
        ReserveProblemCodes.KeptNotKnown,
        $"it is not known whether {ByteSize.ToText(ByteRanges.Sum(ranges))} of what is to be kept are: {why}",
        ranges[0].Start,
        ranges[^1].End,
        "give the whole source, or the host's /proc/iomem");

    /// <summary>Whether a range that a log's map does not have is one whose line is missing: Linux takes RAM away for an option alone, and a limit
    /// takes all that follows.</summary>
    private static bool IsLineMissing(ShownHost shown, ByteRange range) => shown.IsLog && RamTaken.By(shown.CommandLine, range) is null
        && (shown.CommandLine is not null || shown.Ram.Any(ram => ram.Start > range.Start));

    /// <summary>What is neither RAM nor anything else in the host's map is not reserved: Linux took it away, and may give it to PCI.</summary>
    private static Problem OutOfMap(ReservePlan plan, TodaysHost today, ShownHost shown, ByteRange range)
    {
        KernelMemoryOption? taker = RamTaken.By(shown.CommandLine, range);
        if (IsLineMissing(shown, range))
            return NotShown([range], $"{shown.Source} has nothing there, and no option of the log's takes RAM away; its line may be missing");
        string why = taker is { } option ? RamTaken.Words(option, shown.CommandLine is { Line: > 0 and var line } ? line : null, today.Memmaps)
            : shown.CommandLine is null ? "a mem= or a memmap= that lost its '$' does that" : "no option that it was booted with does that";
        return new(
            Severity.Error,
            ReserveProblemCodes.NotKept,
            $"{ByteSize.ToText(range.SizeBytes)} that should be kept are not reserved: {shown.Source} has nothing there, and PCI may be given what "
                + $"is in no entry; {why}",
            range.Start,
            range.End,
            HostCheckRemedies.ForTaken(plan, today, CommandLineOf(shown), range, taker));
    }
}
