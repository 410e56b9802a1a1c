// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Captures;

/// <summary>One pass over the tokens of a capture. Malformed JSON throws JsonException; JSON of another shape is an <see cref="InputError"/> with its
/// line.</summary>
internal ref partial struct CaptureReader
{
    private const int MaxDepth = 32;
    private const int MaxDevices = 16384;
    private const int MaxBars = 32;

    /// <summary>Devices that a log told of: more are not written, and not read.</summary>
    internal const int MaxLoggedDevices = 4096;
    private const int MaxTextLength = 200;

    /// <summary>Characters of an address, a type or a PCI address.</summary>
    private const int MaxPlainLength = 24;

    private static readonly string[] s_members = ["source", "machineMap", "ramShown", "entriesLost", "lostRanges", "ramCounted", "entries",
        "machineEntries", "traits", "devices", "loggedDevices", "reservedRegions", "iomem"];
    private static readonly string[] s_membersOfPlans = ["e820", "entries"];

    private readonly ReadOnlySpan<byte> _bytes;
    private readonly string _source;
    private Utf8JsonReader _reader;

    private readonly bool _takesPlans;
    private readonly CaptureSkim? _skim;

    /// <summary>Whether a document is made; else what is read is only checked.</summary>
    private readonly bool _makesDocument;

    /// <param name="takesPlans">Whether "e820" of a plan's or a boot's answer is as good as "entries".</param>
    /// <param name="skim">What is kept for a fleet; null: a document is made.</param>
    public CaptureReader(ReadOnlySpan<byte> bytes, string source, bool takesPlans = false, CaptureSkim? skim = null)
    {
        _takesPlans = takesPlans;
        _skim = skim;
        _makesDocument = skim is null or { WantsHost: true };
        _bytes = bytes;
        _source = source;
        _reader = new(bytes, new JsonReaderOptions { MaxDepth = MaxDepth });
    }

    public InputError? Error { get; private set; }

    private readonly int Line => LineAt(_reader.TokenStartIndex);

    private readonly int LineAt(long position) => _bytes[..(int)position].Count((byte)'\n') + 1;

    /// <summary>Reads the capture for its skim alone.</summary>
    public bool TrySkim()
    {
        if (!TryRead(out HostDocument? document))
            return false;
        if (_skim is not null)
            _skim.Host = document?.Host;
        return true;
    }

    /// <param name="map">Null for a skim that wants no host.</param>
    public bool TryRead(out HostDocument? map)
    {
        map = null;
        List<E820Entry>? entries = null;
        List<E820Entry>? machineEntries = null;
        ImmutableArray<ReservedRegion> regions = [];
        ImmutableArray<string> iomem = [];
        ImmutableArray<PciDevice> devices = [];
        ImmutableArray<PciDevice> logged = [];
        HostTraits traits = HostTraits.Unknown;
        string description = "";
        bool isMachineMap = false;
        RamShown ramShown = RamShown.All;
        bool hasLostEntries = false;
        ImmutableArray<ByteRange> lostRanges = [];
        ulong ramCounted = 0;
        uint seen = 0;

        _reader.Read();
        if (_reader.TokenType != JsonTokenType.StartObject)
            return Fail(Malformed, "a capture is a JSON object", "write {\"entries\":[{\"start\":\"0x0\",\"end\":\"0xa0000\",\"type\":\"ram\"}]}");
        while (NextMember())
        {
            if (_skim is { HasName: false } && _reader.ValueTextEquals("name"))
            {
                _reader.Read();
                TakeName();
                continue;
            }

            if (!TryNext(_takesPlans ? s_membersOfPlans : s_members, ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            bool isRead = name switch
            {
                "source" => TryReadSource(ref description),
                "machineMap" => TryReadBoolean(name, out isMachineMap),
                "ramShown" => TryReadRamShown(name, out ramShown),
                "entriesLost" => TryReadBoolean(name, out hasLostEntries),
                "lostRanges" => TryReadByteRanges(name, out lostRanges),
                "ramCounted" => TryReadAddress(name, out ramCounted),
                "entries" or "e820" => TryReadEntries(name, out entries),
                "machineEntries" => TryReadEntries(name, out machineEntries),
                "reservedRegions" => TryReadRegions(out regions),
                "iomem" => TryReadIomem(out iomem),
                "traits" => TryReadTraits(out traits),
                "loggedDevices" => TryReadDevices(name, MaxLoggedDevices, out logged),
                _ => TryReadDevices(name, MaxDevices, out devices),
            };
            if (!isRead)
                return false;
        }

        // Something behind the object is malformed: this throws.
        _reader.Read();
        if (entries is not { } found)
        {
            return _takesPlans
                ? Fail(Missing, "there is neither \"e820\" nor \"entries\" in the JSON",
                    $"give the file as {Setting.Plan}, {Setting.Boot} or {Setting.CaptureWriter} wrote it in JSON")
                : Fail(Missing, "there is no \"entries\" in the JSON", $"give the file as {Setting.CaptureWriter} wrote it");
        }

        if (found.Count == 0)
            return Fail(NothingInIt, "the map in the JSON has no entries", "a map has at least one entry");
        lostRanges = lostRanges.IsEmpty ? hasLostEntries ? LostLines.AnyGapOf([.. found]) : []
            : ByteRanges.Union(lostRanges.SelectMany(range => LostLines.GapsIn(range, [.. found])));
        if (_skim is not null)
        {
            _skim.LostRanges = lostRanges;
            _skim.Traits = traits;
            _skim.RamShown = !lostRanges.IsEmpty ? RamShown.Part : ramShown;
            if (!_makesDocument)
                return true;
        }

        map = new()
        {
            Host = new()
            {
                Entries = [.. found],
                IsMachineMap = isMachineMap,
                RamShown = ramShown,
                LostRanges = lostRanges,
                RamCounted = ramCounted == 0 ? null : ramCounted,
                MachineEntries = machineEntries is null ? [] : [.. machineEntries],
                Traits = traits,
                Devices = devices,
                LoggedDevices = logged,
                ReservedRegions = regions,
            },
            Dialect = HostMapDialect.Json,
            Description = description.Length == 0 ? $"JSON, {_source}" : $"{description} (JSON, {_source})",
            IomemLines = iomem,
        };
        return true;
    }

    private bool TryReadSource(ref string description)
    {
        if (_reader.TokenType == JsonTokenType.String)
            return TryReadKept("source", out description);
        if (!Expect(JsonTokenType.StartObject, "source", "an object"))
            return false;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["description"], ref seen, out string? name) || (name is not null && !TryReadKept(name, out description)))
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
                return Fail(TooLarge, $"\"{name}\" has more than {ReservedRegion.MaxCount} regions", "check the file");
            ulong start = 0;
            ulong end = 0;
            string type = "";
            uint seen = 0;
            while (NextMember())
            {
                if (!TryNext(["start", "end", "type"], ref seen, out string? member))
                    return false;
                if (member is null)
                    continue;
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
            if (_makesDocument)
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
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["start", "end", "type"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
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
            return Fail(Missing, "an entry lacks start, end or type", "write {\"start\":\"0x0\",\"end\":\"0xa0000\",\"type\":\"ram\"}");
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
            || Fail(UnknownWord, $"unknown type {InputError.Quote(text)}", "types are ram, reserved, acpi, nvs, unusable, pmem, pram and type-N");
    }

    private bool TryReadPage(string name, out ulong address) =>
        TryReadAddress(name, out address)
            && (address < Frames.AddressLimit || Fail(OutOfRange, $"\"{name}\" is above 2^52", "x86 has at most 52 address bits"));

    private bool TryReadAddresses(string name, out ImmutableArray<ulong> addresses)
    {
        addresses = [];
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        ImmutableArray<ulong>.Builder read = ImmutableArray.CreateBuilder<ulong>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (read.Count == LogTraits.MaxPages)
                return Fail(TooLarge, $"\"{name}\" has more than {LogTraits.MaxPages} addresses", "check the file");
            if (!TryReadPage(name, out ulong address))
                return false;
            read.Add(address);
        }

        addresses = read.ToImmutable();
        return true;
    }
}
