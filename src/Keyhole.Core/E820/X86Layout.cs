// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.E820;

/// <summary>
/// Addresses and sizes that are the same on every PC, or fixed by its processor or by Linux: each once, with where it is from. Bytes. What a machine
/// model or a firmware fixes stands with that model (QemuLayout and the firmwares' files).
/// </summary>
public static class X86Layout
{
    /// <summary>What a real-mode program can address: everything that lies in pieces below it is the firmware's or the ISA bus's.</summary>
    public const ulong OneMiB = 1UL << 20;

    /// <summary>The start of the ISA range: video memory, option ROMs, BIOS (Linux's ISA_START_ADDRESS).</summary>
    public const ulong IsaStart = 0xa_0000;

    /// <summary>The last 64 KiB of the ISA range: the system BIOS of every PC since the first, where its tables are looked for.</summary>
    public const ulong SystemBiosStart = 0xf_0000;

    /// <summary>The end of the ISA range (Linux's ISA_END_ADDRESS).</summary>
    public const ulong IsaEnd = OneMiB;

    /// <summary>Where an I/O APIC lies when nobody says anything else (MultiProcessor Specification 1.4, 3.6.5).</summary>
    public const ulong UsualIoApic = 0xfec0_0000;

    /// <summary>Firmware puts the pages of the I/O APICs from <see cref="UsualIoApic"/> up to here, where chipsets have their HPETs and
    /// more.</summary>
    public const ulong IoApicAreaEnd = 0xfed0_0000;

    /// <summary>The window to which interrupt messages are written: local APICs (Intel SDM volume 3, chapter on the APIC, "message address register
    /// format").</summary>
    public const ulong LocalApicStart = 0xfee0_0000;

    /// <summary>1 MiB behind <see cref="LocalApicStart"/>.</summary>
    public const ulong LocalApicEnd = 0xfef0_0000;

    /// <summary>What Linux takes for the BIOS's ROM below 4 GiB, and keeps out of every free range (BIOS_ROM_BASE in asm/e820/types.h).</summary>
    public const ulong BiosRomStart = 0xffe0_0000;

    /// <summary>The smallest gap below 4 GiB in which Linux looks for room for PCI devices (0x400000 in e820__setup_pci_gap).</summary>
    public const ulong SmallestPciGapBytes = 4UL << 20;

    /// <summary>Where Linux is linked and, as a PV guest, loaded: CONFIG_PHYSICAL_START's default.</summary>
    public const ulong LinuxStart = 16UL << 20;

    /// <summary>Where a 64-bit Linux is linked and its image mapped: virtual, the last 2 GiB (__START_KERNEL_map in asm/page_64_types.h).</summary>
    public const ulong LinuxKernelMap = 0xffff_ffff_8000_0000;

    /// <summary>Where a 64-bit Linux up to 4.19, or one without KASLR, maps all memory: virtual, the first slot behind Xen's
    /// (__PAGE_OFFSET).</summary>
    public const ulong LinuxDirectMap = 0xffff_8800_0000_0000;

    /// <summary>64 TiB: what Linux maps with four levels of page tables (MAX_PHYSMEM_BITS in asm/sparsemem.h).</summary>
    public const ulong LinuxMemoryLimit = 1UL << 46;

    /// <summary>What one entry of the second level of page tables maps: 2 MiB (Intel SDM volume 3, paging).</summary>
    public const ulong LargePageBytes = 2UL << 20;

    /// <summary>What one entry of the third level of page tables maps: 1 GiB.</summary>
    public const ulong HugePageBytes = 1UL << 30;

    /// <summary>What a 32-bit kernel with PAE can address: 36 bits.</summary>
    public const ulong PaeLimit = 64UL << 30;

    /// <summary>
    /// AMD's processors keep 12 GiB for HyperTransport: here up to family 0x16; later below the end of the address space (AMD I/O Virtualization
    /// Technology Specification, "special address ranges").
    /// </summary>
    public const ulong HyperTransportStart = HyperTransportEnd - (12UL << 30);

    /// <summary>1 TiB.</summary>
    public const ulong HyperTransportEnd = 1UL << 40;

    /// <summary>The range [<see cref="HyperTransportStart"/>, <see cref="HyperTransportEnd"/>).</summary>
    public static ByteRange HyperTransport => ByteRange.FromBounds(HyperTransportStart, HyperTransportEnd);
}
