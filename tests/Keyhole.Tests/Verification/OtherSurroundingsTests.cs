// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.RealQemu;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>What a log agrees with that was not told: another number of processors, another maker. The maps are those that the real firmware gave a
/// Linux.</summary>
[TestClass]
public sealed class OtherSurroundingsTests
{
    private static readonly string[] s_types = ["", "usable", "reserved", "ACPI data", "ACPI NVS"];

    private static string Fixture(string name) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "verify", name));

    private static string LogOf(QemuRecord record)
    {
        var log = new StringBuilder("[    0.000000] Linux version 6.1.0-44-amd64\n[    0.000000] BIOS-provided physical RAM map:\n");
        foreach (JsonElement entry in record.Json.GetProperty("e820").EnumerateArray())
        {
            (ulong start, ulong last) = (QemuRecord.Hex(entry[0]), QemuRecord.Hex(entry[1]) - 1);
            log.Append(CultureInfo.InvariantCulture,
                $"[    0.000000] BIOS-e820: [mem 0x{start:x16}-0x{last:x16}] {s_types[entry[2].GetInt32()]}\n");
        }

        return log.Append("[    0.000000] last_pfn = 0x180000 max_arch_pfn = 0x400000000\n").ToString();
    }

    private static BootVerification Verify(Scenario scenario, string log)
    {
        LogScan scan = LogScanner.ScanWithPci(new MemoryStream(Encoding.UTF8.GetBytes(log)), "dmesg");
        ObservedBoot boot = FirmwareVerifier.BootsIn(scan)[0];
        return FirmwareVerifier.Compare(Planner.Plan(FirmwareVerifier.WithEvidence(scenario, boot, scan)), boot, scan);
    }

    private static Scenario ScenarioOf(string commandLine)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(commandLine)), "guest")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return new() { Host = Host.Unknown, Guest = guest.Guest, Qemu = new() { Emulator = new QemuVersion(7, 2) } };
    }

    private static Scenario ScenarioOf(QemuRecord record, int processors)
    {
        QemuMachine machine = record.Machine;
        Scenario usual = ScenarioOf("qemu-system-x86_64 -machine q35 -cpu qemu64 -nodefaults -net none -m 4096");
        Keyhole.Guests.QemuGuest guest = usual.Guest.Qemu! with
        {
            MachineName = machine.Type.Chipset == QemuChipset.Q35 ? "q35" : "pc",
            FirmwareFile = machine.FirmwareFile,
            Firmware = FirmwareName.Ovmf,
            Cpu = usual.Guest.Qemu.Cpu with { GiBPages = machine.Cpu.HasGiBPages },
            Machine = machine with { Cpus = processors },
        };
        return usual with
        {
            Guest = usual.Guest with { Qemu = guest },
            Qemu = new()
            {
                Emulator = machine.Emulator,
                Firmware = machine.Firmware,
                Vendor = machine.Cpu.Vendor,
                PhysBits = machine.Cpu.PhysBits,
            },
        };
    }

    private static string Words(BootVerification verification) =>
        string.Join('\n', verification.Explanations.Select(static phrase => phrase.ToString()));

    [TestMethod]
    public void The_number_of_processors_that_a_map_was_made_for_is_named_to_the_processor()
    {
        int named = 0;
        foreach (QemuRecord record in QemuRecord.LinuxMaps.Where(static record => record.Machine is { Cpus: > 1, MaxRamBelow4GiB: 0 }))
        {
            Assert.IsTrue(Verify(ScenarioOf(record, record.Machine.Cpus), LogOf(record)).Agrees, record.Name);
            BootVerification other = Verify(ScenarioOf(record, 1), LogOf(record));
            // Without a resume from suspend fewer things hang on them.
            if (other.Agrees)
                continue;
            Assert.Contains($"agrees where the guest has {record.Machine.Cpus} processors, those that can be plugged in counted (maxcpus); the "
                + "forecast is for 1.", Words(other), record.Name);
            named++;
        }

        Assert.IsGreaterThan(20, named);
    }

    /// <summary>Of more than 25 processors a part of OVMF's map is not forecast, and agrees with anything.</summary>
    [TestMethod]
    public void Where_less_of_the_map_is_forecast_for_a_number_that_is_said()
    {
        QemuRecord many = QemuRecord.LinuxMaps.First(static record => record.Machine is { Cpus: 40 });
        string words = Words(Verify(ScenarioOf(many, 2), LogOf(many)));

        Assert.Contains(", as far as the map is known then, agrees where the guest has 40 processors", words);
    }

    [TestMethod]
    public void Another_maker_of_the_processor_is_named_where_the_log_is_of_one()
    {
        string other = Fixture("ovmf-unplaced.cmd").Replace("Skylake-Server", "EPYC", StringComparison.Ordinal);
        Scenario scenario = ScenarioOf(other);
        Assert.IsTrue(QemuFirmware.TryParse("ovmf-2022.11", out QemuFirmware release)
            & QemuFirmware.TryParse("ovmf-2025.02", out QemuFirmware later));

        string words = Words(Verify(scenario with { Qemu = scenario.Qemu with { Firmware = release } }, Fixture("ovmf-unplaced.log")));
        Assert.Contains("Everything agrees where the guest's processor is one of Intel's.", words);
        Assert.Contains("Everything agrees where the guest's processor is one of Intel's with ovmf-2022.11.",
            Words(Verify(scenario with { Qemu = scenario.Qemu with { Firmware = later } }, Fixture("ovmf-unplaced.log"))));
    }

    [TestMethod]
    public void What_neither_processors_nor_makers_explain_is_said_to_have_another_reason()
    {
        QemuRecord record = QemuRecord.LinuxMaps.First(static record => record.Machine is { Cpus: 8 });
        string log = LogOf(record).Replace("0x0000000000807fff", "0x0000000000806fff", StringComparison.Ordinal);
        BootVerification verification = Verify(ScenarioOf(record, 8), log);
        string words = Words(verification);

        Assert.IsFalse(verification.Agrees);
        Assert.Contains("With none of the usual address widths, makers and numbers of processors", words);
        Assert.DoesNotContain("agrees where", words);
    }
}
