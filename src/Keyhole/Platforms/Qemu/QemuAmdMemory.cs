// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu;

/// <summary>Memory that the host's firmware has devices use by themselves on AMD's machines (IVMD): Linux refuses each such device since 6.7,
/// displays and USB controllers too, and has no option against it.</summary>
internal static class QemuAmdMemory
{
    private const string Refusal = "\"Firmware has requested this device have a 1:1 IOMMU mapping\"";

    private const string Remedy = "nothing on Linux' command line does: update the board's firmware, or switch its \"Kernel DMA Protection\" "
        + "(\"Pre-Boot DMA Protection\") off, which has been reported to help";

    /// <summary>Linux' a48ce36e2786.</summary>
    private static readonly Version s_firstThatRefuses = new(6, 7);

    public static bool IsOf(HostTraits traits) => traits.Iommu == HostIommu.AmdVi
        || (traits.Iommu is null && traits.CpuVendor is "AuthenticAMD" or "HygonGenuine");

    /// <param name="devices">The host's devices that the guest is to get.</param>
    public static void Report(Host host, QemuDevice[] devices, List<Problem> problems)
    {
        var told = new HashSet<QemuDevice>();
        foreach (PciAddress address in host.Traits.Complaints.Ineligible)
        {
            if (devices.FirstOrDefault(device => HostFunctions.Covers(device, address)) is not { } refused)
                continue;
            told.Add(refused);
            problems.Add(new(
                Severity.Error,
                ProblemCodes.ReservedDeviceMemory,
                $"Linux does not give {address} to a guest of KVM, for the host's firmware has it use memory by itself (IVMD): so its log says "
                    + $"({Refusal}), and QEMU does not start the guest",
                Remedy: Remedy));
        }

        Version? release = Version.TryParse(host.Traits.LinuxRelease, out Version? version) ? version : null;
        if (release < s_firstThatRefuses)
            return;
        List<PfnRange> ownerless = [];
        foreach (PfnRange range in host.DeviceMemory)
        {
            DeviceMemoryOwner[] owners = [.. host.Traits.DeviceMemoryOwners.Where(owner => owner.Range.Overlaps(range))];
            if (owners.Length == 0)
                ownerless.Add(range);
            if (devices.FirstOrDefault(device => !told.Contains(device) && owners.Any(owner => IsOf(device, owner))) is not { } owned)
                continue;
            told.Add(owned);
            problems.Add(new(
                release is null ? Severity.Warning : Severity.Error,
                ProblemCodes.ReservedDeviceMemory,
                $"the host's firmware has {owned["host"] ?? owned["sysfsdev"]} use this memory by itself (IVMD), and Linux on AMD's machines gives "
                    + $"no such device, displays and USB controllers neither, to a guest of KVM since 6.7: {Refusal}",
                range.Start.ToAddress(),
                range.End.ToAddress(),
                Remedy));
        }

        if (ownerless.Count > 0 && told.Count < devices.Length)
        {
            problems.Add(QemuWidths.Of(Severity.Warning, [.. ownerless], "devices of the host use {0} by themselves (IVMD), and which, the source "
                + $"does not tell (amd_iommu_dump on Linux' command line does): since 6.7 Linux on AMD's machines gives none of those to a guest of "
                + $"KVM, displays and USB controllers neither: {Refusal}"));
        }
    }

    private static bool IsOf(QemuDevice device, DeviceMemoryOwner owner) => HostFunctions.Covers(device, owner.Device)
        || ((HostFunctions.TryGetSlot(device, out PciAddress address) || HostFunctions.TryGetAddress(device, out address))
            && owner.Includes(address));
}
