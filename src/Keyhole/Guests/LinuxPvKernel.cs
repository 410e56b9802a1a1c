// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Guests;

/// <summary>Where a Linux PV kernel lies in a guest, as far as every recent one agrees.</summary>
public static class LinuxPvKernel
{
    /// <summary>Linked (CONFIG_PHYSICAL_START) and loaded at 16 MiB.</summary>
    public const ulong LoadAddress = 16UL << 20;

    /// <summary>What the image with its bss, the start info and the first page tables take: 58 MiB and a little for Linux 6.1, rounded up.</summary>
    public const ulong NeededBytes = 60UL << 20;

    /// <summary>The first address that need not be RAM.</summary>
    public const ulong EndOfNeed = LoadAddress + NeededBytes;
}
