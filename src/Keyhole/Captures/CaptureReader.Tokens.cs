// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Reading;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Captures;

/// <summary>Tokens of a capture: texts, numbers, addresses.</summary>
internal ref partial struct CaptureReader
{
    private bool Fail(InputErrorCode code, ErrorText what, Phrase remedy)
    {
        Error = new(code, _source, Line, what, remedy);
        return false;
    }

    private bool NextMember()
    {
        _reader.Read();
        return _reader.TokenType == JsonTokenType.PropertyName;
    }

    /// <summary>Goes on to the value of a member; null, and behind its value, for one that nobody asks for. The error where it is there
    /// twice.</summary>
    /// <param name="names">Those that are asked for, 32 at most.</param>
    /// <param name="seen">A bit for each that was there.</param>
    /// <param name="name">The member's.</param>
    private bool TryNext(scoped ReadOnlySpan<string> names, ref uint seen, out string? name)
    {
        name = Known(names);
        if (name is null)
        {
            _reader.Skip();
            return true;
        }

        uint flag = 1u << names.IndexOf(name);
        if ((seen & flag) != 0)
            return Fail(Repeated, $"\"{name}\" is there twice", "keep one of them");
        seen |= flag;
        _reader.Read();
        return true;
    }

    private readonly string? Known(ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (_reader.ValueTextEquals(name))
                return name;
        }

        return null;
    }

    private bool Expect(JsonTokenType type, string name, string form) =>
        _reader.TokenType == type || Fail(Malformed, $"\"{name}\" is not {form}", $"make it {form}");

    private bool TryReadText(string name, out string text)
    {
        text = "";
        if (!Expect(JsonTokenType.String, name, "a string"))
            return false;
        int length = _reader.HasValueSequence ? int.MaxValue : _reader.ValueSpan.Length;
        if (length > MaxTextLength * 6)
            return Fail(TooLarge, $"\"{name}\" is longer than {MaxTextLength} characters", "shorten it");
        string? read;
        try
        {
            read = _reader.GetString();
        }
        catch (InvalidOperationException)
        {
            // Lone surrogates or bytes that are no UTF-8.
            return Fail(Malformed, $"\"{name}\" is not Unicode text", "write it in UTF-8");
        }

        text = InputError.OneLine(read, MaxTextLength);
        return true;
    }

    private bool TryReadBoolean(string name, out bool value)
    {
        value = _reader.TokenType == JsonTokenType.True;
        return value || Expect(JsonTokenType.False, name, "true or false");
    }

    /// <summary>Checks a text of which nothing is made.</summary>
    private bool TryPassText(string name) =>
        (_reader.TokenType == JsonTokenType.String && !_reader.ValueIsEscaped && _reader.ValueSpan.Length <= MaxTextLength
            && Ascii.IsValid(_reader.ValueSpan)) || TryReadText(name, out _);

    /// <summary>A text that the document holds; a skim has no use for it.</summary>
    private bool TryReadKept(string name, out string text)
    {
        text = "";
        return _makesDocument ? TryReadText(name, out text) : TryPassText(name);
    }

    /// <summary>The characters of a string that is short and plain, as nearly all are; nothing is allocated.</summary>
    private readonly bool TryPlain(Span<char> buffer, out ReadOnlySpan<char> text)
    {
        text = default;
        if (_reader.TokenType != JsonTokenType.String || _reader.ValueIsEscaped || _reader.ValueSpan.Length > buffer.Length
            || !Encoding.ASCII.TryGetChars(_reader.ValueSpan, buffer, out int length) || !Ascii.IsValid(_reader.ValueSpan))
        {
            return false;
        }

        text = buffer[..length];
        return true;
    }

    /// <summary>The name that a line of a fleet gives its host; one that is no text is as good as none.</summary>
    private void TakeName()
    {
        if (_reader.TokenType != JsonTokenType.String)
        {
            _reader.Skip();
            return;
        }

        _skim!.HasName = true;
        try
        {
            string text = InputError.OneLine(_reader.GetString(), CaptureSkim.MaxNameLength);
            _skim.Name = text.Length == 0 ? null : text;
        }
        catch (InvalidOperationException)
        {
            // Lone surrogates, or bytes that are no UTF-8.
        }
    }

    private bool TryReadRamShown(string name, out RamShown shown)
    {
        shown = RamShown.All;
        if (!Expect(JsonTokenType.String, name, "a string") || !TryReadText(name, out string text))
            return false;
        foreach (RamShown candidate in Enum.GetValues<RamShown>())
        {
            if (CaptureNames.Of(candidate) == text)
            {
                shown = candidate;
                return true;
            }
        }

        return Fail(UnknownWord, $"\"{name}\" is {InputError.Quote(text)}", "write all, kernels-share or part");
    }

    private bool TryReadNumber(string name, int min, int max, out int value)
    {
        value = 0;
        if (!Expect(JsonTokenType.Number, name, "a number"))
            return false;
        return (_reader.TryGetInt32(out value) && value >= min && value <= max)
            || Fail(OutOfRange, $"\"{name}\" is out of range", $"give one between {min} and {max}");
    }

    private bool TryReadAddress(string name, out ulong address)
    {
        address = 0;
        Span<char> buffer = stackalloc char[MaxPlainLength];
        if (TryPlain(buffer, out ReadOnlySpan<char> plain) && IsAddress(plain, out address))
            return true;
        const string form = "a hex string such as \"0x100000\"";
        if (!Expect(JsonTokenType.String, name, form) || !TryReadText(name, out string text))
            return false;
        return IsAddress(text, out address)
            || Fail(Malformed, $"\"{name}\" is {InputError.Quote(text)}, not a hex string of at most 64 bits", $"make it {form}");
    }

    private static bool IsAddress(ReadOnlySpan<char> text, out ulong address)
    {
        address = 0;
        TextCursor cursor = new(text);
        return cursor.TryText("0x") && cursor.TryHex(out address) && cursor.Rest.IsEmpty;
    }
}
