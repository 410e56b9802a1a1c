// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Xml.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>The devices that libvirt makes of a domain.</summary>
internal sealed partial class LibvirtMachine
{
    private IEnumerable<XElement> Devices(string name) => domain.Elements("devices").Elements(name);

    private void ReadDevices()
    {
        ReadControllers();
        ReadDisks();
        int index = 0;
        foreach (XElement share in Devices("filesystem"))
        {
            // The share's name decides how many ports 9p takes.
            string model = Attribute(share.Element("driver"), "type") == "virtiofs" ? "vhost-user-fs-pci"
                : $"virtio-9p-pci,mount_tag={Escaped(Attribute(share.Element("target"), "dir") ?? "")}";
            AddPci(share, $"{model},id=fs{index++}", Place.FileSystem, LibvirtConnect.Express);
        }

        ReadNetworks();
        foreach (XElement sound in Devices("sound"))
        {
            string? model = Attribute(sound, "model") switch
            {
                "ich6" => "intel-hda",
                "ich9" => "ich9-intel-hda",
                "ac97" => "AC97",
                "es1370" => "ES1370",
                "virtio" => "virtio-sound-pci",
                _ => null,
            };
            if (model is not null)
                AddPci(sound, model, Place.Sound, model == "virtio-sound-pci" ? LibvirtConnect.Express : LibvirtConnect.Conventional);
        }

        ReadHostDevices();
        ReadVideos();
        ReadRest();
    }

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

    private void ReadDisks()
    {
        int virtio = 0;
        foreach (XElement disk in Devices("disk"))
        {
            XElement? target = disk.Element("target");
            bool isCdrom = Attribute(disk, "device") == "cdrom";
            int controller = Number(disk.Element("address"), "controller") ?? 0;
            switch (Attribute(target, "bus") ?? BusOf(Attribute(target, "dev")))
            {
                case "virtio":
                    string model = Attribute(disk, "model") switch
                    {
                        "virtio-transitional" => "virtio-blk-pci-transitional",
                        "virtio-non-transitional" => "virtio-blk-pci-non-transitional",
                        _ => "virtio-blk-pci",
                    };
                    string queues = Attribute(disk.Element("driver"), "queues") is { } count ? $",num-queues={Escaped(count)}" : "";
                    AddPci(disk, $"{model},id=virtio-disk{virtio++}{queues}", Place.Disk, LibvirtConnect.Express);
                    break;
                case "sata":
                    Add($"ide-{(isCdrom ? "cd" : "hd")},bus={(controller == 0 && _isQ35 ? "ide" : $"sata{controller}")}.0", disk, Place.Disk);
                    break;
                case "ide":
                    Add($"ide-{(isCdrom ? "cd" : "hd")},bus=ide.0", disk, Place.Disk);
                    break;
                case "scsi":
                    Add($"scsi-{(isCdrom ? "cd" : "hd")},bus=scsi{controller}.0", disk, Place.Disk);
                    break;
                case "usb":
                    Add("usb-storage", disk, Place.Disk);
                    break;
            }
        }
    }

    /// <summary>The bus that a disk's name implies.</summary>
    private static string BusOf(string? name) => name switch
    {
        null => "ide",
        _ when name.StartsWith("vd", StringComparison.Ordinal) => "virtio",
        _ when name.StartsWith("sd", StringComparison.Ordinal) => "scsi",
        _ when name.StartsWith("fd", StringComparison.Ordinal) => "fdc",
        _ => "ide",
    };

    private void ReadNetworks()
    {
        int index = 0;
        foreach (XElement network in Devices("interface"))
        {
            if (LibvirtDomain.IsPciAssignment(network))
                continue;
            // libvirt's own default is the card that every system knows.
            string model = Attribute(network.Element("model"), "type") ?? "rtl8139";
            string driver = model switch
            {
                "virtio" => "virtio-net-pci",
                "virtio-transitional" => "virtio-net-pci-transitional",
                "virtio-non-transitional" => "virtio-net-pci-non-transitional",
                _ => model,
            };
            if (driver == "usb-net")
                continue;
            bool isExpress = driver.StartsWith("virtio", StringComparison.Ordinal) || driver is "e1000e" or "igb";
            XElement? tuning = network.Element("driver");
            // Each pair of queues has two vectors, and two are the device's own.
            string queues = Number(tuning, "queues") is > 1 and <= 256 and { } pairs && driver.StartsWith("virtio", StringComparison.Ordinal)
                ? string.Create(CultureInfo.InvariantCulture, $",mq=on,vectors={(2 * pairs) + 2}")
                : "";
            string mtu = Number(network.Element("mtu"), "size") is > 0 and { } size && driver.StartsWith("virtio", StringComparison.Ordinal)
                ? string.Create(CultureInfo.InvariantCulture, $",host_mtu={size}") : "";
            string rom = Rom(network);
            AddPci(network, $"{Escaped(driver)},id=net{index++}{queues}{mtu}{rom}", Place.Network, isExpress ? LibvirtConnect.Express
                : LibvirtConnect.Conventional);
        }
    }

