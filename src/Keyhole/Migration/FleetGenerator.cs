// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.IO;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Simulation;

namespace Keyhole.Migration;

/// <summary>Makes hosts up, for measuring and for tests: captures like those of real PCs and servers, one a line. The same seed makes the same
/// hosts.</summary>
public static class FleetGenerator
{
    private const ulong MiB = 1UL << 20;
    private const ulong GiB = 1UL << 30;

    private const int ModelCount = 500;
    private const int MaxSerial = int.MaxValue;

    /// <summary>Where the PCI hole of common chipsets starts, in MiB.</summary>
    private static readonly uint[] s_holesMiB = [2048, 2048, 2560, 2816, 3072, 3072, 3072, 3328, 3328, 3500, 3568];

    private static readonly JsonWriterOptions s_options = new() { SkipValidation = true };

    /// <summary>Writes made-up captures, one a line; the same seed gives the same.</summary>
    public static void Write(Stream destination, long hostCount, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(destination);
        var buffer = new ArrayBufferWriter<byte>(1 << 17);
        using var writer = new Utf8JsonWriter(buffer, s_options);
        for (long i = 0; i < hostCount; i++)
        {
            WriteHost(writer, i, seed);
            writer.Flush();
            writer.Reset();
            buffer.Write("\n"u8);
            if (buffer.WrittenCount < 1 << 16)
                continue;
            destination.Write(buffer.WrittenSpan);
            buffer.ResetWrittenCount();
        }

        destination.Write(buffer.WrittenSpan);
    }

    private static void WriteHost(Utf8JsonWriter writer, long number, ulong seed)
    {
        ulong random = SplitMix64.Mix(seed ^ SplitMix64.Mix((ulong)number));
        ulong own = Take(ref random, MaxSerial);

        // Machines are bought by the dozen: what firmware decides is the model's, what is plugged in is the machine's own.
        random = SplitMix64.Mix(seed ^ Take(ref random, ModelCount));
        ulong holeStart = (s_holesMiB[Take(ref random, s_holesMiB.Length)] * MiB) - (Take(ref random, 64) * MiB);
        ulong firmware = (2 + Take(ref random, 30)) * MiB;
        ulong ramGiB = 4UL << (int)Take(ref own, 6);
        Span<char> name = stackalloc char[24];
        name.TryWrite($"host-{number:d7}", out int length);
        writer.WriteStartObject();
        writer.WriteString("name"u8, name[..length]);
        writer.WriteStartArray("entries"u8);
        Entry(writer, 0, 0x9fc00, "ram"u8);
        Entry(writer, 0x9fc00, X86Layout.IsaStart, "reserved"u8);
        Entry(writer, 0xe0000, X86Layout.IsaEnd, "reserved"u8);
        ulong reached = X86Layout.IsaEnd;
        if (Take(ref random, 4) == 0)
        {
            // Regions amid the memory, as of graphics and of recent AMD firmware.
            ulong at = (512 + (Take(ref random, 512) << 1)) * MiB;
            Entry(writer, reached, at, "ram"u8);
            Entry(writer, at, at + (2 * MiB), Take(ref random, 2) == 0 ? "reserved"u8 : "nvs"u8);
            reached = at + (2 * MiB);
        }

        ulong endOfRam = holeStart - firmware;
        Entry(writer, reached, endOfRam, "ram"u8);
        Entry(writer, endOfRam, endOfRam + (MiB / 2), "acpi"u8);
        Entry(writer, endOfRam + (MiB / 2), endOfRam + MiB, "nvs"u8);
        Entry(writer, endOfRam + MiB, holeStart, "reserved"u8);
        Entry(writer, 0xf8000000, 0xfc000000, "reserved"u8);
        Entry(writer, X86Layout.UsualIoApic, X86Layout.UsualIoApic + Frames.SizeBytes, "reserved"u8);
        Entry(writer, 0xfed1c000, 0xfed20000, "reserved"u8);
        Entry(writer, 0xff000000, Frames.FourGiB, "reserved"u8);
        Entry(writer, Frames.FourGiB, (ramGiB * GiB) + Frames.FourGiB - holeStart, "ram"u8);
        writer.WriteEndArray();
        if (Take(ref own, 3) == 0)
            Devices(writer, holeStart, ref own);
        writer.WriteEndObject();
    }

    private static void Devices(Utf8JsonWriter writer, ulong holeStart, ref ulong random)
    {
        writer.WriteStartArray("devices"u8);
        ulong low = holeStart + (Take(ref random, 4) * 64 * MiB);
        ulong high = (256 + (64 * Take(ref random, 8))) * GiB;
        Span<char> address = stackalloc char[16];
        int count = 1 + (int)Take(ref random, 3);
        for (int i = 0; i < count; i++)
        {
            address.TryWrite($"0000:{i + 1:x2}:00.0", out int length);
            writer.WriteStartObject();
            writer.WriteString("address"u8, address[..length]);
            writer.WriteString("description"u8, "a device"u8);
            writer.WriteStartArray("bars"u8);
            Window(writer, 0, low, low + (16 * MiB));
            low += 16 * MiB;
            if (Take(ref random, 4) == 0)
            {
                Window(writer, 2, high, high + (8 * GiB));
                high += 8 * GiB;
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void Entry(Utf8JsonWriter writer, ulong start, ulong end, ReadOnlySpan<byte> type)
    {
        writer.WriteStartObject();
        Range(writer, start, end);
        writer.WriteString("type"u8, type);
        writer.WriteEndObject();
    }

    private static void Window(Utf8JsonWriter writer, int index, ulong start, ulong end)
    {
        writer.WriteStartObject();
        writer.WriteNumber("index"u8, index);
        writer.WriteString("kind"u8, "memory"u8);
        Range(writer, start, end);
        writer.WriteEndObject();
    }

    private static void Range(Utf8JsonWriter writer, ulong start, ulong end)
    {
        Span<char> text = stackalloc char[20];
        text.TryWrite($"0x{start:x}", out int length);
        writer.WriteString("start"u8, text[..length]);
        text.TryWrite($"0x{end:x}", out length);
        writer.WriteString("end"u8, text[..length]);
    }

    private static ulong Take(ref ulong random, int choices)
    {
        random = SplitMix64.Mix(random);
        return (random >> 32) % (ulong)choices;
    }
}
