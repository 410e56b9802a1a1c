// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Keyhole.Cli.Text;

/// <summary>
/// Writes an answer's text: the only way for it to standard output. All text goes through <see cref="ForeignText"/>, so that a line is one line whatever a
/// name in it holds. On a terminal lines are broken between words, and what goes on stands further in than its beginning.
/// </summary>
internal sealed class AnswerWriter(IAnsiConsole console, int width)
{
    private const int HangingIndent = 2;

    private readonly List<(string Text, Color? Colour)> _line = [];

    /// <summary>Columns that a table aims at.</summary>
    public int Width => width;

    /// <summary>Begins a line, or goes on with it.</summary>
    public void Write(string text, Color? colour = null) => _line.Add((ForeignText.OneLine(text), colour));

    /// <summary>Ends the line.</summary>
    public void WriteLine()
    {
        WriteWrapped();
        _line.Clear();
    }

    /// <summary>One line, or the rest of one.</summary>
    public void WriteLine(string text)
    {
        Write(text);
        WriteLine();
    }

    /// <summary>One line that people copy: it is not broken.</summary>
    public void WriteVerbatim(string text)
    {
        Put(ForeignText.OneLine(text), null);
        console.WriteLine();
    }

    /// <summary>A table, whose cells are <see cref="MapView.Cell"/>s, in as many columns as there are: see <see cref="TableLayout"/>.</summary>
    public void Write(Table table)
    {
        if (TableLayout.Of(table, RenderOptions.Create(console), width) is not { } layout)
        {
            WriteRows(table);
            return;
        }

        for (int i = 0; i < layout.Widths.Length; i++)
        {
            TableColumn column = table.Columns[i];
            column.NoWrap = false;
            column.Width = layout.Widths[i];
            if (layout.IsTight)
                column.Padding = new(0, 0, 1, 0);
        }

        console.Write(table);
    }

    /// <summary>Where not even the longest words of the columns fit beside each other: each row as lines of their own.</summary>
    private void WriteRows(Table table)
    {
        foreach (TableRow row in table.Rows)
        {
            int i = 0;
            foreach (IRenderable cell in row)
            {
                string name = TextOf(table.Columns[i].Header);
                string text = TextOf(cell);
                if (text.Length > 0)
                    WriteLine($"{(i == 0 ? "" : "  ")}{(name.Length == 0 ? "" : $"{name}: ")}{text}");
                i++;
            }
        }
    }

    private string TextOf(IRenderable cell) => string.Concat(cell.Render(RenderOptions.Create(console), int.MaxValue).Select(static segment => segment.Text)).Trim();

    private void WriteWrapped()
    {
        int indent = HangingIndent + (_line.Count == 0 ? 0 : _line[0].Text.Length - _line[0].Text.TrimStart().Length);
        int column = 0;
        foreach ((string text, Color? colour) in _line)
        {
            ReadOnlySpan<char> rest = text;
            while (column + rest.Length > width && Break(rest, width - column, column > indent) is var at and >= 0)
            {
                Put(rest[..at].TrimEnd().ToString(), colour);
                console.WriteLine();
                Put(new string(' ', indent), null);
                rest = rest[at..].TrimStart();
                column = indent;
            }

            Put(rest.ToString(), colour);
            column += rest.Length;
        }

        console.WriteLine();
    }

    /// <summary>Where a line is broken: at the last space that still fits, else at the first behind; -1 where there is none.</summary>
    private static int Break(ReadOnlySpan<char> text, int room, bool hasBegun)
    {
        int indent = text.Length - text.TrimStart().Length;
        ReadOnlySpan<char> words = text[indent..];
        int last = room < indent ? -1 : words[..int.Min(words.Length, room - indent + 1)].LastIndexOf(' ');
        if (last > 0)
            return indent + last;
        // A text that goes on with a line may leave it at once.
        if (hasBegun && indent > 0)
            return 0;
        int first = words.IndexOf(' ');
        return first < 0 ? -1 : indent + first;
    }

    private void Put(string text, Color? colour)
    {
        if (text.Length > 0)
            console.Write(new Spectre.Console.Text(text, colour is { } known ? new Style(known) : null));
    }
}