    private static string Rom(XElement device)
    {
        XElement? rom = device.Element("rom");
        string text = Attribute(rom, "enabled") == "no" || Attribute(rom, "bar") == "off" ? ",rombar=0" : "";
        return Attribute(rom, "file") is { } file ? $"{text},romfile={Escaped(file)}" : text;
    }

    private void ReadHostDevices()
    {
        int index = 0;
        foreach (XElement device in domain.Elements("devices").Elements())
        {
            bool isMediated = device.Name == "hostdev" && Attribute(device, "type") == "mdev" && Attribute(device, "model") is "vfio-pci";
            bool isScsi = device.Name == "hostdev" && Attribute(device, "type") == "scsi_host";
            // Kept aside for a guest that shall not see it at the moment.
            if (device.Elements("address").Any(static address => Attribute(address, "type") == "unassigned"))
                continue;
            if (isMediated)
                AddPci(device, $"vfio-pci,sysfsdev=/sys/bus/mdev/devices/unnamed,id=hostdev{index++}{Rom(device)}", Place.Host,
                    LibvirtConnect.Express);
            else if (isScsi)
                AddPci(device, $"vhost-scsi-pci,id=hostdev{index++}", Place.Host, LibvirtConnect.Express);
            else if (LibvirtDomain.IsPciAssignment(device) && LibvirtGuest.AddressOf(device) is { } address)
                AddPci(device, $"vfio-pci,host={address},id=hostdev{index++}{Rom(device)}", Place.Host, LibvirtConnect.Express);
        }
    }

    private void ReadVideos()
    {
        int index = 0;
        foreach (XElement video in Devices("video"))
        {
            XElement? model = video.Element("model");
            bool isFirst = index == 0;
            bool isAccelerated = Attribute(model?.Element("acceleration"), "accel3d") == "yes";
            ulong memoryKiB = (ulong)(Number(model, "vram") ?? 0);
            string? driver = Attribute(model, "type") switch
            {
                "vga" => $"{(isFirst ? "VGA" : "secondary-vga")}{InMiB("vgamem_mb", memoryKiB)}",
                "cirrus" => "cirrus-vga",
                "vmvga" => "vmware-svga",
                "bochs" => "bochs-display",
                "qxl" => Qxl(model!, isFirst),
                "virtio" => isFirst ? isAccelerated ? "virtio-vga-gl" : "virtio-vga" : isAccelerated ? "virtio-gpu-gl-pci" : "virtio-gpu-pci",
                _ => null,
            };
            if (driver is null)
                continue;
            AddPci(video, $"{driver},id=video{index++}", Place.Video,
                driver.StartsWith("virtio", StringComparison.Ordinal) || driver.StartsWith("bochs", StringComparison.Ordinal)
                    ? LibvirtConnect.Express : LibvirtConnect.Conventional);
            if (isFirst)
                PlaceFirstVideo(_devices[^1]);
        }

        if (!Devices("video").Any() && Devices("graphics").Any(static graphics => Attribute(graphics, "type") is not "egl-headless"))
        {
            _arguments.Remark(
                "the guest has <graphics> and no <video>: cirrus is taken, which libvirt adds by itself; virsh "
                    + "dumpxml shows it once the guest is defined");
            AddImplicit("cirrus-vga,id=video0", Place.Video, LibvirtConnect.Conventional);
            PlaceFirstVideo(_devices[^1]);
        }
    }

    /// <summary>The first display sits on the root bus: slot 1 of q35, slot 2 of a pc.</summary>
    private void PlaceFirstVideo(Device device)
    {
        int slot = _isQ35 ? 1 : 2;
        bool isTaken = _controllers.Values.Concat(_devices).Any(other => other.Address is { Bus: 0 } address && address.Slot == slot);
        if (device.Address is null && !isTaken)
            device.Address = new(0, slot, 0);
    }

    private static string Qxl(XElement model, bool isFirst)
    {
        string text = isFirst ? "qxl-vga" : "qxl";
        if (Number(model, "ram") is { } ram)
            text += string.Create(CultureInfo.InvariantCulture, $",ram_size={(ulong)ram * 1024}");
        if (Number(model, "vram") is { } vram)
            text += string.Create(CultureInfo.InvariantCulture, $",vram_size={(ulong)vram * 1024}");
        if (Number(model, "vram64") is { } high)
            text += InMiB("vram64_size_mb", (ulong)high);
        return text + InMiB("vgamem_mb", (ulong)(Number(model, "vgamem") ?? 0));
    }

    private static string InMiB(string property, ulong sizeKiB) =>
        sizeKiB < 1024 ? "" : string.Create(CultureInfo.InvariantCulture, $",{property}={sizeKiB / 1024}");

