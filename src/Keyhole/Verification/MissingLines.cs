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
        (!isCounted && differing.Any(static finding =>
            finding.What == MapComparison.What && finding.Forecast?.EndsWith(" ram", StringComparison.Ordinal) == true)
            ? ", or the guest has less memory than was told (\"last_pfn\" and \"Memory:\" tell)" : "")
        + (Functions(differing) is > 0 and var functions && functions < differing.Length ? ", or the guest has no such device" : "");

    /// <summary>Functions of which the log has nothing: that one finding stands for all lines of a device, its registers' too.</summary>
    private static int Functions(Finding[] differing) => differing.Count(static finding => finding.What == PciFindings.FunctionWhat);

    private static string Lacks(Finding[] differing)
    {
        int functions = Functions(differing);
        string lines = $"{Counted.Of(differing.Length - functions, "line")} of it";
        string devices = $"every line of {Counted.Of(functions, "PCI function")}";
        return functions == 0 ? lines : functions == differing.Length ? devices : $"{lines} and {devices}";
    }

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
        string they = Functions(differing) == differing.Length ? "Either the guest has no such device, or they"
            : differing.Length == 1 ? "It" : "They";
        return $"Everything of this that the log shows is as forecast; it lacks {Lacks(differing)} ({named}). {they} "
            + $"may have got lost on the way into the log (a serial line, a buffer, somebody who copied "
            + $"it){OrElse(differing, alike.Any(static finding => finding.What == RamTotal.What))}: look at the whole log before anything else.";
    }
}
