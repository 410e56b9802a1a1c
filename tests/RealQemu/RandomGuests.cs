// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.Json.Nodes;

namespace Keyhole.RealQemu;

/// <summary>
/// Guests put together at random, the same ones for the same seed: boards, memory, processors, firmware options, and devices behind ports, switches,
/// bridges and expanders. What is compared with their forecasts is what nobody thought of.
/// </summary>
/// <param name="seed">Where the numbers begin.</param>
/// <param name="emulators">Versions of QEMU to choose among.</param>
/// <param name="firmwares">Firmwares to choose among.</param>
public sealed class RandomGuests(int seed, IReadOnlyList<string> emulators, IReadOnlyList<string> firmwares)
{
    private static readonly string[] s_bars =
        ["1M", "4M", "16M", "64M", "128M", "256M", "256M", "512M", "1G", "1G", "2G", "4G", "8G", "16G", "16G", "32G", "64G", "128G", "256G"];

    private static readonly string[] s_devices =
    [
        "virtio-net-pci", "virtio-balloon-pci", "virtio-serial-pci", "virtio-rng-pci", "e1000", "e1000e", "qemu-xhci", "nvme", "virtio-scsi-pci",
        "virtio-gpu-pci", "rtl8139", "megasas", "pvscsi", "vmxnet3", "virtio-keyboard-pci", "intel-hda", "ich9-intel-hda", "ich9-ahci", "usb-ehci",
        "i6300esb", "pcnet", "edu", "pci-serial", "am53c974", "virtio-tablet-pci", "piix3-usb-uhci", "lsi53c895a", "bochs-display", "sdhci-pci",
        "nec-usb-xhci", "pci-ohci", "tpci200", "tulip", "ne2k_pci", "i82551", "virtio-net-pci-non-transitional",
        "virtio-mouse-pci", "ivshmem-plain", "virtio-blk-pci", "pvpanic-pci", "mptsas1068", "megasas-gen2",
    ];

    private readonly Random _random = new(seed);
    private List<string> _guest = [];
    private List<string> _objects = [];
    private int _ids;
    private int _chassis;
    private bool _hasBalloon;
    private bool _hasSharedVideo;

