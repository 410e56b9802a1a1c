// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;
using static Keyhole.Platforms.Qemu.Board.QemuLayout;

namespace Keyhole.Platforms.Firmware;

/// <summary>
/// SeaBIOS: fills the window below 4 GiB from the top, largest alignment first, and takes 64-bit BARs above 4 GiB where they do not fit below, or,
/// since 1.16.3, wherever there is RAM above 4 GiB.
/// </summary>
/// <remarks>
/// Source: the behaviour of 1.14 to 1.17 (src/fw/pciinit.c, paravirt.c, malloc.c); 1.16.2 and 1.16.3 are met by every recorded guest. What its
/// arithmetic does modulo 2^64 is reproduced.
/// </remarks>
internal sealed class SeaBios
{
    /// <summary>What a release does, each named after what it began to do.</summary>
    /// <param name="KnowsExpressToPciHotplug">1.16: a bridge from PCI Express to PCI has hot-plug too, and ports need no I/O window.</param>
    /// <param name="PutsWindowAtTop">1.16.3: the 64-bit window lies at the end of the address space; hot-plug ports are given room in it.</param>
    /// <param name="LimitsTo44Bits">1.17: at most 44 bits below 1 TiB of RAM (before: 46), no misaligned windows, and a setting that decides.</param>
    private readonly record struct Release(bool KnowsExpressToPciHotplug, bool PutsWindowAtTop, bool LimitsTo44Bits);

    private const ulong SmallestMemory = 0x1000;
    private const ulong BridgeMemory = 0x200000;
    private const ulong BridgeIo = 0x1000;
    private const ulong BridgeMemoryUnit = 0x100000;
    private const ulong TopOfLowWindow = IoApic;
    private const ulong Q35LowWindow = 0xc0000000;

    /// <summary>Where SeaBIOS itself sets the SMBus controller of q35.</summary>
    private const ulong SmbusPort = 0x700;
    private const int SmbusDevice = 0x2930;

    /// <summary>What a region holds: the three kinds of windows that a bridge has.</summary>
    private enum Space
    {
        Io,
        Memory,
        Prefetchable,
    }

    private readonly FirmwareInput _input;
    private readonly NumberedTree _tree;
    private readonly Release _release;
    private readonly ulong _top;
    private readonly bool _padsHigh;
    private readonly ulong _lowStart;

    /// <summary>For each bus number the bridge in front of it; −1 for root buses, and for numbers that nothing has.</summary>
    private readonly int[] _bridgeOfBus = new int[NumberedTree.MaxBuses];

    /// <summary>For each bus number its place in <see cref="_regions"/>; 0, the place of bus 0, for all without a bridge in front.</summary>
    private readonly int[] _placeOfBus = new int[NumberedTree.MaxBuses];
    private readonly SeaBiosRegion[] _regions;
    private readonly ulong?[] _addresses;
    private readonly int[] _firstBar;
    private readonly ByteRange?[] _windows;
    private readonly ImmutableArray<FaultyBar>.Builder _misaligned = ImmutableArray.CreateBuilder<FaultyBar>();
    private int _order;

    private SeaBios(FirmwareInput input)
    {
        _input = input;
        _tree = input.Tree;
        QemuFirmware firmware = input.Machine.Firmware;
        _release = new(firmware.IsSince(1, 16), firmware.IsSince(1, 16, 3), firmware.IsSince(1, 17));
        (_top, _padsHigh) = HighWindow();
        ulong low = input.Memory.LowEnd;
        _lowStart = input.IsQ35 ? Q35LowWindow : low <= 0x80000000 ? 0x80000000 : low <= 0xc0000000 ? 0xc0000000 : low;
        ImmutableArray<NumberedFunction> functions = _tree.Functions;
        _firstBar = new int[functions.Length];
        Array.Fill(_bridgeOfBus, -1);
        int bars = 0;
        for (int i = 0; i < functions.Length; i++)
        {
            _firstBar[i] = bars;
            bars += functions[i].Node.Bars.Length;
            // Where two bridges have one number (see SeaBiosBuses) the last one is taken for it.
            if (functions[i].Node.Bridge is not null)
                _bridgeOfBus[functions[i].SecondaryBus] = i;
        }

        int places = 1;
        for (int bus = 1; bus < _placeOfBus.Length; bus++)
            _placeOfBus[bus] = _bridgeOfBus[bus] < 0 ? 0 : places++;
        _addresses = new ulong?[bars];
        _regions = new SeaBiosRegion[places * 3];
        _windows = new ByteRange?[places * 3];
        for (int i = 0; i < _regions.Length; i++)
            _regions[i] = new SeaBiosRegion();
    }

