// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Logs;

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
        return Compare(plan, LinuxIomem.RamOf(iomem.Entries));
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
        if (facts.ImageOutsideRam is not { } image)
            return Compare(plan, ram);
        if (!image.Value.IsEmpty)
            return Compare(plan, ByteRanges.Union([.. ram, image.Value]));
        return
        [
            .. Compare(plan, ram),
            new(
                Severity.Error,
                ReserveProblemCodes.NotKept,
                $"the host's kernel is in RAM that it was told to leave alone, and takes that place back (line {image.Line} of its log); the "
                    + $"guest's device would overwrite it. Where it is /proc/iomem shows",
                Remedy: RemedyForKernel(plan)),
        ];
    }

    private static string RemedyForKernel(ReservePlan plan) => plan.Host.Traits.IsEfi == true
        ? "boot the host by BIOS (CSM), or keep RAM above 4 GiB: with EFI a kernel does not avoid memmap="
        : "boot without nokaslr; on a host with EFI, boot by BIOS (CSM) or keep RAM above 4 GiB";

    private static ImmutableArray<Problem> Compare(ReservePlan plan, ImmutableArray<ByteRange> ram)
    {
        if (plan.Map is not { } map || plan.Today is not { } today)
            return [];
        List<Problem> problems = [];
        ImmutableArray<ByteRange> wanted = ByteRanges.WholePages(today.Map.Kept);
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
                    RemedyForKernel(plan))
                : new(
                    Severity.Error,
                    ReserveProblemCodes.NotKept,
                    $"{ByteSize.ToText(range.SizeBytes)} that should be kept are the kernel's System RAM",
                    range.Start,
                    range.End,
                    plan.Host.Traits.IsEfi == true ? $"boot the host by BIOS (CSM) with {today.Parameters}"
                        : $"boot the host with {today.Parameters}, and without nokaslr"));
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
