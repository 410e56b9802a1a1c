// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>What the devices of a command line name by its identifier: networks, channels, drives, objects. QEMU starts no guest in which one of them
/// is not there.</summary>
/// <remarks>Source: the refusals of 7.2, 10.0 and 11.1 for every model here.</remarks>
internal sealed class QemuReferences
{
    /// <summary>Names that QEMU itself gives to what it makes of other options.</summary>
    private static readonly string[] s_ownNames =
        ["serial", "parallel", "compat_monitor", "virtcon", "debugcon", "gdb", "mon", "ide", "scsi", "virtio", "none", "floppy", "sd", "pflash",
            "mtd", "xen", "hub", "#"];

    private readonly Dictionary<string, HashSet<string>> _names = new(StringComparer.Ordinal);
    private readonly HashSet<string> _networksInUse = new(StringComparer.Ordinal);

    /// <summary>Says that part of the command is left out, or filled in by a shell: then nothing can be said to be missing.</summary>
    public void LeaveOut() => IsWhole = false;

    /// <summary>Whether all of the command is there.</summary>
    public bool IsWhole { get; private set; } = true;

    /// <param name="kind">As QEMU calls it: netdev, chardev, drive, object.</param>
    public void Add(string kind, string? name)
    {
        if (name is null)
            return;
        if (!_names.TryGetValue(kind, out HashSet<string>? names))
            _names.Add(kind, names = new(StringComparer.Ordinal));
        names.Add(name);
    }

    /// <summary>Why QEMU refuses the first of the devices that names what is not there, or has no network address; null where it takes all.</summary>
    /// <param name="devices">In QEMU's order: a device finds the buses of those before it alone.</param>
    /// <param name="hasUsb">Whether the board has USB (<c>-usb</c>).</param>
    /// <param name="hasScsi">Whether the board has SCSI: up to 2.11 for a drive of that kind.</param>
    /// <param name="globals">What <c>-global</c> gives to all devices of a model.</param>
    public StartRefusal? Refusal(IEnumerable<QemuDevice> devices, bool hasUsb, bool hasScsi, IReadOnlyList<QemuGlobal> globals)
    {
        bool hasPorts = false;
        foreach (QemuDevice device in devices)
        {
            if (IsWhole && device["bus"] is null && WithoutBus(device.Driver, hasUsb, hasScsi, hasPorts) is { } alone)
                return alone;
            if ((IsWhole ? RefusalOf(device) ?? (HasGlobalValue(globals) ? null : WithoutValue(device)) : null) is { } refusal)
                return refusal;
            string model = QemuDevices.FullName(device.Driver);
            hasUsb |= IsUsbController(model);
            hasScsi |= IsScsiController(model);
            hasPorts |= model.StartsWith("virtio-serial", StringComparison.Ordinal);
            if (device["mac"] is { } address && OwnerOf(device.Driver, "mac") is { } owner && !IsNetworkAddress(address) && !IsOfShell(address))
            {
                return New($"Property '{owner}.mac' doesn't take value '{InputError.OneLine(address, 60)}'",
                    "write mac= as six pairs of hex digits, such as 52:54:00:12:34:56");
            }
        }

        return null;
    }

    private StartRefusal? RefusalOf(QemuDevice device)
    {
        foreach (string property in (ReadOnlySpan<string>)["netdev", "chardev", "drive"])
        {
            if (device[property] is not { } name || OwnerOf(device.Driver, property) is not { } owner || IsOfShell(name))
                continue;
            if (IsThere(property, name))
            {
                if (property != "netdev" || _networksInUse.Add(name))
                    continue;
                return New($"Property '{owner}.netdev' can't take value '{name}', it's in use", "give each network card a -netdev of its own");
            }

            string words = owner is "vhost-user-gpu-pci" or "vhost-user-vga"
                ? $"Chardev '{name}' not found" : $"Property '{owner}.{property}' can't find value '{name}'";
            return New(words, property switch
            {
                "netdev" => $"add the network (-netdev user,id={name} or another kind), or take netdev= out",
                "chardev" => $"add the channel (-chardev …,id={name}), or take the device out",
                _ => $"add the drive (-drive if=none,id={name},file=…, or -blockdev with node-name={name}), or take the device out",
            });
        }

        foreach (string property in (ReadOnlySpan<string>)["rng", "iothread", "cryptodev"])
        {
            if (device.Driver.StartsWith("virtio-", StringComparison.Ordinal) && device[property] is { Length: > 0 } name && !IsOfShell(name)
                && !name.Contains('/', StringComparison.Ordinal) && !_names.GetValueOrDefault("object", []).Contains(name)
                && !_names.GetValueOrDefault("device", []).Contains(name))
            {
                return New($"Device '{name}' not found", $"add the object (-object …,id={name}), or take {property}= out");
            }
        }

        return null;
    }

    /// <summary>A device for whose bus there is no controller.</summary>
    private static StartRefusal? WithoutBus(string driver, bool hasUsb, bool hasScsi, bool hasPorts) => driver switch
    {
        "usb-tablet" or "usb-mouse" or "usb-kbd" or "usb-host" or "usb-hub" or "usb-storage" or "usb-bot" or "usb-uas" or "usb-redir" or "usb-audio"
            or "usb-net" or "usb-mtp" or "usb-serial" or "usb-ccid" or "usb-wacom-tablet" or "usb-braille" when !hasUsb => New(
                $"No 'usb-bus' bus found for device '{driver}'", "add a USB controller before it (-device qemu-xhci), or take the device out"),
        "scsi-hd" or "scsi-cd" or "scsi-block" or "scsi-generic" when !hasScsi => New(
            $"No 'SCSI' bus found for device '{driver}'", "add a SCSI controller before it (-device virtio-scsi-pci), or take the device out"),
        "virtserialport" or "virtconsole" when !hasPorts => New(
            $"No 'virtio-serial-bus' bus found for device '{driver}'",
            "add a controller for it (-device virtio-serial-pci) before it, or take the device out"),
        _ => null,
    };