    /// <summary>The next guest.</summary>
    public QemuConfig Next()
    {
        (_guest, _objects, _ids, _chassis, _hasBalloon) = ([], [], 0, 0, false);
        string emulator = Of(emulators);
        // Later than 7.2 its graphics has memory that it shares with the host.
        _hasSharedVideo = emulator is "10.0" or "11.1";
        string firmware = Of(firmwares);
        bool isOvmf = firmware.StartsWith("ovmf-", StringComparison.Ordinal);
        // Under emulation QEMU 5.2 never leaves the first instruction of these.
        if (emulator == "5.2" && firmware is ("ovmf-2025.02" or "ovmf-2026.08"))
            emulator = emulators.FirstOrDefault(static other => other != "5.2") ?? emulator;
        bool isQ35 = Chance(0.6);
        string[] versions = emulator switch
        {
            "5.2" => ["2.4", "2.6", "2.8", "2.9", "2.11", "3.1", "4.0", "4.2", "5.0", "5.1", "5.2"],
            "7.2" => ["2.4", "2.6", "2.7", "2.9", "2.11", "2.12", "3.1", "4.0", "4.2", "5.0", "5.2", "6.0", "6.1", "6.2", "7.0", "7.1", "7.2"],
            "11.1" => ["5.2", "6.0", "6.1", "6.2", "7.0", "7.2", "8.0", "8.1", "8.2", "9.0", "9.1", "9.2", "10.0", "10.1", "10.2", "11.0", "11.1"],
            _ => ["5.1", "5.2", "6.0", "6.1", "6.2", "7.0", "7.1", "7.2", "8.0", "8.1", "8.2", "9.0", "9.1", "9.2", "10.0"],
        };
        int memory = Of([512, 1024, 2048, 2815, 2816, 3071, 3072, 3583, 3584, 4096, 4096, 4096, 8192, 16384, 32768, 65536, 65537, 131072, 262144,
            1003520, 1048576, _random.Next(300, 6000), _random.Next(300, 200000)]);
        int bits = Of([36, 39, 40, 40, 40, 41, 42, 43, 44, 45, 46, 46, 47, 48, 52]);
        // Under emulation QEMU 5.2 has this width alone; page tables for a wide one take OVMF minutes.
        if (emulator == "5.2")
        {
            bits = 40;
            // It takes the memory, and does not only promise it.
            memory = Math.Min(memory, 4096);
        }
        else if (isOvmf && bits > 46)
            bits = Of([40, 42, 46]);
        var json = new JsonObject
        {
            ["qemu"] = emulator,
            ["machine"] = Chance(0.4) ? isQ35 ? "q35" : "pc" : (isQ35 ? "pc-q35-" : "pc-i440fx-") + Of(versions),
            ["mem_mib"] = memory,
            ["fw"] = firmware,
            ["cpu"] = Of(["EPYC", "EPYC", "Skylake-Server", "qemu64", "Haswell", "Denverton", "Opteron_G3", "Dhyana", "Icelake-Server"]),
            ["phys_bits"] = bits,
        };
        if (Chance(0.3))
            json["vga"] = Of(["std", "std", "virtio", "cirrus"]);
        if (Chance(0.2))
            json["max_ram_below_4g"] = Of(["512M", "1G", "1536M", "2G", "2560M", "3G", "3500M", "4G"]);
        if (Chance(0.2))
            json["globals"] = new JsonArray($"{(isQ35 ? "q35-pcihost" : "i440FX-pcihost")}.pci-hole64-size={Of(["0", "1G", "64G", "256G", "1T"])}");
        if (Chance(0.2))
        {
            json["maxmem_mib"] = memory + Of([128, 511, 1024, 4096, 65536, 300000]);
            json["slots"] = Of([1, 2, 4, 16, 32]);
        }

        if (isOvmf && Chance(0.25))
        {
            json["fw_cfg"] = new JsonObject
            {
                ["opt/ovmf/X-PciMmio64Mb"] = Of(["0", "1024", "16384", "32768", "50000", "65536", "131072", "262144", "1048576", "33554432"]),
            };
        }
        else if (firmware == "seabios-1.17.0" && Chance(0.3))
            json["fw_cfg"] = new JsonObject { ["opt/org.seabios/pci64"] = Of(["0", "1", "on", "off", "no", "yes", "x"]) };

        if (Chance(0.2))
        {
            int cpus = Of([2, 3, 4, 5, 6, 8, 16, 32]);
            json["smp"] = cpus;
            if (Chance(0.5))
                json["sockets"] = Chance(0.3) ? 1 : cpus;
        }

        if (Chance(0.1))
            json["machine_opts"] = "usb=on";
        if (Chance(0.1))
            json["disks"] = Of([1, 2, 3]);
        Plug(isQ35);
        json["devices"] = new JsonArray([.. _guest.Select(static device => (JsonNode)device)]);
        if (_objects.Count > 0)
            json["objects"] = new JsonArray([.. _objects.Select(static text => (JsonNode)text)]);
        return QemuConfig.Parse(json.ToJsonString());
    }

    private void Plug(bool isQ35)
    {
        int size = Of([1, 2, 3, 5, 8, 12]);
        for (int i = 0; i < size; i++)
        {
            double kind = _random.NextDouble();
            if (isQ35 && kind < 0.6)
                Express(Chance(0.9) ? null : "pcie.0");
            else if (kind < 0.75 && (!isQ35 || Chance(0.3)))
                Fill(Bridge(null), 1, _random.Next(5));
            else
                Leaf(null);
        }

        if (!Chance(0.1))
            return;
        string expander = NewId();
        _guest.Add(Text($"{(isQ35 ? "pxb-pcie" : "pxb")},id={expander},bus_nr={Of([64, 128, 200])}"));
        for (int i = _random.Next(3); i >= 0; i--)
        {
            if (isQ35)
                Express(expander);
            else
                Leaf(expander);
        }
    }

