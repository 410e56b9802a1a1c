// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>Which slots and bridges Proxmox VE gives the devices of a guest: its configuration does not say, its program does.</summary>
/// <remarks>Source: qemu-server's pve-q35-4.0.cfg, pve-q35.cfg, pve-usb.cfg and QemuServer/PCI.pm.</remarks>
internal static class ProxmoxLayout
{
    private static readonly ImmutableArray<string> s_usb =
    [
        "ich9-usb-ehci1,id=ehci,multifunction=on,bus=pcie.0,addr=1d.7",
        "ich9-usb-uhci1,id=uhci-1,multifunction=on,bus=pcie.0,addr=1d.0,masterbus=ehci.0,firstport=0",
        "ich9-usb-uhci2,id=uhci-2,multifunction=on,bus=pcie.0,addr=1d.1,masterbus=ehci.0,firstport=2",
        "ich9-usb-uhci3,id=uhci-3,multifunction=on,bus=pcie.0,addr=1d.2,masterbus=ehci.0,firstport=4",
        "ich9-usb-ehci2,id=ehci-2,multifunction=on,bus=pcie.0,addr=1a.7",
        "ich9-usb-uhci4,id=uhci-4,multifunction=on,bus=pcie.0,addr=1a.0,masterbus=ehci-2.0,firstport=0",
        "ich9-usb-uhci5,id=uhci-5,multifunction=on,bus=pcie.0,addr=1a.1,masterbus=ehci-2.0,firstport=2",
        "ich9-usb-uhci6,id=uhci-6,multifunction=on,bus=pcie.0,addr=1a.2,masterbus=ehci-2.0,firstport=4",
        "ich9-intel-hda,id=audio0,bus=pcie.0,addr=1b.0",
    ];

    private static readonly ImmutableArray<string> s_bridges =
    [
        "i82801b11-bridge,id=pcidmi,bus=pcie.0,addr=1e.0",
        "pci-bridge,id=pci.0,bus=pcidmi,addr=1.0,chassis_nr=1",
        "pci-bridge,id=pci.1,bus=pcidmi,addr=2.0,chassis_nr=2",
        "pci-bridge,id=pci.2,bus=pcidmi,addr=3.0,chassis_nr=3",
    ];

    private static readonly ImmutableArray<string> s_q35 =
    [
        .. s_usb,
        "pcie-root-port,id=ich9-pcie-port-1,x-speed=16,x-width=32,multifunction=on,bus=pcie.0,addr=1c.0,port=1,chassis=1",
        "pcie-root-port,id=ich9-pcie-port-2,x-speed=16,x-width=32,multifunction=on,bus=pcie.0,addr=1c.1,port=2,chassis=2",
        "pcie-root-port,id=ich9-pcie-port-3,x-speed=16,x-width=32,multifunction=on,bus=pcie.0,addr=1c.2,port=3,chassis=3",
        "pcie-root-port,id=ich9-pcie-port-4,x-speed=16,x-width=32,multifunction=on,bus=pcie.0,addr=1c.3,port=4,chassis=4",
        .. s_bridges,
        "pci-bridge,id=pci.3,bus=pcidmi,addr=4.0,chassis_nr=4",
    ];

    private static readonly ImmutableArray<string> s_q35Before4 =
    [
        .. s_usb,
        "ioh3420,id=ich9-pcie-port-1,multifunction=on,bus=pcie.0,addr=1c.0,port=1,chassis=1",
        "ioh3420,id=ich9-pcie-port-2,multifunction=on,bus=pcie.0,addr=1c.1,port=2,chassis=2",
        "ioh3420,id=ich9-pcie-port-3,multifunction=on,bus=pcie.0,addr=1c.2,port=3,chassis=3",
        "ioh3420,id=ich9-pcie-port-4,multifunction=on,bus=pcie.0,addr=1c.3,port=4,chassis=4",
        .. s_bridges,
    ];

    private static readonly ImmutableArray<string> s_usbOfPc =
    [
        "ich9-usb-ehci1,id=ehci,multifunction=on,bus=pci.0,addr=1d.7",
        "ich9-usb-uhci1,id=uhci-1,multifunction=on,bus=pci.0,addr=1d.0,masterbus=ehci.0,firstport=0",
        "ich9-usb-uhci2,id=uhci-2,multifunction=on,bus=pci.0,addr=1d.1,masterbus=ehci.0,firstport=2",
        "ich9-usb-uhci3,id=uhci-3,multifunction=on,bus=pci.0,addr=1d.2,masterbus=ehci.0,firstport=4",
    ];

