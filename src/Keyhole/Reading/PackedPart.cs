// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Reading;

/// <summary>
/// The bytes of a mail's base64 part: text passes as it comes, and what is packed (a log that was attached as xl-dmesg.txt.gz, an archive) is kept
/// until its end and passes unpacked. What is damaged, too long or holds no log is passed over, as other attachments are.
/// </summary>
internal sealed class PackedPart : IDisposable
{
    private const int MaxPartBytes = 32 << 20;

    /// <summary>Of all parts of a mail, or of a folder of mails.</summary>
    private const long MaxUnpackedBytes = 256L << 20;

    /// <summary>So many bytes tell how something is packed.</summary>
    private const int HeadLength = 6;

    private readonly MemoryStream _bytes = new();
    private long _left = MaxUnpackedBytes;
    private State _state;

    private enum State
    {
        Text,
        Begun,
        Packed,
        TooLong,
    }

    public void Begin() => _state = State.Begun;

    public void Dispose() => _bytes.Dispose();

    public void Write(byte next, MemoryStream text)
    {
        if (_state == State.TooLong)
            return;
        if (_state == State.Text)
        {
            text.WriteByte(next);
            return;
        }

        _bytes.WriteByte(next);
        if (_state == State.Begun && _bytes.Length == HeadLength)
        {
            if (IsPacked(_bytes.GetBuffer()))
                _state = State.Packed;
            else
                End(text);
        }
        else if (_bytes.Length > MaxPartBytes)
        {
            _state = State.TooLong;
        }
    }

    /// <summary>Ends the part. Where none was begun, or it was of text, nothing is left to be done.</summary>
    public void End(MemoryStream text)
    {
        if (_state == State.Begun)
            _bytes.WriteTo(text);
        else if (_state == State.Packed)
            Unpack(text);
        _state = State.Text;
        _bytes.SetLength(0);
    }

    private static bool IsPacked(ReadOnlySpan<byte> head) => PackedForm.Of(head) is not null || head.StartsWith("PK\x03\x04"u8);

    private void Unpack(MemoryStream text)
    {
        long start = text.Length;
        try
        {
            _bytes.Position = 0;
            Stream rest = _bytes;
            ReadOnlyMemory<byte> head = StreamHead.Read(rest);
            Bundle.Unwrap(ref head, ref rest);
            Copy(new PrefixedStream(head, rest), text, start);
            text.WriteByte((byte)'\n');
        }
        catch (InvalidDataException)
        {
            text.SetLength(start);
        }

        _left -= text.Length - start;
    }

    private void Copy(PrefixedStream from, MemoryStream text, long start)
    {
        long most = Math.Min(MaxPartBytes, _left);
        byte[] block = new byte[StreamHead.MaxLength];
        while (from.Read(block) is > 0 and var read)
        {
            text.Write(block, 0, read);
            if (text.Length - start > most)
                throw new InvalidDataException("it holds more than is ever read");
        }
    }
}
