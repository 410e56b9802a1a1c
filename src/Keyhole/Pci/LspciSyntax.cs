// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>Pieces of the lines that lspci -vv prints.</summary>
internal static class LspciSyntax
{
    /// <summary><c>[dddd:]bb:dd.f Class: Vendor Device</c>, or with <c>lspci -PP</c> the path to it from the root.</summary>
    public static bool TryHeader(ReadOnlySpan<char> line, out PciAddress address, out bool isBeyondXen)
    {
        isBeyondXen = false;
        address = default;
        int space = line.IndexOf(' ');
        if (space < 0 || !IsDescription(line[space..].Trim()) || IsKernels(line[space..].Trim()))
            return false;
        ReadOnlySpan<char> name = line[..space];
        ReadOnlySpan<char> last = name[(name.LastIndexOf('/') + 1)..];
        if (PciAddress.TryParse(last, out address))
            return true;
        // Linux numbers the domains that it makes up for VMD from 10000 on.
        int colon = last.IndexOf(':');
        isBeyondXen = colon is > 4 and <= 8 && Bar.TryHex(last[..colon], out _) && PciAddress.TryParse(last[(colon + 1)..], out _);
        return isBeyondXen;
    }

    /// <summary>Whether a text can be what lspci says of a function: names of classes are in capitals, as no word of a sentence is that goes on
    /// behind an address ("0000:01:00.0 on minor 1").</summary>
    private static bool IsDescription(ReadOnlySpan<char> text) =>
        !text.IsEmpty && (char.IsAsciiLetterUpper(text[0]) || char.IsAsciiDigit(text[0]) || text.Contains(':') || !char.IsAscii(text[0])
            || text[0] is '[' or '"');

    /// <summary>Whether a text is the rest of a kernel's line that a mail program has broken before an address: "… because it overlaps 0000:09:00.0
    /// BAR 5 [io  0x0000-0x007f]".</summary>
    private static bool IsKernels(ReadOnlySpan<char> text) => text.StartsWith("BAR ") && text.Contains('[')
        && text[4..].TrimStart() is [>= '0' and <= '9', ..];

    /// <summary><c>Capabilities: [70] MSI-X: Enable+ Count=64 Masked-</c>; 0 where the line is another or the count no count.</summary>
    public static int Vectors(ReadOnlySpan<char> line)
    {
        const string mark = " Count=";
        int at = line.Contains("MSI-X:", StringComparison.Ordinal) ? line.IndexOf(mark, StringComparison.Ordinal) : -1;
        if (at < 0)
            return 0;
        ReadOnlySpan<char> text = line[(at + mark.Length)..];
        int end = text.IndexOf(' ');
        return int.TryParse(end < 0 ? text : text[..end], NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is >= 1
            and <= MsixTable.MaxVectors ? count : 0;
    }

    public static bool TryCount(ReadOnlySpan<char> line, string mark, out int count)
    {
        count = 0;
        int at = line.IndexOf(mark);
        return at >= 0 && new TextCursor(line[(at + mark.Length)..]).TryDecimal(out uint number) && number <= 0xffff && (count = (int)number) >= 0;
    }

    /// <summary><c>32GB</c>: a number, and MB, GB, TB or PB.</summary>
    public static bool TryUnit(ReadOnlySpan<char> text, out ulong sizeBytes)
    {
        sizeBytes = 0;
        text = text.Trim();
        return text.EndsWith("B") && text.Length > 2 && TryNumber(text[..^1], out sizeBytes) && ulong.IsPow2(sizeBytes);
    }

    public static bool TrySizeIn(ReadOnlySpan<char> line, out ulong sizeBytes)
    {
        const string mark = "[size=";
        sizeBytes = 0;
        int at = line.IndexOf(mark);
        return at >= 0 && TrySize(line[(at + mark.Length)..], out sizeBytes) && sizeBytes <= Frames.AddressLimit;
    }

    /// <summary><c>128K]</c>: a number, and K, M, G or T for 1024 and its powers.</summary>
    public static bool TrySize(ReadOnlySpan<char> text, out ulong sizeBytes)
    {
        sizeBytes = 0;
        int close = text.IndexOf(']');
        return close >= 1 && TryNumber(text[..close], out sizeBytes);
    }

    public static bool TryNumber(ReadOnlySpan<char> text, out ulong sizeBytes)
    {
        sizeBytes = 0;
        int shift = text[^1] switch
        {
            'K' => 10,
            'M' => 20,
            'G' => 30,
            'T' => 40,
            'P' => 50,
            _ => 0,
        };
        if (shift > 0)
            text = text[..^1];
        if (!uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) || number == 0)
            return false;
        sizeBytes = (ulong)number << shift;
        return sizeBytes >> shift == number;
    }
}
