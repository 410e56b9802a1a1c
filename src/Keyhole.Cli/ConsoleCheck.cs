// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Forecasts;
using Keyhole.Reading;

namespace Keyhole.Cli;

/// <summary>A line on which forecast and console differ; null where that side has none.</summary>
internal sealed record ConsoleDifference(string? Forecast, string? Observed);

/// <summary>Compares what a kernel said on its console about its memory with what it was forecast to say, line for line.</summary>
internal static class ConsoleCheck
{
    // Beginnings of the lines that a forecast is made of.
    private static readonly string[] s_beginnings =
    [
        "Released ", "Remapped ", "Set ", "Freeing ", "Populating ", "Xen: [mem ", "Xen hypervisor allocated", "initrd moved from", "[mem ", "e820: [mem ",
        "Cannot find an available gap", "No suitable area found", "Unable to find available pfn range",
    ];

    public static ImmutableArray<ConsoleDifference> Compare(BootForecast forecast, string console)
    {
        // The early console and the real one both carry the lines; each counts once.
        List<string> observed = [.. Relevant(console).Distinct(StringComparer.Ordinal)];
        List<string> expected = [.. forecast.Log.Where(IsRelevant).Distinct(StringComparer.Ordinal)];
        return
        [
            .. expected.Except(observed, StringComparer.Ordinal).Select(static line => new ConsoleDifference(line, null)),
            .. observed.Except(expected, StringComparer.Ordinal).Select(static line => new ConsoleDifference(null, line)),
        ];
    }

    /// <summary>The lines about memory, without time stamps.</summary>
    public static IEnumerable<string> Relevant(string console)
    {
        foreach (string raw in console.Split('\n'))
        {
            ReadOnlySpan<char> line = raw.AsSpan().TrimEnd();
            int stamp = line.StartsWith("[") ? line.IndexOf("] ", StringComparison.Ordinal) : -1;
            if (stamp > 0 && !line.StartsWith("[mem", StringComparison.Ordinal))
                line = line[(stamp + 2)..];
            string text = InputError.OneLine(line, 200);
            if (IsRelevant(text))
                yield return text;
        }
    }

    private static bool IsRelevant(string line) => Array.Exists(s_beginnings, beginning => line.StartsWith(beginning, StringComparison.Ordinal))
        && (!line.Contains("[mem ", StringComparison.Ordinal) || line.StartsWith("Xen: [mem", StringComparison.Ordinal) || line.Contains("available for PCI", StringComparison.Ordinal)
            || line.StartsWith("initrd moved", StringComparison.Ordinal))
        && (!line.StartsWith("Freeing ", StringComparison.Ordinal) || line.Contains("pfn range", StringComparison.Ordinal))
        && (!line.StartsWith("Set ", StringComparison.Ordinal) || line.Contains("1-1 mapping", StringComparison.Ordinal));
}
