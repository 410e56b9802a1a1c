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

    private Dictionary<XElement, int> _bootDevices = [];

    private void ReadDisks()
    {
        int virtio = 0;
        _arguments.Add("-boot", "strict=on", 0);
        _bootDevices = BootDevices();
        foreach (XElement disk in Devices("disk"))
        {
            XElement? target = disk.Element("target");
            string boot = BootOf(disk);
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
                    AddPci(disk, $"{model},id=virtio-disk{virtio++}{queues}{boot}", Place.Disk, LibvirtConnect.Express);
                    break;
                case "sata":
                    Add($"ide-{(isCdrom ? "cd" : "hd")},bus={(controller == 0 && _isQ35 ? "ide" : $"sata{controller}")}.0{boot}", disk, Place.Disk);
                    break;
                case "ide":
                    Add($"ide-{(isCdrom ? "cd" : "hd")},bus=ide.0{boot}", disk, Place.Disk);
                    break;
                case "scsi":
                    Add($"scsi-{(isCdrom ? "cd" : "hd")},bus=scsi{controller}.0{boot}", disk, Place.Disk);
                    break;
                case "usb":
                    Add($"usb-storage{boot}", disk, Place.Disk);
                    break;
            }
        }
    }

    /// <summary>What the domain starts from where no device has an order of its own: the first device of each kind that it names, a hard disk where
    /// it names none.</summary>
    private Dictionary<XElement, int> BootDevices()
    {
        var found = new Dictionary<XElement, int>();
        if (domain.Elements("devices").Elements().Elements("boot").Any())
            return found;
        string[] kinds = [.. domain.Elements("os").Elements("boot").Select(static boot => Attribute(boot, "dev") ?? "hd").Take(16)];
        XElement[] disks = [.. InOrder()];
        int index = 0;
        foreach (string kind in kinds.Length == 0 ? ["hd"] : kinds)
        {
            index++;
            XElement? first = kind == "network" ? Devices("interface").FirstOrDefault() : disks.FirstOrDefault(disk => KindOf(disk) == kind);
            if (first is not null)
                found.TryAdd(first, index);
        }

        return found;
    }

    /// <summary>The boot index that libvirt gives a device, to stand behind its other properties; empty for none.</summary>
    private string BootOf(XElement device) =>
        (Number(device.Element("boot"), "order") ?? (_bootDevices.TryGetValue(device, out int index) ? index : null)) is { } order
            ? string.Create(CultureInfo.InvariantCulture, $",bootindex={order}") : "";

    private static string KindOf(XElement disk) => Attribute(disk, "device") switch
    {
        "cdrom" => "cdrom",
        "floppy" => "fd",
        _ => "hd",
    };

    /// <summary>Disks as libvirt keeps them: those of a bus together, by their targets.</summary>
    private IEnumerable<XElement> InOrder() => Devices("disk")
        .GroupBy(static disk => Attribute(disk.Element("target"), "bus") ?? BusOf(Attribute(disk.Element("target"), "dev")))
        .SelectMany(static bus => bus.OrderBy(static disk => Attribute(disk.Element("target"), "dev")?.Length ?? 0)
            .ThenBy(static disk => Attribute(disk.Element("target"), "dev"), StringComparer.Ordinal));

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
            AddPci(network, $"{Escaped(driver)},id=net{index++}{queues}{mtu}{rom}{BootOf(network)}", Place.Network, isExpress ? LibvirtConnect.Express
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
                AddPci(device, $"vfio-pci,sysfsdev=/sys/bus/mdev/devices/unnamed,id=hostdev{index++}{Rom(device)}{BootOf(device)}", Place.Host,
                    LibvirtConnect.Express);
            else if (isScsi)
                AddPci(device, $"vhost-scsi-pci,id=hostdev{index++}", Place.Host, LibvirtConnect.Express);
            else if (LibvirtDomain.IsPciAssignment(device) && LibvirtGuest.AddressOf(device) is { } address)
                AddPci(device, $"vfio-pci,host={address},id=hostdev{index++}{Rom(device)}{BootOf(device)}", Place.Host, LibvirtConnect.Express);
        }
    }

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
