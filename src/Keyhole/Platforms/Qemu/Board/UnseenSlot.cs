// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu.Board;

/// <summary>
/// A slot that has functions but no function 0. Firmware and operating systems ask for function 0 first, and where nothing answers take the slot for
/// an empty one.
/// </summary>
/// <remarks>Sources: SeaBIOS' pci_next, edk2's PciScanBus, Linux' pci_scan_slot.</remarks>
/// <param name="Bus">The bus, as QEMU calls it.</param>
/// <param name="Slot">0–31.</param>
/// <param name="First">The place of its lowest function in the machine's list of devices; -1 where the board brings it.</param>
/// <param name="IsDirect">Whether its lowest function is a device, not a bridge.</param>
/// <param name="Lost">What sits there or behind it and is no bridge, in order.</param>
internal sealed record UnseenSlot(string Bus, int Slot, int First, bool IsDirect, ImmutableArray<PciFunction> Lost)
{
    /// <summary>The machine with each such slot's lowest function at function 0; null where one of them is none of the devices in its
    /// list.</summary>
    public static QemuMachine? Mended(QemuMachine machine)
    {
        // Behind a slot that is seen now there may be another one.
        for (int i = 0; i < QemuTopology.Slots; i++)
        {
            ImmutableArray<UnseenSlot> slots = QemuTopology.Build(machine, out _).Unseen;
            if (slots.IsEmpty)
                return machine;
            foreach (UnseenSlot slot in slots)
            {
                if (slot.First < 0)
                    return null;
                machine = machine with { Devices = machine.Devices.SetItem(slot.First, slot.Moved(machine)) };
            }
        }

        return null;
    }

    /// <summary>Its lowest function, moved to function 0. Whether others are beside it QEMU is told in any case: it asks where there are.</summary>
    private QemuDevice Moved(QemuMachine machine)
    {
        QemuDevice device = machine.Devices[First];
        ImmutableArray<QemuProperty> others =
            [.. device.Properties.Where(static property => property.Name is not ("addr" or "multifunction"))];
        return device with { Properties = [.. others, new("addr", $"0x{Slot:x}.0x0"), new("multifunction", "on")] };
    }
}
