// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Reading;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Captures;

/// <summary>Reads a capture's "traits".</summary>
internal ref partial struct CaptureReader
{
    private static readonly string[] s_traits =
    [
        "ioApics", "iommus", "cpuVendor", "cpuFamily", "physicalAddressBits", "acpiAddressBits", "efi", "xenVersion", "xenPatch", "linux",
        "iommuFailure", "iommuFailureOfLinux", "protectedHpet", "reservedDeviceMemory", "otherDenied", "reservedInDom0",
    ];

    private static readonly string[] s_widths =
        ["kernelOptions", "gibPages", "iommu", "iommuAddressBits", "iommuInUse", "iommuInUseByLinux", "iommuNotShown",
            "rootWindows", "firmware", "deviceMemoryOwners", "deviceMemoryNotTold", "complaints"];

    private static readonly string[] s_allTraits = [.. s_traits, .. s_widths];

    private static readonly string[] s_vendors = ["GenuineIntel", "AuthenticAMD", "HygonGenuine"];

    private bool TryReadTraits(out HostTraits traits)
    {
        traits = HostTraits.Unknown;
        int? patch = null;
        XenVersion? xen = null;
        if (!Expect(JsonTokenType.StartObject, "traits", "an object"))
            return false;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(s_allTraits, ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            if (s_widths.AsSpan().Contains(name))
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
                "cpuVendor" => TryReadVendor(name, out text),
                "cpuFamily" => TryReadNumber(name, 0, 0x10e, out number),
                "physicalAddressBits" or "acpiAddressBits" => TryReadNumber(name, 32, 52, out number),
                "efi" => TryReadBoolean(name, out flag),
                "xenVersion" => TryReadXen(name, ref xen),
                "linux" or "iommuFailure" or "iommuFailureOfLinux" => TryReadKept(name, out text),
                "xenPatch" => TryReadNumber(name, 0, XenVersion.MostPart, out number),
                "reservedDeviceMemory" or "otherDenied" or "reservedInDom0" => TryReadRanges(name, out denied),
                _ => TryReadPage(name, out address),
            };
            if (!isRead)
                return false;
            if (name == "xenPatch")
            {
                patch = number;
                continue;
            }

            // What a fleet asks of a host is a part of it.
            if (!_makesDocument && name is not ("cpuVendor" or "xenVersion"))
                continue;
            traits = name switch
            {
                "ioApics" => traits with { IoApics = addresses },
                "iommus" => traits with { Iommus = addresses },
                "cpuVendor" => traits with { CpuVendor = text.Length == 0 ? null : text },
                "cpuFamily" => traits with { CpuFamily = number },
                "physicalAddressBits" => traits with { PhysicalAddressBits = number },
                "acpiAddressBits" => traits with { AcpiAddressBits = number },
                "efi" => traits with { IsEfi = flag },
                "reservedDeviceMemory" => traits with { ReservedDeviceMemory = denied },
                "iommuFailure" => traits with { IommuFailure = text },
                "iommuFailureOfLinux" => traits with { LinuxIommuFailure = text },
                "linux" => traits with { LinuxRelease = HostTraits.ReleaseNumbers(text) },
                "xenVersion" => traits with { XenVersion = xen },
                "otherDenied" => traits with { OtherDenied = denied },
                "reservedInDom0" => traits with { ReservedInDom0 = denied },
                _ => traits with { ProtectedHpet = address },
            };
        }

        if (patch is not null && traits.XenVersion is { } told)
            traits = traits with { XenVersion = told with { Patch = patch } };
        return true;
    }

    /// <summary>A skim asks for those alone that have a rule of their own, and makes no text of them.</summary>
    private bool TryReadVendor(string name, out string text)
    {
        text = "";
        if (_makesDocument)
            return TryReadText(name, out text);
        foreach (string known in s_vendors)
        {
            if (_reader.TokenType == JsonTokenType.String && _reader.ValueTextEquals(known))
            {
                text = known;
                return true;
            }
        }

        return TryPassText(name);
    }

    private bool TryReadXen(string name, ref XenVersion? xen)
    {
        Span<char> buffer = stackalloc char[MaxPlainLength];
        if (!TryPlain(buffer, out ReadOnlySpan<char> plain))
        {
            if (!TryReadText(name, out string text))
                return false;
            plain = text;
        }

        xen = XenVersion.TryParse(plain, out XenVersion version) ? version : null;
        return true;
    }

    /// <summary>Whole pages.</summary>
    private bool TryReadRanges(string name, out ImmutableArray<PfnRange> ranges)
    {
        bool isRead = TryReadByteRanges(name, out ImmutableArray<ByteRange> bytes);
        ranges = isRead && !bytes.IsEmpty ? [.. bytes.Select(static range => range.Touched)] : [];
        return isRead;
    }

    private bool TryReadByteRanges(string name, out ImmutableArray<ByteRange> ranges)
    {
        ranges = [];
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        ImmutableArray<ByteRange>.Builder read = ImmutableArray.CreateBuilder<ByteRange>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            // Lines may be lost before, between and behind all entries.
            if (read.Count == Host.MaxEntries + 1)
                return Fail(TooLarge, $"\"{name}\" has more than {Host.MaxEntries + 1} ranges", "check the file");
            if (!Expect(JsonTokenType.String, name, "an array of strings") || !TryReadText(name, out string text))
                return false;
            TextCursor cursor = new(text);
            if (!cursor.TryText("0x") || !cursor.TryHex(out ulong start) || !cursor.TryText("-0x") || !cursor.TryHex(out ulong end)
                || !cursor.Rest.IsEmpty
                || start >= end || end > Frames.AddressLimit)
            {
                return Fail(Malformed, $"\"{name}\" has {InputError.Quote(text)}, which is not a valid range",
                    "write it as 0xA-0xB, B exclusive and at most 2^52");
            }

            read.Add(ByteRange.FromBounds(start, end));
        }

        ranges = read.ToImmutable();
        return true;
    }

    private bool TryReadWidth(string name, ref HostTraits traits)
    {
        switch (name)
        {
            case "gibPages":
                if (!TryReadBoolean(name, out bool has))
                    return false;
                traits = traits with { HasGiBPages = has };
                return true;
            case "iommuAddressBits":
                if (!TryReadNumber(name, 32, 64, out int bits))
                    return false;
                traits = traits with { IommuAddressBits = bits };
                return true;
            case "iommuInUse" or "iommuInUseByLinux" or "iommuNotShown":
                if (!TryReadBoolean(name, out bool isUsed))
                    return false;
                traits = name switch
                {
                    "iommuInUse" => traits with { UsesIommu = isUsed },
                    "iommuInUseByLinux" => traits with { LinuxUsesIommu = isUsed },
                    _ => traits with { IommuNotShown = isUsed },
                };
                return true;
            case "firmware":
                return TryReadFirmware(ref traits);
            case "kernelOptions":
                return TryReadKernelOptions(name, ref traits);
            case "deviceMemoryOwners":
                return TryReadOwners(ref traits);
            case "deviceMemoryNotTold":
                if (!TryReadPciAddresses(name, out ImmutableArray<PciAddress> devices))
                    return false;
                traits = traits with { DeviceMemoryNotTold = devices };
                return true;
            case "complaints":
                if (!TryReadComplaints(out HostComplaints complaints))
                    return false;
                traits = traits with { Complaints = complaints };
                return true;
            case "iommu":
                if (!TryReadText(name, out string text))
                    return false;
                if (text is not ("vt-d" or "amd-vi"))
                    return Fail(UnknownWord, $"\"iommu\" is {InputError.Quote(text)}", "write vt-d or amd-vi");
                traits = traits with { Iommu = text == "vt-d" ? HostIommu.IntelVtd : HostIommu.AmdVi };
                return true;
            default:
                return TryReadRootWindows(ref traits);
        }
    }

    /// <summary>Other words than those that a capture keeps are passed over.</summary>
    private bool TryReadKernelOptions(string name, ref HostTraits traits)
    {
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        var read = ImmutableArray.CreateBuilder<string>();
        int count = 0;
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (++count > KernelOptions.MaxCount)
                return Fail(TooLarge, $"\"{name}\" has more than {KernelOptions.MaxCount} options", "check the file");
            if (!TryReadKept(name, out string text))
                return false;
            if (_makesDocument)
                read.Add(text);
        }

        if (_makesDocument)
            traits = traits with { KernelOptions = KernelOptions.Of(string.Join(' ', read)) };
        return true;
    }

    private bool TryReadFirmware(ref HostTraits traits)
    {
        if (!Expect(JsonTokenType.StartObject, "firmware", "an object"))
            return false;
        string vendor = "";
        string version = "";
        string date = "";
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["vendor", "version", "date"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            if (!TryReadText(name, out string text))
                return false;
            if (name == "vendor")
                vendor = text;
            else if (name == "version")
                version = text;
            else
                date = text;
        }

        traits = traits with { Firmware = HostFirmware.OrNull(vendor, version, date) };
        return true;
    }

    private bool TryReadOwners(ref HostTraits traits)
    {
        const string list = "deviceMemoryOwners";
        if (!Expect(JsonTokenType.StartArray, list, "an array"))
            return false;
        var owners = ImmutableArray.CreateBuilder<DeviceMemoryOwner>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (owners.Count == LogTraits.MaxPages)
                return Fail(TooLarge, $"\"{list}\" has more than {LogTraits.MaxPages} ranges", "check the file");
            if (!TryReadOwner(list, out DeviceMemoryOwner owner))
                return false;
            owners.Add(owner);
        }

        traits = traits with { DeviceMemoryOwners = owners.DrainToImmutable() };
        return true;
    }

    private bool TryReadOwner(string list, out DeviceMemoryOwner owner)
    {
        owner = default;
        if (!Expect(JsonTokenType.StartObject, list, "an array of objects"))
            return false;
        ulong start = 0;
        ulong end = 0;
        PciAddress? device = null;
        PciAddress? last = null;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["device", "start", "end", "lastDevice"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            PciAddress address = default;
            bool isRead = name switch
            {
                "device" or "lastDevice" => TryReadPciAddress(name, out address),
                "start" => TryReadAddress(name, out start),
                _ => TryReadAddress(name, out end),
            };
            if (!isRead)
                return false;
            if (name == "device")
                device = address;
            if (name == "lastDevice")
                last = address;
        }

        if (device is not { } whose || start >= end || end > Frames.AddressLimit)
            return Fail(Missing, "a device's memory lacks the device, or ends before it starts",
                "write {\"start\":\"0x7b800000\",\"end\":\"0x7bc00000\",\"device\":\"0000:00:02.0\"}");
        owner = new(PfnRange.FromBounds(Pfn.Containing(start), Pfn.AtOrAbove(end)), whose) { LastDevice = last };
        return true;
    }

    private bool TryReadRootWindows(ref HostTraits traits)
    {
        if (!Expect(JsonTokenType.StartArray, "rootWindows", "an array"))
            return false;
        var windows = ImmutableArray.CreateBuilder<RootWindow>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (windows.Count == RootWindow.MaxCount)
                return Fail(TooLarge, $"\"rootWindows\" has more than {RootWindow.MaxCount} windows", "check the file");
            if (!TryReadRootWindow(out RootWindow window))
                return false;
            windows.Add(window);
        }

        traits = traits with { RootWindows = windows.DrainToImmutable() };
        return true;
    }

    private bool TryReadRootWindow(out RootWindow window)
    {
        window = default;
        if (!Expect(JsonTokenType.StartObject, "rootWindows", "an array of objects"))
            return false;
        string bus = "";
        ulong start = 0;
        ulong end = 0;
        uint seen = 0;
        while (NextMember())
        {
            if (!TryNext(["bus", "start", "end"], ref seen, out string? name))
                return false;
            if (name is null)
                continue;
            bool isRead = name switch
            {
                "bus" => TryReadText(name, out bus),
                "start" => TryReadAddress(name, out start),
                _ => TryReadAddress(name, out end),
            };
            if (!isRead)
                return false;
        }

        var cursor = new TextCursor(bus);
        return (RootWindow.TryBus(ref cursor, out int domain, out int number) && cursor.Rest.IsEmpty && end > 0 && end <= Frames.AddressLimit
                && RootWindow.TryCreate(domain, number, start, end - 1, out window))
            || Fail(Missing, "a root window lacks its bus, or ends before it starts",
                "write {\"bus\":\"0000:00\",\"start\":\"0x80000000\",\"end\":\"0xe0000000\"}");
    }
}
