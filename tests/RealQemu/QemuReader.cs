// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>Reads a guest's machine after its firmware: fw_cfg's map, every BAR and bridge window as they stand in configuration space, ACPI's
/// windows.</summary>
internal sealed class QemuReader(QemuMonitor monitor, QemuPorts ports, QemuConfig config)
{
    private const int FwCfgSelector = 0x510;
    private const int FwCfgData = 0x511;
    private const uint FwCfgDirectory = 0x19;
    private const int RomIndex = 6;
    private const int BridgeHeader = 1;

    /// <exception cref="HarnessException">QEMU does not say.</exception>
    public void ReadInto(JsonObject record)
    {
        monitor.Execute("stop");
        record["fwcfg_e820"] = FwCfgMap();
        record["pci"] = new JsonArray([.. Functions().Select(Function)]);
        string host = config.IsQ35 ? "/machine/q35" : "/machine/i440fx";
        var windows = new JsonObject();
        foreach (string name in (string[])["pci-hole-start", "pci-hole-end", "pci-hole64-start", "pci-hole64-end"])
            windows[name] = $"0x{monitor.Execute("qom-get", new JsonObject { ["path"] = host, ["property"] = name }).GetUInt64():x}";
        record["acpi_windows"] = windows;
    }

    private JsonArray FwCfgMap()
    {
        const int EntryBytes = 64, NameOffset = 8, MapEntryBytes = 20;
        // Each selection begins at the file's start: the directory's entries follow one another.
        ports.Write('w', FwCfgSelector, FwCfgDirectory);
        uint count = BinaryPrimitives.ReadUInt32BigEndian(FwCfgBytes(4));
        for (uint i = 0; i < count; i++)
        {
            byte[] entry = FwCfgBytes(EntryBytes);
            if (Encoding.ASCII.GetString(entry, NameOffset, EntryBytes - NameOffset).TrimEnd('\0') != "etc/e820")
                continue;
            int size = (int)BinaryPrimitives.ReadUInt32BigEndian(entry);
            ports.Write('w', FwCfgSelector, BinaryPrimitives.ReadUInt16BigEndian(entry.AsSpan(4)));
            byte[] map = FwCfgBytes(size);
            return new([.. Enumerable.Range(0, size / MapEntryBytes)
                .Select(at => (JsonNode)MapEntry(map.AsSpan(at * MapEntryBytes, MapEntryBytes)))]);
        }

        throw new HarnessException("QEMU has no etc/e820 in its fw_cfg");
    }

    private static JsonArray MapEntry(ReadOnlySpan<byte> entry)
    {
        ulong start = BinaryPrimitives.ReadUInt64LittleEndian(entry);
        ulong bytes = BinaryPrimitives.ReadUInt64LittleEndian(entry[8..]);
        return new($"0x{start:x}", $"0x{start + bytes:x}", BinaryPrimitives.ReadInt32LittleEndian(entry[16..]));
    }

    private byte[] FwCfgBytes(int count) => [.. ports.Read('b', FwCfgData, count).Select(static value => (byte)value)];

    /// <summary>Every function, in the order of the bus numbers. Which there are and how large their BARs are QEMU says; firmware may not
    /// know.</summary>
    private IEnumerable<(int Bus, int Slot, int Function, JsonElement Info)> Functions()
    {
        var found = new List<(int Bus, int Slot, int Function, JsonElement Info)>();
        foreach (JsonElement bus in monitor.Execute("query-pci").EnumerateArray())
            Walk(bus.GetProperty("devices"));
        // QEMU lists what nobody can reach, too: virtual functions that are not there yet, and devices whose bus number another bridge has.
        return found.Where(f => ports.ReadHeader(f.Bus, f.Slot, f.Function)[0] != uint.MaxValue).OrderBy(static f => (f.Bus, f.Slot, f.Function));

        void Walk(JsonElement devices)
        {
            foreach (JsonElement device in devices.EnumerateArray())
            {
                found.Add((device.GetProperty("bus").GetInt32(), device.GetProperty("slot").GetInt32(),
                    device.GetProperty("function").GetInt32(), device));
                if (device.TryGetProperty("pci_bridge", out JsonElement bridge) && bridge.TryGetProperty("devices", out JsonElement behind))
                    Walk(behind);
            }
        }
    }

