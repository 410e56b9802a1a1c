// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Numerics;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.Firmware;

/// <summary>
/// OVMF: chooses a window below and one above 4 GiB, adds up what every bus needs, and asks for one range of each kind. Where a range does not fit it
/// takes the largest consumer away and tries again; where nothing can be taken away it programs no BAR at all.
/// </summary>
/// <remarks>
/// Source: the behaviour of edk2 from stable202011 to 202605 (OvmfPkg's PlatformInitLib and PciHotPlugInitDxe, MdeModulePkg's PciBusDxe and
/// PciHostBridgeDxe); 2022.11 and 2025.02 are met by every recorded guest.
/// </remarks>
internal sealed class Ovmf
{
    private const ulong BridgeMemoryMask = 0xfffff;
    private const ulong BridgeIoMask = 0xfff;
    private const ulong SmallestMemoryMask = 0xfff;
    private const ulong PortMemory = 0x200000;
    private const ulong PortIo = 512;
    private const int VgaClass = 0x030000;

    /// <summary>What a debug build says where it needs system management mode and the board has no RAM for it.</summary>
    internal const string NeedsQ35 = "no TSEG (SMRAM) on host bridge DID=0x1237; only DID=0x29C0 (Q35) is supported";

    private static readonly int s_kinds = Enum.GetValues<ResourceKind>().Length;

    private readonly FirmwareInput _input;
    private readonly NumberedTree _tree;
    private readonly OvmfWindows _windows;

    private readonly List<int>[] _children;
    private readonly List<int>[] _rootFunctions;
    private readonly bool[] _isGone;
    private readonly Unplaced?[] _rejected;

    /// <summary>The place among its BARs of the one for which a function was taken away.</summary>
    private readonly int[] _rejectedFor;
    private readonly List<(ResourceKind Kind, ulong Size)>?[] _paddings;

    /// <summary>What each bridge needs for what is behind it, as long as nothing of that was taken away.</summary>
    private readonly ResourceNode[]?[] _windowsOf;
    private readonly bool _hasRoms;

    private Ovmf(FirmwareInput input)
    {
        _input = input;
        _tree = input.Tree;
        _windows = new(input);
        int count = _tree.Functions.Length;
        _isGone = new bool[count];
        _rejected = new Unplaced?[count];
        _rejectedFor = new int[count];
        _paddings = new List<(ResourceKind, ulong)>?[count];
        _windowsOf = new ResourceNode[count][];
        _children = new List<int>[count];
        _rootFunctions = new List<int>[_tree.Tree.Roots.Length];
        for (int root = 0; root < _rootFunctions.Length; root++)
            _rootFunctions[root] = [];
        for (int i = 0; i < count; i++)
        {
            NumberedFunction function = _tree.Functions[i];
            foreach (BarRequest bar in function.Node.Bars)
                _hasRoms |= bar.Type == BarType.Rom;
            if (function.Node.Bridge is not null)
            {
                _children[i] = [];
                _paddings[i] = PaddingOf(function.Node.Bridge);
            }
        }

        for (int i = 0; i < count; i++)
        {
            NumberedFunction function = _tree.Functions[i];
            (function.Parent < 0 ? _rootFunctions[function.Root] : _children[function.Parent]).Add(i);
        }
    }

    public static FirmwareRun Run(FirmwareInput input) => new Ovmf(input).Run();

    // ------------------------------------------------------------------ hot-plug

