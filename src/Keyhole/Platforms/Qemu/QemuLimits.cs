// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>Which of its addresses the host's hardware lets a guest use, whatever the guest is told. The default limits nothing.</summary>
internal readonly record struct QemuLimits
{
    /// <summary>From this release on Linux maps nothing for a device where the IOMMU keeps addresses for the platform (vfio_iommu_type1:
    /// "check dma map request is within a valid iova range").</summary>
    private static readonly QemuVersion s_refusesReserved = new(5, 4);

    /// <summary>Addresses beyond so many bits do not work: the processor's width under KVM, and the IOMMU's where a device is passed through. Null
    /// where neither is known.</summary>
    public int? Width { get; init; }

    /// <summary>The width of the host's processor under KVM, from its ACPI table where nothing else tells it; null where that does not either, and
    /// without KVM.</summary>
    public int? ProcessorBits { get; init; }

    /// <summary>The IOMMU's width where a device is passed through, else null.</summary>
    public int? IommuBits { get; init; }

    /// <summary>Whether a device is passed through on a machine of AMD's, whose IOMMU keeps the HyperTransport range.</summary>
    public bool KeepsHyperTransport { get; init; }

    /// <summary>Whether the host's Linux is one that lets QEMU start with RAM there all the same: one before 5.4.</summary>
    public bool IsBeforeCheck { get; init; }

    /// <param name="traits">The host's.</param>
    /// <param name="machine">The guest's.</param>
    /// <param name="kernel">The host's Linux; null where it is not told.</param>
    public static QemuLimits Of(HostTraits traits, QemuMachine machine, QemuVersion? kernel)
    {
        int? width = machine.IsKvm ? traits.PhysicalAddressBits ?? traits.LeastAddressBits : null;
        if (!machine.Devices.Any(QemuStops.IsMapped))
            return new() { Width = width, ProcessorBits = width };
        return new()
        {
            Width = traits.IommuAddressBits is { } iommu ? int.Min(width ?? iommu, iommu) : width,
            ProcessorBits = width,
            IommuBits = traits.IommuAddressBits,
            KeepsHyperTransport = HyperTransportAdvice.IsAmd(traits) || traits.Iommu == HostIommu.AmdVi,
            IsBeforeCheck = kernel < s_refusesReserved,
        };
    }

    /// <summary>Whether nothing of a guest is where the host's hardware does not let it be. The IOMMU maps RAM and what QEMU has mapped as such; an
    /// emulated register is reached by the processor alone.</summary>
    public bool Suit(QemuForecast forecast) =>
        (ProcessorBits is not { } bits || QemuCures.HighestAddress(forecast) <= 1UL << bits)
            && (IommuBits is not { } iommuBits || (!IsBeyondIommu(forecast.Memory) && !QemuWidths.HasBarsBeyond(forecast.Placement, iommuBits)))
            && !IsAcrossHyperTransport(forecast.Memory);

    /// <summary>How far the guest gets on this host. OVMF's own drivers touch the BARs of their devices, and beyond the width of the processor that
    /// has been reported to end in a page fault (edk2's issue 9340); they are not modelled.</summary>
    public GuestOutcome OutcomeOf(QemuForecast forecast) => StopsStart(forecast.Memory) ? GuestOutcome.Refused
        : forecast.Outcome == GuestOutcome.Boots && MayFault(forecast) ? GuestOutcome.NotKnown
        : forecast.Outcome;

    /// <summary>Whether the firmware may touch an address that the processor does not have.</summary>
    public bool MayFault(QemuForecast forecast)
    {
        if (forecast.Machine.Firmware.Name != FirmwareName.Ovmf || ProcessorBits is not { } bits || forecast.Placement is not { } placement)
            return false;
        foreach (BarPlacement bar in placement.Bars)
        {
            if (bar.Bar.Type.IsMemory() && bar.Address is { } address && unchecked(address + bar.Bar.SizeBytes - 1) >> bits != 0)
                return true;
        }

        return false;
    }

    /// <summary>Whether RAM lies where devices cannot be mapped to it.</summary>
    public bool IsAcrossHyperTransport(QemuMemory? memory) =>
        KeepsHyperTransport && memory is not null && memory.High.Overlaps(X86Layout.HyperTransport);

    /// <summary>Whether QEMU ends because RAM cannot be mapped for the devices that are passed through.</summary>
    public bool StopsStart(QemuMemory? memory) => IsBeyondIommu(memory) || (IsAcrossHyperTransport(memory) && !IsBeforeCheck);

    /// <summary>Whether RAM is beyond the IOMMU's width.</summary>
    public bool IsBeyondIommu(QemuMemory? memory) => IommuBits is { } bits && memory is not null && memory.RamEnd > 1UL << bits;
}
