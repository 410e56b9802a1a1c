// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Drawing;

/// <summary>One address space to be drawn beside others.</summary>
/// <param name="Title">What stands above it.</param>
/// <param name="Entries">Its ranges in any order; where they overlap the highest type shows, as Linux has it. Empty and wrapping ones do not
/// show.</param>
public sealed record DrawnMap(string Title, ImmutableArray<E820Entry> Entries)
{
    /// <summary>Where it is not known what is there: drawn as that, whatever the entries have. Sorted, without overlap; one that ends at
    /// <see cref="Frames.AddressLimit"/> has no end that is known.</summary>
    public ImmutableArray<ByteRange> NotKnown { get; init => field = Given.Array(value); } = [];
}

/// <summary>What a column shows in a band: the type there (null: a gap), and the whole entry or gap that starts in this band.</summary>
/// <param name="StartsHere">The size of what starts at the band's top, in bytes; null where something goes on from above.</param>
public readonly record struct DrawnCell(E820Type? Type, ulong? StartsHere)
{
    /// <summary>Whether it is not known what is there: no gap, though there is no type.</summary>
    public bool IsNotKnown { get; init; }
}

/// <summary>Addresses [Start, End) in which no column changes.</summary>
/// <param name="Rows">Height, at least 1; proportional to the size unless <see cref="IsBroken"/>.</param>
/// <param name="IsBroken">The axis is broken here: the band is larger than it is drawn.</param>
public sealed record DrawnBand(ulong Start, ulong End, int Rows, bool IsBroken, ImmutableArray<DrawnCell> Cells)
{
    internal ByteRange Range => ByteRange.FromBounds(Start, End);
}

/// <summary>A window of a device, marked beside the columns. Bytes, half-open, not empty.</summary>
/// <param name="IsReached">Whether the guest will reach the device through it; null where nobody asked.</param>
public sealed record DrawnWindow(ulong Start, ulong End, string Label, bool? IsReached)
{
    internal ByteRange Range => ByteRange.FromBounds(Start, End);
}

/// <summary>Pages of the last column that lay at <paramref name="From"/> and now lie at <paramref name="To"/>. Bytes.</summary>
public sealed record DrawnMove(ulong From, ulong To, ulong SizeBytes, string Label);

/// <summary>What a picture shows besides its columns.</summary>
public sealed record DrawnDetails
{
    /// <summary>Nothing but the map.</summary>
    public static readonly DrawnDetails None = new();

    /// <summary>In any order; where they overlap, the later in address order is left out.</summary>
    public ImmutableArray<DrawnWindow> Windows { get; init => field = Given.Array(value); } = [];

    /// <summary>In any order; of many, the largest are drawn.</summary>
    public ImmutableArray<DrawnMove> Moves { get; init => field = Given.Array(value); } = [];

    /// <summary>Rows that there are at least beyond the one that each band takes, so that large ranges look large in a map of many small
    /// ones.</summary>
    public int SpareRows { get; init; }

    /// <summary>Where the last column leads to the machine's own addresses, as [start, end) in bytes; null for wherever it has no RAM.</summary>
    public ImmutableArray<(ulong Start, ulong End)>? Identity { get; init; }
}

/// <summary>Address spaces side by side, laid out once and painted many ways. The lowest address comes first.</summary>
public sealed record MapDrawing(ImmutableArray<string> Titles, ImmutableArray<DrawnBand> Bands)
{
    /// <summary>More windows or moves than these make no picture that anybody can read.</summary>
    private const int MaxWindows = 48;
    private const int MaxMoves = 16;

    /// <summary>Bytes that a row stands for; what is smaller is drawn as one row.</summary>
    public ulong RowSizeBytes { get; private init; }

    /// <summary>Windows that are drawn, by address, disjoint; each starts and ends with a band.</summary>
    public ImmutableArray<DrawnWindow> Windows { get; private init; } = [];

    /// <summary>Windows that were given and are not drawn.</summary>
    public int WindowsLeftOut { get; private init; }

    /// <summary>Moves that are drawn, by where they came from; the ranges start and end with a band.</summary>
    public ImmutableArray<DrawnMove> Moves { get; private init; } = [];

