// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Reading;

/// <summary>A line that a mail program may have cited.</summary>
internal static class CitedLine
{
    /// <summary>Takes away what mail programs put before lines that they cite (<c>&gt; &gt;&gt; </c>): blanks behind it are the text's own.</summary>
    public static ReadOnlySpan<char> Unmarked(ReadOnlySpan<char> line)
    {
        int text = line.IndexOfAnyExcept('>', ' ');
        int mark = text <= 0 ? -1 : line[..text].LastIndexOf('>');
        if (mark < 0)
            return line;
        line = line[(mark + 1)..];
        return line.StartsWith(' ') ? line[1..] : line;
    }
}
