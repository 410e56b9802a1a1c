// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;

namespace Keyhole.Captures;

/// <summary>A host's log in which no map is, as <c>dmesg | grep -i dmar</c> leaves it: for a guest whose map does not depend on the host's, what it
/// tells of the IOMMU, of the processor and of devices is as good as in a whole one.</summary>
internal static class LogWithoutMap
{
    /// <summary>The host, without a map; null where the log tells nothing that counts for such a guest.</summary>
    public static HostDocument? Read(LogScan scan, string sourceName)
    {
        HostTraits traits = scan.Traits;
        ImmutableArray<PciDevice> devices = DeviceLines.Of(scan, MachineLines.All);
        string[] told = [.. Told(traits, devices)];
        if (told.Length == 0)
            return null;
        return new()
        {
            Host = new()
            {
                Entries = [],
                LoggedDevices = devices,
                Traits = traits,
                ReservedRegions = [.. traits.ReservedDeviceMemory.Select(ReservedRegion.OfDeviceMemory).OrderBy(static region => region.Start)],
            },
            Dialect = HostMapDialect.Linux,
            Description = $"what {sourceName} tells of it, no map",
            Log = scan,
            Remarks =
            [
                $"{sourceName} has no memory map, which this guest's does not depend on; what it tells of the host ({Listed.Of(told)}) is taken. "
                    + $"How much RAM the host has is not known: a whole 'dmesg' or 'sudo cat /proc/iomem' tells.",
            ],
        };
    }

    /// <summary>What counts, by the words for it.</summary>
    private static System.Collections.Generic.IEnumerable<string> Told(HostTraits traits, ImmutableArray<PciDevice> devices)
    {
        HostComplaints said = traits.Complaints;
        if (traits.Iommu is not null || traits.LinuxUsesIommu is not null || traits.LinuxIommuFailure is not null
            || traits.AcpiAddressBits is not null || traits.IommuAddressBits is not null
            || !traits.ReservedDeviceMemory.IsEmpty || !traits.DeviceMemoryOwners.IsEmpty)
            yield return "the IOMMU";
        if (traits.CpuVendor is not null || traits.PhysicalAddressBits is not null || traits.HasGiBPages is not null)
            yield return "the processor";
        if (!devices.IsEmpty || !said.Ineligible.IsEmpty || !said.Taken.IsEmpty || !said.ConsoleRanges.IsEmpty)
            yield return "devices";
        if (!said.MapFailures.IsEmpty || said.ExceededLock is not null || !said.HugePages.IsEmpty)
            yield return "the memory of guests";
    }
}