    /// <summary>The devices that one of Proxmox's own files for <c>-readconfig</c> holds, as <c>-device</c> would have them; null for any other
    /// file.</summary>
    public static ImmutableArray<string>? ConfigFile(string path) => path[(path.LastIndexOf('/') + 1)..] switch
    {
        "pve-q35-4.0.cfg" => s_q35,
        "pve-q35.cfg" => s_q35Before4,
        "pve-usb.cfg" => s_usbOfPc,
        _ => null,
    };

    /// <summary>A device's bus and slot behind PCI (<c>,bus=pci.0,addr=0x12</c>); empty for one that gets no fixed place.</summary>
    /// <param name="bridge">The number of its bus.</param>
    public static string PciPlace(string id, out int bridge)
    {
        (bridge, int slot) = Slot(id);
        return slot < 0 ? "" : string.Create(CultureInfo.InvariantCulture, $",bus=pci.{bridge},addr=0x{slot:x}");
    }

    private static (int Bridge, int Slot) Slot(string id)
    {
        string name = id.TrimEnd('0', '1', '2', '3', '4', '5', '6', '7', '8', '9');
        int number = name.Length < id.Length && int.TryParse(id.AsSpan(name.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int read)
            ? read : -1;
        return (name, number) switch
        {
            ("piix", 3) => (0, 1),
            ("vga", -1) or ("legacy-igd", -1) => (0, 2),
            ("balloon", 0) => (0, 3),
            ("watchdog", -1) => (0, 4),
            ("scsihw", 0) => (0, 5),
            ("pci.", 3) => (0, 5),
            ("scsihw", 1) => (0, 6),
            ("ahci", 0) => (0, 7),
            ("qga", 0) => (0, 8),
            ("spice", -1) => (0, 9),
            ("virtio", >= 0 and <= 5) => (0, 10 + number),
            ("hostpci", 0 or 1) => (0, 16 + number),
            ("net", >= 0 and <= 5) => (0, 18 + number),
            ("vga", >= 1 and <= 3) => (0, 23 + number),
            ("hostpci", 2 or 3) => (0, 25 + number),
            ("pci.", 1 or 2) => (0, 29 + number),
            ("net", >= 6 and <= 31) => (1, number - 5),
            ("xhci", -1) => (1, 27),
            ("pci.", 4) => (1, 28),
            ("rng", 0) => (1, 29),
            ("pci.2-igd", -1) => (1, 30),
            ("virtio", >= 6 and <= 15) => (2, number - 5),
            ("ivshmem", -1) => (2, 11),
            ("audio", 0) => (2, 12),
            ("hostpci", >= 4 and <= 15) => (2, 9 + number),
            ("virtioscsi", >= 0 and <= 30) => (3, number + 1),
            ("scsihw", >= 2 and <= 4) => (4, number - 1),
            _ => (0, -1),
        };
    }

    /// <summary>Where <c>hostpciN</c> with <c>pcie=1</c> is plugged in: a root port of its own, or bus 0 for Windows 7.</summary>
    public static string ExpressPlace(int index, bool isOnBus0)
    {
        if (!isOnBus0)
            return string.Create(CultureInfo.InvariantCulture, $",bus=ich9-pcie-port-{index + 1},addr=0x0");
        int slot = index switch
        {
            <= 3 => 16 + index,
            <= 10 => 5 + index,
            _ => 10 + index,
        };
        return string.Create(CultureInfo.InvariantCulture, $",bus=pcie.0,addr=0x{slot:x}");
    }

    /// <summary>The root port that is added for <c>hostpciN</c> from 4 on: the first four are in the file.</summary>
    public static string RootPort(int index)
    {
        (int slot, int function) = index < 12 ? (0x10, index - 4) : (0x11, index - 12);
        return string.Create(CultureInfo.InvariantCulture,
            $"pcie-root-port,id=ich9-pcie-port-{index + 1},addr={slot:x}."
                + $"{function},x-speed=16,x-width=32,multifunction=on,bus=pcie.0,port={index + 1},chassis={index + 1}");
    }
}
