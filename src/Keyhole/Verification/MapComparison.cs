// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>Compares two sorted maps entry by entry: what is the same in both holds the rest in place.</summary>
internal static class MapComparison
{
    public const string What = "map entry";

    /// <summary>Entries that a cut log cannot show count as neither; <paramref name="lost"/> is how many.</summary>
    /// <param name="notKnown">Where nobody knows what the forecast's map has: there nothing is compared. Sorted, without overlap.</param>
    public static ImmutableArray<Finding> Compare(ImmutableArray<E820Entry> forecast, ObservedBoot boot, ImmutableArray<ByteRange> notKnown,
        out int lost)
    {
        forecast = WithoutLost(forecast, boot, boot.Map!.Entries, out lost);
        forecast = [.. forecast.SelectMany(entry => MapReadings.Without(entry, notKnown))];
        LogMap map = Without(boot.Map, notKnown);
        var findings = ImmutableArray.CreateBuilder<Finding>();
        // What is missing behind the last entry would stand in the next line, unless the log ends there.
        int lastLine = boot.Map.EntryLines.IsEmpty ? 0 : Math.Max(boot.LastLine, boot.Map.EntryLines[^1]);
        int f = 0;
        int o = 0;
        while (f < forecast.Length || o < map.Entries.Length)
        {
            if (f < forecast.Length && o < map.Entries.Length && forecast[f] == map.Entries[o])
            {
                findings.Add(Both(forecast[f++], map, o++));
                continue;
            }

            int forecastFrom = f;
            int observedFrom = o;
            while (f < forecast.Length && !map.Entries.Contains(forecast[f]))
                f++;
            while (o < map.Entries.Length && !forecast.Contains(map.Entries[o]))
                o++;
            if (f == forecastFrom && o == observedFrom)
            {
                // The same entries in another order, or one twice: each alone, so that the walk goes on.
                findings.Add(o < map.Entries.Length ? Surplus(map, o++) : Missing(forecast[f++], map, o, lastLine));
                continue;
            }

            Pair(forecast[forecastFrom..f], map, observedFrom, o, lastLine, findings);
        }

        return findings.ToImmutable();
    }

    /// <summary>The log's entries that have a part of what is not known.</summary>
    public static IEnumerable<Finding> TouchedBy(ImmutableArray<ByteRange> notKnown, ObservedBoot boot)
    {
        for (int i = 0; boot.Map is { } map && i < map.Entries.Length; i++)
        {
            E820Entry entry = map.Entries[i];
            if (!entry.Wraps && notKnown.Any(range => range.Overlaps(entry.Range)))
                yield return Surplus(map, i);
        }
    }

    private static LogMap Without(LogMap map, ImmutableArray<ByteRange> notKnown)
    {
        if (notKnown.IsEmpty)
            return map;
        var entries = ImmutableArray.CreateBuilder<E820Entry>();
        var lines = ImmutableArray.CreateBuilder<int>();
        for (int i = 0; i < map.Entries.Length; i++)
        {
            foreach (E820Entry rest in MapReadings.Without(map.Entries[i], notKnown))
            {
                entries.Add(rest);
                lines.Add(map.EntryLines[i]);
            }
        }

        return map with { Entries = entries.ToImmutable(), EntryLines = lines.ToImmutable() };
    }

    /// <summary>Entries between two that agree: as many on both sides go together in order, else those that overlap or share a bound.</summary>
    private static void Pair(ImmutableArray<E820Entry> forecast, LogMap map, int from, int to, int lastLine,
        ImmutableArray<Finding>.Builder findings)
    {
        bool inOrder = forecast.Length == to - from;
        int f = 0;
        int o = from;
        while (f < forecast.Length || o < to)
        {
            if (f < forecast.Length && o < to && (inOrder || AreAlike(forecast[f], map.Entries[o])))
                findings.Add(Both(forecast[f++], map, o++));
            else if (o == to || (f < forecast.Length && forecast[f].Address < map.Entries[o].Address))
                findings.Add(Missing(forecast[f++], map, o, lastLine));
            else
                findings.Add(Surplus(map, o++));
        }
    }

    private static Finding Both(E820Entry forecast, LogMap map, int index) =>
        new(What, Text(forecast), Text(map.Entries[index]), map.EntryLines[index], forecast == map.Entries[index]);

    private static Finding Surplus(LogMap map, int index) => new(What, null, Text(map.Entries[index]), map.EntryLines[index], Agrees: false);

    private static Finding Missing(E820Entry forecast, LogMap map, int next, int lastLine) =>
        new(What, Text(forecast), null,
            next < map.EntryLines.Length ? map.EntryLines[next] : map.EntryLines.IsEmpty ? lastLine : Math.Min(map.EntryLines[^1] + 1, lastLine),
            Agrees: false);

    private static bool AreAlike(E820Entry left, E820Entry right) =>
        left.Address == right.Address || left.End == right.End || left.Range.Overlaps(right.Range);

    private static ImmutableArray<E820Entry> WithoutLost(ImmutableArray<E820Entry> forecast, ObservedBoot boot, ImmutableArray<E820Entry> observed,
        out int lost)
    {
        int first = 0;
        int end = forecast.Length;
        if (observed.IsEmpty)
            first = end;
        while (first < end && boot.MapMayBeginLate && forecast[first].End <= observed[0].Address)
            first++;
        while (end > first && boot.MapMayEndEarly && forecast[end - 1].Address >= observed[^1].End)
            end--;
        // What would stand wholly where somebody left lines out is shown by no line; what reaches into a line that is there is.
        ByteRange[] gaps = [.. boot.Map!.RangesLeftOut()];
        ImmutableArray<E820Entry> shown = [.. forecast[first..end].Where(entry => entry.Wraps || !gaps.Any(gap => gap.Contains(entry.Range)))];
        lost = forecast.Length - shown.Length;
        return shown;
    }

    public static string Text(E820Entry entry) => $"[0x{entry.Address:x}, 0x{entry.End:x}) {E820TypeNames.NameOf(entry.Type)}";
}
