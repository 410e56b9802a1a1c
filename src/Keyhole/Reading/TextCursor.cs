// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Reading;

/// <summary>Reads a line from left to right; every try that fails leaves the cursor where it was.</summary>
internal ref struct TextCursor(ReadOnlySpan<char> text)
{
    /// <summary>What has not been read yet.</summary>
    public ReadOnlySpan<char> Rest { get; private set; } = text;

    public bool TryText(string expected)
    {
        if (!Rest.StartsWith(expected, StringComparison.Ordinal))
            return false;
        Rest = Rest[expected.Length..];
        return true;
    }

    public void SkipBlanks() => Rest = Rest.TrimStart(" \t");

    /// <summary>Reads up to 16 hex digits, all that stand there; more than 16 fail, unless they are leading zeros.</summary>
    public bool TryHex(out ulong value)
    {
        value = 0;
        int length = 0;
        while (length < Rest.Length)
        {
            if (!char.IsAsciiHexDigit(Rest[length]))
            {
                if (!SplitsDigits(Rest, length))
                    break;
                length++;
                continue;
            }

            if (value >> 60 != 0)
                return false;
            value = (value << 4) | Digit(Rest[length]);
            length++;
        }

        Rest = Rest[length..];
        return length > 0;
    }

    public bool TryDecimal(out uint value)
    {
        int length = 0;
        while (length < Rest.Length && char.IsAsciiDigit(Rest[length]))
            length++;
        if (!uint.TryParse(Rest[..length], out value))
            return false;
        Rest = Rest[length..];
        return true;
    }

    /// <summary>How many hex digits stand next.</summary>
    public readonly int HexRun()
    {
        int length = 0;
        int digits = 0;
        for (; length < Rest.Length; length++)
        {
            if (char.IsAsciiHexDigit(Rest[length]))
                digits++;
            else if (!SplitsDigits(Rest, length))
                break;
        }

        return digits;
    }

    /// <summary>A hex number as people write it: <c>7f49_f000</c>.</summary>
    /// <param name="digits">Without 0x; 16 at most, leading zeros among them.</param>
    public static bool TryHexNumber(ReadOnlySpan<char> digits, out ulong value)
    {
        const int most = 16;
        value = 0;
        TextCursor cursor = new(digits);
        return cursor.HexRun() <= most && cursor.TryHex(out value) && cursor.Rest.IsEmpty;
    }

    /// <summary>Whether a character is an underscore before four more digits, as people write long addresses: <c>0x7f49_f000</c>.</summary>
    private static bool SplitsDigits(ReadOnlySpan<char> text, int at)
    {
        const int group = 4;
        if (text[at] != '_' || at == 0 || text.Length - at <= group || !char.IsAsciiHexDigit(text[at - 1]))
            return false;
        for (int i = at + 1; i <= at + group; i++)
        {
            if (!char.IsAsciiHexDigit(text[i]))
                return false;
        }

        return text.Length - at == group + 1 || !char.IsAsciiLetterOrDigit(text[at + group + 1]);
    }

    /// <summary>What stands behind a mark in a line; false where the mark does not.</summary>
    public static bool TryBehind(ReadOnlySpan<char> line, string mark, out ReadOnlySpan<char> rest)
    {
        int at = line.IndexOf(mark, StringComparison.Ordinal);
        rest = at < 0 ? default : line[(at + mark.Length)..];
        return at >= 0;
    }

    /// <summary>The same with a cursor at what stands behind.</summary>
    public static bool TryBehind(ReadOnlySpan<char> line, string mark, out TextCursor rest)
    {
        bool isThere = TryBehind(line, mark, out ReadOnlySpan<char> behind);
        rest = new(behind);
        return isThere;
    }

    private static uint Digit(char c) => c <= '9' ? (uint)(c - '0') : (uint)((c | 0x20) - 'a' + 10);
}