    public static FirmwareRun Run(FirmwareInput input) => new SeaBios(input).Run();

    /// <summary>What is left where <see cref="SeaBiosBuses"/> does not end: it says nothing, and no BAR gets an address.</summary>
    public static FirmwareRun NumbersForEver(FirmwareInput input)
    {
        var why = new Unplaced(UnplacedReason.NotReached, 0, default);
        return new(GuestOutcome.Hangs, null, FirmwareRun.NothingPlaced(input.Tree, [], (_, _) => why), default, []);
    }

    private FirmwareRun Run()
    {
        Collect();
        if (!TryPlaceIo())
            return Panic("PCI: out of I/O address space", UnplacedReason.IoFull, [], Space.Io);
        SeaBiosRegion memory = RootRegion(Space.Memory);
        SeaBiosRegion prefetchable = RootRegion(Space.Prefetchable);
        var low = new PlacementWindow(WindowKind.Memory32, ByteRange.FromBounds(_lowStart, TopOfLowWindow));
        ImmutableArray<PlacementWindow> windows = [low];
        if (_padsHigh || !TryPlaceLow(memory, prefetchable))
        {
            SeaBiosRegion highMemory = memory.TakeHigh(_tree);
            SeaBiosRegion highPrefetchable = prefetchable.TakeHigh(_tree);
            if (!TryPlaceLow(memory, prefetchable))
                return Panic("PCI: out of 32bit address space", UnplacedReason.Window32Full, windows, Space.Memory);
            windows = [low, new(WindowKind.Memory64, PlaceHigh(highMemory, highPrefetchable))];
            Map(highMemory, Space.Memory);
            Map(highPrefetchable, Space.Prefetchable);
        }

        // Places are in the order of bus numbers.
        for (int place = 0; place < _regions.Length; place++)
            Map(_regions[place], (Space)(place % 3));

        return new(GuestOutcome.Boots, null, Placement(windows), SeaBiosMap.Make(_input, IsBeyondReach), _misaligned.ToImmutable())
        {
            Mmconfig = _input.IsQ35 ? ByteRange.FromBounds(SeaBiosMap.Mmconfig, SeaBiosMap.MmconfigEnd) : default,
            Unsettled = SeaBiosMap.Unsettled(_input, IsBeyondReach),
        };
    }

    private bool IsBeyondReach(int function) =>
        _tree.Functions[function].Node.Bars.Length > 0 && _addresses[_firstBar[function]] >= Frames.FourGiB;

    // ------------------------------------------------------------------ the window above 4 GiB

    /// <summary>How far the address space is used, 0 where it is not known, and whether 64-bit BARs always go high.</summary>
    private (ulong Top, bool PadsHigh) HighWindow()
    {
        if (!_release.PutsWindowAtTop)
            return (0, false);
        QemuCpu cpu = _input.Machine.Cpu;
        // A processor without long mode tells its width by PAE, and that is believed.
        int bits = !cpu.Is64Bit ? 36 : _input.HasValidWidth ? cpu.PhysBits : 0;
        bool hasHighRam = !_input.Memory.High.IsEmpty;
        if (!_release.LimitsTo44Bits)
            return (bits == 0 ? 0 : 1UL << Math.Min(bits, 46), bits >= 36 && cpu.Is64Bit && hasHighRam);
        bool isHuge = hasHighRam && _input.Memory.High.End - Frames.FourGiB >= TiB;
        ulong top = bits == 0 ? 0 : 1UL << (bits > 44 && !isHuge ? 44 : bits);
        bool pads = _input.Machine.FwCfgValue("opt/org.seabios/pci64") switch
        {
            "1" or "on" or "yes" => true,
            "0" or "off" or "no" => false,
            _ => hasHighRam,
        };
        return (top, pads && cpu.Is64Bit);
    }

