// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>A guest of at most some thousand pages, on any map: small enough to boot page by page, large enough that a remap list has several
/// pages.</summary>
internal sealed record SmallWorld
{
    public const ulong Window = 0xffff_ffff_8200_0000;

    public required ImmutableArray<E820Entry> Map { get; init; }

    public required ulong PageCount { get; init; }

    public bool IsDom0 { get; init; }

    public bool Is32Bit { get; init; }

    public KernelRelease Version { get; init; }

    public ulong MaxPages { get; init; } = DomainSpec.NoMaximum;

    /// <summary>The guest may map device memory.</summary>
    public bool HasDevice { get; init; }

    public ByteRange Kernel { get; init; }

    public ByteRange PageTables { get; init; }

    public ByteRange P2mList { get; init; }

    public ByteRange Initrd { get; init; }

    /// <summary>Frames from here on are highmem.</summary>
    public Pfn LinearEnd { get; init; } = new(Frames.MaxCount);

    public ulong Seed { get; init; }

    public GuestStart Start => new()
    {
        IsDom0 = IsDom0,
        Is32Bit = Is32Bit,
        PageCount = PageCount,
        Kernel = Kernel,
        PageTables = PageTables,
        P2mList = P2mList,
        Initrd = Initrd,
    };

    public Pfn MappedEnd => Pfn.AtOrAbove(PageTables.End);

    /// <summary>Entries of the flat P2M: all frames of the guest and of its map, and as many again as the guest has: 3.18 takes RAM that has no whole
    /// page for endless, and moves pages past the end of the map.</summary>
    public int ListLength => (int)(Math.Max(PageCount, Map.Max(entry => Pfn.AtOrAbove(entry.End).Value)) + PageCount) + 4;

    public static Gen<SmallWorld> Any { get; } =
        from map in Maps()
        from pages in Gen.Choose(1, 3000)
        from isDom0 in Gen.Elements(false, false, true)
        from is32Bit in Gen.Elements(false, false, false, true)
        from version in Gen.Elements(KernelReleases.Named.ToArray())
        from max in Gen.Frequency((1, Gen.Constant(-1)), (2, Gen.Choose(0, 4000)))
        from hasDevice in Gen.Elements(false, true)
        from areas in Gen.Choose(0, 400).Four()
        from linear in Gen.Elements(0x100_0000, 1500)
        from seed in Gen.Choose(0, 1000)
        where PagesFor(map, pages, isDom0) > 0
        select new SmallWorld
        {
            Map = [.. map],
            PageCount = PagesFor(map, pages, isDom0),
            IsDom0 = isDom0,
            Is32Bit = is32Bit,
            Version = version,
            MaxPages = max < 0 ? DomainSpec.NoMaximum : Math.Max((ulong)max, PagesFor(map, pages, isDom0)),
            HasDevice = hasDevice || isDom0,
            Kernel = Area(areas.Item1, 300, 8),
            PageTables = Area(areas.Item2, 300, 4),
            P2mList = Area(areas.Item3, 200, 3),
            Initrd = Area(areas.Item4, 200, 20),
            LinearEnd = new((ulong)linear),
            Seed = (ulong)seed,
        };

    /// <summary>As <see cref="Any"/>, but holding to maps on which nothing halts for where things lie.</summary>
    public static Gen<SmallWorld> Plain { get; } = Any.Select(world => world with { Kernel = default, P2mList = default, Initrd = default });

    public bool HasWindowPage => WindowPage is not null;

    /// <summary>The kernel's own page that serves as the window: a frame that is RAM and stays it.</summary>
    private Pfn? WindowPage
    {
        get
        {
            E820Entry[] ram = new E820Entry[2 * Map.Length];
            ReadOnlySpan<E820Entry> sane = Sanitizer.TrySanitize(Map.AsSpan(), ram, new int[Sanitizer.ScratchLength(Map.Length)], out int count)
                ? ram.AsSpan(0, count) : Map.AsSpan();
            Pfn first = default;
            bool isFound = MapQueries.NextRam(sane, ref first, false) != 0;
            // Between the iBFT's place and 1 MiB a dom0 calls RAM reserved, and gives it away.
            if (IsDom0 && first.Value is >= 0x80 and < 0x100)
            {
                first = new(0x100);
                isFound = MapQueries.NextRam(sane, ref first, false) != 0;
            }

            return !isFound || first.Value >= PageCount ? null : first;
        }
    }

