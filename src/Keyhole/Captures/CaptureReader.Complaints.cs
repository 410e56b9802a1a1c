// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Captures;

/// <summary>Reads "complaints" of a capture's "traits".</summary>
internal ref partial struct CaptureReader
{
    private static readonly string[] s_complaints =
    [
        "ineligible", "relaxesDeviceMemory", "sharing", "taken", "framebuffers", "consoleWindows", "consoleRanges", "mapFailures", "reallocates",
        "hugePages", "exceededLock",
    ];

    /// <summary>Linux' numbers of errors end here.</summary>
    private const int MaxError = 4095;

    /// <summary>One object of one of the lists: what of it the list does not have stays as it is here.</summary>
    private ref struct Complaint
    {
        public PciAddress? Device;
        public int? Index;
        public ulong? Start;
        public ulong? End;
        public ulong? Page;
        public ulong? Address;
        public ulong? Size;
        public int? Error;
        public ulong? Count;
        public ulong? Wanted;
        public bool IsOfKvm;
    }

    private bool TryReadComplaints(out HostComplaints complaints)
    {
        complaints = HostComplaints.None;
        if (!Expect(JsonTokenType.StartObject, "complaints", "an object"))
            return false;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(s_complaints, ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            if (!TryReadComplaint(name, ref complaints))
                return false;
        }

        return true;
    }

    private bool TryReadComplaint(string name, ref HostComplaints complaints)
    {
        switch (name)
        {
            case "ineligible":
                if (!TryReadPciAddresses(name, out ImmutableArray<PciAddress> devices))
                    return false;
                complaints = complaints with { Ineligible = devices };
                return true;
            case "relaxesDeviceMemory":
                if (!TryReadBoolean(name, out bool relaxes))
                    return false;
                complaints = complaints with { RelaxesDeviceMemory = relaxes };
                return true;
            case "reallocates":
                if (!TryReadBoolean(name, out bool reallocates))
                    return false;
                complaints = complaints with { Reallocates = reallocates };
                return true;
            case "framebuffers":
                if (!TryReadAddresses(name, out ImmutableArray<ulong> addresses))
                    return false;
                complaints = complaints with { Framebuffers = addresses };
                return true;
            case "exceededLock":
                if (!TryReadAddress(name, out ulong limit))
                    return false;
                complaints = complaints with { ExceededLock = limit };
                return true;
            default:
                return TryReadList(name, ref complaints);
        }
    }

    private bool TryReadList(string list, ref HostComplaints complaints)
    {
        if (!Expect(JsonTokenType.StartArray, list, "an array"))
            return false;
        var sharing = ImmutableArray.CreateBuilder<SharedMemoryDevice>();
        var taken = ImmutableArray.CreateBuilder<TakenWindow>();
        var console = ImmutableArray.CreateBuilder<(PciAddress, int)>();
        var ranges = ImmutableArray.CreateBuilder<(PciAddress, ByteRange)>();
        var failures = ImmutableArray.CreateBuilder<MapFailure>();
        var pools = ImmutableArray.CreateBuilder<HugePagePool>();
        for (int count = 0; _reader.Read() && _reader.TokenType != JsonTokenType.EndArray; count++)
        {
            if (count == LogTraits.MaxPages)
                return Fail(TooLarge, $"\"{list}\" has more than {LogTraits.MaxPages} members", "check the file");
            if (!TryReadMember(list, out Complaint read))
                return false;
            switch (list)
            {
                case "sharing" when read is { Device: { } device, Start: { } start }:
                    sharing.Add(new(device, start));
                    break;
                case "taken" when read is { Device: { } device, Index: { } index, Start: { } start, End: { } end } && start < end:
                    taken.Add(new(device, index, ByteRange.FromBounds(start, end)));
                    break;
                case "consoleWindows" when read is { Device: { } device, Index: { } index }:
                    console.Add((device, index));
                    break;
                case "consoleRanges" when read is { Device: { } device, Start: { } start, End: { } end } && start < end:
                    ranges.Add((device, ByteRange.FromBounds(start, end)));
                    break;
                case "mapFailures" when read is { Address: { } address, Size: { } size, Error: { } error }:
                    failures.Add(new(address, size, error) { IsOfKvm = read.IsOfKvm });
                    break;
                case "hugePages" when read is { Page: { } page, Count: { } pages }:
                    pools.Add(new(page, pages, read.Wanted));
                    break;
                default:
                    return Fail(Missing, $"a member of \"{list}\" lacks something, or ends before it starts", list switch
                    {
                        "sharing" => "write {\"device\":\"0000:00:14.0\",\"start\":\"0xdb7d7000\"}",
                        "taken" => "write {\"device\":\"0000:08:00.0\",\"index\":1,\"start\":\"0xd0000000\",\"end\":\"0xe0000000\"}",
                        "consoleWindows" => "write {\"device\":\"0000:08:00.0\",\"index\":1}",
                        "consoleRanges" => "write {\"device\":\"0000:08:00.0\",\"start\":\"0xd0000000\",\"end\":\"0xe0000000\"}",
                        "mapFailures" => "write {\"address\":\"0x380010000000\",\"size\":\"0x2000000\",\"error\":22}",
                        _ => "write {\"page\":\"0x200000\",\"count\":16}",
                    });
            }
        }

        complaints = list switch
        {
            "sharing" => complaints with { Sharing = sharing.DrainToImmutable() },
            "taken" => complaints with { Taken = taken.DrainToImmutable() },
            "consoleWindows" => complaints with { ConsoleWindows = console.DrainToImmutable() },
            "consoleRanges" => complaints with { ConsoleRanges = ranges.DrainToImmutable() },
            "mapFailures" => complaints with { MapFailures = failures.DrainToImmutable() },
            _ => complaints with { HugePages = pools.DrainToImmutable() },
        };
        return true;
    }

    private bool TryReadMember(string list, out Complaint read)
    {
        read = default;
        if (!Expect(JsonTokenType.StartObject, list, "an array of objects"))
            return false;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["device", "index", "start", "end", "page", "address", "size", "error", "count", "wanted", "kvm"], ref seen,
                out string? name))
                return false;
            if (name is null)
                continue;
            PciAddress device = default;
            int index = 0;
            ulong number = 0;
            bool isOfKvm = false;
            bool isRead = name switch
            {
                "device" => TryReadPciAddress(name, out device),
                "index" => TryReadNumber(name, 0, Bar.RomIndex, out index),
                "start" => TryReadPage(name, out number),
                "error" => TryReadNumber(name, 1, MaxError, out index),
                "end" or "address" or "size" => TryReadAddress(name, out number)
                    && (number <= Frames.AddressLimit || Fail(OutOfRange, $"\"{name}\" is above 2^52", "x86 has at most 52 address bits")),
                "page" => TryReadHugePage(name, out number),
                "kvm" => TryReadBoolean(name, out isOfKvm),
                _ => TryReadCount(name, out number),
            };
            if (!isRead)
                return false;
            switch (name)
            {
                case "device":
                    read.Device = device;
                    break;
                case "index":
                    read.Index = index;
                    break;
                case "start":
                    read.Start = number;
                    break;
                case "end":
                    read.End = number;
                    break;
                case "page":
                    read.Page = number;
                    break;
                case "address":
                    read.Address = number;
                    break;
                case "size":
                    read.Size = number;
                    break;
                case "error":
                    read.Error = index;
                    break;
                case "kvm":
                    read.IsOfKvm = isOfKvm;
                    break;
                case "count":
                    read.Count = number;
                    break;
                default:
                    read.Wanted = number;
                    break;
            }
        }

        return true;
    }

    private bool TryReadHugePage(string name, out ulong bytes) => TryReadAddress(name, out bytes)
        && (bytes is 2UL << 20 or 1UL << 30 || Fail(OutOfRange, $"\"{name}\" is no size of huge pages", "write 0x200000 or 0x40000000"));

    private bool TryReadCount(string name, out ulong count)
    {
        count = 0;
        if (!Expect(JsonTokenType.Number, name, "a number"))
            return false;
        bool isCount = _reader.TryGetUInt32(out uint number);
        count = number;
        return isCount || Fail(OutOfRange, $"\"{name}\" is out of range", $"give one between 0 and {uint.MaxValue}");
    }

    private bool TryReadPciAddresses(string list, out ImmutableArray<PciAddress> devices)
    {
        devices = [];
        if (!Expect(JsonTokenType.StartArray, list, "an array"))
            return false;
        var read = ImmutableArray.CreateBuilder<PciAddress>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (read.Count == LogTraits.MaxPages)
                return Fail(TooLarge, $"\"{list}\" has more than {LogTraits.MaxPages} devices", "check the file");
            if (!TryReadPciAddress(list, out PciAddress device))
                return false;
            read.Add(device);
        }

        devices = read.DrainToImmutable();
        return true;
    }
}
