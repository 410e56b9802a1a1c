// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Text.Json;
using Keyhole.E820;

namespace Keyhole.Tests.Golden;

/// <summary>The records that are JSON: libxl on odd inputs, and published hosts with what libxl and two kernels made of them.</summary>
internal static class GoldenJson
{
    public static JsonElement Load(string name)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(GoldenLog.Folder, name)));
        return document.RootElement.Clone();
    }

    public static ImmutableArray<E820Entry> Map(JsonElement rows)
    {
        var entries = ImmutableArray.CreateBuilder<E820Entry>();
        foreach (JsonElement row in rows.EnumerateArray())
            entries.Add(E820Entry.FromSize(Hex(row[0]), unchecked(Hex(row[1]) - Hex(row[0])), (E820Type)row[2].GetUInt32()));
        return entries.ToImmutable();
    }

    public static IEnumerable<object[]> LibxlEdgeCases()
    {
        foreach (JsonElement row in Load("libxl-edge.json").EnumerateArray())
            yield return [row.GetProperty("name").GetString()!];
    }

    public static IEnumerable<object[]> RealHostVectors()
    {
        int index = 0;
        foreach (JsonElement vector in Load("real-hosts.json").GetProperty("vectors").EnumerateArray())
        {
            yield return
            [
                index++,
                $"{vector.GetProperty("host").GetString()} {vector.GetProperty("memory_mib").GetUInt32()}/"
                    + $"{vector.GetProperty("maxmem_mib").GetUInt32()} MiB",
            ];
        }
    }

    private static ulong Hex(JsonElement element) =>
        ulong.Parse(element.GetString()!.AsSpan()[2..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
