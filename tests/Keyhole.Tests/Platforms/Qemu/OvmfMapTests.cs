// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Keyhole.RealQemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>OVMF's map beside those that a real Linux printed under it.</summary>
[TestClass]
public sealed class OvmfMapTests
{
    [TestMethod]
    public void Every_recorded_map_agrees_outside_what_is_said_to_be_not_settled()
    {
        var wrong = new List<string>();
        foreach (QemuRecord record in QemuRecord.LinuxMaps)
        {
            Assert.IsTrue(QemuForecaster.TryForecast(record.Machine, out QemuForecast forecast, out _), record.Name);
            ImmutableArray<E820Entry> real = [.. record.Json.GetProperty("e820").EnumerateArray().Select(Entry)];
            ImmutableArray<E820Entry> known = QemuComparison.Settled(forecast.E820, forecast.Unsettled);
            ImmutableArray<E820Entry> seen = QemuComparison.Settled(real, forecast.Unsettled);
            if (!known.SequenceEqual(seen))
                wrong.Add($"{record.Name}\n    seen {Text(seen.Except(known))}\n    forecast {Text(known.Except(seen))}");
        }

        Assert.IsEmpty(wrong, $"{wrong.Count} of {QemuRecord.LinuxMaps.Length} differ:\n{string.Join('\n', wrong)}");
    }

    [TestMethod]
    public void Of_Debians_usual_image_no_more_than_one_part_is_not_settled()
    {
        int usual = 0;
        foreach (QemuRecord record in QemuRecord.LinuxMaps.Where(static record => IsUsual(record.Machine)))
        {
            Assert.IsTrue(QemuForecaster.TryForecast(record.Machine, out QemuForecast forecast, out _), record.Name);
            UnsettledRange only = forecast.Unsettled.Single();
            Assert.AreEqual(0x900000ul, only.Range.Start, record.Name);
            Assert.Contains("where depends on what its drivers took before", only.Why);
            // Behind it stands the block of the firmware's tables and code.
            Assert.IsTrue(forecast.E820.Any(entry => entry.Address == only.Range.End && entry.Type == E820Type.Reserved), record.Name);
            usual++;
        }

        Assert.IsGreaterThan(9, usual);
    }

    [TestMethod]
    public void Of_an_image_that_nobody_knows_all_is_told_that_follows_from_the_machine()
    {
        QemuMachine machine = QemuRecord.LinuxMaps.First(static record => IsUsual(record.Machine)).Machine with
        {
            Firmware = new(FirmwareName.Ovmf, 2025, 2) { IsUpstream = true },
            FirmwareFile = "mine_4M.fd",
            HasVariableFlash = true,
        };
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        ulong low = forecast.Memory!.LowEnd;
        Assert.Contains(E820Entry.FromBounds(low - 0x88000, low, E820Type.Nvs), forecast.E820);
        Assert.Contains(E820Entry.FromBounds(low - 0x88000 - 0x84000, low - 0x88000, E820Type.Reserved), forecast.E820);
        CollectionAssert.AreEqual(
            new[] { ByteRange.FromBounds(0x800000, 0x900000), ByteRange.FromBounds(0x900000, low - 0x88000 - 0x84000) },
            forecast.Unsettled.Select(static part => part.Range).ToArray());
    }

    [TestMethod]
    public void Without_a_resume_from_suspend_nothing_is_kept_for_it()
    {
        QemuMachine machine = QemuRecord.LinuxMaps.First(static record => IsUsual(record.Machine)).Machine;
        string board = machine.Type.Chipset == QemuChipset.Q35 ? "ICH9-LPC" : "PIIX4_PM";
        machine = machine with { Globals = [.. machine.Globals, new(board, "disable_s3", "1")] };
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        ulong low = forecast.Memory!.LowEnd;
        Assert.DoesNotContain(static entry => entry.Type == E820Type.Nvs && entry.Address < 0x1000000, forecast.E820);
        Assert.Contains(E820Entry.FromBounds(low - 0x84000, low, E820Type.Reserved), forecast.E820);
    }

    [TestMethod]
    public void However_little_RAM_and_however_many_processors_there_are_a_map_is_told_or_said_to_be_not_settled()
    {
        foreach (QemuMachine machine in QemuRecord.LinuxMaps.Select(static record => record.Machine))
        {
            foreach (ulong mebibytes in (ulong[])[1, 2, 7, 8, 9, 16, 31, 32, 63, 64, 65, 96, 127, 128, 192, 256, 512])
            {
                foreach (int processors in (int[])[1, 2, 255, 4096, int.MaxValue])
                {
                    QemuMachine little = machine with { MemoryBytes = mebibytes << 20, MaxMemoryBytes = 0, MaxCpus = processors };
                    if (!QemuForecaster.TryForecast(little, out QemuForecast forecast, out _) || forecast.E820.IsDefault || mebibytes > 64)
                        continue;
                    Assert.Contains(part => part.Range == ByteRange.FromBounds(0, forecast.Memory!.LowEnd), forecast.Unsettled);
                }
            }
        }
    }

    /// <summary>The real OVMF 2022.11 did: after 45 s its processor was where a loop jumps to itself, in the first phases' image.</summary>
    [TestMethod]
    public void An_image_with_system_management_mode_never_ends_on_a_board_that_has_none()
    {
        QemuMachine machine = QemuRecord.LinuxMaps.First(static record => record.Machine.Type.Chipset == QemuChipset.I440fx).Machine;
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast usual, out _));
        Assert.AreEqual(GuestOutcome.Boots, usual.Outcome);
        Assert.IsTrue(QemuForecaster.TryForecast(machine with { FirmwareFile = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd" }, out QemuForecast other, out _));
        Assert.AreEqual(GuestOutcome.Hangs, other.Outcome);
        Assert.IsTrue(other.E820.IsDefault);
        Assert.StartsWith("no TSEG (SMRAM) on host bridge", other.Message!);
    }

    private static bool IsUsual(QemuMachine machine) => machine.FirmwareFile == "OVMF_CODE_4M.fd" && machine is { Cpus: <= 24 }
        && !machine.Globals.Any(static global => global.Property == "disable_s3");

    private static E820Entry Entry(JsonElement entry) =>
        E820Entry.FromBounds(QemuRecord.Hex(entry[0]), QemuRecord.Hex(entry[1]), (E820Type)entry[2].GetInt32());

    private static string Text(IEnumerable<E820Entry> entries) =>
        string.Join(' ', entries.Select(static e => $"[{e.Address:x}, {e.End:x}) {e.Type}"));
}
