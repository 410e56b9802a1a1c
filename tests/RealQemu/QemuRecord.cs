// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Text.Json;
using Keyhole.Guests;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>A guest that the real QEMU and its firmware started under emulation: what it was given, and what was read of it afterwards.</summary>
public sealed class QemuRecord
{
    private static readonly Lazy<ImmutableArray<QemuRecord>> s_all = new(static () => ReadFixture("guests.jsonl.br"));
    private static readonly Lazy<ImmutableArray<QemuRecord>> s_cured = new(static () => ReadFixture("cured-guests.jsonl.br"));
    private static readonly Lazy<ImmutableArray<QemuRecord>> s_random = new(static () => ReadFixture("random-guests.jsonl.br"));
    private static readonly Lazy<ImmutableArray<QemuRecord>> s_moreRandom = new(static () => ReadFixture("more-random-guests.jsonl.br"));

    private static readonly Lazy<ImmutableArray<QemuRecord>> s_virtualFunctions = new(static () => ReadFixture("virtual-functions.jsonl"));

    private static readonly Lazy<ImmutableArray<QemuRecord>> s_deviceValues = new(static () => ReadFixture("device-values.jsonl"));

    private static readonly Lazy<ImmutableArray<QemuRecord>> s_linuxMaps = new(static () => ReadFixture("linux-maps.jsonl"));

    public QemuRecord(JsonElement json, int line)
    {
        Json = json;
        Line = line;
        Config = new(json.GetProperty("config"));
    }

    public static ImmutableArray<QemuRecord> All => s_all.Value;

    /// <summary>Remedies of sixty recorded guests whose BARs had no place, started in the real QEMU.</summary>
    public static ImmutableArray<QemuRecord> Cured => s_cured.Value;

    /// <summary>Machines put together at random: other devices, switches and reserves, USB, disks, older machine types.</summary>
    public static ImmutableArray<QemuRecord> Random => s_random.Value;

    /// <summary>More of those, and guests with many processors, that eng/record-golden --kvm made.</summary>
    public static ImmutableArray<QemuRecord> MoreRandom => s_moreRandom.Value;

    /// <summary>Guests with devices that have virtual functions (SR-IOV).</summary>
    public static ImmutableArray<QemuRecord> VirtualFunctions => s_virtualFunctions.Value;

    /// <summary>Values of properties that QEMU refuses, rounds or takes as they are, and windows that OVMF takes or not.</summary>
    public static ImmutableArray<QemuRecord> DeviceValues => s_deviceValues.Value;

    /// <summary>Guests in which OVMF started a Linux, with the map that Linux printed; of their devices nothing was read.</summary>
    public static ImmutableArray<QemuRecord> LinuxMaps => s_linuxMaps.Value;

    public JsonElement Json { get; }

    public QemuConfig Config { get; }

    /// <summary>Where it stands in its file, from 1.</summary>
    public int Line { get; }

    public string Outcome => Json.GetProperty("outcome").GetString()!;

    public string Name => $"line {Line}: {Config}";

    public QemuMachine Machine => Config.ToMachine();

    public static ulong Hex(JsonElement text) =>
        ulong.Parse(text.GetString()!.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>Reads records, one JSON document a line.</summary>
    public static ImmutableArray<QemuRecord> Read(TextReader text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var records = ImmutableArray.CreateBuilder<QemuRecord>();
        while (text.ReadLine() is { } line)
            records.Add(new QemuRecord(JsonDocument.Parse(line).RootElement, records.Count + 1));
        return records.ToImmutable();
    }

    private static ImmutableArray<QemuRecord> ReadFixture(string name)
    {
        string path = Path.Combine(Workshop.Root, "tests", "fixtures", "qemu", name);
        Stream file = File.OpenRead(path);
        using var text = new StreamReader(name.EndsWith(".br", StringComparison.Ordinal) ? new BrotliStream(file, CompressionMode.Decompress) : file);
        return Read(text);
    }
}
