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
        var found = new List<GuestDeviceMemory>();
        if (rdm is { IsOfHost: true })
        {
            foreach (PfnRange range in scenario.Host.DeviceMemory)
                found.Add(new(ByteRange.FromFrames(range), rdm.Policy == "strict"));
        }

        foreach (PciAssignment assignment in scenario.Guest.Pci)
        {
            // libxl takes what nobody said for strict.
            bool isStrict = (assignment.RdmPolicy ?? rdm.Policy) != "relaxed";
            foreach (DeviceMemoryOwner owner in traits.DeviceMemoryOwners)
            {
                if (!assignment.Covers(owner.Device))
                    continue;
                GuestDeviceMemory region = new(ByteRange.FromFrames(owner.Range), isStrict);
                // What the device says counts more than what is said for all; libxl knows a region by its start.
                int at = found.FindIndex(other => other.Range.Start == region.Range.Start);
                if (at >= 0)
                    found[at] = found[at] with { IsStrict = isStrict };
                else
                    found.Add(region);
            }
        }

        return [.. found];
    }

    /// <summary>Regions of which nobody says whose they are: they may be those of a device that the guest gets.</summary>
    public static ImmutableArray<PfnRange> Unowned(Host host) =>
        [.. host.DeviceMemory.Where(range => !host.Traits.DeviceMemoryOwners.Any(owner => owner.Range.Overlaps(range)))];
}
