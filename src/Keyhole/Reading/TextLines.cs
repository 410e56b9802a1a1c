// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.IO;
using System.Linq;
using System.Text;

namespace Keyhole.Reading;

/// <summary>How the bytes of a text stream become characters. Everything Keyhole looks for is ASCII, so UTF-8 is read as Latin-1.</summary>
internal enum TextForm
{
    EightBit,
    Utf16LittleEndian,
    Utf16BigEndian,
}

/// <summary>
/// The lines of a stream of any length in bounded memory: line feeds end lines (carriage returns in a text that has no line feeds), carriage
/// returns around them, leading NULs and ANSI colour codes are taken away, what a web page or word processor writes for blanks, dashes, brackets and
/// line breaks is read as such, and what is longer than <see cref="MaxLineLength"/> is cut.
/// </summary>
internal sealed class TextLines
{
    /// <summary>Characters kept of a line. Log lines that matter have fewer than 200; the rest of a longer one is skipped.</summary>
    public const int MaxLineLength = 16 * 1024;

    private const int BlockLength = 32 * 1024;
    private const char Escape = '\x1b';

    /// <summary>All bytes of a character in UTF-8 but its first.</summary>
    private const char FirstTrail = '\u0080';
    private const char LastTrail = '\u00bf';

    /// <summary>Before what Markdown takes for its own marks somebody has to write one.</summary>
    private const char Backslash = '\\';
    /// <summary>How a web page's line break begins.</summary>
    private const string LineBreak = "<br";

    /// <summary>What web pages write for blanks in the middle of words that are looked for.</summary>
    private static readonly string[] s_covers = ["&nbsp;", "&#"];

    /// <summary>The characters of which one stands in all that is made plain: those that end a character of UTF-8, read as Latin-1, are among
    /// them.</summary>
    private static readonly SearchValues<char> s_signs =
        SearchValues.Create([Escape, '\b', '&', .. Enumerable.Range(FirstTrail, LastTrail - FirstTrail + 1).Select(static trail => (char)trail)]);

    private readonly Stream _stream;
    private readonly TextForm _form;
    private readonly bool _endsLinesWithReturns;
    private readonly bool _hasLineBreaks;
    private readonly byte[] _bytes = new byte[BlockLength];
    private readonly char[] _line = new char[MaxLineLength];
    private readonly char[] _window = new char[MaxLineLength + BlockLength];
    private ReadOnlyMemory<byte> _head;
    private int _oddByte = -1;

    /// <summary>Whether what has been read holds something that hides words: colours, a web page's blanks.</summary>
    private bool _hasCovers;
    private int _position;
    private int _length;
    private bool _dropping;
    private bool _ended;

    /// <param name="head">What has been read from the stream already.</param>
    /// <param name="stream">The rest.</param>
    public TextLines(ReadOnlyMemory<byte> head, Stream stream)
    {
        _stream = stream;
        _form = FormOf(head.Span, out int markLength);
        _head = head[markLength..];
        _hasLineBreaks = head.Span.IndexOf("<br>"u8) >= 0 || head.Span.IndexOf("<br/>"u8) >= 0 || head.Span.IndexOf("<br />"u8) >= 0;
        int firstReturn = head.Span.IndexOf((byte)'\r');
        // A carriage return at the very end may be one of a pair.
        _endsLinesWithReturns = firstReturn >= 0 && firstReturn < head.Length - 2 && !head.Span.Contains((byte)'\n');
    }

    /// <summary>1-based number of the line that was read last; stays at int.MaxValue in streams with more lines.</summary>
    public int Number { get; private set; }

    /// <summary>Whether the line that was read last ended in a line feed. Only the last line of a stream can lack it.</summary>
    public bool Terminated { get; private set; }

    /// <summary>Guesses the form from the first bytes: by a byte order mark, or because every other byte of them is 0.</summary>
    public static TextForm FormOf(ReadOnlySpan<byte> head, out int markLength)
    {
        markLength = 2;
        if (head.StartsWith((ReadOnlySpan<byte>)[0xff, 0xfe]))
            return TextForm.Utf16LittleEndian;
        if (head.StartsWith((ReadOnlySpan<byte>)[0xfe, 0xff]))
            return TextForm.Utf16BigEndian;
        markLength = head.StartsWith((ReadOnlySpan<byte>)[0xef, 0xbb, 0xbf]) ? 3 : 0;

        const int looked = 512;
        ReadOnlySpan<byte> sample = head[..Math.Min(head.Length, looked)];
        int even = 0;
        int odd = 0;
        for (int i = 0; i + 1 < sample.Length; i += 2)
        {
            bool evenIsText = sample[i] is (>= 0x20 and < 0x7f) or (byte)'\n' or (byte)'\r' or (byte)'\t';
            bool oddIsText = sample[i + 1] is (>= 0x20 and < 0x7f) or (byte)'\n' or (byte)'\r' or (byte)'\t';
            even += evenIsText && sample[i + 1] == 0 ? 1 : 0;
            odd += oddIsText && sample[i] == 0 ? 1 : 0;
        }

        int pairs = sample.Length / 2;
        if (pairs >= 8 && even * 10 >= pairs * 9)
            return TextForm.Utf16LittleEndian;
        if (pairs >= 8 && odd * 10 >= pairs * 9)
            return TextForm.Utf16BigEndian;
        return TextForm.EightBit;
    }

