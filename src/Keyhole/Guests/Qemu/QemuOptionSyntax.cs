// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Keyhole.Guests;

/// <summary>The syntax of the values of QEMU's options: <c>key=value,key=value</c>, sizes, switches, and their JSON form.</summary>
/// <remarks>Source: QEMU's util/qemu-option.c, util/keyval.c, util/cutils.c.</remarks>
internal static class QemuOptionSyntax
{
    /// <summary>More properties than this no device has.</summary>
    public const int MaxProperties = 4096;

    /// <summary>Takes a value apart: a comma separates, two are one in the value; a key without a value is "on" (with <c>no</c> in front
    /// "off").</summary>
    /// <param name="impliedKey">The key of a first part that has none; empty where the option has no such key.</param>
    public static ImmutableArray<QemuProperty> Split(ReadOnlySpan<char> text, string impliedKey)
    {
        var properties = ImmutableArray.CreateBuilder<QemuProperty>();
        var value = new StringBuilder();
        bool isFirst = true;
        while (!text.IsEmpty && properties.Count < MaxProperties)
        {
            int end = text.IndexOfAny('=', ',');
            string? key = end >= 0 && text[end] == '=' ? text[..end].ToString() : null;
            if (key is not null)
                text = text[(end + 1)..];
            value.Clear();
            while (!text.IsEmpty)
            {
                int comma = text.IndexOf(',');
                if (comma < 0)
                    comma = text.Length;
                value.Append(text[..comma]);
                text = text[comma..];
                if (!text.StartsWith(",,"))
                    break;
                value.Append(',');
                text = text[2..];
            }

            if (!text.IsEmpty)
                text = text[1..];
            string read = value.ToString();
            if (key is not null)
                properties.Add(new(key, read));
            else if (isFirst && impliedKey.Length > 0)
                properties.Add(new(impliedKey, read));
            else if (read.StartsWith("no", StringComparison.Ordinal) && read.Length > 2)
                properties.Add(new(read[2..], "off"));
            else if (read.Length > 0)
                properties.Add(new(read, "on"));
            isFirst = false;
        }

        return properties.DrainToImmutable();
    }

    /// <summary>A device as <c>-device</c> has it, of a text that is known to name one.</summary>
    public static QemuDevice Device(string text)
    {
        ImmutableArray<QemuProperty> properties = Split(text, "driver");
        return new(properties[0].Value, properties.RemoveAt(0));
    }

    /// <summary>A value in JSON: its members, those of nested objects with dots between the names; true and false are "on" and "off". False where it
    /// is no JSON object.</summary>
    public static bool TryReadJson(string text, out ImmutableArray<QemuProperty> properties)
    {
        properties = [];
        var found = ImmutableArray.CreateBuilder<QemuProperty>();
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text), new JsonReaderOptions { MaxDepth = 32, AllowTrailingCommas = true });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject || !TryReadObject(ref reader, "", found))
                return false;
            if (reader.Read())
                return false;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Malformed, or a text with lone surrogates.
            return false;
        }

        properties = found.DrainToImmutable();
        return true;
    }

    private static bool TryReadObject(ref Utf8JsonReader reader, string prefix, ImmutableArray<QemuProperty>.Builder found)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = prefix + reader.GetString();
            reader.Read();
            if (found.Count >= MaxProperties || !TryReadValue(ref reader, name, found))
                return false;
        }

        return true;
    }

    private static bool TryReadValue(ref Utf8JsonReader reader, string name, ImmutableArray<QemuProperty>.Builder found)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return TryReadObject(ref reader, name + ".", found);
            case JsonTokenType.StartArray:
                for (int i = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; i++)
                {
                    if (found.Count >= MaxProperties || !TryReadValue(ref reader, $"{name}.{i}", found))
                        return false;
                }

                return true;
            case JsonTokenType.True:
                found.Add(new(name, "on"));
                return true;
            case JsonTokenType.False:
                found.Add(new(name, "off"));
                return true;
            case JsonTokenType.Number:
                found.Add(new(name, Encoding.UTF8.GetString(reader.ValueSpan)));
                return true;
            case JsonTokenType.String:
                found.Add(new(name, reader.GetString() ?? ""));
                return true;
            default:
                return true;
        }
    }

    /// <summary>The value of the last property of a name; null where there is none.</summary>
    public static string? Find(ImmutableArray<QemuProperty> properties, string name)
    {
        for (int i = properties.Length - 1; i >= 0; i--)
        {
            if (properties[i].Name == name)
                return properties[i].Value;
        }

        return null;
    }

    /// <summary>Reads on, yes, true, y and their opposites.</summary>
    public static bool TrySwitch(string text, out bool isOn)
    {
        bool? read = QemuNumber.Switch(text);
        isOn = read == true;
        return read is not null;
    }

    /// <summary>Reads a size as <see cref="QemuNumber"/> does; a number without a unit counts in units of its own.</summary>
    /// <param name="bareShift">The power of two of that unit: 20 for <c>-m</c>, 0 elsewhere.</param>
    public static bool TrySize(ReadOnlySpan<char> text, int bareShift, out ulong sizeBytes)
    {
        text = text.Trim();
        bool isBare = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? char.IsAsciiHexDigit(text[^1])
            : !text.IsEmpty && char.IsAsciiDigit(text[^1]);
        if (!QemuNumber.TrySize(text, out sizeBytes))
            return false;
        if (!isBare)
            return true;
        ulong scaled = sizeBytes << bareShift;
        bool fits = scaled >> bareShift == sizeBytes;
        sizeBytes = scaled;
        return fits;
    }

    /// <summary>Reads a whole number, decimal or hex with 0x.</summary>
    public static bool TryNumber(ReadOnlySpan<char> text, out int number)
    {
        bool isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return int.TryParse(isHex ? text[2..] : text, isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture,
            out number) && number >= 0;
    }
}
