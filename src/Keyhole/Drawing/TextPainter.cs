// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Drawing;

/// <summary>Text in one colour: the type whose colour it has, or none.</summary>
public readonly record struct TextRun(string Text, E820Type? Type);

/// <summary>Paints a <see cref="MapDrawing"/> with characters. What stands beside colours is readable without them.</summary>
public static class TextPainter
{
    private const int ColumnWidth = 34;
    private const int AddressWidth = 16;
    private const int BlockWidth = 4;

    /// <summary>The lines of the drawing, top to bottom.</summary>
    public static IEnumerable<ImmutableArray<TextRun>> Paint(MapDrawing drawing)
    {
        yield return [new(Title(drawing), null)];
        foreach (DrawnBand band in drawing.Bands)
        {
            for (int row = 0; row < band.Rows; row++)
                yield return Line(band, row);
        }

        if (drawing.Bands.Length > 0)
            yield return [new(Address(drawing.Bands[^1].End), null)];
    }

    private static string Title(MapDrawing drawing)
    {
        var title = new System.Text.StringBuilder(new string(' ', AddressWidth + 2));
        foreach (string name in drawing.Titles)
            title.Append(name.PadRight(ColumnWidth));
        return title.ToString().TrimEnd();
    }

    private static ImmutableArray<TextRun> Line(DrawnBand band, int row)
    {
        var runs = ImmutableArray.CreateBuilder<TextRun>();
        runs.Add(new((row == 0 ? Address(band.Start) : "").PadLeft(AddressWidth) + "  ", null));
        bool isBreak = band.IsBroken && row == band.Rows / 2;
        for (int i = 0; i < band.Cells.Length; i++)
        {
            DrawnCell cell = band.Cells[i];
            runs.Add(new(isBreak ? new string('~', BlockWidth) : Block(cell.Type), cell.Type));
            string label = row == 0 && cell.StartsHere is { } size ? $" {NameOf(cell.Type)} {ByteSize.ToText(size)}" : "";
            runs.Add(new(i == band.Cells.Length - 1 ? label : label.PadRight(ColumnWidth - BlockWidth), null));
        }

        return runs.ToImmutable();
    }

    private static string Address(ulong address) => string.Create(CultureInfo.InvariantCulture, $"0x{address:x}").PadLeft(AddressWidth);

    private static string NameOf(E820Type? type) => type is { } known ? E820TypeNames.NameOf(known) : "gap";

    private static string Block(E820Type? type) => new(
        type switch
        {
            null => '·',
            E820Type.Ram => '█',
            E820Type.Unusable => '░',
            E820Type.Acpi or E820Type.Nvs => '▓',
            _ => '▒',
        },
        BlockWidth);
}