    /// <summary>Moves that were given and are not drawn.</summary>
    public int MovesLeftOut { get; private init; }

    /// <summary>
    /// By address, whole bands: where first and last column mean the same addresses of the machine, and there is no memory of the host's. Empty for
    /// one column.
    /// </summary>
    public ImmutableArray<(ulong Start, ulong End)> Joins { get; private init; } = [];

    /// <summary>No band is drawn higher than this: behind it the axis is broken.</summary>
    private const int MaxRowsPerBand = 5;

    /// <summary>The columns alone.</summary>
    public static MapDrawing LayOut(ImmutableArray<DrawnMap> maps, int rows)
    {
        Given.Array(maps, nameof(maps));
        return LayOut(maps, rows, DrawnDetails.None);
    }

    /// <param name="maps">The columns, left to right: the host's first, the guest's last.</param>
    /// <param name="rows">Height to aim at. More are taken where there are more bands than that, each of which needs one.</param>
    /// <param name="details">Each of their edges is the edge of a band.</param>
    public static MapDrawing LayOut(ImmutableArray<DrawnMap> maps, int rows, DrawnDetails details)
    {
        Given.Array(maps, nameof(maps));
        ArgumentNullException.ThrowIfNull(details);
        ImmutableArray<DrawnWindow> windows = Disjoint(details.Windows);
        ImmutableArray<DrawnMove> moves = Largest(details.Moves);
        List<E820Entry[]> columns = [];
        var edges = new SortedSet<ulong> { 0 };
        foreach (DrawnMap map in maps)
        {
            E820Entry[] column = [.. Flatten(map.Entries).SelectMany(entry => MapReadings.Without(entry, map.NotKnown))];
            columns.Add(column);
            foreach (E820Entry entry in column)
            {
                edges.Add(entry.Address);
                edges.Add(entry.End);
            }

            foreach (ByteRange range in map.NotKnown)
            {
                edges.Add(range.Start);
                edges.Add(range.End);
            }
        }

        foreach (DrawnWindow window in windows)
        {
            edges.Add(window.Start);
            edges.Add(window.End);
        }

        foreach (DrawnMove move in moves)
        {
            edges.Add(move.From);
            edges.Add(move.From + move.SizeBytes);
            edges.Add(move.To);
            edges.Add(move.To + move.SizeBytes);
        }

        foreach ((ulong start, ulong end) in details.Identity ?? [])
        {
            // Identity goes on behind the maps; where it starts and ends among them, a band does.
            if (end <= edges.Max)
                edges.Add(end);
            if (start <= edges.Max)
                edges.Add(start);
        }

        ulong[] sorted = [.. edges];
        ulong[] sizes = new ulong[Math.Max(0, sorted.Length - 1)];
        for (int i = 0; i < sizes.Length; i++)
            sizes[i] = sorted[i + 1] - sorted[i];
        ulong scale = ScaleFor(sizes, Math.Max(rows, sizes.Length + details.SpareRows));
        DrawnCell[][] cells = [.. columns.Select((column, i) => CellsOf(column, maps[i].NotKnown, sorted))];
        var bands = ImmutableArray.CreateBuilder<DrawnBand>(sizes.Length);
        for (int i = 0; i < sizes.Length; i++)
        {
            ulong wanted = sizes[i] / scale;
            bool isBroken = wanted > MaxRowsPerBand;
            int height = isBroken ? MaxRowsPerBand : Math.Max(1, (int)wanted);
            bands.Add(new(sorted[i], sorted[i + 1], height, isBroken, [.. cells.Select(column => column[i])]));
        }

        ImmutableArray<DrawnBand> laidOut = bands.ToImmutable();
        return new([.. TitlesOf(maps)], laidOut)
        {
            RowSizeBytes = scale,
            Windows = windows,
            WindowsLeftOut = details.Windows.Length - windows.Length,
            Moves = moves,
            MovesLeftOut = details.Moves.Length - moves.Length,
            Joins = maps.Length < 2 ? [] : Join(laidOut, details.Identity),
        };
    }