    /// <summary>What is kept free behind a bridge; null where nothing can be plugged in there.</summary>
    private List<(ResourceKind Kind, ulong Size)>? PaddingOf(PciBridge bridge)
    {
        if (bridge.Hotplug == BridgeHotplug.None)
            return null;
        BridgeReserve? hint = bridge.Reserve;
        var paddings = new List<(ResourceKind, ulong)>();
        ulong share = _windows.High is { } window && window.SizeBytes > OvmfWindows.DefaultWindow ? Power(window.SizeBytes >> 8) : 0;
        // What is asked for by the bridge itself stands behind what every bridge gets, and in the reverse order.
        bool hasPrefetchable = hint is { Prefetchable32Bytes: > 0 } or { Prefetchable64Bytes: > 0 };
        if (_windows.Release.BelievesWidth && !hasPrefetchable && share > 0)
            paddings.Add((ResourceKind.Prefetchable64, share));
        if (hint?.MemoryBytes is null)
            paddings.Add((ResourceKind.Memory32, PortMemory));
        if (hint?.IoBytes is null && !_windows.Release.KeepsNoPortIo)
            paddings.Add((ResourceKind.Io, PortIo));
        if (hint?.Prefetchable32Bytes is > 0 and { } low)
            paddings.Add((ResourceKind.Prefetchable32, Power(low)));
        else if (hint?.Prefetchable64Bytes is > 0 and { } high)
            paddings.Add((ResourceKind.Prefetchable64, Power(high)));
        if (hint?.MemoryBytes is > 0 and { } memory)
            paddings.Add((ResourceKind.Memory32, Power(memory)));
        if (hint?.IoBytes is > 0 and { } io)
            paddings.Add((ResourceKind.Io, Power(io)));
        return paddings;

        static ulong Power(ulong bytes) => BitOperations.RoundUpToPowerOf2(bytes);
    }

    // ------------------------------------------------------------------ the run

    private FirmwareRun Run()
    {
        if (!_input.Machine.Cpu.Is64Bit || Math.Max(_windows.High?.End ?? 0, _input.Memory.RamEnd) > 1UL << _windows.Width)
        {
            var why = new Unplaced(UnplacedReason.NotReached, 0, default, _windows.Width);
            return new(GuestOutcome.Hangs, null, FirmwareRun.NothingPlaced(_tree, Windows(), (_, _) => why), default, []) { Cause = WhyNoEnd() };
        }

        // edk2's Q35BoardVerification: a build with system management mode stops on a board that keeps no RAM for it.
        if (!_input.IsQ35 && OvmfBuild.Of(_input.Machine).HasSmm)
        {
            var why = new Unplaced(UnplacedReason.NotReached, 0, default);
            return new(GuestOutcome.Hangs, NeedsQ35,
                FirmwareRun.NothingPlaced(_tree, Windows(), (_, _) => why), default, []);
        }

        // A kind that once did not fit and is no longer asked for is asked for again by edk2, with no length, and fails again.
        var stale = new HashSet<(int Root, ResourceKind Kind)>();
        while (true)
        {
            var pools = new ResourceNode[_rootFunctions.Length][];
            for (int root = 0; root < pools.Length; root++)
            {
                pools[root] = Request(root);
                // edk2 refuses such a request before it tries.
                if (pools[root][(int)ResourceKind.Memory32].Length >= Frames.FourGiB)
                    return GiveUp(pools, [ResourceKind.Memory32]);
            }

            var bases = new ulong?[pools.Length, s_kinds];
            SortedSet<ResourceKind> failed = OvmfRanges.Allocate(_windows, pools, bases, stale);
            if (failed.Count == 0)
                return WithMap(GuestOutcome.Boots, null, Program(pools, bases));
            if (!Reject(pools, failed))
                return GiveUp(pools, failed);
        }
    }

    /// <summary>What lies beyond the addresses that OVMF maps, and what makes those so few.</summary>
    private string WhyNoEnd()
    {
        if (!_input.Machine.Cpu.Is64Bit)
            return "OVMF runs in 64-bit mode, which the guest's processor does not have";
        ByteRange high = _input.Memory.High;
        ulong end = _input.Memory.RamEnd;
        string what = high.Start == X86Layout.HyperTransportEnd && end == high.End
            ? "the guest's RAM, which QEMU moves behind AMD's HyperTransport range," : "the guest's RAM";
        if (end <= 1UL << _windows.Width && _windows.High is { } window)
        {
            end = window.End;
            what = $"OVMF's window above 4 GiB ({ByteSize.ToText(window.SizeBytes)}, behind RAM"
                + (_input.Memory.HotplugEnd is null ? ")" : " and the room for memory to be plugged in)");
        }

        return string.Create(CultureInfo.InvariantCulture,
            $"{what} ends at 0x{end:x}, beyond the {_windows.Width} address bits that OVMF maps{_windows.WhyNoMore(_windows.Width)}");
    }

