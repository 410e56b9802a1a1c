// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu;

/// <summary>
/// A guest of which only the type, the memory and the devices are told: a q35 under KVM with the host's processor, each device of the host behind a
/// root port of its own, as virtual machine managers build it. The plan says that this was taken.
/// </summary>
internal static class QemuUsualGuest
{
    public static QemuGuest Of(Scenario scenario)
    {
        GuestSpec guest = scenario.Guest;
        var devices = ImmutableArray.CreateBuilder<QemuDevice>();
        foreach (PciAssignment assignment in guest.Pci)
            Add(devices, assignment.Address?.ToString() ?? assignment.ToString(), null);
        if (guest.Pci.IsEmpty)
        {
            foreach (PciDevice device in scenario.Qemu.Devices)
                Add(devices, device.Address.ToString(), HostFunctions.Of(device));
            // Windows that no listing names are those of one device.
            ImmutableArray<Bar> given = [.. scenario.Bars.Where(bar => !scenario.Qemu.Devices.Any(device => device.Bars.Contains(bar)))];
            if (!given.IsEmpty)
                Add(devices, "", HostFunctions.Of(new PciDevice(default, "", [.. given.Select(static (bar, index) => bar with { Index = index })])));
        }

        _ = QemuMachineType.TryParse("q35", new QemuVersion(10, 0), out QemuMachineType type);
        return new()
        {
            Dialect = QemuDialect.CommandLine,
            Name = guest.Name,
            MachineName = "q35",
            IsKvm = true,
            Firmware = FirmwareName.SeaBios,
            Cpu = new() { Model = "host" },
            HasNoDefaultVga = true,
            Nics = [],
            Machine = new()
            {
                Type = type,
                Emulator = new QemuVersion(10, 0),
                Firmware = new(FirmwareName.SeaBios, 1, 16, 3),
                Cpu = new(CpuVendor.Intel, QemuCpu.DefaultPhysBits),
                IsKvm = true,
                MemoryBytes = guest.MemoryKiB << 10,
                Devices = devices.ToImmutable(),
            },
        };
    }

    /// <summary>Behind a root port of its own.</summary>
    private static void Add(ImmutableArray<QemuDevice>.Builder devices, string host, HostFunction? function)
    {
        int number = (devices.Count / 2) + 1;
        string port = string.Create(CultureInfo.InvariantCulture, $"port{number}");
        devices.Add(new("pcie-root-port", [new("id", port), new("chassis", number.ToString(CultureInfo.InvariantCulture))]));
        devices.Add(new("vfio-pci", host.Length == 0 ? [new("bus", port)] : [new("host", host), new("bus", port)]) { Host = function });
    }
}
