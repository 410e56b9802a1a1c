// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Pci;

namespace Keyhole.Guests;

/// <summary>Devices of the host in a guest of QEMU: which one a <c>vfio-pci</c> names, and what it asks for.</summary>
internal static class HostFunctions
{
    public static bool IsOne(QemuDevice device) => device.Driver is "vfio-pci" or "vfio-pci-nohotplug";

    /// <summary>The host's address; false for a mediated device, which has none of its own.</summary>
    public static bool TryGetAddress(QemuDevice device, out PciAddress address)
    {
        ReadOnlySpan<char> text = device["host"];
        if (text.IsEmpty)
        {
            text = device["sysfsdev"].AsSpan().TrimEnd('/');
            text = text[(text.LastIndexOf('/') + 1)..];
        }

        return PciAddress.TryParse(text, out address);
    }

    /// <summary>The device of <c>host=0000:07:00</c>, which names no function; its function 0. False where a function is named, or no
    /// device.</summary>
    public static bool TryGetSlot(QemuDevice device, out PciAddress address)
    {
        address = default;
        return device["host"] is { } text && !text.Contains('.', StringComparison.Ordinal) && PciAddress.TryParse(text + ".0", out address);
    }

    /// <summary>Whether a device of the guest is that function of the host, or the whole device that it is of.</summary>
    public static bool Covers(QemuDevice device, PciAddress owner) => TryGetSlot(device, out PciAddress slot)
        ? (slot.Domain, slot.Bus, slot.Device) == (owner.Domain, owner.Bus, owner.Device)
        : TryGetAddress(device, out PciAddress address) && address == owner;

    /// <summary>What a function of the host asks for; null where its description tells no BAR.</summary>
    public static HostFunction? Of(PciDevice device)
    {
        System.Collections.Immutable.ImmutableArray<BarRequest> requests = device.GetRequests();
        return requests.IsEmpty ? null
            : new(requests) { VendorId = device.VendorId ?? 0, DeviceId = device.DeviceId ?? 0, ClassCode = device.ClassCode ?? 0,
                VirtualFunctions = device.Sriov?.TotalFunctions ?? 0 };
    }
}
