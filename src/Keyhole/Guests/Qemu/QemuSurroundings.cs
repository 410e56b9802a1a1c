// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Guests;

/// <summary>What is known around a guest and does not stand in its configuration: the host, and what the user says beside it. Null where it is not
/// known.</summary>
public sealed record QemuSurroundings
{
    /// <summary>Nothing is known.</summary>
    public static readonly QemuSurroundings Unknown = new();

    /// <summary>The release of QEMU, as the user says.</summary>
    public QemuVersion? Emulator { get; init; }

    /// <summary>The firmware, as the user says.</summary>
    public QemuFirmware? Firmware { get; init; }

    /// <summary>Which firmware it is, where the user says that and not which release of it; what <see cref="Firmware"/> says counts more.</summary>
    public FirmwareName? FirmwareName { get; init; }

    /// <summary>The machine type in place of the configuration's, as <c>-machine</c> takes it.</summary>
    public string? MachineName { get; init; }

    /// <summary>The guest's address width in place of what follows from its configuration, 32–52.</summary>
    public int? PhysBits { get; init; }

    /// <summary>The vendor that the guest's processor shows, in place of what follows from its configuration.</summary>
    public CpuVendor? Vendor { get; init; }

    /// <summary>Who made the host's processor.</summary>
    public CpuVendor? HostVendor { get; init; }

    /// <summary>The width of the host's physical addresses, 32–52.</summary>
    public int? HostPhysBits { get; init; }

    /// <summary>What the host's ACPI table tells of it (<see cref="HostTraits.AcpiAddressBits"/>): the processor may have more.</summary>
    public int? HostAcpiBits { get; init; }

    /// <summary>What a guest on the host had, by what QEMU mapped for it; <c>IsAll</c>: and no more.</summary>
    internal (int Bits, bool IsAll)? Mapped { get; init; }

    /// <summary>Whether the host's processor has pages of 1 GiB (pdpe1gb).</summary>
    public bool? HostHasGiBPages { get; init; }

    /// <summary>The release of the host's Linux, two numbers.</summary>
    public QemuVersion? HostKernel { get; init; }

    /// <summary>The host's PCI functions, or those that the user lists.</summary>
    public ImmutableArray<PciDevice> Devices { get; init => field = Given.Array(value); } = [];

    /// <summary>What a device that is passed through asks for where no listing tells: the user says it for all such devices. Empty where he does
    /// not.</summary>
    public ImmutableArray<BarRequest> Bars { get; init => field = Given.Array(value); } = [];

    /// <summary>What a host's description tells of it.</summary>
    public static QemuSurroundings Of(HostTraits traits, ImmutableArray<PciDevice> devices)
    {
        ArgumentNullException.ThrowIfNull(traits);
        return new()
        {
            HostVendor = traits.CpuVendor switch
            {
                null => traits.Iommu switch
                {
                    HostIommu.IntelVtd => CpuVendor.Intel,
                    HostIommu.AmdVi => CpuVendor.Amd,
                    null => null,
                },
                "GenuineIntel" => CpuVendor.Intel,
                "AuthenticAMD" => CpuVendor.Amd,
                _ => CpuVendor.Other,
            },
            HostPhysBits = traits.PhysicalAddressBits,
            HostAcpiBits = traits.AcpiAddressBits,
            Mapped = traits.Complaints.MappedBits is { } mapped ? (mapped, traits.Complaints.IsMappedAtTheEnd) : null,
            HostHasGiBPages = traits.HasGiBPages,
            HostKernel = QemuVersion.TryParseLeading(traits.LinuxRelease, out QemuVersion kernel) ? kernel : null,
            Devices = devices,
        };
    }
}
