// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Captures;

/// <summary>
/// What a capture says of a device besides its windows, each member only where there is something to say: <c>"requests":[{"index","size","type"}]</c>,
/// <c>"unplaced":[{"index","kind","size","is64Bit","prefetchable","sign"}]</c>, <c>"resizable":[{"index","virtual","current","supported":[sizes]}]</c>,
/// <c>"sriov":{"total","enabled"}</c>. Sizes are hex strings.
/// </summary>
internal static class DeviceJson
{
    public static void Write(Utf8JsonWriter writer, PciDevice device)
    {
        if (!device.Requests.IsEmpty)
        {
            writer.WriteStartArray("requests");
            foreach (BarRequest request in device.Requests)
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", request.Index);
                writer.WriteString("size", $"0x{request.SizeBytes:x}");
                writer.WriteString("type", request.Type.Name());
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        if (!device.Unplaced.IsEmpty)
        {
            writer.WriteStartArray("unplaced");
            foreach (UnplacedWindow window in device.Unplaced)
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", window.Index);
                writer.WriteString("kind", HostMapJson.NameOf(window.Kind));
                writer.WriteString("size", $"0x{window.SizeBytes:x}");
                writer.WriteBoolean("is64Bit", window.Is64Bit);
                writer.WriteBoolean("prefetchable", window.IsPrefetchable);
                writer.WriteString("sign", window.Sign);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        if (!device.Resizable.IsEmpty)
        {
            writer.WriteStartArray("resizable");
            foreach (ResizableBar bar in device.Resizable)
            {
                writer.WriteStartObject();
                writer.WriteNumber("index", bar.Index);
                writer.WriteBoolean("virtual", bar.IsVirtual);
                writer.WriteString("current", $"0x{bar.CurrentBytes:x}");
                writer.WriteStartArray("supported");
                foreach (ulong size in bar.SupportedBytes)
                    writer.WriteStringValue($"0x{size:x}");
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
        }

        if (device.Sriov is { } sriov)
        {
            writer.WriteStartObject("sriov");
            writer.WriteNumber("total", sriov.TotalFunctions);
            writer.WriteNumber("enabled", sriov.EnabledFunctions);
            writer.WriteEndObject();
        }
    }
}

/// <summary>Reads what <see cref="DeviceJson"/> writes.</summary>
internal ref partial struct JsonCapture
{
    private static readonly PciDevice s_noDetails = new(default, "", []);

    private bool TryReadDetails(string name, ref PciDevice details)
    {
        if (name == "sriov")
            return TryReadSriov(ref details);
        if (!Expect(JsonTokenType.StartArray, name, "an array"))
            return false;
        for (int count = 0; _reader.Read() && _reader.TokenType != JsonTokenType.EndArray; count++)
        {
            if (count == MaxBars)
                return Fail($"\"{name}\" has more than {MaxBars} members", "check the file");
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
        while (NextMember())
        {
            string? name = Known(["total", "enabled"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
            if (name == "total" ? !TryReadNumber(name, 1, 0xffff, out total) : !TryReadNumber(name, 0, 0xffff, out enabled))
                return false;
        }

        if (total == 0 || enabled > total)
            return Fail("\"sriov\" has no total, or more functions enabled than that", "write {\"total\":16,\"enabled\":0}");
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
        while (NextMember())
        {
            string? name = Known(["index", "size", "type", "kind", "is64Bit", "prefetchable", "sign", "virtual", "current", "supported"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
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
                    return Fail($"\"requests\" has BAR {index} of type {InputError.Quote(text)} and size 0x{size:x}, which no register can ask for", "take it from a capture or lspci -vv");
                details = details with { Requests = details.Requests.Add(request) };
                return true;
            case "unplaced":
                details = details with { Unplaced = details.Unplaced.Add(new(index, kind, size, is64Bit, isPrefetchable, text)) };
                return true;
            default:
                if (index >= Bar.RomIndex)
                    return Fail("\"resizable\" has an index above 5", "a function has six base address registers");
                details = details with { Resizable = details.Resizable.Add(new(index, current, supported, isVirtual)) };
                return true;
        }
    }
}
