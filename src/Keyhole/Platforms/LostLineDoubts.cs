// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Platforms;

/// <summary>What is wrong with a guest where its host's source has lost lines: what is so whatever they said, and what they decide.</summary>
internal static class LostLineDoubts
{
    /// <summary>
    /// The first reading's problems that all readings have, and one that names what the lost lines decide. Of one that all have with other figures
    /// it is said that they may be others.
    /// </summary>
    /// <param name="lost">Where lines of the host's map are lost.</param>
    /// <param name="readings">Problems of each reading; the first is of the lines that are there.</param>
    /// <param name="doubts">What else is known to differ, as "how much …" or "whether …"; first of all how much RAM is low.</param>
    public static ImmutableArray<Problem> Agreed(ImmutableArray<ByteRange> lost, IReadOnlyList<ImmutableArray<Problem>> readings,
        params IEnumerable<string> doubts)
    {
        (List<Problem> agreed, List<string> unknown) = Split(readings, Question, doubts);
        if (unknown.Count > 0)
        {
            agreed.Add(new(
                Severity.Warning,
                ProblemCodes.MapNotKnown,
                $"it is not known {string.Join(", ", unknown)}: lines of the host's map are lost where {Text(lost)} "
                    + $"{(lost.Length == 1 ? "is" : "are")}",
                lost[0].Start,
                lost[0].End,
                SourceWanted));
        }

        return [.. agreed];
    }

    /// <summary>What helps against lost lines.</summary>
    public const string SourceWanted = "give the whole log, or another source of the host's map";

    /// <summary>What all readings agree on, and the questions that they answer differently.</summary>
    /// <param name="question">A problem as a question, as "whether …"; null for one that is not worth one.</param>
    public static (List<Problem> Agreed, List<string> Unknown) Split(
        IReadOnlyList<ImmutableArray<Problem>> readings, Func<Problem, string?> question, params IEnumerable<string> doubts)
    {
        List<Problem> agreed = [];
        List<string> unknown = [.. doubts];
        foreach (Problem problem in readings[0])
        {
            if (readings.All(reading => reading.Any(other => IsSame(other, problem))))
                agreed.Add(problem);
            else if (problem.Severity != Severity.Info && readings.All(reading => reading.Any(other => IsAlike(other, problem))))
                agreed.Add(problem with { Message = $"{problem.Message} (as the lines that are there have it: those that are lost may change the "
                    + "figures, not that it is so)" });
        }

        bool isLowRamTold = unknown.Count > 0;
        foreach (Problem problem in readings.SelectMany(static reading => reading))
        {
            if (isLowRamTold && problem.Code == ProblemCodes.LowMemoryLost)
                continue;
            if (!readings.All(reading => reading.Any(other => IsAlike(other, problem))))
                Add(unknown, question(problem));
        }

        return (agreed, unknown);
    }

    /// <summary>The ranges in words; of many the first ones.</summary>
    public static string Text(ImmutableArray<ByteRange> ranges)
    {
        const int most = 3;
        string named = string.Join(", ", ranges.Take(most).Select(LostLines.Text));
        return ranges.Length > most ? $"{named} and {ranges.Length - most} more" : named;
    }

    private static void Add(List<string> questions, string? question)
    {
        if (question is not null && !questions.Contains(question))
            questions.Add(question);
    }

    private static bool IsSame(Problem left, Problem right) => left.Severity == right.Severity && left.Code == right.Code
        && left.Message == right.Message && left.Start == right.Start && left.End == right.End;

    private static bool IsAlike(Problem left, Problem right) => left.Severity == right.Severity && left.Code == right.Code;

    private static string Question(Problem problem) => problem.Code switch
    {
        ProblemCodes.LowMemoryLost => "whether the guest has as much RAM below 4 GiB as it could",
        ProblemCodes.KernelNotOnRam => "whether its kernel has RAM where it must be",
        ProblemCodes.KernelHalts => "whether it boots",
        ProblemCodes.BarConflict => "whether its BARs can be claimed",
        ProblemCodes.LargerThanHost => "whether the host has as much RAM",
        ProblemCodes.HighRamOverlap => "whether its RAM above 4 GiB overlaps something of the host's",
        ProblemCodes.PciGap or ProblemCodes.GapOverHostRam => "which gaps its kernel takes for PCI devices",
        ProblemCodes.MemoryReleased => "whether its kernel has to give memory back",
        ProblemCodes.LibxlFails or ProblemCodes.TooManyEntries => "whether its map has too many entries",
        ProblemCodes.MapTooShort => "whether its map reaches as far as its memory does",
        ProblemCodes.DoesNotFit => "whether its memory fits",
        ProblemCodes.ReservedDeviceMemory => "whether its RAM is where a device uses memory by itself",
        ProblemCodes.HoleCovered => "whether its RAM covers a hole of the host's",
        ProblemCodes.KernelEndNotKnown => "whether it matters where its kernel ends",
        ProblemCodes.LowMemory32Bit or ProblemCodes.Beyond32Bits => "how much of its RAM a 32-bit kernel can use",
        ProblemCodes.MapNotKnown or ProblemCodes.LayoutNotKnown => "whether it boots",
        _ => $"whether {problem.Message}",
    };
}
