// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.E820;
using Keyhole.Platforms.Firmware;
using Keyhole.Platforms.XenHvm;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenHvm;

/// <summary>Every HVM guest that the real Xen, hvmloader and QEMU built for the records: RAM, E820 entry for entry, BAR for BAR, or the
/// refusal.</summary>
[TestClass]
public sealed class HvmRecordTests
{
    private static IEnumerable<object[]> Files => HvmRecord.Files.Select(file => new object[] { file });

    [TestMethod]
    [DynamicData(nameof(Files))]
    public void Every_recorded_guest_is_forecast_to_the_last_entry_and_BAR(string file)
    {
        List<string> wrong = [];
        foreach (HvmRecord record in HvmRecord.Load(file))
        {
            if (record.Guest.Type == Keyhole.Guests.GuestType.Hvm)
                Compare(record, wrong);
        }

        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    private static void Compare(HvmRecord record, List<string> wrong)
    {
        HvmGuest guest = HvmGuest.Of(record.Scenario);
        if (!record.IsCreated)
        {
            if (guest.Refusal is null || !record.Xl.Any(line => line.Contains(guest.Refusal, StringComparison.Ordinal)))
                wrong.Add($"{record.Name}: was refused, forecast \"{guest.Refusal}\"; xl said {string.Join(" | ", record.Xl)}");
            return;
        }

        if (guest.Run is not { } run || guest.Memory is not { } memory)
        {
            wrong.Add($"{record.Name}: was created, forecast to be refused: {guest.Refusal ?? guest.NotModelled}");
            return;
        }

        Same("RAM by libxl", record.Ranges, Ranges(memory));
        Same("E820", record.Map, run.Map.Select(Text));
        Same("BARs", record.Bars, run.Lines.Select(line => Text(guest, line)));
        if (record.FirmwareMap.Any())
            Same("SeaBIOS's E820", record.FirmwareMap, Keyhole.Planning.Planner.Plan(record.Scenario).Map.Select(Text));

        void Same(string what, IEnumerable<string> real, IEnumerable<string> forecast)
        {
            if (!real.SequenceEqual(forecast))
                wrong.Add($"{record.Name}: {what}\n  real     {string.Join("\n           ", real)}\n  forecast "
                    + $"{string.Join("\n           ", forecast)}");
        }
    }

    private static IEnumerable<string> Ranges(HvmMemory memory)
    {
        yield return string.Create(CultureInfo.InvariantCulture, $"0-{memory.LowEnd:x}");
        if (memory.HighEnd != 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"100000000-{memory.HighEnd:x}");
    }

    private static string Text(E820Entry entry)
    {
        string type = entry.Type switch { E820Type.Ram => "RAM", E820Type.Reserved => "RESERVED", E820Type.Nvs => "NVS", _ => entry.Type.ToString() };
        return string.Create(CultureInfo.InvariantCulture, $"{entry.Address:x16}-{entry.End:x16} {type}");
    }

    private static string Text(HvmGuest guest, HvmloaderLine line)
    {
        Keyhole.Pci.PciAddress address = guest.Topology.Tree!.Functions[line.Function].Address;
        string head = string.Create(CultureInfo.InvariantCulture,
            $"pci dev {address.Device:x2}:{address.Function:x} bar {line.Register:x2} size {line.SizeBytes:x9}: ");
        return head + (line.Value is { } value ? string.Create(CultureInfo.InvariantCulture, $"{value:x9}") : "no space for resource!");
    }
}
