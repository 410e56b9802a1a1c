// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Keyhole.Diagnostics;

/// <summary>An address or a number of bytes or frames that JSON carries as a hex string: readers that keep numbers as doubles lose the last
/// bits.</summary>
public readonly record struct Hex(ulong Value)
{
    /// <summary>The number.</summary>
    public static implicit operator Hex(ulong value) => new(value);

    /// <summary>With 0x, lower case, no leading zeros.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"0x{Value:x}");
}

/// <summary>Writes <see cref="Hex"/>.</summary>
internal sealed class HexConverter : WriteOnlyConverter<Hex>
{
    private const int MaxLength = 18;

    public override void Write(Utf8JsonWriter writer, Hex value, JsonSerializerOptions options)
    {
        Span<byte> text = stackalloc byte[MaxLength];
        "0x"u8.CopyTo(text);
        value.Value.TryFormat(text[2..], out int length, "x", CultureInfo.InvariantCulture);
        writer.WriteStringValue(text[..(length + 2)]);
    }
}

/// <summary>Writes info, warning or error.</summary>
internal sealed class SeverityConverter : WriteOnlyConverter<Severity>
{
    public override void Write(Utf8JsonWriter writer, Severity value, JsonSerializerOptions options) => writer.WriteStringValue(value switch
    {
        Severity.Info => "info"u8,
        Severity.Warning => "warning"u8,
        Severity.Error => "error"u8,
    });
}

/// <summary>What JSON is written from: it is read by readers of its own, which bound what they take.</summary>
internal abstract class WriteOnlyConverter<T> : JsonConverter<T>
{
    public sealed override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        throw new NotSupportedException("this is written, not read");
}