    /// <summary>Adds up what everything on a root bus needs: a window of each kind.</summary>
    private ResourceNode[] Request(int root)
    {
        ResourceNode[] pool = Windows(-1);
        ulong rom = _hasRoms ? LargestRom(_rootFunctions[root], 0) : 0;
        if (rom > 0)
            pool[(int)ResourceKind.Memory32].Children!.Insert(new ResourceNode(-1, ResourceNode.OptionRom, rom, rom - 1, ResourceKind.Memory32));
        foreach (int function in _rootFunctions[root])
            RequestOf(function, pool);
        ResourceList memory32 = List(pool, ResourceKind.Memory32);
        ResourceList memory64 = List(pool, ResourceKind.Memory64);
        if (_windows.High is null)
        {
            memory32.Merge(memory64);
            List(pool, ResourceKind.Prefetchable32).Merge(List(pool, ResourceKind.Prefetchable64));
        }

        // To a root bus prefetchable memory is memory.
        memory32.Merge(List(pool, ResourceKind.Prefetchable32));
        memory64.Merge(List(pool, ResourceKind.Prefetchable64));
        Measure(pool);
        return pool;
    }

    private static ResourceNode[] Windows(int function)
    {
        var windows = new ResourceNode[s_kinds];
        for (int kind = 0; kind < s_kinds; kind++)
        {
            ulong mask = kind == (int)ResourceKind.Io ? BridgeIoMask : BridgeMemoryMask;
            windows[kind] = new ResourceNode(function, ResourceNode.Window, 0, mask, (ResourceKind)kind) { Children = new ResourceList() };
        }

        return windows;
    }

    private static ResourceList List(ResourceNode[] windows, ResourceKind kind) => windows[(int)kind].Children!;

    private ulong LargestRom(List<int> functions, ulong largest)
    {
        foreach (int i in functions)
        {
            if (_isGone[i])
                continue;
            foreach (BarRequest bar in _tree.Functions[i].Node.Bars)
            {
                if (bar.Type == BarType.Rom)
                    largest = Math.Max(largest, bar.SizeBytes);
            }

            if (_children[i] is { } behind)
                largest = LargestRom(behind, largest);
        }

        return largest;
    }

    private void RequestOf(int index, ResourceNode[] bus)
    {
        if (_isGone[index])
            return;
        PciFunction node = _tree.Functions[index].Node;
        for (int b = 0; b < node.Bars.Length; b++)
        {
            BarRequest bar = node.Bars[b];
            if (IsPassedOver(node, bar))
                continue;
            ResourceKind kind = KindOf(bar.Type);
            ulong mask = kind == ResourceKind.Io ? bar.SizeBytes - 1 : (bar.SizeBytes - 1) | SmallestMemoryMask;
            List(bus, kind).Insert(new ResourceNode(index, b, bar.SizeBytes, mask, kind));
        }

        // Their capability lies beyond what pc's configuration space reaches.
        ImmutableArray<BarRequest> ofVirtual = _input.IsQ35 ? node.Virtual?.Bars ?? [] : [];
        for (int b = 0; b < ofVirtual.Length; b++)
        {
            BarRequest bar = ofVirtual[b];
            ResourceKind kind = KindOf(bar.Type);
            ulong mask = (bar.SizeBytes - 1) | SmallestMemoryMask;
            List(bus, kind).Insert(new ResourceNode(index, ResourceNode.Virtual, bar.SizeBytes * (ulong)node.Virtual!.Count, mask, kind)
            {
                VirtualBar = b,
            });
        }

        if (node.Bridge is null)
            return;
        ResourceNode[] windows = _windowsOf[index] ??= WindowsBehind(index);
        for (int kind = 0; kind < s_kinds; kind++)
        {
            if (windows[kind].IsRequested)
                List(bus, (ResourceKind)kind).Insert(windows[kind]);
        }
    }

    private ResourceNode[] WindowsBehind(int index)
    {
        ResourceNode[] windows = Windows(index);
        foreach (int child in _children[index])
            RequestOf(child, windows);
        foreach ((ResourceKind kind, ulong size) in _paddings[index] ?? [])
            List(windows, kind).Insert(new ResourceNode(index, ResourceNode.Padding, size, size - 1, kind));
        // A bridge has one window of 64 bits, the prefetchable one, and it holds either width.
        ResourceKind wide = _windows.Release.PromotesMemory64 ? ResourceKind.Prefetchable64 : ResourceKind.Memory32;
        List(windows, wide).Merge(List(windows, ResourceKind.Memory64));
        if (List(windows, ResourceKind.Prefetchable64).Count > 0)
            List(windows, ResourceKind.Memory32).Merge(List(windows, ResourceKind.Prefetchable32));
        Measure(windows);
        return windows;
    }

