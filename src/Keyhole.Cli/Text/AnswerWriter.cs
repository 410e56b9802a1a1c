// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Text;

/// <summary>
/// Writes an answer's text: the only way for it to standard output. All text goes through <see cref="ForeignText"/>, so that a line is one line
/// whatever a name in it holds. On a terminal lines are broken between words, and what goes on stands further in than its beginning.
/// </summary>
/// <param name="output">Where to.</param>
/// <param name="width">Columns of the terminal.</param>
/// <param name="hasColours">Whether the terminal shows colours.</param>
internal sealed class AnswerWriter(TextWriter output, int width, bool hasColours)
{
    private const int HangingIndent = 2;

    private readonly List<(string Text, TextColour Colour)> _line = [];
    private readonly List<TextTable> _tables = [];
    private readonly List<(string Where, IReadOnlyList<string> Lines)> _copies = [];

    /// <summary>The tables that were written: a page shows them as what they are.</summary>
    public IReadOnlyList<TextTable> Tables => _tables;

    /// <summary>What was written for people to copy.</summary>
    public IReadOnlyList<(string Where, IReadOnlyList<string> Lines)> Copies => _copies;

    /// <summary>Columns that a table aims at.</summary>
    public int Width => width;

    /// <summary>Begins a line, or goes on with it.</summary>
    public void Write(string text, TextColour colour = TextColour.None) => _line.Add((ForeignText.OneLine(text), colour));

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

    /// <summary>Lines that people copy, with where they go: they are not broken.</summary>
    public void WriteToCopy(string where, IReadOnlyList<string> lines)
    {
        _copies.Add((where, lines));
        WriteLine($"{where}:");
        foreach (string line in lines)
            WriteVerbatim($"  {line}");
    }

    /// <summary>One line that people copy: it is not broken.</summary>
    public void WriteVerbatim(string text, TextColour colour = TextColour.None)
    {
        Put(ForeignText.OneLine(text), colour);
        output.WriteLine();
    }

    /// <summary>A table in as many columns as there are (see <see cref="TableLayout"/>); where not even the longest words fit beside each other, each
    /// row as lines of its own.</summary>
    public void Write(TextTable table)
    {
        _tables.Add(table);
        if (TableLayout.Of(table, width) is { } layout)
        {
            table.Write(layout, (text, colour) => Put(text, colour), output.WriteLine);
            return;
        }

        foreach (string line in table.ToLines())
            WriteLine(line);
    }

    private void WriteWrapped()
    {
        int indent = HangingIndent + (_line.Count == 0 ? 0 : _line[0].Text.Length - _line[0].Text.TrimStart().Length);
        int column = 0;
        foreach ((string text, TextColour colour) in _line)
        {
            ReadOnlySpan<char> rest = text;
            while (column + rest.Length > width && Break(rest, width - column, column > indent) is var at and >= 0)
            {
                Put(rest[..at].TrimEnd(), colour);
                output.WriteLine();
                Put(new string(' ', indent), TextColour.None);
                rest = rest[at..].TrimStart();
                column = indent;
            }

            Put(rest, colour);
            column += rest.Length;
        }

        output.WriteLine();
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

    private void Put(ReadOnlySpan<char> text, TextColour colour)
    {
        if (text.IsEmpty)
            return;
        if (!hasColours || colour == TextColour.None)
        {
            output.Write(text);
            return;
        }

        output.Write($"\e[38;5;{NumberOf(colour)}m");
        output.Write(text);
        output.Write("\e[0m");
    }

    /// <summary>Its number in a palette of 256 colours.</summary>
    private static int NumberOf(TextColour colour) => colour switch
    {
        TextColour.None => 7,
        TextColour.Green => 2,
        TextColour.Grey => 8,
        TextColour.Red => 9,
        TextColour.Yellow => 11,
        TextColour.Blue => 12,
    };
}
