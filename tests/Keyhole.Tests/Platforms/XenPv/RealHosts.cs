// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text.Json;
using Keyhole.Captures;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Keyhole.Platforms;
using Keyhole.Tests.Golden;
using Keyhole.Tests.Hosts;

namespace Keyhole.Tests.Platforms.XenPv;

/// <summary>Every real host in the fixtures, with windows where such a machine has its devices.</summary>
internal sealed record RealHost(string Name, ImmutableArray<E820Entry> MachineMap)
{
    /// <summary>256 MiB to 64 GiB.</summary>
    public static readonly ulong[] SizesMiB = [256, 1000, 2048, 3072, 3500, 4096, 8191, 16384, 65536];

    public static IReadOnlyList<RealHost> All { get; } = [.. Load()];

    /// <summary>A small card at the end of the PCI hole below 4 GiB, a large one at its start, and a 64-bit one behind the host's memory.</summary>
    public ImmutableArray<Bar> Bars()
    {
        var bars = ImmutableArray.CreateBuilder<Bar>();
        ulong hole = HostHoles.StartOfPciHole(MachineMap, []);
        ulong aligned = (hole + (1 << 20) - 1) & ~((1UL << 20) - 1);
        if (IsGap(0xfebc_0000, 0xfebe_0000))
            bars.Add(new(0, BarKind.Memory, 0xfebc_0000, 0xfebe_0000, false, false));
        if (IsGap(aligned, aligned + 0x4200))
            bars.Add(new(1, BarKind.Memory, aligned, aligned + 0x4200, false, false));
        ulong high = (HostHoles.EndOf(MachineMap) + (1UL << 28) - 1) & ~((1UL << 28) - 1);
        bars.Add(new(2, BarKind.Memory, high, high + (1UL << 28), true, true));
        return bars.ToImmutable();
    }

    public PolicyInput Input(ulong memoryMiB, ulong? maxmemMiB = null, bool is32Bit = false) => new(
        MachineMap,
        new GuestSpec { MemoryKiB = memoryMiB << 10, MaxmemKiB = (maxmemMiB ?? memoryMiB) << 10, E820Host = true, Is32Bit = is32Bit },
        Bars());

    private bool IsGap(ulong start, ulong end) =>
        end <= 1UL << 32 && !MachineMap.Any(entry => entry.Type != E820Type.Reserved && entry.Address < end && entry.End > start);

    private static IEnumerable<RealHost> Load()
    {
        foreach (string folder in Directory.GetDirectories(MapFixtures.Folder("hosts")).Order(System.StringComparer.Ordinal))
            yield return Of(Path.GetFileName(folder), Path.Combine(folder, "expected.txt"));
        foreach (string log in GoldenLog.Names)
            yield return Of(log, Path.Combine(GoldenLog.Folder, log + ".log"));
        foreach (JsonProperty host in GoldenJson.Load("real-hosts.json").GetProperty("hosts").EnumerateObject())
            yield return new(host.Name, GoldenJson.Map(host.Value));
    }

    private static RealHost Of(string name, string path)
    {
        using FileStream stream = File.OpenRead(path);
        return new(name, Keyhole.Hosts.MachineMap.Of(MapFixtures.Expect(HostMapReader.Read(stream, name, HostMapOptions.Default)).Host));
    }
}
