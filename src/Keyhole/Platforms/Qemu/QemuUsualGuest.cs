// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu;

/// <summary>
/// A guest of which only the type, the memory and the devices are told: a q35 under KVM with the host's processor, each device of the host behind a
/// root port of its own, as virtual machine managers build it. The plan says that this was taken.
/// </summary>
internal static class QemuUsualGuest
{
    public static QemuGuest Of(GuestSpec guest)
    {
        var devices = ImmutableArray.CreateBuilder<QemuDevice>();
        foreach (PciAssignment assignment in guest.Pci)
        {
            string port = string.Create(CultureInfo.InvariantCulture, $"port{devices.Count / 2}");
            string number = string.Create(CultureInfo.InvariantCulture, $"{(devices.Count / 2) + 1}");
            devices.Add(new("pcie-root-port", [new("id", port), new("chassis", number)]));
            devices.Add(new("vfio-pci", [new("host", assignment.Address?.ToString() ?? assignment.ToString()), new("bus", port)]));
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
}
