// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using System.Numerics;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using static Keyhole.Platforms.Qemu.Board.QemuLayout;

namespace Keyhole.Platforms.Firmware;

/// <summary>Where OVMF looks for room: ports, below 4 GiB, above, and what of it it leaves alone.</summary>
internal sealed class OvmfWindows
{
    public const ulong DefaultWindow = 32 * GiB;

    /// <summary>The name under which OVMF looks for the window that the user asks for.</summary>
    public const string WindowName = "opt/ovmf/X-PciMmio64Mb";

    /// <summary>The largest window that the user may ask for, in MiB: 16 TiB.</summary>
    public const uint LargestWindowMiB = 0x1000000;

    /// <summary>OVMF's buffer holds 2^64, a line's end and the byte behind a text: what is longer is not read at all.</summary>
    private const int LongestNumber = 22;

    private const ulong Q35LowWindow = 0xc0000000;
    private const ulong Q35Mmconfig = 0xe0000000;
    private const ulong Q35OldMmconfig = 0xb0000000;
    private const ulong MmconfigBytes = 0x10000000;
    private const ulong LowWindowEnd = 0xfc000000;

    private readonly FirmwareInput _input;

    public OvmfWindows(FirmwareInput input)
    {
        _input = input;
        Release = OvmfRelease.Of(input.Machine.Firmware);
        Io = input.IsQ35 ? ByteRange.FromBounds(0x6000, 0x10000) : ByteRange.FromBounds(0xc000, 0x10000);
        Low = LowWindow();
        Reserved = Release.AvoidsReserved ? [.. input.Memory.FirmwareMap.Where(static entry => !entry.IsRam && entry.Size > 0)
            .Select(static entry => entry.Range).OrderBy(static range => range.Start)] : [];
        (High, Width, HighLimit) = HighWindow();
    }

    public OvmfRelease Release { get; }

    public ByteRange Io { get; }

    public ByteRange Low { get; }

    /// <summary>q35's; empty on another board.</summary>
    public ByteRange Mmconfig =>
        _input.IsQ35 ? ByteRange.FromSize(Release.HasHighMmconfig ? Q35Mmconfig : Q35OldMmconfig, MmconfigBytes) : default;

    /// <summary>The window above 4 GiB; null where the user switched it off.</summary>
    public ByteRange? High { get; }

    /// <summary>Why the window above 4 GiB is no larger; empty where it is as the processor's own width or the user has it.</summary>
    public string HighLimit { get; }

    /// <summary>What no BAR may have of a window, sorted: QEMU's map reserves it, and the firmware's own list of memory says so, too. A window of the
    /// user's may reach over it. Seen: not in 2022.11, but in 2025.02; between them by the release that began to read these entries.</summary>
    public ByteRange[] Reserved { get; }

    /// <summary>The width in bits that OVMF maps.</summary>
    public int Width { get; }

    /// <summary>The largest power of two that is not above; 0 for 0.</summary>
    private static ulong PowerBelow(ulong value) => value == 0 ? 0 : 1UL << BitOperations.Log2(value);

    private ByteRange LowWindow()
    {
        // One variable MTRR covers it: from a power of two below 4 GiB on.
        ulong uncached = Frames.FourGiB - PowerBelow(Frames.FourGiB - _input.Memory.LowEnd);
        if (!_input.IsQ35)
            return ByteRange.FromBounds(uncached, LowWindowEnd);
        return Release.HasHighMmconfig ? ByteRange.FromBounds(uncached, Q35Mmconfig) : ByteRange.FromBounds(Q35LowWindow, LowWindowEnd);
    }

