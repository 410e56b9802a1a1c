// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.Json;
using Keyhole.Guests;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>A guest that the real QEMU and its firmware started under emulation: what it was given, and what was read of it afterwards.</summary>
internal sealed class QemuRecord
{
    private static readonly Lazy<ImmutableArray<QemuRecord>> s_all = new(static () => ReadFixture("guests.jsonl.br"));
    private static readonly Lazy<ImmutableArray<QemuRecord>> s_cured = new(static () => ReadFixture("cured-guests.jsonl.br"));
    private static readonly Lazy<ImmutableArray<QemuRecord>> s_random = new(static () => ReadFixture("random-guests.jsonl.br"));

    private QemuRecord(JsonElement json, int line)
    {
        Json = json;
        Line = line;
        Config = json.GetProperty("config");
    }

    public static ImmutableArray<QemuRecord> All => s_all.Value;

    /// <summary>Remedies of sixty recorded guests whose BARs had no place, started in the real QEMU.</summary>
    public static ImmutableArray<QemuRecord> Cured => s_cured.Value;

    /// <summary>Machines put together at random: other devices, switches and reserves, USB, disks, older machine types.</summary>
    public static ImmutableArray<QemuRecord> Random => s_random.Value;

    public JsonElement Json { get; }

    public JsonElement Config { get; }

    public int Line { get; }

    public string Outcome => Json.GetProperty("outcome").GetString()!;

    public string Name => $"line {Line}: {Config}";

    public QemuMachine Machine => Build(Config);

    /// <summary>The machine of a record's configuration.</summary>
    public static QemuMachine Build(JsonElement config)
    {
        string Text(string name, string whenUnset) => config.TryGetProperty(name, out JsonElement value) ? value.ToString() : whenUnset;
        long Number(string name, long whenUnset) => config.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : whenUnset;
        Assert(QemuVersion.TryParse(Text("qemu", ""), out QemuVersion emulator));
        Assert(QemuMachineType.TryParse(Text("machine", ""), emulator, out QemuMachineType type));
        Assert(QemuFirmware.TryParse(Text("fw", ""), out QemuFirmware firmware));
        Assert(QemuCpuModel.TryFind(Text("cpu", ""), out QemuCpuModel model));
        ulong lowLimit = 0;
        Assert(Text("max_ram_below_4g", "") is not { Length: > 0 } limit || QemuNumber.TrySize(limit, out lowLimit));
        return new QemuMachine
        {
            Type = type,
            Emulator = emulator,
            Firmware = firmware,
            Cpu = new QemuCpu(model.Vendor, (int)Number("phys_bits", QemuCpu.DefaultPhysBits))
            {
                Is64Bit = model.Is64Bit,
                HasGiBPages = model.HasGiBPages,
                GuestPhysBits = (int)Number("guest_phys_bits", 0),
            },
            MemoryBytes = (ulong)Number("mem_mib", 0) << 20,
            MaxMemoryBytes = (ulong)Number("maxmem_mib", 0) << 20,
            MemorySlots = (int)Number("slots", 0),
            MaxRamBelow4GiB = lowLimit,
            Cpus = (int)Number("smp", 1),
            Vga = Text("vga", "none"),
            FwCfg = config.TryGetProperty("fw_cfg", out JsonElement blobs)
                ? [.. blobs.EnumerateObject().Select(b => new QemuFwCfg(b.Name, b.Value.ToString()))] : [],
            Globals = [.. Strings("globals").Select(Global)],
            MemoryObjects = [.. Strings("objects").Select(MemoryObject)],
            Devices = [.. Strings("devices").Select(Device)],
        };

        IEnumerable<string> Strings(string name) => config.TryGetProperty(name, out JsonElement list)
            ? list.EnumerateArray().Select(item => item.GetString()!) : [];
    }

    /// <summary>A device as the command line spells it.</summary>
    public static QemuDevice Device(string text)
    {
        string[] parts = text.Split(',');
        return new QemuDevice(parts[0],
            [.. parts.Skip(1).Select(part => part.Split('=', 2)).Select(pair => new QemuProperty(pair[0], pair.Length > 1 ? pair[1] : "on"))]);
    }

    public static ulong Hex(JsonElement text) =>
        ulong.Parse(text.GetString()!.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static QemuGlobal Global(string text)
    {
        int dot = text.IndexOf('.');
        int equals = text.IndexOf('=');
        return new(text[..dot], text[(dot + 1)..equals], text[(equals + 1)..]);
    }

    private static (string Id, ulong SizeBytes) MemoryObject(string text)
    {
        Dictionary<string, string> parts = text.Split(',').Skip(1).Select(part => part.Split('=')).ToDictionary(pair => pair[0], pair => pair[1]);
        Assert(QemuNumber.TrySize(parts["size"], out ulong size));
        return (parts["id"], size);
    }

    private static void Assert(bool isRight)
    {
        if (!isRight)
            throw new InvalidDataException("a record that is none");
    }

    private static ImmutableArray<QemuRecord> ReadFixture(string name)
    {
        string path = Path.Combine(AppContext.BaseDirectory, "fixtures", "qemu", name);
        using var text = new StreamReader(new BrotliStream(File.OpenRead(path), CompressionMode.Decompress));
        return Read(text);
    }

    /// <summary>Reads records, one JSON document a line.</summary>
    public static ImmutableArray<QemuRecord> Read(TextReader text)
    {
        var records = ImmutableArray.CreateBuilder<QemuRecord>();
        while (text.ReadLine() is { } line)
            records.Add(new QemuRecord(JsonDocument.Parse(line).RootElement, records.Count + 1));
        return records.ToImmutable();
    }
}
