// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using System.Text.Json;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Migration;

/// <summary>
/// Reads one capture a line for what a fleet needs of it: <c>{"name":…,"entries":[…],"devices":[…]}</c>, the JSON of <c>show</c> and <c>capture</c> with a name.
/// Makes nothing but the name; whatever is out of the ordinary is left to the reader of captures, whose word on it is the last.
/// </summary>
internal sealed class FleetCapture
{
    private const int MaxDepth = 32;
    private const int MaxNameLength = 100;

    // Beyond any device's; the reader of captures counts.
    private const int MaxWindows = 1 << 19;

    private readonly E820Entry[] _entries = new E820Entry[Host.MaxEntries];

    /// <summary>The demand of the host in a line of UTF-8, or the error in it.</summary>
    /// <param name="host">Set where the result is null.</param>
    public InputError? Read(ReadOnlySpan<byte> line, string sourceName, int lineNumber, out HostDemand host)
    {
        if (TryReadPlain(line, sourceName, lineNumber, out host))
            return null;
        try
        {
            JsonCapture capture = new(line, sourceName);
            if (!capture.TryRead(out HostDocument? map))
                return capture.Error! with { Line = lineNumber };
            host = HostDemand.Of(map!.Host, FindName(line) ?? UnnamedAt(sourceName, lineNumber));
            return null;
        }
        catch (InvalidOperationException)
        {
            return new(sourceName, lineNumber, "a name in the JSON is not Unicode text: an escape is half a character (a lone surrogate)", $"give one capture a line, as {Setting.CaptureWriter} wrote it");
        }
        catch (JsonException)
        {
            return new(sourceName, lineNumber, "the JSON is malformed, cut short or nested too deeply", $"give one capture a line, as {Setting.CaptureWriter} wrote it, without line breaks in it");
        }
    }

    /// <summary>False for what is out of the ordinary, also where it is right.</summary>
    private bool TryReadPlain(ReadOnlySpan<byte> line, string sourceName, int lineNumber, out HostDemand host)
    {
        host = default;
        string? name = null;
        int count = -1;
        HostDemand.WindowDemand windows = HostDemand.WindowDemand.None;
        int devices = -1;
        int seen = 0;
        Utf8JsonReader reader = new(line, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("entries"u8))
                {
                    if (count >= 0 || !TryReadEntries(ref reader, out count))
                        return false;
                }
                else if (reader.ValueTextEquals("devices"u8))
                {
                    if (devices >= 0 || !TryReadDevices(ref reader, out devices, ref windows))
                        return false;
                }
                else if (reader.ValueTextEquals("name"u8))
                {
                    reader.Read();
                    if (name is not null || !TryReadName(ref reader, out name))
                        return false;
                }
                else if (reader.ValueTextEquals("source"u8))
                {
                    // This and the next two say nothing of holes, but they may be wrong.
                    if (!Once(ref seen, 1) || !IsSource(ref reader))
                        return false;
                }
                else if (reader.ValueTextEquals("traits"u8))
                {
                    if (!Once(ref seen, 2) || !AreTraits(ref reader))
                        return false;
                }
                else if (reader.ValueTextEquals("machineMap"u8))
                {
                    reader.Read();
                    if (!Once(ref seen, 4) || reader.TokenType is not (JsonTokenType.True or JsonTokenType.False))
                        return false;
                }
                else if (reader.ValueTextEquals("ramShown"u8))
                {
                    return false;
                }
                else
                {
                    reader.Skip();
                }
            }

