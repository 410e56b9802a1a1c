// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;

namespace Keyhole.RealQemu;

/// <summary>A recorded guest beside its forecast: outcome, words, both maps, every BAR, bridge window and window of ACPI.</summary>
public static class QemuComparison
{
    /// <summary>The differences; none where the forecast is exact.</summary>
    public static List<string> Compare(QemuRecord record)
    {
        var wrong = new List<string>();
        if (!QemuForecaster.TryForecast(record.Machine, out QemuForecast forecast, out QemuUnknown unknown))
            return [$"not known: {unknown}"];
        string real = RealOutcome(record);
        if (real != forecast.Outcome.NameOf())
            return [$"outcome {real} {Words(record)}, forecast {forecast.Outcome.NameOf()}: {forecast.Message}"];
        if (forecast.Outcome == GuestOutcome.Refused)
        {
            if (!record.Json.GetProperty("stderr").EnumerateArray()
                .Any(line => line.GetString()!.EndsWith(forecast.Message!, StringComparison.Ordinal)))
                wrong.Add($"refused in other words: {record.Json.GetProperty("stderr")}, forecast {forecast.Message}");
            return wrong;
        }

        CompareMap(record.Json.GetProperty("fwcfg_e820"), [.. forecast.Memory!.FirmwareMap.OrderBy(e => e.Address)], "fw_cfg", [], wrong);
        if (forecast.Outcome == GuestOutcome.Panics && record.Json.GetProperty("message").GetString() != forecast.Message)
            wrong.Add($"panics with {record.Json.GetProperty("message")}, forecast {forecast.Message}");
        if (forecast.Outcome == GuestOutcome.GivesUp && record.Json.TryGetProperty("acpi_windows", out JsonElement windows))
            CompareAcpi(windows, forecast.Acpi!, wrong);
        if (forecast.Outcome != GuestOutcome.Boots)
            return wrong;
        if (record.Json.TryGetProperty("e820", out JsonElement map))
            CompareMap(map, forecast.E820, "E820", forecast.Unsettled, wrong);
        ComparePci(record, forecast, wrong);
        CompareAcpi(record.Json.GetProperty("acpi_windows"), forecast.Acpi!, wrong);
        return wrong;
    }

    /// <summary>What a record comes to in a forecast's words: boots, refused, panics, hangs, gives-up.</summary>
    public static string RealOutcome(QemuRecord record) => record.Outcome switch
    {
        "booted" => "boots",
        "qemu-refused" => "refused",
        "fw-panic" => "panics",
        "no-end" => "hangs",
        // No console came up. Where BARs of the board were programmed all the same it is the console alone that is elsewhere.
        "idle-no-console" => record.Json.GetProperty("pci").EnumerateArray().Any(IsProgrammedDisk) ? "boots" : "gives-up",
        _ => record.Outcome,
    };

    private static string Words(QemuRecord record) => record.Json.TryGetProperty("stderr", out JsonElement lines) ? lines.ToString()
        : record.Json.TryGetProperty("message", out JsonElement message) ? message.ToString() : "";

    private static bool IsProgrammedDisk(JsonElement device) =>
        device.GetProperty("id").GetString() is "8086:2922" or "8086:7010" && device.GetProperty("bars").EnumerateArray().Any(
            bar => bar.GetProperty("bar").GetInt32() == 4 && QemuRecord.Hex(bar.GetProperty("addr")) is > 0 and < 0xf0000000);

    /// <summary>A map without the parts that are not settled before the firmware runs.</summary>
    public static ImmutableArray<E820Entry> Settled(ImmutableArray<E820Entry> map, ImmutableArray<UnsettledRange> unsettled)
    {
        foreach (UnsettledRange part in unsettled)
        {
            map =
            [
                .. map.SelectMany(entry => (E820Entry[])[
                    E820Entry.FromBounds(entry.Address, Math.Max(entry.Address, Math.Min(entry.End, part.Range.Start)), entry.Type),
                    E820Entry.FromBounds(Math.Min(entry.End, Math.Max(entry.Address, part.Range.End)), entry.End, entry.Type),
                ]).Where(static entry => entry.Size > 0),
            ];
        }

        return map;
    }

    private static void CompareMap(JsonElement real, ImmutableArray<E820Entry> forecast, string what, ImmutableArray<UnsettledRange> unsettled,
        List<string> wrong)
    {
        ImmutableArray<E820Entry> expected = Settled([.. real.EnumerateArray()
            .Select(e => E820Entry.FromBounds(QemuRecord.Hex(e[0]), QemuRecord.Hex(e[1]), (E820Type)e[2].GetInt32()))
            .OrderBy(e => e.Address)], unsettled);
        forecast = Settled(forecast, unsettled);
        if (!expected.SequenceEqual(forecast))
            wrong.Add($"{what}: {string.Join(' ', expected.Except(forecast).Select(Show))}, forecast "
                + $"{string.Join(' ', forecast.Except(expected).Select(Show))}");

        static string Show(E820Entry e) => $"[{e.Address:x}, {e.End:x}) {e.Type}";
    }

