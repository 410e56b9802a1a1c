// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>What the arguments say of devices.</summary>
internal sealed partial class QemuArguments
{
    private void ReadDevice(QemuWord value)
    {
        ImmutableArray<QemuProperty> properties = Properties(value, "driver");
        if (_error is not null)
            return;
        if (QemuOptionSyntax.Find(properties, "driver") is not { Length: > 0 } driver)
        {
            Fail(Missing, value, $"{InputError.Quote(value.Text)} names no device", "write the device's model first");
            return;
        }

        // Those in JSON are added behind all others, whatever the order of the command line.
        var device = new QemuDevice(driver, properties.RemoveAll(static property => property.Name == "driver"));
        if (HostFunctions.IsOne(device) && device["host"] is { } host && !Pci.PciAddress.TryParse(host, out _)
            && !(dialect == QemuDialect.Proxmox && HostFunctions.TryGetSlot(device, out _)))
        {
            Fail(Malformed, value, $"{InputError.Quote(host)} is not a valid PCI address: QEMU refuses it (\"Property '{driver}.host' doesn't take "
                + $"value '{InputError.OneLine(host, 100)}'\")", "write it as lspci -D shows it, such as 0000:01:00.0");
            return;
        }

        if (value.Text.StartsWith('{'))
        {
            Note(driver);
            NoteName("device", device["id"], value);
            if (_jsonDevices.Count < MaxDevices)
                _jsonDevices.Add(device);
            else
                Fail(TooLarge, value, $"more than {MaxDevices} devices", "check that this is one guest");
            return;
        }

        AddDevice(device, value);
    }

    private void AddDevice(QemuDevice device, QemuWord at)
    {
        Note(device.Driver);
        NoteName("device", device["id"], at);
        if (_devices.Count >= MaxDevices)
            Fail(TooLarge, at, $"more than {MaxDevices} devices", "check that this is one guest");
        else
            _devices.Add((device, at.Line));
    }

    /// <summary>A device that QEMU would else add by itself takes the place of that one; disks on the board's own controller are counted.</summary>
    private void Note(string driver)
    {
        _hasDefaultVga &= !s_displays.Contains(driver);
        _hasDefaultCdrom &= driver is not ("ide-cd" or "ide-hd" or "scsi-cd" or "scsi-hd");
    }

    private void AddSound(string model)
    {
        string? driver = model switch
        {
            "hda" => "intel-hda",
            "ac97" => "AC97",
            "es1370" => "ES1370",
            "virtio" => "virtio-sound-pci",
            _ => null,
        };
        if (driver is not null)
            _boardDevices.Add(new(driver, []));
    }

    /// <summary>Cards of the board come after its display and before all devices; one with a slot of its own can as well be a device.</summary>
    private void ReadNic(string text, bool isNet)
    {
        _hasNetworks = true;
        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(text, "type");
        _references.Add("netdev", QemuOptionSyntax.Find(properties, "id"));
        string type = QemuOptionSyntax.Find(properties, "type") ?? "";
        if (isNet ? type != "nic" : type == "none")
            return;
        string model = QemuOptionSyntax.Find(properties, "model") ?? "";
        if (model == "virtio")
            model = "virtio-net-pci";
        if (QemuOptionSyntax.Find(properties, "addr") is { } address && model.Length > 0)
            _boardDevices.Add(new(model, [new("addr", address)]));
        else
            (isNet ? _nicsOfNet : _nicsOfNic).Add(model);
    }

    /// <summary>The text of the file that <c>-readconfig</c> names, where it stands beside the command.</summary>
    public void SetConfig(ImmutableArray<QemuWord> config) => _config = config;

    /// <summary>Adds that text where no <c>-readconfig</c> has asked for it.</summary>
    public void AddConfig()
    {
        ImmutableArray<QemuWord> config = _config;
        _config = [];
        Add(config.AsSpan());
    }

    private void ReadConfigFile(QemuWord value)
    {
        if (!_config.IsEmpty)
        {
            AddConfig();
            return;
        }

        if (ProxmoxLayout.ConfigFile(value.Text) is not { } devices)
        {
            Fail(NotSupported, value, $"the devices of {InputError.Quote(value.Text)} are not known", "put the text of that file below the command");
            return;
        }

        _remarks.Add($"what {InputError.OneLine(value.Text, 200)} holds is taken from Proxmox VE's own files");
        foreach (string device in devices)
            AddDevice(QemuOptionSyntax.Device(device), value);
    }

    /// <summary>What QEMU itself adds to the list of devices: disks with if=virtio.</summary>
    private void AddLateDevices()
    {
        foreach (ImmutableArray<QemuProperty> drive in _virtioDrives)
        {
            ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Find(drive, "addr") is { } address ? [new("addr", address)] : [];
            _devices.Add((new("virtio-blk-pci", properties), 0));
        }

        if (_hasDefaults && _hasDefaultCdrom && !_hasDiskAtTwo)
            _disks++;
    }
}
