// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using System.Xml.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <content>Controllers: PCI bridges and ports, USB, SCSI and the rest.</content>
internal sealed partial class LibvirtMachine
{
    private void ReadControllers()
    {
        bool hasUsb = false;
        bool hasSerial = false;
        foreach (XElement controller in Devices("controller"))
        {
            string type = Attribute(controller, "type") ?? "";
            int index = Number(controller, "index") ?? 0;
            string? model = Attribute(controller, "model");
            switch (type)
            {
                case "pci":
                    ReadPciController(controller, index, model ?? "");
                    break;
                case "usb":
                    hasUsb = true;
                    AddUsb(controller, index, model);
                    break;
                case "scsi":
                    string scsi = model switch
                    {
                        "virtio-scsi" => "virtio-scsi-pci",
                        "virtio-transitional" => "virtio-scsi-pci-transitional",
                        "virtio-non-transitional" => "virtio-scsi-pci-non-transitional",
                        "lsisas1068" => "mptsas1068",
                        "lsisas1078" => "megasas",
                        "vmpvscsi" => "pvscsi",
                        "am53c974" => "am53c974",
                        "dc390" => "dc-390",
                        _ => "lsi",
                    };
                    AddPci(controller, $"{scsi},id=scsi{index}", Place.Scsi, scsi.StartsWith("virtio", StringComparison.Ordinal)
                        ? LibvirtConnect.Express : LibvirtConnect.Conventional);
                    break;
                case "sata" when index > 0 || !_isQ35:
                    AddPci(controller, $"ich9-ahci,id=sata{index}", Place.Sata, LibvirtConnect.Conventional);
                    break;
                case "virtio-serial":
                    hasSerial = true;
                    string vectors = Attribute(controller, "vectors") is { } count ? $",vectors={Escaped(count)}" : "";
                    AddPci(controller, $"virtio-serial-pci,id=virtio-serial{index}{vectors}", Place.Serial, LibvirtConnect.Express);
                    break;
            }
        }

        if (!hasUsb)
        {
            AddImplicit(_isQ35 ? "qemu-xhci,id=usb" : "piix3-usb-uhci,id=usb", Place.Usb, _isQ35 ? LibvirtConnect.Express : null);
            if (!_isQ35)
                _devices[^1].Address = new(0, 1, 2);
        }

        // Channels and consoles of virtio need one.
        bool needsSerial = Devices("channel").Any(static channel => Attribute(channel.Element("target"), "type") == "virtio")
            || Devices("console").Any(static console => Attribute(console.Element("target"), "type") == "virtio");
        if (needsSerial && !hasSerial)
            AddImplicit("virtio-serial-pci,id=virtio-serial0", Place.Serial, LibvirtConnect.Express);
        if (Devices("disk").Any(static disk => Attribute(disk.Element("target"), "bus") == "scsi")
            && !Devices("controller").Any(static controller => Attribute(controller, "type") == "scsi"))
        {
            AddImplicit("lsi,id=scsi0", Place.Scsi, LibvirtConnect.Conventional);
        }
    }

    private void ReadPciController(XElement controller, int index, string model)
    {
        XElement? hole = controller.Element("pcihole64");
        if (model is "pci-root" or "pcie-root" || index == 0)
        {
            if (hole is not null)
            {
                // KiB where no unit is said; 0 switches the hole off.
                bool isSize = MemoryUnit.TryGetSize(Attribute(hole, "unit") ?? "", out ulong unit);
                if (!isSize || !MemoryUnit.TryRead(hole.Value, unit, out UInt128 sizeBytes) || sizeBytes > 1UL << 52)
                    _error ??= Error(InputErrorCode.Malformed, hole, $"<pcihole64> {InputError.Quote(hole.Value.Trim())} is not a size",
                        "give a whole number, in KiB or with a unit");
                else
                    _arguments.Add("-global", string.Create(CultureInfo.InvariantCulture,
                        $"{(_isQ35 ? "q35-pcihost" : "i440FX-pcihost")}.pci-hole64-size={(ulong)sizeBytes / 1024}K"), LineOf(hole));
            }

            return;
        }

        if (index is < 1 or > 255 || _controllers.ContainsKey(index))
        {
            _error ??= Error(_controllers.ContainsKey(index) ? InputErrorCode.Repeated : InputErrorCode.OutOfRange, controller,
                $"the PCI controller {index} is there twice, or out of range", "give each an index of its own, 1 to 255");
            return;
        }

        XElement? target = controller.Element("target");
        string name = Attribute(controller.Element("model"), "name") ?? model switch
        {
            "pcie-root-port" => "pcie-root-port",
            "pcie-switch-upstream-port" => "x3130-upstream",
            "pcie-switch-downstream-port" => "xio3130-downstream",
            "dmi-to-pci-bridge" => "i82801b11-bridge",
            "pcie-to-pci-bridge" => "pcie-pci-bridge",
            "pci-bridge" => "pci-bridge",
            "pcie-expander-bus" => "pxb-pcie",
            "pci-expander-bus" => "pxb",
            _ => "",
        };
        if (name.Length == 0)
        {
            _error ??= Error(InputErrorCode.UnknownWord, controller,
                $"the PCI controller model {InputError.Quote(model)} is not one of libvirt's for x86",
                "give a model such as pcie-root-port");
            return;
        }

        string more = model is "pcie-root-port" or "pcie-switch-downstream-port"
            ? $",chassis={Escaped(Attribute(target, "chassis") ?? index.ToString(CultureInfo.InvariantCulture))}"
            : model is "pci-bridge" ? $",chassis_nr={Escaped(Attribute(target, "chassisNr") ?? index.ToString(CultureInfo.InvariantCulture))}"
            : model is "pcie-expander-bus" or "pci-expander-bus" ? $",bus_nr={Escaped(Attribute(target, "busNr") ?? "254")}"
            : "";
        if (Attribute(target, "hotplug") is "on" or "off" && name is "pcie-root-port" or "xio3130-downstream" or "ioh3420")
            more += $",hotplug={Attribute(target, "hotplug")}";
        // In KiB: formatdomain of libvirt, since 10.3.0.
        if (Attribute(target, "memReserve") is { } reserve)
            more += $",mem-reserve={Escaped(reserve)}K";
        var device = new Device($"{Escaped(name)},id=pci.{index}{more}", LineOf(controller), Place.Usb, ConnectOf(model))
        {
            Index = index,
            Model = model
        };
        ReadAddress(controller, device);
        _controllers.Add(index, device);
        _slots.AddController(index, model);
    }

