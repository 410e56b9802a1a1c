// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What hvmloader prints of a BAR that it programs: <c>pci dev 03:0 bar 10 size 002000000: 0f0000008</c>. For a guest whose operating system
/// leaves no log it is all that tells.</summary>
/// <remarks>Source: Xen's tools/firmware/hvmloader/pci.c (pci_setup): slot and function of bus 0, the register's offset, its size, and what was
/// written into it, or "no space for resource!".</remarks>
internal static class HvmloaderBar
{
    private const string Mark = "pci dev ";
    private const uint FirstRegister = 0x10;
    private const uint RomRegister = 0x30;
    private const ulong PortsFlag = 1;
    private const ulong WideFlag = 4;
    private const ulong PrefetchableFlag = 8;

    public static bool TryRead(ReadOnlySpan<char> line, int number, out PciSighting bar)
    {
        bar = default;
        if (!TextCursor.TryBehind(line, Mark, out TextCursor cursor) || !cursor.TryHex(out ulong slot) || slot >= 32 || !cursor.TryText(":")
            || !cursor.TryHex(out ulong function) || function >= 8 || !cursor.TryText(" bar ") || !cursor.TryHex(out ulong register)
            || !cursor.TryText(" size ") || !cursor.TryHex(out ulong size) || !cursor.TryText(": "))
            return false;
        bool isRom = register == RomRegister;
        if (register % 4 != 0 || (!isRom && register is < FirstRegister or > FirstRegister + (5 * 4)))
            return false;
        bool hasSpace = cursor.TryHex(out ulong written);
        if (!hasSpace && !cursor.TryText("no space"))
            return false;
        bool isPorts = !isRom && (written & PortsFlag) != 0;
        ulong flags = isRom ? 0x7ff : isPorts ? 3ul : 0xful;
        bar = new(number, LogPrefix.DomainOf(line) ?? FirmwareMapReader.DomainIn(line), PciAddress.Create(0, (int)slot, (int)function),
            isRom ? Bar.RomIndex : (int)((register - FirstRegister) / 4), PciWord.Found, hasSpace ? written & ~flags : null, size, isPorts,
            !isPorts && !isRom && (written & WideFlag) != 0, !isPorts && !isRom && (written & PrefetchableFlag) != 0);
        return true;
    }
}
