// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>What Proxmox makes of its settings.</summary>
internal sealed class ProxmoxGuest(string sourceName, SortedDictionary<string, (string Value, int Line)> settings)
{
    private const int MaxHostDevices = 16;
    private const int MaxNetworks = 32;
    private const int MaxUsb = 14;

    private readonly QemuArguments _arguments = new(sourceName, QemuDialect.Proxmox);
    private readonly List<(string Text, int Line)> _devices = [];
    private readonly SortedSet<int> _bridges = [];
    private InputError? _error;
    private bool _isQ35;
    private string? _iommu;
    private QemuVersion _version;
    private int _windows;
    private bool _hidesDisplay;

    public Parsed<GuestDocument> Build()
    {
        bool isKvm = Text("kvm") is not "0";
        _arguments.SetProgram(isKvm ? "kvm" : "qemu-system-x86_64", "pve");
        _arguments.SetGuest(Text("name") is { Length: > 0 } name ? InputError.OneLine(name, 200) : null, isKvm);
        _windows = WindowsVersion(Text("ostype"));
        ReadMachine();
        AddFirmware();
        AddProcessors();
        AddCpu(isKvm);
        AddMemory();
        AddDevices();
        if (_error is not null)
            return _error;
        _arguments.Add("-nodefaults");
        foreach ((string text, int line) in _devices)
            _arguments.Add("-device", text, line);
        if (Text("args") is { } args)
            _arguments.Add(QemuCommandText.Split(args, settings["args"].Line).AsSpan());
        _arguments.Remark("slots, bridges and root ports are those that Proxmox VE gives by default; its configuration does not name them");
        if (!_arguments.Build().TryGet(out GuestDocument? document, out InputError? error))
            return error;
        ImmutableArray<QemuProperty> kept =
            [.. ((string[])["args", "cpu"]).Where(key => Text(key) is not null).Select(key => new QemuProperty(key, Text(key)!))];
        return document with { Guest = document.Guest with { Qemu = document.Guest.Qemu! with { Kept = kept } } };
    }

    private string? Text(string key) => settings.TryGetValue(key, out (string Value, int Line) setting) ? setting.Value : null;

    private int Line(string key) => settings.TryGetValue(key, out (string Value, int Line) setting) ? setting.Line : 0;

    /// <summary>The properties of a setting, the first one's key implied.</summary>
    private ImmutableArray<QemuProperty> Properties(string key, string impliedKey) =>
        Text(key) is { } text ? QemuOptionSyntax.Split(text, impliedKey) : [];

    private int Number(string key, int otherwise, int most)
    {
        if (Text(key) is not { } text)
            return otherwise;
        if (QemuOptionSyntax.TryNumber(text, out int number) && number <= most)
            return number;
        Fail(OutOfRange, key, $"{key} {InputError.Quote(text)} is not a number up to {most}", "give a whole number");
        return otherwise;
    }

    private void Fail(InputErrorCode code, string key, ErrorText what, string remedy) => _error ??= new InputError(code, sourceName, Line(key), what,
        remedy);

    private static bool IsOn(ImmutableArray<QemuProperty> properties, string name) => QemuOptionSyntax.Find(properties, name) is "1" or "on" or "yes"
        or "true";

    private static int WindowsVersion(string? type) => type switch
    {
        null => 0,
        "wxp" or "w2k3" or "w2k" => 5,
        "w2k8" or "wvista" => 6,
        _ when type.StartsWith("win", StringComparison.Ordinal) && QemuOptionSyntax.TryNumber(type.AsSpan(3), out int number) => number,
        _ => 0,
    };

