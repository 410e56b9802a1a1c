// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Keyhole.Simulation;

namespace Keyhole.Bench;

/// <summary>What is measured, made once.</summary>
public static class Workloads
{
    /// <summary>128 entries out of order, half of them over another one.</summary>
    public static E820Entry[] MessyMap()
    {
        E820Entry[] map = new E820Entry[E820Table.MaxEntries];
        for (int i = 0; i < map.Length; i++)
        {
            ulong at = (ulong)(i * 37 % map.Length) << 20;
            map[i] = E820Entry.FromSize(at, (i & 1) == 0 ? 0x18_0000UL : 0x8_0000UL, (E820Type)(1 + (i % 5)));
        }

        return map;
    }

    /// <summary>A guest with the same entries whatever its size: three RAM ranges, four holes, RAM above 4 GiB.</summary>
    public static BootRequest Guest(ulong sizeGiB) => new()
    {
        Map = GuestMap(sizeGiB << 30),
        PageCount = sizeGiB << (30 - Frames.Shift),
        Layout = GuestLayout.OfXl(1 << 18) with { P2mList = default },
    };

    /// <summary>A guest that moves between two like hosts of twice its memory.</summary>
    public static MigrationRequest Move(ulong sizeGiB)
    {
        var host = new MigrationHost(
            "host",
            new()
            {
                Entries = [E820Entry.FromBounds(0x10_0000, 0x8000_0000, E820Type.Ram), E820Entry.FromBounds(1UL << 32, sizeGiB << 31, E820Type.Ram)],
                IsMachineMap = true,
            },
            [new(0, BarKind.Memory, 0x9000_0000, 0x9010_0000, false, false)]);
        var guest = new GuestSpec { MemoryKiB = sizeGiB << 20, MaxmemKiB = sizeGiB << 20, E820Host = true };
        return new() { Scenario = host.On(new() { Host = host.Host, Guest = guest, Policy = new HoleAtPolicy(0x8000_0000) }), FromName = host.Name,
            To = host };
    }

    private static ImmutableArray<E820Entry> GuestMap(ulong bytes) =>
    [
        E820Entry.FromBounds(0, 0x9_ec00, E820Type.Ram),
        E820Entry.FromBounds(0x9_ec00, 0x10_0000, E820Type.Reserved),
        E820Entry.FromBounds(0x10_0000, 0x2000_0000, E820Type.Ram),
        E820Entry.FromBounds(0x2000_0000, 0x2020_0000, E820Type.Reserved),
        E820Entry.FromBounds(0x2020_0000, 0xbad8_0000, E820Type.Ram),
        E820Entry.FromBounds(0xbad8_0000, 0xbae7_f000, E820Type.Nvs),
        E820Entry.FromBounds(0xfee0_0000, 0xfef0_0000, E820Type.Reserved),
        E820Entry.FromBounds(1UL << 32, bytes + (2UL << 30), E820Type.Ram),
    ];
}

/// <summary>A memory setup of Core alone, on storage that is made once: what it allocates is Core's own.</summary>
public sealed class CoreSetup
{
    private readonly E820Entry[] _xenMap = new E820Entry[SetupTables.MapCapacity];
    private readonly E820Entry[] _kernelMap = new E820Entry[SetupTables.MapCapacity];
    private readonly ByteRange[] _extra = new ByteRange[ExtraMemory.MaxRegions];
    private readonly ByteRange[] _reserved = new ByteRange[SetupTables.ReservedCapacity];
    private readonly P2mRun[] _runs = new P2mRun[4096];
    private readonly PreparedRemap[] _prepared = new PreparedRemap[1024];
    private readonly SimulatedHypercalls _xen;
    private readonly GuestStart _start;

    public CoreSetup(BootRequest request)
    {
        var machine = new SimulatedXen(MachineSpec.OfFrames(1));
        machine.CreateDomain(new() { Id = new(1), NrPages = 0, MemoryMap = request.Map }, out SimulatedDomain? domain);
        _xen = machine.HypercallsOf(domain!);
        _start = new() { PageCount = request.PageCount, Kernel = request.Layout.Kernel, PageTables = request.Layout.PageTables };
    }

    public ulong Run()
    {
        SimulatedHypercalls xen = _xen;
        var tables = new SetupTables(_xenMap, _kernelMap, _extra, _reserved);
        var frames = new RunFrames(_runs, _prepared, _start.PageCount, default, Pfn.AtOrAbove(_start.PageTables.End));
        var log = default(NoLog);
        return MemorySetup.Run(in _start, KernelProfile.Of(new KernelRelease(6, 1)), ref xen, ref frames, ref log, ref tables).RemappedPages;
    }

    private readonly struct NoLog : IBootLog
    {
        public void Report(in BootEvent bootEvent)
        {
        }
    }
}
