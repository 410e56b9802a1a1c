// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Text;

namespace Keyhole.Guests;

/// <summary>Where a quote was opened that nothing closes.</summary>
/// <param name="Line">0-based.</param>
/// <param name="Text">Its line from the quote on.</param>
/// <param name="IsApostrophe">Whether it stands between two letters, as in "bob's": where nothing is quoted it is a letter of a name.</param>
/// <param name="IsLastOfLine">Whether nothing follows it on its line: it may close what was opened in front of the command.</param>
internal readonly record struct UnclosedQuote(int Line, string Text, bool IsApostrophe, bool IsLastOfLine);

/// <summary>Separates words as a POSIX shell does, up to the end of the command. What a shell would replace is kept as it stands and
/// marked.</summary>
/// <param name="outerQuote">The quote within which the whole command stands (<c>sh -c 'qemu …'</c>), and which ends it; NUL for none.</param>
internal sealed partial class ShellWords(IReadOnlyList<string> lines, int line, int column, int firstLineNumber, char outerQuote = '\0')
{
    private readonly StringBuilder _word = new();
    private int _line = line;
    private int _column = column;
    private bool _inWord;
    private bool _needsShell;
    private int _wordLine;

    /// <summary>Variables whose values the text itself tells; see <see cref="ShellLiterals"/>.</summary>
    public IReadOnlyDictionary<string, string>? Literals { get; init; }

    /// <summary>Arrays whose words the text itself tells; see <see cref="ShellLiterals"/>.</summary>
    public IReadOnlyDictionary<string, ImmutableArray<QemuWord>>? Arrays { get; init; }

    /// <summary>Takes the names of the variables that were filled in.</summary>
    public ISet<string>? Used { get; init; }

    /// <summary>Whether what stands behind <c>NAME=</c> is read: it ends with its line, and the values in it are not taken apart.</summary>
    public bool IsValue { get; init; }

    /// <summary>Whether the shell takes apart at blanks what it fills in outside of quotes, as POSIX says.</summary>
    public bool Splits { get; init; }

    /// <summary>The column in which the reading ended, 0-based, in <see cref="EndLine"/>.</summary>
    public int EndColumn => _column;

    /// <summary>Whether an array's words are read, which a closing parenthesis ends and no end of a line does.</summary>
    public bool IsArray { get; init; }

    /// <summary>Whether that parenthesis was found.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>The line in which the reading ended, 0-based.</summary>
    public int EndLine => _line;

    /// <summary>The line, 0-based, that ends in a backslash and behind which nothing is left: the command may go on; null where there is
    /// none.</summary>
    public int? CutLine { get; private set; }

    /// <summary>The quote that is never closed; null where there is none.</summary>
    public UnclosedQuote? Unclosed { get; private set; }

    public void ReadInto(ImmutableArray<QemuWord>.Builder words)
    {
        while (words.Count <= QemuCommandText.MaxWords)
        {
            string text = lines[_line];
            if (_column >= text.Length)
            {
                EndWord(words);
                if (!GoesOn(words))
                    return;
                continue;
            }

            char c = text[_column];
            if (c == outerQuote)
            {
                EndWord(words);
                return;
            }

            switch (c)
            {
                case ' ' or '\t':
                    EndWord(words);
                    _column++;
                    break;
                case '\\' when text.AsSpan(_column + 1).TrimEnd().IsEmpty:
                    // Blanks behind the backslash are a slip that everybody means as a continuation.
                    if (IsNothingBehind())
                        CutLine = _line;
                    if (!NextLine())
                    {
                        EndWord(words);
                        return;
                    }

                    // Indentation separates; a line that goes on at the margin goes on within the word.
                    break;
                case '\\':
                    Put(text[_column + 1]);
                    _column += 2;
                    break;
                case '\'':
                    ReadSingleQuoted(escapes: false);
                    break;
                case '"' or '$' when !_inWord && TryArray(text, words):
                    break;
                case '"':
                    ReadDoubleQuoted();
                    break;
                case '#' when !_inWord:
                    _column = text.Length;
                    break;
                case ';' or '|' or '&' or '<' or '>' or ')':
                    // "2>/dev/null": the number of the file that goes elsewhere is none of the command's words.
                    if (c is '<' or '>' && _inWord && text[_column - 1] is >= '0' and <= '9' && IsNumber())
                    {
                        _word.Clear();
                        _inWord = false;
                    }

                    EndWord(words);
                    IsClosed = c == ')';
                    return;
                case '$' when _column + 1 < text.Length && text[_column + 1] == '\'':
                    _column++;
                    ReadSingleQuoted(escapes: true);
                    break;
                case '$' when _column + 1 < text.Length
                    && (char.IsAsciiLetterOrDigit(text[_column + 1]) || text[_column + 1] is '{' or '(' or '_' or '@' or '*'):
                    ReadExpansion(words);
                    break;
                case '`':
                    KeepUpTo(EndOfCommand(text, _column));
                    break;
                case '~' when IsValue:
                    _needsShell = true;
                    Put(c);
                    _column++;
                    break;
                case '{' when !_inWord && text.AsSpan(_column).StartsWith("{\""):
                    // A shell would eat the quotes of JSON, and QEMU would refuse it: this was printed without quoting.
                    ReadBareJson();
                    break;
                default:
                    Put(c);
                    _column++;
                    break;
            }
        }
    }

