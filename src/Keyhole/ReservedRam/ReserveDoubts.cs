// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Platforms;

namespace Keyhole.ReservedRam;

/// <summary>RAM kept aside on a host whose map has lost lines: what is so whatever they said, and what they decide.</summary>
internal static class ReserveDoubts
{
    /// <summary>Plans for each reading of the lost lines; what they agree on is the plan.</summary>
    public static ReservePlan Plan(ReserveRequest request)
    {
        ImmutableArray<Host> hosts = LostLines.Readings(request.Host);
        ReservePlan[] readings = [.. hosts.Select(host => ReservePlanner.Model(request with { Host = host }))];
        // The first is of the lines that are there: no reading has less RAM.
        ReservePlan first = readings[0];
        bool isKnown = first.Today is not null && readings.All(reading => IsSame(first, reading));
        ImmutableArray<ByteRange> lost = request.Host.LostRanges;
        List<ImmutableArray<Problem>> problems = [.. readings.Select(static reading => reading.Problems.RemoveAll(static problem =>
            problem.Code is ReserveProblemCodes.DeviceReachesAll or ReserveProblemCodes.RangeWithoutRam))];
        (List<Problem> agreed, List<string> unknown) = LostLineDoubts.Split(problems, Question);
        if (!request.Ranges.IsEmpty)
        {
            ImmutableArray<ByteRange> kept = ByteRanges.Union(request.Ranges);
            agreed.InsertRange(0, ReserveReview.WithoutRam(kept, ByteRanges.Union([.. LinuxIomem.RamOf(request.Host.Entries), .. lost])));
        }

        bool isDecided = first.Today is null && readings.All(static reading => reading.Today is null);
        if (!isKnown && !isDecided)
        {
            unknown.Insert(0, "what is kept, and by which parameters");
            agreed.Add(new(
                Severity.Warning, ReserveProblemCodes.KeptNotKnown,
                $"it is not known {string.Join(", ", unknown)}: lines of the host's map are lost where {LostLineDoubts.Text(lost)} "
                    + $"{(lost.Length == 1 ? "is" : "are")}, and they decide it",
                lost[0].Start, lost[0].End, LostLineDoubts.SourceWanted));
        }
        else if (!isDecided || unknown.Count > 0)
        {
            string further = unknown.Count > 0 ? $", and {string.Join(", ", unknown)}" : "";
            agreed.Add(new(
                Severity.Warning, ProblemCodes.MapNotKnown,
                $"it is not known how much RAM the host has, and what is where {LostLineDoubts.Text(lost)} "
                    + $"{(lost.Length == 1 ? "is" : "are")}{further}: lines of its map are lost, and the figures are those of the lines that are "
                    + $"there",
                lost[0].Start, lost[0].End, LostLineDoubts.SourceWanted));
        }

        if (LinuxIomem.RamOf(request.Host.Entries).IsEmpty)
        {
            agreed.Insert(0, new(
                Severity.Error, ReserveProblemCodes.NothingKept,
                "the lines of the host's map that are there have no RAM: nothing can be kept by them",
                Remedy: LostLineDoubts.SourceWanted));
        }

        if (!isDecided)
        {
            ulong least = readings.Min(static reading => reading.Map is { } map ? ByteRanges.Sum(map.HostRam) : 0);
            agreed.Add(ReserveReview.DeviceReachesAll(
                least == 0 ? "all of the host's RAM" : $"all of the host's RAM (at least {ByteSize.ToText(least)})"));
        }

        ReservePlan plan = isKnown ? first : first with { Map = null, Guest = null, Today = null };
        return plan with
        {
            Host = request.Host,
            Request = request,
            IsKeptNotKnown = !isKnown && !isDecided,
            IsStartNotKnown = readings.Any(reading => reading.Start != first.Start),
            SurelyKept = isKnown || isDecided ? [] : SurelyKept(readings),
            Problems = ReserveRemedies.For(request, hosts, [.. agreed]),
        };
    }

    private static bool IsSame(ReservePlan left, ReservePlan right) => left.Start == right.Start && left.Today is { } one
        && right.Today is { } other && one.Parameters == other.Parameters && left.Guest!.Map.SequenceEqual(right.Guest!.Map)
        && left.Guest.Slots.SequenceEqual(right.Guest.Slots) && one.Guest.Slots.SequenceEqual(other.Guest.Slots);

    private static ImmutableArray<ByteRange> SurelyKept(ReservePlan[] readings)
    {
        ImmutableArray<ByteRange>? kept = null;
        foreach (ReservePlan reading in readings)
        {
            ImmutableArray<ByteRange> own = reading.Today?.Map.Kept ?? [];
            kept = kept is { } others ? ByteRanges.Intersect(others, own) : own;
        }

        return ByteRanges.WholePages(kept ?? []);
    }

    /// <summary>What a problem says as a question; null where it is part of what is kept, and by which parameters.</summary>
    public static string? Question(Problem problem) => problem.Code switch
    {
        ReserveProblemCodes.StartAboveRam => "whether any RAM is left to the host",
        ReserveProblemCodes.NothingKept => "whether there is any RAM to keep",
        ReserveProblemCodes.KernelDoesNotFit => "whether the host keeps room for its kernel",
        ReserveProblemCodes.CrashKernelDoesNotFit => "whether the crash kernel fits",
        ReserveProblemCodes.GuestTooLarge => "whether the guest's memory fits",
        ReserveProblemCodes.KernelOverlap => "whether the host's kernel is in what is to be kept",
        ReserveProblemCodes.LowMemoryGone => "whether the host keeps enough RAM below 4 GiB for its own devices",
        ReserveProblemCodes.EfiKernelPlace => "whether a kernel that EFI places may be in it",
        ReserveProblemCodes.NotKept => "whether all of it is kept",
        ReserveProblemCodes.HostRamMissing => "whether the host has all RAM that the plan leaves to it",
        ReserveProblemCodes.TooManyRanges or ReserveProblemCodes.KernelMustMove or ReserveProblemCodes.IomemRelaxed => null,
        _ => $"whether {problem.Message}",
    };
}
