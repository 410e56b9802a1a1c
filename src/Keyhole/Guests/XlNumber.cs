// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Guests;

/// <summary>A number as xl reads it: C's strtol with base 0, and nothing behind the number.</summary>
internal enum XlNumberKind
{
    Valid,
    NotANumber,
    TooLarge,
}

internal static class XlNumber
{
    /// <summary>Decimal, <c>0x</c> hex or <c>0</c> octal, with white space and a sign in front.</summary>
    public static XlNumberKind Parse(ReadOnlySpan<char> text, out long value)
    {
        value = 0;
        text = text.TrimStart(" \t\n\v\f\r");
        bool negative = text is ['-', ..];
        if (text is ['-' or '+', ..])
            text = text[1..];
        uint numberBase = 10;
        if (text is ['0', 'x' or 'X', _, ..])
        {
            numberBase = 16;
            text = text[2..];
        }
        else if (text is ['0', ..])
        {
            numberBase = 8;
        }

        if (text.IsEmpty)
            return XlNumberKind.NotANumber;
        UInt128 magnitude = 0;
        UInt128 limit = (UInt128)long.MaxValue + (negative ? 1u : 0u);
        bool tooLarge = false;
        foreach (char c in text)
        {
            uint digit = c switch
            {
                >= '0' and <= '9' => (uint)(c - '0'),
                >= 'a' and <= 'f' => (uint)(c - 'a' + 10),
                >= 'A' and <= 'F' => (uint)(c - 'A' + 10),
                _ => uint.MaxValue,
            };
            if (digit >= numberBase)
                return XlNumberKind.NotANumber;
            // Digits are looked at to the end: rubbish behind a number that is too large makes it no number.
            if (!tooLarge)
                magnitude = (magnitude * numberBase) + digit;
            tooLarge = tooLarge || magnitude > limit;
        }

        if (tooLarge)
            return XlNumberKind.TooLarge;
        value = negative ? (long)-(Int128)magnitude : (long)magnitude;
        return XlNumberKind.Valid;
    }
}