    private void ReadMachine()
    {
        ImmutableArray<QemuProperty> machine = Properties("machine", "type");
        string name = QemuOptionSyntax.Find(machine, "type") ?? "pc";
        _isQ35 = name.Contains("q35", StringComparison.Ordinal);
        QemuVersion created = QemuVersion.TryParse(QemuOptionSyntax.Find(Properties("meta", "creation-qemu"), "creation-qemu"), out QemuVersion told)
            ? told : default;
        if (name is "pc" or "q35" && _windows > 0)
        {
            // Windows gets a version for good: that of its creation, and 5.1 where it is older than that rule.
            QemuVersion pinned = created >= new QemuVersion(9, 1) ? created : new(5, 1);
            name = $"{(_isQ35 ? "pc-q35" : "pc-i440fx")}-{pinned}";
            _arguments.Remark($"the machine type is {name}: Proxmox VE keeps a Windows guest at the version of its creation, or at 5.1");
        }

        bool isNamed = QemuMachineType.TryParse(QemuArguments.WithoutMark(name), new(10, 0), out QemuMachineType type);
        _version = isNamed ? type.Version : new(10, 0);
        _arguments.Add("-machine", $"type={name}", Line("machine"));
        if (name == "q35" && created < new QemuVersion(6, 1) && Text("ostype") == "l26")
            _arguments.Add("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", Line("machine"));
        _iommu = QemuOptionSyntax.Find(machine, "viommu");
    }

    private void AddFirmware()
    {
        if (Text("bios") is not "ovmf")
            return;
        const string folder = "/usr/share/pve-edk2-firmware//";
        bool is4M = QemuOptionSyntax.Find(Properties("efidisk0", "file"), "efitype") == "4m";
        string file = folder + (!is4M ? "OVMF_CODE.fd" : _isQ35 ? "OVMF_CODE_4M.secboot.fd" : "OVMF_CODE_4M.fd");
        _arguments.Add("-drive", $"if=pflash,unit=0,format=raw,readonly=on,file={file}", Line("bios"));
    }

    private void AddProcessors()
    {
        int sockets = Math.Max(1, Number("sockets", Number("smp", 1, 512), 512));
        int cores = Math.Max(1, Number("cores", 1, 8192));
        int all = (int)Math.Min(8192L, (long)sockets * cores);
        int vcpus = Number("vcpus", all, 8192);
        _arguments.Add("-smp",
            string.Create(CultureInfo.InvariantCulture, $"{(vcpus < 1 ? all : vcpus)},sockets={sockets},cores={cores},maxcpus={all}"), Line("cores"));
    }

    private void AddCpu(bool isKvm)
    {
        ImmutableArray<QemuProperty> cpu = Properties("cpu", "cputype");
        string type = QemuOptionSyntax.Find(cpu, "cputype") ?? (isKvm ? "kvm64" : "qemu64");
        string model = type.StartsWith("x86-64-v", StringComparison.Ordinal) ? "qemu64"
            : type.StartsWith("Icelake-Client", StringComparison.Ordinal) ? "Icelake-Server"
            : type;
        string text = model;
        foreach (string flag in (QemuOptionSyntax.Find(cpu, "flags") ?? "").Split(';'))
        {
            if (flag is "+pdpe1gb" or "-pdpe1gb")
                text += "," + flag;
        }

        // Proxmox names the vendor of every model that has one of its own.
        if (model is not ("host" or "max" or "kvm32" or "kvm64" or "qemu32" or "qemu64") && QemuCpuModel.TryFind(model, out QemuCpuModel known))
            text += known.Vendor == CpuVendor.Amd ? ",vendor=AuthenticAMD" : known.Vendor == CpuVendor.Intel ? ",vendor=GenuineIntel" : "";
        if (QemuOptionSyntax.Find(cpu, "guest-phys-bits") is { } guestBits)
            text += ",guest-phys-bits=" + guestBits;
        if (QemuOptionSyntax.Find(cpu, "phys-bits") is { } bits)
            text += bits == "host" ? ",host-phys-bits=on" : ",phys-bits=" + bits;
        if (type.StartsWith("custom-", StringComparison.Ordinal))
            _arguments.Remark(
                $"line {Line("cpu")}: the processor model {InputError.Quote(type)} stands in "
                    + $"/etc/pve/virtual-guest/cpu-models.conf, which is not read");
        _arguments.Add("-cpu", text, Line("cpu"));
    }

