// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Hosts;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>What a Xen log says of the dom0 that it builds.</summary>
/// <param name="PageCount">Pages that dom0 starts with; null where the log does not say.</param>
/// <param name="MaxPages">From <c>dom0_mem=max:</c>; null when there is no limit.</param>
public sealed record Dom0Log(ulong? PageCount, ulong? MaxPages, GuestLayout Layout)
{
    /// <summary>Linux's virtual address of pseudo-physical 0 (__START_KERNEL_map), 64 bits.</summary>
    private const ulong KernelMap = 0xffff_ffff_8000_0000;

    /// <summary>64 TiB: nothing that Xen builds is larger; what is larger was garbled.</summary>
    private const ulong LargestBytes = 1UL << 46;

    private const string MaxWord = "max:";
    private const string Dom0MemWord = "dom0_mem=";

    /// <summary>Reads the lines of the first Xen boot in a log. Null when it has none.</summary>
    public static Dom0Log? Of(LogScan scan) => Of(scan.Lines);

    internal static Dom0Log? Of(IEnumerable<LogLine> lines)
    {
        GuestLayout layout = GuestLayout.Unknown;
        ulong? pages = null;
        ulong? maxPages = null;
        ulong initialChunk = 0;
        ulong initrdBytes = 0;
        bool found = false;
        foreach (LogLine line in lines)
        {
            if (line.Speaker != LogSpeaker.Xen)
                continue;
            ReadOnlySpan<char> text = line.Text.AsSpan().Trim();
            // The page count comes last but for two: what comes before it and stands here again is another boot's.
            if (pages is not null && IsBeforePageCount(text))
                break;
            if (TryValue(text, "Command line:", out ReadOnlySpan<char> rest))
                maxPages = MaxOf(rest) ?? maxPages;
            else if (TryRange(text, "Dom0 alloc.:", out ByteRange range))
                initialChunk = range.SizeBytes;
            else if (TryRange(text, "Init. ramdisk:", out range))
                initrdBytes = initrdBytes == 0 ? range.SizeBytes : initrdBytes;
            else if (TryRange(text, "Loaded kernel:", out range))
                layout = layout with { Kernel = Physical(range) };
            else if (TryRange(text, "Phys-Mach map:", out range))
                pages = range.SizeBytes / sizeof(ulong);
            else if (TryRange(text, "Start info:", out range))
                layout = layout with { StartInfo = Physical(range) };
            else if (TryRange(text, "Page tables:", out range))
                layout = layout with { PageTables = Physical(range) };
            else
                continue;
            found = true;
        }

        if (!found || pages is not { } count)
            return null;
        // Linux takes ramdisk and p2m list unmapped: Xen gives them the first pfns behind the chunk that it allocates first.
        if (initialChunk != 0)
        {
            ulong p2mStart = initialChunk + Pfn.AtOrAbove(initrdBytes).ToAddress();
            layout = layout with
            {
                Initrd = ByteRange.FromSize(initialChunk, initrdBytes),
                P2mList = ByteRange.FromSize(p2mStart, Pfn.AtOrAbove(count * sizeof(ulong)).ToAddress()),
            };
        }

        return new(count, maxPages, layout);
    }

    private static bool IsBeforePageCount(ReadOnlySpan<char> text) =>
        text.StartsWith("Command line:", StringComparison.Ordinal) || text.StartsWith("Dom0 alloc.:", StringComparison.Ordinal)
        || text.StartsWith("Loaded kernel:", StringComparison.Ordinal) || text.StartsWith("Phys-Mach map:", StringComparison.Ordinal);

    private static ByteRange Physical(ByteRange range) =>
        range.Start >= KernelMap ? ByteRange.FromSize(range.Start - KernelMap, range.SizeBytes) : default;

    private static bool TryValue(ReadOnlySpan<char> text, string key, out ReadOnlySpan<char> rest)
    {
        rest = text.StartsWith(key, StringComparison.Ordinal) ? text[key.Length..].TrimStart() : default;
        return !rest.IsEmpty;
    }

    /// <summary><c>key  start-&gt;end</c>, hex, the end exclusive, anything behind it.</summary>
    private static bool TryRange(ReadOnlySpan<char> text, string key, out ByteRange range)
    {
        range = default;
        if (!TryValue(text, key, out ReadOnlySpan<char> rest))
            return false;
        int arrow = rest.IndexOf("->", StringComparison.Ordinal);
        if (arrow <= 0 || !TryHex(rest[..arrow], out ulong start) || !TryHex(rest[(arrow + 2)..], out ulong end) || end < start || end - start > LargestBytes)
            return false;
        range = ByteRange.FromBounds(start, end);
        return true;
    }

    private static bool TryHex(ReadOnlySpan<char> text, out ulong value)
    {
        int digits = 0;
        while (digits < text.Length && char.IsAsciiHexDigit(text[digits]))
            digits++;
        return ulong.TryParse(text[..digits], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>The max: part of the last dom0_mem= on Xen's command line, in pages.</summary>
    private static ulong? MaxOf(ReadOnlySpan<char> commandLine)
    {
        int at = commandLine.LastIndexOf(Dom0MemWord, StringComparison.Ordinal);
        if (at < 0)
            return null;
        ReadOnlySpan<char> value = commandLine[(at + Dom0MemWord.Length)..];
        int space = value.IndexOf(' ');
        if (space >= 0)
            value = value[..space];
        int max = value.IndexOf(MaxWord, StringComparison.Ordinal);
        return max < 0 ? null : Size(value[(max + MaxWord.Length)..]);
    }

    /// <summary>Xen's sizes: a number with B, K, M, G or T, K when there is none.</summary>
    private static ulong? Size(ReadOnlySpan<char> text)
    {
        int digits = 0;
        while (digits < text.Length && char.IsAsciiDigit(text[digits]))
            digits++;
        if (!ulong.TryParse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out ulong number))
            return null;
        int shift = digits == text.Length
            ? 10
            : char.ToUpperInvariant(text[digits]) switch
            {
                'B' => 0,
                'M' => 20,
                'G' => 30,
                'T' => 40,
                _ => 10,
            };
        return number > Frames.AddressLimit >> shift ? null : (number << shift) >> Frames.Shift;
    }
}
