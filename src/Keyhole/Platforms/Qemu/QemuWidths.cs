// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu;

/// <summary>The guest's addresses against the widths of the host's processor and IOMMU, and against memory that the host's devices use by
/// themselves.</summary>
internal static class QemuWidths
{
    private const int DisplayClass = 0x03;
    private const int UsbClass = 0x0c03;

    /// <summary>What Linux says, up to 6.6 and after.</summary>
    private const string Refusal = "\"Device is ineligible for IOMMU domain attach due to platform RMRR requirement\", since 6.7 \"Firmware has "
        + "requested this device have a 1:1 IOMMU mapping\"";

    /// <summary>Addresses beyond so many bits do not work on the host: the processor's width under KVM, and the IOMMU's where a device is passed
    /// through. Null where neither is known.</summary>
    public static int? Limit(HostTraits traits, QemuMachine machine)
    {
        int? limit = machine.IsKvm ? traits.PhysicalAddressBits : null;
        return traits.IommuAddressBits is { } iommu && HasHostDevice(machine) ? Math.Min(limit ?? iommu, iommu) : limit;
    }

    /// <param name="remedy">What was tried and works; null for nothing.</param>
    public static void Report(HostTraits traits, QemuForecast forecast, string? remedy, List<Problem> problems)
    {
        QemuMachine machine = forecast.Machine;
        if (!machine.IsKvm || forecast.Memory is not { } memory)
            return;
        ulong highest = QemuCures.HighestAddress(forecast);
        int guestBits = machine.Cpu.PhysBits;
        if (traits.PhysicalAddressBits is { } hostBits && guestBits > hostBits)
        {
            bool isReached = highest > 1UL << hostBits;
            problems.Add(new(
                isReached ? Severity.Error : Severity.Warning,
                ProblemCodes.AddressWidth,
                string.Create(CultureInfo.InvariantCulture, $"the guest is told {guestBits} address bits and the host's processor has {hostBits}: ")
                    + (isReached ? "what is beyond them the guest cannot reach"
                        : "nothing of the guest's is beyond them, and QEMU only warns (\"Host physical bits does not match phys-bits property\")"),
                isReached ? 1UL << hostBits : null,
                isReached ? highest : null,
                isReached ? remedy : null));
        }

        if (traits.IommuAddressBits is not { } iommuBits || !HasHostDevice(machine))
            return;
        ulong limit = 1UL << iommuBits;
        if (memory.RamEnd > limit)
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.DmaBeyondIommu,
                string.Create(CultureInfo.InvariantCulture,
                    $"RAM of the guest is beyond the {iommuBits} address bits that the host's IOMMU has: VFIO_MAP_DMA fails with -22 (Invalid "
                        + $"argument), and QEMU does not start the guest"),
                limit,
                memory.RamEnd,
                remedy));
            return;
        }

        if (forecast.Placement is { } placement)
            ReportBarsBeyond(placement, limit, iommuBits, remedy, problems);
    }

    /// <summary>That a passed-through device's BAR cannot be mapped QEMU only says; at memory of its own, as ivshmem's, it ends.</summary>
    private static void ReportBarsBeyond(PciPlacement placement, ulong limit, int iommuBits, string? remedy, List<Problem> problems)
    {
        string bits = string.Create(CultureInfo.InvariantCulture, $"the {iommuBits} address bits that the host's IOMMU has");
        if (Beyond(placement, limit, static node => node.Model.StartsWith("ivshmem", StringComparison.Ordinal)) is { Length: > 0 } shared)
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.DmaBeyondIommu,
                $"{NamesOf(placement, shared)} {(shared.Length == 1 ? "is" : "are")} memory that QEMU maps for the devices that are passed through, "
                    + $"beyond {bits}: VFIO_MAP_DMA fails with -22 (Invalid argument), and QEMU stops (\"vfio: DMA mapping failed, unable to "
                    + "continue\")",
                StartOf(shared),
                EndOf(shared),
                remedy));
        }

        if (Beyond(placement, limit, static node => node.IsPassedThrough) is { Length: > 0 } passed)
        {
            bool isOne = passed.Length == 1;
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.DmaBeyondIommu,
                $"{NamesOf(placement, passed)} {(isOne ? "is" : "are")} beyond {bits}: VFIO_MAP_DMA fails with -22 (Invalid argument) for "
                    + $"{(isOne ? "it, and no other device of the guest reaches it" : "them, and no other device of the guest reaches them")}",
                StartOf(passed),
                EndOf(passed),
                remedy));
        }
    }

    private static BarPlacement[] Beyond(PciPlacement placement, ulong limit, Func<PciFunction, bool> isMeant) =>
    [
        .. placement.Bars.Where(bar => isMeant(placement.Tree.Functions[bar.Function].Node) && bar.Bar.Type.IsMemory() && bar.Address is { } address
            && unchecked(address + bar.Bar.SizeBytes - 1) >= limit),
    ];

    private static string NamesOf(PciPlacement placement, BarPlacement[] bars) =>
        QemuBarProblems.NamesOf(placement, [.. bars.Select(static bar => (bar.Function, bar.Bar))]);

    private static ulong? StartOf(BarPlacement[] bars) => bars.Min(static bar => bar.Address);

    /// <summary>Null where it would be 2^64.</summary>
    private static ulong? EndOf(BarPlacement[] bars) =>
        bars.Max(static bar => bar.Address + bar.Bar.SizeBytes - 1) is { } last && last < ulong.MaxValue ? last + 1 : null;

    /// <summary>Memory that the host's firmware told a device to use by itself (RMRR): VFIO gives no such device away, save displays and USB
    /// controllers. Where the source tells whose it is, only the owner's matters.</summary>
    public static void ReportReservedMemory(Scenario scenario, QemuMachine machine, List<Problem> problems)
    {
        QemuDevice[] all = [.. machine.Devices.Where(HostFunctions.IsOne)];
        QemuDevice[] given = [.. all.Where(static device => !IsExempt(device))];
        if (given.Length == 0 && all.Length > 0 && scenario.Host.DeviceMemory is [var first, ..])
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.ReservedDeviceMemory,
                "devices of the host use this memory by themselves (RMRR): displays and USB controllers, which the guest's devices are, Linux gives "
                    + "to a guest all the same",
                first.Start.ToAddress(),
                first.End.ToAddress()));
        }

        if (given.Length == 0)
            return;
        foreach (PfnRange range in scenario.Host.DeviceMemory)
        {
            PciAddress[] owners =
                [.. scenario.Host.Traits.DeviceMemoryOwners.Where(owner => owner.Range.Overlaps(range)).Select(static owner => owner.Device)];
            PciAddress? owned = owners.Cast<PciAddress?>().FirstOrDefault(owner => given.Any(device => Covers(device, owner!.Value)));
            if (owners.Length > 0 && owned is null)
                continue;
            problems.Add(owned is { } address
                ? new(
                    Severity.Error,
                    ProblemCodes.ReservedDeviceMemory,
                    $"the host's firmware has {address} use this memory by itself (RMRR), and Linux does not give such a device to a guest of KVM: "
                        + Refusal,
                    range.Start.ToAddress(),
                    range.End.ToAddress())
                : new(
                    Severity.Warning,
                    ProblemCodes.ReservedDeviceMemory,
                    $"devices of the host use this memory by themselves (RMRR), and which, the source does not tell: one of those is not given to a "
                        + $"guest of KVM: {Refusal}; displays and USB controllers are exempt",
                    range.Start.ToAddress(),
                    range.End.ToAddress()));
        }
    }

    private static bool IsExempt(QemuDevice device) =>
        device.Host is { ClassCode: not 0 and var code } && (code >> 16 == DisplayClass || code >> 8 == UsbClass);

    private static bool Covers(QemuDevice device, PciAddress owner) => HostFunctions.TryGetSlot(device, out PciAddress slot)
        ? (slot.Domain, slot.Bus, slot.Device) == (owner.Domain, owner.Bus, owner.Device)
        : HostFunctions.TryGetAddress(device, out PciAddress address) && address == owner;

    private static bool HasHostDevice(QemuMachine machine) => machine.Devices.Any(HostFunctions.IsOne);
}
