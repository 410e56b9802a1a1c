// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Xml.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <content>Devices at another place or with another number: the first function of a slot that had none, a port's chassis.</content>
internal sealed partial record QemuPaste
{
    private sealed partial class Writer
    {
        private const string PortOfProxmox = "ich9-pcie-port-";

        /// <summary>The devices that a change concerns: each as it is, and as it is to be.</summary>
        private IEnumerable<(QemuDevice Device, QemuDevice Moved)> MovedDevices()
        {
            QemuMachine mended = request.Machine;
            foreach (QemuChange change in changes)
            {
                if (change.Setting is QemuSetting.Chassis or QemuSetting.FirstFunction)
                    mended = change.ApplyTo(mended);
            }

            for (int i = 0; i < mended.Devices.Length; i++)
            {
                if (!mended.Devices[i].Equals(request.Machine.Devices[i]))
                    yield return (request.Machine.Devices[i], mended.Devices[i]);
            }
        }

        private static string OptionOf(QemuDevice device) =>
            string.Join(',', [device.Driver, .. device.Properties.Select(static property =>
                $"{property.Name}={property.Value.Replace(",", ",,", StringComparison.Ordinal)}")]);

        private static string NameOf(QemuDevice device) =>
            InputError.OneLine(device["id"] ?? device["host"] ?? device.Driver, 100);

        private void AddMovedArguments(List<string> words)
        {
            foreach ((QemuDevice device, QemuDevice moved) in MovedDevices())
            {
                words.Add($"-device {Shell(OptionOf(moved))}");
                Replace(device["id"] is null && device["host"] is null ? $"the -device {InputError.OneLine(OptionOf(device), 200)}"
                    : $"the -device of {NameOf(device)}");
            }
        }

        /// <summary>A device of libvirt's keeps its element: only the address in it changes.</summary>
        private void AddMovedAddresses(List<XElement> elements)
        {
            foreach ((QemuDevice device, QemuDevice moved) in MovedDevices())
            {
                NoteChassis(device, moved);
                if (moved["addr"] == device["addr"] || moved["addr"] is not { } place)
                    continue;
                string bus = moved["bus"] ?? "";
                string slot = place.Split('.')[0];
                if (!int.TryParse(bus.AsSpan(bus.LastIndexOf('.') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
                    continue;
                elements.Add(new XElement("address", new XAttribute("type", "pci"), new XAttribute("domain", "0x0000"),
                    new XAttribute("bus", string.Create(CultureInfo.InvariantCulture, $"0x{number:x2}")), new XAttribute("slot", slot),
                    new XAttribute("function", "0x0"), new XAttribute("multifunction", "on")));
                Replace($"the <address> of {OwnerOf(device)}");
            }
        }

        private void NoteChassis(QemuDevice device, QemuDevice moved)
        {
            if (PortNumbers.TextOf(moved) is not { } text || text == PortNumbers.TextOf(device))
                return;
            _notes.Add(guest.Dialect == QemuDialect.Libvirt
                ? $"write {text.Replace("chassis_nr", "chassisNr", StringComparison.Ordinal).Replace("=", "='", StringComparison.Ordinal)}' into the "
                    + $"<target> of {OwnerOf(device)}"
                : $"{NameOf(device)} has to have {text}");
        }

        private static string OwnerOf(QemuDevice device)
        {
            string name = NameOf(device);
            return device["host"] is { } host ? $"the <hostdev> with {InputError.OneLine(host, 100)} (below its <source>)"
                : name.StartsWith("pci.", StringComparison.Ordinal) ? $"the <controller type='pci' index='{name["pci.".Length..]}'>"
                : name;
        }

        /// <summary>Proxmox VE has a port at function 0 for <c>hostpci4</c> and for <c>hostpci12</c>; what stands in <c>args</c> is changed
        /// there.</summary>
        private void AddMovedLines(List<string> lines, List<string> kept)
        {
            foreach ((QemuDevice device, QemuDevice moved) in MovedDevices())
            {
                string id = device["id"] ?? "";
                if (id.StartsWith(PortOfProxmox, StringComparison.Ordinal)
                    && int.TryParse(id.AsSpan(PortOfProxmox.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int port)
                    && $"hostpci{port - 1}" is var key && KeptText(key) is { } value)
                {
                    lines.Add($"{(port - 1 < 12 ? "hostpci4" : "hostpci12")}: {InputError.OneLine(value, 4000)}");
                    Replace($"the line {key}:");
                    _dropped.Add(key);
                    continue;
                }

                int at = kept.FindLastIndex(word => id.Length > 0 ? QemuOptionSyntax.Find(QemuOptionSyntax.Split(word, "driver"), "id") == id
                    : word == OptionOf(device));
                if (at > 0)
                    kept[at] = OptionOf(moved);
                else if (moved["addr"] == device["addr"])
                    NoteChassis(device, moved);
                else
                    _notes.Add($"{NameOf(device)} has to be at function 0 of its slot");
            }
        }
    }
}
