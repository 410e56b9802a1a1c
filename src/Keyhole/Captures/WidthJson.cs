// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>
/// Members of a capture's "traits" about address widths, each only where it is known: <c>"gibPages"</c>, <c>"iommu":"vt-d"|"amd-vi"</c>,
/// <c>"iommuAddressBits"</c>, <c>"rootWindows":[{"bus":"0000:00","start","end"}]</c>.
/// </summary>
internal static class WidthJson
{
    public static readonly ImmutableArray<string> Names = ["gibPages", "iommu", "iommuAddressBits", "rootWindows"];

    public static void Write(Utf8JsonWriter writer, HostTraits traits)
    {
        if (traits.HasGiBPages is { } has)
            writer.WriteBoolean("gibPages", has);
        if (traits.Iommu is { } iommu)
            writer.WriteString("iommu", NameOf(iommu));
        if (traits.IommuAddressBits is { } bits)
            writer.WriteNumber("iommuAddressBits", bits);
        if (traits.RootWindows.IsEmpty)
            return;
        writer.WriteStartArray("rootWindows");
        foreach (RootWindow window in traits.RootWindows)
        {
            writer.WriteStartObject();
            writer.WriteString("bus", window.BusName);
            writer.WriteString("start", $"0x{window.Range.Start:x}");
            writer.WriteString("end", $"0x{window.Range.End:x}");
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    public static string NameOf(HostIommu iommu) => iommu switch
    {
        HostIommu.IntelVtd => "vt-d",
        HostIommu.AmdVi => "amd-vi",
    };
}

/// <summary>Reads what <see cref="WidthJson"/> writes.</summary>
internal ref partial struct JsonCapture
{
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
            case "iommu":
                if (!TryReadText(name, out string text))
                    return false;
                if (text is not ("vt-d" or "amd-vi"))
                    return Fail($"\"iommu\" is {InputError.Quote(text)}", "write vt-d or amd-vi");
                traits = traits with { Iommu = text == "vt-d" ? HostIommu.IntelVtd : HostIommu.AmdVi };
                return true;
            default:
                return TryReadRootWindows(ref traits);
        }
    }

    private bool TryReadRootWindows(ref HostTraits traits)
    {
        if (!Expect(JsonTokenType.StartArray, "rootWindows", "an array"))
            return false;
        var windows = ImmutableArray.CreateBuilder<RootWindow>();
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            if (windows.Count == RootWindow.MaxCount)
                return Fail($"\"rootWindows\" has more than {RootWindow.MaxCount} windows", "check the file");
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
        while (NextMember())
        {
            string? name = Known(["bus", "start", "end"]);
            if (name is null)
            {
                _reader.Skip();
                continue;
            }

            _reader.Read();
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
            || Fail("a root window lacks its bus, or ends before it starts", "write {\"bus\":\"0000:00\",\"start\":\"0x80000000\",\"end\":\"0xe0000000\"}");
    }
}