            // Something behind the object is malformed: this throws.
            reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Malformed, or a name with half a character: the careful reader says which.
            return false;
        }

        if (count <= 0)
            return false;
        HostDemand.MapDemand map = HostDemand.MapDemand.Of(_entries.AsSpan(0, count));
        name ??= UnnamedAt(sourceName, lineNumber);
        host = devices > 0 ? windows.ToHost(name, map.RamKiB) : map.ToHost(name);
        return true;
    }

    private static bool Once(ref int seen, int flag)
    {
        bool isFirst = (seen & flag) == 0;
        seen |= flag;
        return isFirst;
    }

    private static bool IsSource(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String)
            return IsPlainText(ref reader);
        if (reader.TokenType != JsonTokenType.StartObject)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isDescription = reader.ValueTextEquals("description"u8);
            reader.Read();
            if (!isDescription)
                reader.Skip();
            else if (reader.TokenType != JsonTokenType.String || !IsPlainText(ref reader))
                return false;
        }

        return true;
    }

    private static bool AreTraits(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isRight;
            if (reader.ValueTextEquals("ioApics"u8) || reader.ValueTextEquals("iommus"u8))
                isRight = ArePages(ref reader);
            else if (reader.ValueTextEquals("protectedHpet"u8))
                isRight = TryReadAddress(ref reader, out ulong? page) && page < Addresses.Frames.AddressLimit;
            else if (reader.ValueTextEquals("cpuVendor"u8))
                isRight = reader.Read() && reader.TokenType == JsonTokenType.String && IsPlainText(ref reader);
            else if (reader.ValueTextEquals("cpuFamily"u8))
                isRight = IsNumber(ref reader, 0, 0x10e);
            else if (reader.ValueTextEquals("physicalAddressBits"u8))
                isRight = IsNumber(ref reader, 32, 52);
            else if (reader.ValueTextEquals("otherDenied"u8) || reader.ValueTextEquals("reservedDeviceMemory"u8))
                isRight = reader.Read() && reader.TokenType == JsonTokenType.StartArray && reader.Read() && reader.TokenType == JsonTokenType.EndArray;
            else
                isRight = reader.TrySkip();
            if (!isRight)
                return false;
        }

        return true;
    }

    private static bool ArePages(ref Utf8JsonReader reader)
    {
        const int enough = 64;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
            return false;
        for (int i = 0; i < enough; i++)
        {
            if (!reader.Read())
                return false;
            if (reader.TokenType == JsonTokenType.EndArray)
                return true;
            if (!IsAddressNow(ref reader, out ulong page) || page >= Addresses.Frames.AddressLimit)
                return false;
        }

        return false;
    }

    private static bool IsNumber(ref Utf8JsonReader reader, int min, int max) =>
        reader.Read() && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int value) && value >= min && value <= max;

    private static bool IsPlainText(ref Utf8JsonReader reader) => !reader.ValueIsEscaped && reader.ValueSpan.Length <= MaxNameLength && Ascii.IsValid(reader.ValueSpan);

    private static bool TryReadName(ref Utf8JsonReader reader, out string? name)
    {
        name = null;
        if (reader.TokenType != JsonTokenType.String || reader.ValueIsEscaped || reader.ValueSpan.Length is 0 or > MaxNameLength)
            return false;
        foreach (byte letter in reader.ValueSpan)
        {
            if (letter is < 0x20 or >= 0x7f)
                return false;
        }

        name = Encoding.ASCII.GetString(reader.ValueSpan);
        return true;
    }

    /// <summary>The name in a capture that has been found to be right.</summary>
    private static string? FindName(ReadOnlySpan<byte> line)
    {
        Utf8JsonReader reader = new(line, new JsonReaderOptions { MaxDepth = MaxDepth });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isName = reader.ValueTextEquals("name"u8);
            reader.Read();
            if (!isName || reader.TokenType != JsonTokenType.String)
            {
                reader.Skip();
                continue;
            }

            try
            {
                string text = InputError.OneLine(reader.GetString(), MaxNameLength);
                return text.Length == 0 ? null : text;
            }
            catch (InvalidOperationException)
            {
                // Lone surrogates, or bytes that are no UTF-8: as good as no name.
                return null;
            }
        }

        return null;
    }

    private static string UnnamedAt(string sourceName, int lineNumber) => $"{sourceName}:{lineNumber}";

    private bool TryReadEntries(ref Utf8JsonReader reader, out int count)
    {
        count = 0;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ulong? start = null;
            ulong? end = null;
            E820Type? type = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("start"u8))
                {
                    if (start is not null || !TryReadAddress(ref reader, out start))
                        return false;
                }
                else if (reader.ValueTextEquals("end"u8))
                {
                    if (end is not null || !TryReadAddress(ref reader, out end))
                        return false;
                }
                else if (!reader.ValueTextEquals("type"u8) || type is not null || !TryReadType(ref reader, out type))
                {
                    return false;
                }
            }

            if (start is not { } from || end is not { } to || type is not { } kind || to < from || to > Addresses.Frames.AddressLimit || count == _entries.Length)
                return false;
            _entries[count++] = E820Entry.FromBounds(from, to, kind);
        }

        return reader.TokenType == JsonTokenType.EndArray;
    }

    private static bool TryReadAddress(ref Utf8JsonReader reader, out ulong? address)
    {
        reader.Read();
        address = IsAddressNow(ref reader, out ulong value) ? value : null;
        return address is not null;
    }

    private static bool IsAddressNow(ref Utf8JsonReader reader, out ulong value)
    {
        value = 0;
        if (reader.TokenType != JsonTokenType.String || reader.ValueIsEscaped)
            return false;
        ReadOnlySpan<byte> text = reader.ValueSpan;
        if (text.Length is < 3 or > 18 || text[0] != '0' || text[1] != 'x')
            return false;
        foreach (byte letter in text[2..])
        {
            int digit = char.IsAsciiHexDigit((char)letter) ? letter <= '9' ? letter - '0' : (letter | 0x20) - 'a' + 10 : -1;
            if (digit < 0)
                return false;
            value = (value << 4) | (uint)digit;
        }

        return true;
    }

    private static bool TryReadType(ref Utf8JsonReader reader, out E820Type? type)
    {
        type = null;
        reader.Read();
        if (reader.TokenType != JsonTokenType.String || reader.ValueIsEscaped)
            return false;
        ReadOnlySpan<byte> text = reader.ValueSpan;
        type = text.SequenceEqual("ram"u8) ? E820Type.Ram
            : text.SequenceEqual("reserved"u8) ? E820Type.Reserved
            : text.SequenceEqual("acpi"u8) ? E820Type.Acpi
            : text.SequenceEqual("nvs"u8) ? E820Type.Nvs
            : text.SequenceEqual("unusable"u8) ? E820Type.Unusable
            : null;
        return type is not null;
    }

    private static bool TryReadDevices(ref Utf8JsonReader reader, out int count, ref HostDemand.WindowDemand windows)
    {
        count = 0;
        int windowCount = 0;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            count++;
            bool hasAddress = false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("address"u8))
                {
                    reader.Read();
                    if (hasAddress || !IsAddress(ref reader))
                        return false;
                    hasAddress = true;
                }
                else if (reader.ValueTextEquals("bars"u8))
                {
                    if (!TryReadBars(ref reader, ref windowCount, ref windows))
                        return false;
                }
                else if (!reader.ValueTextEquals("description"u8) || !reader.Read() || reader.TokenType != JsonTokenType.String || !IsPlainText(ref reader))
                {
                    return false;
                }
            }

            if (!hasAddress || count > 16384 || windowCount > MaxWindows)
                return false;
        }

        return reader.TokenType == JsonTokenType.EndArray;
    }

    private static bool IsAddress(ref Utf8JsonReader reader)
    {
        Span<char> text = stackalloc char[16];
        return reader.TokenType == JsonTokenType.String && !reader.ValueIsEscaped && reader.ValueSpan.Length <= text.Length
            && Encoding.ASCII.TryGetChars(reader.ValueSpan, text, out int length) && PciAddress.TryParse(text[..length], out _);
    }

    private static bool TryReadBars(ref Utf8JsonReader reader, ref int windowCount, ref HostDemand.WindowDemand windows)
    {
        const int maxBarsOfDevice = 32;
        int ofDevice = 0;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
            return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ulong? start = null;
            ulong? end = null;
            BarKind kind = BarKind.Memory;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("start"u8))
                {
                    if (start is not null || !TryReadAddress(ref reader, out start))
                        return false;
                }
                else if (reader.ValueTextEquals("end"u8))
                {
                    if (end is not null || !TryReadAddress(ref reader, out end))
                        return false;
                }
                else if (reader.ValueTextEquals("kind"u8))
                {
                    reader.Read();
                    if (reader.TokenType != JsonTokenType.String || !TryKind(ref reader, out kind))
                        return false;
                }
                else if (reader.ValueTextEquals("index"u8))
                {
                    reader.Read();
                    if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int index) || index is < 0 or >= maxBarsOfDevice)
                        return false;
                }
                else if (reader.ValueTextEquals("is64Bit"u8) || reader.ValueTextEquals("prefetchable"u8))
                {
                    reader.Read();
                    if (reader.TokenType is not (JsonTokenType.True or JsonTokenType.False))
                        return false;
                }
                else
                {
                    return false;
                }
            }

            windowCount++;
            if (++ofDevice > maxBarsOfDevice || start is not { } from || end is not { } to || to < from || to > Addresses.Frames.AddressLimit)
                return false;
            windows = windows.With(kind, from, to);
        }

        return reader.TokenType == JsonTokenType.EndArray;
    }

    private static bool TryKind(ref Utf8JsonReader reader, out BarKind kind)
    {
        kind = BarKind.Memory;
        if (reader.ValueTextEquals("memory"u8))
            return true;
        kind = reader.ValueTextEquals("rom"u8) ? BarKind.Rom
            : reader.ValueTextEquals("bridge-window"u8) ? BarKind.BridgeWindow
            : BarKind.VirtualFunction;
        return kind != BarKind.VirtualFunction || reader.ValueTextEquals("virtual-function"u8);
    }
}
