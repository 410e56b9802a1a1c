// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu.Board;

/// <content>Bridges: what each is, what is plugged in behind it, and what it asks its firmware to keep free.</content>
internal sealed partial class QemuTopology
{
    private bool TryBridge(QemuPlug plug, QemuBus bus, out PciBridge? bridge, out QemuBus? behind)
    {
        bridge = null;
        behind = null;
        if (plug.Model.Bridge != QemuBridge.None && ++_bridges >= NumberedTree.MaxBuses)
            return false;
        Refusal = _ports.Refusal(plug, out string? cause);
        RefusalCause = cause;
        if (Refusal is not null)
            return false;
        string name = plug.Device["id"] ?? "";
        switch (plug.Model.Bridge)
        {
            case QemuBridge.None:
                return true;
            case QemuBridge.RootPort or QemuBridge.Downstream:
                if (!TryReserve(plug, out BridgeReserve? reserve))
                    return false;
                bridge = new PciBridge([])
                {
                    IsExpress = true,
                    HasSlot = true,
                    Hotplug = HasNativeHotplug(plug) ? BridgeHotplug.Express : BridgeHotplug.None,
                    HasIoWindow = reserve?.IoBytes != 0,
                    Reserve = reserve,
                };
                // A port without hot-plug takes ACPI's from all that is behind it: in QEMU 7.2, no more in 10.0. 8.0 took that part of it apart.
                bool isKept = _machine.Emulator >= new QemuVersion(8, 0) || plug.Switch("hotplug", true);
                behind = new QemuBus { Name = name, HasOneSlot = true, HasAcpiHotplug = bus.HasAcpiHotplug && isKept };
                break;
            case QemuBridge.Upstream:
                bridge = new PciBridge([]) { IsExpress = true };
                behind = new QemuBus { Name = name, HasAcpiHotplug = bus.HasAcpiHotplug };
                break;
            case QemuBridge.Pci or QemuBridge.ExpressToPci:
                if (!TryReserve(plug, out reserve))
                    return false;
                bool hasController = QemuDevices.HasHotplugController(plug);
                bridge = new PciBridge([])
                {
                    IsExpress = plug.Model.Bridge == QemuBridge.ExpressToPci,
                    Hotplug = hasController ? BridgeHotplug.Shpc : BridgeHotplug.None,
                    Reserve = reserve,
                };
                behind = new QemuBus { Name = name, HasController = hasController, HasAcpiHotplug = bus.HasAcpiHotplug };
                break;
            case QemuBridge.ExpanderExpress:
                behind = new QemuBus { Name = name, IsRoot = true, Expander = plug.Device.Driver, Number = (int)plug.Size("bus_nr", 0) & 0xff };
                _roots.Add(behind);
                break;
            case QemuBridge.ExpanderPci:
                // The devices of a pxb sit behind a bridge without hot-plug on the new root bus.
                var root = new QemuBus { Name = "", IsRoot = true, Expander = plug.Device.Driver, Number = (int)plug.Size("bus_nr", 0) & 0xff };
                behind = new QemuBus { Name = name };
                var inner = new PciFunction(0, 0, []) { Name = name, VendorId = 0x1b36, DeviceId = 0x0001, ClassCode = 0x060400 };
                root.Put(0, new PluggedFunction(inner, "pci-bridge", behind, new PciBridge([]), IsMultifunction: false));
                _roots.Add(root);
                break;
        }

        if (name.Length > 0 && behind is not null && !_buses.TryAdd(name, behind))
        {
            Refusal = $"Duplicate device ID '{name}'";
            return false;
        }

        return plug.Model.Bridge is not (QemuBridge.ExpanderExpress or QemuBridge.ExpanderPci) || CheckExpander(plug);
    }

    private bool CheckExpander(QemuPlug plug)
    {
        int number = (int)plug.Size("bus_nr", 0) & 0xff;
        if (number == 0)
            Refusal = "PXB bus number must be greater than 0";
        for (int i = 0; i < _roots.Count - 1; i++)
        {
            if (_roots[i].Number == number && number != 0)
                Refusal = $"Bus {number} is already in use";
        }

        return Refusal is null;
    }

    /// <summary>
    /// Whether a port tells its firmware of hot-plug. The machine types of 6.1 alone hid it in favour of ACPI's; since then both are there.
    /// </summary>
    private bool HasNativeHotplug(QemuPlug plug)
    {
        bool isHidden = _machine.Type is { Chipset: QemuChipset.Q35, Version: { Major: 6, Minor: 1 } }
            && QemuNumber.Switch(_machine.Global("ICH9-LPC", "acpi-pci-hotplug-with-bridge-support")) != false;
        return plug.Switch("hotplug", true) && !plug.Switch("x-do-not-expose-native-hotplug-cap", isHidden);
    }

    /// <summary>What the bridge asks its firmware to keep free; root ports and PCI bridges of QEMU's own can.</summary>
    private bool TryReserve(QemuPlug plug, out BridgeReserve? reserve)
    {
        reserve = null;
        if (plug.Device.Driver is not ("pcie-root-port" or "pci-bridge" or "pci-bridge-seat"))
            return true;
        ulong? io = Asked(plug, "io-reserve");
        // A port that hides its hot-plug in favour of ACPI's asks for ports by itself: its firmware would else see no need for them.
        if (io is null && plug.Model.Bridge == QemuBridge.RootPort && plug.Switch("hotplug", true) && !HasNativeHotplug(plug))
            io = 4096;
        ulong? memory = Asked(plug, "mem-reserve");
        ulong? low = Asked(plug, "pref32-reserve");
        ulong? high = Asked(plug, "pref64-reserve");
        ulong? buses = Asked(plug, "bus-reserve");
        if (io is null && memory is null && low is null && high is null && buses is null)
            return true;
        if (low is not null && high is not null)
            Refusal = "PCI resource reserve cap: PREF32 and PREF64 conflict";
        else if (memory >= Frames.FourGiB)
            Refusal = "PCI resource reserve cap: mem-reserve must be less than 4G";
        else if (low >= Frames.FourGiB)
            Refusal = "PCI resource reserve cap: pref32-reserve  must be less than 4G";
        reserve = new BridgeReserve
        {
            IoBytes = io,
            MemoryBytes = memory,
            Prefetchable32Bytes = low,
            Prefetchable64Bytes = high,
            Buses = buses is { } count ? (int)Math.Min(count, NumberedTree.MaxBuses) : null,
        };
        return Refusal is null;
    }

    /// <summary>A size that the user sets for a bridge. More than any processor addresses fits nowhere, however much it is.</summary>
    private static ulong? Asked(QemuPlug plug, string property) =>
        plug.Property(property) is { } text && QemuNumber.TrySize(text, out ulong bytes) ? Math.Min(bytes, Frames.AddressLimit) : null;

    /// <summary>Whether ACPI plugs devices in on bus 0 and behind its bridges: on pc always, on q35 from the machine types of 6.1 on.</summary>
    private static bool HasAcpiHotplug(QemuMachine machine)
    {
        bool isQ35 = machine.Type.Chipset == QemuChipset.Q35;
        bool byType = machine.Type.Version >= (isQ35 ? new QemuVersion(6, 1) : new QemuVersion(1, 7));
        return QemuNumber.Switch(machine.Global(isQ35 ? "ICH9-LPC" : "PIIX4_PM", "acpi-pci-hotplug-with-bridge-support")) ?? byType;
    }
}