    /// <summary>Reads the next line. It stays valid until the next call.</summary>
    public bool TryRead(out ReadOnlySpan<char> line)
    {
        while (true)
        {
            ReadOnlySpan<char> rest = _window.AsSpan(_position, _length - _position);
            int feed = rest.IndexOf('\n');
            if (feed >= 0)
            {
                _position += feed + 1;
                return Take(rest[..feed], terminated: true, out line);
            }

            if (_ended)
            {
                _position = _length;
                line = default;
                return !rest.IsEmpty && Take(rest, terminated: false, out line);
            }

            Fill();
        }
    }

    /// <summary>
    /// Passes over lines without any word of either list, at the speed of the search; <see cref="TryRead"/> then gives the line found.
    /// Two lists, because the search for few words is more than twice as fast as that for many.
    /// </summary>
    public void SkipTo(SearchValues<string> words, SearchValues<string> otherWords)
    {
        // Whole lines of about this length are searched at once: what is searched in vain behind a hit is searched again.
        const int stretch = 4096;
        while (true)
        {
            if (_hasCovers)
                return;
            ReadOnlySpan<char> rest = _window.AsSpan(_position, _length - _position);
            int end = rest[..Math.Min(rest.Length, stretch)].LastIndexOf('\n') + 1;
            if (end == 0)
                end = rest.IndexOf('\n') + 1;
            if (end == 0)
            {
                if (_ended)
                    return;
                Fill();
                continue;
            }

            ReadOnlySpan<char> lines = rest[..end];
            int hit = lines.IndexOfAny(words);
            int otherHit = lines[..(hit < 0 ? end : hit)].IndexOfAny(otherWords);
            hit = otherHit < 0 ? hit : otherHit;
            int passed = hit < 0 ? end : lines[..hit].LastIndexOf('\n') + 1;
            Count(lines[..passed].Count('\n'));
            _position += passed;
            if (hit >= 0)
                return;
        }
    }

    private bool Take(ReadOnlySpan<char> raw, bool terminated, out ReadOnlySpan<char> line)
    {
        Count(1);
        Terminated = terminated;
        line = raw.Trim("\r\0");
        if (line.Length > MaxLineLength)
            line = line[..MaxLineLength];
        if (TerminalText.IsIn(line))
            line = _line.AsSpan(0, TerminalText.Write(line, _line));
        if (line.Contains('&') || line.Contains(Backslash))
            line = WithoutEntities(line);
        return true;
    }

    private void Count(int lines) => Number = (int)Math.Min(int.MaxValue, (long)Number + lines);

    /// <summary>Without what web pages write for signs, and without the backslashes of Markdown before brackets and dashes. In place.</summary>
    private ReadOnlySpan<char> WithoutEntities(ReadOnlySpan<char> line)
    {
        int kept = 0;
        for (int i = 0; i < line.Length; i++)
        {
            char next = line[i];
            if (next == '&' && PlainSigns.TryEntity(line[i..], out char meant, out int length))
            {
                i += length - 1;
                if (meant == PlainSigns.Nothing)
                    continue;
                next = meant;
            }
            else if (PlainSigns.IsMarkdownsEscape(line[i..]))
            {
                continue;
            }

            _line[kept++] = next;
        }

        return _line.AsSpan(0, kept);
    }

    /// <summary>
    /// Makes plain signs of what web pages and word processors write for them, and line feeds of a page's line breaks, from
    /// <paramref name="from"/> to the end of what has been read.
    /// </summary>
    private void Soften(int from)
    {
        int kept = from;
        for (int i = from; i < _length; i++)
        {
            char next = _window[i];
            ReadOnlySpan<char> before = _window.AsSpan(0, kept);
            if (next is >= FirstTrail and <= LastTrail)
            {
                next = Plain(next, before, out int lead);
                kept -= lead;
                if (next == PlainSigns.Nothing)
                    continue;
            }
            else if (next == '>' && _hasLineBreaks && LineBreakAtEndOf(before) is > 0 and int length)
            {
                kept -= length;
                // A page's source mostly has a line feed of its own there.
                if (i + 1 < _length && _window[i + 1] is '\n' or '\r')
                    continue;
                next = '\n';
            }

            _window[kept++] = next;
        }

        _length = kept;
    }

