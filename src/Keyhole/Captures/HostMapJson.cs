// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>
/// Keyhole's own JSON: <c>{"source":{"dialect","description"},"machineMap":true,"ramShown":"part","entries":[{"start","end","type"}],"machineEntries":[…],"traits":{…},
/// "devices":[…],"reservedRegions":[{"start","end","type"}],"iomem":[lines]}</c>: entries are the firmware's unless "machineMap" says otherwise.
/// they show all of the host's RAM unless "ramShown" does. Only "entries" must be there; members of other names are passed over. Addresses are hex strings, ends exclusive.
/// </summary>
internal static class HostMapJson
{
    /// <summary>A capture of 1024 entries and thousands of PCI functions is well below this.</summary>
    private const int MaxLengthBytes = 4 * 1024 * 1024;

    // Read by programs and people, never pasted into HTML: an apostrophe stays one.
    private static readonly JsonWriterOptions s_indented = new() { Indented = true, Encoder = VisibleJson.Encoder };

    /// <param name="takesPlans">Whether "e820" of a plan's or a boot's answer is as good as "entries".</param>
    public static Parsed<HostDocument> Read(ReadOnlyMemory<byte> head, Stream stream, string sourceName, bool takesPlans = false)
    {
        using MemoryStream whole = new();
        whole.Write(head.Span);
        byte[] block = new byte[StreamHead.MaxLength];
        for (int read = stream.Read(block); read > 0; read = stream.Read(block))
        {
            whole.Write(block.AsSpan(0, read));
            if (whole.Length > MaxLengthBytes)
                return new InputError(sourceName, null, $"the JSON is longer than {MaxLengthBytes >> 20} MiB", "a map has at most 1024 entries; check the file");
        }

        ReadOnlySpan<byte> bytes = whole.GetBuffer().AsSpan(0, (int)whole.Length);
        TextForm form = TextLines.FormOf(bytes, out int markLength);
        bytes = bytes[markLength..];
        if (form != TextForm.EightBit)
            bytes = Encoding.Convert(form == TextForm.Utf16LittleEndian ? Encoding.Unicode : Encoding.BigEndianUnicode, Encoding.UTF8, bytes.ToArray());
        JsonCapture capture = new(bytes, sourceName, takesPlans);
        try
        {
            return capture.TryRead(out HostDocument? map) ? map! : capture.Error!;
        }
        catch (InvalidOperationException)
        {
            // .NET's reader says so of an escape that is half a character, where a name is looked at.
            return new InputError(sourceName, null, "a name in the JSON is not Unicode text: an escape is half a character (a lone surrogate)", $"give the file as {Setting.CaptureWriter} wrote it");
        }
        catch (JsonException exception)
        {
            int line = (int)Math.Min(int.MaxValue - 1, exception.LineNumber ?? 0) + 1;
            return new InputError(sourceName, line, "the JSON is malformed, cut short or nested too deeply", $"give the file as {Setting.CaptureWriter} wrote it");
        }
    }

    public static void Write(HostDocument map, Stream destination)
    {
        using Utf8JsonWriter writer = new(destination, s_indented);
        writer.WriteStartObject();
        writer.WriteStartObject("source");
        writer.WriteString("dialect", HostMapDialects.NameOf(map.Dialect));
        writer.WriteString("description", map.Description);
        writer.WriteEndObject();
        if (map.Host.IsMachineMap)
            writer.WriteBoolean("machineMap", true);
        if (map.Host.RamShown != RamShown.All)
            writer.WriteString("ramShown", NameOf(map.Host.RamShown));
        WriteEntries(writer, "entries", map.Host.Entries);
        WriteTotals(writer, map.Host.Entries);
        if (!map.Host.MachineEntries.IsEmpty)
            WriteEntries(writer, "machineEntries", map.Host.MachineEntries);
        WriteTraits(writer, map.Host.Traits);
        WriteDevices(writer, map.Host.Devices);
        WriteReservedRegions(writer, map.Host.ReservedRegions);
        WriteIomem(writer, map.IomemLines);
        writer.WriteEndObject();
    }

