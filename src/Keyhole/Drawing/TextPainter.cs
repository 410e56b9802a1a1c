// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
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

    /// <summary>Characters for an address, a map's column and the block in it.</summary>
    private readonly record struct Measures(int Address, int Column, int Block)
    {
        public static Measures Of(MapDrawing drawing, int width)
        {
            int maps = drawing.Titles.Length;
            if (maps == 0 || WidestAddress + 2 + ((long)maps * WidestColumn) <= width)
                return new(WidestAddress, WidestColumn, BlockWidth);
            int label = drawing.Titles.Max(static title => title.Length);
            int address = 0;
            foreach (DrawnBand band in drawing.Bands)
            {
                address = int.Max(address, int.Max(TextPainter.Address(band.Start).Length, TextPainter.Address(band.End).Length));
                foreach (DrawnCell cell in band.Cells)
                    label = int.Max(label, Label(cell).Length);
            }

            // The last column needs no room behind it.
            int room = (width - address - 2) / maps;
            return room >= label + BlockWidth + 1 ? new(address, int.Min(room, WidestColumn), BlockWidth)
                : new(address, int.Max(room, label + NarrowBlockWidth + 1), NarrowBlockWidth);
        }
    }

    private static string Title(MapDrawing drawing, Measures measures)
    {
        var title = new System.Text.StringBuilder(new string(' ', measures.Address + 2));
        foreach (string name in drawing.Titles)
            title.Append(name.PadRight(measures.Column));
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
            runs.Add(new(isBreak ? new string('~', measures.Block) : new string(Shade(cell.Type), measures.Block), cell.Type));
            string label = row == 0 ? Label(cell) : "";
            runs.Add(new(i == band.Cells.Length - 1 ? label : label.PadRight(measures.Column - measures.Block), null));
        }

        return runs.ToImmutable();
    }

    private static string Label(DrawnCell cell) => cell.StartsHere is { } size ? $" {NameOf(cell.Type)} {ByteSize.ToText(size)}" : "";

    private static string Address(ulong address) => string.Create(CultureInfo.InvariantCulture, $"0x{address:x}");

    private static string NameOf(E820Type? type) => type is { } known ? E820TypeNames.NameOf(known) : "gap";

    private static char Shade(E820Type? type) => type switch
    {
        null => '·',
        E820Type.Ram => '█',
        E820Type.Unusable => '░',
        E820Type.Acpi or E820Type.Nvs => '▓',
        _ => '▒',
    };
}
