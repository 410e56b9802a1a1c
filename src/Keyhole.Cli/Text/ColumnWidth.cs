// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Text;

namespace Keyhole.Cli.Text;

/// <summary>How many columns of a terminal a text takes: names of guests and files may be of any script.</summary>
internal static class ColumnWidth
{
    /// <summary>The blocks of characters that take two columns each, first and last, in order (Unicode's East Asian Width, W and F).</summary>
    private static ReadOnlySpan<int> Wide =>
    [
        0x1100, 0x115f, 0x231a, 0x231b, 0x2329, 0x232a, 0x23e9, 0x23ec, 0x2e80, 0x303e, 0x3041, 0x33ff, 0x3400, 0x4dbf, 0x4e00, 0x9fff, 0xa000,
        0xa4cf, 0xa960, 0xa97f,
        0xac00, 0xd7a3, 0xf900, 0xfaff, 0xfe10, 0xfe19, 0xfe30, 0xfe6f, 0xff01, 0xff60, 0xffe0, 0xffe6, 0x17000, 0x18cff, 0x1b000, 0x1b2ff, 0x1f300,
        0x1f64f, 0x1f680, 0x1f6ff,
        0x1f900, 0x1faff, 0x20000, 0x3fffd,
    ];

    public static int Of(ReadOnlySpan<char> text)
    {
        if (Ascii.IsValid(text))
            return text.Length;
        int columns = 0;
        foreach (Rune rune in text.EnumerateRunes())
            columns += Of(rune);
        return columns;
    }

    private static int Of(Rune rune)
    {
        if (Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark)
            return 0;
        for (int i = 0; i < Wide.Length && rune.Value >= Wide[i]; i += 2)
        {
            if (rune.Value <= Wide[i + 1])
                return 2;
        }

        return 1;
    }
}