    private ByteRange PlaceHigh(SeaBiosRegion memory, SeaBiosRegion prefetchable)
    {
        unchecked
        {
            ulong start = Math.Max(_input.Memory.HotplugEnd ?? 0, Math.Max(Frames.FourGiB, _input.Memory.RamEnd));
            if (_top != 0)
            {
                ulong size = Align.Up(memory.Sum(), GiB) + Align.Up(prefetchable.Sum(), GiB);
                if (_padsHigh)
                    size = Align.Up(size, _top >> 3);
                // Where the window is larger than the address space this wraps to just below 2^64, and that is taken.
                start = Math.Max(start, _top - size);
                if (IsUsed(start, size))
                    start -= size;
            }

            memory.Base = Align.Up(Align.Up(start, memory.Alignment), GiB);
            prefetchable.Base = Align.Up(Align.Up(memory.Base + memory.Sum(), prefetchable.Alignment), GiB);
            return ByteRange.FromSize(memory.Base, Align.Up(prefetchable.Base + prefetchable.Sum(), GiB) - memory.Base);
        }
    }

    /// <summary>Whether the range meets anything that QEMU's map has.</summary>
    private bool IsUsed(ulong start, ulong size)
    {
        foreach (E820Entry entry in _input.Memory.FirmwareMap)
        {
            if (unchecked(start + size) > entry.Address && start < entry.End)
                return true;
        }

        return false;
    }

    // ------------------------------------------------------------------ what is asked for

    private SeaBiosRegion RootRegion(Space space) => _regions[(int)space];

    private int PlaceOf(int function) => _placeOfBus[_tree.Functions[function].Address.Bus];

    private void Add(int function, Space space, SeaBiosEntry entry) =>
        _regions[(PlaceOf(function) * 3) + (int)space].Entries.Add(entry with { Order = _order++ });

    private void Collect()
    {
        ImmutableArray<NumberedFunction> functions = _tree.Functions;
        for (int i = 0; i < functions.Length; i++)
        {
            ImmutableArray<BarRequest> bars = functions[i].Node.Bars;
            for (int b = 0; b < bars.Length; b++)
            {
                BarRequest bar = bars[b];
                Space space = bar.Type == BarType.Io ? Space.Io : bar.Type.IsPrefetchable() ? Space.Prefetchable : Space.Memory;
                ulong size = space == Space.Io ? bar.SizeBytes : Math.Max(bar.SizeBytes, SmallestMemory);
                Add(i, space, new SeaBiosEntry(i, b, size, size, bar.Type.Is64Bit(), 0));
            }
        }

        // Behind the last bus nothing is left to ask: from there on each bridge knows what it needs.
        for (int bus = NumberedTree.MaxBuses - 1; bus > 0; bus--)
        {
            if (_bridgeOfBus[bus] >= 0)
                CollectBridge(_bridgeOfBus[bus]);
        }

        for (int space = 0; space < 3; space++)
            _regions[space].Sort();
    }

    private int RegionBehind(int function, Space space) => (_placeOfBus[_tree.Functions[function].SecondaryBus] * 3) + (int)space;

