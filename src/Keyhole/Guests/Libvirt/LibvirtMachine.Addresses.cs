// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>The addresses that libvirt gives to devices.</summary>
internal sealed partial class LibvirtMachine
{
    /// <summary>As libvirt does it: once to see which controllers have to be added, then with all of them, controllers first.</summary>
    private void AssignAddresses()
    {
        int known = _controllers.Count;
        Assign(isTrial: true);
        if (_slots.Added.Count > 0 && Grown() is { Length: > 0 } grown)
            _arguments.Remark($"the XML has addresses on PCI controllers that it does not have ({grown}): those that libvirt adds are taken");
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

    /// <summary>Controllers that an address names and the XML has not.</summary>
    private string Grown() => string.Join(", ", _controllers.Values.Concat(_devices).Where(device => device is { Address.Bus: > 0, Line: > 0 }
            && !_controllers.ContainsKey(device.Address.Value.Bus))
        .Select(static device => device.Address!.Value.Bus).Distinct().Order().Take(8));

    private void Assign(bool isTrial)
    {
        foreach (Device device in _controllers.Values.Concat(_devices))
        {
            if (device.Address is not { } address)
                continue;
            // A device of conventional PCI would need a bridge as well, which nobody adds here.
            if (isTrial && (!_isQ35 || device.Connect == LibvirtConnect.Express))
                _slots.GrowTo(address.Bus);
            _slots.Take(address, device.Connect == LibvirtConnect.RootPort);
        }

        foreach (Device controller in _controllers.Values)
            Assign(controller, isTrial);
        // libvirt's order of kinds, which is not that of the command line.
        foreach (Place place in (ReadOnlySpan<Place>)[
            Place.FileSystem, Place.Network, Place.Sound, Place.Usb, Place.Scsi, Place.Sata, Place.Serial, Place.Disk, Place.Host, Place.Balloon,
            Place.Rng, Place.Watchdog,
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
            _error ??= InputError.Missing(sourceName, device.Line > 0 ? device.Line : null, "no PCI slot is left for this device",
                "add a controller");
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
                _error ??= InputError.NoSuchItem(sourceName, waiting[0].Line, "a PCI controller on a bus that is not there",
                    "give each controller a bus that another controller has");
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
            text = string.Create(CultureInfo.InvariantCulture,
                $"{text},bus={BusName(address.Bus)},{(isMultifunction ? "multifunction=on," : "")}addr=0x{address.Slot:x}.0x{address.Function:x}");
        }

        _arguments.Add("-device", text, device.Line);
    }
}
