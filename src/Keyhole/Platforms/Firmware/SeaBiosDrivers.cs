// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms.Firmware;

/// <summary>
/// What SeaBIOS's drivers of USB controllers and disks keep at the end of low RAM. Each driver takes its memory as it starts, in SeaBIOS's order; USB
/// controllers and SCSI controllers without anything to boot from give theirs back when all have started, and what was put below stays.
/// </summary>
/// <remarks>
/// Source: src/hw/usb-*.c, ahci.c, virtio-*.c, pvscsi.c, nvme.c; sizes and order as SeaBIOS 1.16.3 traces them on QEMU 7.2 and 10.0. A driver starts
/// only for a function that SeaBIOS has found on a bus (see <see cref="SeaBiosBuses"/>) and whose registers lie below 4 GiB.
/// </remarks>
internal sealed class SeaBiosDrivers
{
    private const ulong Page = 0x1000;

    /// <summary>A queue of virtio with all that belongs to it.</summary>
    private const ulong VirtioQueue = 10784;

    private const int Usb = 0x0c03;
    private const int Xhci = 0x0c0330;
    private const int Ehci = 0x0c0320;
    private const int Ohci = 0x0c0310;
    private const int Uhci = 0x0c0300;
    private const int Ahci = 0x010601;
    private const int Nvme = 0x010802;
    private const int Virtio = 0x1af4;
    private const int VmWare = 0x15ad;

    private readonly FirmwareInput _input;
    private readonly SeaBiosHighZone _zone;
    private readonly Func<int, bool> _isBeyondReach;
    private readonly List<ByteRange> _givenBack = [];

    /// <summary>The devices on each USB controller, by the controller's index among the functions.</summary>
    private readonly Dictionary<int, List<string>> _onUsb = [];

    /// <summary>Whether a disk without a boot index is left alone: QEMU tells the firmware so where any device has one.</summary>
    private readonly bool _isStrict;

    private bool _hasNvmeBuffer;

    private SeaBiosDrivers(FirmwareInput input, SeaBiosHighZone zone, Func<int, bool> isBeyondReach) =>
        (_input, _zone, _isBeyondReach, _isStrict) =
            (input, zone, isBeyondReach, input.Machine.IsBootStrict && input.Machine.Firmware.IsSince(1, 14)
                && input.Machine.Devices.Any(HasBootIndex));

    private static bool HasBootIndex(QemuDevice? device) => device?["bootindex"] is { } text && !text.StartsWith('-');

    private bool IsStarted(QemuDevice? device) => !_isStrict || HasBootIndex(device);

    /// <param name="isBeyondReach">Whether the registers of a function, by its index, lie above 4 GiB.</param>
    public static void Take(FirmwareInput input, SeaBiosHighZone zone, Func<int, bool> isBeyondReach) =>
        new SeaBiosDrivers(input, zone, isBeyondReach).Take();

    /// <summary>A device of the host for which a driver starts that takes as much as the hardware asks for (the scratch pages of an XHCI controller)
    /// and as what is plugged into it needs; null where there is none.</summary>
    /// <returns>How a message names it.</returns>
    public static string? OfHost(FirmwareInput input, Func<int, bool> isBeyondReach)
    {
        for (int i = 0; i < input.Tree.Functions.Length; i++)
        {
            NumberedFunction function = input.Tree.Functions[i];
            string? kind = !function.Node.IsPassedThrough ? null : (function.Node.ClassCode >> 8) switch
            {
                Usb => "USB controller",
                Ahci >> 8 => "SATA controller",
                Nvme >> 8 when function.Node.ClassCode != Nvme => "NVMe controller",
                _ => null,
            };
            if (kind is not null && !isBeyondReach(i))
                return $"the {kind} {function.Address}";
        }

        return input.Machine.Devices.Any(static device => device.Driver == "usb-host") ? "a USB device" : null;
    }

