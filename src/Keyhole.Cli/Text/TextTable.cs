// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Text;

/// <summary>One cell: a text as it stands, which has gone through <see cref="ForeignText"/>.</summary>
internal readonly record struct TextCell
{
    public TextCell(string text, TextColour colour = TextColour.None)
    {
        Text = ForeignText.OneLine(text);
        Colour = colour;
    }

    public string Text { get; }

    public TextColour Colour { get; }
}

/// <summary>A table of columns: titles, a line, rows. How wide its columns are is <see cref="TableLayout"/>'s business.</summary>
/// <param name="caption">What the table is, where it is shown without the text around it.</param>
/// <param name="titles">The columns' titles.</param>
/// <param name="isProse">Whether a column with this title is prose, which may be broken between words.</param>
internal sealed class TextTable(string caption, IReadOnlyList<string> titles, Func<string, bool> isProse)
{
    private readonly List<TextCell[]> _rows = [];
    private readonly bool[] _isRight = new bool[titles.Count];

    public string Caption => caption;

    public IReadOnlyList<string> Titles => titles;

    public IReadOnlyList<TextCell[]> Rows => _rows;

    public bool IsProse(int column) => isProse(titles[column]);

    /// <summary>Whether a column's cells stand at its right.</summary>
    public bool IsRight(int column) => _isRight[column];

    /// <summary>Numbers stand with their last digits below each other.</summary>
    public void AlignRight(int column) => _isRight[column] = true;

    public void AddRow(params ReadOnlySpan<TextCell> cells)
    {
        if (cells.Length != titles.Count)
            throw new ArgumentException("a row has one cell for each title", nameof(cells));
        _rows.Add(cells.ToArray());
    }

    /// <param name="layout">How wide its columns are.</param>
    /// <param name="put">Writes a piece of a line.</param>
    /// <param name="endLine">Ends a line.</param>
    public void Write(TableLayout layout, Action<string, TextColour> put, Action endLine)
    {
        endLine();
        WriteRow([.. titles.Select(static title => new TextCell(title))], layout, put, endLine);
        put(new string('─', layout.TotalWidth), TextColour.None);
        endLine();
        foreach (TextCell[] row in _rows)
            WriteRow(row, layout, put, endLine);
        endLine();
    }

    /// <summary>Each row as lines, each with its title, for terminals that are too narrow for any layout.</summary>
    public IEnumerable<string> ToLines()
    {
        foreach (TextCell[] row in _rows)
        {
            for (int i = 0; i < row.Length; i++)
            {
                string text = row[i].Text.Trim();
                if (text.Length > 0)
                    yield return $"{(i == 0 ? "" : "  ")}{(titles[i].Length == 0 ? "" : $"{titles[i]}: ")}{text}";
            }
        }
    }

    private void WriteRow(TextCell[] cells, TableLayout layout, Action<string, TextColour> put, Action endLine)
    {
        List<string>[] lines = [.. cells.Select((cell, column) => Lines(cell.Text, layout.Widths[column]))];
        int height = lines.Max(static cell => cell.Count);
        for (int line = 0; line < height; line++)
        {
            // Blanks are written when something stands behind them: no line ends in any.
            int blanks = layout.Gap - 1;
            for (int column = 0; column < cells.Length; column++)
            {
                string text = line < lines[column].Count ? lines[column][line] : "";
                int rest = layout.Widths[column] - ColumnWidth.Of(text);
                int before = _isRight[column] ? rest : 0;
                if (text.Length > 0)
                {
                    put(new string(' ', blanks + before), TextColour.None);
                    put(text, cells[column].Colour);
                    blanks = -before;
                }

                blanks += rest + layout.Gap;
            }

            endLine();
        }
    }

    private static List<string> Lines(string text, int width)
    {
        List<string> lines = [];
        while (ColumnWidth.Of(text) > width)
        {
            // The last space before which everything fits; a column is never narrower than a word.
            int at = -1;
            for (int next = text.IndexOf(' '); next >= 0 && ColumnWidth.Of(text.AsSpan(0, next)) <= width; next = text.IndexOf(' ', next + 1))
                at = next;
            if (at < 0)
                break;
            lines.Add(text[..at].TrimEnd());
            text = text[(at + 1)..].TrimStart();
        }

        lines.Add(text);
        return lines;
    }
}
