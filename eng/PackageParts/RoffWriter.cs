// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;

namespace Keyhole.PackageParts;

/// <summary>A manual page in man(7)'s macros, from the Markdown that docs/ use: paragraphs, lists, tables, indented code, `code`, **bold**, *italic*
/// and links.</summary>
/// <param name="pageOf">The manual page of a document, such as "keyhole-show(1)"; null where there is none.</param>
internal sealed class RoffWriter(Func<string, string?> pageOf)
{
    /// <summary>Letters of a table's cell in a line, outside of the last column.</summary>
    private const int MaxCell = 24;

    private readonly StringBuilder _text = new();

    public void Begin(string name, int section, DateOnly date, string version)
    {
        _text.Clear();
        // tbl has to see the tables first.
        _text.Append("'\\\" t\n.\\\" SPDX-License-Identifier: GPL-2.0-only\n.\\\" Made by eng/package from the help and docs/.\n");
        _text.Append(CultureInfo.InvariantCulture, $".TH {name.ToUpperInvariant()} {section} {date:yyyy-MM-dd} \"Keyhole {version}\" Keyhole\n");
        // Addresses and commands are not to be broken at their hyphens.
        _text.Append(".nr HY 0\n.nh\n.ad l\n");
    }

    public string End() => _text.ToString();

    public void Section(string title) => _text.Append(CultureInfo.InvariantCulture, $".SH {Escape(title)}\n");

    /// <summary>The line that whatis(1) reads.</summary>
    public void NameLine(string name, string description) => _text.Append(CultureInfo.InvariantCulture, $"{name} \\- {Escape(description)}\n");

    public void Paragraph(string text) => _text.Append(CultureInfo.InvariantCulture, $".PP\n{Line(text)}\n");

    public void Item(string term, string text) => _text.Append(CultureInfo.InvariantCulture, $".TP\n{Line(term)}\n{Line(text)}\n");

    public void Code(IReadOnlyList<string> lines)
    {
        _text.Append(".PP\n.RS 4\n.EX\n");
        foreach (string line in lines)
            _text.Append(Guarded(Escape(line))).Append('\n');
        _text.Append(".EE\n.RE\n");
    }

    /// <summary>Whether a link leads to a page of the manual.</summary>
    public bool IsKnown(string link) => Regex.Match(link, @"\(([a-z0-9-]+)\.md") is { Success: true } match
        && pageOf(match.Groups[1].Value) is not null;

    public void Markdown(IReadOnlyList<string> lines)
    {
        for (int i = 0; i < lines.Count;)
        {
            int start = i;
            if (lines[i].Length == 0)
            {
                i++;
            }
            else if (lines[i].StartsWith('|'))
            {
                i = End(static line => line.StartsWith('|'));
                Table(Range());
            }
            else if (lines[i].StartsWith("    ", StringComparison.Ordinal))
            {
                i = End(static line => line.StartsWith("    ", StringComparison.Ordinal) || line.Length == 0);
                while (lines[i - 1].Length == 0)
                    i--;
                Code([.. Range().Select(static line => line.Length > 4 ? line[4..] : "")]);
            }
            else if (lines[i].StartsWith("### ", StringComparison.Ordinal))
            {
                _text.Append(CultureInfo.InvariantCulture, $".SS {Escape(lines[i++][4..])}\n");
            }
            else if (Regex.Match(lines[i], @"^(-|\d+\.) ") is { Success: true } mark)
            {
                i++;
                i = End(static line => line.StartsWith("  ", StringComparison.Ordinal));
                string bullet = mark.Groups[1].Value == "-" ? "\\(bu 2" : $"{mark.Groups[1].Value} 4";
                string item = string.Join(' ', Range().Select(static line => line.Trim()));
                _text.Append(CultureInfo.InvariantCulture, $".IP {bullet}\n{Line(item[mark.Length..])}\n");
            }
            else
            {
                i = End(static line => line.Length > 0 && line[0] is not ('|' or '#') && !Regex.IsMatch(line, @"^(-|\d+\.) "));
                Paragraph(string.Join(' ', Range().Select(static line => line.Trim())));
            }

            int End(Func<string, bool> belongs)
            {
                int end = i;
                while (end < lines.Count && belongs(lines[end]))
                    end++;
                return Math.Max(end, start + 1);
            }

            IEnumerable<string> Range() => lines.Skip(start).Take(i - start);
        }
    }