    private void Take()
    {
        FindUsbDevices();
        foreach (int kind in (ReadOnlySpan<int>)[Xhci, Ehci, Uhci, Ohci])
        {
            foreach (int function in OfClass(kind))
                StartUsb(function, kind);
        }

        // QEMU 8.1 changed what a failed command leaves behind: until SeaBIOS 1.16.3 learned it, the command after it was waited for 32 seconds.
        bool isAhciLate = _input.Machine.Emulator >= new QemuVersion(8, 1) && !_input.Machine.Firmware.IsSince(1, 16, 3);
        int hardDisks = AhciDisks(areHard: true);
        TakeAhci(AhciDisks(areHard: false) + (isAhciLate ? 0 : hardDisks));
        for (int i = OfId(Virtio, 0x1001, 0x1042).Count(function => IsStarted(DeviceOf(function))); i > 0; i--)
            _zone.Take(VirtioQueue, Page);
        foreach (int function in OfId(Virtio, 0x1004, 0x1048))
            StartScsi(function);
        for (int i = OfId(VmWare, 0x07c0).Count(); i > 0; i--)
        {
            // The rings of pvscsi, whether a disk hangs on it or not.
            _zone.Take(12);
            for (int ring = 0; ring < 3; ring++)
                _zone.TakePage();
        }

        if (_input.Machine.Firmware.IsSince(1, 15))
        {
            foreach (int function in OfClass(Nvme).Where(function => IsStarted(DeviceOf(function))))
                StartNvme(function);
        }

        foreach (int function in OfClass(Xhci))
            Enumerate(function);
        _zone.GiveBack([.. _givenBack]);
        if (isAhciLate)
            TakeAhci(hardDisks);
    }

    /// <summary>The functions of a class that SeaBIOS starts, in the order in which it finds them.</summary>
    private IEnumerable<int> OfClass(int classCode) => Functions(node => node.ClassCode == classCode && (!node.IsPassedThrough || classCode == Nvme))
        .Where(function => !_isBeyondReach(function));

    /// <summary>virtio is reached through configuration space, wherever its registers lie.</summary>
    private IEnumerable<int> OfId(int vendor, params int[] devices) => Functions(node => node.VendorId == vendor && devices.Contains(node.DeviceId));

    private IEnumerable<int> Functions(Func<PciFunction, bool> isWanted) =>
        Enumerable.Range(0, _input.Tree.Functions.Length).Where(i => isWanted(_input.Tree.Functions[i].Node));

    private QemuDevice? DeviceOf(int function)
    {
        int plug = _input.Tree.Functions[function].Node.Plug;
        return plug < 0 ? null : _input.Machine.Devices[plug];
    }

    // ------------------------------------------------------------------ USB

    /// <summary>What SeaBIOS can use: keyboards and mice that speak the boot protocol, and disks.</summary>
    private static bool CanBoot(string driver) =>
        driver is "usb-kbd" or "usb-mouse" or "usb-wacom-tablet" or "usb-storage" or "usb-uas" or "usb-bot";

    private void StartUsb(int function, int kind)
    {
        ByteRange[] taken = kind switch
        {
            Xhci => [_zone.Take(76), _zone.Take(520, 64), _zone.Take(16, 64), _zone.Take(288, 256), _zone.Take(288, 256)],
            Ehci => [_zone.Take(Page, Page), _zone.Take(68, 128), _zone.Take(68, 128)],
            Uhci => [_zone.Take(16), _zone.Take(Page, Page), _zone.Take(28), _zone.Take(28)],
            _ => [_zone.Take(256, 256), _zone.Take(16)],
        };
        if (!_onUsb.GetValueOrDefault(function, []).Exists(CanBoot))
            _givenBack.AddRange(taken);
    }

    /// <summary>Every device that is found on XHCI has a ring and a context, which are never given back, used or not.</summary>
    private void Enumerate(int function)
    {
        foreach (string driver in _onUsb.GetValueOrDefault(function, []))
        {
            _zone.Take(316, 256);
            _zone.Take(1024, 1024);
            if (driver is "usb-kbd" or "usb-mouse" or "usb-wacom-tablet")
                _zone.Take(8);
        }
    }