    /// <summary>Whole windows alone: one that overlaps an earlier one is left out, where a sweep would draw the rest of it.</summary>
    private static ImmutableArray<DrawnWindow> Disjoint(ImmutableArray<DrawnWindow> windows)
    {
        var drawn = ImmutableArray.CreateBuilder<DrawnWindow>();
        ulong reached = 0;
        foreach (DrawnWindow window in windows.Sort(static (left, right) => left.Start != right.Start ? left.Start.CompareTo(right.Start)
            : right.End.CompareTo(left.End)))
        {
            if (window.Start < reached || window.End <= window.Start || drawn.Count == MaxWindows)
                continue;
            drawn.Add(window);
            reached = window.End;
        }

        return drawn.ToImmutable();
    }

    private static ImmutableArray<DrawnMove> Largest(ImmutableArray<DrawnMove> moves)
    {
        ImmutableArray<DrawnMove> bySize =
            moves.Sort(static (left, right) => left.SizeBytes != right.SizeBytes ? right.SizeBytes.CompareTo(left.SizeBytes)
                : left.To.CompareTo(right.To));
        return bySize[..Math.Min(bySize.Length, MaxMoves)]
        .Sort(static (left, right) => left.From != right.From ? left.From.CompareTo(right.From) : left.To.CompareTo(right.To));
    }

    private static ImmutableArray<(ulong Start, ulong End)> Join(ImmutableArray<DrawnBand> bands, ImmutableArray<(ulong Start, ulong End)>? identity)
    {
        List<(ulong Start, ulong End)> joins = [];
        foreach (DrawnBand band in bands)
        {
            bool isDevice = band.Cells[0] is { IsNotKnown: false, Type: not (E820Type.Ram or E820Type.Unusable) };
            if (!isDevice || !IsIdentity(band, identity))
                continue;
            if (joins.Count > 0 && joins[^1].End == band.Start)
                joins[^1] = (joins[^1].Start, band.End);
            else
                joins.Add((band.Start, band.End));
        }

        return [.. joins];
    }

    private static bool IsIdentity(DrawnBand band, ImmutableArray<(ulong Start, ulong End)>? identity)
    {
        if (identity is not { } ranges)
            return band.Cells[^1] is { IsNotKnown: false, Type: not E820Type.Ram };
        foreach ((ulong start, ulong end) in ranges)
        {
            if (start <= band.Start && band.End <= end)
                return true;
        }

        return false;
    }

    private static IEnumerable<string> TitlesOf(ImmutableArray<DrawnMap> maps)
    {
        foreach (DrawnMap map in maps)
            yield return map.Title;
    }

    /// <summary>Bytes a row, the smallest power of two at which the bands keep within the rows.</summary>
    private static ulong ScaleFor(ulong[] sizes, int rows)
    {
        for (int shift = 12; shift < 52; shift++)
        {
            long sum = 0;
            foreach (ulong size in sizes)
                sum += (long)Math.Clamp(size >> shift, 1, MaxRowsPerBand);
            if (sum <= rows)
                return 1UL << shift;
        }

        return 1UL << 52;
    }

    /// <summary>What a column shows in each band. Its own edges are among the bands'.</summary>
    private static DrawnCell[] CellsOf(E820Entry[] column, ImmutableArray<ByteRange> notKnown, ulong[] edges)
    {
        var cells = new DrawnCell[Math.Max(0, edges.Length - 1)];
        int band = 0;
        ulong reached = 0;
        foreach ((ByteRange range, E820Type? type) in column.Select(static entry => (entry.Range, (E820Type?)entry.Type))
            .Concat(notKnown.Select(static range => (range, (E820Type?)null))).OrderBy(static piece => piece.Item1.Start))
        {
            Fill(ByteRange.FromBounds(reached, range.Start), new(null, null));
            Fill(range, new(type, null) { IsNotKnown = type is null });
            reached = range.End;
        }

        return cells;

        void Fill(ByteRange range, DrawnCell cell)
        {
            for (; band < cells.Length && edges[band] < range.End; band++)
                cells[band] = cell with { StartsHere = edges[band] == range.Start ? range.SizeBytes : null };
        }
    }

    private static E820Entry[] Flatten(ImmutableArray<E820Entry> entries) =>
        [.. SortedMap.Of([.. entries.Where(static entry => entry.Size != 0 && !entry.Wraps)])];
}
