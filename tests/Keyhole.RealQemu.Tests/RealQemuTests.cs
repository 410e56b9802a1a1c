// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealQemu.Tests;

/// <summary>The real QEMU and its firmware, started here: does it still do what the records and the forecast say?</summary>
[TestClass]
[TestCategory("RealQemu")]
[DoNotParallelize]
public sealed class RealQemuTests
{
    [TestMethod]
    public void Guests_with_SeaBIOS_do_what_their_records_and_forecasts_say() => CompareWithRecords(SampleOf("seabios-1.16.2", 40, static _ => true));

    [TestMethod]
    public void Guests_with_OVMF_do_what_their_records_and_forecasts_say()
    {
        // Page tables for a wide space take OVMF long under emulation; one gives its PCI tree up, one is refused.
        QemuRecord[] sample = SampleOf("ovmf-2022.11", 5, static record => record.Outcome == "booted" && IsQuick(record.Config));
        CompareWithRecords([.. sample, .. SampleOf("ovmf-2022.11", 1, static record => record.Outcome == "idle-no-console" && IsQuick(record.Config)),
            .. SampleOf("ovmf-2022.11", 2, static record => record.Outcome == "qemu-refused")]);
    }

    [TestMethod]
    public void Sixty_remedies_place_every_BAR_in_the_real_QEMU()
    {
        // On the emulator that Debian's bookworm has, SeaBIOS's quick ones and some of OVMF's; all there are is eng/record-golden --kvm --remedies.
        Remedy[] all = [.. Remedy.OfAll(QemuRecord.All.Concat(QemuRecord.Random))
            .Where(static remedy => remedy.Config is { Emulator: "7.2", CanBeStarted: true } && remedy.Config.Firmware != "seabios-1.17.0")];
        Remedy[] remedies = [.. Evenly([.. all.Where(static remedy => !remedy.Config.IsOvmf)], 46),
            .. Evenly([.. all.Where(static remedy => remedy.Config.IsOvmf && IsQuick(remedy.Config))], 14)];
        Assert.HasCount(60, remedies);
        List<string> wrong = InPairs(remedies, static remedy => $"{remedy.Of.Name}\n    with {remedy.Trial.Name}",
            static remedy => remedy.Check(Made(remedy.Config)));
        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    [TestMethod]
    public void The_device_models_of_the_machine_s_QEMU_have_the_properties_that_the_table_says()
    {
        var release = QemuDeviceProperties.Releases[0];
        string[] wrong = [.. DevicePropertyTable.Ask(release.ToString(), DevicePropertyTable.Drivers).SelectMany(model => model.Value
            .Where(property => QemuDeviceProperties.Has(model.Key, release, property) != true).Select(property => $"{model.Key}.{property}"))];
        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    [TestMethod]
    public void What_the_forecast_has_refused_or_taken_the_machine_s_QEMU_refuses_or_takes()
    {
        List<string> wrong = InPairs(RefusedGuests.All, static guest => guest.Arguments, static guest =>
        {
            string? said = RefusedGuests.Ask(guest.Arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries));
            bool isRight = guest.Words is { } words ? said?.Contains(words, StringComparison.Ordinal) == true : said is null;
            return isRight ? [] : [$"said: {said ?? "nothing, it starts"}"];
        });
        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    [TestMethod]
    public void The_machine_s_QEMU_takes_the_guest_that_is_usual_for_two_devices_of_the_host()
    {
        var scenario = new Scenario
        {
            Host = Host.Unknown,
            Guest = new()
            {
                Type = GuestType.Kvm,
                MemoryKiB = 1 << 20,
                MaxmemKiB = 1 << 20,
                Pci = [new(PciAddress.Create(0x81, 0, 0)), new(PciAddress.Create(0x82, 0, 0))],
            },
        };
        string[] devices = [.. RefusedGuests.Arguments(QemuUsualGuest.Of(scenario).Machine.Devices)];
        Assert.HasCount(8, devices);
        Assert.IsNull(RefusedGuests.Ask(["-M", "q35", "-m", "1G", .. devices]));
    }

    private static bool IsQuick(QemuConfig config) => config.ToMachine() is { Cpu.PhysBits: <= 42, MemoryBytes: <= 64UL << 30 };

    private static QemuRecord[] SampleOf(string firmware, int count, Func<QemuRecord, bool> wanted)
    {
        QemuRecord[] all =
            [.. QemuRecord.All.Where(record => record.Config.Emulator == "7.2" && record.Config.Firmware == firmware && wanted(record))];
        return Evenly(all, count);
    }

    private static T[] Evenly<T>(T[] all, int count) => [.. Enumerable.Range(0, count).Select(i => all[i * all.Length / count])];

    private static void CompareWithRecords(IReadOnlyCollection<QemuRecord> records)
    {
        List<string> wrong = InPairs(records, static record => record.Name, static record =>
        {
            QemuRecord made = Made(record.Config);
            return [.. RecordDifferences.Of(record, made), .. QemuComparison.Compare(made)];
        });
        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    private static QemuRecord Made(QemuConfig config) => new(JsonDocument.Parse(QemuGuest.Record(config).ToJsonString()).RootElement, 0);

    /// <summary>Two at a time, as machines of this working tree may run.</summary>
    private static List<string> InPairs<T>(IEnumerable<T> all, Func<T, string> name, Func<T, IReadOnlyList<string>> check)
    {
        var wrong = new ConcurrentBag<string>();
        Parallel.ForEach(all, new ParallelOptions { MaxDegreeOfParallelism = 2 }, one =>
        {
            IReadOnlyList<string> differences = check(one);
            if (differences.Count > 0)
                wrong.Add($"{name(one)}\n    {string.Join("\n    ", differences)}");
        });
        return [.. wrong];
    }
}
