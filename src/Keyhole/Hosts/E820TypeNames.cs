// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Hosts;

/// <summary>The names of E820 types in Keyhole's own JSON and tables: ram reserved acpi nvs unusable pmem pram, others <c>type-N</c>.</summary>
public static class E820TypeNames
{
    /// <summary>The number that Linux gives to memory set aside for a driver by EFI ("soft reserved"); not on the wire.</summary>
    public const E820Type SoftReserved = (E820Type)0xefff_ffff;

    /// <summary>The name of a type; <c>type-N</c> for one that has none.</summary>
    public static string NameOf(E820Type type) => (uint)type switch
    {
        (uint)E820Type.Ram => "ram",
        (uint)E820Type.Reserved => "reserved",
        (uint)E820Type.Acpi => "acpi",
        (uint)E820Type.Nvs => "nvs",
        (uint)E820Type.Unusable => "unusable",
        (uint)E820Type.PersistentMemory => "pmem",
        (uint)E820Type.Pram => "pram",
        uint number => $"type-{number}",
    };

    /// <summary>The type in words, for sentences.</summary>
    public static string Describe(E820Type type) => (uint)type switch
    {
        (uint)E820Type.Ram => "RAM",
        (uint)E820Type.Reserved => "reserved",
        (uint)E820Type.Acpi => "ACPI tables",
        (uint)E820Type.Nvs => "ACPI NVS",
        (uint)E820Type.Unusable => "unusable",
        (uint)E820Type.PersistentMemory => "persistent memory",
        (uint)E820Type.Pram => "persistent memory (PRAM)",
        uint number => $"type {number}",
    };

    /// <summary>Reads what <see cref="NameOf"/> gives.</summary>
    public static bool TryParse(ReadOnlySpan<char> name, out E820Type type)
    {
        type = name switch
        {
            "ram" => E820Type.Ram,
            "reserved" => E820Type.Reserved,
            "acpi" => E820Type.Acpi,
            "nvs" => E820Type.Nvs,
            "unusable" => E820Type.Unusable,
            "pmem" => E820Type.PersistentMemory,
            "pram" => E820Type.Pram,
            _ => E820Type.None,
        };
        if (type != E820Type.None)
            return true;
        if (!name.StartsWith("type-") || !uint.TryParse(name["type-".Length..], System.Globalization.NumberStyles.None, null, out uint number))
            return false;
        type = (E820Type)number;
        return true;
    }
}

/// <summary>Writes an entry's type into JSON by its name.</summary>
internal sealed class E820TypeConverter : WriteOnlyConverter<E820Type>
{
    public override void Write(Utf8JsonWriter writer, E820Type value, JsonSerializerOptions options) =>
        writer.WriteStringValue(E820TypeNames.NameOf(value));
}
