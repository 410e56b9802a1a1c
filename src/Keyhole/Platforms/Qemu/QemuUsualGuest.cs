// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>
/// The guest of a scenario. Where only the type, the memory and the devices are told it is a q35 under KVM with the host's processor, each device of
/// the host behind a root port of its own, as virtual machine managers build it; the plan says that this was taken. Devices that are named beside a
/// configuration are added in the same way.
/// </summary>
internal static class QemuUsualGuest
{
    public static QemuGuest Of(Scenario scenario)
    {
        QemuGuest guest = scenario.Guest.Qemu ?? Plain(scenario);
        string machineName = scenario.Qemu.MachineName ?? guest.MachineName;
        bool hasPorts = QemuMachineType.TryParse(machineName, QemuVersion.Usual, out QemuMachineType type) && type.Chipset == QemuChipset.Q35;
        ImmutableArray<QemuDevice>.Builder devices = guest.Machine.Devices.ToBuilder();
        foreach (PciAssignment assignment in scenario.Guest.Pci)
        {
            if (assignment.Address is { } address && !guest.Machine.Devices.Any(device => IsOf(device, address)))
                Add(devices, assignment.AllFunctions ? address.ToString()[..^2] : address.ToString(), null, hasPorts);
        }

        if (!devices.Any(HostFunctions.IsOne))
        {
            foreach (PciDevice device in scenario.Qemu.Devices)
                Add(devices, device.Address.ToString(), HostFunctions.Of(device), hasPorts);
            // What no device is named for is what one device asks for.
            ImmutableArray<BarRequest> bars = scenario.Qemu.Bars.IsEmpty ? Unlisted(scenario) : scenario.Qemu.Bars;
            if (!bars.IsEmpty)
                Add(devices, "", new HostFunction(bars), hasPorts);
        }

        return guest with { Machine = guest.Machine with { Devices = devices.ToImmutable() } };
    }

    /// <summary>What the windows that no listing names ask for: those of one device.</summary>
    public static ImmutableArray<BarRequest> Unlisted(Scenario scenario)
    {
        ImmutableArray<Bar> given = [.. scenario.Bars.Where(bar => !scenario.Qemu.Devices.Any(device => device.Bars.Contains(bar)))];
        var found = ImmutableArray.CreateBuilder<BarRequest>();
        int index = 0;
        foreach (Bar bar in given)
        {
            if (!BarRequest.TryCreate(index, bar.SizeBytes, bar.RequestType, out BarRequest request))
                continue;
            found.Add(request);
            index += bar.Is64Bit ? 2 : 1;
        }

        return found.DrainToImmutable();
    }

    private static bool IsOf(QemuDevice device, PciAddress address)
    {
        if (!HostFunctions.IsOne(device))
            return false;
        return HostFunctions.TryGetSlot(device, out PciAddress slot)
            ? (slot.Domain, slot.Bus, slot.Device) == (address.Domain, address.Bus, address.Device)
            : HostFunctions.TryGetAddress(device, out PciAddress other) && other == address;
    }

    private static QemuGuest Plain(Scenario scenario)
    {
        GuestSpec guest = scenario.Guest;
        _ = QemuMachineType.TryParse("q35", QemuVersion.Usual, out QemuMachineType type);
        return new()
        {
            Dialect = QemuDialect.Options,
            Name = guest.Name,
            MachineName = "q35",
            IsKvm = true,
            Firmware = FirmwareName.SeaBios,
            Cpu = new() { Model = "host", Text = "host" },
            HasNoDefaultVga = true,
            Nics = [],
            Machine = new()
            {
                Type = type,
                Emulator = QemuVersion.Usual,
                Firmware = new(FirmwareName.SeaBios, 1, 16, 3),
                Cpu = new(CpuVendor.Intel, QemuCpu.DefaultPhysBits),
                IsKvm = true,
                MemoryBytes = guest.MemoryKiB << 10,
            },
        };
    }

    /// <summary>Behind a root port of its own; on a board without ports on bus 0.</summary>
    private static void Add(ImmutableArray<QemuDevice>.Builder devices, string host, HostFunction? function, bool hasPorts)
    {
        var properties = ImmutableArray.CreateBuilder<QemuProperty>(2);
        if (host.Length > 0)
            properties.Add(new("host", host));
        if (hasPorts)
        {
            int number = 1 + devices.Count(static device => device.Driver == "pcie-root-port");
            string port = string.Create(CultureInfo.InvariantCulture, $"port{number}");
            // More ports than there are numbers have no place on the bus either.
            int chassis = PortNumbers.FreeChassis(devices, 101) ?? PortNumbers.FreeChassis(devices, 1) ?? 1;
            while (devices.Any(device => device["id"] == port))
                port += "b";
            devices.Add(new("pcie-root-port",
                [new("id", port), new("bus", QemuTopology.BoardsBus), new("chassis", chassis.ToString(CultureInfo.InvariantCulture))]));
            properties.Add(new("bus", port));
        }
        else
        {
            properties.Add(new("bus", QemuTopology.BoardsBus));
        }

        devices.Add(new("vfio-pci", properties.ToImmutable()) { Host = function });
    }
}