    internal static string NameOf(RamShown shown) => shown switch
    {
        RamShown.All => "all",
        RamShown.KernelsShare => "kernels-share",
        RamShown.Part => "part",
    };

    internal static string NameOf(BarKind kind) => kind switch
    {
        BarKind.Memory => "memory",
        BarKind.Rom => "rom",
        BarKind.VirtualFunction => "virtual-function",
        BarKind.BridgeWindow => "bridge-window",
    };

    private static void WriteEntries(Utf8JsonWriter writer, string name, ImmutableArray<E820Entry> entries)
    {
        writer.WriteStartArray(name);
        foreach (E820Entry entry in entries)
        {
            writer.WriteStartObject();
            WriteRange(writer, entry.Address, entry.End);
            writer.WriteString("type", E820TypeNames.NameOf(entry.Type));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteReservedRegions(Utf8JsonWriter writer, ImmutableArray<ReservedRegion> regions)
    {
        writer.WriteStartArray("reservedRegions");
        foreach (ReservedRegion region in regions)
        {
            writer.WriteStartObject();
            WriteRange(writer, region.Start, region.End);
            writer.WriteString("type", region.Type);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteIomem(Utf8JsonWriter writer, ImmutableArray<string> lines)
    {
        if (lines.IsEmpty)
            return;
        writer.WriteStartArray("iomem");
        foreach (string line in lines)
            writer.WriteStringValue(line);
        writer.WriteEndArray();
    }

    private static void WriteHex(Utf8JsonWriter writer, string name, int? value, int digits)
    {
        if (value is { } known)
            writer.WriteString(name, $"0x{known.ToString($"x{digits}", CultureInfo.InvariantCulture)}");
    }

    private static void WriteRange(Utf8JsonWriter writer, ulong start, ulong end)
    {
        writer.WriteString("start", $"0x{start:x}");
        writer.WriteString("end", $"0x{end:x}");
    }

    private static void WriteTotals(Utf8JsonWriter writer, ImmutableArray<E820Entry> entries)
    {
        var totals = new SortedDictionary<E820Type, ulong>();
        foreach (E820Entry entry in entries)
            totals[entry.Type] = totals.GetValueOrDefault(entry.Type) + entry.Size;
        writer.WriteStartObject("totals");
        foreach ((E820Type type, ulong bytes) in totals)
            writer.WriteString(E820TypeNames.NameOf(type), $"0x{bytes:x}");
        writer.WriteEndObject();
    }

    private static void WriteTraits(Utf8JsonWriter writer, HostTraits traits)
    {
        writer.WriteStartObject("traits");
        WriteAddresses(writer, "ioApics", traits.IoApics);
        WriteAddresses(writer, "iommus", traits.Iommus);
        if (traits.CpuVendor is { } vendor)
            writer.WriteString("cpuVendor", vendor);
        if (traits.CpuFamily is { } family)
            writer.WriteNumber("cpuFamily", family);
        if (traits.PhysicalAddressBits is { } bits)
            writer.WriteNumber("physicalAddressBits", bits);
        if (traits.IsEfi is { } isEfi)
            writer.WriteBoolean("efi", isEfi);
        if (traits.XenVersion is { } version)
            writer.WriteString("xenVersion", version.ToString());
        WidthJson.Write(writer, traits);
        if (traits.ProtectedHpet is { } hpet)
            writer.WriteString("protectedHpet", $"0x{hpet:x}");
        WriteRanges(writer, "reservedDeviceMemory", traits.ReservedDeviceMemory);
        WriteRanges(writer, "otherDenied", traits.OtherDenied);
        if (!traits.ReservedInDom0.IsEmpty)
            WriteRanges(writer, "reservedInDom0", traits.ReservedInDom0);
        writer.WriteEndObject();
    }

    private static void WriteRanges(Utf8JsonWriter writer, string name, ImmutableArray<PfnRange> ranges)
    {
        writer.WriteStartArray(name);
        foreach (PfnRange range in ranges)
            writer.WriteStringValue($"0x{range.Start.ToAddress():x}-0x{range.End.ToAddress():x}");
        writer.WriteEndArray();
    }

    private static void WriteAddresses(Utf8JsonWriter writer, string name, ImmutableArray<ulong> addresses)
    {
        writer.WriteStartArray(name);
        foreach (ulong address in addresses)
            writer.WriteStringValue($"0x{address:x}");
        writer.WriteEndArray();
    }

    private static void WriteMsix(Utf8JsonWriter writer, MsixTable table)
    {
        writer.WriteStartObject("msix");
        writer.WriteNumber("bar", table.BarIndex);
        writer.WriteString("offset", $"0x{table.OffsetBytes:x}");
        writer.WriteNumber("vectors", table.Vectors);
        writer.WriteEndObject();
    }

    private static void WriteDevices(Utf8JsonWriter writer, ImmutableArray<PciDevice> devices)
    {
        writer.WriteStartArray("devices");
        foreach (PciDevice device in devices)
        {
            writer.WriteStartObject();
            writer.WriteString("address", device.Address.ToString());
            writer.WriteString("description", device.Description);
            WriteHex(writer, "vendor", device.VendorId, 4);
            WriteHex(writer, "device", device.DeviceId, 4);
            WriteHex(writer, "class", device.ClassCode, 6);
            if (device.Driver is { } driver)
                writer.WriteString("driver", driver);
            if (device.Msix is { } table)
                WriteMsix(writer, table);
            DeviceJson.Write(writer, device);
            writer.WriteStartArray("bars");
            foreach (Bar bar in device.Bars)
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", bar.Index);
                writer.WriteString("kind", NameOf(bar.Kind));
                WriteRange(writer, bar.Start, bar.End);
                writer.WriteBoolean("is64Bit", bar.Is64Bit);
                writer.WriteBoolean("prefetchable", bar.IsPrefetchable);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}

/// <summary>One pass over the tokens of a capture. Malformed JSON throws JsonException; JSON of another shape is an <see cref="InputError"/> with its line.</summary>
internal ref partial struct JsonCapture
{
    private const int MaxDepth = 32;
    private const int MaxDevices = 16384;
    private const int MaxBars = 32;
    private const int MaxTextLength = 200;

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _source;
    private Utf8JsonReader _reader;

    private readonly bool _takesPlans;

    public JsonCapture(ReadOnlySpan<byte> bytes, string source, bool takesPlans = false)
    {
        _takesPlans = takesPlans;
        _bytes = bytes;
        _source = source;
        _reader = new(bytes, new JsonReaderOptions { MaxDepth = MaxDepth });
    }

    public InputError? Error { get; private set; }

    private readonly int Line => _bytes[..(int)_reader.TokenStartIndex].Count((byte)'\n') + 1;

    public bool TryRead(out HostDocument? map)
    {
        map = null;
        ImmutableArray<E820Entry>? entries = null;
        ImmutableArray<E820Entry>? machineEntries = null;
        ImmutableArray<ReservedRegion> regions = [];
        ImmutableArray<string> iomem = [];
        ImmutableArray<PciDevice> devices = [];
        HostTraits traits = HostTraits.Unknown;
        string description = "";
        bool isMachineMap = false;
        RamShown ramShown = RamShown.All;
        SortedSet<string> seen = new(StringComparer.Ordinal);

        _reader.Read();
        if (_reader.TokenType != JsonTokenType.StartObject)
            return Fail("a capture is a JSON object", "write {\"entries\":[{\"start\":\"0x0\",\"end\":\"0xa0000\",\"type\":\"ram\"}]}");
        while (NextMember())
        {
            string? name = Known(
                _takesPlans ? ["e820", "entries"] : ["source", "machineMap", "ramShown", "entries", "machineEntries", "traits", "devices", "reservedRegions", "iomem"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            if (!seen.Add(name))
                return Fail($"\"{name}\" is there twice", "keep one of them");
            _reader.Read();
            bool isRead = name switch
            {
                "source" => TryReadSource(ref description),
                "machineMap" => TryReadBoolean(name, out isMachineMap),
                "ramShown" => TryReadRamShown(name, out ramShown),
                "entries" or "e820" => TryReadEntries(name, out entries),
                "machineEntries" => TryReadEntries(name, out machineEntries),
                "reservedRegions" => TryReadRegions(out regions),
                "iomem" => TryReadIomem(out iomem),
                "traits" => TryReadTraits(out traits),
                _ => TryReadDevices(out devices),
            };
            if (!isRead)
                return false;
        }

        // Something behind the object is malformed: this throws.
        _reader.Read();
        if (entries is not { } found)
        {
            return _takesPlans
                ? Fail("there is neither \"e820\" nor \"entries\" in the JSON", $"give the file as {Setting.Plan}, {Setting.Boot} or {Setting.CaptureWriter} wrote it in JSON")
                : Fail("there is no \"entries\" in the JSON", $"give the file as {Setting.CaptureWriter} wrote it");
        }

        if (found.IsEmpty)
            return Fail("the map in the JSON has no entries", "a map has at least one entry");
        map = new()
        {
            Host = new()
            {
                Entries = found,
                IsMachineMap = isMachineMap,
                RamShown = ramShown,
                MachineEntries = machineEntries ?? [],
                Traits = traits,
                Devices = devices,
                ReservedRegions = regions,
            },
            Dialect = HostMapDialect.Json,
            Description = description.Length == 0 ? $"JSON, {_source}" : $"{description} (JSON, {_source})",
            IomemLines = iomem,
        };
        return true;
    }

    private bool Fail(string what, Phrase remedy)
    {
        Error = new(_source, Line, what, remedy);
        return false;
    }

    private bool NextMember()
    {
        _reader.Read();
        return _reader.TokenType == JsonTokenType.PropertyName;
    }

    private readonly string? Known(ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (_reader.ValueTextEquals(name))
                return name;
        }

        return null;
    }

    private bool Expect(JsonTokenType type, string name, string form) =>
        _reader.TokenType == type || Fail($"\"{name}\" is not {form}", $"make it {form}");

    private bool TryReadText(string name, out string text)
    {
        text = "";
        if (!Expect(JsonTokenType.String, name, "a string"))
            return false;
        int length = _reader.HasValueSequence ? int.MaxValue : _reader.ValueSpan.Length;
        if (length > MaxTextLength * 6)
            return Fail($"\"{name}\" is longer than {MaxTextLength} characters", "shorten it");
        string? read;
        try
        {
            read = _reader.GetString();
        }
        catch (InvalidOperationException)
        {
            // Lone surrogates or bytes that are no UTF-8.
            return Fail($"\"{name}\" is not Unicode text", "write it in UTF-8");
        }

        text = InputError.OneLine(read, MaxTextLength);
        return true;
    }

    private bool TryReadBoolean(string name, out bool value)
    {
        value = _reader.TokenType == JsonTokenType.True;
        return value || Expect(JsonTokenType.False, name, "true or false");
    }

    private bool TryReadRamShown(string name, out RamShown shown)
    {
        shown = RamShown.All;
        if (!Expect(JsonTokenType.String, name, "a string") || !TryReadText(name, out string text))
            return false;
        foreach (RamShown candidate in Enum.GetValues<RamShown>())
        {
            if (HostMapJson.NameOf(candidate) == text)
            {
                shown = candidate;
                return true;
            }
        }

        return Fail($"\"{name}\" is {InputError.Quote(text)}", "write all, kernels-share or part");
    }

    private bool TryReadNumber(string name, int min, int max, out int value)
    {
        value = 0;
        if (!Expect(JsonTokenType.Number, name, "a number"))
            return false;
        return (_reader.TryGetInt32(out value) && value >= min && value <= max) || Fail($"\"{name}\" is out of range", $"it lies between {min} and {max}");
    }

    private bool TryReadAddress(string name, out ulong address)
    {
        address = 0;
        const string form = "a hex string such as \"0x100000\"";
        if (!Expect(JsonTokenType.String, name, form) || !TryReadText(name, out string text))
            return false;
        TextCursor cursor = new(text);
        return (cursor.TryText("0x") && cursor.TryHex(out address) && cursor.Rest.IsEmpty)
            || Fail($"\"{name}\" is {InputError.Quote(text)}, not a hex string of at most 64 bits", $"make it {form}");
    }

    private bool TryReadSource(ref string description)
    {
        if (_reader.TokenType == JsonTokenType.String)
            return TryReadText("source", out description);
        if (!Expect(JsonTokenType.StartObject, "source", "an object"))
            return false;
        while (NextMember())
        {
            if (Known(["description"]) is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
            if (!TryReadText("description", out description))
                return false;
        }

        return true;
    }

    private bool TryReadRegions(out ImmutableArray<ReservedRegion> regions)
    {
        const string name = "reservedRegions";
        regions = [];
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        ImmutableArray<ReservedRegion>.Builder read = ImmutableArray.CreateBuilder<ReservedRegion>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            int line = Line;
            if (!Expect(JsonTokenType.StartObject, name, "an array of objects"))
                return false;
            if (read.Count == ReservedRegion.MaxCount)
                return Fail($"\"{name}\" has more than {ReservedRegion.MaxCount} regions", "check the file");
            ulong start = 0;
            ulong end = 0;
            string type = "";
            while (NextMember())
            {
                string? member = Known(["start", "end", "type"]);
                if (member is null)
                {
                    _reader.Skip();
                    continue;
                }

                _reader.Read();
                bool isRead = member switch
                {
                    "start" => TryReadAddress(member, out start),
                    "end" => TryReadAddress(member, out end),
                    _ => TryReadText(member, out type),
                };
                if (!isRead)
                    return false;
            }

            if (!EntryRange.Exclusive(start, end).TryMakeEntry(E820Type.Reserved, _source, line, out _, out InputError? error))
            {
                Error = error;
                return false;
            }

            read.Add(new(start, end, type));
        }

        regions = read.ToImmutable();
        return true;
    }

    private bool TryReadIomem(out ImmutableArray<string> lines)
    {
        lines = [];
        if (!Expect(JsonTokenType.StartArray, "iomem", "an array"))
            return false;
        ImmutableArray<string>.Builder read = ImmutableArray.CreateBuilder<string>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (!TryReadText("iomem", out string line))
                return false;
            read.Add(line);
        }

        lines = read.ToImmutable();
        return true;
    }

    private bool TryReadEntries(string name, out ImmutableArray<E820Entry>? entries)
    {
        entries = null;
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        ImmutableArray<E820Entry>.Builder read = ImmutableArray.CreateBuilder<E820Entry>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (read.Count == Host.MaxEntries)
            {
                Error = HostMapErrors.TooManyEntries(_source, Line);
                return false;
            }

            if (!TryReadEntry(out E820Entry entry))
                return false;
            read.Add(entry);
        }

        entries = read.ToImmutable();
        return true;
    }

    private bool TryReadEntry(out E820Entry entry)
    {
        entry = default;
        int line = Line;
        if (!Expect(JsonTokenType.StartObject, "entries", "an array of objects"))
            return false;
        ulong? start = null;
        ulong? end = null;
        E820Type? type = null;
        while (NextMember())
        {
            string? name = Known(["start", "end", "type"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            bool isTwice = name switch { "start" => start is not null, "end" => end is not null, _ => type is not null };
            if (isTwice)
                return Fail($"\"{name}\" is there twice", "keep one of them");
            _reader.Read();
            if (name == "type")
            {
                if (!TryReadText(name, out string text))
                    return false;
                if (!E820TypeNames.TryParse(text, out E820Type named))
                    return Fail($"unknown type {InputError.Quote(text)}", "types are ram, reserved, acpi, nvs, unusable, pmem, pram and type-N");
                type = named;
                continue;
            }

            if (!TryReadAddress(name, out ulong address))
                return false;
            if (name == "start")
                start = address;
            else
                end = address;
        }

        if (start is null || end is null || type is null)
            return Fail("an entry lacks start, end or type", "write {\"start\":\"0x0\",\"end\":\"0xa0000\",\"type\":\"ram\"}");
        bool isEntry = EntryRange.Exclusive(start.Value, end.Value).TryMakeEntry(type.Value, _source, line, out entry, out InputError? error);
        Error = error;
        return isEntry;
    }

    private bool TryReadTraits(out HostTraits traits)
    {
        traits = HostTraits.Unknown;
        if (!Expect(JsonTokenType.StartObject, "traits", "an object"))
            return false;
        while (NextMember())
        {
            string? name = Known(["ioApics", "iommus", "cpuVendor", "cpuFamily", "physicalAddressBits", "efi", "xenVersion", "protectedHpet", "reservedDeviceMemory", "otherDenied", "reservedInDom0", .. WidthJson.Names]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
            if (WidthJson.Names.Contains(name))
            {
                if (!TryReadWidth(name, ref traits))
                    return false;
                continue;
            }

            ImmutableArray<ulong> addresses = [];
            string text = "";
            int number = 0;
            bool flag = false;
            ulong address = 0;
            ImmutableArray<PfnRange> denied = [];
            bool isRead = name switch
            {
                "ioApics" or "iommus" => TryReadAddresses(name, out addresses),
                "cpuVendor" => TryReadText(name, out text),
                "cpuFamily" => TryReadNumber(name, 0, 0x10e, out number),
                "physicalAddressBits" => TryReadNumber(name, 32, 52, out number),
                "efi" => TryReadBoolean(name, out flag),
                "xenVersion" => TryReadText(name, out text),
                "reservedDeviceMemory" or "otherDenied" or "reservedInDom0" => TryReadRanges(name, out denied),
                _ => TryReadPage(name, out address),
            };
            if (!isRead)
                return false;
            traits = name switch
            {
                "ioApics" => traits with { IoApics = addresses },
                "iommus" => traits with { Iommus = addresses },
                "cpuVendor" => traits with { CpuVendor = text },
                "cpuFamily" => traits with { CpuFamily = number },
                "physicalAddressBits" => traits with { PhysicalAddressBits = number },
                "efi" => traits with { IsEfi = flag },
                "reservedDeviceMemory" => traits with { ReservedDeviceMemory = denied },
                "xenVersion" => traits with { XenVersion = XenVersion.TryParse(text, out XenVersion version) ? version : null },
                "otherDenied" => traits with { OtherDenied = denied },
                "reservedInDom0" => traits with { ReservedInDom0 = denied },
                _ => traits with { ProtectedHpet = address },
            };
        }

        return true;
    }

    private bool TryReadRanges(string name, out ImmutableArray<PfnRange> ranges)
    {
        ranges = [];
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        ImmutableArray<PfnRange>.Builder read = ImmutableArray.CreateBuilder<PfnRange>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (read.Count == Host.MaxEntries)
                return Fail($"\"{name}\" has more than {Host.MaxEntries} ranges", "check the file");
            if (!Expect(JsonTokenType.String, name, "an array of strings") || !TryReadText(name, out string text))
                return false;
            TextCursor cursor = new(text);
            if (!cursor.TryText("0x") || !cursor.TryHex(out ulong start) || !cursor.TryText("-0x") || !cursor.TryHex(out ulong end) || !cursor.Rest.IsEmpty
                || start >= end || end > Frames.AddressLimit)
            {
                return Fail($"\"{name}\" has {InputError.Quote(text)}, which is no range", "write it as 0xA-0xB, B exclusive and at most 2^52");
            }

            read.Add(PfnRange.FromBounds(Pfn.Containing(start), Pfn.AtOrAbove(end)));
        }

        ranges = read.ToImmutable();
        return true;
    }

    private bool TryReadPage(string name, out ulong address) =>
        TryReadAddress(name, out address) && (address < Frames.AddressLimit || Fail($"\"{name}\" lies above 2^52", "x86 has at most 52 address bits"));

    private bool TryReadAddresses(string name, out ImmutableArray<ulong> addresses)
    {
        addresses = [];
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        ImmutableArray<ulong>.Builder read = ImmutableArray.CreateBuilder<ulong>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (read.Count == LogTraits.MaxPages)
                return Fail($"\"{name}\" has more than {LogTraits.MaxPages} addresses", "check the file");
            if (!TryReadPage(name, out ulong address))
                return false;
            read.Add(address);
        }

        addresses = read.ToImmutable();
        return true;
    }

    private bool TryReadDevices(out ImmutableArray<PciDevice> devices)
    {
        devices = [];
        if (!Expect(JsonTokenType.StartArray, "devices", "an array"))
            return false;
        ImmutableArray<PciDevice>.Builder read = ImmutableArray.CreateBuilder<PciDevice>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (read.Count == MaxDevices)
                return Fail($"\"devices\" has more than {MaxDevices} functions", "check the file");
            if (!TryReadDevice(out PciDevice? device))
                return false;
            read.Add(device!);
        }

        devices = read.ToImmutable();
        return true;
    }

    private bool TryReadDevice(out PciDevice? device)
    {
        device = null;
        if (!Expect(JsonTokenType.StartObject, "devices", "an array of objects"))
            return false;
        PciAddress? address = null;
        string description = "";
        string? driver = null;
        int? vendor = null;
        int? deviceId = null;
        int? classCode = null;
        MsixTable? msix = null;
        PciDevice details = s_noDetails;
        ImmutableArray<Bar>.Builder bars = ImmutableArray.CreateBuilder<Bar>();
        while (NextMember())
        {
            string? name = Known(["address", "description", "bars", "vendor", "device", "class", "driver", "msix", "requests", "unplaced", "resizable", "sriov"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
            if (name == "bars")
            {
                if (!TryReadBars(bars))
                    return false;
                continue;
            }

            if (name == "msix")
            {
                if (!TryReadMsix(out msix))
                    return false;
                continue;
            }

            if (name is "requests" or "unplaced" or "resizable" or "sriov")
            {
                if (!TryReadDetails(name, ref details))
                    return false;
                continue;
            }

            if (name is "vendor" or "device" or "class")
            {
                if (!TryReadAddress(name, out ulong number))
                    return false;
                if (number > (name == "class" ? 0xff_ffffUL : 0xffff))
                    return Fail($"\"{name}\" is out of range", "PCI vendors and devices have 16 bits, classes 24");
                if (name == "vendor")
                    vendor = (int)number;
                else if (name == "device")
                    deviceId = (int)number;
                else
                    classCode = (int)number;
                continue;
            }

            if (!TryReadText(name, out string text))
                return false;
            if (name == "description")
                description = text;
            else if (name == "driver")
                driver = text;
            else if (PciAddress.TryParse(text, out PciAddress parsed))
                address = parsed;
            else
                return Fail($"{InputError.Quote(text)} is no PCI address", "write it as dddd:bb:dd.f");
        }

        if (address is not { } found)
            return Fail("a device lacks its address", "write it as dddd:bb:dd.f");
        device = new(found, description, bars.ToImmutable())
        {
            VendorId = vendor,
            DeviceId = deviceId,
            ClassCode = classCode,
            Driver = driver,
            Msix = msix,
            Requests = details.Requests,
            Unplaced = details.Unplaced,
            Resizable = details.Resizable,
            Sriov = details.Sriov,
        };
        return true;
    }

    private bool TryReadMsix(out MsixTable? table)
    {
        table = null;
        if (!Expect(JsonTokenType.StartObject, "msix", "an object"))
            return false;
        int? bar = null;
        ulong? offset = null;
        int? vectors = null;
        while (NextMember())
        {
            string? name = Known(["bar", "offset", "vectors"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
            int number = 0;
            ulong address = 0;
            bool isRead = name switch
            {
                "bar" => TryReadNumber(name, 0, Bar.RomIndex - 1, out number),
                "vectors" => TryReadNumber(name, 1, MsixTable.MaxVectors, out number),
                _ => TryReadAddress(name, out address),
            };
            if (!isRead)
                return false;
            if (name == "bar")
                bar = number;
            else if (name == "vectors")
                vectors = number;
            else
                offset = address;
        }

        if (bar is not { } register || offset is not { } from || vectors is not { } count)
            return Fail("an MSI-X table lacks bar, offset or vectors", "write {\"bar\":3,\"offset\":\"0x2000\",\"vectors\":64}");
        if (from > uint.MaxValue || from % MsixTable.OffsetAlignment != 0)
            return Fail("the \"offset\" of an MSI-X table is no multiple of 8 below 2^32", "take it from lspci -vv (Vector table)");
        table = new(register, from, count);
        return true;
    }

    private bool TryReadBars(ImmutableArray<Bar>.Builder bars)
    {
        if (!Expect(JsonTokenType.StartArray, "bars", "an array"))
            return false;
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (bars.Count == MaxBars)
                return Fail($"a device has more than {MaxBars} windows", "check the file");
            if (!TryReadBar(out Bar? bar))
                return false;
            bars.Add(bar!);
        }

        return true;
    }

    private bool TryReadBar(out Bar? bar)
    {
        bar = null;
        if (!Expect(JsonTokenType.StartObject, "bars", "an array of objects"))
            return false;
        int line = Line;
        int index = 0;
        BarKind kind = BarKind.Memory;
        ulong start = 0;
        ulong end = 0;
        bool is64Bit = false;
        bool isPrefetchable = false;
        while (NextMember())
        {
            string? name = Known(["index", "kind", "start", "end", "is64Bit", "prefetchable"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
            bool isRead = name switch
            {
                "index" => TryReadNumber(name, 0, MaxBars - 1, out index),
                "kind" => TryReadBarKind(out kind),
                "start" => TryReadAddress(name, out start),
                "end" => TryReadAddress(name, out end),
                "is64Bit" => TryReadBoolean(name, out is64Bit),
                _ => TryReadBoolean(name, out isPrefetchable),
            };
            if (!isRead)
                return false;
        }

        // The rules for the range of a window are those of an entry.
        if (!EntryRange.Exclusive(start, end).TryMakeEntry(E820Type.Reserved, _source, line, out _, out InputError? error))
        {
            Error = error;
            return false;
        }

        bar = new(index, kind, start, end, is64Bit, isPrefetchable);
        return true;
    }

    private bool TryReadBarKind(out BarKind kind)
    {
        kind = BarKind.Memory;
        if (!TryReadText("kind", out string text))
            return false;
        foreach (BarKind candidate in Enum.GetValues<BarKind>())
        {
            if (HostMapJson.NameOf(candidate) == text)
            {
                kind = candidate;
                return true;
            }
        }

        return Fail($"unknown kind of window {InputError.Quote(text)}", "kinds are memory, rom, virtual-function and bridge-window");
    }
}
