// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;

namespace Keyhole.Reading;

/// <summary>A small text as people paste it, out of a mail, a web page or a terminal, made the text that a program printed.</summary>
internal static class PastedText
{
    private static readonly string[] s_lineBreaks = ["<br />\n", "<br>\n", "<br />", "<br/>", "<br>"];

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
        if (TerminalText.IsIn(text))
        {
            char[] shown = new char[text.Length];
            text = new(shown, 0, TerminalText.Write(text, shown));
        }

        foreach (string lineBreak in s_lineBreaks)
            text = text.Replace(lineBreak, "\n", StringComparison.OrdinalIgnoreCase);
        var plain = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            if (PlainSigns.IsMarkdownsEscape(text.AsSpan(i)))
                continue;
            char meant = PlainSigns.Of(text[i]);
            if (text[i] == '&' && PlainSigns.TryEntity(text.AsSpan(i), out char named, out int length))
            {
                meant = named;
                i += length - 1;
            }

            if (meant != PlainSigns.Nothing)
                plain.Append(meant);
        }

        return plain.ToString();
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
}