    private void AddMemory()
    {
        ImmutableArray<QemuProperty> memory = Properties("memory", "current");
        string text = QemuOptionSyntax.Find(memory, "current") ?? "512";
        if (!QemuOptionSyntax.TryNumber(text, out int sizeMiB) || sizeMiB is < 16 or > 16 << 20)
        {
            Fail(Malformed, "memory", $"memory {InputError.Quote(text)} is not a valid number of MiB", "give a whole number of MiB, 16 to 16777216");
            return;
        }

        bool hasHotplug = Text("numa") == "1" && Array.IndexOf((Text("hotplug") ?? "").Split(','), "memory") >= 0;
        if (!hasHotplug)
        {
            _arguments.Add("-m", text, Line("memory"));
            return;
        }

        // Proxmox starts with 1 GiB and plugs the rest in; what can be plugged in follows from the guest's address width.
        ImmutableArray<QemuProperty> cpu = Properties("cpu", "cputype");
        int bits = QemuOptionSyntax.Find(cpu, "phys-bits") is { } told && QemuOptionSyntax.TryNumber(told, out int number) && number is >= 32
            and <= 57 ? number
            : QemuOptionSyntax.Find(cpu, "phys-bits") == "host" || QemuOptionSyntax.Find(cpu, "cputype") is "host" or "max" ? 48 : 40;
        long mostMiB = Math.Min(4L << 20, 1L << ((bits & ~1) - 21));
        int sockets = Math.Max(1, Number("sockets", 1, 512));
        bool isHuge = Text("hugepages") == "1024";
        int staticMiB = isHuge ? 1024 * sockets : 1024;
        _arguments.Add("-m", string.Create(CultureInfo.InvariantCulture, $"size={staticMiB},slots=255,maxmem={mostMiB}M"), Line("memory"));
        int current = staticMiB;
        int dimm = isHuge ? 1024 : 512;
        for (int i = 0; i < 256 && current < sizeMiB; i++)
        {
            _arguments.Add("-object", string.Create(CultureInfo.InvariantCulture, $"memory-backend-ram,id=mem-dimm{i},size={dimm}M"), Line("memory"));
            _arguments.Add("-device", string.Create(CultureInfo.InvariantCulture, $"pc-dimm,id=dimm{i},memdev=mem-dimm{i},node={i % sockets}"),
                Line("memory"));
            current += dimm;
            if (i % 32 == 31)
                dimm = Math.Min(dimm * 2, 1 << 20);
        }
    }

    private void Device(string text, string key) => _devices.Add((text, Line(key)));

    /// <summary>The slot behind PCI of a device, its bridge noted.</summary>
    private string Place(string id)
    {
        string place = ProxmoxLayout.PciPlace(id, out int bridge);
        if (place.Length > 0)
            _bridges.Add(bridge);
        return place;
    }

    private void AddDevices()
    {
        if (_isQ35)
        {
            string file = _version >= new QemuVersion(4, 0) ? "pve-q35-4.0.cfg" : "pve-q35.cfg";
            foreach (string device in ProxmoxLayout.ConfigFile(file)!.Value)
                Device(device, "machine");
        }

        AddUsb();
        AddHostDevices();
        if (Text("audio0") is not null && _version >= new QemuVersion(4, 0))
            Device($"{QemuOptionSyntax.Find(Properties("audio0", "device"), "device") ?? "ich9-intel-hda"},id=audiodev0{Place("audio0")}", "audio0");
        AddDisplay(out bool hasSpice);
        if (IsAgentOnPci())
            Device($"virtio-serial,id=qga0{Place("qga0")}", "agent");
        if (Text("rng0") is not null)
            Device($"virtio-rng-pci,rng=rng0{Place("rng0")}", "rng0");
        if (hasSpice)
            Device($"virtio-serial,id=spice{Place("spice")}", "vga");
        if (Text("balloon") is not "0")
            Device($"virtio-balloon-pci,id=balloon0{Place("balloon0")}", "balloon");
        if (Text("watchdog") is not null)
            Device($"{QemuOptionSyntax.Find(Properties("watchdog", "model"), "model") ?? "i6300esb"}{Place("watchdog")}", "watchdog");
        AddDrives();
        AddNetworks();
        if (Text("ivshmem") is not null)
        {
            string size = QemuOptionSyntax.Find(Properties("ivshmem", "size"), "size") ?? "";
            _arguments.Add("-object", $"memory-backend-file,id=ivshmem,share=on,size={size}M", Line("ivshmem"));
            Device($"ivshmem-plain,memdev=ivshmem{(_isQ35 ? ",bus=pcie.0,addr=0x14" : Place("ivshmem"))}", "ivshmem");
        }

        for (int i = 0; i < 10; i++)
        {
            if (Text($"virtiofs{i}") is not null)
                Device("vhost-user-fs-pci", $"virtiofs{i}");
        }

        if (_iommu == "virtio")
            Device("virtio-iommu-pci", "machine");
        AddBridges();
    }

