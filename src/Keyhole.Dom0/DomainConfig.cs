// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Dom0;

/// <summary>What the toolstack remembers of how a domain was made: <c>xl list -l</c>, and libxl's record on disk, which it writes for every toolstack
/// that uses it.</summary>
public static class DomainConfig
{
    private const int MaxTextLength = 4 * 1024 * 1024;
    private const int MaxDevices = 1024;

    /// <summary>The guest as far as its memory map goes, or null where the text says nothing usable.</summary>
    public static GuestSpec? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > MaxTextLength)
            return null;
        try
        {
            using JsonDocument document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 32 });
            JsonElement root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Array && root.GetArrayLength() > 0)
                root = root[0];
            // libxl's own record is the configuration alone.
            JsonElement config = Member(root, "config") ?? root;
            return Member(config, "b_info") is { } build ? Describe(config, build) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static GuestSpec? Describe(JsonElement config, JsonElement build)
    {
        if (Number(build, "target_memkb") is not { } memory || Number(build, "max_memkb") is not { } maxmem)
            return null;
        JsonElement? created = Member(config, "c_info");
        GuestType? type = created is { } info ? TypeOf(Text(info, "type")) : null;
        bool? hostMap = Member(build, "type.pv") is { } pv ? Flag(pv, "e820_host") : null;
        return new()
        {
            Name = created is { } named ? Text(named, "name") : null,
            Type = type ?? (Member(build, "type.pv") is null ? GuestType.Hvm : GuestType.Pv),
            // The configuration is libxl's, behind xl's rule that devices force the host's map: what it says is what was done.
            Toolstack = Toolstack.Libvirt,
            MemoryKiB = memory,
            MaxmemKiB = maxmem,
            E820Host = hostMap ?? false,
            Pci = DevicesOf(config),
            CommandLine = Text(build, "cmdline") ?? Text(build, "extra"),
            Kernel = Text(build, "kernel"),
            Ramdisk = Text(build, "ramdisk"),
        };
    }

    private static ImmutableArray<PciAssignment> DevicesOf(JsonElement config)
    {
        // Xen 4.17 writes the address flat, without its zeros; newer ones may wrap it in a "bdf".
        if (Member(config, "pcidevs") is not { ValueKind: JsonValueKind.Array } list)
            return [];
        var devices = ImmutableArray.CreateBuilder<PciAssignment>();
        foreach (JsonElement device in list.EnumerateArray())
        {
            JsonElement place = Member(device, "bdf") ?? device;
            ulong domain = Number(place, "domain") ?? 0;
            ulong bus = Number(place, "bus") ?? 0;
            ulong slot = Number(place, "dev") ?? 0;
            ulong function = Number(place, "func") ?? 0;
            string address = string.Create(CultureInfo.InvariantCulture, $"{domain:x4}:{bus:x2}:{slot:x2}.{function:x}");
            if (devices.Count < MaxDevices && PciAddress.TryParse(address, out PciAddress parsed))
                devices.Add(new(parsed));
        }

        return devices.ToImmutable();
    }

    private static GuestType? TypeOf(string? name) => name switch
    {
        "pv" => GuestType.Pv,
        "pvh" => GuestType.Pvh,
        "hvm" => GuestType.Hvm,
        _ => null,
    };

    private static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement member) ? member : null;

    private static string? Text(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.String } member ? TextOf(member) : null;

    private static string? TextOf(JsonElement member)
    {
        try
        {
            return member.GetString();
        }
        catch (InvalidOperationException)
        {
            // Lone surrogates: no text.
            return null;
        }
    }

    private static ulong? Number(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Number } member && member.TryGetUInt64(out ulong value) ? value : null;

    /// <summary>libxl's defbool: "True", "False" or "&lt;default&gt;".</summary>
    private static bool? Flag(JsonElement element, string name) => Member(element, name)?.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.String => Text(element, name) switch { "True" => true, "False" => false, _ => null },
        _ => null,
    };
}