    private JsonNode Function((int Bus, int Slot, int Function, JsonElement Info) at)
    {
        uint[] header = ports.ReadHeader(at.Bus, at.Slot, at.Function);
        uint id = Read(0);
        bool isBridge = ((Read(0xc) >> 16) & 0x7f) == BridgeHeader;
        var function = new JsonObject
        {
            ["bdf"] = string.Create(CultureInfo.InvariantCulture, $"{at.Bus:x2}:{at.Slot:x2}.{at.Function:x}"),
            ["id"] = $"{id & 0xffff:x4}:{id >> 16:x4}",
            ["bars"] = new JsonArray([.. Regions(at.Info).Select(region => BarOf(region, isBridge))]),
        };
        if (!isBridge)
            return function;
        uint numbers = Read(0x18);
        function["bus"] = new JsonObject { ["sec"] = (numbers >> 8) & 0xff, ["sub"] = (numbers >> 16) & 0xff };
        uint io = Read(0x1c), memory = Read(0x20), prefetchable = Read(0x24);
        ulong start = (prefetchable & 0xfff0) << 16, last = (((prefetchable >> 16) & 0xfff0) << 16) | 0xfffff;
        bool is64 = (prefetchable & 0xf) == 1;
        if (is64)
        {
            start |= (ulong)Read(0x28) << 32;
            last |= (ulong)Read(0x2c) << 32;
        }

        function["win"] = new JsonObject
        {
            ["io"] = Pair((io & 0xf0) << 8, (((io >> 8) & 0xf0) << 8) | 0xfff),
            ["mem"] = Pair((memory & 0xfff0) << 16, (((memory >> 16) & 0xfff0) << 16) | 0xfffff),
            ["pref"] = Pair(start, last),
            ["pref64"] = is64 ? 1 : 0,
        };
        return function;

        uint Read(int offset) => header[offset / 4];

        JsonNode BarOf(JsonElement region, bool behindBridgeHeader)
        {
            int index = region.GetProperty("bar").GetInt32();
            var bar = new JsonObject { ["bar"] = index };
            ulong address;
            if (index == RomIndex)
            {
                uint rom = Read(behindBridgeHeader ? 0x38 : 0x30);
                bar["kind"] = "rom";
                address = rom & 0xfffff800;
                bar["on"] = rom & 1;
            }
            else if (region.GetProperty("type").GetString() == "io")
            {
                bar["kind"] = "io";
                address = Read(0x10 + (4 * index)) & 0xfffffffc;
            }
            else
            {
                bool isWide = region.TryGetProperty("mem_type_64", out JsonElement wide) && wide.GetBoolean();
                bool isPrefetchable = region.TryGetProperty("prefetch", out JsonElement prefetch) && prefetch.GetBoolean();
                bar["kind"] = $"m{(isWide ? 64 : 32)}{(isPrefetchable ? "p" : "")}";
                address = Read(0x10 + (4 * index)) & 0xfffffff0;
                if (isWide)
                    address |= (ulong)Read(0x14 + (4 * index)) << 32;
            }

            bar["size"] = $"0x{region.GetProperty("size").GetUInt64():x}";
            bar["addr"] = $"0x{address:x}";
            return bar;
        }
    }

    private static IEnumerable<JsonElement> Regions(JsonElement info) => !info.TryGetProperty("regions", out JsonElement regions) ? []
        : regions.EnumerateArray().OrderBy(static region => region.GetProperty("bar").GetInt32());

    private static JsonArray Pair(ulong start, ulong last) => new($"0x{start:x}", $"0x{last:x}");
}