    /// <summary>Something behind these bridges was taken away: they are reckoned again.</summary>
    private void Forget(int function)
    {
        for (int at = function; at >= 0; at = _tree.Functions[at].Parent)
            _windowsOf[at] = null;
    }

    private static ResourceKind KindOf(BarType type) => type switch
    {
        BarType.Io => ResourceKind.Io,
        BarType.Memory32 or BarType.Rom => ResourceKind.Memory32,
        BarType.Memory32Prefetchable => ResourceKind.Prefetchable32,
        BarType.Memory64 => ResourceKind.Memory64,
        BarType.Memory64Prefetchable => ResourceKind.Prefetchable64,
    };

    /// <summary>Lays out what is in each window, and how large that makes it. Room for hot-plug is laid out apart: the larger of both
    /// counts.</summary>
    private static void Measure(ResourceNode[] windows)
    {
        foreach (ResourceNode window in windows)
        {
            List<ResourceNode> children = window.Children!.Ordered();
            ulong used = 0;
            ulong kept = 0;
            bool isIo = window.Kind == ResourceKind.Io;
            foreach (ResourceNode child in children)
            {
                if (isIo && child.IsPadding)
                {
                    kept = child.Length;
                    continue;
                }

                ref ulong end = ref child.IsPadding ? ref kept : ref used;
                child.Offset = Align.Up(end, child.AlignmentMask + 1);
                end = child.Offset + child.Length;
            }

            used = Align.Up(used, window.AlignmentMask + 1);
            window.Length = Math.Max(used, isIo ? kept : Align.Up(kept, window.AlignmentMask + 1));
            if (children.Count > 0)
                window.AlignmentMask = Math.Max(window.AlignmentMask, children[0].AlignmentMask);
        }
    }

    // ------------------------------------------------------------------ what does not fit

    /// <summary>Takes the largest consumer of each kind that did not fit away. False where none can be taken away.</summary>
    private bool Reject(ResourceNode[][] pools, SortedSet<ResourceKind> failed)
    {
        var removed = new HashSet<int>();
        bool isAdjusted = false;
        foreach (ResourceKind kind in failed)
        {
            var all = new ResourceList();
            ulong needed = 0;
            foreach (ResourceNode[] pool in pools)
            {
                all.Insert(pool[(int)kind]);
                needed += pool[(int)kind].Length;
            }

            if (Largest(all) is not { } largest || removed.Contains(largest.Function))
                continue;
            if (_tree.Functions[largest.Function].Node.Bridge is null)
            {
                _isGone[largest.Function] = true;
                _rejected[largest.Function] = Limit(kind, needed);
                _rejectedFor[largest.Function] = largest.Bar;
            }
            else if (_paddings[largest.Function] is null)
            {
                continue;
            }
            else
            {
                _paddings[largest.Function] = null;
            }

            Forget(largest.Function);
            removed.Add(largest.Function);
            isAdjusted = true;
        }

        return isAdjusted;
    }

    private Unplaced Limit(ResourceKind kind, ulong needed) => kind switch
    {
        ResourceKind.Io => new(UnplacedReason.IoFull, needed, _windows.Io),
        ResourceKind.Memory32 or ResourceKind.Prefetchable32 => new(UnplacedReason.Window32Full, needed, _windows.Low),
        ResourceKind.Memory64 or ResourceKind.Prefetchable64 => _windows.High is { } window
            ? new(UnplacedReason.Window64Full, needed, LargestPart(window)) { Limit = _windows.HighLimit }
            : new(UnplacedReason.NoWindow64, needed, default),
    };