    private void Express(string? bus)
    {
        double kind = _random.NextDouble();
        string port = RootPort(bus);
        if (kind < 0.15)
            return;
        if (kind < 0.3)
        {
            string upper = NewId();
            _guest.Add($"x3130-upstream,id={upper},bus={port}");
            for (int i = _random.Next(3); i >= 0; i--)
            {
                string lower = NewId();
                _guest.Add(Text($"xio3130-downstream,id={lower},bus={upper},chassis={++_chassis},slot={_chassis}"));
                if (Chance(0.8))
                    Leaf(lower);
            }
        }
        else if (kind < 0.42)
        {
            string bridge = NewId();
            _guest.Add($"pcie-pci-bridge,id={bridge},bus={port}");
            Fill(bridge, 1, _random.Next(4));
        }
        else
            Leaf(port);
    }

    private void Fill(string bus, int depth, int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (depth < 3 && Chance(0.18))
                Fill(Bridge(bus), depth + 1, _random.Next(4));
            else
                Leaf(bus);
        }
    }

    private string RootPort(string? bus)
    {
        string id = NewId();
        string driver = Chance(0.1) ? "ioh3420" : "pcie-root-port";
        string text = Text($"{driver},id={id},slot={++_chassis},chassis={_chassis}") + (bus is null ? "" : $",bus={bus}");
        if (driver == "pcie-root-port" && Chance(0.25))
        {
            text += Of(["mem-reserve", "pref64-reserve", "io-reserve", "pref32-reserve", "bus-reserve"]) switch
            {
                "mem-reserve" => ",mem-reserve=" + Of(["0", "1M", "5M", "64M", "256M"]),
                "pref64-reserve" => ",pref64-reserve=" + Of(["0", "64M", "1G", "3G", "32G", "128G"]),
                "io-reserve" => ",io-reserve=" + Of(["0", "512", "4K", "8K"]),
                "pref32-reserve" => ",pref32-reserve=" + Of(["0", "1M", "64M", "256M"]),
                _ => ",bus-reserve=" + Of(["0", "1", "3", "5"]),
            };
        }

        if (Chance(0.08))
            text += ",hotplug=off";
        _guest.Add(text);
        return id;
    }

    private string Bridge(string? bus)
    {
        string id = NewId();
        string text = Text($"pci-bridge,id={id},chassis_nr={(++_chassis % 200) + 1}") + (bus is null ? "" : $",bus={bus}");
        if (Chance(0.2))
            text += ",shpc=off";
        if (Chance(0.15))
            text += ",mem-reserve=" + Of(["0", "16M", "64M"]);
        _guest.Add(text);
        return id;
    }

    private void Leaf(string? bus)
    {
        string at = bus is null ? "" : $",bus={bus}";
        double kind = _random.NextDouble();
        if (kind < 0.45)
            _guest.Add($"pci-testdev{at},membar={Of(s_bars)}");
        else if (kind < 0.55)
            _guest.Add(Text($"secondary-vga{at},vgamem_mb={Of([16, 64, 128, 256, 512])}"));
        else
            Other(Of(s_devices), at);
    }

    private void Other(string driver, string at)
    {
        // QEMU takes one.
        if (driver == "virtio-balloon-pci" && _hasBalloon)
            driver = "virtio-rng-pci";
        _hasBalloon |= driver == "virtio-balloon-pci";
        string text = driver + at;
        switch (driver)
        {
            case "nvme":
                text += Text($",serial=s{_random.Next(1000)}") + (Chance(0.3) ? Text($",cmb_size_mb={Of([1, 16, 64, 256])}") : "");
                break;
            case "virtio-net-pci" or "e1000" or "e1000e" when Chance(0.4):
                text += ",romfile=";
                break;
            case "virtio-gpu-pci" when _hasSharedVideo && Chance(0.3):
                text += ",hostmem=" + Of(["256M", "1G", "8G"]);
                break;
            case "ivshmem-plain":
                string id = NewId();
                _objects.Add($"memory-backend-ram,id={id},size={Of(["1M", "64M", "256M", "1G", "4G"])},share=on");
                text += $",memdev={id}";
                break;
            case "virtio-blk-pci":
                // Without a disk QEMU refuses it.
                text = "virtio-scsi-pci" + at;
                break;
        }

        _guest.Add(text);
    }

    private string NewId() => Text($"x{++_ids}");

    private bool Chance(double share) => _random.NextDouble() < share;

    private T Of<T>(IReadOnlyList<T> choices) => choices[_random.Next(choices.Count)];

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
