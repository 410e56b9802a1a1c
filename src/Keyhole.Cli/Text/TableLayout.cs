// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Cli.Text;

/// <summary>
/// How wide a table's columns are in so many columns of a terminal. Cells are broken between words only, so that no number or address is parted or
/// cut: what says why first, then all; figures, which stand at the right of their column, keep their units beside them. Without room for even the
/// longest word of each column there is no layout.
/// </summary>
/// <param name="IsTight">Whether columns have less between them.</param>
internal sealed record TableLayout(ImmutableArray<int> Widths, bool IsTight)
{
    /// <summary>In fewer columns sentences are no longer read: other columns are broken, too.</summary>
    private const int ReadableWidth = 20;

    /// <summary>What is this short ("1 of 3") is not broken at all.</summary>
    private const int ShortText = 6;

    /// <summary>Blanks between two columns.</summary>
    public int Gap => GapOf(IsTight);

    /// <summary>Of the whole table, with what stands before its first column and behind its last.</summary>
    public int TotalWidth => Widths.Sum() + (Widths.Length * Gap) + 1;

    public static TableLayout? Of(TextTable table, int width)
    {
        int count = table.Titles.Count;
        int[] longest = new int[count];
        int[] word = new int[count];
        for (int column = 0; column < count; column++)
        {
            longest[column] = ColumnWidth.Of(table.Titles[column]);
            word[column] = LongestWord(table.Titles[column]);
            foreach (TextCell[] row in table.Rows)
            {
                int whole = ColumnWidth.Of(row[column].Text);
                longest[column] = Math.Max(longest[column], whole);
                word[column] = Math.Max(word[column], table.IsRight(column) || whole <= ShortText ? whole : LongestWord(row[column].Text));
            }
        }

        int room = RoomIn(width, count, isTight: false);
        if (longest.Sum() <= room)
            return new([.. longest], IsTight: false);
        int[] least = [.. longest.Select((cells, column) => table.IsProse(column) ? Math.Min(cells, Math.Max(word[column], ReadableWidth)) : cells)];
        if (least.Sum() <= room)
            return new(Filled(least, longest, room), IsTight: false);
        if (word.Sum() <= room)
            return new(Filled(word, longest, room), IsTight: false);
        room = RoomIn(width, count, isTight: true);
        return word.Sum() <= room ? new(Filled(word, longest, room), IsTight: true) : null;
    }

    private static int GapOf(bool isTight) => isTight ? 2 : 3;

    private static int RoomIn(int width, int columns, bool isTight) => width - (columns * GapOf(isTight)) - 1;

    private static int LongestWord(string text)
    {
        int longest = 0;
        foreach (Range word in text.AsSpan().Split(' '))
            longest = Math.Max(longest, ColumnWidth.Of(text.AsSpan(word)));
        return longest;
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
