// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Reading;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>
/// Reads the syntax of xl.cfg in one pass and without recursion. The language is libxlu's (its lexer and grammar, unchanged in substance since
/// 2010); where this parser takes more than libxlu does, it says so in a remark.
/// </summary>
internal sealed class XlParser
{
    private readonly string _text;
    private readonly string _sourceName;
    private readonly List<XlSetting> _settings = [];
    private readonly SortedSet<string> _remarks = new(StringComparer.Ordinal);
    private int _position;
    private int _line = 1;
    private int _tokenStart;
    private int _tokenLine = 1;
    private string _tokenText = "";
    private InputError? _error;

    private XlParser(string text, string sourceName)
    {
        _text = text;
        _sourceName = sourceName;
    }

    private enum Token
    {
        Failed,
        End,
        Newline,
        Semicolon,
        Comma,
        Open,
        Close,
        Assign,
        Add,
        Identifier,
        Number,
        Text,
    }

    public static InputError? Parse(string text, string sourceName, out ImmutableArray<XlSetting> settings, out ImmutableArray<string> remarks)
    {
        var parser = new XlParser(text, sourceName);
        parser.ParseFile();
        settings = [.. parser._settings];
        remarks = [.. parser._remarks];
        return parser._error;
    }

    private void ParseFile()
    {
        while (_error is null)
        {
            Token token = Next();
            switch (token)
            {
                case Token.Failed or Token.End:
                    return;
                case Token.Newline or Token.Semicolon:
                    break;
                case Token.Identifier:
                    ParseSetting();
                    break;
                case Token.Comma or Token.Open or Token.Close or Token.Assign or Token.Add or Token.Number or Token.Text:
                    Fail(Malformed, $"a setting cannot start with {Shown()}", "write KEY=VALUE, the key first");
                    return;
            }
        }
    }

    private void ParseSetting()
    {
        string key = _tokenText;
        int line = _tokenLine;
        Token op = Next();
        if (op == Token.Failed)
            return;
        if (op is not (Token.Assign or Token.Add))
        {
            Fail(Malformed, $"{InputError.Quote(key)} is not followed by =", "write KEY=VALUE");
            return;
        }

        if (ParseValue(key) is not { } value)
            return;
        Token end = Next();
        if (end == Token.Failed)
            return;
        if (end is not (Token.End or Token.Newline or Token.Semicolon))
        {
            Fail(Malformed, $"{Shown()} after the value of {InputError.Quote(key)}",
                "start each setting on a line of its own, or put ; between two");
            return;
        }

        _settings.Add(new XlSetting(key, op == Token.Add, value, line));
    }

