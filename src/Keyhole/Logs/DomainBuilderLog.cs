// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Guests;

namespace Keyhole.Logs;

/// <summary>
/// Where libxenguest's domain builder says (<c>xl -vvv create</c>) that it put things:
/// <c>xc_dom_alloc_segment:   kernel       : 0x… -&gt; 0x…  (pfn 0x1000 + 0x3a00 pages)</c>.
/// </summary>
public static class DomainBuilderLog
{
    private const string PfnWord = "(pfn 0x";

    /// <summary>The layout, or null where the text names no kernel. What it does not name is empty.</summary>
    public static GuestLayout? LayoutOf(ReadOnlySpan<char> text)
    {
        GuestLayout layout = GuestLayout.Unknown;
        foreach (ReadOnlySpan<char> line in text.EnumerateLines())
        {
            int at = line.IndexOf("xc_dom_alloc_", StringComparison.Ordinal);
            if (at < 0)
                continue;
            ReadOnlySpan<char> rest = line[at..];
            int colon = rest.IndexOf(':');
            if (colon < 0 || !TryFrames(rest, out ByteRange range))
                continue;
            ReadOnlySpan<char> what = rest[(colon + 1)..].TrimStart();
            if (Names(what, "kernel"))
                layout = layout with { Kernel = range };
            else if (Names(what, "page tables"))
                layout = layout with { PageTables = range };
            else if (Names(what, "module0") || Names(what, "ramdisk"))
                layout = layout with { Initrd = range };
            else if (Names(what, "phys2mach"))
                layout = layout with { P2mList = range };
            else if (Names(what, "start info"))
                layout = layout with { StartInfo = range };
        }

        if (layout.Kernel.IsEmpty)
            return null;
        // The page behind the kernel, in every builder there was.
        return layout.StartInfo.IsEmpty ? layout with { StartInfo = ByteRange.FromSize(layout.Kernel.End, Frames.SizeBytes) } : layout;
    }

    private static bool Names(ReadOnlySpan<char> text, string what) =>
        text.StartsWith(what, StringComparison.Ordinal) && text[what.Length..].TrimStart().StartsWith(":", StringComparison.Ordinal);

    /// <summary><c>(pfn 0xA + 0xB pages)</c>, or <c>(pfn 0xA)</c> for one page.</summary>
    private static bool TryFrames(ReadOnlySpan<char> text, out ByteRange range)
    {
        range = default;
        int at = text.IndexOf(PfnWord, StringComparison.Ordinal);
        if (at < 0 || !TryHex(text = text[(at + PfnWord.Length)..], out ulong pfn, out int length))
            return false;
        ReadOnlySpan<char> rest = text[length..];
        ulong count = 1;
        if (rest.StartsWith(" + 0x", StringComparison.Ordinal) && !TryHex(rest[5..], out count, out _))
            return false;
        if (pfn >= Frames.MaxCount || count > Frames.MaxCount - pfn)
            return false;
        range = ByteRange.FromSize(pfn << Frames.Shift, count << Frames.Shift);
        return true;
    }

    private static bool TryHex(ReadOnlySpan<char> text, out ulong value, out int length)
    {
        length = 0;
        while (length < text.Length && char.IsAsciiHexDigit(text[length]))
            length++;
        return ulong.TryParse(text[..length], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
