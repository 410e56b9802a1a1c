// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Keyhole.Cli.Text;

/// <summary>
/// How wide a table's columns are in so many columns of a terminal. Cells are broken between words only, so that no number or address is parted or cut: what says
/// why first, then all; figures, which stand at the right of their column, keep their units beside them. Without room for even the longest word of each column there is no layout.
/// </summary>
/// <param name="IsTight">Whether columns have one blank between them instead of three.</param>
internal sealed record TableLayout(ImmutableArray<int> Widths, bool IsTight)
{
    /// <summary>In fewer columns sentences are no longer read: other columns are broken, too.</summary>
    private const int ReadableWidth = 20;

    public static TableLayout? Of(Table table, RenderOptions options, int width)
    {
        int count = table.Columns.Count;
        int[] longest = new int[count];
        int[] word = new int[count];
        for (int i = 0; i < count; i++)
            Extend(i, table.Columns[i].Header);
        foreach (TableRow row in table.Rows)
        {
            int i = 0;
            foreach (IRenderable cell in row)
                Extend(i++, cell);
        }

        // Two blanks at either end and three between; or none, and one.
        int room = width - (3 * count) - 1;
        if (longest.Sum() <= room)
            return new([.. longest], IsTight: false);
        int[] least = [.. longest.Select((cells, i) => table.Columns[i].NoWrap ? cells : Math.Min(cells, Math.Max(word[i], ReadableWidth)))];
        if (least.Sum() <= room)
            return new(Filled(least, longest, room), IsTight: false);
        if (word.Sum() <= room)
            return new(Filled(word, longest, room), IsTight: false);
        room = width - (2 * count) - 1;
        return word.Sum() <= room ? new(Filled(word, longest, room), IsTight: true) : null;

        void Extend(int column, IRenderable cell)
        {
            Measurement needed = cell.Measure(options, int.MaxValue);
            longest[column] = Math.Max(longest[column], needed.Max);
            bool isFigure = table.Columns[column].Alignment == Justify.Right && !ReferenceEquals(cell, table.Columns[column].Header);
            word[column] = Math.Max(word[column], isFigure ? needed.Max : needed.Min);
        }
    }

    /// <summary>Room is given to the narrowest first, as water fills a vessel: short columns stay whole, long ones share what is left.</summary>
    private static ImmutableArray<int> Filled(int[] least, int[] most, int room)
    {
        int[] widths = [.. least];
        for (int left = room - widths.Sum(); left > 0; left--)
        {
            int narrowest = -1;
            for (int i = 0; i < widths.Length; i++)
            {
                if (widths[i] < most[i] && (narrowest < 0 || widths[i] < widths[narrowest]))
                    narrowest = i;
            }

            if (narrowest < 0)
                break;
            widths[narrowest]++;
        }

        return [.. widths];
    }
}
