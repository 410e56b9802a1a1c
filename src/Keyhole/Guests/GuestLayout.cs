// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.Guests;

/// <summary>Where the domain builder puts things in a guest's memory. Empty ranges are not known and are not looked at.</summary>
public sealed record GuestLayout
{
    // What xl puts around Linux 6.1 in every golden record: kernel, then start_info, console and xenstore pages, page tables, then
    // the ramdisk at a 2 MiB boundary, then the p2m list.
    private const ulong SpecialPagesBytes = 3 * Frames.SizeBytes;
    private const ulong PageTablePages = 0x29;

    public static readonly GuestLayout Unknown = new();

    /// <summary>Whether it is known where the kernel lies. A guest may well have no ramdisk, and a dom0 its p2m list at an address of its own.</summary>
    public bool IsKnown => !Kernel.IsEmpty;

    /// <summary>The kernel's image with its bss.</summary>
    public ByteRange Kernel { get; init; }

    public ByteRange StartInfo { get; init; }

    public ByteRange PageTables { get; init; }

    public ByteRange P2mList { get; init; }

    public ByteRange Initrd { get; init; }

    /// <summary>What xl's domain builder does with a Linux of the size of 6.1 and no ramdisk.</summary>
    /// <param name="pageCount">Pages of the guest: they decide how long the p2m list is.</param>
    /// <param name="is32Bit">Entries of that list have 4 bytes then.</param>
    public static GuestLayout OfXl(ulong pageCount, bool is32Bit = false)
    {
        ByteRange pageTables = ByteRange.FromSize(LinuxPvKernel.UsualImage.End + SpecialPagesBytes, PageTablePages * Frames.SizeBytes);
        return new()
        {
            Kernel = LinuxPvKernel.UsualImage,
            StartInfo = ByteRange.FromSize(LinuxPvKernel.UsualImage.End, Frames.SizeBytes),
            PageTables = pageTables,
            P2mList = ByteRange.FromSize(pageTables.End, Pfn.AtOrAbove(pageCount * (is32Bit ? 4UL : 8UL)).ToAddress()),
        };
    }

    /// <summary>What Xen's builder does for a dom0 with a Linux of the size of 6.1, where no log says it. The p2m list lies elsewhere there.</summary>
    public static GuestLayout OfDom0() => new()
    {
        Kernel = LinuxPvKernel.UsualImage,
        StartInfo = ByteRange.FromSize(LinuxPvKernel.UsualImage.End, Frames.SizeBytes),
        PageTables = ByteRange.FromSize(LinuxPvKernel.UsualImage.End + Frames.SizeBytes, PageTablePages * Frames.SizeBytes),
    };
}
