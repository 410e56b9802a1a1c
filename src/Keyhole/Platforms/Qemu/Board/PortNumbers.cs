// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu.Board;

/// <summary>
/// The numbers that QEMU has of each port and bridge: no two ports may have both chassis and slot in common, which are 0 where nobody says, and a
/// conventional bridge has to have a chassis.
/// </summary>
/// <remarks>Source: QEMU's hw/pci/pcie_port.c (pcie_chassis_add_slot) and slotid_cap.c; each case was tried on 7.2.</remarks>
internal sealed class PortNumbers
{
    private const string ChassisOfPort = "chassis";
    private const string ChassisOfBridge = "chassis_nr";

    /// <summary>8 bits.</summary>
    private const int Most = byte.MaxValue;

    private readonly Dictionary<(ulong Chassis, ulong Slot), string> _ports = [];

    /// <summary>The words in which QEMU refuses a device for its numbers; null where it does not.</summary>
    /// <param name="cause">What stands behind them; null where they say it.</param>
    public string? Refusal(QemuPlug plug, out string? cause)
    {
        cause = null;
        if (IsBridge(plug))
        {
            return plug.Size(ChassisOfBridge, 0) > 0 ? null
                : "Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0.";
        }

        if (!IsPort(plug))
            return null;
        (ulong Chassis, ulong Slot) numbers = NumbersOf(plug);
        if (_ports.TryAdd(numbers, NameOf(plug.Device)))
            return null;
        cause = string.Create(CultureInfo.InvariantCulture,
            $"{NameOf(plug.Device)} and {_ports[numbers]} both have chassis {numbers.Chassis} and slot {numbers.Slot}");
        return "Can't add chassis slot, error -16";
    }

    /// <summary>The machine with a chassis of its own for each port and bridge that QEMU refuses for want of one; null where there is none, or no
    /// number is left.</summary>
    public static QemuMachine? Mended(QemuMachine machine)
    {
        var used = new HashSet<ulong>();
        foreach (QemuDevice device in machine.Devices)
        {
            if (TryPlug(machine, device, out QemuPlug plug))
                used.Add(plug.Size(IsBridge(plug) ? ChassisOfBridge : ChassisOfPort, 0));
        }

        var ports = new PortNumbers();
        QemuMachine mended = machine;
        for (int i = 0; i < machine.Devices.Length; i++)
        {
            if (!TryPlug(machine, machine.Devices[i], out QemuPlug plug) || ports.Refusal(plug, out _) is null)
                continue;
            if (Free(used) is not { } number)
                return null;
            string name = IsBridge(plug) ? ChassisOfBridge : ChassisOfPort;
            mended = mended with { Devices = mended.Devices.SetItem(i, With(machine.Devices[i], name, number)) };
        }

        return mended.Equals(machine) ? null : mended;
    }

    /// <summary>How the change is called that mends them.</summary>
    public static string CureName(QemuMachine machine, QemuMachine mended)
    {
        QemuDevice[] changed = [.. mended.Devices.Where((device, i) => !device.Equals(machine.Devices[i]))];
        return changed.Length == 1 ? $"{TextOf(changed[0])} for {NameOf(changed[0])}"
            : changed.Length <= 3 && changed.All(static device => device["id"] is { Length: > 0 })
                ? $"a chassis of its own for {Listed.Of([.. changed.Select(NameOf)])}"
            : string.Create(CultureInfo.InvariantCulture, $"a chassis of its own for each of {changed.Length} ports and bridges");
    }

    /// <summary>A device's chassis as the command line has it.</summary>
    public static string TextOf(QemuDevice device) =>
        device[ChassisOfBridge] is { } bridges ? $"{ChassisOfBridge}={bridges}" : $"{ChassisOfPort}={device[ChassisOfPort]}";

    /// <summary>A number that no port has yet; null where all are taken.</summary>
    /// <param name="least">1–255.</param>
    public static int? FreeChassis(IEnumerable<QemuDevice> devices, int least)
    {
        HashSet<ulong> used = [.. devices.Select(static device => QemuNumber.TrySize(device[ChassisOfPort], out ulong number) ? number : 0)];
        for (int number = least; number <= Most; number++)
        {
            if (!used.Contains((ulong)number))
                return number;
        }

        return null;
    }

    private static bool IsBridge(QemuPlug plug) => plug.Device.Driver is "pci-bridge" or "pci-bridge-seat";

    private static bool IsPort(QemuPlug plug) => plug.Model.Bridge is QemuBridge.RootPort or QemuBridge.Downstream;

    private static (ulong Chassis, ulong Slot) NumbersOf(QemuPlug plug) => (plug.Size(ChassisOfPort, 0), plug.Size("slot", 0));

    private static bool TryPlug(QemuMachine machine, QemuDevice device, out QemuPlug plug)
    {
        plug = QemuDevices.Find(device.Driver) is { } model ? new(machine, device, model, IsBehindPort: false) : default;
        return plug.Model is not null && (IsBridge(plug) || IsPort(plug));
    }

    private static ulong? Free(HashSet<ulong> used)
    {
        for (ulong number = 1; number <= Most; number++)
        {
            if (used.Add(number))
                return number;
        }

        return null;
    }

    private static QemuDevice With(QemuDevice device, string name, ulong number) => device with
    {
        Properties = [.. device.Properties.Where(property => property.Name != name), new(name, number.ToString(CultureInfo.InvariantCulture))],
    };

    private static string NameOf(QemuDevice device) => InputError.OneLine(device["id"] is { Length: > 0 } id ? id : device.Driver, 100);
}
