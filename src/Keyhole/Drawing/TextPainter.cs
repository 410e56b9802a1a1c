// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Drawing;

/// <summary>Text in one colour: the type whose colour it has, or none.</summary>
public readonly record struct TextRun(string Text, E820Type? Type);

/// <summary>Paints a <see cref="MapDrawing"/> with characters. What stands beside colours is readable without them.</summary>
public static class TextPainter
{
    private const int WidestColumn = 34;
    private const int WidestAddress = 16;
    private const int BlockWidth = 4;
    private const int NarrowBlockWidth = 2;

    /// <summary>The lines of the drawing, top to bottom.</summary>
    /// <param name="drawing">The drawing.</param>
    /// <param name="width">Characters that a line may have, where the drawing's own words have room in them.</param>
    public static IEnumerable<ImmutableArray<TextRun>> Paint(MapDrawing drawing, int width = int.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(drawing);
        return Paint(drawing, Measures.Of(drawing, width));
    }

    private static IEnumerable<ImmutableArray<TextRun>> Paint(MapDrawing drawing, Measures measures)
    {
        yield return [new(Title(drawing, measures), null)];
        foreach (DrawnBand band in drawing.Bands)
        {
            for (int row = 0; row < band.Rows; row++)
                yield return Line(band, row, measures);
        }

        if (drawing.Bands.Length > 0)
            yield return [new(Address(drawing.Bands[^1].End).PadLeft(measures.Address), null)];
    }

    /// <summary>Characters for an address, each map's column and the block in it.</summary>
    private sealed record Measures(int Address, ImmutableArray<int> Columns, int Block)
    {
        /// <summary>Columns of one width where they have room, the widest that is of use; else each as wide as its own words.</summary>
        public static Measures Of(MapDrawing drawing, int width)
        {
            int maps = drawing.Titles.Length;
            if (maps == 0 || WidestAddress + 2 + ((long)maps * WidestColumn) <= width)
                return new(WidestAddress, Equal(maps, WidestColumn), BlockWidth);
            int[] labels = new int[maps];
            int address = 0;
            foreach (DrawnBand band in drawing.Bands)
            {
                address = int.Max(address, int.Max(TextPainter.Address(band.Start).Length, TextPainter.Address(band.End).Length));
                for (int i = 0; i < maps; i++)
                    labels[i] = int.Max(labels[i], Label(band.Cells[i], band.Start + (band.Cells[i].StartsHere ?? 0)).Length);
            }

            // The last column needs no room behind it.
            int room = (width - address - 2) / maps;
            int longest = int.Max(labels.Max() + BlockWidth, drawing.Titles.Max(static title => title.Length) + BlockWidth);
            if (room > longest)
                return new(address, Equal(maps, int.Min(room, WidestColumn)), BlockWidth);
            int[] own = [.. labels.Select((label, i) => int.Max(label + NarrowBlockWidth, drawing.Titles[i].Length) + 1)];
            int widest = own.Max();
            if (room >= widest)
                return new(address, Equal(maps, room), NarrowBlockWidth);
            int spare = int.Max(0, width - address - 2 - own.Sum()) / maps;
            return new(address, [.. own.Select(one => one + spare)], NarrowBlockWidth);
        }

        private static ImmutableArray<int> Equal(int count, int width) => [.. Enumerable.Repeat(width, count)];
    }

    private static string Title(MapDrawing drawing, Measures measures)
    {
        var title = new System.Text.StringBuilder(new string(' ', measures.Address + 2));
        for (int i = 0; i < drawing.Titles.Length; i++)
            title.Append(drawing.Titles[i].PadRight(measures.Columns[i]));
        return title.ToString().TrimEnd();
    }

    private static ImmutableArray<TextRun> Line(DrawnBand band, int row, Measures measures)
    {
        var runs = ImmutableArray.CreateBuilder<TextRun>();
        runs.Add(new((row == 0 ? Address(band.Start) : "").PadLeft(measures.Address) + "  ", null));
        bool isBreak = band.IsBroken && row == band.Rows / 2;
        for (int i = 0; i < band.Cells.Length; i++)
        {
            DrawnCell cell = band.Cells[i];
            runs.Add(new(isBreak ? new string('~', measures.Block) : new string(Shade(cell), measures.Block), cell.Type));
            string label = row == 0 ? Label(cell, band.Start + (cell.StartsHere ?? 0)) : "";
            runs.Add(new(i == band.Cells.Length - 1 ? label : label.PadRight(measures.Columns[i] - measures.Block), null));
        }

        return runs.ToImmutable();
    }

    /// <summary>What stands beside the first row of a cell; of what has no end that is known no size.</summary>
    internal static string Label(DrawnCell cell, ulong end) => cell.StartsHere is not { } size ? ""
        : cell.IsNotKnown && end == Frames.AddressLimit ? $" {NameOf(cell)}" : $" {NameOf(cell)} {ByteSize.ToText(size)}";

    /// <summary>"…" for the end of what has none that is known.</summary>
    internal static string Address(ulong address) =>
        address == Frames.AddressLimit ? "…" : string.Create(CultureInfo.InvariantCulture, $"0x{address:x}");

    internal static string NameOf(DrawnCell cell) => cell.IsNotKnown ? "not known" : cell.Type is { } known ? E820TypeNames.NameOf(known) : "gap";

    private static char Shade(DrawnCell cell) => cell.IsNotKnown ? '?' : cell.Type switch
    {
        null => '·',
        E820Type.Ram => '█',
        E820Type.Unusable => '░',
        E820Type.Acpi or E820Type.Nvs => '▓',
        _ => '▒',
    };
}