    private void Table(IEnumerable<string> lines)
    {
        string[][] rows =
            [.. lines.Select(static line => Regex.Split(line.Trim().Trim('|'), @"(?<!\\)\|")
                .Select(static cell => cell.Trim().Replace("\\|", "|", StringComparison.Ordinal)).ToArray())];
        int columns = rows[0].Length;
        bool hasHead = rows[0].Any(static cell => cell.Length > 0);
        // The last column takes what the line has left; one before it with long cells is broken to a width that leaves that some room.
        bool[] isFilled = [.. Enumerable.Range(0, columns)
            .Select(i => columns > 1 && (i == columns - 1 || rows.Max(row => i < row.Length ? row[i].Length : 0) > MaxCell))];
        string Format(string letter) =>
            string.Join(' ', Enumerable.Range(0, columns)
                .Select(i => letter + (i == columns - 1 && columns > 1 ? "x" : isFilled[i] ? $"w({WidthOf(i)}n)" : "")));
        // A word that is longer than the column would stick out of it.
        int WidthOf(int column) => rows
            .SelectMany(row => column < row.Length ? row[column].Replace("`", "", StringComparison.Ordinal).Split(' ') : [])
            .Max(static word => Math.Max(word.Length + 1, MaxCell));
        _text.Append(".PP\n.TS\ntab(\t);\n");
        if (hasHead)
            _text.Append(Format("lb")).Append('\n');
        _text.Append(Format("l")).Append(".\n");
        foreach (string[] row in rows.Where((_, i) => i != 1 && (i != 0 || hasHead)))
        {
            for (int i = 0; i < columns; i++)
            {
                string cell = i < row.Length ? row[i] : "";
                if (i > 0)
                    _text.Append('\t');
                // Blocks have hyphenation of their own.
                _text.Append(isFilled[i] ? $"T{{\n.nh\n{Line(cell)}\nT}}" : Line(cell));
            }

            _text.Append('\n');
        }

        _text.Append(".TE\n");
    }

    /// <summary>Text with marks of Markdown as a line of input.</summary>
    private string Line(string markdown) => Guarded(Inline(markdown));

    private string Inline(string markdown)
    {
        var line = new StringBuilder();
        int at = 0;
        foreach (Match mark in Regex.Matches(markdown, @"`([^`]+)`|\*\*([^*]+)\*\*|(?<![\w*])\*([^*\s][^*]*)\*|\[([^\]\[]+)\]\(([^)]+)\)"))
        {
            line.Append(Escape(markdown[at..mark.Index]));
            at = mark.Index + mark.Length;
            if (mark.Groups[1].Success || mark.Groups[2].Success)
                line.Append(CultureInfo.InvariantCulture, $"\\fB{Escape(mark.Groups[1].Success ? mark.Groups[1].Value : mark.Groups[2].Value)}\\fR");
            else if (mark.Groups[3].Success)
                line.Append(CultureInfo.InvariantCulture, $"\\fI{Escape(mark.Groups[3].Value)}\\fR");
            else
                line.Append(Link(mark.Groups[4].Value, mark.Groups[5].Value));
        }

        return line.Append(Escape(markdown[at..])).ToString();
    }

    private string Link(string text, string target)
    {
        Match file = Regex.Match(target, @"^([a-z0-9-]+)\.md");
        if (!file.Success || pageOf(file.Groups[1].Value) is not { } page)
            return target.Contains("://", StringComparison.Ordinal) ? $"{Inline(text)} <{Escape(target)}>" : Inline(text);
        string name = page[..page.IndexOf('(', StringComparison.Ordinal)];
        string written = $"\\fB{Escape(name)}\\fR{page[name.Length..]}";
        return text == file.Groups[1].Value || text == file.Value ? written : $"{Inline(text)} ({written})";
    }

    /// <summary>A line that begins with a point or an apostrophe would be a request.</summary>
    private static string Guarded(string line) => line.Length > 0 && line[0] is '.' or '\'' ? "\\&" + line : line;

    private static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length + 16);
        for (int i = 0; i < text.Length; i++)
        {
            _ = text[i] switch
            {
                // JSON without spaces may be longer than a line: it can be broken here.
                ',' when i + 1 < text.Length && text[i + 1] is '"' or '[' or '{' => escaped.Append(",\\:"),
                '\\' => escaped.Append("\\e"),
                '-' => escaped.Append("\\-"),
                '\'' => escaped.Append("\\(aq"),
                '`' => escaped.Append("\\(ga"),
                '^' => escaped.Append("\\(ha"),
                '~' => escaped.Append("\\(ti"),
                '\t' => escaped.Append(' '),
                _ => escaped.Append(text[i]),
            };
        }

        return escaped.ToString();
    }
}