    private (ByteRange? Window, int Width, string Limit) HighWindow()
    {
        ulong first = Frames.FourGiB;
        foreach (E820Entry entry in _input.Memory.FirmwareMap)
        {
            if (entry.IsRam)
                first = Math.Max(first, entry.End);
        }

        ulong? users = UsersWindow();
        ulong size = users ?? DefaultWindow;
        ulong start = 0;
        if (size != 0)
        {
            size = Align.Up(size, GiB);
            start = Align.Up(Align.Up(_input.Memory.HotplugEnd ?? first, GiB), PowerBelow(size));
            first = start + size;
        }

        string limit = "";
        if (BelievedWidth() is not { } width)
        {
            if (users is null)
            {
                limit = Release.BelievesWidth
                    ? $"what OVMF takes where it does not believe the processor's {_input.Machine.Cpu.PhysBits} address bits"
                    : "what OVMF takes before 2022.11, whatever the processor's width is";
            }

            return (size == 0 ? null : ByteRange.FromSize(start, size), Math.Max(36, BitOperations.Log2(first - 1) + 1), limit);
        }

        if (!Release.HasDynamicWindow)
        {
            limit = users is null ? "what LXD's build of OVMF takes, in which it does not follow from the processor's width" : "";
            return (size == 0 ? null : ByteRange.FromSize(start, size), width, limit);
        }

        ulong space = 1UL << width;
        ulong share = space >> (Release.TakesQuarter ? 2 : 3);
        bool isUsersToKeep = Release.TakesUsersWindow && users is not null;
        if (size < share && start + share < space && !isUsersToKeep)
        {
            size = share;
            limit = $"{(Release.TakesQuarter ? "a quarter" : "an eighth")} of {width} address bits{WhyNoMore(width)}";
            start = space - share;
            foreach (ByteRange reserved in Reserved)
            {
                if (reserved.Overlaps(ByteRange.FromSize(start, size)))
                    start = Align.Down(reserved.Start - size, size);
            }
        }

        return (size == 0 ? null : ByteRange.FromSize(start, size), width, limit);
    }

    /// <summary>What makes the width that OVMF uses smaller than the processor's.</summary>
    public string WhyNoMore(int width)
    {
        QemuCpu cpu = _input.Machine.Cpu;
        return width == cpu.PhysBits ? ", the processor's"
            : width == 40 && !cpu.HasGiBPages ? ", the most that OVMF takes without pages of 1 GiB (pdpe1gb)"
            : Release.KnowsGuestBits && width == cpu.GuestPhysBits ? ", the most that KVM maps for the guest"
            : ", the most that OVMF takes";
    }

    /// <summary>The size that the user asks for (<c>X-PciMmio64Mb</c>) in bytes, 0 for no window; null where nothing is asked for that OVMF
    /// takes.</summary>
    private ulong? UsersWindow()
    {
        return _input.Machine.FwCfgValue(WindowName) is { } text && TryReadWindow(text, out ulong bytes) ? bytes : null;
    }

    /// <summary>Reads a window as OVMF does: whole MiB in decimal digits, blanks before them and a line's end behind them; at most 16 TiB.</summary>
    /// <remarks>Source: edk2's QemuFwCfgSimpleParser.c and its use in PlatformInitLib.</remarks>
    public static bool TryReadWindow(string text, out ulong sizeBytes)
    {
        ReadOnlySpan<char> digits = text.EndsWith("\r\n", StringComparison.Ordinal) ? text.AsSpan(0, text.Length - 2)
            : text.EndsWith('\n') ? text.AsSpan(0, text.Length - 1) : text;
        bool isRead = text.Length <= LongestNumber & ulong.TryParse(digits.TrimStart(" \t"), NumberStyles.None, CultureInfo.InvariantCulture,
            out ulong sizeMiB) && sizeMiB <= LargestWindowMiB;
        sizeBytes = isRead ? sizeMiB << 20 : 0;
        return isRead;
    }

    private int? BelievedWidth()
    {
        QemuCpu cpu = _input.Machine.Cpu;
        int guestBits = Release.KnowsGuestBits ? cpu.GuestPhysBits : 0;
        if (!Release.BelievesWidth || (guestBits == 0 && !_input.HasValidWidth))
            return null;
        int width = guestBits == 0 ? cpu.PhysBits : Math.Min(cpu.PhysBits, guestBits);
        width = Math.Min(width, Release.LimitsTo46Bits ? 46 : 47);
        return cpu.HasGiBPages ? width : Math.Min(width, 40);
    }
}