    private void AddBridges()
    {
        if (_bridges.Contains(4))
            _bridges.Add(1);
        bool hasLegacyGraphics = false;
        for (int i = 0; i < MaxHostDevices; i++)
            hasLegacyGraphics |= IsOn(Properties($"hostpci{i}", "host"), "legacy-igd");
        if (!_isQ35)
        {
            _bridges.UnionWith([1, 2]);
            if (Text("scsihw")?.StartsWith("virtio-scsi-single", StringComparison.Ordinal) == true)
                _bridges.Add(3);
        }

        // In front of all that sit on them, the lowest first; q35's file has those up to 3.
        int at = 0;
        foreach (int bridge in _bridges)
        {
            if (bridge < (_isQ35 ? 4 : 1))
                continue;
            string place = ProxmoxLayout.PciPlace(bridge == 2 && hasLegacyGraphics ? "pci.2-igd" : $"pci.{bridge}", out _);
            _devices.Insert(_isQ35 ? QemuBridgeFileLength : at++, ($"pci-bridge,id=pci.{bridge},chassis_nr={bridge}{place}", Line("machine")));
        }
    }

    private int QemuBridgeFileLength => ProxmoxLayout.ConfigFile(_version >= new QemuVersion(4, 0) ? "pve-q35-4.0.cfg" : "pve-q35.cfg")!.Value.Length;

    private void AddUsb()
    {
        if (!_isQ35)
            Device($"piix3-usb-uhci,id=uhci{Place("piix3")}.0x2", "machine");
        bool isAny = false;
        bool is3 = false;
        bool is2 = false;
        for (int i = 0; i < MaxUsb; i++)
        {
            if (Text($"usb{i}") is null)
                continue;
            isAny = true;
            bool isUsb3 = IsOn(Properties($"usb{i}", "host"), "usb3");
            is3 |= isUsb3;
            is2 |= !isUsb3;
        }

        bool hasXhci = _version >= new QemuVersion(7, 1) && (Text("ostype") == "l26" || _windows > 7);
        if (!hasXhci && !_isQ35 && is2)
        {
            foreach (string device in ProxmoxLayout.ConfigFile("pve-usb.cfg")!.Value)
                Device(device, "usb0");
        }

        if (hasXhci && isAny)
            Device($"qemu-xhci,p2=15,p3=15,id=xhci{Place("xhci")}", "usb0");
        else if (is3)
            Device($"nec-usb-xhci,id=xhci{Place("xhci")}", "usb0");
    }

