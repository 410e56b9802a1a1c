// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <content>Devices, in the order and at the places that Proxmox's own program gives them.</content>
internal sealed partial class ProxmoxGuest
{
    private const int MaxHostDevices = 16;
    private const int MaxNetworks = 32;
    private const int MaxUsb = 14;

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
