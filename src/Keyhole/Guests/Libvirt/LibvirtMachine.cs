// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Xml;
using System.Xml.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>
/// The machine that libvirt's QEMU driver makes of a domain: it becomes the arguments that libvirt hands to QEMU, as far as they decide a map. Devices
/// without an address get the one that libvirt would give them, and a remark says so.
/// </summary>
/// <remarks>Source: libvirt's formatdomain.rst, qemu_command.c, qemu_domain.c, qemu_domain_address.c as of its version 11.</remarks>
internal sealed class LibvirtMachine(string sourceName, XElement domain)
{
    /// <summary>The namespace of what is handed to QEMU as it stands.</summary>
    public static readonly XNamespace Qemu = "http://libvirt.org/schemas/domain/qemu/1.0";

    /// <summary>What libvirt itself would choose for <c>firmware='efi'</c>: which file, only the host's installation tells.</summary>
    public const string ChosenFirmware = "OVMF";

    /// <summary>More devices than any guest has, and few enough to look through for each.</summary>
    private const int MaxDevices = 2048;

    private readonly QemuArguments _arguments = new(sourceName, QemuDialect.Libvirt);
    private readonly List<Device> _devices = [];
    private readonly SortedDictionary<int, Device> _controllers = [];
    private readonly List<string> _assigned = [];
    private LibvirtSlots _slots = new(isExpress: false);
    private InputError? _error;
    private bool _isQ35;

    /// <summary>Where on the command line a device stands: libvirt's order, which is not that of the addresses.</summary>
    private enum Place
    {
        Usb,
        Scsi,
        Sata,
        Serial,
        Disk,
        FileSystem,
        Network,
        Input,
        Video,
        Sound,
        Watchdog,
        Host,
        Balloon,
        Rng,
        SharedMemory,
        Rest,
    }

    /// <summary>A device that is being put together.</summary>
    /// <param name="Text">Driver and properties, without bus and address.</param>
    /// <param name="Connect">Where it would be plugged in; null for one that is no PCI device.</param>
    private sealed record Device(string Text, int Line, Place Place, LibvirtConnect? Connect)
    {
        public LibvirtAddress? Address { get; set; }

        public bool? Multifunction { get; set; }

        /// <summary>The index of a PCI controller; −1 for any other device.</summary>
        public int Index { get; init; } = -1;

        public string Model { get; init; } = "";
    }

    public Parsed<GuestDocument> Build(GuestDocument document)
    {
        GuestSpec spec = document.Guest;
        XElement? os = domain.Element("os");
        string machine = Attribute(os?.Element("type"), "machine") ?? "pc";
        if (Attribute(os?.Element("type"), "arch") is { } arch and not ("x86_64" or "i686"))
            return Error(os!.Element("type")!, $"the architecture {InputError.Quote(arch)}, which is not x86", "give a guest of x86_64");
        _isQ35 = machine.Contains("q35", StringComparison.Ordinal);
        _slots = new(_isQ35);
        bool isKvm = (string?)domain.Attribute("type") == "kvm";
        bool isUbuntus = QemuMachineType.TryParse(machine, new(10, 0), out QemuMachineType type) && !machine.Contains("rhel", StringComparison.Ordinal)
            && machine is not ("pc" or "q35") && !machine.EndsWith(type.Version.ToString(), StringComparison.Ordinal);
        _arguments.SetProgram("qemu-system-x86_64", isUbuntus ? "ubuntu" : "");
        _arguments.SetGuest(spec.Name, isKvm);
        _arguments.Add("-machine", Escaped(machine), LineOf(os?.Element("type")));
        _arguments.Add("-nodefaults");
        AddFirmware(os);
        AddProcessor(isKvm);
        AddMemory();
        _arguments.Add("-smp", spec.Vcpus.ToString(CultureInfo.InvariantCulture), LineOf(domain.Element("vcpu")));
        if (domain.Elements("devices").Elements().Skip(MaxDevices).FirstOrDefault() is { } tooMany)
            return Error(tooMany, $"more than {MaxDevices} devices", "check that this is one guest");
        ReadDevices();
        AssignAddresses();
        if (_error is not null)
            return _error;
        EmitDevices();
        AddArguments();
        if (_error is not null)
            return _error;
        if (_assigned.Count > 0)
        {
            _arguments.Remark(
                $"no PCI address stands in the XML for {string.Join(", ", _assigned.Take(4))}{(_assigned.Count > 4 ? " and others" : "")}: " +
                "those that libvirt assigns are taken; virsh dumpxml shows them once the guest is defined");
        }

        if (!_arguments.Build().TryGet(out GuestDocument? built, out InputError? error))
            return error;
        return document with
        {
            Guest = spec with { Qemu = built.Guest.Qemu! with { Kept = Kept() } },
            Remarks = [.. document.Remarks, .. built.Remarks],
        };
    }