    /// <summary>Of a window, the largest part of which nothing is reserved.</summary>
    private ByteRange LargestPart(ByteRange window)
    {
        ByteRange largest = default;
        foreach (RangePiece piece in new RangeMap<ByteRange>(_windows.Reserved).Over(window))
        {
            if (piece.IsGap && piece.Range.SizeBytes > largest.SizeBytes)
                largest = piece.Range;
        }

        return largest;
    }

    /// <summary>The largest that may be taken away; of equal ones the last.</summary>
    private ResourceNode? Largest(ResourceList list)
    {
        ResourceNode? largest = null;
        foreach (ResourceNode node in list.Ordered())
        {
            ResourceNode? candidate = node;
            if (node.Function < 0 || (_tree.Functions[node.Function].Node.Bridge is not null && !node.IsPadding))
                candidate = LargestBehind(node);
            else if (!node.IsPadding && !CanReject(node.Function))
                continue;
            if (candidate is not null && !(largest?.Length > candidate.Length))
                largest = candidate;
        }

        return largest;
    }

    private ResourceNode? LargestBehind(ResourceNode node)
    {
        if (node.IsLargestKnown || node.Children is not { } behind)
            return node.LargestBehind;
        node.LargestBehind = Largest(behind);
        node.IsLargestKnown = true;
        return node.LargestBehind;
    }

    /// <summary>Devices of bus 0 and VGA displays stay.</summary>
    private bool CanReject(int function)
    {
        NumberedFunction candidate = _tree.Functions[function];
        return candidate.Address.Bus != 0 && candidate.Node.ClassCode != VgaClass;
    }

    private FirmwareRun GiveUp(ResourceNode[][] pools, IReadOnlyCollection<ResourceKind> failed)
    {
        var limits = new Dictionary<(int Function, int Bar), Unplaced>();
        foreach (ResourceKind kind in failed)
        {
            ulong needed = 0;
            foreach (ResourceNode[] pool in pools)
                needed += pool?[(int)kind].Length ?? 0;
            Unplaced limit = Limit(kind, needed);
            var concerned = new List<ResourceNode>();
            foreach (ResourceNode[] pool in pools)
            {
                if (pool is not null)
                    CollectBars(pool[(int)kind], concerned);
            }

            ulong[] sizes = [.. concerned.Select(static node => node.Length)];
            ulong deciding = DecidingSize.Of(sizes, needed, limit.Available.SizeBytes, out bool bridgesOnly);
            if (bridgesOnly && limit.Limit.Length == 0)
                limit = limit with { Limit = "the windows of the bridges alone take more" };
            foreach (ResourceNode node in concerned)
            {
                if (node.Length >= deciding)
                    limits.TryAdd((node.Function, node.Bar), limit);
            }
        }

        // A range of no length for what was taken away before is what did not fit: the limit is that of the device taken away.
        var givenUp = new Unplaced(UnplacedReason.TreeGivenUp, 0, default);
        PciPlacement none = FirmwareRun.NothingPlaced(_tree, Windows(), (function, bar) =>
        {
            if (IsPassedOver(_tree.Functions[function].Node, bar))
                return NotHandled;
            int index = _tree.Functions[function].Node.Bars.IndexOf(bar);
            return _rejected[function] is not null ? WhyRejected(function, index)
                : limits.TryGetValue((function, index), out Unplaced? limit) ? limit : givenUp;
        });
        return WithMap(GuestOutcome.GivesUp, "PciBus: HostBridge->NotifyPhase(AllocateResources) - Out of Resources", none);
    }

    private FirmwareRun WithMap(GuestOutcome outcome, string? message, PciPlacement placement) =>
        new(outcome, message, placement, OvmfMap.Make(_input, _windows, out ImmutableArray<UnsettledRange> unsettled), [])
        {
            Mmconfig = _windows.Mmconfig,
            Unsettled = unsettled,
        };

    private static void CollectBars(ResourceNode node, List<ResourceNode> bars)
    {
        if (node.Bar >= 0)
            bars.Add(node);
        foreach (ResourceNode child in node.Children?.Ordered() ?? [])
            CollectBars(child, bars);
    }

    /// <summary>
    /// OVMF reads option ROMs one after the other and leaves none mapped. QEMU's pvpanic-pci has a BAR of two bytes: the bits that tell a BAR's
    /// type read as if they could be written, and OVMF does not know that type.
    /// </summary>
    private static bool IsPassedOver(PciFunction node, BarRequest bar) => bar.Type == BarType.Rom || node is { VendorId: 0x1b36, DeviceId: 0x0011 };

