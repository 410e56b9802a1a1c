// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;

namespace Keyhole.Logs;

/// <summary>
/// Whether a kernel goes on behind a place in a log where it may have ended: behind its map, where no other line of the memory setup may be in an
/// excerpt, and behind an Oops, which ends what the kernel was doing there and not the kernel. What a program says shows it, and what drivers say of
/// a device that came up; words of a kernel that hangs are no such sign.
/// </summary>
internal sealed class LifeSigns
{
    /// <summary>Behind the place, by the kernel's own stamps: the other processors' last words are over by then.</summary>
    private const ulong ApartMilliseconds = 1000;

    /// <summary>Lines that are looked at behind a place.</summary>
    private const int MostLines = 20_000;

    private const int MostSigns = 64;

    private static readonly SearchValues<string> s_words = SearchValues.Create(
        [": mounted filesystem", "link becomes ready", "ink is up", "ink is Up", "ink Up", "-speed USB device", "entered forwarding state",
            "entered promiscuous mode", ": renamed from "], StringComparison.Ordinal);

    private int _left;
    private int _found;
    private ulong _since;

    /// <summary>Whether a sign is still looked for.</summary>
    public bool AreWanted => _left > 0;

    /// <summary>Begins behind a line of a kernel's map.</summary>
    public void WatchMap() => Watch(0);

    /// <summary>Begins behind a line that may be the kernel's last; without a stamp of its own nothing can be told.</summary>
    public void WatchEnd(ulong? milliseconds)
    {
        if (milliseconds is { } at)
            Watch(at);
        else
            _left = 0;
    }

    /// <summary>Whether a line is such a sign. Looks at one line.</summary>
    public bool Show(ReadOnlySpan<char> line)
    {
        _left--;
        ReadOnlySpan<char> text = LogPrefix.KernelMessage(line);
        if (line.Contains(LogPrefix.XenMark, StringComparison.Ordinal)
            || LogPrefix.MillisecondsIn(line[..^text.Length]) is not { } at || at < _since + ApartMilliseconds
            || (!IsOfProgram(text.Trim()) && !text.ContainsAny(s_words)))
            return false;
        _left = 0;
        _found++;
        return true;
    }

    private void Watch(ulong milliseconds)
    {
        _since = milliseconds;
        _left = _found < MostSigns ? MostLines : 0;
    }

    /// <summary><c>systemd[1]: …</c>: what programs write into the kernel's log.</summary>
    private static bool IsOfProgram(ReadOnlySpan<char> text)
    {
        int open = text.IndexOf('[');
        int close = open < 0 ? -1 : text[open..].IndexOf("]: ");
        return open > 0 && close > 1 && !text[(open + 1)..(open + close)].ContainsAnyExceptInRange('0', '9')
            && !text[..open].Contains(' ') && text[..open].ContainsAnyInRange('a', 'z');
    }
}
