// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;

namespace Keyhole.Reading;

/// <summary>What a terminal would show of a line: no colours, no titles, nothing that was written over.</summary>
internal static class TerminalText
{
    private const char Escape = '\x1b';
    private const char Backspace = '\b';
    private const char Bell = '\a';

    private static readonly SearchValues<char> s_parameters = SearchValues.Create("0123456789;?");

    /// <summary>Escapes that less, cat -v and editors have made visible.</summary>
    private static readonly string[] s_shownEscapes = ["^[", "ESC"];

    /// <summary>Whether there may be something in a line that a terminal does not show.</summary>
    public static bool IsIn(ReadOnlySpan<char> line) => line.ContainsAny(Escape, Backspace) || HasShownEscape(line);

    /// <summary>Writes what is shown.</summary>
    /// <param name="plain">As long as the line at least.</param>
    /// <returns>How long what is shown is.</returns>
    public static int Write(ReadOnlySpan<char> line, Span<char> plain)
    {
        int kept = 0;
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == Backspace)
            {
                kept -= kept > 0 ? 1 : 0;
            }
            else if (line[i] == Escape)
            {
                i += LengthBehindEscape(line[(i + 1)..]);
            }
            else if (ShownEscapeAt(line[i..]) is > 0 and int length && IsSequence(line[(i + length)..]))
            {
                i += length - 1 + LengthBehindEscape(line[(i + length)..]);
            }
            else
            {
                plain[kept++] = line[i];
            }
        }

        return kept;
    }

    private static bool HasShownEscape(ReadOnlySpan<char> line)
    {
        foreach (string shown in s_shownEscapes)
        {
            int at = line.IndexOf(shown, StringComparison.Ordinal);
            if (at >= 0 && line[(at + shown.Length)..].StartsWith('['))
                return true;
        }

        return false;
    }

    private static int ShownEscapeAt(ReadOnlySpan<char> text) =>
        text.StartsWith(s_shownEscapes[0], StringComparison.Ordinal) ? s_shownEscapes[0].Length
            : text.StartsWith(s_shownEscapes[1], StringComparison.Ordinal) ? s_shownEscapes[1].Length : 0;

    /// <summary>Whether a text is one that sets colours and the like, and nothing that somebody has written: <c>[0;32m</c>, <c>[K</c>.</summary>
    private static bool IsSequence(ReadOnlySpan<char> text)
    {
        if (!text.StartsWith('['))
            return false;
        int end = text[1..].IndexOfAnyExcept(s_parameters);
        return end >= 0 && text[1 + end] is 'm' or 'K' or 'h' or 'l' or 'J' or 'H';
    }

    /// <summary>[ parameters final; ] title bell; or one character.</summary>
    private static int LengthBehindEscape(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
            return 0;
        if (text[0] == ']')
        {
            int end = text.IndexOf(Bell);
            return end < 0 ? 1 : end + 1;
        }

        if (text[0] != '[')
            return 1;
        int length = 1;
        while (length < text.Length && text[length] is < '@' or > '~')
            length++;
        return Math.Min(length + 1, text.Length);
    }
}
