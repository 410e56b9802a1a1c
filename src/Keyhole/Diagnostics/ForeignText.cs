// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Globalization;
using System.Text;

namespace Keyhole.Diagnostics;

/// <summary>
/// Text that others wrote (names, logs, files' names) on its way to a terminal or a file. What steers a terminal, turns the direction of writing,
/// takes no room or begins a line would let it say something in Keyhole's name: each such character is shown as <see cref="Hidden"/>.
/// </summary>
public static class ForeignText
{
    /// <summary>What stands for a character that is not shown.</summary>
    public const char Hidden = '?';

    /// <summary>The text as a part of one line: line ends are not shown either, a tab is a space.</summary>
    public static string OneLine(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return IsHarmless(text) ? text : Shown(text);
    }

    /// <inheritdoc cref="OneLine(string)"/>
    public static string OneLine(ReadOnlySpan<char> text) => IsHarmless(text) ? text.ToString() : Shown(text);

    private static string Shown(ReadOnlySpan<char> text)
    {
        if (AsUtf8(text) is { } decoded)
            text = decoded;
        var shown = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            // An unpaired surrogate comes out of the enumeration as U+FFFD.
            _ = rune.Value == '\t' ? shown.Append(' ') : IsHidden(rune) ? shown.Append(Hidden) : shown.Append(rune);
        }

        return shown.ToString();
    }

    /// <summary>Logs are read byte by byte, a character each: where the bytes beyond ASCII are all UTF-8, what they mean. A character that is cut at
    /// the end is left out. Null where there is a byte that is not, or a character that is no byte.</summary>
    private static string? AsUtf8(ReadOnlySpan<char> text)
    {
        if (text.ContainsAnyExceptInRange('\0', '\u00ff'))
            return null;
        byte[] bytes = Encoding.Latin1.GetBytes(text.ToString());
        var decoded = new StringBuilder(text.Length);
        for (ReadOnlySpan<byte> rest = bytes; !rest.IsEmpty;)
        {
            OperationStatus status = Rune.DecodeFromUtf8(rest, out Rune rune, out int length);
            if (status == OperationStatus.InvalidData)
                return null;
            if (status == OperationStatus.NeedMoreData)
                break;
            decoded.Append(rune);
            rest = rest[length..];
        }

        return decoded.ToString();
    }

    /// <summary>Whether a character has no shape of its own: controls (C0, DEL, C1), marks that turn the direction of writing, what has no width, and
    /// line ends of any kind.</summary>
    public static bool IsHidden(Rune rune)
    {
        if (rune.IsAscii)
            return rune.Value is < ' ' or 0x7f;
        return Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator
            // Letters and marks that Unicode calls ignorable, of which nothing is seen, and what stands for broken Unicode.
            || rune.Value is 0xfffd or 0x034f or 0x115f or 0x1160 or 0x17b4 or 0x17b5 or (>= 0x180b and <= 0x180f) or 0x2800 or 0x3164 or (>= 0xfe00
                and <= 0xfe0f) or 0xffa0
                or (>= 0xe0000 and <= 0xe0fff);
    }

    /// <summary>Beyond ASCII <see cref="Shown"/> looks closer: few texts have it.</summary>
    private static bool IsHarmless(ReadOnlySpan<char> text) => !text.ContainsAnyExceptInRange(' ', '~');
}
