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
    /// move shows so). A warning: RAM from the start on is missing, which some other parameter took. Empty: set up that way.
    /// </summary>
    /// <param name="plan">A plan whose start is possible.</param>
    /// <param name="iomem">The running host's /proc/iomem. The names of 2008 ("reserved RAM") and today's ("Reserved") both mean that it is
    /// kept.</param>
    public static ImmutableArray<Problem> Compare(ReservePlan plan, Host iomem)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(iomem);
        return Compare(plan, LinuxIomem.RamOf(iomem.Entries), null);
    }

    /// <summary>
    /// The same by the log of a boot of the host's: the map as the kernel's options changed it, and whether its own image lies where it took RAM
    /// away. Null where the log does not go on behind the firmware's map, so that it does not show what became of it.
    /// </summary>
    /// <param name="plan">A plan whose start is possible.</param>
    /// <param name="log">The log.</param>
    /// <param name="firmware">The firmware's map in it that the plan was made for.</param>
    public static ImmutableArray<Problem>? Compare(ReservePlan plan, LogScan log, LogMap firmware)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(log);
        ArgumentNullException.ThrowIfNull(firmware);
        (BootFacts facts, LogMap? after, int last) = CommandLineEffects.FactsOf(log, firmware);
        if (after is null ? last == 0 : after.Error is not null)
            return null;
        ImmutableArray<ByteRange> ram = LinuxIomem.RamOf((after ?? firmware).Entries);
        string? commandLine = facts.CommandLine?.Value;
        ImmutableArray<ByteRange> inUse = InUse(WantedBy(plan), facts.NotSaved);
        if (!inUse.IsEmpty)
            return Compare(plan, ByteRanges.Union([.. ram, .. inUse]), commandLine);
        if (facts.ImageOutsideRam is not { } image)
            return Compare(plan, ram, commandLine);
        if (!image.Value.IsEmpty)
            return Compare(plan, ByteRanges.Union([.. ram, image.Value]), commandLine);
        ImmutableArray<Problem> problems = Compare(plan, ram, commandLine);
        return OfImage(plan, ByteRanges.Subtract(LinuxIomem.RamOf(firmware.Entries), ram), image.Line, commandLine) is { } found
            ? [.. problems, found] : problems;
    }

    /// <summary>
    /// What the kernel uses within what is to be kept, by what it says is no RAM of its own: a gap between two such ranges. Beyond the first and the
    /// last of them nothing is known: the kernel stops at the end of its RAM (e820__register_nosave_regions).
    /// </summary>
    private static ImmutableArray<ByteRange> InUse(ImmutableArray<ByteRange> wanted, ImmutableArray<ByteRange> notSaved)
    {
        List<ByteRange> used = [];
        foreach (ByteRange range in wanted)
        {
            ImmutableArray<ByteRange> said = ByteRanges.Intersect([range], ByteRanges.Union(notSaved));
            if (said.Length > 1)
                used.AddRange(ByteRanges.Subtract([ByteRange.FromBounds(said[0].Start, said[^1].End)], said));
        }

        return [.. used];
    }

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
                Remedy: RemedyForKernel(plan, commandLine, inside.IsEmpty ? default : inside[0]));
    }

    /// <summary>What is not so already: a boot by BIOS, RAM above 4 GiB where there is such, KASLR.</summary>
    private static Phrase? RemedyForKernel(ReservePlan plan, string? commandLine, ByteRange at)
    {
        List<Phrase> advice = [];
        bool? isEfi = plan.Host.Traits.IsEfi;
        bool hasNoKaslr = HasOption(commandLine, "nokaslr");
        if (isEfi != true && (commandLine is null || hasNoKaslr))
            advice.Add("boot without nokaslr");
        if (isEfi != false)
        {
            string onEfi = isEfi is null ? "on a host with EFI, " : "";
            advice.Add($"{onEfi}boot by BIOS (CSM): an EFI stub does not avoid memmap=");
            if (at.Start < Frames.FourGiB && plan.Request is { } request && ReserveRemedies.Above4GiB(request) is { } high)
            {
                string range = $"{MemmapParameters.Size(high.Start)}-{MemmapParameters.Size(high.End)}";
                advice.Add($"keep RAM above 4 GiB ({Setting.ReservedRange} {range}) in its place, and look again");
            }
        }

        return advice.Count == 0 ? null : Phrase.Join("; or ", advice);
    }

    /// <summary>The parameters, where the host was not booted with them; without nokaslr, and by BIOS, where it matters.</summary>
    private static Phrase? RemedyForRam(ReservePlan plan, TodaysHost today, string? commandLine, ByteRange at)
    {
        if (today.Memmaps.All(range => HasOption(commandLine, MemmapParameters.ToText(range))))
            return RemedyForKernel(plan, commandLine, at);
        string how = plan.Host.Traits.IsEfi == true && at.Start < Frames.FourGiB ? "boot the host by BIOS (CSM)" : "boot the host";
        bool isKaslrToSay = plan.Host.Traits.IsEfi != true && at.Start < Frames.FourGiB && (commandLine is null || HasOption(commandLine, "nokaslr"));
        string instead = commandLine?.Contains("memmap=", StringComparison.Ordinal) == true ? ", in place of the memmap= that it has" : "";
        return $"{how} with {today.Parameters}{instead}{(isKaslrToSay ? ", and without nokaslr" : "")}";
    }

    private static bool HasOption(string? commandLine, string option) =>
        commandLine?.Split(' ', StringSplitOptions.RemoveEmptyEntries).Contains(option, StringComparer.Ordinal) == true;

    private static ImmutableArray<ByteRange> WantedBy(ReservePlan plan) =>
        plan.Today is { } today ? ByteRanges.WholePages(today.Map.Kept) : [];

    /// <summary>Where lines of the host's map are lost, for each reading of them; the running host's RAM shows a part of what they said.</summary>
    private static ImmutableArray<Problem> Compare(ReservePlan plan, ImmutableArray<ByteRange> ram, string? commandLine)
    {
        if (plan is not { Host.HasLostEntries: true, Request: { } request })
            return CompareWhole(plan, ram, commandLine);
        ImmutableArray<ByteRange> lost = request.Host.LostRanges;
        ImmutableArray<ByteRange> seen = ByteRanges.Intersect(ram, lost);
        Host shown = request.Host with
        {
            Entries = [.. request.Host.Entries.Concat(seen.Select(static range => E820Entry.FromSize(range.Start, range.SizeBytes, E820Type.Ram)))
                .OrderBy(static entry => entry.Address)],
            LostRanges = ByteRanges.Subtract(lost, seen),
        };
        ImmutableArray<Problem>[] readings = [.. LostLines.Readings(shown).Select(host =>
            CompareWhole(ReservePlanner.Model(request with { Host = host }) with { Request = request with { Host = host } }, ram, commandLine))];
        (List<Problem> agreed, List<string> unknown) = LostLineDoubts.Split(readings, ReserveDoubts.Question);
        if (unknown.Count > 0)
        {
            agreed.Add(new(
                Severity.Warning,
                // What the plan leaves to the host does not decide whether the RAM is kept.
                readings.SelectMany(static reading => reading).Any(static problem => problem.Code == ReserveProblemCodes.NotKept)
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

    private static ImmutableArray<Problem> CompareWhole(ReservePlan plan, ImmutableArray<ByteRange> ram, string? commandLine)
    {
        if (plan.Map is not { } map || plan.Today is not { } today)
            return [];
        List<Problem> problems = [];
        ImmutableArray<ByteRange> wanted = WantedBy(plan);
        ImmutableArray<ByteRange> lost = ByteRanges.Intersect(ram, wanted);
        foreach (ByteRange range in lost)
        {
            // A kernel that finds its own image outside of RAM takes just that back ("… not marked as E820_TYPE_RAM"): an island with kept RAM on
            // both sides.
            bool isKernel = range.SizeBytes is >= MinKernelBytes and <= MaxKernelBytes && Touches(wanted, range.Start - 1)
                && Touches(wanted, range.End)
                && !Touches(lost, range.Start - 1) && !Touches(lost, range.End);
            problems.Add(isKernel
                ? new(
                    Severity.Error,
                    ReserveProblemCodes.NotKept,
                    $"the host's kernel is in the kept RAM: {ByteSize.ToText(range.SizeBytes)} of it are System RAM again, and the "
                        + $"guest's device would overwrite them",
                    range.Start,
                    range.End,
                    RemedyForKernel(plan, commandLine, range))
                : new(
                    Severity.Error,
                    ReserveProblemCodes.NotKept,
                    $"{ByteSize.ToText(range.SizeBytes)} that should be kept are the kernel's System RAM",
                    range.Start,
                    range.End,
                    RemedyForRam(plan, today, commandLine, range)));
        }

        // Linux rounds RAM to whole pages, and keeps a few for itself in ways that no map shows: only what is larger counts.
        foreach (ByteRange range in ByteRanges.Subtract(ByteRanges.WholePages(map.HostRam), ram))
        {
            if (range.SizeBytes < ReservePlanner.StartAlignment)
                continue;
            problems.Add(new(
                Severity.Warning, ReserveProblemCodes.HostRamMissing,
                $"the host lacks {ByteSize.ToText(range.SizeBytes)} of RAM that the plan leaves to it", range.Start, range.End,
                "see its other memmap= and mem= parameters"));
        }

        return [.. problems];
    }
}