    private void CollectBridge(int function)
    {
        PciBridge bridge = _tree.Functions[function].Node.Bridge!;
        BridgeReserve? reserve = bridge.Reserve;
        bool hasExpressHotplug = bridge.IsExpress && bridge.HasSlot;
        bool hasHotplug = hasExpressHotplug || (bridge.Hotplug == BridgeHotplug.Shpc && (!bridge.IsExpress || _release.KnowsExpressToPciHotplug));
        bool isIoOptional = _release.KnowsExpressToPciHotplug ? hasExpressHotplug : bridge.IsExpress;
        for (Space space = Space.Io; space <= Space.Prefetchable; space++)
        {
            SeaBiosRegion region = _regions[RegionBehind(function, space)];
            region.Sort();
            ulong alignment = Math.Max(space == Space.Io ? BridgeIo : BridgeMemory, region.Alignment);
            ulong wanted = space switch
            {
                Space.Io => reserve?.IoBytes ?? 0,
                Space.Memory => reserve?.MemoryBytes ?? 0,
                Space.Prefetchable => reserve?.Prefetchable32Bytes ?? reserve?.Prefetchable64Bytes ?? 0,
            };
            ulong sum = region.Sum();
            bool is64Bit = space == Space.Prefetchable && region.Entries.TrueForAll(static entry => entry.Is64Bit);
            bool isOptional = space == Space.Io && isIoOptional;
            if (!_release.PutsWindowAtTop)
            {
                if (sum == 0 && hasHotplug && !isOptional)
                    sum = alignment;
            }
            else
            {
                if (hasHotplug && _padsHigh && is64Bit)
                {
                    // 1.16.3 may make the alignment smaller than the largest BAR needs: that is its slip, mended in 1.17.
                    ulong share = _top >> 11;
                    alignment = _release.LimitsTo44Bits ? Math.Max(alignment, share) : share;
                }

                if (alignment > sum && hasHotplug && !isOptional)
                    sum = alignment;
            }

            ulong size = wanted <= sum ? Align.Up(sum, alignment) : space == Space.Io ? wanted : Align.Up(wanted, alignment);
            Add(function, space, new SeaBiosEntry(function, -1, size, alignment, is64Bit, 0));
        }
    }

    // ------------------------------------------------------------------ placing

    /// <summary>Ports from 1000 on: q35 has its power management at 600, pc at a000 and b000.</summary>
    private ulong IoRoom => (_input.IsQ35 ? 0x10000u : 0xa000u) - 0x1000u;

    private bool TryPlaceIo()
    {
        SeaBiosRegion io = RootRegion(Space.Io);
        ulong sum = io.Sum();
        io.Base = sum < 0x4000 ? 0xc000u : 0x1000u;
        return sum < 0x4000 || sum < IoRoom;
    }

    /// <summary>Fills the window below 4 GiB from its top: of the two kinds the one with the smaller alignment first.</summary>
    private bool TryPlaceLow(SeaBiosRegion memory, SeaBiosRegion prefetchable)
    {
        (SeaBiosRegion upper, SeaBiosRegion lower) = memory.Alignment < prefetchable.Alignment ? (memory, prefetchable) : (prefetchable, memory);
        unchecked
        {
            upper.Base = Align.Down(TopOfLowWindow - upper.Sum(), upper.Alignment);
            lower.Base = Align.Down(upper.Base - lower.Sum(), lower.Alignment);
        }

        return lower.Base >= _lowStart && lower.Base <= TopOfLowWindow;
    }

    private void Map(SeaBiosRegion region, Space space)
    {
        ulong at = region.Base;
        foreach (SeaBiosEntry entry in region.Entries)
        {
            if (entry.Bar < 0)
            {
                int behind = RegionBehind(entry.Function, space);
                _regions[behind].Base = at;
                _windows[behind] = WindowOf(entry, space, at);
            }
            else
            {
                Place(entry.Function, entry.Bar, at);
            }

            at = unchecked(at + entry.Size);
        }
    }

    /// <summary>What the bridge's registers make of a window: whole units. Nothing at an odd place is a whole unit too.</summary>
    private ByteRange? WindowOf(SeaBiosEntry entry, Space space, ulong at)
    {
        if (space == Space.Io && !_tree.Functions[entry.Function].Node.Bridge!.HasIoWindow)
            return null;
        ulong unit = space == Space.Io ? BridgeIo : BridgeMemoryUnit;
        ulong start = Align.Down(at, unit);
        ulong size = unchecked(Align.Up(at + entry.Size, unit) - start);
        return size == 0 ? null : ByteRange.FromSize(start, size);
    }

