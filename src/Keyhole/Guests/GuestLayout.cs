// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Guests;

/// <summary>Where the domain builder puts things in a guest's memory. Empty ranges are not known and are not looked at.</summary>
public sealed record GuestLayout
{
    private const ulong LargePage = X86Layout.LargePageBytes;
    private const ulong HugePage = X86Layout.HugePageBytes;
    private const ulong SpecialPagesBytes = 3 * Frames.SizeBytes;

    /// <summary>Nothing is known.</summary>
    public static readonly GuestLayout Unknown = new();

    /// <summary>What Linux's vmlinux.lds.S puts between a kernel's bss and its end: a brk area, 196 KiB in distributions' kernels, bytes.</summary>
    private const ulong MostBrk = 512UL << 10;

    /// <summary>What it puts behind the end of a kernel that can encrypt memory: .init.scratch, 4 MiB from the next 2 MiB boundary on, which nothing
    /// needs once it runs.</summary>
    private const ulong MostScratch = 6UL << 20;

    /// <summary>Whether it is known where the kernel lies. A guest may well have no ramdisk, and a dom0 its p2m list at an address of its
    /// own.</summary>
    public bool IsKnown => !Kernel.IsEmpty;

    /// <summary>What the builder gives the kernel's image. It goes on behind the kernel's own end.</summary>
    public ByteRange Kernel { get; init; }

    /// <summary>What the kernel itself takes for its own, and looks at; empty where nobody knows, and all of <see cref="Kernel"/> is taken for
    /// it.</summary>
    public ByteRange KernelProper { get; init; }

    /// <summary>The start info page.</summary>
    public ByteRange StartInfo { get; init; }

    /// <summary>The initial page tables.</summary>
    public ByteRange PageTables { get; init; }

    /// <summary>The list of machine frames behind the guest's.</summary>
    public ByteRange P2mList { get; init; }

    /// <summary>The ramdisk.</summary>
    public ByteRange Initrd { get; init; }

    /// <summary>What the kernel looks at, as far as is known.</summary>
    public ByteRange KernelLookedAt => KernelProper.IsEmpty ? Kernel : KernelProper;

    /// <summary>Where the end may lie up to which the kernel looks; empty where that is known, or nothing is.</summary>
    /// <param name="checksToEnd">Whether this kernel looks up to its end; else it is up to that of its bss.</param>
    public ByteRange KernelEndRange(bool checksToEnd)
    {
        if (Kernel.IsEmpty || !KernelProper.IsEmpty)
            return default;
        ulong most = (checksToEnd ? 0 : MostBrk) + (Kernel.End % LargePage == 0 ? MostScratch : 0);
        return ByteRange.FromBounds(Kernel.End - ulong.Min(most, Kernel.SizeBytes - 1), Kernel.End);
    }

    /// <summary>What xl's domain builder does without a ramdisk.</summary>
    /// <param name="pageCount">Pages of the guest: they decide how long the p2m list is.</param>
    /// <param name="is32Bit">Entries of that list have 4 bytes then.</param>
    /// <param name="kernel">What the image is given; null: <see cref="LinuxPvKernel.UsualImage"/>.</param>
    public static GuestLayout OfXl(ulong pageCount, bool is32Bit = false, ByteRange? kernel = null)
    {
        ByteRange image = kernel ?? LinuxPvKernel.UsualImage;
        ulong end = Pfn.AtOrAbove(image.End).ToAddress();
        ByteRange pageTables = PageTablesFrom(end + SpecialPagesBytes, out ulong mappedEnd);
        ulong list = Pfn.AtOrAbove(pageCount * (is32Bit ? 4UL : 8UL)).ToAddress();
        return new()
        {
            Kernel = image,
            StartInfo = ByteRange.FromSize(end, Frames.SizeBytes),
            PageTables = pageTables,
            P2mList = ByteRange.FromSize(mappedEnd, is32Bit ? list : list + ((1 + Pages(list, HugePage) + Pages(list, LargePage)) << Frames.Shift)),
        };
    }

    /// <summary>What Xen's builder does for a dom0, where no log says it. The p2m list lies elsewhere there.</summary>
    /// <param name="kernel">What the image is given; null: <see cref="LinuxPvKernel.UsualImage"/>.</param>
    public static GuestLayout OfDom0(ByteRange? kernel = null)
    {
        ByteRange image = kernel ?? LinuxPvKernel.UsualImage;
        ulong end = Pfn.AtOrAbove(image.End).ToAddress();
        return new()
        {
            Kernel = image,
            StartInfo = ByteRange.FromSize(end, Frames.SizeBytes),
            PageTables = PageTablesFrom(end + Frames.SizeBytes, out _),
        };
    }

    /// <summary>
    /// The page tables, and where what they map ends: both builders map the kernel's 2 GiB from their start on past the tables, a stack's page and
    /// 512 KiB, up to a multiple of 4 MiB.
    /// </summary>
    private static ByteRange PageTablesFrom(ulong start, out ulong mappedEnd)
    {
        const ulong roomPages = 129;
        const ulong step = 4UL << 20;
        ulong count = 0;
        mappedEnd = start;
        if (start >= Frames.AddressLimit)
            return default;
        while (true)
        {
            mappedEnd = Align.Up(start + ((count + roomPages) << Frames.Shift), step);
            ulong needed = 2 + Pages(mappedEnd, HugePage) + Pages(mappedEnd, LargePage);
            if (needed == count)
                return ByteRange.FromSize(start, count << Frames.Shift);
            count = needed;
        }
    }

    private static ulong Pages(ulong bytes, ulong each) => (bytes + each - 1) / each;
}
