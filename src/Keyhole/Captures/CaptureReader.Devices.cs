// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Captures;

/// <summary>Reads a capture's "devices".</summary>
internal ref partial struct CaptureReader
{
    private static readonly string[] s_barMembers =
        ["index", "size", "type", "kind", "is64Bit", "prefetchable", "sign", "virtual", "current", "supported"];

    private static readonly PciDevice s_noDetails = new(default, "", []);

    private bool TryReadDevices(string name, int most, out ImmutableArray<PciDevice> devices)
    {
        devices = [];
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        // A fleet judges a host by the devices that it is known to have all of.
        CaptureSkim? skim = most == MaxDevices ? _skim : null;
        ImmutableArray<PciDevice>.Builder? read = _makesDocument ? ImmutableArray.CreateBuilder<PciDevice>() : null;
        int count = 0;
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (count++ == most)
                return Fail(TooLarge, $"\"{name}\" has more than {most} functions", "check the file");
            if (!TryReadDevice(skim, out PciDevice? device))
                return false;
            read?.Add(device!);
        }

        if (read is not null)
            devices = read.ToImmutable();
        if (skim is not null)
            skim.DeviceCount = count;
        return true;
    }

    private bool TryReadDevice(CaptureSkim? skim, out PciDevice? device)
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
        int? iommuGroup = null;
        MsixTable? msix = null;
        PciDevice details = s_noDetails;
        ImmutableArray<Bar>.Builder? bars = _makesDocument ? ImmutableArray.CreateBuilder<Bar>() : null;
        int barCount = 0;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["address", "description", "bars", "vendor", "device", "class", "driver", "msix", "requests", "unplaced",
                "resizable", "sriov", "iommuGroup"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            if (name == "bars")
            {
                if (!TryReadBars(bars, skim, ref barCount))
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
                    return Fail(OutOfRange, $"\"{name}\" is out of range", "PCI vendors and devices have 16 bits, classes 24");
                if (name == "vendor")
                    vendor = (int)number;
                else if (name == "device")
                    deviceId = (int)number;
                else
                    classCode = (int)number;
                continue;
            }

            if (name == "iommuGroup")
            {
                if (!TryReadNumber(name, 0, int.MaxValue, out int group))
                    return false;
                iommuGroup = group;
                continue;
            }

            if (name == "address")
            {
                if (!TryReadPciAddress(name, out PciAddress parsed))
                    return false;
                address = parsed;
                continue;
            }

            if (!TryReadKept(name, out string text))
                return false;
            if (name == "description")
                description = text;
            else
                driver = text;
        }

        if (address is not { } found)
            return Fail(Missing, "a device lacks its address", "write it as dddd:bb:dd.f");
        if (bars is null)
            return true;
        device = new(found, description, bars.ToImmutable())
        {
            VendorId = vendor,
            DeviceId = deviceId,
            ClassCode = classCode,
            Driver = driver,
            IommuGroup = iommuGroup,
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
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["bar", "offset", "vectors"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
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
            return Fail(Missing, "an MSI-X table lacks bar, offset or vectors", "write {\"bar\":3,\"offset\":\"0x2000\",\"vectors\":64}");
        if (from > uint.MaxValue || from % MsixTable.OffsetAlignment != 0)
            return Fail(OutOfRange, "the \"offset\" of an MSI-X table is not a multiple of 8 below 2^32", "take it from lspci -vv (Vector table)");
        table = new(register, from, count);
        return true;
    }

    private bool TryReadBars(ImmutableArray<Bar>.Builder? bars, CaptureSkim? skim, ref int count)
    {
        if (!Expect(JsonTokenType.StartArray, "bars", "an array"))
            return false;
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (count++ == MaxBars)
                return Fail(TooLarge, $"a device has more than {MaxBars} windows", "check the file");
            if (!TryReadBar(bars, skim))
                return false;
        }

        return true;
    }

    private bool TryReadBar(ImmutableArray<Bar>.Builder? bars, CaptureSkim? skim)
    {
        if (!Expect(JsonTokenType.StartObject, "bars", "an array of objects"))
            return false;
        long from = _reader.TokenStartIndex;
        int index = 0;
        BarKind kind = BarKind.Memory;
        ulong start = 0;
        ulong end = 0;
        bool is64Bit = false;
        bool isPrefetchable = false;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["index", "kind", "start", "end", "is64Bit", "prefetchable"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
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
        if (!EntryRange.Exclusive(start, end).TryMakeEntry(E820Type.Reserved, _source, null, out _, out InputError? error))
        {
            Error = error! with { Line = LineAt(from) };
            return false;
        }

        bars?.Add(new(index, kind, start, end, is64Bit, isPrefetchable));
        skim?.Windows.Add(new(kind, start, end));
        return true;
    }

    private bool TryReadBarKind(out BarKind kind)
    {
        Span<char> buffer = stackalloc char[MaxPlainLength];
        if (TryPlain(buffer, out ReadOnlySpan<char> plain) && IsKind(plain, out kind))
            return true;
        kind = BarKind.Memory;
        if (!TryReadText("kind", out string text))
            return false;
        return IsKind(text, out kind)
            || Fail(UnknownWord, $"unknown kind of window {InputError.Quote(text)}", "kinds are memory, rom, virtual-function and bridge-window");
    }

    private static bool IsKind(ReadOnlySpan<char> text, out BarKind kind)
    {
        for (kind = BarKind.Memory; kind <= BarKind.BridgeWindow; kind++)
        {
            if (text.SequenceEqual(CaptureNames.Of(kind)))
                return true;
        }

        kind = BarKind.Memory;
        return false;
    }

    private bool TryReadPciAddress(string name, out PciAddress address)
    {
        Span<char> buffer = stackalloc char[MaxPlainLength];
        if (TryPlain(buffer, out ReadOnlySpan<char> plain) && PciAddress.TryParse(plain, out address))
            return true;
        address = default;
        if (!TryReadText(name, out string text))
            return false;
        return PciAddress.TryParse(text, out address)
            || Fail(Malformed, $"{InputError.Quote(text)} is not a valid PCI address", "write it as dddd:bb:dd.f");
    }

    private bool TryReadDetails(string name, ref PciDevice details)
    {
        if (name == "sriov")
            return TryReadSriov(ref details);
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        for (int count = 0; _reader.Read() && _reader.TokenType != JsonTokenType.EndArray; count++)
        {
            if (count == MaxBars)
                return Fail(TooLarge, $"\"{name}\" has more than {MaxBars} members", "check the file");
            if (!TryReadDetail(name, ref details))
                return false;
        }

        return true;
    }

    private bool TryReadSriov(ref PciDevice details)
    {
        if (!Expect(JsonTokenType.StartObject, "sriov", "an object"))
            return false;
        int total = 0;
        int enabled = 0;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["total", "enabled"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            if (name == "total" ? !TryReadNumber(name, 1, 0xffff, out total) : !TryReadNumber(name, 0, 0xffff, out enabled))
                return false;
        }

        if (total == 0 || enabled > total)
            return Fail(Missing, "\"sriov\" has no total, or more functions enabled than that", "write {\"total\":16,\"enabled\":0}");
        details = details with { Sriov = new(total, enabled) };
        return true;
    }

    private bool TryReadDetail(string list, ref PciDevice details)
    {
        if (!Expect(JsonTokenType.StartObject, list, "an array of objects"))
            return false;
        int index = 0;
        ulong size = 0;
        string text = "";
        BarKind kind = BarKind.Memory;
        bool is64Bit = false;
        bool isPrefetchable = false;
        bool isVirtual = false;
        ulong current = 0;
        ImmutableArray<ulong> supported = [];
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(s_barMembers, ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            bool isRead = name switch
            {
                "index" => TryReadNumber(name, 0, MaxBars - 1, out index),
                "size" => TryReadPage(name, out size),
                "type" or "sign" => TryReadText(name, out text),
                "kind" => TryReadBarKind(out kind),
                "is64Bit" => TryReadBoolean(name, out is64Bit),
                "prefetchable" => TryReadBoolean(name, out isPrefetchable),
                "virtual" => TryReadBoolean(name, out isVirtual),
                "current" => TryReadPage(name, out current),
                _ => TryReadAddresses(name, out supported),
            };
            if (!isRead)
                return false;
        }

        switch (list)
        {
            case "requests":
                if (!BarTypes.TryParse(text, out BarType type) || !BarRequest.TryCreate(index, size, type, out BarRequest request))
                    return Fail(OutOfRange,
                        $"\"requests\" has BAR {index} of type {InputError.Quote(text)} and size 0x{size:x}, which no register can ask for",
                        "take it from a capture or lspci -vv");
                details = details with { Requests = details.Requests.Add(request) };
                return true;
            case "unplaced":
                details = details with { Unplaced = details.Unplaced.Add(new(index, kind, size, is64Bit, isPrefetchable, text)) };
                return true;
            default:
                if (index >= Bar.RomIndex)
                    return Fail(OutOfRange, "\"resizable\" has an index above 5", "a function has six base address registers");
                details = details with { Resizable = details.Resizable.Add(new(index, current, supported, isVirtual)) };
                return true;
        }
    }
}
