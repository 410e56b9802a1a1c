// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Platforms.Qemu.Board;

/// <summary>The addresses at which QEMU's PC boards have things, in bytes. The one place that knows them.</summary>
/// <remarks>Source: QEMU's hw/i386/pc.c, pc_piix.c, pc_q35.c and target/i386/kvm; each is met by the recorded guests.</remarks>
internal static class QemuLayout
{
    public const ulong GiB = 1UL << 30;
    public const ulong TiB = 1UL << 40;

    /// <summary>pc: RAM from this size on is split, unless the user says another.</summary>
    public const ulong PcDefaultLowRam = 0xe0000000;

    /// <summary>pc: where it is then split, since the machine types of 2.0.</summary>
    public const ulong PcAlignedLowRam = 0xc0000000;

    /// <summary>q35: RAM from this size on is split.</summary>
    public const ulong Q35LowRam = 0xb0000000;

    /// <summary>q35: where it is then split.</summary>
    public const ulong Q35AlignedLowRam = 0x80000000;

    /// <summary>The end of the 32-bit window of the host bridge in ACPI: the first I/O APIC.</summary>
    public const ulong IoApic = X86Layout.UsualIoApic;

    /// <summary>AMD's HyperTransport: 12 GiB below 1 TiB that no device may reach by DMA.</summary>
    public const ulong HyperTransportStart = X86Layout.HyperTransportStart;

    /// <summary>Where RAM above 4 GiB goes when it would meet HyperTransport.</summary>
    public const ulong HyperTransportEnd = X86Layout.HyperTransportEnd;

    /// <summary>KVM's identity page table and task state segment: four pages.</summary>
    public static ByteRange KvmReserved => ByteRange.FromBounds(0xfeffc000, 0xff000000);

    /// <summary>Size of the window above 4 GiB that ACPI tells at least, where the user says nothing.</summary>
    public const ulong Q35Hole64Bytes = 32 * GiB;

    public const ulong PcHole64Bytes = 2 * GiB;
}
