// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Verification;

/// <summary>What a log would look like that has lost single lines, of which nothing tells: all that it shows is as forecast, and some of what is
/// forecast is not in it.</summary>
internal static class MissingLines
{
    private const int MostNamed = 3;

    /// <summary>A guest with less RAM, or without a device, lacks the same lines.</summary>
    /// <param name="differing">What is not in the log.</param>
    /// <param name="isCounted">Whether the kernel counts as much RAM as was forecast.</param>
    private static string OrElse(Finding[] differing, bool isCounted) =>
        (!isCounted && differing.Any(static finding => finding.What == MapComparison.What && finding.Forecast?.EndsWith(" ram", StringComparison.Ordinal) == true)
            ? ", or the guest has less memory than was told (\"last_pfn\" and \"Memory:\" tell)" : "")
        + (differing.Any(static finding => finding.What == "PCI function") ? ", or the guest has no such device" : "");

    /// <summary>Says so where it is so; null else.</summary>
    public static string? Of(IReadOnlyCollection<Finding> findings)
    {
        Finding[] differing = [.. findings.Where(static finding => !finding.Agrees && !Verifier.IsBehindSetup(finding))];
        Finding[] alike = [.. findings.Where(static finding => finding.Agrees && finding.What != Verifier.OutcomeWhat)];
        // Of which more is missing than is there it is no single line.
        if (differing.Length == 0 || differing.Length > alike.Length
            || !differing.All(static finding => finding is { Observed: null, Line: not null }))
            return null;
        string named = string.Join("; ", differing.Take(MostNamed).Select(static one => $"{one.What} {one.Forecast} before line {one.Line}"))
            + (differing.Length > MostNamed ? " …" : "");
        return $"Everything of this that the log shows is as forecast; it lacks {Counted.Of(differing.Length, "line")} of it ({named}). "
            + $"{(differing.Length == 1 ? "It" : "They")} may have got lost on the way into the log (a serial line, a buffer, somebody who copied "
            + $"it){OrElse(differing, alike.Any(static finding => finding.What == RamTotal.What))}: look at the whole log before anything else.";
    }
}
