// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>The lines in which Xen and Linux name memory that devices use by themselves (RMRR, IVMD).</summary>
internal static class DeviceMemorySyntax
{
    /// <summary>
    /// Memory that devices use by themselves, as Xen and Linux print it: of Intel's tables (RMRR) and AMD's (IVMD), as a list or in a warning that it
    /// is not all reserved, in bytes or frames, the end inclusive, the start of the last page, or exclusive.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<char> line, out ulong start, out ulong end)
    {
        start = 0;
        end = 0;
        // Xen 4.14 on; 4.4 on; before. Linux.
        if (TextCursor.TryBehind(line, "RMRR region: base_addr ", out ReadOnlySpan<char> rest))
            return TryRange(rest, ["end_address", "end_addr"], out start, out end) && TryInclude(1, ref end);
        if (TextCursor.TryBehind(line, "RMRR base: ", out rest))
            return TryRange(rest, ["end:"], out start, out end) && TryInclude(1, ref end);
        // Xen's warnings: up to 4.4, then to 4.16.
        if (TextCursor.TryBehind(line, "RMRR address range not in reserved memory base = ", out rest))
            return TryRange(rest, ["end ="], out start, out end) && TryInclude(1, ref end);
        if (TextCursor.TryBehind(line, "RMRR address range ", out rest))
            return TryRange(rest, [".."], out start, out end) && TryInclude(1, ref end);
        // Linux: [0x000000009d800000-0x000000009fffffff].
        if (TextCursor.TryBehind(line, "cover this RMRR [", out rest) || TextCursor.TryBehind(line, "bad RMRR [", out rest))
            return TryRange(rest, ["-"], out start, out end) && TryInclude(1, ref end);
        // Linux, up to 5.8; the map of the first 16 MiB is a workaround for floppy drives, no device memory.
        if (TextCursor.TryBehind(line, Identity, out rest))
            return TextCursor.TryBehind(rest, "[", out rest) && TryRange(rest, ["-"], out start, out end) && start != 0 && TryInclude(1, ref end);
        // Linux, amd_iommu_dump: the end exclusive.
        if (TextCursor.TryBehind(line, "IVMD_TYPE", out rest))
            return TextCursor.TryBehind(rest, "range_start: ", out rest) && TryRange(rest, ["range_end:"], out start, out end) && start < end;
        // Xen 4.13 on, with iommu=debug: type 0x21 phys 0x… len 0x….
        if (TextCursor.TryBehind(line, "IVMD Block: ", out rest))
        {
            if (!TextCursor.TryBehind(rest, " phys ", out rest) || !TryRange(rest, ["len"], out start, out ulong length) || length == 0
                || length > Frames.AddressLimit)
                return false;
            end = start + length;
            return true;
        }

        if (!TextCursor.TryBehind(line, "RMRR: [", out rest) && !TextCursor.TryBehind(line, "IVMD: [", out rest))
            return false;
        // Xen 4.17 on: frames, "[0x8d800 ,0x8ffff]", later addresses of the first and the last page, "[0x8d800000, 0x8ffff000]".
        bool isOfPages = rest.StartsWith("0x", StringComparison.Ordinal);
        if (!TryRange(rest, [","], out start, out end))
            return false;
        if (isOfPages && (start > end || end >= (TextCursor.TryBehind(rest, " ,", out ReadOnlySpan<char> _) ? Frames.MaxCount : Frames.AddressLimit)))
            return false;
        if (isOfPages && TextCursor.TryBehind(rest, " ,", out ReadOnlySpan<char> _))
        {
            start <<= Frames.Shift;
            end <<= Frames.Shift;
        }

        if (isOfPages)
            return TryInclude(Frames.SizeBytes, ref end);
        // "[7b800000,7f7fffff]" of the list; AMD's warning "[4f83f000,4f880000)" has the end exclusive.
        bool isExclusive = rest.Contains(')') && !rest[..rest.IndexOf(')')].Contains(']');
        return isExclusive ? start < end : TryInclude(1, ref end);
    }

    /// <summary>Whose that memory is, where a line of Linux' tells: <c>Setting identity map for device 0000:06:00.0 [0x…]</c>, from 5.3 on
    /// <c>pci 0000:06:00.0: DMAR: Setting identity map [0x…]</c>.</summary>
    public static PciAddress? LinuxOwnerIn(ReadOnlySpan<char> line)
    {
        if (!TextCursor.TryBehind(line, Identity, out ReadOnlySpan<char> rest))
            return null;
        if (!TextCursor.TryBehind(rest, "device ", out rest))
            return KernelPciLine.TryFunction(line, out PciAddress function, out _) ? function : null;
        int end = rest.IndexOf(' ');
        return end > 0 && PciAddress.TryParse(rest[..end], out PciAddress device) ? device : null;
    }

    private const string Identity = "dentity map ";

    /// <summary>Two addresses with one of some words or signs, and perhaps blanks, between them.</summary>
    private static bool TryRange(ReadOnlySpan<char> text, ReadOnlySpan<string> between, out ulong start, out ulong end)
    {
        end = 0;
        TextCursor cursor = new(text);
        cursor.TryText("0x");
        if (!cursor.TryHex(out start))
            return false;
        cursor.SkipBlanks();
        foreach (string word in between)
        {
            if (!cursor.TryText(word))
                continue;
            cursor.SkipBlanks();
            cursor.TryText("0x");
            return cursor.TryHex(out end);
        }

        return false;
    }

    /// <summary>Makes an inclusive end exclusive.</summary>
    private static bool TryInclude(ulong size, ref ulong end)
    {
        if (end >= Frames.AddressLimit)
            return false;
        end += size;
        return true;
    }

    /// <summary>The devices of <c>IVMD_TYPE_RANGE devid_start: 0000:00:00.0 devid_end: 0000:0f:1f.7 …</c>, Linux' amd_iommu_dump.</summary>
    public static bool TryDevices(ReadOnlySpan<char> line, out PciAddress first, out PciAddress last)
    {
        last = default;
        first = default;
        return TextCursor.TryBehind(line, "IVMD_TYPE", out ReadOnlySpan<char> rest) && TryDevice(rest, "devid_start: ", out first)
            && TryDevice(rest, "devid_end: ", out last) && first.CompareTo(last) <= 0;

        static bool TryDevice(ReadOnlySpan<char> text, string mark, out PciAddress device)
        {
            device = default;
            if (!TextCursor.TryBehind(text, mark, out ReadOnlySpan<char> behind))
                return false;
            int end = behind.IndexOf(' ');
            return PciAddress.TryParse(end < 0 ? behind : behind[..end], out device);
        }
    }

    /// <summary>A device as Xen reads it, in hex of any length: <c>0:0:4.0</c>.</summary>
    public static bool TryDevice(ReadOnlySpan<char> text, out PciAddress device)
    {
        device = default;
        Span<ulong> numbers = stackalloc ulong[4];
        int count = 0;
        TextCursor cursor = new(text);
        do
        {
            if (count == numbers.Length || !cursor.TryHex(out numbers[count]))
                return false;
            count++;
        }
        while (cursor.TryText(":") || cursor.TryText("."));
        if (count < 3)
            return false;
        ulong domain = count == 4 ? numbers[0] : 0;
        return PciAddress.TryParse(
            string.Create(CultureInfo.InvariantCulture, $"{domain:x4}:{numbers[count - 3]:x2}:{numbers[count - 2]:x2}.{numbers[count - 1]:x}"),
            out device);
    }
}
