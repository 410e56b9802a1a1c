// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
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

    /// <summary>Entries that a cut log cannot show count as neither; <paramref name="lost"/> is how many. Nor does an entry that is the same only
    /// as far as it is known: the log has more of it, or the forecast may.</summary>
    /// <param name="notKnown">Where nobody knows what the forecast's map has: there nothing is compared. Sorted, without overlap.</param>
    public static ImmutableArray<Finding> Compare(ImmutableArray<E820Entry> forecast, ObservedBoot boot, ImmutableArray<ByteRange> notKnown,
        out int lost)
    {
        LogMap map = boot.Map!;
        ImmutableArray<(E820Entry Entry, int Line)> observed = InOrderOf(forecast, [.. map.Entries.Zip(map.EntryLines)]);
        ImmutableArray<Part> left = [.. WithoutLost(forecast, boot, [.. observed.Select(static one => one.Entry)], out lost)
            .SelectMany(entry => PartsOf(entry, 0, notKnown))];
        ImmutableArray<Part> right = [.. observed.SelectMany(one => PartsOf(one.Entry, one.Line, notKnown))];
        HashSet<E820Entry> inForecast = [.. left.Select(static part => part.Entry)];
        HashSet<E820Entry> inLog = [.. right.Select(static part => part.Entry)];
        var findings = ImmutableArray.CreateBuilder<Finding>();
        // What is missing behind the last entry would stand in the next line, unless the log ends there.
        int lastLine = map.EntryLines.IsEmpty ? 0 : Math.Max(boot.LastLine, map.EntryLines[^1]);
        int f = 0;
        int o = 0;
        while (f < left.Length || o < right.Length)
        {
            if (f < left.Length && o < right.Length && left[f].Entry == right[o].Entry)
            {
                AddBoth(left[f++], right[o++], findings);
                continue;
            }

            int forecastFrom = f;
            int observedFrom = o;
            while (f < left.Length && !inLog.Contains(left[f].Entry))
                f++;
            while (o < right.Length && !inForecast.Contains(right[o].Entry))
                o++;
            if (f == forecastFrom && o == observedFrom)
            {
                // The same entries in another order, or one twice: each alone, so that the walk goes on.
                if (o < right.Length)
                    AddSurplus(right[o++], left, findings);
                else
                    findings.Add(Missing(left[f++], right, o, lastLine));
                continue;
            }

            Pair(left[forecastFrom..f], right, (observedFrom, o), lastLine, left, findings);
        }

        return findings.ToImmutable();
    }

    /// <summary>The log's entries of which a part, or what they go on with, is not known, and which no finding tells.</summary>
    public static IEnumerable<Finding> Undecided(ImmutableArray<ByteRange> notKnown, ObservedBoot boot, IEnumerable<Finding> told)
    {
        HashSet<(string?, int?)> known = [.. told.Where(static finding => finding.What == What)
            .Select(static finding => (finding.Observed, finding.Line))];
        for (int i = 0; boot.Map is { } map && i < map.Entries.Length; i++)
        {
            E820Entry entry = map.Entries[i];
            if (!entry.Wraps && notKnown.Any(range => range.Start <= entry.End && entry.Address <= range.End)
                && !known.Contains((Text(entry), map.EntryLines[i])))
                yield return Surplus(entry, map.EntryLines[i]);
        }
    }

    /// <summary>A log's entries as a forecast has them: lines that have changed places are the same map. Where neither order is that of addresses,
    /// all have to be there for that.</summary>
    private static ImmutableArray<(E820Entry Entry, int Line)> InOrderOf(
        ImmutableArray<E820Entry> forecast, ImmutableArray<(E820Entry Entry, int Line)> observed)
    {
        bool isSorted = true;
        for (int i = 1; i < forecast.Length; i++)
            isSorted &= forecast[i - 1].Address <= forecast[i].Address;
        if (isSorted)
            return [.. observed.OrderBy(static one => one.Entry.Address)];
        if (forecast.Length != observed.Length)
            return observed;
        List<(E820Entry Entry, int Line)> left = [.. observed];
        var ordered = ImmutableArray.CreateBuilder<(E820Entry, int)>(observed.Length);
        foreach (E820Entry entry in forecast)
        {
            int at = left.FindIndex(one => one.Entry == entry);
            if (at < 0)
                return observed;
            ordered.Add(left[at]);
            left.RemoveAt(at);
        }

        return ordered.MoveToImmutable();
    }

    private static IEnumerable<Part> PartsOf(E820Entry entry, int line, ImmutableArray<ByteRange> notKnown) =>
        MapReadings.Without(entry, notKnown).Select(part => new Part(part, entry, line));

    /// <summary>Entries between two that agree: as many on both sides go together in order, else those that overlap or share a bound.</summary>
    private static void Pair(ImmutableArray<Part> forecast, ImmutableArray<Part> observed, (int From, int To) span, int lastLine,
        ImmutableArray<Part> whole, ImmutableArray<Finding>.Builder findings)
    {
        bool inOrder = forecast.Length == span.To - span.From;
        int f = 0;
        int o = span.From;
        while (f < forecast.Length || o < span.To)
        {
            if (f < forecast.Length && o < span.To && (inOrder || AreAlike(forecast[f].Entry, observed[o].Entry)))
                AddBoth(forecast[f++], observed[o++], findings);
            else if (o == span.To || (f < forecast.Length && forecast[f].Entry.Address < observed[o].Entry.Address))
                findings.Add(Missing(forecast[f++], observed, o, lastLine));
            else
                AddSurplus(observed[o++], whole, findings);
        }
    }

    private static void AddBoth(Part forecast, Part observed, ImmutableArray<Finding>.Builder findings)
    {
        bool agrees = forecast.Entry == observed.Entry;
        if (!agrees || !(forecast.IsCut || observed.IsCut))
            findings.Add(new(What, Text(forecast.Entry), Text(observed.Whole), observed.Line, agrees));
    }

    private static void AddSurplus(Part observed, ImmutableArray<Part> forecast, ImmutableArray<Finding>.Builder findings)
    {
        if (!observed.IsCut)
        {
            findings.Add(Surplus(observed.Whole, observed.Line));
            return;
        }

        // Of a line of which another part is the same the forecast's entry is named: it is shorter. The log has the line once, however many parts of
        // it are known.
        Part alike = forecast.FirstOrDefault(part => part.Whole.Type == observed.Whole.Type && part.Entry.Range.Overlaps(observed.Whole.Range));
        Finding surplus = alike.Whole.Size == 0 ? Surplus(observed.Whole, observed.Line)
            : new(What, Text(alike.Whole), Text(observed.Whole), observed.Line, Agrees: false);
        if (!findings.Any(finding => finding.Line == surplus.Line && finding.Observed == surplus.Observed))
            findings.Add(surplus);
    }

    private static Finding Surplus(E820Entry observed, int line) => new(What, null, Text(observed), line, Agrees: false);

    private static Finding Missing(Part forecast, ImmutableArray<Part> observed, int next, int lastLine) =>
        new(What, Text(forecast.Entry), null,
            next < observed.Length ? observed[next].Line : observed.IsEmpty ? lastLine : Math.Min(observed[^1].Line + 1, lastLine),
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

    /// <summary>What of the map is not compared, and why; null where all of it is.</summary>
    /// <param name="lost">Entries that are forecast and that the log cannot show.</param>
    public static string? NotCompared(LogMap map, int lost)
    {
        if (map.Garbled.IsEmpty)
            return lost == 0 ? null : $"{EntriesOf(lost)} of the map: the log is cut there";
        const int mostNamed = 8;
        string lines = string.Join(", ", map.Garbled.Take(mostNamed)) + (map.Garbled.Length > mostNamed ? " …" : "");
        return $"{(lost == 0 ? "a part" : EntriesOf(lost))} of the map: line{(map.Garbled.Length == 1 ? "" : "s")} {lines} "
            + $"{(map.Garbled.Length == 1 ? "is" : "are")} cut short or garbled";
    }

    private static string EntriesOf(int count) => count == 1 ? "1 entry" : string.Create(CultureInfo.InvariantCulture, $"{count} entries");

    public static string Text(E820Entry entry) => $"[0x{entry.Address:x}, 0x{entry.End:x}) {E820TypeNames.NameOf(entry.Type)}";

    /// <summary>What is known of an entry, and the entry that it is of, as it stands in its map.</summary>
    private readonly record struct Part(E820Entry Entry, E820Entry Whole, int Line)
    {
        public bool IsCut => Entry != Whole;
    }
}
