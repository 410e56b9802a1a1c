// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Migration;

namespace Keyhole.Drawing;

/// <summary>
/// A fleet as bars: how many hosts ask for a hole that starts in each quarter of a GiB, and on how many every BAR of each guest has its place. Its
/// size does not grow with the hosts.
/// </summary>
internal static class FleetChart
{
    private const int Left = 190;
    private const int MostWide = 480;
    private const int RowHeight = 20;
    private const int Margin = 24;
    private const int Width = Left + MostWide + 110;
    private const int MostGuests = 32;

    /// <summary>Of a guest's name: what the width holds.</summary>
    private const int MostLetters = 90;

    /// <summary>The hosts of one bar begin their holes within so much.</summary>
    private const ulong Step = 256UL << 20;

    private const string HolesTitle = "Hosts by where their hole must start";

    private const string Style = """
        text{font:12px system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#1f2328}.title{font-size:16px;font-weight:600}
        .head{font-size:13px;font-weight:600}.right{text-anchor:end}.paper{fill:#fff}.bar{fill:#2f81f7}.low{fill:#b3261e}.rest{fill:#8b96a3}.good{fill:#2e8b57}
        @media screen and (prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.bar{fill:#6cb0ff}.low{fill:#ff8b82}.good{fill:#7fd9a2}}
        """;

    private readonly record struct Row(string Label, string Look, long Count, long Of);

    /// <summary>The document.</summary>
    public static string Paint(Fleet fleet)
    {
        List<(string Title, ImmutableArray<Row> Rows)> parts = [];
        if (!fleet.NeedsNoHole)
            parts.Add((HolesTitle, HoleRows(fleet)));
        FleetGuestFit[] placed = [.. fleet.Guests.Where(static fit => fit.Placement is not null)];
        foreach (FleetGuestFit fit in placed.Take(MostGuests))
        {
            FleetPlacement placement = fit.Placement!;
            parts.Add((InputError.OneLine(FileNames.WithoutFolders(fit.Guest.Name), MostLetters),
            [
                new("every BAR has its place", "good", placement.PlacesAll, fleet.HostCount),
                new("does not fit", "low", placement.Fails, fleet.HostCount),
                new("not known", "rest", placement.NotKnown, fleet.HostCount),
            ]));
        }

        if (placed.Length > MostGuests)
            parts.Add(($"and {Number(placed.Length - MostGuests)} more guests", []));
        int height = (2 * Margin) + 24 + parts.Sum(static part => (part.Rows.Length * RowHeight) + 34);
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture,
            $"""
            <svg xmlns="http://www.w3.org/2000/svg" width="{Width}" height="{height}" viewBox="0 0 {Width} {height}" role="img" aria-labelledby="t">
            <title id="t">A fleet of {Counted.Of(fleet.HostCount, "host")}</title>
            <style>
            {Style}
            </style>
            <rect class="paper" width="{Width}" height="{height}"/>

            """);
        int y = Margin + 12;
        Text(svg, "title", Margin, y, string.Create(CultureInfo.InvariantCulture, $"A fleet of {Counted.Of(fleet.HostCount, "host")}"));
        foreach ((string title, ImmutableArray<Row> rows) in parts)
        {
            y += 34;
            Text(svg, "head", Margin, y, title);
            // Where a guest fits is a share of all hosts; where holes start is a distribution, of which the longest bar has the width.
            long most = title == HolesTitle ? rows.Select(static row => row.Count).Append(1).Max() : fleet.HostCount;
            foreach (Row row in rows)
            {
                y += RowHeight;
                PaintRow(svg, y, row, most);
            }
        }

        return svg.Append("</svg>\n").ToString();
    }

    private static void PaintRow(StringBuilder svg, int y, Row row, long most)
    {
        Text(svg, "right", Left - 8, y, row.Label);
        // What is there at all is seen.
        int width = row.Count == 0 ? 0 : Math.Max(2, (int)(MostWide * (double)row.Count / Math.Max(1, most)));
        svg.Append(CultureInfo.InvariantCulture,
            $"""<rect class="{row.Look}" x="{Left}" y="{y - 12}" width="{width}" height="14"><title>{HtmlPage.Escape(row.Label)}: {Number(row.Count)} of {Counted.Of(row.Of, "host")}</title></rect>""").Append('\n');
        double share = (double)row.Count / Math.Max(1, row.Of);
        Text(svg, "", Left + width + 6, y, string.Create(CultureInfo.InvariantCulture, $"{Number(row.Count)} ({share:0.0%})"));
    }

    private static ImmutableArray<Row> HoleRows(Fleet fleet)
    {
        long[] counts = new long[Frames.FourGiB / Step];
        long impossible = 0;
        long none = 0;
        long counted = 0;
        foreach (FleetGroup group in fleet.Groups)
        {
            counted += group.HostCount;
            if (group.HoleStart < FleetGuest.LowestHole)
                impossible += group.HostCount;
            else if (group.HoleStart >= Frames.FourGiB)
                none += group.HostCount;
            else
                counts[group.HoleStart / Step] += group.HostCount;
        }

        List<Row> rows = [new($"no hole suits (under {ByteSize.ToText(FleetGuest.LowestHole)})", "low", impossible, fleet.HostCount)];
        int first = Array.FindIndex(counts, static count => count > 0);
        int last = Array.FindLastIndex(counts, static count => count > 0);
        for (int i = Math.Max(first, 0); i <= last; i++)
            rows.Add(new($"from {ByteSize.ToText((ulong)i * Step)}", "bar", counts[i], fleet.HostCount));
        // The groups of many different hosts are cut: the highest are not counted one by one.
        if (counted < fleet.HostCount)
            rows.Add(new("higher, or none needed", "rest", fleet.HostCount - counted, fleet.HostCount));
        else
            rows.Add(new("none needed", "rest", none, fleet.HostCount));
        return [.. rows];
    }

    private static void Text(StringBuilder svg, string look, int x, int y, string text) =>
        svg.Append(CultureInfo.InvariantCulture, $"""<text class="{look}" x="{x}" y="{y}">{HtmlPage.Escape(text)}</text>""").Append('\n');

    private static string Number(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);
}