    private void FindUsbDevices()
    {
        // Companions have no bus of their own: what is plugged into the controller that they belong to is high-speed and stays there.
        var buses = new List<(int Function, string Name)>();
        foreach (int function in Functions(static node => node.ClassCode >> 8 == Usb && !node.IsPassedThrough))
        {
            QemuDevice? device = DeviceOf(function);
            bool isCompanion = device is null ? _input.IsQ35 && IsUhci(function) : device["masterbus"] is not null;
            if (!isCompanion)
                buses.Add((function, device is null ? "usb-bus" : device["id"] ?? "usb-bus"));
        }

        // QEMU looks for a bus in the order in which they were plugged in, the board's own first.
        buses.Sort((a, b) => _input.Tree.Functions[a.Function].Node.Plug.CompareTo(_input.Tree.Functions[b.Function].Node.Plug));
        foreach (QemuDevice device in _input.Machine.Devices)
        {
            if (!device.Driver.StartsWith("usb-", StringComparison.Ordinal) || device.Driver is "usb-ehci" || buses.Count == 0)
                continue;
            string? name = device["bus"];
            if (name?.LastIndexOf('.') is > 0 and var dot)
                name = name[..dot];
            int at = name is null ? 0 : buses.FindIndex(bus => bus.Name == name);
            if (at < 0)
                continue;
            if (!_onUsb.TryGetValue(buses[at].Function, out List<string>? there))
                _onUsb.Add(buses[at].Function, there = []);
            there.Add(device.Driver);
        }
    }

    private bool IsUhci(int function) => _input.Tree.Functions[function].Node.ClassCode == Uhci;

    // ------------------------------------------------------------------ disks

    private void TakeAhci(int disks)
    {
        for (int i = 0; i < disks; i++)
        {
            _zone.Take(1024, 1024);
            _zone.Take(256, 256);
            _zone.Take(256, 256);
        }
    }

    /// <summary>Disks, or drives for CDs, on AHCI controllers: an old board's IDE controller takes no memory here.</summary>
    private int AhciDisks(bool areHard)
    {
        int disks = areHard && _input.IsQ35 ? _input.Machine.BoardDisks : 0;
        HashSet<string> controllers = [.. OfClass(Ahci).Select(function => DeviceOf(function)?["id"]).OfType<string>()];
        foreach (QemuDevice device in _input.Machine.Devices)
        {
            if (device.Driver != (areHard ? "ide-hd" : "ide-cd"))
                continue;
            string bus = device["bus"] ?? "ide.0";
            int dot = bus.LastIndexOf('.');
            string owner = dot < 0 ? bus : bus[..dot];
            if (controllers.Contains(owner) || (owner == "ide" && _input.IsQ35))
                disks++;
        }

        return disks;
    }

    /// <summary>A controller of SCSI keeps its queue where a disk hangs on it; it looks for one much longer than the other drivers take.</summary>
    private void StartScsi(int function)
    {
        if (_isStrict && (DeviceOf(function) is not { } strict || !HasDisk(strict)))
            return;
        ByteRange[] taken = [_zone.Take(56), _zone.Take(VirtioQueue, Page)];
        if (DeviceOf(function) is { } controller && !HasDisk(controller))
            _givenBack.AddRange(taken);
    }

    private bool HasDisk(QemuDevice controller)
    {
        if (!controller.Driver.StartsWith("virtio-scsi", StringComparison.Ordinal))
            return IsStarted(controller);
        QemuDevice? first = null;
        foreach (QemuDevice device in _input.Machine.Devices)
        {
            if (device.Driver.StartsWith("virtio-scsi", StringComparison.Ordinal))
                first ??= device;
            if (device.Driver is not ("scsi-hd" or "scsi-cd" or "scsi-block") || !IsStarted(device))
                continue;
            if (device["bus"] is not { } bus ? ReferenceEquals(first, controller)
                : (bus.LastIndexOf('.') is > 0 and var dot ? bus[..dot] : bus) == controller["id"])
            {
                return true;
            }
        }

        return false;
    }

    private void StartNvme(int function)
    {
        // The queues, whether there is a disk or not; the first disk brings the buffer for all. A real controller has a disk.
        _zone.Take(78);
        for (int i = 0; i < 3; i++)
            _zone.TakePage();
        _zone.Take(4 * Page, Page);
        bool hasDisk = DeviceOf(function) is not { Driver: "nvme" } device || device["drive"] is not null;
        if (!hasDisk || (_hasNvmeBuffer && _input.Machine.Firmware.IsSince(1, 16)))
            return;
        _hasNvmeBuffer = true;
        _zone.TakePage();
    }
}
