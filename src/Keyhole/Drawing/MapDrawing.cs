// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.E820;

namespace Keyhole.Drawing;

/// <summary>One address space to be drawn beside others.</summary>
/// <param name="Title">What stands above it.</param>
/// <param name="Entries">Its ranges in any order; where they overlap the highest type shows, as Linux has it. Empty and wrapping ones do not show.</param>
public sealed record DrawnMap(string Title, ImmutableArray<E820Entry> Entries);

/// <summary>What a column shows in a band: the type there (null: a gap), and the whole entry or gap that starts in this band.</summary>
/// <param name="StartsHere">The size of what starts at the band's top, in bytes; null where something goes on from above.</param>
public readonly record struct DrawnCell(E820Type? Type, ulong? StartsHere);

/// <summary>Addresses [Start, End) in which no column changes.</summary>
/// <param name="Rows">Height, at least 1; proportional to the size unless <see cref="IsBroken"/>.</param>
/// <param name="IsBroken">The axis is broken here: the band is larger than it is drawn.</param>
public sealed record DrawnBand(ulong Start, ulong End, int Rows, bool IsBroken, ImmutableArray<DrawnCell> Cells);

/// <summary>Address spaces side by side, laid out once and painted many ways. The lowest address comes first.</summary>
public sealed record MapDrawing(ImmutableArray<string> Titles, ImmutableArray<DrawnBand> Bands)
{
    /// <summary>No band is drawn higher than this: behind it the axis is broken.</summary>
    private const int MaxRowsPerBand = 5;

    /// <param name="maps">The columns, left to right.</param>
    /// <param name="rows">Height to aim at. More are taken where there are more bands than that, each of which needs one.</param>
    public static MapDrawing LayOut(ImmutableArray<DrawnMap> maps, int rows)
    {
        List<E820Entry[]> columns = [];
        var edges = new SortedSet<ulong> { 0 };
        foreach (DrawnMap map in maps)
        {
            E820Entry[] column = Flatten(map.Entries);
            columns.Add(column);
            foreach (E820Entry entry in column)
            {
                edges.Add(entry.Address);
                edges.Add(entry.End);
            }
        }

        ulong[] sorted = [.. edges];
        ulong[] sizes = new ulong[Math.Max(0, sorted.Length - 1)];
        for (int i = 0; i < sizes.Length; i++)
            sizes[i] = sorted[i + 1] - sorted[i];
        ulong scale = ScaleFor(sizes, rows);
        var bands = ImmutableArray.CreateBuilder<DrawnBand>(sizes.Length);
        for (int i = 0; i < sizes.Length; i++)
        {
            ulong wanted = sizes[i] / scale;
            bool isBroken = wanted > MaxRowsPerBand;
            int height = isBroken ? MaxRowsPerBand : Math.Max(1, (int)wanted);
            bands.Add(new(sorted[i], sorted[i + 1], height, isBroken, CellsAt(columns, sorted[i])));
        }

        return new([.. TitlesOf(maps)], bands.ToImmutable());
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
            if (sum <= Math.Max(rows, sizes.Length))
                return 1UL << shift;
        }

        return 1UL << 52;
    }

    private static ImmutableArray<DrawnCell> CellsAt(List<E820Entry[]> columns, ulong address)
    {
        var cells = ImmutableArray.CreateBuilder<DrawnCell>(columns.Count);
        foreach (E820Entry[] column in columns)
            cells.Add(CellAt(column, address));
        return cells.MoveToImmutable();
    }

    private static DrawnCell CellAt(E820Entry[] column, ulong address)
    {
        ulong gapStart = 0;
        foreach (E820Entry entry in column)
        {
            if (entry.Contains(address))
                return new(entry.Type, entry.Address == address ? entry.Size : null);
            if (entry.Address > address)
                return new(null, address == gapStart ? entry.Address - address : null);
            gapStart = entry.End;
        }

        return new(null, null);
    }

    private static E820Entry[] Flatten(ImmutableArray<E820Entry> entries)
    {
        List<E820Entry> drawable = [];
        foreach (E820Entry entry in entries)
        {
            if (entry.Size != 0 && !entry.Wraps)
                drawable.Add(entry);
        }

        E820Entry[] result = new E820Entry[2 * drawable.Count];
        return Sanitizer.TrySanitize(drawable.ToArray(), result, new int[Sanitizer.ScratchLength(drawable.Count)], out int count)
            ? result[..count]
            : [.. drawable];
    }
}
