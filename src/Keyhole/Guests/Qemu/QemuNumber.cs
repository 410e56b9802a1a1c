// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>Numbers as QEMU's options spell them.</summary>
internal static class QemuNumber
{
    /// <summary>A size in bytes: 16G, 512m, 0x1000, 4096. A fraction in front of a suffix (1.5G) is read too. False for anything else and beyond
    /// 2^64.</summary>
    public static bool TrySize(ReadOnlySpan<char> text, out ulong bytes)
    {
        bytes = 0;
        text = text.Trim();
        if (text.IsEmpty)
            return false;
        bool isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        int shift = 0;
        if (isHex ? !char.IsAsciiHexDigit(text[^1]) : !char.IsAsciiDigit(text[^1]))
        {
            shift = Shift(text[^1]);
            if (shift < 0)
                return false;
            text = text[..^1];
        }

        if (isHex)
            return ulong.TryParse(text[2..], NumberStyles.AllowHexSpecifier, null, out bytes) && TryShift(ref bytes, shift);
        if (text.IndexOf('.') < 0)
            return ulong.TryParse(text, NumberStyles.None, null, out bytes) && TryShift(ref bytes, shift);
        const double limit = 1UL << 63;
        if (shift == 0 || !double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)
            || value * (1UL << shift) >= limit)
            return false;
        bytes = (ulong)(value * (1UL << shift));
        return true;
    }

    /// <summary>What a switch means; null where it is none.</summary>
    public static bool? Switch(string? text) => text switch
    {
        "on" or "yes" or "true" or "y" => true,
        "off" or "no" or "false" or "n" => false,
        _ => null,
    };

    private static bool TryShift(ref ulong value, int shift)
    {
        if (value > ulong.MaxValue >> shift)
            return false;
        value <<= shift;
        return true;
    }

    /// <summary>log2 of a suffix; −1 where the character is none.</summary>
    private static int Shift(char suffix) => (char)(suffix | 0x20) switch
    {
        'b' => 0,
        'k' => 10,
        'm' => 20,
        'g' => 30,
        't' => 40,
        'p' => 50,
        'e' => 60,
        _ => -1,
    };
}
