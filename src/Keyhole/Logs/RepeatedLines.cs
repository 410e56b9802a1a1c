// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>
/// Tells a line that says again what the line right before it has said: two consoles in one record (<c>earlyprintk=xen,keep</c> beside
/// <c>console=hvc0</c>), or a collector's file and the console's in one. It was said once. What differs is what a collector puts before it.
/// </summary>
internal sealed class RepeatedLines
{
    private readonly char[] _text = new char[TextLines.MaxLineLength];
    private int _length;

    /// <summary>1-based; of a row of repeats the last.</summary>
    private int _number;

    /// <summary>Whether a line is such a repeat. To be asked of each line that is read, in the log's order.</summary>
    public bool Has(ReadOnlySpan<char> line, int number)
    {
        line = line.TrimEnd(" \t");
        ReadOnlySpan<char> before = _text.AsSpan(0, _length);
        bool isBehind = number == _number + 1;
        _number = number;
        if (isBehind && IsSame(before, line))
            return true;
        _length = Math.Min(line.Length, _text.Length);
        line[.._length].CopyTo(_text);
        return false;
    }

    private static bool IsSame(ReadOnlySpan<char> before, ReadOnlySpan<char> line)
    {
        // Most lines differ at their end.
        if (before.IsEmpty || line.IsEmpty || before[^1] != line[^1])
            return false;
        if (before.SequenceEqual(line))
            return true;
        bool isXens = Split(line, out ReadOnlySpan<char> stamp, out ReadOnlySpan<char> said);
        return Split(before, out ReadOnlySpan<char> stampBefore, out ReadOnlySpan<char> saidBefore) == isXens
            && said.Length > 0 && said.SequenceEqual(saidBefore)
            && (stamp.IsEmpty || stampBefore.IsEmpty || stamp.SequenceEqual(stampBefore))
            && LogPrefix.DomainOf(line) == LogPrefix.DomainOf(before);
    }

    /// <summary>What is said, and the stamp of who says it; true where that is Xen. What nothing stands before keeps its indentation, by which
    /// tables tell what lies within what.</summary>
    private static bool Split(ReadOnlySpan<char> line, out ReadOnlySpan<char> stamp, out ReadOnlySpan<char> said)
    {
        bool isXens = LogPrefix.TryXenBody(line, out said);
        if (!isXens)
            said = LogPrefix.KernelMessage(line);
        ReadOnlySpan<char> prefix = line[..^said.Length];
        stamp = prefix.EndsWith(']') ? prefix[prefix.LastIndexOf('[')..] : default;
        said = prefix.IsEmpty ? said : said.TrimStart(' ');
        return isXens;
    }
}