    private XlValue? ParseValue(string key)
    {
        var open = new Stack<(ImmutableArray<XlValue>.Builder Items, int Line)>();
        bool valueAllowed = true;
        while (true)
        {
            Token token = Next();
            // Lists continue over lines; a value on the top level has to start beside its =.
            while (token == Token.Newline && open.Count > 0)
                token = Next();
            XlValue? value = null;
            switch (token)
            {
                case Token.Failed:
                    return null;
                case Token.Number when valueAllowed:
                    value = new XlText(_tokenText, isQuoted: false, _tokenLine);
                    break;
                case Token.Text when valueAllowed:
                    value = new XlText(_tokenText, isQuoted: true, _tokenLine) { Start = _tokenStart + 1, End = _position - 1 };
                    break;
                case Token.Open when valueAllowed:
                    if (open.Count == XlConfig.MaxNesting)
                    {
                        Fail(
                            TooLarge, $"lists nested more than {XlConfig.MaxNesting} deep",
                            "remove the surplus [: no setting of xl nests lists deeper than three");
                        return null;
                    }

                    open.Push((ImmutableArray.CreateBuilder<XlValue>(), _tokenLine));
                    break;
                case Token.Close when open.Count > 0:
                    (ImmutableArray<XlValue>.Builder items, int line) = open.Pop();
                    value = new XlList(items.DrainToImmutable(), line);
                    break;
                case Token.Comma when open.Count > 0 && !valueAllowed:
                    valueAllowed = true;
                    break;
                case Token.End when open.Count > 0:
                    _tokenLine = open.Peek().Line;
                    Fail(Malformed, "a list that starts here has no end", "close it with ]");
                    return null;
                case Token.Identifier when valueAllowed:
                    Fail(Malformed, $"{Shown()} is a word without quotes", "put text in quotes: \"…\"");
                    return null;
                case Token.End or Token.Newline or Token.Semicolon when open.Count == 0:
                    Fail(Missing, $"{InputError.Quote(key)} has no value", "give one after =, on the same line");
                    return null;
                case Token.End or Token.Newline or Token.Semicolon or Token.Comma or Token.Open or Token.Close:
                case Token.Assign or Token.Add or Token.Identifier or Token.Number or Token.Text:
                    if (open.Count == 0)
                        Fail(Malformed, $"{Shown()} where the value of {InputError.Quote(key)} should be",
                            "give a number, a text in quotes or a list in [ ]");
                    else
                        Fail(
                            Malformed, $"{Shown()} in a list{(valueAllowed ? "" : " where a comma or ] should be")}",
                            "separate the items by commas and close the list with ]");
                    return null;
            }

            if (value is null)
                continue;
            if (open.Count == 0)
                return value;
            open.Peek().Items.Add(value);
            valueAllowed = false;
        }
    }

    private Token Next()
    {
        while (_position < _text.Length && _text[_position] is ' ' or '\t')
            _position++;
        _tokenStart = _position;
        _tokenLine = _line;
        if (_position == _text.Length)
            return Token.End;
        char c = _text[_position++];
        switch (c)
        {
            case '\n':
                _line++;
                return Token.Newline;
            case '\r' when _position < _text.Length && _text[_position] == '\n':
                _remarks.Add("the lines end in CR LF; xl itself reads only LF");
                _position++;
                _line++;
                return Token.Newline;
            case '#':
                return Comment();
            case ',':
                return Token.Comma;
            case '[':
                return Token.Open;
            case ']':
                return Token.Close;
            case '=':
                return Token.Assign;
            case ';':
                return Token.Semicolon;
            case '+' when _position < _text.Length && _text[_position] == '=':
                _position++;
                return Token.Add;
            case '\'' or '"':
                return QuotedText(c);
            case >= 'a' and <= 'z':
                while (_position < _text.Length && _text[_position] is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_' or '.')
                    _position++;
                _tokenText = _text[_tokenStart.._position];
                return Token.Identifier;
            case >= '0' and <= '9':
                while (_position < _text.Length && _text[_position] is (>= '0' and <= '9') or (>= 'a' and <= 'f') or 'x')
                    _position++;
                _tokenText = _text[_tokenStart.._position];
                return Token.Number;
            case >= 'A' and <= 'Z':
                return Fail(
                    Malformed, $"a capital letter, {InputError.Quote(Word())}, outside of quotes",
                    "xl's keys and hex digits are lower case; put text in quotes");
            case '-':
                return Fail(Malformed, "a minus sign outside of quotes", "xl.cfg has no negative numbers, and no - in a key");
            case '\0':
                return Fail(Malformed, "a NUL byte", "save the file as plain UTF-8 text");
            case '\r':
                return Fail(Malformed, "a carriage return without a line feed", "xl reads lines that end in LF: tr '\\r' '\\n' makes them so");
            case >= '\u2018' and <= '\u201f':
                return Fail(Malformed, $"{InputError.Quote(Word())} stands in curly quotes", "write straight ones: \" or '");
            case '{':
                return Fail(NotSupported, "JSON is not an xl.cfg", "give the file that the guest is made from; what 'xl list -l' prints is not read");
            case '(' or ')' or ':' or '.' or '+':
                return Fail(
                    Malformed, $"{InputError.Quote(Word())} is not valid syntax of xl.cfg",
                    "if this is Python, as xm once read it, write it out as plain KEY=VALUE: xl does not run it");
            default:
                return Fail(Malformed, $"{InputError.Quote(Word())} is not valid syntax of xl.cfg", "put text in quotes, and start comments with #");
        }
    }

    private Token Comment()
    {
        int end = _text.IndexOf('\n', _position);
        int nul = _text.AsSpan(_position, (end < 0 ? _text.Length : end) - _position).IndexOf('\0');
        if (nul >= 0)
            return Fail(Malformed, "a NUL byte", "save the file as plain UTF-8 text");
        if (end < 0)
        {
            _remarks.Add("the file ends in a comment without a line end, at which xl itself stops with a lexical error");
            _position = _text.Length;
            return Token.End;
        }

        _position = end + 1;
        _line++;
        return Token.Newline;
    }

    /// <summary>A string, up to the same quote on the same line: libxlu's strings do not span lines.</summary>
    private Token QuotedText(char quote)
    {
        var text = new StringBuilder();
        while (true)
        {
            if (_position == _text.Length || _text[_position] == '\n')
                return Fail(
                    Malformed, $"a quote that starts here, "
                        + $"{InputError.Quote(_text.AsSpan(_tokenStart, _position - _tokenStart).TrimEnd('\r'))}, has no end on its line",
                    $"close it with {quote}");
            char c = _text[_position++];
            if (c == quote)
            {
                _tokenText = text.ToString();
                return Token.Text;
            }

            if (c is '\0')
                return Fail(Malformed, "a NUL byte", "save the file as plain UTF-8 text");
            if (c is SmallInput.Undecodable)
                return Fail(Malformed, "a quoted text has bytes that are not UTF-8", "save the file as UTF-8");
            if (c != '\\')
            {
                text.Append(c);
                continue;
            }

            if (_position == _text.Length || _text[_position] is '\n' or '\r')
                continue;
            char escaped = _text[_position++];
            switch (escaped)
            {
                case '"' or '\'' or '\\':
                    text.Append(escaped);
                    break;
                case 'a':
                    text.Append('\a');
                    break;
                case 'b':
                    text.Append('\b');
                    break;
                case 'f':
                    text.Append('\f');
                    break;
                case 'n':
                    text.Append('\n');
                    break;
                case 'r':
                    text.Append('\r');
                    break;
                case 't':
                    text.Append('\t');
                    break;
                case 'v':
                    text.Append('\v');
                    break;
                case >= '0' and <= '7' when SkipDigits(out int digits):
                    // libxlu takes two or three more digits and then forgets to store the character.
                    _remarks.Add(
                        $"line {_tokenLine}: the escape \\{escaped}{_text.Substring(_position - digits, digits)} is dropped, as xl drops it");
                    break;
                default:
                    return Fail(
                        Malformed, $"the escape {InputError.Quote(_text.AsSpan(_position - 2, 2))} in a quoted text",
                        "xl knows \\\\ \\\" \\' \\a \\b \\f \\n \\r \\t \\v; write other characters as they are");
            }
        }
    }

    private bool SkipDigits(out int count)
    {
        count = 0;
        while (count < 3 && _position + count < _text.Length && char.IsAsciiDigit(_text[_position + count]))
            count++;
        if (count < 2)
            return false;
        _position += count;
        return true;
    }

    /// <summary>The rest of the word that starts at the token, for a message.</summary>
    private ReadOnlySpan<char> Word()
    {
        int end = _tokenStart;
        while (end < _text.Length && end - _tokenStart < 100 && _text[end] is not (' ' or '\t' or '\n' or '\r'))
            end++;
        return _text.AsSpan(_tokenStart, end - _tokenStart);
    }

    private string Shown() => _tokenStart == _text.Length
        ? "the end of the file"
        : _text[_tokenStart] is '\n' or '\r' or '#' ? "the end of the line" : InputError.Quote(_text.AsSpan(_tokenStart, _position - _tokenStart));

    private Token Fail(InputErrorCode code, ErrorText what, string remedy)
    {
        _error ??= new InputError(code, _sourceName, _tokenLine, what, remedy);
        return Token.Failed;
    }
}