    /// <summary>Whether a device may have from elsewhere what it cannot do without.</summary>
    private static bool HasGlobalValue(IReadOnlyList<QemuGlobal> globals) => globals.Any(static global => global.Property is "drive" or "serial");

    /// <summary>A device that lacks what it cannot do without. QEMU looks at its other properties first, of which these are known.</summary>
    private static StartRefusal? WithoutValue(QemuDevice device) => device.Properties.Any(static property => property.Name is not ("id" or "bus"
        or "addr" or "multifunction" or "bootindex" or "num-queues" or "disable-legacy" or "disable-modern" or "iothread" or "drive" or "serial"
        or "share-rw" or "write-cache" or "lun" or "scsi-id" or "channel" or "unit" or "port")) ? null : QemuDevices.FullName(device.Driver) switch
    {
        "virtio-blk-pci" or "scsi-hd" or "usb-storage" when device["drive"] is null =>
            New("drive property not set", $"give {device.Driver} its drive=, or take the device out"),
        "ide-hd" when device["drive"] is null => New("No drive specified", "give ide-hd its drive=, or take the device out"),
        "nvme" when device["serial"] is null => New("serial property not set", "give nvme a serial=, or take the device out"),
        _ => null,
    };

    private static bool IsUsbController(string model) => model is "pci-ohci" || model.EndsWith("xhci", StringComparison.Ordinal)
        || model.Contains("usb-uhci", StringComparison.Ordinal) || model.Contains("usb-ehci", StringComparison.Ordinal);

    private static bool IsScsiController(string model) => model is "lsi53c895a" or "lsi53c810" or "lsi" or "pvscsi" or "am53c974" or "dc390"
        or "usb-bot" or "usb-uas" || model.Contains("scsi-pci", StringComparison.Ordinal) || model.StartsWith("virtio-scsi", StringComparison.Ordinal)
        || model.StartsWith("megasas", StringComparison.Ordinal) || model.StartsWith("mptsas", StringComparison.Ordinal);

    private bool IsThere(string property, string name)
    {
        if (_names.GetValueOrDefault(property, []).Contains(name) || (property != "netdev" && name.Length == 0))
            return true;
        foreach (string own in s_ownNames)
        {
            if (name.StartsWith(own, StringComparison.Ordinal) && (own == "#" || name.AsSpan(own.Length).ContainsAnyInRange('0', '9')))
                return true;
        }

        return false;
    }

    /// <summary>The part of a device model that has a property, as QEMU names it; null for a model of which that was not asked.</summary>
    private static string? OwnerOf(string driver, string property)
    {
        string model = QemuDevices.FullName(driver);
        foreach (string end in (ReadOnlySpan<string>)["-non-transitional", "-transitional"])
        {
            if (model.EndsWith(end, StringComparison.Ordinal))
                model = model[..^end.Length];
        }

        return (property, model) switch
        {
            ("netdev" or "mac", "virtio-net-pci") => "virtio-net-device",
            ("netdev" or "mac", "e1000-82540em") => "e1000",
            ("netdev" or "mac", "e1000" or "e1000-82544gc" or "e1000-82545em" or "e1000e" or "igb" or "rtl8139" or "vmxnet3" or "pcnet" or "i82550"
                or "i82551" or "i82557a" or "i82559er" or "ne2k_pci" or "tulip") => model,
            ("chardev", "isa-serial" or "pci-serial") => "serial",
            ("chardev", "isa-parallel" or "isa-debugcon" or "virtconsole" or "virtserialport" or "usb-serial" or "usb-braille" or "usb-redir"
                or "ivshmem-doorbell" or "vhost-user-gpu-pci" or "vhost-user-vga") => model,
            ("chardev", "vhost-user-blk-pci" or "vhost-user-scsi-pci" or "vhost-user-rng-pci") => model[..^"-pci".Length],
            ("chardev", "vhost-user-fs-pci" or "vhost-user-vsock-pci" or "vhost-user-i2c-pci") => model[..^"pci".Length] + "device",
            ("drive", "virtio-blk-pci") => "virtio-blk-device",
            ("drive", "ide-hd" or "ide-cd" or "scsi-hd" or "scsi-cd" or "scsi-block" or "scsi-generic" or "nvme" or "usb-storage") => model,
            _ => null,
        };
    }

    /// <summary>Six pairs of hex digits with colons or dashes between them.</summary>
    private static bool IsNetworkAddress(string text)
    {
        const int length = 17;
        if (text.Length != length)
            return false;
        for (int i = 0; i < length; i++)
        {
            if (i % 3 == 2 ? text[i] is not (':' or '-') : !char.IsAsciiHexDigit(text[i]))
                return false;
        }

        return true;
    }

    private static bool IsOfShell(string text) => text.AsSpan().ContainsAny('$', '`');

    private static StartRefusal New(string words, string remedy) =>
        new("QEMU", InputError.OneLine(words, 200), "") { IsOfCommand = true, IsBehindMemory = true, Remedy = InputError.OneLine(remedy, 200) };
}
