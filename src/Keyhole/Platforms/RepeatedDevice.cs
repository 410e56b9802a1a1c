// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms;

/// <summary>A guest that is given the same device of the host twice: the toolstack refuses it the second time.</summary>
/// <remarks>Sources: libxl__device_pci_add in libxl_pci.c (since Xen 4.15 a device that is given away is no longer assignable; up to 4.12 an HVM
/// guest's is asked for one by one), virPCIDeviceListAdd in libvirt's virpci.c.</remarks>
internal static class RepeatedDevice
{
    /// <summary>The words of the toolstack, where it refuses a guest of Xen for that; else null.</summary>
    public static string? RefusalOf(Scenario scenario)
    {
        if (NameIn(scenario.Guest.Pci) is not { } repeated)
            return null;
        // Where the name alone is known nobody knows the address in the words, nor where they have changed.
        if (repeated.Address is not { } device)
            return "the same PCI device is given twice";
        XenVersion? xen = scenario.Host.Traits.XenVersion;
        return scenario.Guest.Toolstack == Toolstack.Libvirt ? LibvirtsWords(device)
            : xen?.IsUpTo(4, 14) != true ? string.Create(CultureInfo.InvariantCulture,
                $"PCI device {device.Domain:x}:{device.Bus:x}:{device.Device:x}.{device.Function:x} is not assignable")
            : scenario.Guest.Type == GuestType.Hvm && xen.Value.IsUpTo(4, 12) ? $"PCI device {device} already assigned to a different guest?"
            : $"PCI device {device} is given twice";
    }

    /// <summary>The problem of such a guest.</summary>
    /// <param name="scenario">One of which there is a refusal.</param>
    /// <param name="words">The refusal.</param>
    public static Problem ProblemOf(Scenario scenario, string words) => new(
        Severity.Error,
        ProblemCodes.GuestDoesNotStart,
        $"the guest is not created: {words} ({OwnWords.Devices(scenario.Guest.Toolstack)} has {NameIn(scenario.Guest.Pci)?.Text} twice)",
        Remedy: "give the device once");

    public static string LibvirtsWords(PciAddress device) => $"Device {device} is already in use";

    private static (PciAddress? Address, string Text)? NameIn(ImmutableArray<PciAssignment> devices)
    {
        for (int i = 1; i < devices.Length; i++)
        {
            foreach (PciAssignment before in devices.AsSpan()[..i])
            {
                PciAssignment next = devices[i];
                if (next.Address is { } address && (before.Covers(address) || (before.Address is { } known && next.Covers(known))))
                {
                    PciAddress device = next.AllFunctions ? before.Address!.Value : address;
                    return (device, InputError.Quote(device.ToString()));
                }

                if (next.Name is { } name && name == before.Name)
                    return (null, InputError.Quote(name));
            }
        }

        return null;
    }
}