    public SimulatedXen MakeMachine(out SimulatedDomain domain, ulong pages, ulong spareFrames = 4000)
    {
        // A guest's machine frames lie above 4 GiB here, so that no frame of its map is machine RAM: what is identity is a device.
        var machine = new SimulatedXen(new()
        {
            MachineMap = IsDom0 ? Map : [E820Entry.FromSize(1UL << 32, (pages + spareFrames) << Frames.Shift, E820Type.Ram)],
        });
        var spec = new DomainSpec
        {
            Id = new((ushort)(IsDom0 ? 0 : 1)),
            NrPages = pages,
            // Pages that are given back while they are still mapped count until their last mapping goes: room for as many.
            MaxPages = IsDom0 ? Math.Max(MaxPages, pages) : pages + MappedEnd.Value,
            Privileged = IsDom0,
            MemoryMap = IsDom0 ? default : Map,
            MappedPages = Math.Min(MappedEnd.Value, pages),
            Windows = pages > 0 && WindowPage is { } window ? [new(Window, window)] : [],
            IoRanges = IsDom0 ? default : HasDevice ? [MfnRange.FromCount(default, 1UL << 20)] : [],
            Placement = (Seed % 3) switch { 0 => FramePlacement.Ascending, 1 => FramePlacement.Descending(), _ => FramePlacement.Shuffled(Seed) },
        };
        Assert.AreEqual(XenError.None, machine.CreateDomain(spec, out SimulatedDomain? made));
        domain = made!;
        return machine;
    }

    public ulong WindowFrame(SimulatedDomain domain)
    {
        Assert.IsTrue(domain.TryReadL1Entry(Window, out ulong entry));
        return entry >> Frames.Shift;
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture,
            $"{KernelReleases.NameOf(Version)} {(IsDom0 ? "dom0" : "domU")}{(Is32Bit ? " 32-bit" : "")} pages 0x{PageCount:x} "
                + $"max 0x{MaxPages:x} device {HasDevice} ");
        text.Append(CultureInfo.InvariantCulture,
            $"kernel {Show(Kernel)} tables {Show(PageTables)} list {Show(P2mList)} initrd {Show(Initrd)} linear 0x{LinearEnd.Value:x} seed {Seed}");
        foreach (E820Entry entry in Map)
            text.Append(CultureInfo.InvariantCulture, $"\n  [{entry.Address:x}, {entry.End:x}) {entry.Type}");
        return text.ToString();
    }

    private static string Show(ByteRange range) => $"[{range.Start:x}, {range.End:x})";

    private static ByteRange Area(int at, int unknownFrom, ulong pages) =>
        at >= unknownFrom ? default : ByteRange.FromSize((ulong)at << 12, pages << 12);

    private static ulong PagesFor(E820Entry[] map, int wanted, bool isDom0) =>
        isDom0 ? Math.Min((ulong)wanted, new SimulatedXen(new() { MachineMap = [.. map] }).TotalFrames) : (ulong)wanted;

    private static Gen<E820Entry[]> Maps() =>
        from count in Gen.Choose(1, 14)
        from parts in (
            from gap in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 300)), (1, Gen.Choose(1, 3)))
            from pages in Gen.Frequency((2, Gen.Choose(0, 20)), (3, Gen.Choose(100, 900)))
            from gapOffset in Gen.Elements(0, 0, 0, 0x400)
            from offset in Gen.Elements(0, 0, 0, 0x800, 0xc00)
            from type in Gen.Elements(E820Type.Ram, E820Type.Ram, E820Type.Ram, E820Type.Reserved, E820Type.Nvs, E820Type.Acpi, E820Type.Unusable)
            select (gap: ((ulong)gap << 12) + (ulong)gapOffset, size: ((ulong)pages << 12) + (ulong)offset, type)).ArrayOf(count)
        from shuffled in Gen.Shuffle(parts.Select((_, i) => i).ToArray())
        from sorted in Gen.Elements(true, true, false)
        from overlap in Gen.Elements(0UL, 0UL, 0x5_0400UL)
        select Place(parts, shuffled, sorted, overlap);

    private static E820Entry[] Place((ulong Gap, ulong Size, E820Type Type)[] parts, IEnumerable<int> order, bool sorted, ulong overlap)
    {
        ulong at = 0;
        List<E820Entry> map = [];
        foreach ((ulong gap, ulong size, E820Type type) in parts)
        {
            at += gap;
            map.Add(E820Entry.FromSize(at, size + overlap, type));
            at += size;
        }

        return sorted ? [.. map] : [.. order.Select(i => map[i])];
    }
}