    /// <summary>What is meant by the character that a byte ends, and how many of those before it belong to that; the byte itself where nothing else
    /// is meant.</summary>
    private static char Plain(char trail, ReadOnlySpan<char> before, out int lead)
    {
        const char leadOfTwo = '\u00c2';
        lead = 0;
        if (before.IsEmpty || before[^1] < FirstTrail)
            return PlainSigns.OfWindows(trail);
        char written = trail;
        if (before[^1] == leadOfTwo)
            lead = 1;
        else if (before.Length > 1 && before[^2] is '\u00e2' or '\u00e3' or '\u00ef' && before[^1] is >= FirstTrail and <= LastTrail)
            (lead, written) = (2, (char)(((before[^2] & 0xf) << 12) | ((before[^1] & 0x3f) << 6) | (trail & 0x3f)));
        if (lead == 0 || PlainSigns.Of(written) is var meant && meant == written)
        {
            lead = 0;
            return trail;
        }

        return meant;
    }

    /// <summary>How long <c>&lt;br</c>, <c>&lt;br/</c> or <c>&lt;br /</c> at the end of a text is; 0 where there is none.</summary>
    private static int LineBreakAtEndOf(ReadOnlySpan<char> text)
    {
        ReadOnlySpan<char> tag = text.TrimEnd('/').TrimEnd(' ');
        return tag.EndsWith(LineBreak, StringComparison.OrdinalIgnoreCase) ? text.Length - tag.Length + LineBreak.Length : 0;
    }

    /// <summary>Moves the unfinished line to the front and reads on behind it.</summary>
    private void Fill()
    {
        int kept = _length - _position;
        if (kept > MaxLineLength)
        {
            kept = MaxLineLength;
            _dropping = true;
        }

        Array.Copy(_window, _position, _window, 0, kept);
        _position = 0;
        _length = kept;
        int read = ReadBytes();
        if (read == 0)
        {
            _ended = true;
            return;
        }

        ReadOnlySpan<byte> bytes = _bytes.AsSpan(0, read);
        if (_form != TextForm.EightBit)
            bytes = Narrow(bytes);
        if (_endsLinesWithReturns)
            _bytes.AsSpan(0, bytes.Length).Replace((byte)'\r', (byte)'\n');
        if (_dropping)
        {
            int feed = bytes.IndexOf((byte)'\n');
            _dropping = feed < 0;
            bytes = feed < 0 ? [] : bytes[feed..];
        }

        Encoding.Latin1.GetChars(bytes, _window.AsSpan(kept));
        _length = kept + bytes.Length;
        // All of that is rare, and one look is what other texts pay.
        if (_hasLineBreaks || _window.AsSpan(kept, _length - kept).ContainsAny(s_signs))
        {
            Soften(kept);
            kept = _length;
        }

        // One may begin in what was there already.
        const int longestCover = 8;
        _hasCovers = HasCovers(_window.AsSpan(0, Math.Min(_length, kept + longestCover)));
    }

    private static bool HasCovers(ReadOnlySpan<char> text)
    {
        if (text.ContainsAny(Escape, '\b'))
            return true;
        if (!text.Contains('&'))
            return false;
        foreach (string cover in s_covers)
        {
            if (text.Contains(cover, StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    private int ReadBytes()
    {
        if (_head.IsEmpty)
            return _stream.Read(_bytes);
        int count = Math.Min(_head.Length, _bytes.Length);
        _head.Span[..count].CopyTo(_bytes);
        _head = _head[count..];
        return count;
    }

    /// <summary>UTF-16 to Latin-1 in place; what Latin-1 lacks becomes '?'. An odd last byte waits for its other half.</summary>
    private ReadOnlySpan<byte> Narrow(ReadOnlySpan<byte> bytes)
    {
        int kept = 0;
        foreach (byte next in bytes)
        {
            if (_oddByte < 0)
            {
                _oddByte = next;
                continue;
            }

            (int low, int high) = _form == TextForm.Utf16LittleEndian ? (_oddByte, (int)next) : (next, _oddByte);
            _oddByte = -1;
            char written = (char)((high << 8) | low);
            char meant = PlainSigns.Of(written);
            if (meant != PlainSigns.Nothing || written == PlainSigns.Nothing)
                _bytes[kept++] = meant <= '\u00ff' ? (byte)meant : (byte)'?';
        }

        return _bytes.AsSpan(0, kept);
    }
}
