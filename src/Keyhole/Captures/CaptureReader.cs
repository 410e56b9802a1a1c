// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
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

/// <summary>One pass over the tokens of a capture. Malformed JSON throws JsonException; JSON of another shape is an <see cref="InputError"/> with its line.</summary>
internal ref partial struct CaptureReader
{
    private const int MaxDepth = 32;
    private const int MaxDevices = 16384;
    private const int MaxBars = 32;
    private const int MaxTextLength = 200;

    /// <summary>Characters of an address, a type or a PCI address.</summary>
    private const int MaxPlainLength = 24;

    private static readonly string[] s_members = ["source", "machineMap", "ramShown", "entries", "machineEntries", "traits", "devices", "reservedRegions", "iomem"];
    private static readonly string[] s_membersOfPlans = ["e820", "entries"];

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _source;
    private Utf8JsonReader _reader;

    private readonly bool _takesPlans;
    private readonly CaptureSkim? _skim;

    /// <param name="takesPlans">Whether "e820" of a plan's or a boot's answer is as good as "entries".</param>
    /// <param name="skim">What is kept where the host itself is not wanted; null: a document is made.</param>
    public CaptureReader(ReadOnlySpan<byte> bytes, string source, bool takesPlans = false, CaptureSkim? skim = null)
    {
        _takesPlans = takesPlans;
        _skim = skim;
        _bytes = bytes;
        _source = source;
        _reader = new(bytes, new JsonReaderOptions { MaxDepth = MaxDepth });
    }

    public InputError? Error { get; private set; }

    private readonly int Line => LineAt(_reader.TokenStartIndex);

    private readonly int LineAt(long position) => _bytes[..(int)position].Count((byte)'\n') + 1;

    /// <summary>Reads the capture for its skim alone.</summary>
    public bool TrySkim() => TryRead(out _);

    /// <param name="map">Null for a skim.</param>
    public bool TryRead(out HostDocument? map)
    {
        map = null;
        List<E820Entry>? entries = null;
        List<E820Entry>? machineEntries = null;
        ImmutableArray<ReservedRegion> regions = [];
        ImmutableArray<string> iomem = [];
        ImmutableArray<PciDevice> devices = [];
        HostTraits traits = HostTraits.Unknown;
        string description = "";
        bool isMachineMap = false;
        RamShown ramShown = RamShown.All;
        uint seen = 0;

        _reader.Read();
        if (_reader.TokenType != JsonTokenType.StartObject)
            return Fail("a capture is a JSON object", "write {\"entries\":[{\"start\":\"0x0\",\"end\":\"0xa0000\",\"type\":\"ram\"}]}");
        while (NextMember())
        {
            if (_skim is { HasName: false } && _reader.ValueTextEquals("name"))
            {
                _reader.Read();
                TakeName();
                continue;
            }

            ReadOnlySpan<string> names = _takesPlans ? s_membersOfPlans : s_members;
            string? name = Known(names);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            uint flag = 1u << names.IndexOf(name);
            if ((seen & flag) != 0)
                return Fail($"\"{name}\" is there twice", "keep one of them");
            seen |= flag;
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

        if (found.Count == 0)
            return Fail("the map in the JSON has no entries", "a map has at least one entry");
        if (_skim is not null)
        {
            _skim.RamShown = ramShown;
            return true;
        }

        map = new()
        {
            Host = new()
            {
                Entries = [.. found],
                IsMachineMap = isMachineMap,
                RamShown = ramShown,
                MachineEntries = machineEntries is null ? [] : [.. machineEntries],
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

    /// <summary>Checks a text of which nothing is made.</summary>
    private bool TryPassText(string name) =>
        (_reader.TokenType == JsonTokenType.String && !_reader.ValueIsEscaped && _reader.ValueSpan.Length <= MaxTextLength && Ascii.IsValid(_reader.ValueSpan)) || TryReadText(name, out _);

    /// <summary>A text that the document holds; a skim has no use for it.</summary>
    private bool TryReadKept(string name, out string text)
    {
        text = "";
        return _skim is null ? TryReadText(name, out text) : TryPassText(name);
    }

    /// <summary>The characters of a string that is short and plain, as nearly all are; nothing is allocated.</summary>
    private readonly bool TryPlain(Span<char> buffer, out ReadOnlySpan<char> text)
    {
        text = default;
        if (_reader.TokenType != JsonTokenType.String || _reader.ValueIsEscaped || _reader.ValueSpan.Length > buffer.Length
            || !Encoding.ASCII.TryGetChars(_reader.ValueSpan, buffer, out int length) || !Ascii.IsValid(_reader.ValueSpan))
        {
            return false;
        }

        text = buffer[..length];
        return true;
    }

    /// <summary>The name that a line of a fleet gives its host; one that is no text is as good as none.</summary>
    private void TakeName()
    {
        if (_reader.TokenType != JsonTokenType.String)
        {
            _reader.Skip();
            return;
        }

        _skim!.HasName = true;
        try
        {
            string text = InputError.OneLine(_reader.GetString(), CaptureSkim.MaxNameLength);
            _skim.Name = text.Length == 0 ? null : text;
        }
        catch (InvalidOperationException)
        {
            // Lone surrogates, or bytes that are no UTF-8.
        }
    }

    private bool TryReadRamShown(string name, out RamShown shown)
    {
        shown = RamShown.All;
        if (!Expect(JsonTokenType.String, name, "a string") || !TryReadText(name, out string text))
            return false;
        foreach (RamShown candidate in Enum.GetValues<RamShown>())
        {
            if (CaptureNames.Of(candidate) == text)
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
        Span<char> buffer = stackalloc char[MaxPlainLength];
        if (TryPlain(buffer, out ReadOnlySpan<char> plain) && IsAddress(plain, out address))
            return true;
        const string form = "a hex string such as \"0x100000\"";
        if (!Expect(JsonTokenType.String, name, form) || !TryReadText(name, out string text))
            return false;
        return IsAddress(text, out address)
            || Fail($"\"{name}\" is {InputError.Quote(text)}, not a hex string of at most 64 bits", $"make it {form}");
    }

    private static bool IsAddress(ReadOnlySpan<char> text, out ulong address)
    {
        address = 0;
        TextCursor cursor = new(text);
        return cursor.TryText("0x") && cursor.TryHex(out address) && cursor.Rest.IsEmpty;
    }

    private bool TryReadSource(ref string description)
    {
        if (_reader.TokenType == JsonTokenType.String)
            return TryReadKept("source", out description);
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
            if (!TryReadKept("description", out description))
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
            long from = _reader.TokenStartIndex;
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
                    _ => TryReadKept(member, out type),
                };
                if (!isRead)
                    return false;
            }

            if (!EntryRange.Exclusive(start, end).TryMakeEntry(E820Type.Reserved, _source, null, out _, out InputError? error))
            {
                Error = error! with { Line = LineAt(from) };
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
            if (!TryReadKept("iomem", out string line))
                return false;
            if (_skim is null)
                read.Add(line);
        }

        lines = read.ToImmutable();
        return true;
    }

    private bool TryReadEntries(string name, out List<E820Entry>? entries)
    {
        entries = null;
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        List<E820Entry> read = _skim is not null && name == "entries" ? _skim.Entries : [];
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

        entries = read;
        return true;
    }

    private bool TryReadEntry(out E820Entry entry)
    {
        entry = default;
        long from = _reader.TokenStartIndex;
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
                if (!TryReadType(name, out E820Type named))
                    return false;
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
        if (EntryRange.Exclusive(start.Value, end.Value).TryMakeEntry(type.Value, _source, null, out entry, out InputError? error))
            return true;
        Error = error! with { Line = LineAt(from) };
        return false;
    }

    private bool TryReadType(string name, out E820Type type)
    {
        Span<char> buffer = stackalloc char[MaxPlainLength];
        if (TryPlain(buffer, out ReadOnlySpan<char> plain) && E820TypeNames.TryParse(plain, out type))
            return true;
        type = default;
        if (!TryReadText(name, out string text))
            return false;
        return E820TypeNames.TryParse(text, out type)
            || Fail($"unknown type {InputError.Quote(text)}", "types are ram, reserved, acpi, nvs, unusable, pmem, pram and type-N");
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
}

/// <summary>What a fleet takes of a capture. It is used again for the next: nothing is allocated but the name.</summary>
internal sealed class CaptureSkim
{
    public const int MaxNameLength = 100;

    public List<E820Entry> Entries { get; } = [];

    /// <summary>Where the devices' windows lie, in the capture's order.</summary>
    public List<CaptureWindow> Windows { get; } = [];

    public int DeviceCount { get; set; }

    public RamShown RamShown { get; set; }

    /// <summary>Whether the capture has a member "name" that is a string.</summary>
    public bool HasName { get; set; }

    /// <summary>One line; null where there is none.</summary>
    public string? Name { get; set; }

    public void Clear()
    {
        Entries.Clear();
        Windows.Clear();
        DeviceCount = 0;
        RamShown = RamShown.All;
        HasName = false;
        Name = null;
    }
}

/// <summary>Where a window lies, in bytes, the end exclusive.</summary>
internal readonly record struct CaptureWindow(BarKind Kind, ulong Start, ulong End);
