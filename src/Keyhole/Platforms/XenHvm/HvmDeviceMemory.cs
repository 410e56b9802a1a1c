// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenHvm;

/// <summary>Which reserved device memory of the host libxl takes into account for a guest, and how strictly.</summary>
internal static class HvmDeviceMemory
{
    public static ImmutableArray<GuestDeviceMemory> Of(Scenario scenario, HvmRdm rdm)
    {
        HostTraits traits = scenario.Host.Traits;
        if (!IsToldToLibxl(scenario.Host))
            return [];
        var found = new List<GuestDeviceMemory>();
        if (rdm is { IsOfHost: true })
        {
            foreach (PfnRange range in scenario.Host.DeviceMemory)
                found.Add(new(ByteRange.FromFrames(range), rdm.Policy == "strict"));
        }

        foreach (PciAssignment assignment in scenario.Guest.Pci)
        {
            // libxl takes what nobody said for strict.
            bool isStrict = (assignment.RdmPolicy ?? rdm.DevicePolicy) != "relaxed";
            foreach (DeviceMemoryOwner owner in traits.DeviceMemoryOwners)
            {
                if (!assignment.Covers(owner.Device) && (assignment.Address is not { } own || !owner.Includes(own)))
                    continue;
                GuestDeviceMemory region = new(ByteRange.FromFrames(owner.Range), isStrict);
                // What the device says counts more than what is said for all; libxl knows a region by its start.
                int at = found.FindIndex(other => other.Range.Start == region.Range.Start);
                if (at >= 0)
                    found[at] = found[at] with { IsStrict = isStrict };
                else
                    found.Add(region);
            }

            foreach (SharedMemoryDevice said in traits.Complaints.Sharing)
            {
                ByteRange range = SaidRange(scenario.Host, said);
                if (assignment.Covers(said.Device) && !found.Exists(other => other.Range.Start == range.Start))
                    found.Add(new(range, isStrict));
            }
        }

        return [.. found];
    }

    /// <summary>The region that Xen names by its start; its first page where no other line tells where it ends.</summary>
    private static ByteRange SaidRange(Host host, SharedMemoryDevice said)
    {
        var page = Pfn.Containing(said.Address);
        return ByteRange.FromFrames(host.DeviceMemory.Where(range => range.Contains(page)).DefaultIfEmpty(PfnRange.FromCount(page, 1)).First());
    }

    /// <summary>Whether Xen tells libxl of it: of AMD's (IVMD) since 4.16.</summary>
    /// <remarks>Source: get_reserved_device_memory in xen/drivers/passthrough.</remarks>
    public static bool IsToldToLibxl(Host host) => !HyperTransportAdvice.IsAmd(host.Traits) || host.Traits.XenVersion?.IsUpTo(4, 15) != true;

    /// <summary>Regions of devices that the guest gets, or may get.</summary>
    public static ImmutableArray<PfnRange> PossiblyOf(Scenario scenario)
    {
        ImmutableArray<PfnRange> unowned = Unowned(scenario.Host);
        return [.. scenario.Host.DeviceMemory.Where(range => unowned.Contains(range) || scenario.Host.Traits.DeviceMemoryOwners.Any(owner =>
            owner.Range.Overlaps(range) && scenario.Guest.Pci.Any(assignment => assignment.Covers(owner.Device))))];
    }

    /// <summary>Regions of which nobody says whose they are: they may be those of a device that the guest gets.</summary>
    public static ImmutableArray<PfnRange> Unowned(Host host) =>
        [.. host.DeviceMemory.Where(range => !host.Traits.DeviceMemoryOwners.Any(owner => owner.Range.Overlaps(range)))];
}
