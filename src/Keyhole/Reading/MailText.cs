// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.IO;
using System.Text;

namespace Keyhole.Reading;

/// <summary>
/// A stored mail, a folder of them in one file (mbox), or text copied out of one: its quoted-printable and base64 parts are decoded as they are read,
/// what is packed in one is unpacked, and all else passes as it is. Line numbers stay those of the source, but for base64: behind a line that soft
/// breaks had cut, as many empty lines follow.
/// </summary>
/// <remarks>
/// No whole MIME reader: those keep the message, not its lines, and an error here names a line of the file. What follows from it: parts are told
/// apart by their header fields, not by the boundary that the mail announces, so that a part copied out of a mail is read as well.
/// </remarks>
internal sealed class MailText : Stream
{
    private const int BlockLength = 32 * 1024;
    private const string EncodingField = "Content-Transfer-Encoding:";

    private static readonly SearchValues<byte> s_alphabet =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="u8);

    private readonly Stream _source;
    private readonly byte[] _in = new byte[BlockLength];
    private readonly MemoryStream _out = new();
    private readonly PackedPart _part;
    private readonly AttachmentName _name = new();
    private ReadOnlyMemory<byte> _head;
    private int _start;
    private int _end;
    private bool _ended;
    private bool _inHeader;
    private bool _fieldGoesOn;
    private bool _wasBlank = true;
    private bool _wasBoundary;
    private Coding _coding;
    private int _heldFeeds;
    private uint _group;
    private int _groupLength;

    /// <summary>Lines taken so far, and the first of the header that was read last.</summary>
    private int _number;
    private int _headerNumber = 1;

    /// <summary>Whether a boundary stands before the part that is read: one behind it is to be there, too.</summary>
    private bool _isBounded;

    /// <summary>Whether the base64 of the part has come to its end.</summary>
    private bool _isPadded;

    private enum Coding
    {
        Identity,
        QuotedPrintable,
        Base64,
    }