    private void ReadRest()
    {
        foreach (XElement input in Devices("input"))
        {
            string? driver = (Attribute(input, "bus") ?? "", Attribute(input, "type") ?? "") switch
            {
                ("usb", "tablet") => "usb-tablet",
                ("usb", "mouse") => "usb-mouse",
                ("usb", "keyboard") => "usb-kbd",
                ("virtio", "tablet") => "virtio-tablet-pci",
                ("virtio", "mouse") => "virtio-mouse-pci",
                ("virtio", "keyboard") => "virtio-keyboard-pci",
                ("virtio", "passthrough") => "virtio-input-host-pci",
                _ => null,
            };
            if (driver?.StartsWith("usb", StringComparison.Ordinal) == true)
                Add(driver, input, Place.Input);
            else if (driver is not null)
                AddPci(input, driver, Place.Input, LibvirtConnect.Express);
        }

        XElement? balloon = Devices("memballoon").FirstOrDefault();
        if (balloon is null)
            AddImplicit("virtio-balloon-pci,id=balloon0", Place.Balloon, LibvirtConnect.Express);
        else if (Attribute(balloon, "model") is not "none")
            AddPci(balloon, "virtio-balloon-pci,id=balloon0", Place.Balloon, LibvirtConnect.Express);
        foreach (XElement generator in Devices("rng"))
            AddPci(generator, "virtio-rng-pci", Place.Rng, LibvirtConnect.Express);
        foreach (XElement watchdog in Devices("watchdog"))
        {
            if (Attribute(watchdog, "model") == "i6300esb")
                AddPci(watchdog, "i6300esb", Place.Watchdog, LibvirtConnect.Conventional);
        }

        int index = 0;
        foreach (XElement shared in Devices("shmem"))
        {
            string model = Attribute(shared.Element("model"), "type") ?? "ivshmem";
            ulong sizeKiB = shared.Element("size") is { } size ? SizeKiB(size) : 4096;
            if (model == "ivshmem-plain")
                _arguments.Add("-object", string.Create(CultureInfo.InvariantCulture,
                    $"memory-backend-file,id=shmmem-shmem{index},share=on,size={sizeKiB}K"), LineOf(shared));
            AddPci(shared, $"{Escaped(model)},id=shmem{index}{(model == "ivshmem-plain" ? $",memdev=shmmem-shmem{index}" : "")}", Place.SharedMemory,
                LibvirtConnect.Conventional);
            index++;
        }

        foreach (XElement serial in Devices("serial"))
        {
            if (Attribute(serial.Element("target"), "type") == "pci-serial")
                AddPci(serial, "pci-serial", Place.Serial, LibvirtConnect.Conventional);
        }

        foreach (XElement module in Devices("memory"))
        {
            string? model = Attribute(module, "model") switch
            {
                "virtio-mem" => "virtio-mem-pci",
                "virtio-pmem" => "virtio-pmem-pci",
                _ => null,
            };
            if (model is not null)
                AddPci(module, model, Place.Rest, LibvirtConnect.Express);
            else
                Add("pc-dimm", module, Place.Rest);
        }

        foreach (XElement socket in Devices("vsock"))
            AddPci(socket, "vhost-vsock-pci", Place.Rest, LibvirtConnect.Express);
        foreach (XElement crypto in Devices("crypto"))
            AddPci(crypto, "virtio-crypto-pci", Place.Rest, LibvirtConnect.Express);
        foreach (XElement iommu in Devices("iommu"))
        {
            if (Attribute(iommu, "model") == "virtio")
                AddPci(iommu, "virtio-iommu-pci", Place.Rest, LibvirtConnect.Root);
        }

        foreach (XElement panic in Devices("panic"))
        {
            if (Attribute(panic, "model") == "pvpanic")
                AddPci(panic, "pvpanic-pci", Place.Rest, LibvirtConnect.Root);
        }
    }

    private void Add(string text, XElement element, Place place) => _devices.Add(new(text, LineOf(element), place, null));

    private void AddImplicit(string text, Place place, LibvirtConnect? connect) =>
        _devices.Add(new(text, LineOf(domain.Element("devices")), place, connect));

    private void AddPci(XElement element, string text, Place place, LibvirtConnect connect)
    {
        var device = new Device(text, LineOf(element), place, connect);
        ReadAddress(element, device);
        _devices.Add(device);
    }

    private void ReadAddress(XElement element, Device device)
    {
        XElement? address = element.Elements("address").FirstOrDefault(static candidate => Attribute(candidate, "type") == "pci");
        if (address is null || Attribute(address, "slot") is null)
            return;
        if (Number(address, "bus") is not (>= 0 and <= 255 and var bus) || Number(address, "slot") is not (>= 0 and <= 31 and var slot)
            || (Number(address, "function") ?? 0) is not (>= 0 and <= 7 and var function))
        {
            _error ??= Error(InputErrorCode.OutOfRange, address, "a PCI address that is out of range",
                "give bus, slot and function as numbers, such as bus='0x01' slot='0x00' function='0x0'");
            return;
        }

        // All zeros is how an address that is to be assigned is written.
        if (bus == 0 && slot == 0 && function == 0)
            return;
        device.Address = new(bus, slot, function);
        device.Multifunction = Attribute(address, "multifunction") switch
        {
            "on" => true,
            "off" => false,
            _ => null,
        };
    }
}
