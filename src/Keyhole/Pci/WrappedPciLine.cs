// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>
/// A line of Linux's about a PCI function, a bus or its machine that a mail program has wrapped, held until what follows is known. Without that, a
/// BAR whose <c>[mem …]</c> stands in the next line would be lost, and the release of a guest's firmware.
/// </summary>
internal sealed class WrappedPciLine
{
    /// <summary>A mail that was cited again and again.</summary>
    private const int MaxPieces = 3;

    private static readonly string[] s_resourceWords = ["BAR ", "ROM", "VF BAR ", "VF(n) BAR", "bridge window", "reg ", "can't claim "];

    private string _text = "";
    private int _pieces;

    /// <summary>Whether a line is held.</summary>
    public bool IsHeld => _pieces > 0;

    /// <summary>1-based number of the first line of what is held.</summary>
    public int Number { get; private set; }

    /// <summary>Holds a line that ends amid what it says of a window.</summary>
    public bool TryBegin(ReadOnlySpan<char> line, int number)
    {
        if (!EndsAmid(line))
            return false;
        (_text, _pieces, Number) = (line.TrimEnd().ToString(), 1, number);
        return true;
    }

    /// <summary>Takes a line for the rest of the one that is held. False where it is one of its own.</summary>
    /// <param name="isWhole">Whether nothing is missing any more.</param>
    public bool TryGoOn(ReadOnlySpan<char> line, out bool isWhole)
    {
        isWhole = false;
        ReadOnlySpan<char> next = CitedLine.Unmarked(line).Trim();
        if (next.IsEmpty || IsOwn(next))
            return false;
        // What a machine calls itself ends with a date, by which alone the rest of it is known.
        if (MachineLine.EndsAmid(_text) && !MachineLine.EndsWithDate(next))
            return false;
        _text = $"{_text}{(SplitsWord(_text, next) ? "" : " ")}{next}";
        _pieces++;
        isWhole = _pieces == MaxPieces || !EndsAmid(_text);
        return true;
    }

    /// <summary>What was held, and nothing is then.</summary>
    public string Take()
    {
        _pieces = 0;
        return _text;
    }

    /// <summary>Whether the blank is missing that a mail program wraps at: it broke a range behind its dash, or a screen broke a number.</summary>
    private static bool SplitsWord(ReadOnlySpan<char> text, ReadOnlySpan<char> next)
    {
        bool isFlag = next.StartsWith("64bit") || next.StartsWith("disabled") || next.StartsWith("0x");
        bool isNumber = LastWord(text).Contains("0x", StringComparison.Ordinal) && char.IsAsciiHexDigit(text[^1]) && char.IsAsciiHexDigit(next[0]);
        return text[^1] is '-' or '[' || text.EndsWith("0x") || next[0] is '-' or ']' || (isNumber && !isFlag);
    }

    private static ReadOnlySpan<char> LastWord(ReadOnlySpan<char> text) => text[(text.LastIndexOf(' ') + 1)..];

    private static bool EndsAmid(ReadOnlySpan<char> line)
    {
        ReadOnlySpan<char> rest;
        int bus = line.IndexOf("root bus resource");
        if (bus >= 0)
            rest = line[bus..];
        else if (!KernelPciLine.TryFunction(line, out _, out rest))
            return MachineLine.EndsAmid(line);
        rest = rest.Trim();
        int open = rest.LastIndexOf('[');
        if (open >= 0)
        {
            // "BAR 1 [mem …]:" lacks what became of it.
            bool isResource = rest[open..].StartsWith("[mem") || rest[open..].StartsWith("[io") || open == rest.Length - 1;
            return isResource && (rest[open..].IndexOf(']') < 0 || rest[^1] == ':');
        }

        if (bus >= 0)
            return true;
        foreach (string word in s_resourceWords)
        {
            if (rest.StartsWith(word))
                return true;
        }

        return false;
    }

    /// <summary>Whether somebody speaks in the line itself: a time stamp, a name before a colon, Xen.</summary>
    private static bool IsOwn(ReadOnlySpan<char> line)
    {
        bool isStamped = line[0] == '[' && line.Length > 1 && (line[1] == ' ' || char.IsAsciiDigit(line[1]));
        bool isMarked = line.StartsWith("(XEN)") || line.Contains("kernel: ", StringComparison.Ordinal);
        bool isOfPci = line.StartsWith("pci ") || line.StartsWith("pci_bus ") || line.StartsWith("pcieport ");
        return isStamped || isMarked || isOfPci || KernelPciLine.TryFunction(line, out _, out _);
    }
}
