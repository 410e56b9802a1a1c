// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>A resource of a PCI function as Linux prints it.</summary>
/// <param name="Start">Bytes, or the first port; null where only a size is told, or the register holds 0.</param>
/// <param name="SizeBytes">Bytes, or ports.</param>
internal readonly record struct KernelResource(ulong? Start, ulong SizeBytes, bool IsPorts, bool Is64Bit, bool IsPrefetchable);

/// <summary>The pieces of Linux's lines about PCI functions. What they mean is up to who reads them.</summary>
/// <remarks>
/// Source: Linux' drivers/pci/probe.c, setup-res.c, setup-bus.c and iov.c: <c>reg 0x10: [mem …]</c> and <c>BAR 0: assigned [mem …]</c> up to 6.9,
/// <c>BAR 0 [mem …]: assigned</c> since.
/// </remarks>
internal static class KernelPciLine
{
    /// <summary>Where the registers are in the configuration space, and the capability of virtual functions at its earliest.</summary>
    private const ulong FirstRegister = 0x10;
    private const ulong LastRegister = 0x24;
    private const ulong RomRegister = 0x30;

    /// <summary>Finds <c>pci 0000:01:00.0: …</c> (or another driver's name) in a line.</summary>
    public static bool TryFunction(ReadOnlySpan<char> line, out PciAddress address, out ReadOnlySpan<char> rest)
    {
        rest = default;
        address = default;
        int from = 0;
        // An address has a dot and a digit before its colon.
        while (line[from..].IndexOf(": ") is >= 0 and int at)
        {
            int end = from + at;
            int start = line[..end].LastIndexOf(' ') + 1;
            if (end - start is >= 12 and <= 14 && PciAddress.TryParse(line[start..end], out address))
            {
                rest = line[(end + 2)..];
                return true;
            }

            from = end + 2;
        }

        return false;
    }

    /// <summary><c>[10de:2330] type 00 class 0x030200</c></summary>
    public static bool TryIdentity(ReadOnlySpan<char> text, out int vendorId, out int deviceId, out int? classCode)
    {
        (vendorId, deviceId, classCode) = (0, 0, null);
        if (text.Length < 11 || text[0] != '[' || text[5] != ':' || text[10] != ']' || !Bar.TryHex(text.Slice(1, 4), out ulong vendor)
            || !Bar.TryHex(text.Slice(6, 4), out ulong device))
            return false;
        (vendorId, deviceId) = ((int)vendor, (int)device);
        int at = text.IndexOf("class 0x");
        if (at >= 0)
        {
            var cursor = new TextCursor(text[(at + "class 0x".Length)..]);
            if (cursor.TryHex(out ulong code) && code <= 0xff_ffff)
                classCode = (int)code;
        }

        return true;
    }

    /// <summary>Behind <c>reg </c>: <c>0x10: [mem 0xdb000000-0xdbffffff 64bit pref]</c>, up to 3.x without the 0x. A register of a capability is none
    /// of these.</summary>
    public static bool TryRegister(ReadOnlySpan<char> text, out int index, out KernelResource resource)
    {
        index = -1;
        resource = default;
        var cursor = new TextCursor(text);
        cursor.TryText("0x");
        if (!cursor.TryHex(out ulong register) || !cursor.TryText(": ") || !TryResource(cursor.Rest, out resource, out _))
            return false;
        index = register switch
        {
            >= FirstRegister and <= LastRegister => (int)(register - FirstRegister) / 4,
            RomRegister => Bar.RomIndex,
            // Of a capability only the distance is known: "VF(n) BAR0" behind it tells the register and the whole.
            _ => -1,
        };
        return index >= 0;
    }

    /// <summary>
    /// <c>BAR 0 [mem …]</c>, <c>ROM [mem …]</c>, <c>VF BAR 0 [mem …]</c>, each alone or with <c>: assigned</c>, <c>: can't assign; no space</c> and
    /// the like behind; of old <c>BAR 0: assigned [mem …]</c>, <c>BAR 0: no space for [mem size 0x…]</c>, with 6 for the ROM, 7 on for virtual
    /// functions and 13 on for windows of bridges.
    /// </summary>
    /// <param name="word">What is said of the resource; empty where nothing is.</param>
    /// <param name="behind">Everything behind the resource.</param>
    public static bool TryNamed(ReadOnlySpan<char> text, out int index, out KernelResource resource, out ReadOnlySpan<char> word,
        out ReadOnlySpan<char> behind)
    {
        index = -1;
        resource = default;
        word = default;
        behind = default;
        bool isVirtual = text.StartsWith("VF ");
        if (isVirtual)
            text = text["VF ".Length..];
        if (text.StartsWith("ROM") && !isVirtual)
        {
            index = Bar.RomIndex;
            text = text["ROM".Length..];
        }
        else if (text.StartsWith("BAR "))
        {
            var cursor = new TextCursor(text["BAR ".Length..]);
            if (!cursor.TryDecimal(out uint number) || number >= (isVirtual ? 6u : Bar.FirstBridgeIndex + 4u))
                return false;
            index = isVirtual ? Bar.FirstVirtualFunctionIndex + (int)number : (int)number;
            text = cursor.Rest;
        }
        else if (text.StartsWith("bridge window") && !isVirtual)
        {
            index = Bar.FirstBridgeIndex;
            text = text["bridge window".Length..];
        }
        else
        {
            return false;
        }

        bool isNew = text.StartsWith(" [");
        text = text.TrimStart(" :");
        int open = text.IndexOf('[');
        if (open < 0 || !TryResource(text[open..], out resource, out behind))
            return false;
        word = isNew ? behind.TrimStart(": ") : text[..open].TrimEnd();
        return true;
    }

    /// <summary><c>[mem 0xA-0xB 64bit pref]</c>, <c>[mem size 0xS 64bit pref]</c>, <c>[io  0xe000-0xe03f]</c>; the end inclusive.</summary>
    public static bool TryResource(ReadOnlySpan<char> text, out KernelResource resource, out ReadOnlySpan<char> rest)
    {
        resource = default;
        rest = default;
        int close = text.IndexOf(']');
        if (!text.StartsWith("[") || close < 0)
            return false;
        rest = text[(close + 1)..];
        text = text[1..close];
        bool isPorts = text.StartsWith("io ");
        if (!isPorts && !text.StartsWith("mem "))
            return false;
        var cursor = new TextCursor(text[(isPorts ? 3 : 4)..]);
        cursor.SkipBlanks();
        bool isSize = cursor.TryText("size ");
        if (!cursor.TryText("0x") || !cursor.TryHex(out ulong first))
            return false;
        ulong last = 0;
        if (!isSize && (!cursor.TryText("-0x") || !cursor.TryHex(out last) || last < first || last - first >= Frames.AddressLimit))
            return false;
        if (isSize && first > Frames.AddressLimit)
            return false;
        ReadOnlySpan<char> flags = cursor.Rest;
        // A register that nobody wrote reads as 0, one that was sized and never written as all ones: the size is told, the place is none.
        resource = new(
            isSize || first == 0 || last >= Frames.AddressLimit ? null : first, isSize ? first : last - first + 1, isPorts,
            flags.Contains("64bit", StringComparison.Ordinal), flags.Contains("pref", StringComparison.Ordinal));
        return true;
    }
}