    private void Place(int function, int index, ulong at)
    {
        PciFunction node = _tree.Functions[function].Node;
        BarRequest bar = node.Bars[index];
        if (bar.Type == BarType.Io && node is { VendorId: 0x8086, DeviceId: SmbusDevice })
            at = SmbusPort;
        ulong kept = Align.Down(at, bar.SizeBytes);
        if (kept != at)
            _misaligned.Add(new FaultyBar(function, bar, at, BarFault.Misaligned));
        _addresses[_firstBar[function] + index] = kept;
    }

    private PciPlacement Placement(ImmutableArray<PlacementWindow> windows)
    {
        var bars = ImmutableArray.CreateBuilder<BarPlacement>(_addresses.Length);
        var bridges = ImmutableArray.CreateBuilder<BridgeWindows>();
        for (int i = 0; i < _tree.Functions.Length; i++)
        {
            ImmutableArray<BarRequest> requests = _tree.Functions[i].Node.Bars;
            for (int b = 0; b < requests.Length; b++)
                bars.Add(BarPlacement.At(i, requests[b], _addresses[_firstBar[i] + b]!.Value));
            if (_tree.Functions[i].Node.Bridge is null)
                continue;
            int behind = RegionBehind(i, Space.Io);
            bool isOwner = behind > 0 && _bridgeOfBus[_tree.Functions[i].SecondaryBus] == i;
            bridges.Add(isOwner ? new BridgeWindows(i, _windows[behind], _windows[behind + 1], _windows[behind + 2])
                : new BridgeWindows(i, null, null, null));
        }

        return new(_tree, windows, bars.ToImmutable(), bridges.ToImmutable())
        {
            VirtualBars = VirtualBarPlacement.AllOf(_tree, static (_, _) => null, _input.IsQ35
                ? "SeaBIOS keeps no room for them: the operating system has to find it" : VirtualBarPlacement.NotSeen),
        };
    }

    private FirmwareRun Panic(string message, UnplacedReason reason, ImmutableArray<PlacementWindow> windows, Space space)
    {
        ulong needed = space == Space.Io ? RootRegion(Space.Io).Sum() : unchecked(RootRegion(Space.Memory).Sum()
            + RootRegion(Space.Prefetchable).Sum());
        ByteRange available = space == Space.Io ? ByteRange.FromBounds(0xc000, 0x10000) : ByteRange.FromBounds(_lowStart, TopOfLowWindow);
        ulong[] sizes = [.. _tree.Functions.SelectMany((function, i) => function.Node.Bars.Where(bar => IsConcerned(i, bar)))
            .Select(static bar => bar.SizeBytes)];
        ulong deciding = DecidingSize.Of(sizes, needed, space == Space.Io ? IoRoom : available.SizeBytes, out bool bridgesOnly);
        var full = new Unplaced(reason, needed, available)
        {
            Limit = bridgesOnly ? $"the windows of the bridges alone take more, {ByteSize.ToText(needed)} with the BARs" : "",
        };
        var notReached = new Unplaced(UnplacedReason.NotReached, 0, default) { Because = message };
        PciPlacement none = FirmwareRun.NothingPlaced(_tree, windows, (function, bar) =>
            IsConcerned(function, bar) && bar.SizeBytes >= deciding ? full : notReached);
        return new(GuestOutcome.Panics, message, none, default, []);

        bool IsConcerned(int function, BarRequest bar)
        {
            if (space == Space.Io)
                return bar.Type == BarType.Io;
            bool isHigh = bar.Type.Is64Bit() && (bar.Type.IsPrefetchable() || _tree.Functions[function].Parent < 0);
            return bar.Type.IsMemory() && !isHigh;
        }
    }
}