    private LibvirtConnect ConnectOf(string model) => model switch
    {
        "pcie-root-port" => LibvirtConnect.RootPort,
        "dmi-to-pci-bridge" or "pcie-expander-bus" or "pci-expander-bus" => LibvirtConnect.Root,
        "pci-bridge" => LibvirtConnect.Conventional,
        _ => LibvirtConnect.Express,
    };

    private void AddUsb(XElement controller, int index, string? model)
    {
        string driver = model switch
        {
            "none" => "",
            "nec-xhci" => "nec-usb-xhci",
            "qemu-xhci" => "qemu-xhci",
            "piix4-uhci" => "piix4-usb-uhci",
            "ehci" => "usb-ehci",
            "ich9-ehci1" => "ich9-usb-ehci1",
            "ich9-uhci1" => "ich9-usb-uhci1",
            "ich9-uhci2" => "ich9-usb-uhci2",
            "ich9-uhci3" => "ich9-usb-uhci3",
            "pci-ohci" => "pci-ohci",
            null when _isQ35 => "qemu-xhci",
            _ => "piix3-usb-uhci",
        };
        if (driver.Length == 0)
            return;
        string name = index == 0 ? "usb" : string.Create(CultureInfo.InvariantCulture, $"usb{index}");
        LibvirtConnect connect = driver.EndsWith("xhci", StringComparison.Ordinal) ? LibvirtConnect.Express : LibvirtConnect.Conventional;
        // The companions have no name of their own.
        AddPci(controller, driver.StartsWith("ich9-usb-uhci", StringComparison.Ordinal) ? driver : $"{driver},id={name}", Place.Usb, connect);
        if (driver == "piix3-usb-uhci" && index == 0 && !_isQ35)
            _devices[^1].Address ??= new(0, 1, 2);
        if (driver.StartsWith("ich9-usb-", StringComparison.Ordinal) && _devices[^1].Address is null)
        {
            int function = driver[^1] == '1' && driver.Contains("ehci", StringComparison.Ordinal) ? 7 : driver[^1] - '1';
            _devices[^1].Address = FreeForCompanions(index, function);
            _devices[^1].Multifunction = function == 0;
        }
    }

    /// <summary>All functions of a USB 2 controller share a slot: that of the one with an address, else on q35 1d and 1a, on a pc the first that no
    /// address names.</summary>
    private LibvirtAddress FreeForCompanions(int index, int function)
    {
        foreach (XElement other in Devices("controller"))
        {
            bool isCompanion = Attribute(other, "type") == "usb" && Attribute(other, "model")?.StartsWith("ich9-", StringComparison.Ordinal) == true
                && (Number(other, "index") ?? 0) == index;
            if (isCompanion && Number(other.Element("address"), "slot") is { } shared)
                return new(Number(other.Element("address"), "bus") ?? 0, shared, function);
        }

        if (_isQ35)
            return new(0, index == 0 ? 0x1d : 0x1a, function);
        int slot = 3;
        while (slot < 31 && domain.Elements("devices").Elements().Elements("address")
            .Any(address => Attribute(address, "type") == "pci" && Number(address, "slot") == slot))
            slot++;
        return new(0, slot, function);
    }
}
