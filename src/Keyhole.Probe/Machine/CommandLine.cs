// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>A BAR to look at: an address and the offset of a 4-byte register in it.</summary>
internal struct BarRequest
{
    public ulong Address;
    public ulong RegisterOffset;
}

/// <summary>What the probe is asked to do: words NAME=VALUE on its kernel command line. Numbers are decimal or 0x….</summary>
internal ref struct CommandLine
{
    public const int MaxBars = 16;

    /// <summary>linux-6.1 for mode=remap, linux-3.4 for mode=populate, unless kernel= names another.</summary>
    public KernelRelease Release;

    /// <summary>Pages to give back and take again.</summary>
    public ulong BalloonPages;

    /// <summary>A frame of somebody else's, to be refused; all ones: none.</summary>
    public ulong ForeignMfn;

    /// <summary>A device's address that was not granted, to be refused; 0: none.</summary>
    public ulong ForbiddenAddress;

    /// <summary>Try to populate so many pages of extra memory; more than Xen gives is the point.</summary>
    public ulong PopulatePages;

    /// <summary>An address to touch at the end, for the report of a trap; 0: none.</summary>
    public ulong TouchAddress;

    /// <summary>Fault at the end with no stack for the trap.</summary>
    public bool LosesStack;

    public bool ChecksPages;
    public int BarCount;
    private readonly Span<BarRequest> _bars;

    /// <summary>The first word that means nothing here; empty when all do.</summary>
    public ReadOnlySpan<byte> Unknown;

    public CommandLine(ReadOnlySpan<byte> text, Span<BarRequest> bars)
    {
        Release = new(6, 1);
        BalloonPages = 512;
        ForeignMfn = ulong.MaxValue;
        ForbiddenAddress = 0;
        PopulatePages = 0;
        TouchAddress = 0;
        LosesStack = false;
        ChecksPages = true;
        BarCount = 0;
        _bars = bars;
        Unknown = default;
        int start = 0;
        for (int i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && text[i] != (byte)' ' && text[i] != 0)
                continue;
            if (i > start)
                Take(text.Slice(start, i - start));
            start = i + 1;
            if (i < text.Length && text[i] == 0)
                return;
        }
    }

    public readonly ReadOnlySpan<BarRequest> Bars => _bars.Slice(0, BarCount);

    private void Take(ReadOnlySpan<byte> word)
    {
        if (Is(word, "mode=remap"u8))
            Release = new(6, 1);
        else if (Is(word, "mode=populate"u8))
            Release = KernelRelease.April2012;
        else if (StartsWith(word, "kernel="u8) && KernelNames.TryParse(word.Slice(7), out KernelRelease release))
            Release = release;
        else if (Is(word, "check=no"u8))
            ChecksPages = false;
        else if (Is(word, "fault-without-stack"u8))
            LosesStack = true;
        else if (!TakeNumber(word) && Unknown.IsEmpty)
            Unknown = word;
    }

    private bool TakeNumber(ReadOnlySpan<byte> word)
    {
        if (TryValue(word, "balloon="u8, out ulong value))
            BalloonPages = value;
        else if (TryValue(word, "try-foreign-mfn="u8, out value))
            ForeignMfn = value;
        else if (TryValue(word, "try-forbidden="u8, out value))
            ForbiddenAddress = value;
        else if (TryValue(word, "try-populate="u8, out value))
            PopulatePages = value;
        else if (TryValue(word, "touch="u8, out value))
            TouchAddress = value;
        else if (StartsWith(word, "bar="u8) && BarCount < _bars.Length)
            return TakeBar(word.Slice(4));
        else
            return false;
        return true;
    }

    /// <summary>ADDRESS or ADDRESS+OFFSET of the register to read.</summary>
    private bool TakeBar(ReadOnlySpan<byte> value)
    {
        int plus = 0;
        while (plus < value.Length && value[plus] != (byte)'+')
            plus++;
        var bar = new BarRequest();
        if (!TryNumber(value.Slice(0, plus), out bar.Address))
            return false;
        if (plus < value.Length && !TryNumber(value.Slice(plus + 1), out bar.RegisterOffset))
            return false;
        if (bar.RegisterOffset > ulong.MaxValue - bar.Address)
            return false;
        _bars[BarCount] = bar;
        BarCount++;
        return true;
    }

    private static bool TryValue(ReadOnlySpan<byte> word, ReadOnlySpan<byte> name, out ulong value)
    {
        value = 0;
        return StartsWith(word, name) && TryNumber(word.Slice(name.Length), out value);
    }

    private static bool TryNumber(ReadOnlySpan<byte> text, out ulong value)
    {
        value = 0;
        uint radix = 10;
        if (StartsWith(text, "0x"u8))
        {
            radix = 16;
            text = text.Slice(2);
        }

        if (text.Length is 0 or > 16)
            return false;
        foreach (byte c in text)
        {
            uint digit = c is >= (byte)'0' and <= (byte)'9' ? c - (uint)'0' : c is >= (byte)'a' and <= (byte)'f' ? c - (uint)'a' + 10 : radix;
            if (digit >= radix)
                return false;
            value = unchecked((value * radix) + digit);
        }

        return true;
    }

    private static bool Is(ReadOnlySpan<byte> word, ReadOnlySpan<byte> name) => word.Length == name.Length && StartsWith(word, name);

    private static bool StartsWith(ReadOnlySpan<byte> word, ReadOnlySpan<byte> name)
    {
        if (word.Length < name.Length)
            return false;
        for (int i = 0; i < name.Length; i++)
        {
            if (word[i] != name[i])
                return false;
        }

        return true;
    }
}
