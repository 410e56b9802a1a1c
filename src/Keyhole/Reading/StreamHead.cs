// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Reading;

/// <summary>The first bytes of a stream, by which its form is guessed.</summary>
internal static class StreamHead
{
    public const int MaxLength = 16 * 1024;

    /// <summary>
    /// Reads the first bytes of a text that may be a mail's, packed, or in a support bundle. What the mail's encoding or JSON hides is decoded:
    /// <paramref name="stream"/> becomes what goes on behind the head that is returned.
    /// </summary>
    /// <param name="unread">Is told what of it could not be read, as far as it has been read.</param>
    /// <exception cref="System.IO.InvalidDataException">What is packed is damaged, or holds no log.</exception>
    public static ReadOnlyMemory<byte> ReadText(ref Stream stream, UnreadParts unread)
    {
        ReadOnlyMemory<byte> head = Read(stream);
        Bundle.Unwrap(ref head, ref stream, unread);
        if (JsonLogText.IsNeededFor(head.Span))
        {
            stream = new JsonLogText(head, stream);
            return Read(stream);
        }

        if (!MailText.IsNeededFor(head.Span))
            return head;
        stream = new MailText(head, stream, unread);
        return Read(stream);
    }

    /// <summary>Reads <see cref="MaxLength"/> bytes, or all there are.</summary>
    public static ReadOnlyMemory<byte> Read(Stream stream)
    {
        byte[] buffer = new byte[MaxLength];
        return buffer.AsMemory(0, stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false));
    }
}
