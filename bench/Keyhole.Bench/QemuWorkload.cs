// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Threading.Tasks;
using Keyhole.Guests;
using Keyhole.Platforms.Qemu;

namespace Keyhole.Bench;

/// <summary>Guests of QEMU for the figures: a grid of machines, and one machine with many devices.</summary>
public static class QemuWorkload
{
    private const ulong GiB = 1UL << 30;

    private static readonly string[] s_firmware = ["seabios-1.16.2", "seabios-1.16.3", "ovmf-2022.11", "ovmf-2025.02"];

    /// <summary>Forecasts so many machines, all different, on two threads; returns how many boot.</summary>
    public static int Forecast(int count)
    {
        int boots = 0;
        Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = 2 }, static () => 0,
            static (index, _, sum) => sum + Boots(Machine(index)), sum => System.Threading.Interlocked.Add(ref boots, sum));
        return boots;
    }

    public static int Boots(QemuMachine machine) =>
        QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _) && forecast.Outcome == Platforms.GuestOutcome.Boots ? 1 : 0;

    /// <summary>One of the grid: board, firmware, memory, width, one to eight devices behind ports, BARs of 256 MiB to 128 GiB.</summary>
    public static QemuMachine Machine(int index)
    {
        bool isQ35 = Take(ref index, 2) == 0;
        string firmware = s_firmware[Take(ref index, s_firmware.Length)];
        int devices = 1 + Take(ref index, 8);
        int sizeBits = 28 + Take(ref index, 10);
        int physBits = 36 + Take(ref index, 12);
        ulong memory = (1 + (ulong)index) * (GiB / 2);
        var all = ImmutableArray.CreateBuilder<QemuDevice>();
        for (int i = 0; i < devices; i++)
            AddDevice(all, i, isQ35, 1UL << sizeBits);
        return Machine(isQ35, firmware, memory, physBits, all.ToImmutable());
    }

    /// <summary>A q35 with so many devices behind bridges of 16 slots each.</summary>
    public static QemuMachine Crowded(int devices, string firmware, ulong sizeBytes)
    {
        var all = ImmutableArray.CreateBuilder<QemuDevice>();
        for (int i = 0; i < devices; i++)
        {
            string bus = string.Create(CultureInfo.InvariantCulture, $"b{i / 16}");
            if (i % 16 == 0)
            {
                all.Add(new("pcie-root-port", [new("id", "p" + bus), new("chassis", bus[1..]),
                    new("addr", string.Create(CultureInfo.InvariantCulture, $"{(i / 16) + 2:x}"))]));
                all.Add(new("pcie-pci-bridge", [new("id", bus), new("bus", "p" + bus)]));
            }

            // A device without ports, of which there are too few for so many.
            string size = (sizeBytes >> 20).ToString(CultureInfo.InvariantCulture);
            all.Add(new("nvme", [new("bus", bus), new("addr", string.Create(CultureInfo.InvariantCulture, $"{(i % 16) + 1:x}")),
                new("cmb_size_mb", size)]));
        }

        return Machine(true, firmware, 8 * GiB, 46, all.ToImmutable());
    }

    private static void AddDevice(ImmutableArray<QemuDevice>.Builder all, int number, bool isQ35, ulong sizeBytes)
    {
        string size = sizeBytes.ToString(CultureInfo.InvariantCulture);
        if (!isQ35)
        {
            all.Add(new("pci-testdev", [new("membar", size)]));
            return;
        }

        string port = string.Create(CultureInfo.InvariantCulture, $"p{number}");
        all.Add(new("pcie-root-port", [new("id", port), new("chassis", port[1..])]));
        all.Add(new("pci-testdev", [new("bus", port), new("membar", size)]));
    }

    private static QemuMachine Machine(bool isQ35, string firmware, ulong memory, int physBits, ImmutableArray<QemuDevice> devices)
    {
        _ = QemuFirmware.TryParse(firmware, out QemuFirmware release);
        return new()
        {
            Type = new(isQ35 ? QemuChipset.Q35 : QemuChipset.I440fx, new QemuVersion(7, 2)),
            Emulator = new QemuVersion(7, 2),
            Firmware = release,
            Cpu = new(CpuVendor.Intel, physBits),
            MemoryBytes = memory,
            Devices = devices,
        };
    }

    private static int Take(ref int index, int choices)
    {
        int taken = index % choices;
        index /= choices;
        return taken;
    }
}
