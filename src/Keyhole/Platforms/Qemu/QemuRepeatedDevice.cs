// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu;

/// <summary>A guest of QEMU that is given the same device of the host twice: it is not started.</summary>
/// <remarks>Sources: QEMU's hw/vfio, virPCIDeviceListAdd in libvirt's virpci.c, choose_hostpci_devices in qemu-server's PCI.pm (before 8.0 it leaves
/// the refusal to QEMU).</remarks>
internal static class QemuRepeatedDevice
{
    /// <summary>The words of whoever does not start the guest; null where no device is given twice.</summary>
    public static string? WordsOf(QemuGuest guest, QemuMachine machine) => In(machine.Devices) is not { } device ? null : guest.Dialect switch
    {
        QemuDialect.Libvirt => RepeatedDevice.LibvirtsWords(device),
        QemuDialect.Proxmox => $"device '{device}' assigned more than once",
        QemuDialect.CommandLine or QemuDialect.Options => $"vfio {device}: device is already attached",
    };

    public static void Report(QemuGuest guest, QemuMachine machine, List<Problem> problems)
    {
        if (WordsOf(guest, machine) is { } words)
            problems.Add(ProblemOf(words));
    }

    public static Problem ProblemOf(string words) => new(
        Severity.Error,
        ProblemCodes.GuestDoesNotStart,
        $"the guest is not started: {InputError.Quote(words)}, for it is given the same device of the host twice",
        Remedy: "give the device once");

    private static PciAddress? In(ImmutableArray<QemuDevice> devices)
    {
        for (int i = 1; i < devices.Length; i++)
        {
            if (!TryGet(devices[i], out PciAddress next))
                continue;
            foreach (QemuDevice before in devices.AsSpan()[..i])
            {
                if (TryGet(before, out PciAddress known) && (HostFunctions.Covers(before, next) || HostFunctions.Covers(devices[i], known)))
                    return HostFunctions.TryGetSlot(devices[i], out _) ? known : next;
            }
        }

        return null;
    }

    private static bool TryGet(QemuDevice device, out PciAddress address)
    {
        address = default;
        return HostFunctions.IsOne(device) && (HostFunctions.TryGetSlot(device, out address) || HostFunctions.TryGetAddress(device, out address));
    }
}