/// <summary>A small world booted page by page.</summary>
internal sealed class PagedBoot
{
    public required SimulatedXen Machine { get; init; }

    public required SimulatedDomain Domain { get; init; }

    public required SetupResult Result { get; init; }

    public required E820Entry[] KernelMap { get; init; }

    public required ByteRange[] Extra { get; init; }

    public required ulong[] P2m { get; init; }

    public required HypercallCounts Counts { get; init; }

    public required List<BootEvent> Events { get; init; }

    public static PagedBoot Of(SmallWorld world, IEnumerable<Fault>? faults = null)
    {
        SimulatedXen machine = world.MakeMachine(out SimulatedDomain domain, world.PageCount);
        ulong[] p2m = new ulong[world.ListLength];
        foreach (FrameRun run in domain.InitialP2M)
            FlatRun.Fill(p2m.AsSpan((int)run.Pfn.Value, (int)run.Count), run.Mfn.Value);
        Assert.AreEqual(XenError.None, machine.ExtendLinearMapping(domain, Math.Min((ulong)p2m.Length, world.LinearEnd.Value)));
        ulong window = world.WindowFrame(domain);
        SimulatedHypercalls xen = machine.HypercallsOf(domain);
        var frames = new PagedFrames<SimulatedHypercalls>(xen, p2m, world.PageCount, new()
        {
            LinearBase = DomainSpec.LinuxPageOffset,
            MappedEnd = world.MappedEnd,
            LinearEnd = world.LinearEnd,
            Window = SmallWorld.Window,
            WindowFrame = new(window),
        });
        foreach (Fault fault in faults ?? [])
            machine.Inject(fault);
        var tables = new SetupTables(
            new E820Entry[SetupTables.MapCapacity], new E820Entry[SetupTables.MapCapacity], new ByteRange[ExtraMemory.MaxRegions],
            new ByteRange[SetupTables.ReservedCapacity]);
        var log = new EventLog([]);
        SetupResult result = MemorySetup.Run(world.Start, KernelProfile.Of(world.Version), ref xen, ref frames, ref log, ref tables);
        return new()
        {
            Machine = machine,
            Domain = domain,
            Result = result,
            KernelMap = tables.KernelMap.Entries.ToArray(),
            Extra = tables.Extra.Slots.ToArray(),
            P2m = p2m,
            Counts = frames.Counts,
            Events = log.Events,
        };
    }
}

/// <summary>A small world booted in arithmetic.</summary>
internal sealed class RunBoot
{
    public required SetupResult Result { get; init; }

    public required E820Entry[] KernelMap { get; init; }

    public required ByteRange[] Extra { get; init; }

    public required P2mRun[] P2m { get; init; }

    public required HypercallCounts Counts { get; init; }

    public required List<BootEvent> Events { get; init; }

    public static RunBoot Of(SmallWorld world)
    {
        SimulatedXen machine = world.MakeMachine(out SimulatedDomain domain, 0);
        SimulatedHypercalls xen = machine.HypercallsOf(domain);
        var frames = new RunFrames(new P2mRun[1024], new PreparedRemap[256], world.PageCount, default,
            world.MappedEnd) { LinearEnd = world.LinearEnd };
        var tables = new SetupTables(
            new E820Entry[SetupTables.MapCapacity], new E820Entry[SetupTables.MapCapacity], new ByteRange[ExtraMemory.MaxRegions],
            new ByteRange[SetupTables.ReservedCapacity]);
        var log = new EventLog([]);
        SetupResult result = MemorySetup.Run(world.Start, KernelProfile.Of(world.Version), ref xen, ref frames, ref log, ref tables);
        return new()
        {
            Result = result,
            KernelMap = tables.KernelMap.Entries.ToArray(),
            Extra = tables.Extra.Slots.ToArray(),
            P2m = frames.P2m.Runs.ToArray(),
            Counts = frames.Counts,
            Events = log.Events,
        };
    }
}

internal readonly record struct EventLog(List<BootEvent> Events) : IBootLog
{
    public void Report(in BootEvent bootEvent) => Events.Add(bootEvent);
}