    /// <summary>Elements that a change of the guest starts from.</summary>
    private ImmutableArray<QemuProperty> Kept() =>
        [.. domain.Elements().Where(static element => element.Name == "cpu" || element.Name == "os" || element.Name == Qemu + "commandline")
            .Select(static element => new QemuProperty(element.Name.LocalName, LibvirtDomain.ToText(element)))];

    // ------------------------------------------------------------------ the board

    private void AddFirmware(XElement? os)
    {
        XElement? loader = os?.Element("loader");
        string path = loader?.Value.Trim() ?? "";
        bool isEfi = Attribute(os, "firmware") == "efi";
        bool isFlash = Attribute(loader, "type") is "pflash" || (Attribute(loader, "type") is null && path.EndsWith(".fd", StringComparison.OrdinalIgnoreCase));
        if (path.Length == 0 && !isEfi)
            return;
        if (path.Length == 0)
            path = ChosenFirmware;
        if (isEfi || isFlash)
            _arguments.Add("-drive", $"if=pflash,unit=0,format=raw,readonly=on,file={Escaped(path)}", LineOf(loader ?? os));
        else
            _arguments.Add("-bios", path, LineOf(loader));
    }

    private void AddProcessor(bool isKvm)
    {
        XElement? cpu = domain.Element("cpu");
        XElement? width = cpu?.Element("maxphysaddr");
        string? model = cpu?.Element("model")?.Value.Trim();
        string text;
        switch (Attribute(cpu, "mode"))
        {
            case "host-passthrough":
                text = isKvm ? "host" : "max";
                break;
            case "maximum":
                text = "max";
                break;
            case "host-model":
                // libvirt writes a named model and its features: vendor and pages are the host's, the width is not.
                text = isKvm ? "host,host-phys-bits=off" : "max";
                break;
            default:
                text = model is { Length: > 0 } ? Escaped(model) : "qemu64";
                break;
        }

        foreach (XElement feature in cpu?.Elements("feature") ?? [])
        {
            if (Attribute(feature, "name") == "pdpe1gb")
                text += Attribute(feature, "policy") is "disable" or "forbid" ? ",-pdpe1gb" : ",+pdpe1gb";
        }

        switch (Attribute(width, "mode"))
        {
            case "passthrough":
                text += ",host-phys-bits=on";
                if (Attribute(width, "limit") is { } limit)
                    text += $",host-phys-bits-limit={Escaped(limit)}";
                break;
            case "emulate":
                text += $",host-phys-bits=off,phys-bits={Escaped(Attribute(width, "bits") ?? "")}";
                break;
        }

        _arguments.Add("-cpu", text, LineOf(width ?? cpu));
    }

    private void AddMemory()
    {
        XElement? memory = domain.Element("memory");
        ulong sizeKiB = SizeKiB(memory);
        foreach (XElement module in Devices("memory"))
            sizeKiB -= Math.Min(sizeKiB, SizeKiB(module.Element("target")?.Element("size")));
        string text = string.Create(CultureInfo.InvariantCulture, $"size={sizeKiB}K");
        if (domain.Element("maxMemory") is { } most)
            text += string.Create(CultureInfo.InvariantCulture, $",slots={Escaped(Attribute(most, "slots") ?? "0")},maxmem={SizeKiB(most)}K");
        _arguments.Add("-m", text, LineOf(memory));
    }

    /// <summary>A size of libvirt's in KiB, rounded up to whole MiB as its QEMU driver does.</summary>
    private ulong SizeKiB(XElement? element)
    {
        if (element is null)
            return 0;
        if (MemoryUnit.TryGetSize(Attribute(element, "unit") ?? "", out ulong unit) && MemoryUnit.TryRead(element.Value, unit, out UInt128 sizeBytes)
            && sizeBytes <= (UInt128)XlConfig.MaxMemoryKiB * 1024)
        {
            return (ulong)MemoryUnit.RoundToKiB(sizeBytes);
        }

        _error ??= Error(element, $"<{element.Name.LocalName}> {InputError.Quote(element.Value.Trim())} is not a size", "give a whole number, with a unit of libvirt's");
        return 0;
    }