    private bool IsNumber()
    {
        for (int i = 0; i < _word.Length; i++)
        {
            if (!char.IsAsciiDigit(_word[i]))
                return false;
        }

        return true;
    }

    private void Put(char c)
    {
        Begin();
        _word.Append(c);
    }

    private void Begin()
    {
        if (_inWord)
            return;
        _inWord = true;
        _wordLine = _line + firstLineNumber;
    }

    private void EndWord(ImmutableArray<QemuWord>.Builder words)
    {
        if (!_inWord)
            return;
        words.Add(new(_word.ToString(), _wordLine, _needsShell));
        _word.Clear();
        _inWord = false;
        _needsShell = false;
    }

    private bool IsNothingBehind()
    {
        for (int i = _line + 1; i < lines.Count; i++)
        {
            if (!lines[i].AsSpan().Trim().IsEmpty)
                return false;
        }

        return true;
    }

    private bool NextLine()
    {
        if (_line + 1 >= lines.Count)
            return false;
        _line++;
        _column = 0;
        return true;
    }

    /// <summary>Whether the command goes on behind an end of line that nothing continues: with an option, or the value that the last option
    /// awaits.</summary>
    private bool GoesOn(ImmutableArray<QemuWord>.Builder words)
    {
        if (IsArray)
            return NextLine();
        if (IsValue)
            return false;
        int next = _line + 1;
        while (next < lines.Count && (lines[next].AsSpan().Trim().IsEmpty || lines[next].AsSpan().TrimStart()[0] == '#'))
            next++;
        if (next >= lines.Count)
            return false;
        bool awaits = words.Count > 0 && QemuCommandText.IsOption(words[^1].Text) && QemuOptionNames.TakesValue(words[^1].Text)
            && (words.Count < 2 || !QemuCommandText.IsOption(words[^2].Text) || !QemuOptionNames.TakesValue(words[^2].Text));
        if (!awaits && !QemuCommandText.IsOption(lines[next].AsSpan().TrimStart()))
            return false;
        _line = next;
        _column = 0;
        return true;
    }

    private UnclosedQuote Opened()
    {
        string text = lines[_line];
        bool isInWord = _column > 0 && char.IsLetter(text[_column - 1]) && _column + 1 < text.Length && char.IsLetter(text[_column + 1]);
        return new(_line, text[_column..], IsApostrophe: text[_column] == '\'' && isInWord,
            IsLastOfLine: text.AsSpan(_column + 1).Trim("\t );,]").IsEmpty);
    }

    /// <param name="escapes">Whether a backslash keeps the character behind it, as in <c>$'…'</c>.</param>
    private void ReadSingleQuoted(bool escapes)
    {
        UnclosedQuote opened = Opened();
        Begin();
        _column++;
        while (true)
        {
            string text = lines[_line];
            int end = text.IndexOf('\'', _column);
            while (escapes && end > _column && text[end - 1] == '\\')
                end = text.IndexOf('\'', end + 1);
            _word.Append(text, _column, (end < 0 ? text.Length : end) - _column);
            if (end >= 0)
            {
                _column = end + 1;
                return;
            }

            _column = text.Length;
            if (!NextLine())
            {
                Unclosed = opened;
                return;
            }

            _word.Append('\n');
        }
    }

    private void ReadDoubleQuoted()
    {
        UnclosedQuote opened = Opened();
        Begin();
        _column++;
        while (true)
        {
            string text = lines[_line];
            if (_column >= text.Length)
            {
                if (!NextLine())
                {
                    Unclosed = opened;
                    return;
                }

                _word.Append('\n');
                continue;
            }

            char c = text[_column];
            if (c == '"')
            {
                _column++;
                return;
            }

            if (c == '\\' && _column + 1 == text.Length)
            {
                if (!NextLine())
                {
                    Unclosed = opened;
                    return;
                }

                continue;
            }

            if (c == '\\' && text[_column + 1] is '"' or '\\' or '$' or '`')
            {
                _word.Append(text[_column + 1]);
                _column += 2;
                continue;
            }

            if (c == '$' && TryLiteral(text, _column, out string value, out int length))
            {
                _word.Append(value);
                _column += length;
                continue;
            }

            if (c == '`' || (c == '$' && text.AsSpan(_column + 1).StartsWith("(")))
            {
                // Quotes within are the command's own.
                KeepUpTo(EndOfCommand(text, _column));
                continue;
            }

            _needsShell |= c is '$';
            _word.Append(c);
            _column++;
        }
    }

    private void ReadBareJson()
    {
        Begin();
        string text = lines[_line];
        int depth = 0;
        bool inText = false;
        while (_column < text.Length)
        {
            char c = text[_column++];
            _word.Append(c);
            if (c == '\\' && inText && _column < text.Length)
                _word.Append(text[_column++]);
            else if (c == '"')
                inText = !inText;
            else if (!inText && c is '{' or '[')
                depth++;
            else if (!inText && c is '}' or ']' && --depth == 0)
                return;
        }
    }
}
