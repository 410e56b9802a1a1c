// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Logs;

/// <summary>One of the two that speak in a log, with the map that it is printing. Their lines may come mixed: neither ends the other's
/// map.</summary>
internal sealed class MapSpeaker
{
    /// <summary>Lines that may stand between two entries of a map, as serial consoles mix them.</summary>
    private const int MaxLinesBetween = 8;

    /// <summary>How many when Xen and a kernel speak in turns: a whole map of the other's may stand in between.</summary>
    private const int MaxForeignLinesBetween = 256;

    /// <summary>Stamps and names before an entry that are compared; a longer prefix is cut here.</summary>
    private const int LongestPrefix = 200;

    private readonly char[] _prefix = new char[LongestPrefix];
    private int _prefixLength;
    private int _ownLines;
    private int _foreignLines;

    public MapInProgress? Live { get; set; }

    /// <summary>Whether the line that is being read holds something of its map.</summary>
    public bool HasSpoken { get; set; }

    /// <summary>Whether the line above a map was its last word about maps.</summary>
    public bool HasTitled { get; set; }

    /// <summary>Whether somebody has written something between the last entry and the line that is being read: no message, no blank
    /// line.</summary>
    public bool HasProseBetween { get; private set; }

    /// <summary>Whether nothing of its own, and nothing that somebody has written, stands between its last entry and the line that is being
    /// read.</summary>
    public bool IsRightBehindEntry => _ownLines == 0 && !HasProseBetween;

    public ReadOnlySpan<char> Prefix => _prefix.AsSpan(0, _prefixLength);

    /// <param name="line">No line of the map.</param>
    /// <param name="body">What it says.</param>
    /// <param name="isOwn">Whether it is this speaker's, as far as it can be told.</param>
    /// <param name="isLast">Whether this speaker's entry was the last.</param>
    public void NoteLineBetween(ReadOnlySpan<char> line, ReadOnlySpan<char> body, bool isOwn, bool isLast)
    {
        bool isMessage = WrappedLine.ContinuationIn(line).IsEmpty;
        bool isOmission = OmissionMarks.KindOf(body) is OmissionKind.Written or OmissionKind.Counted;
        HasProseBetween |= !isMessage && !isOmission;
        bool isSaid = isMessage && !isOmission;
        if ((isOwn || (isLast && !isSaid)) && !line.IsWhiteSpace())
            Live?.NoteFollowing(isSaid);
    }

    public void KeepPrefix(ReadOnlySpan<char> line)
    {
        _prefixLength = Math.Min(LogPrefix.LengthBeforeEntry(line), LongestPrefix);
        line[.._prefixLength].CopyTo(_prefix);
    }

    public void ForgetLinesBetween()
    {
        HasProseBetween = false;
        _ownLines = 0;
        _foreignLines = 0;
    }

    public void Restart()
    {
        _prefixLength = 0;
        HasTitled = false;
        ForgetLinesBetween();
    }

    public bool IsOverAfter(bool isOwn)
    {
        if (isOwn)
            _ownLines++;
        else
            _foreignLines++;
        return _ownLines > MaxLinesBetween || _foreignLines > MaxForeignLinesBetween;
    }
}