    // ------------------------------------------------------------------ devices

    private IEnumerable<XElement> Devices(string name) => domain.Elements("devices").Elements(name);

    private void ReadDevices()
    {
        ReadControllers();
        ReadDisks();
        int index = 0;
        foreach (XElement share in Devices("filesystem"))
            AddPci(share, $"{(Attribute(share.Element("driver"), "type") == "virtiofs" ? "vhost-user-fs-pci" : "virtio-9p-pci")},id=fs{index++}", Place.FileSystem, LibvirtConnect.Express);
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
                    AddPci(controller, $"{scsi},id=scsi{index}", Place.Scsi, scsi.StartsWith("virtio", StringComparison.Ordinal) ? LibvirtConnect.Express : LibvirtConnect.Conventional);
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
                    _error ??= Error(hole, $"<pcihole64> {InputError.Quote(hole.Value.Trim())} is not a size", "give a whole number, in KiB or with a unit");
                else
                    _arguments.Add("-global", string.Create(CultureInfo.InvariantCulture, $"{(_isQ35 ? "q35-pcihost" : "i440FX-pcihost")}.pci-hole64-size={(ulong)sizeBytes / 1024}K"), LineOf(hole));
            }

            return;
        }

        if (index is < 1 or > 255 || _controllers.ContainsKey(index))
        {
            _error ??= Error(controller, string.Create(CultureInfo.InvariantCulture, $"the PCI controller {index} is there twice, or out of range"), "give each an index of its own, 1 to 255");
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
            _error ??= Error(controller, $"the PCI controller model {InputError.Quote(model)} is not one of libvirt's for x86", "give a model such as pcie-root-port");
            return;
        }

        string more = model is "pcie-root-port" or "pcie-switch-downstream-port" ? $",chassis={Escaped(Attribute(target, "chassis") ?? index.ToString(CultureInfo.InvariantCulture))}"
            : model is "pci-bridge" ? $",chassis_nr={Escaped(Attribute(target, "chassisNr") ?? index.ToString(CultureInfo.InvariantCulture))}"
            : model is "pcie-expander-bus" or "pci-expander-bus" ? $",bus_nr={Escaped(Attribute(target, "busNr") ?? "254")}"
            : "";
        if (Attribute(target, "hotplug") is "on" or "off" && name is "pcie-root-port" or "xio3130-downstream" or "ioh3420")
            more += $",hotplug={Attribute(target, "hotplug")}";
        if (Attribute(target, "memReserve") is { } reserve)
            more += $",mem-reserve={Escaped(reserve)}K";
        var device = new Device($"{Escaped(name)},id=pci.{index}{more}", LineOf(controller), Place.Usb, ConnectOf(model)) { Index = index, Model = model };
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

    /// <summary>All functions of a USB 2 controller share a slot: that of the one with an address, else on q35 1d and 1a, on a pc the first that no address names.</summary>
    private LibvirtAddress FreeForCompanions(int index, int function)
    {
        foreach (XElement other in Devices("controller"))
        {
            bool isCompanion = Attribute(other, "type") == "usb" && Attribute(other, "model")?.StartsWith("ich9-", StringComparison.Ordinal) == true && (Number(other, "index") ?? 0) == index;
            if (isCompanion && Number(other.Element("address"), "slot") is { } shared)
                return new(Number(other.Element("address"), "bus") ?? 0, shared, function);
        }

        if (_isQ35)
            return new(0, index == 0 ? 0x1d : 0x1a, function);
        int slot = 3;
        while (slot < 31 && domain.Elements("devices").Elements().Elements("address").Any(address => Attribute(address, "type") == "pci" && Number(address, "slot") == slot))
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
                ? string.Create(CultureInfo.InvariantCulture, $",vectors={(2 * pairs) + 2}")
                : "";
            string rom = Rom(network);
            AddPci(network, $"{Escaped(driver)},id=net{index++}{queues}{rom}", Place.Network, isExpress ? LibvirtConnect.Express : LibvirtConnect.Conventional);
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
                AddPci(device, $"vfio-pci,sysfsdev=/sys/bus/mdev/devices/unnamed,id=hostdev{index++}{Rom(device)}", Place.Host, LibvirtConnect.Express);
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
            AddPci(video, $"{driver},id=video{index++}", Place.Video, driver.StartsWith("virtio", StringComparison.Ordinal) || driver.StartsWith("bochs", StringComparison.Ordinal) ? LibvirtConnect.Express : LibvirtConnect.Conventional);
            if (isFirst)
                PlaceFirstVideo(_devices[^1]);
        }

        if (!Devices("video").Any() && Devices("graphics").Any(static graphics => Attribute(graphics, "type") is not "egl-headless"))
        {
            _arguments.Remark("the guest has <graphics> and no <video>: cirrus is taken, which libvirt adds by itself; virsh dumpxml shows it once the guest is defined");
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

    private static string InMiB(string property, ulong sizeKiB) => sizeKiB < 1024 ? "" : string.Create(CultureInfo.InvariantCulture, $",{property}={sizeKiB / 1024}");

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
                _arguments.Add("-object", string.Create(CultureInfo.InvariantCulture, $"memory-backend-file,id=shmmem-shmem{index},share=on,size={sizeKiB}K"), LineOf(shared));
            AddPci(shared, $"{Escaped(model)},id=shmem{index}{(model == "ivshmem-plain" ? $",memdev=shmmem-shmem{index}" : "")}", Place.SharedMemory, LibvirtConnect.Conventional);
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

    private void AddImplicit(string text, Place place, LibvirtConnect? connect) => _devices.Add(new(text, LineOf(domain.Element("devices")), place, connect));

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
            _error ??= Error(address, "a PCI address that is out of range", "give bus, slot and function as numbers, such as bus='0x01' slot='0x00' function='0x0'");
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

    // ------------------------------------------------------------------ addresses

    /// <summary>As libvirt does it: once to see which controllers have to be added, then with all of them, controllers first.</summary>
    private void AssignAddresses()
    {
        int known = _controllers.Count;
        Assign(isTrial: true);
        // A new guest gets one port more than it needs, for hot-plug.
        if (_isQ35 && known == 0 && _slots.Added.Count > 0)
            _slots.Next(LibvirtConnect.Express);
        // The list grows while it is walked: a bridge needs a port, which is added behind it.
        for (int i = 0; i < _slots.Added.Count; i++)
            _slots.Next(ConnectOf(_slots.Added[i].Model));
        foreach ((int index, string model) in _slots.Added)
        {
            string number = index.ToString(CultureInfo.InvariantCulture);
            string text = model switch
            {
                "pcie-root-port" => $"pcie-root-port,id=pci.{number},chassis={number}",
                "pcie-to-pci-bridge" => $"pcie-pci-bridge,id=pci.{number}",
                _ => $"pci-bridge,id=pci.{number},chassis_nr={number}",
            };
            _controllers.Add(index, new(text, 0, Place.Usb, ConnectOf(model)) { Index = index, Model = model });
        }

        _slots = new(_isQ35);
        foreach (Device controller in _controllers.Values)
            _slots.AddController(controller.Index, controller.Model);
        Assign(isTrial: false);
    }

    private void Assign(bool isTrial)
    {
        foreach (Device device in _controllers.Values.Concat(_devices))
        {
            if (device.Address is { } address)
                _slots.Take(address, device.Connect == LibvirtConnect.RootPort);
        }

        foreach (Device controller in _controllers.Values)
            Assign(controller, isTrial);
        // libvirt's order of kinds, which is not that of the command line.
        foreach (Place place in (ReadOnlySpan<Place>)[
            Place.FileSystem, Place.Network, Place.Sound, Place.Usb, Place.Scsi, Place.Sata, Place.Serial, Place.Disk, Place.Host, Place.Balloon, Place.Rng, Place.Watchdog,
            Place.Video, Place.SharedMemory, Place.Input, Place.Rest])
        {
            foreach (Device device in _devices)
            {
                if (device.Place == place && device.Connect is not null)
                    Assign(device, isTrial);
            }
        }
    }

    private void Assign(Device device, bool isTrial)
    {
        if (device.Address is not null || _error is not null)
            return;
        LibvirtAddress? address = _slots.Next(device.Connect!.Value);
        if (address is null)
            _error ??= new InputError(sourceName, device.Line > 0 ? device.Line : null, "no PCI slot is left for this device", "add a controller");
        if (isTrial)
            return;
        device.Address = address;
        if (device.Line > 0)
            _assigned.Add(device.Text.Split(',')[0]);
    }

    private string BusName(int index) => index == 0 ? _isQ35 ? "pcie.0" : "pci.0" : string.Create(CultureInfo.InvariantCulture, $"pci.{index}");

    private void EmitDevices()
    {
        // A controller stands behind the one that it is plugged into, whatever their indexes.
        var waiting = new List<Device>(_controllers.Values);
        var emitted = new HashSet<int> { 0 };
        while (waiting.Count > 0)
        {
            int before = waiting.Count;
            for (int i = 0; i < waiting.Count; i++)
            {
                if (!emitted.Contains(waiting[i].Address!.Value.Bus))
                    continue;
                Emit(waiting[i]);
                emitted.Add(waiting[i].Index);
                waiting.RemoveAt(i--);
            }

            if (waiting.Count == before)
            {
                _error ??= new InputError(sourceName, waiting[0].Line, "a PCI controller on a bus that is not there", "give each controller a bus that another controller has");
                return;
            }
        }

        foreach (Device device in _devices.OrderBy(static device => device.Place))
            Emit(device);
    }

    private void Emit(Device device)
    {
        string text = device.Text;
        if (device.Address is { } address)
        {
            bool isMultifunction = device.Multifunction ?? (address.Function == 0 && _slots.HasSeveral(address));
            text = string.Create(CultureInfo.InvariantCulture, $"{text},bus={BusName(address.Bus)},{(isMultifunction ? "multifunction=on," : "")}addr=0x{address.Slot:x}.0x{address.Function:x}");
        }

        _arguments.Add("-device", text, device.Line);
    }

    // ------------------------------------------------------------------ what is handed through

    private void AddArguments()
    {
        foreach (XElement entry in domain.Elements("sysinfo").Where(static info => Attribute(info, "type") == "fwcfg").Elements("entry"))
        {
            if (Attribute(entry, "name") is { } name && Attribute(entry, "file") is null)
                _arguments.Add("-fw_cfg", $"name={Escaped(name)},string={Escaped(entry.Value.Trim())}", LineOf(entry));
        }

        var words = ImmutableArray.CreateBuilder<QemuWord>();
        foreach (XElement argument in domain.Elements(Qemu + "commandline").Elements(Qemu + "arg"))
            words.Add(new(Attribute(argument, "value") ?? "", LineOf(argument), NeedsShell: false));
        _arguments.Add(words.ToArray().AsSpan());
        foreach (XElement device in domain.Elements(Qemu + "override").Elements(Qemu + "device"))
        {
            foreach (XElement property in device.Elements(Qemu + "frontend").Elements(Qemu + "property"))
            {
                if (Attribute(device, "alias") is not { } alias || Attribute(property, "name") is not { } name)
                    continue;
                string value = Attribute(property, "value") ?? "";
                if (!_arguments.TrySet(alias, name, Attribute(property, "type") == "bool" ? value == "true" ? "on" : "off" : value))
                    _arguments.Remark($"line {LineOf(device)}: the device {InputError.Quote(alias)} of <qemu:override> is not known by that name, and {InputError.Quote(name)} is not taken over");
            }
        }
    }

    // ------------------------------------------------------------------ XML

    private static string? Attribute(XElement? element, string name) => (string?)element?.Attribute(name);

    /// <summary>A number of libvirt's: decimal, hex with 0x. Null where there is none, or another text.</summary>
    private static int? Number(XElement? element, string name) =>
        Attribute(element, name) is { } text && XlNumber.Parse(text, out long value) == XlNumberKind.Valid && value is >= 0 and <= int.MaxValue ? (int)value : null;

    private static int LineOf(XElement? element) => element is IXmlLineInfo info && info.HasLineInfo() ? info.LineNumber : 0;

    /// <summary>A comma ends a property; two are one.</summary>
    private static string Escaped(string text) => text.Replace(",", ",,", StringComparison.Ordinal);

    private InputError Error(XElement where, string what, string remedy) => new(sourceName, LineOf(where) is > 0 and int line ? line : null, what, remedy);
}
