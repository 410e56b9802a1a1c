// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;

namespace Keyhole.Reading;

/// <summary>A small text as people paste it, out of a mail, a web page or a terminal, made the text that a program printed.</summary>
internal static class PastedText
{
    private static readonly (string Written, string Meant)[] s_writings =
    [
        ("<br />", "\n"), ("<br/>", "\n"), ("<br>", "\n"), ("&nbsp;", " "), ("&#160;", " "), ("\u00a0", " "), ("&lt;", "<"), ("&#60;", "<"),
        ("&gt;", ">"), ("&#62;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&ndash;", "-"), ("&#8211;", "-"),
        ("\u2013", "-"), ("\u2019", "'"), ("&rsquo;", "'"), ("&#8217;", "'"), ("\u200b", ""),
        ("\ufeff", ""), ("&amp;", "&"),
    ];

    /// <summary>The stream with what a mail's encoding hides decoded.</summary>
    /// <param name="unread">Is told what of it could not be read, as far as it has been read.</param>
    public static Stream Decoded(Stream stream, UnreadParts unread)
    {
        ReadOnlyMemory<byte> head = StreamHead.Read(stream);
        return MailText.IsNeededFor(head.Span) ? new MailText(head, stream, unread) : new PrefixedStream(head, stream);
    }

    /// <summary>The text without colours, with plain blanks and dashes, what a web page writes for signs as those; lines keep their numbers but where
    /// a page's line breaks make them.</summary>
    public static string Plain(string text)
    {
        text = WithoutColours(text).Replace("<br>\n", "\n", StringComparison.Ordinal).Replace("<br />\n", "\n", StringComparison.Ordinal);
        foreach ((string written, string meant) in s_writings)
            text = text.Replace(written, meant, StringComparison.Ordinal);
        return text;
    }

    /// <summary>
    /// A line without what stands before a quoted text: marks of a citation, of a list or a change, a forum's <c>[code]</c>, a page's
    /// <c>&lt;pre&gt;</c>, blanks.
    /// </summary>
    public static ReadOnlySpan<char> WithoutMarkup(ReadOnlySpan<char> line)
    {
        while (true)
        {
            line = line.TrimStart(" \t>|*+\u2502");
            bool isTag = line.Length > 2 && line[0] is '[' or '<' && (char.IsAsciiLetter(line[1]) || line[1] == '/');
            int close = isTag ? line.IndexOf(line[0] == '[' ? ']' : '>') : -1;
            if (close < 0)
                return line;
            line = line[(close + 1)..];
        }
    }

    private static string WithoutColours(string text)
    {
        const char escape = '\x1b';
        if (!text.Contains(escape, StringComparison.Ordinal))
            return text;
        var plain = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != escape)
            {
                plain.Append(text[i]);
                continue;
            }

            // ESC [ parameters final, or ESC and one character.
            i++;
            if (i < text.Length && text[i] == '[')
            {
                i++;
                while (i < text.Length && text[i] is < '@' or > '~')
                    i++;
            }
        }

        return plain.ToString();
    }
}