    private static Unplaced NotHandled { get; } = new(UnplacedReason.NotHandled, 0, default);

    /// <summary>A function is taken away whole: its other BARs go because of the one that did not fit.</summary>
    private Unplaced WhyRejected(int function, int bar)
    {
        Unplaced why = _rejected[function]!;
        int decisive = _rejectedFor[function];
        return bar == decisive ? why : why with
        {
            Because = decisive < 0 ? "the room for its virtual functions" : $"BAR {_tree.Functions[function].Node.Bars[decisive].Index}",
        };
    }

    // ------------------------------------------------------------------ programming

    private ImmutableArray<PlacementWindow> Windows()
    {
        var low = new PlacementWindow(WindowKind.Memory32, _windows.Low);
        return _windows.High is { } high ? [low, new(WindowKind.Memory64, high)] : [low];
    }

    private PciPlacement Program(ResourceNode[][] pools, ulong?[,] bases)
    {
        ImmutableArray<NumberedFunction> functions = _tree.Functions;
        var firstBar = new int[functions.Length];
        int count = 0;
        for (int i = 0; i < functions.Length; i++)
        {
            firstBar[i] = count;
            count += functions[i].Node.Bars.Length;
        }

        var addresses = new ulong?[count];
        var ofVirtual = new Dictionary<(int Function, int Bar), ulong>();
        var windows = new BridgeWindows[functions.Length];
        for (int root = 0; root < pools.Length; root++)
        {
            for (int kind = 0; kind < s_kinds; kind++)
            {
                if (bases[root, kind] is { } at)
                    Program(pools[root][kind], at);
            }
        }

        var bars = ImmutableArray.CreateBuilder<BarPlacement>(count);
        var bridges = ImmutableArray.CreateBuilder<BridgeWindows>();
        for (int i = 0; i < functions.Length; i++)
        {
            ImmutableArray<BarRequest> requests = functions[i].Node.Bars;
            for (int b = 0; b < requests.Length; b++)
            {
                bars.Add(addresses[firstBar[i] + b] is { } address
                    ? BarPlacement.At(i, requests[b], address)
                    : BarPlacement.None(i, requests[b], IsPassedOver(functions[i].Node, requests[b]) ? NotHandled : WhyRejected(i, b)));
            }

            if (functions[i].Node.Bridge is not null)
                bridges.Add(windows[i] with { Function = i });
        }

        return new(_tree, Windows(), bars.ToImmutable(), bridges.ToImmutable())
        {
            VirtualBars = VirtualBarPlacement.AllOf(_tree, (function, bar) => ofVirtual.TryGetValue((function, bar), out ulong at) ? at : null,
                _input.IsQ35 ? "there was no room for them" : VirtualBarPlacement.NotSeen),
        };

        void Program(ResourceNode window, ulong start)
        {
            foreach (ResourceNode node in window.Children!.Ordered())
            {
                ulong at = start + node.Offset;
                if (node.Bar >= 0)
                    addresses[firstBar[node.Function] + node.Bar] = at;
                if (node.Bar == ResourceNode.Virtual)
                    ofVirtual[(node.Function, node.VirtualBar)] = at;
                if (node.Bar != ResourceNode.Window)
                    continue;
                Program(node, at);
                if (node.Length == 0)
                    continue;
                // A bridge's registers hold no less than 4 KiB of ports and 1 MiB of memory.
                ulong granularity = (node.Kind == ResourceKind.Io ? BridgeIoMask : BridgeMemoryMask) + 1;
                var range = ByteRange.FromSize(at, Align.Up(node.Length, granularity));
                ref BridgeWindows bridge = ref windows[node.Function];
                bridge = node.Kind switch
                {
                    ResourceKind.Io => bridge with { Io = functions[node.Function].Node.Bridge!.HasIoWindow ? range : null },
                    ResourceKind.Memory32 => bridge with { Memory = range },
                    ResourceKind.Prefetchable32 or ResourceKind.Memory64 or ResourceKind.Prefetchable64 => bridge with { Prefetchable = range },
                };
            }
        }
    }
}
