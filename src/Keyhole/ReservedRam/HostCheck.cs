// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>Whether a running host is set up as planned, by its /proc/iomem.</summary>
public static class HostCheck
{
    /// <summary>
    /// What differs. An error: the kernel has System RAM where RAM should have been kept (the part that touches it is named; a kernel that did not move
    /// shows so). A warning: RAM from the start on is missing, which some other parameter took. Empty: set up that way.
    /// </summary>
    /// <param name="plan">A plan whose start is possible.</param>
    /// <param name="iomem">The running host's /proc/iomem. The names of 2008 ("reserved RAM") and today's ("Reserved") both mean that it is kept.</param>
    public static ImmutableArray<Problem> Compare(ReservePlan plan, HostMemoryMap iomem)
    {
        if (plan.Map is not { } map || plan.Today is not { } today)
            return [];
        ImmutableArray<ByteRange> ram = LinuxIomem.RamOf(iomem.Entries);
        List<Problem> problems = [];
        foreach (ByteRange range in ByteRanges.Intersect(ram, ByteRanges.WholePages(today.Map.Kept)))
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.NotKept,
                $"{ByteSize.ToText(range.SizeBytes)} that should be kept are the kernel's System RAM",
                range.Start,
                range.End,
                $"boot the host with {today.Parameters}, and without nokaslr"));
        }

        // Linux rounds RAM to whole pages, and keeps a few for itself in ways that no map shows: only what is larger counts.
        foreach (ByteRange range in ByteRanges.Subtract(ByteRanges.WholePages(map.HostRam), ram))
        {
            if (range.SizeBytes < ReservePlanner.StartAlignment)
                continue;
            problems.Add(new(
                Severity.Warning, ReserveProblemCodes.HostRamMissing, $"the host lacks {ByteSize.ToText(range.SizeBytes)} of RAM that the plan leaves to it", range.Start, range.End, "see its other memmap= and mem= parameters"));
        }

        return [.. problems];
    }
}