    private static void ComparePci(QemuRecord record, QemuForecast forecast, List<string> wrong)
    {
        PciPlacement placement = forecast.Placement!;
        var functions = placement.Tree.Functions.Select((f, i) => (f, i)).ToDictionary(p => p.f.Address.ToString()[5..], p => p.i);
        var bars = placement.Bars.ToDictionary(b => (b.Function, b.Bar.Index));
        var bridges = placement.Bridges.ToDictionary(b => b.Function);
        // Two bridges that share a bus number, a slip of SeaBIOS's, show the same functions twice.
        var seen = new HashSet<string>();
        foreach (JsonElement device in record.Json.GetProperty("pci").EnumerateArray())
        {
            string bdf = device.GetProperty("bdf").GetString()!;
            if (!seen.Add(bdf))
                continue;
            if (!functions.TryGetValue(bdf, out int index))
            {
                wrong.Add($"{bdf} {device.GetProperty("id")} was not forecast");
                continue;
            }

            PciFunction node = placement.Tree.Functions[index].Node;
            if ($"{node.VendorId:x4}:{node.DeviceId:x4}" != device.GetProperty("id").GetString())
                wrong.Add($"{bdf} is {device.GetProperty("id")}, forecast {node.VendorId:x4}:{node.DeviceId:x4}");
            if (node.Bars.Length != device.GetProperty("bars").GetArrayLength())
                wrong.Add($"{bdf} has BARs {device.GetProperty("bars")}, forecast {string.Join(' ', node.Bars)}");
            foreach (JsonElement bar in device.GetProperty("bars").EnumerateArray())
                CompareBar(bdf, bar, bars.TryGetValue((index, bar.GetProperty("bar").GetInt32()), out BarPlacement placed) ? placed : null, wrong);
            if (!device.TryGetProperty("win", out JsonElement windows) || !bridges.TryGetValue(index, out BridgeWindows bridge))
                continue;
            CompareWindow(bdf, "mem", windows.GetProperty("mem"), bridge.Memory, wrong);
            CompareWindow(bdf, "pref", windows.GetProperty("pref"), bridge.Prefetchable, wrong);
            CompareWindow(bdf, "io", windows.GetProperty("io"), bridge.Io, wrong);
        }

        if (seen.Count != functions.Count)
            wrong.Add($"{functions.Count - seen.Count} functions were forecast that are not there");
    }

    private static void CompareBar(string bdf, JsonElement real, BarPlacement? placed, List<string> wrong)
    {
        string kind = real.GetProperty("kind").GetString()!;
        ulong address = QemuRecord.Hex(real.GetProperty("addr"));
        // QEMU's pvpanic-pci has two bytes behind a register that cannot say less than sixteen.
        ulong size = Math.Max(QemuRecord.Hex(real.GetProperty("size")), kind == "io" ? BarRequest.MinIoBytes : BarRequest.MinMemoryBytes);
        if (placed is not { } bar)
        {
            wrong.Add($"{bdf} has a BAR {real}, which was not forecast");
            return;
        }

        string forecastKind = bar.Bar.Type switch
        {
            BarType.Memory32 => "m32",
            BarType.Memory64 => "m64",
            BarType.Memory32Prefetchable => "m32p",
            BarType.Memory64Prefetchable => "m64p",
            BarType.Io => "io",
            BarType.Rom => "rom",
            _ => "",
        };
        if (kind != forecastKind || size != bar.Bar.SizeBytes)
            wrong.Add($"{bdf} BAR {real}, forecast {bar.Bar}");
        if (bar.Address is null && (bar.Why!.Reason == UnplacedReason.NotHandled || IsUnassigned(kind, address, size)))
            return;
        if (bar.Address != address)
            wrong.Add($"{bdf} BAR {real}, forecast at {bar.Address:x} {bar.Why}");
    }

    /// <summary>A register that was sized and never written reads as its mask.</summary>
    private static bool IsUnassigned(string kind, ulong address, ulong size)
    {
        ulong all = kind.StartsWith("m64", StringComparison.Ordinal) ? ulong.MaxValue : uint.MaxValue;
        return address == 0 || ((address | 0xf) & all) >= (all & ~(size - 1));
    }

    private static void CompareWindow(string bdf, string what, JsonElement real, ByteRange? forecast, List<string> wrong)
    {
        ulong start = QemuRecord.Hex(real[0]);
        ulong last = QemuRecord.Hex(real[1]);
        if (forecast is null ? last >= start && start != 0 : start != forecast.Value.Start || last != unchecked(forecast.Value.End - 1))
            wrong.Add($"{bdf} window {what} {real}, forecast {forecast?.Start:x} to {forecast?.End:x}");
    }

    private static void CompareAcpi(JsonElement real, AcpiWindows forecast, List<string> wrong)
    {
        ulong[] expected = [.. ((string[])["pci-hole-start", "pci-hole-end", "pci-hole64-start", "pci-hole64-end"])
            .Select(name => QemuRecord.Hex(real.GetProperty(name)))];
        ulong[] found = [.. ((ByteRange?[])[forecast.Hole32, forecast.Hole64])
            .SelectMany(static hole => (ulong[])[hole?.Start ?? 0, hole?.End ?? 0])];
        if (!expected.SequenceEqual(found))
            wrong.Add($"ACPI {real}, forecast {string.Join(' ', found.Select(f => f.ToString("x")))}");
    }
}
