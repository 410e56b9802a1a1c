// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.Firmware;

/// <summary>What hvmloader finds when Xen starts an HVM guest.</summary>
internal sealed record HvmloaderInput
{
    /// <summary>hvmloader belongs to Xen: its release is Xen's.</summary>
    public required XenVersion Xen { get; init; }

    /// <summary>Null where what the guest's devices ask for is not known.</summary>
    public required NumberedTree? Tree { get; init; }

    /// <summary>The end of RAM below 4 GiB as libxl laid it.</summary>
    public required ulong LowEnd { get; init; }

    /// <summary>The end of RAM above 4 GiB; 0 for none.</summary>
    public required ulong HighEnd { get; init; }

    /// <summary>platform/mmio_hole_size; 0 where the toolstack does not set it.</summary>
    public ulong HoleBytes { get; init; }

    /// <summary>Whether hvmloader may move RAM for a larger hole: toolstacks other than libxl leave it that.</summary>
    public bool MayMoveRam { get; init; }

    /// <summary>Whether the memory of Xen's platform device has the end of the hole (xen_platform_pci_bar_uc=0, since 4.21).</summary>
    public bool HasPlatformBarLast { get; init; }

    /// <summary>Reserved device memory that libxl tells of, in its order.</summary>
    public ImmutableArray<ByteRange> Reserved { get; init => field = Given.Array(value); } = [];

    public bool HasAcpi { get; init; } = true;

    /// <summary>SeaBIOS or OVMF, which runs next.</summary>
    public required FirmwareName Next { get; init; }

    /// <summary>Pages of ACPI's tables, the one of its information included.</summary>
    public required ulong AcpiPages { get; init; }

    /// <summary>Pages of OVMF's ROM.</summary>
    public required ulong OvmfPages { get; init; }

    /// <summary>Pages that the domain may still be given when hvmloader starts.</summary>
    public required ulong FreePages { get; init; }

    /// <summary>Width of the guest's physical addresses.</summary>
    public required int PhysBits { get; init; }
}