    /// <param name="head">What has been read from the stream already.</param>
    /// <param name="source">The rest.</param>
    /// <param name="unread">Is told of attachments that cannot be read.</param>
    public MailText(ReadOnlyMemory<byte> head, Stream source, UnreadParts unread)
    {
        _part = new(unread);
        _source = source;
        _head = head;
        if (IsMail(head.Span))
            _inHeader = StartsWithField(head.Span);
        else
            _coding = Coding.QuotedPrintable;
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <summary>Whether the text is to be read through this: a mail's header names an encoding, or all that it says is quoted-printable.</summary>
    public static bool IsNeededFor(ReadOnlySpan<byte> head) => IsMail(head) || IsQuotedPrintable(head);

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        while (_out.Position == _out.Length)
        {
            _out.SetLength(0);
            if (!TryTakeLine())
                return 0;
            _out.Position = 0;
        }

        return _out.Read(buffer);
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _source.Dispose();
            _part.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>Whether it is a stored mail, or one of its parts is encoded.</summary>
    public static bool IsMail(ReadOnlySpan<byte> head)
    {
        bool isStored = StartsWithField(head);
        foreach (Range at in head.Split((byte)'\n'))
        {
            ReadOnlySpan<byte> line = head[at];
            if (StartsWith(line, EncodingField) && CodingOf(line[EncodingField.Length..]) != Coding.Identity)
                return true;
            if (isStored && (StartsWith(line, "Message-ID:") || StartsWith(line, "Received:")))
                return true;
        }

        return false;
    }

    /// <summary>"From " of an mbox, or a header's field: a name of letters and hyphens, a colon and a blank.</summary>
    private static bool StartsWithField(ReadOnlySpan<byte> head)
    {
        const int longestName = 60;
        head = head.TrimStart("\r\n"u8);
        int length = head.IndexOf((byte)':');
        if (head.StartsWith("From "u8))
            return true;
        if (length is <= 1 or > longestName || !head[(length + 1)..].StartsWith(" "u8))
            return false;
        foreach (byte next in head[..length])
        {
            if (!char.IsAsciiLetter((char)next) && next != (byte)'-')
                return false;
        }

        return true;
    }

    /// <summary>
    /// Whether text without a header is quoted-printable throughout: each of its equals signs begins an escape or ends a line, and there are some. A
    /// boot log as it is has options such as console=hvc0 in it.
    /// </summary>
    private static bool IsQuotedPrintable(ReadOnlySpan<byte> head)
    {
        const int longestLine = 76;
        int escapes = 0;
        int lineStart = 0;
        for (int i = 0; i < head.Length; i++)
        {
            if (head[i] == (byte)'\n')
            {
                lineStart = i + 1;
                continue;
            }

            if (head[i] != (byte)'=')
                continue;
            if (i + 2 >= head.Length)
                break;
            bool endsLine = head[i + 1] == (byte)'\n' || (head[i + 1] == (byte)'\r' && head[i + 2] == (byte)'\n');
            bool isEscape = IsHexDigit(head[i + 1]) && IsHexDigit(head[i + 2]);
            if (!isEscape && !endsLine)
                return false;
            // An option's value may look like an escape; what quoted-printable itself has to escape does not.
            bool isTelling = endsLine
                ? i - lineStart is > 60 and <= longestLine
                : head[i..].StartsWith("=3D"u8) || head[i..].StartsWith("=C2=A0"u8) || head[i..].StartsWith("=E2=80="u8)
                    || head[i..].StartsWith("=20\n"u8) || head[i..].StartsWith("=20\r"u8);
            escapes += isTelling ? 1 : 0;
        }

        return escapes > 0;
    }

    private static bool IsHexDigit(byte value) => value is (>= (byte)'0' and <= (byte)'9') or (>= (byte)'A' and <= (byte)'F');

    private static Coding CodingOf(ReadOnlySpan<byte> value)
    {
        value = value.Trim(" \t\r\""u8);
        if (Ascii.EqualsIgnoreCase(value, "quoted-printable"))
            return Coding.QuotedPrintable;
        return Ascii.EqualsIgnoreCase(value, "base64") ? Coding.Base64 : Coding.Identity;
    }

    private static bool StartsWith(ReadOnlySpan<byte> text, string words) =>
        text.Length >= words.Length && Ascii.EqualsIgnoreCase(text[..words.Length], words);

    /// <summary>Reads one line, or a piece of one that is longer than a block, and writes what it says. False at the end.</summary>
    private bool TryTakeLine()
    {
        while (true)
        {
            ReadOnlySpan<byte> rest = _in.AsSpan(_start, _end - _start);
            int feed = rest.IndexOf((byte)'\n');
            if (feed >= 0)
            {
                _start += feed + 1;
                Take(rest[..feed].TrimEnd((byte)'\r'), hasFeed: true);
                return true;
            }

            if (rest.Length == _in.Length || (_ended && !rest.IsEmpty))
            {
                _start = _end;
                Take(rest, hasFeed: false);
                return true;
            }

            if (_ended)
            {
                if (_coding == Coding.Base64 && !_inHeader && _isBounded)
                    _part.Damage("the mail ends before it does");
                FlushHeld();
                return _out.Length > 0;
            }

            rest.CopyTo(_in);
            _end = rest.Length;
            _start = 0;
            int read = ReadSource(_in.AsSpan(_end));
            _ended = read == 0;
            _end += read;
        }
    }

    private int ReadSource(Span<byte> buffer)
    {
        if (_head.IsEmpty)
            return _source.Read(buffer);
        int count = Math.Min(_head.Length, buffer.Length);
        _head.Span[..count].CopyTo(buffer);
        _head = _head[count..];
        return count;
    }

    private void Take(ReadOnlySpan<byte> line, bool hasFeed)
    {
        _number++;
        bool isHeaders = _inHeader || BeginsHeader(line);
        _wasBlank = line.IsEmpty;
        _wasBoundary = line.Length > 8 && line.StartsWith("--"u8) && !line.Contains((byte)' ');
        if (isHeaders)
            TakeField(line);
        if (isHeaders || _coding == Coding.Identity)
        {
            Pass(line, hasFeed);
            if (isHeaders && !_inHeader && _coding == Coding.Base64)
            {
                _part.Begin(_name.Told(_headerNumber));
                _isPadded = false;
            }
        }
        else if (_coding == Coding.QuotedPrintable)
        {
            Unquote(line, hasFeed);
        }
        else if (!TryDecode(line))
        {
            _coding = Coding.Identity;
            Pass(line, hasFeed);
        }
    }

    private bool BeginsHeader(ReadOnlySpan<byte> line)
    {
        bool begins = (_wasBoundary && StartsWith(line, "Content-")) || (_wasBlank && line.StartsWith("From "u8))
            || (_coding == Coding.Identity && StartsWith(line, EncodingField));
        if (begins)
        {
            _isBounded = _wasBoundary;
            _headerNumber = _number;
            _name.Clear();
            FlushHeld();
            _inHeader = true;
            _coding = Coding.Identity;
        }

        return begins;
    }

    private void TakeField(ReadOnlySpan<byte> line)
    {
        if (line.IsEmpty)
        {
            _inHeader = false;
            return;
        }

        bool isFolded = line[0] is (byte)' ' or (byte)'\t';
        _name.TakeField(line, isFolded);
        if (StartsWith(line, EncodingField))
            _coding = CodingOf(line[EncodingField.Length..]);
        else if (isFolded && _fieldGoesOn)
            _coding = CodingOf(line);
        _fieldGoesOn = StartsWith(line, EncodingField) && line[EncodingField.Length..].Trim((byte)' ').IsEmpty;
    }

    private void Pass(ReadOnlySpan<byte> line, bool hasFeed)
    {
        FlushHeld();
        _out.Write(line);
        if (hasFeed)
            _out.WriteByte((byte)'\n');
    }

    private void Unquote(ReadOnlySpan<byte> line, bool hasFeed)
    {
        if (hasFeed)
            line = line.TrimEnd(" \t"u8);
        bool isSoft = hasFeed && line.EndsWith("="u8);
        if (isSoft)
            line = line[..^1];
        while (!line.IsEmpty)
        {
            int at = line.IndexOf((byte)'=');
            if (at < 0)
                at = line.Length;
            _out.Write(line[..at]);
            line = line[at..];
            if (line.IsEmpty)
                break;
            bool isEscape = line.Length >= 3 && char.IsAsciiHexDigit((char)line[1]) && char.IsAsciiHexDigit((char)line[2]);
            _out.WriteByte(isEscape ? (byte)((HexValue(line[1]) << 4) | HexValue(line[2])) : line[0]);
            line = line[(isEscape ? 3 : 1)..];
        }

        if (isSoft)
        {
            _heldFeeds++;
            return;
        }

        if (hasFeed)
        {
            _out.WriteByte((byte)'\n');
            FlushHeld();
        }
    }

    private static int HexValue(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    /// <summary>False where the line is none of the part's: a boundary, or what a mailing list has added behind the end of the base64. A garbled line
    /// is left out whole, since the others then keep their bytes.</summary>
    private bool TryDecode(ReadOnlySpan<byte> line)
    {
        if (line.StartsWith("--"u8))
            return false;
        if (line.Trim("> |\t\0"u8).ContainsAnyExcept(s_alphabet))
        {
            if (_isPadded)
                return false;
            _part.Damage($"line {_number} is no base64");
            return true;
        }

        foreach (byte next in line)
        {
            int value = next switch
            {
                >= (byte)'A' and <= (byte)'Z' => next - 'A',
                >= (byte)'a' and <= (byte)'z' => next - 'a' + 26,
                >= (byte)'0' and <= (byte)'9' => next - '0' + 52,
                (byte)'+' => 62,
                (byte)'/' => 63,
                _ => -1,
            };
            if (value < 0)
                continue;
            _group = (_group << 6) | (uint)value;
            if (++_groupLength == 4)
                FlushGroup(3);
        }

        // A group is cut short by '=' only at the end of its part.
        if (line.EndsWith("="u8))
        {
            FlushGroup(Math.Max(0, _groupLength - 1));
            _isPadded = true;
        }

        return true;
    }

    private void FlushGroup(int bytes)
    {
        uint group = _group << (6 * (4 - _groupLength));
        for (int i = 0; i < bytes; i++)
            _part.Write((byte)((group >> (16 - (8 * i))) & 0xff), _out);
        _group = 0;
        _groupLength = 0;
    }

    private void FlushHeld()
    {
        // One character alone is no byte.
        if (_groupLength == 1)
            _part.Damage("its base64 is cut short");
        if (_groupLength > 0)
            FlushGroup(_groupLength - 1);
        _part.End(_out);
        for (; _heldFeeds > 0; _heldFeeds--)
            _out.WriteByte((byte)'\n');
    }
}