    private void AddHostDevices()
    {
        for (int i = 0; i < MaxHostDevices; i++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"hostpci{i}");
            if (Text(key) is null)
                continue;
            ImmutableArray<QemuProperty> properties = Properties(key, "host");
            bool isExpress = IsOn(properties, "pcie");
            if (isExpress && !_isQ35)
            {
                Fail(Conflict, key, $"{key} has pcie=1 and the machine is not a q35, for which Proxmox VE refuses to start the guest",
                    "write machine: q35, or leave pcie=1 out");
                return;
            }

            if (isExpress && i > 3 && _windows != 7)
                Device(ProxmoxLayout.RootPort(i), key);
            string place = isExpress ? ProxmoxLayout.ExpressPlace(i, _windows == 7) : Place(IsOn(properties, "legacy-igd") ? "legacy-igd" : key);
            if (IsOn(properties, "x-vga") && Text("vga") is null)
                _hidesDisplay = true;
            AddHostDevice(key, properties, place);
            if (_error is not null)
                return;
        }
    }

    private void AddHostDevice(string key, ImmutableArray<QemuProperty> properties, string place)
    {
        string more = QemuOptionSyntax.Find(properties, "rombar") == "0" ? ",rombar=0" : "";
        if (QemuOptionSyntax.Find(properties, "romfile") is { } romFile)
            more += $",romfile={romFile.Replace(",", ",,", StringComparison.Ordinal)}";
        if (IsOn(properties, "x-vga") && Text("bios") is not "ovmf")
            more += ",x-vga=on";
        if (QemuOptionSyntax.Find(properties, "mdev") is not null)
        {
            Device($"vfio-pci,sysfsdev=/sys/bus/mdev/devices/unnamed,id={key}{place}{more}", key);
            return;
        }

        if (QemuOptionSyntax.Find(properties, "mapping") is { } mapping)
        {
            // Which device that is stands in the cluster's own file.
            _arguments.Remark(
                $"line {Line(key)}: which device the mapping {InputError.Quote(mapping)} means on this node is not told; name the device by "
                    + $"its address to have its BARs placed");
            Device($"vfio-pci,id={key}{place}{more}", key);
            return;
        }

        string[] hosts = (QemuOptionSyntax.Find(properties, "host") ?? "").Split(';');
        for (int j = 0; j < hosts.Length; j++)
        {
            string host = hosts[j].Trim();
            if (!PciAddress.TryParse(host, out _) && !PciAddress.TryParse(host + ".0", out _))
            {
                Fail(Malformed, key, $"{InputError.Quote(hosts[j])} is not a valid PCI address",
                    "write it as lspci shows it, such as 0000:01:00 or 01:00.0, or name a mapping");
                return;
            }

            bool isOfSeveral = hosts.Length > 1;
            string suffix = isOfSeveral ? $".{j}" : "";
            Device($"vfio-pci,host={host},id={key}{suffix}{place}{suffix}{(j == 0 ? more + (isOfSeveral ? ",multifunction=on" : "") : "")}", key);
        }
    }

    private void AddDisplay(out bool hasSpice)
    {
        ImmutableArray<QemuProperty> vga = Properties("vga", "type");
        string type = QemuOptionSyntax.Find(vga, "type") ?? "";
        if (type.Length == 0)
            type = _hidesDisplay ? "none" : _windows is > 0 and < 6 ? "cirrus" : "std";
        bool isQxl = type.StartsWith("qxl", StringComparison.Ordinal);
        int screens = isQxl && type.Length == 4 && type[3] is >= '2' and <= '4' ? type[3] - '0' : 1;
        hasSpice = isQxl || type.StartsWith("virtio", StringComparison.Ordinal) || QemuOptionSyntax.Find(vga, "clipboard") == "vnc";
        string? driver = isQxl ? "qxl-vga" : type switch
        {
            "std" => "VGA",
            "cirrus" => "cirrus-vga",
            "vmware" => "vmware-svga",
            "virtio" => "virtio-vga",
            "virtio-gl" => "virtio-vga-gl",
            _ => null,
        };
        if (driver is null)
            return;
        string memory = "";
        if (QemuOptionSyntax.Find(vga, "memory") is { } text && QemuOptionSyntax.TryNumber(text, out int sizeMiB) && sizeMiB is > 0 and <= 512
            && !type.StartsWith("virtio", StringComparison.Ordinal))
        {
            memory = isQxl
                ? string.Create(CultureInfo.InvariantCulture, $",vgamem_mb={sizeMiB},ram_size_mb={sizeMiB * 4},vram_size_mb={sizeMiB * 2}")
                : string.Create(CultureInfo.InvariantCulture, $",vgamem_mb={sizeMiB}");
        }

        Device($"{driver},id=vga{memory}{(_isQ35 ? ",bus=pcie.0,addr=0x1" : Place("vga"))}", "vga");
        if (screens > 1 && _windows > 0)
        {
            for (int i = 1; i < screens; i++)
                Device($"qxl,id=vga{i}{(memory.Length > 0 ? memory : ",ram_size=67108864,vram_size=33554432")}{Place($"vga{i}")}", "vga");
        }
        else if (screens > 1)
        {
            _arguments.Add("-global", "qxl-vga.ram_size=134217728", Line("vga"));
            _arguments.Add("-global", "qxl-vga.vram_size=67108864", Line("vga"));
        }
    }

    private bool IsAgentOnPci()
    {
        ImmutableArray<QemuProperty> agent = Properties("agent", "enabled");
        return IsOn(agent, "enabled") && QemuOptionSyntax.Find(agent, "type") is null or "virtio";
    }

    private void AddDrives()
    {
        string scsi = Text("scsihw") ?? "lsi";
        var controllers = new SortedSet<string>(StringComparer.Ordinal);
        foreach ((string key, (string value, int _)) in settings)
        {
            string name = key.TrimEnd('0', '1', '2', '3', '4', '5', '6', '7', '8', '9');
            if (name.Length == key.Length || !QemuOptionSyntax.TryNumber(key.AsSpan(name.Length), out int index))
                continue;
            bool isCdrom = QemuOptionSyntax.Find(QemuOptionSyntax.Split(value, "file"), "media") == "cdrom";
            switch (name)
            {
                case "ide":
                    // Each bus of q35's controller has one disk.
                    int bus = _isQ35 ? (index / 2) + (2 * (index % 2)) : index / 2;
                    Device($"ide-{(isCdrom ? "cd" : "hd")},bus=ide.{bus},unit={(_isQ35 ? 0 : index % 2)},id={key}", key);
                    break;
                case "sata":
                    string ahci = string.Create(CultureInfo.InvariantCulture, $"ahci{index / 6}");
                    if (controllers.Add(ahci))
                        Device($"ahci,id={ahci},multifunction=on{Place(ahci)}", key);
                    break;
                case "scsi":
                    bool isSingle = scsi.StartsWith("virtio-scsi-single", StringComparison.Ordinal);
                    int perController = isSingle ? 1 : scsi.StartsWith("lsi", StringComparison.Ordinal) ? 7 : 256;
                    string controller = string.Create(CultureInfo.InvariantCulture, $"{(isSingle ? "virtioscsi" : "scsihw")}{index / perController}");
                    if (controllers.Add(controller))
                        Device($"{(isSingle ? "virtio-scsi-pci" : scsi)},id={controller}{Place(controller)}", key);
                    break;
                case "virtio":
                    Device($"virtio-blk-pci,id={key}{Place(key)}", key);
                    break;
            }
        }
    }

    private void AddNetworks()
    {
        for (int i = 0; i < MaxNetworks; i++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"net{i}");
            ImmutableArray<QemuProperty> net = Properties(key, "model");
            if (net.IsEmpty)
                continue;
            // model=virtio, or the model as the key of the MAC address.
            string model = QemuOptionSyntax.Find(net, "model") ?? net[0].Name;
            string tuning = "";
            if (model == "virtio")
            {
                // As qemu-server writes them; an MTU of 1 stands for the bridge's: for the ports it only counts that there is one.
                if (QemuNumber.TrySize(QemuOptionSyntax.Find(net, "queues"), out ulong queues) && queues is > 0 and <= 64)
                    tuning = string.Create(CultureInfo.InvariantCulture, $",vectors={(2 * queues) + 2},mq=on");
                if (QemuNumber.TrySize(QemuOptionSyntax.Find(net, "mtu"), out ulong mtu) && mtu is > 0 and <= 65520)
                    tuning += string.Create(CultureInfo.InvariantCulture, $",host_mtu={mtu}");
            }

            Device($"{(model == "virtio" ? "virtio-net-pci" : model)},netdev={key}{Place(key)},id={key}{tuning}", key);
        }
    }
}
