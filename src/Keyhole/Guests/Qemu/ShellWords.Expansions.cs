// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>What a shell would fill in: variables and arrays whose values the text tells, and what is kept as it stands.</summary>
internal sealed partial class ShellWords
{
    private static readonly SearchValues<char> s_split = SearchValues.Create(" \t*?[~");

    /// <summary>What is more in options than words: a shell leaves it there, or makes something of it.</summary>
    private static readonly SearchValues<char> s_noPlainOptions = SearchValues.Create("*?[~\"'\\`$");

    /// <summary><c>"${NAME[@]}"</c>, a word for each of an array's; without quotes where a shell would leave the words as they are.</summary>
    private bool TryArray(string text, ImmutableArray<QemuWord>.Builder words)
    {
        const string ends = "[@]}";
        if (Arrays is not { Count: > 0 } arrays)
            return false;
        bool isQuoted = text[_column] == '"';
        int start = _column + (isQuoted ? 1 : 0);
        int end = text.IndexOf(ends, start, StringComparison.Ordinal);
        if (end < 0 || !text.AsSpan(start).StartsWith("${") || !arrays.TryGetValue(text[(start + 2)..end], out ImmutableArray<QemuWord> found))
            return false;
        end += ends.Length;
        if (isQuoted && (end >= text.Length || text[end++] != '"'))
            return false;
        if ((end < text.Length && text[end] is not (' ' or '\t' or ')' or ';' or '|' or '&' or '<' or '>' or '\'' or '"'))
            || (!isQuoted && found.Any(static word => word.Text.Length == 0 || word.Text.AsSpan().ContainsAny(s_split)))
            || words.Count + found.Length > QemuCommandText.MaxWords)
            return false;
        words.AddRange(found);
        _column = end;
        return true;
    }

    /// <summary><c>$NAME</c> or <c>${NAME}</c> of a variable that is told.</summary>
    private bool TryLiteral(string text, int at, out string value, out int length)
    {
        value = "";
        length = 0;
        if (Literals is not { Count: > 0 } literals)
            return false;
        bool isBraced = at + 1 < text.Length && text[at + 1] == '{';
        int start = at + (isBraced ? 2 : 1);
        int end = start;
        while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] == '_'))
            end++;
        if (end == start || (isBraced && (end >= text.Length || text[end] != '}')) || !literals.TryGetValue(text[start..end], out string? told))
            return false;
        value = told;
        Used?.Add(text[start..end]);
        length = end + (isBraced ? 1 : 0) - at;
        return true;
    }

    /// <summary><c>$NAME</c>, <c>${…}</c> or <c>$(…)</c>: what the text tells is filled in, all else kept as it stands.</summary>
    private void ReadExpansion(ImmutableArray<QemuWord>.Builder words)
    {
        string text = lines[_line];
        // Without quotes a shell would take blanks and patterns apart.
        if (TryLiteral(text, _column, out string value, out int length))
        {
            if (IsValue || (value.Length > 0 && !value.AsSpan().ContainsAny(s_split)))
            {
                Begin();
                _word.Append(value);
                _column += length;
                return;
            }

            if (TrySplit(text, value, _column + length, words))
                return;
        }

        char open = text[_column + 1];
        int end = open switch
        {
            '(' => EndOfCommand(text, _column),
            '{' => text.IndexOf('}', _column) is >= 0 and var close ? close + 1 : text.Length,
            _ => _column + 2,
        };
        while (open is not ('(' or '{' or '@' or '*') && end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] == '_'))
            end++;
        KeepUpTo(end);
    }

    /// <summary>Options that stand in one variable (<c>$OPTS</c>), taken apart at blanks. A value that would not be options, or has quotes in it,
    /// which a shell leaves in the words, is nothing that anybody means.</summary>
    private bool TrySplit(string text, string value, int end, ImmutableArray<QemuWord>.Builder words)
    {
        bool isAlone = !_inWord
            && (end >= text.Length || text[end] is ' ' or '\t' or ')' or ';' or '|' or '&' or '<' or '>' or '\\');
        if (!Splits || !isAlone)
            return false;
        ReadOnlySpan<char> options = value.AsSpan().Trim();
        if ((!options.IsEmpty && !QemuCommandText.IsOption(options)) || options.ContainsAny(s_noPlainOptions))
            return false;
        foreach (Range part in options.SplitAny(" \t\n"))
        {
            if (words.Count > QemuCommandText.MaxWords)
                break;
            if (!options[part].IsEmpty)
                words.Add(new(options[part].ToString(), _line + firstLineNumber, NeedsShell: false));
        }

        _column = end;
        return true;
    }

    /// <summary>Keeps a text that only a shell could fill in.</summary>
    private void KeepUpTo(int end)
    {
        Begin();
        _needsShell = true;
        _word.Append(lines[_line], _column, end - _column);
        _column = end;
    }

    /// <summary>Where <c>$(…)</c>, <c>$((…))</c> or <c>`…`</c> ends that begins at a column; the line's end where it goes on behind it.</summary>
    private static int EndOfCommand(string text, int at)
    {
        if (text[at] == '`')
            return text.IndexOf('`', at + 1) is >= 0 and var close ? close + 1 : text.Length;
        int depth = 0;
        char quote = '\0';
        for (int i = at + 1; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '\\' && quote != '\'')
                i++;
            else if (quote != '\0')
                quote = c == quote ? '\0' : quote;
            else if (c is '"' or '\'')
                quote = c;
            else if (c == '(')
                depth++;
            else if (c == ')' && --depth == 0)
                return i + 1;
        }

        return text.Length;
    }
}
