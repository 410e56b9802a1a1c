// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What a line lacks that ends amid what it says.</summary>
internal enum WrappedKind
{
    /// <summary>The end of an entry of a memory map.</summary>
    Entry,

    /// <summary>The end of a kernel's message.</summary>
    Message,

    /// <summary>A value of what the log says of the machine.</summary>
    Trait,
}

/// <summary>
/// A line that a mail program or a narrow window has wrapped, in pieces. Whether a blank stood where it was wrapped is found out by trying both: only
/// what gives one meaning is joined.
/// </summary>
internal sealed class WrappedLine
{
    /// <summary>A window of 30 columns, or a mail that was cited again and again.</summary>
    private const int MaxPieces = 3;

    /// <summary>No line that is looked for is longer.</summary>
    private const int MaxLength = 1024;

    /// <summary>Linux and Xen print the addresses of their maps with so many digits.</summary>
    private const int PrintedDigits = 16;

    private readonly char[] _text = new char[MaxLength];
    private readonly char[] _joined = new char[MaxLength + MaxPieces];
    private readonly int[] _ends = new int[MaxPieces];
    private readonly int[] _numbers = new int[MaxPieces];

    /// <summary>Pieces that are held; 0 when no line is.</summary>
    public int Count { get; private set; }

    public WrappedKind Kind { get; private set; }

    /// <summary>1-based number of the first piece.</summary>
    public int Number => _numbers[0];

    /// <summary>How many ways there are to join the pieces and a further one: with and without a blank at each seam.</summary>
    public int Ways => 1 << Count;

    public ReadOnlySpan<char> Piece(int index) =>
        _text.AsSpan((index == 0 ? 0 : _ends[index - 1])..)[..(_ends[index] - (index == 0 ? 0 : _ends[index - 1]))];

    public int NumberOf(int index) => _numbers[index];

    public void Clear() => Count = 0;

    /// <summary>Begins with a line, unless it is too long to be one that was wrapped.</summary>
    public bool TryBegin(WrappedKind kind, ReadOnlySpan<char> line, int number)
    {
        Count = 0;
        Kind = kind;
        return TryAdd(line, number);
    }

    public bool TryAdd(ReadOnlySpan<char> piece, int number)
    {
        int start = Count == 0 ? 0 : _ends[Count - 1];
        if (Count == MaxPieces || piece.Length > MaxLength - start)
            return false;
        piece.CopyTo(_text.AsSpan(start));
        _ends[Count] = start + piece.Length;
        _numbers[Count] = number;
        Count++;
        return true;
    }

    /// <summary>Whether a further piece fits.</summary>
    public bool HasRoomFor(ReadOnlySpan<char> next) => _ends[Count - 1] + next.Length <= MaxLength;

    /// <summary>What a line may go on with: its text without the marks of a citation. Empty where it is a line of its own.</summary>
    public static ReadOnlySpan<char> ContinuationIn(ReadOnlySpan<char> line)
    {
        ReadOnlySpan<char> text = CitedLine.Unmarked(line).Trim(" \t");
        bool isOwn = text.Contains(LogPrefix.XenMark, StringComparison.Ordinal) || LogPrefix.KernelMessage(text).Length != text.Length
            || LogEntrySyntax.HasPrinter(text);
        return isOwn ? default : text;
    }

    /// <summary>The pieces and a further one as one line. Empty where a number would come of it that nobody prints.</summary>
    /// <param name="way">Bit N: a blank stands behind piece N.</param>
    /// <param name="next">The further piece.</param>
    public ReadOnlySpan<char> Joined(int way, ReadOnlySpan<char> next)
    {
        int length = 0;
        for (int i = 0; i <= Count; i++)
        {
            ReadOnlySpan<char> piece = i == Count ? next : i == 0 ? Piece(0).TrimEnd(" \t") : Piece(i);
            bool splitsNumber = false;
            if (i > 0 && (way & (1 << (i - 1))) != 0)
                _joined[length++] = ' ';
            else if (i > 0)
                splitsNumber = length > 0 && char.IsAsciiHexDigit(_joined[length - 1]) && char.IsAsciiHexDigit(piece[0]);
            int seam = length;
            piece.CopyTo(_joined.AsSpan(length));
            length += piece.Length;
            if (splitsNumber && !IsWordOrPrintedNumber(_joined.AsSpan(0, length), seam))
                return default;
        }

        return _joined.AsSpan(0, length);
    }

    /// <summary>Whether the hex digits around a seam are letters of a word ("ACPI"), or a number of as many digits as are printed.</summary>
    private static bool IsWordOrPrintedNumber(ReadOnlySpan<char> text, int seam)
    {
        int start = seam;
        while (start > 0 && char.IsAsciiHexDigit(text[start - 1]))
            start--;
        int end = seam;
        while (end < text.Length && char.IsAsciiHexDigit(text[end]))
            end++;
        bool isWord = (start > 0 && char.IsAsciiLetter(text[start - 1]) && text[start - 1] != 'x')
            || (end < text.Length && char.IsAsciiLetter(text[end]));
        return isWord || end - start == PrintedDigits;
    }
}
