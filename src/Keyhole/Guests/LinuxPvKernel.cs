// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Guests;

/// <summary>Where a Linux PV kernel lies in a guest, as far as every recent one agrees.</summary>
internal static class LinuxPvKernel
{
    /// <summary>Linked and loaded here.</summary>
    public const ulong LoadAddress = X86Layout.LinuxStart;

    /// <summary>What the image with its bss, the start info and the first page tables take: 58 MiB and a little for Linux 6.1, rounded up.</summary>
    public const ulong NeededBytes = 60UL << 20;

    /// <summary>The first address that need not be RAM.</summary>
    public const ulong EndOfNeed = LoadAddress + NeededBytes;

    /// <summary>The image of Linux 6.1 with its bss, as every record has it.</summary>
    public static ByteRange UsualImage => ByteRange.FromBounds(LoadAddress, 0x4a0_0000);
}
