// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Drawing;

/// <summary>A column's range of one type, its bands put together.</summary>
internal readonly record struct DrawnStretch(int Column, DrawnCell Cell, int FirstBand, int BehindBand)
{
    public E820Type? Type => Cell.Type;

    /// <summary>Where it lies.</summary>
    public ByteRange RangeIn(MapDrawing drawing) => ByteRange.FromBounds(drawing.Bands[FirstBand].Start, drawing.Bands[BehindBand - 1].End);

    /// <summary>What it is and how large; of what has no end that is known only what it is.</summary>
    public string LabelIn(MapDrawing drawing) =>
        TextPainter.Label(Cell with { StartsHere = RangeIn(drawing).SizeBytes }, RangeIn(drawing).End).TrimStart();

    /// <summary>Column by column, top to bottom. What lies behind a column's last entry is no cell.</summary>
    public static IEnumerable<DrawnStretch> Of(MapDrawing drawing)
    {
        ImmutableArray<DrawnBand> bands = drawing.Bands;
        for (int column = 0; column < drawing.Titles.Length; column++)
        {
            int first = 0;
            for (int i = 1; i <= bands.Length; i++)
            {
                if (i < bands.Length && bands[i].Cells[column].StartsHere is null
                    && bands[i].Cells[column].Type == bands[i - 1].Cells[column].Type
                    && bands[i].Cells[column].IsNotKnown == bands[i - 1].Cells[column].IsNotKnown)
                    continue;
                if (bands[first].Cells[column] is { Type: not null } or { StartsHere: not null })
                    yield return new(column, bands[first].Cells[column], first, i);
                first = i;
            }
        }
    }
}
