// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu;

/// <summary>What a Linux in the guest can do for BARs that the firmware left out: it looks for room in ACPI's windows, which may be larger than the
/// firmware's (<c>pci-hole64-size</c>).</summary>
/// <remarks>
/// Source: Linux, drivers/pci/setup-bus.c; guests of QEMU 7.2 with OVMF 2022.11 and Linux 6.1. Which address a BAR gets is not forecast, nor what
/// another system does. Room is what no BAR and no bridge has: a bridge whose window the firmware set keeps it, unless Linux is told
/// <c>pci=realloc</c>; one without gets what is asked for behind it.
/// </remarks>
internal sealed class QemuLinuxRoom
{
    private readonly PciPlacement _placement;
    private readonly ILookup<int, BarPlacement> _bars;
    private readonly Dictionary<int, BridgeWindows> _bridges;
    private readonly ILookup<int, int> _behind;
    private readonly Dictionary<(int Bridge, bool IsPrefetchable), ImmutableArray<ByteRange>> _free = [];
    private readonly ImmutableArray<ByteRange> _windows;

    private QemuLinuxRoom(PciPlacement placement, AcpiWindows told)
    {
        _placement = placement;
        _bars = placement.Bars.ToLookup(bar => placement.Tree.Functions[bar.Function].Parent);
        _bridges = placement.Bridges.ToDictionary(static bridge => bridge.Function);
        _behind = placement.Bridges.ToLookup(bridge => placement.Tree.Functions[bridge.Function].Parent, static bridge => bridge.Function);
        ByteRange high = told.Hole64 ?? default;
        ByteRange reached = told.AddressBits is > 0 and < 64 ? high.Intersect(ByteRange.FromBounds(0, 1UL << told.AddressBits)) : high;
        ImmutableArray<ByteRange> windows = ByteRanges.Union([told.Hole32 ?? default, reached]);
        _windows = told.Mmconfig.IsEmpty ? windows : ByteRanges.Subtract(windows, [told.Mmconfig]);
    }

    /// <summary>Tells of each BAR of memory that was left out whether ACPI's windows have room for it.</summary>
    /// <param name="isStartedByQemu">Whether QEMU itself starts the guest's kernel: it then runs where the firmware gave all devices up, too.</param>
    public static void Report(QemuForecast forecast, bool isStartedByQemu, List<Problem> problems)
    {
        // An expander takes pieces out of bus 0's windows, as its devices lie.
        if (forecast is not { Placement: { Tree.Tree.Roots.Length: 1 } placement, Acpi: { } told }
            || (forecast.Outcome != GuestOutcome.Boots && !(forecast.Outcome == GuestOutcome.GivesUp && isStartedByQemu)))
            return;
        BarPlacement[] leftOut = [.. placement.Bars.Where(static bar =>
            bar.Why is { Reason: not UnplacedReason.NotHandled } && bar.Bar.Type is not (BarType.Io or BarType.Rom))];
        if (leftOut.Length == 0)
            return;
        var room = new QemuLinuxRoom(placement, told);
        BarPlacement[] fitting = [.. leftOut.Where(room.HasRoom)];
        // Of a device that is left out whole its small BARs find a place and are of no use alone.
        BarPlacement[] deciding = [.. leftOut.Where(static bar => !bar.IsLeftOutWithAnother && bar.Why!.Reason != UnplacedReason.TreeGivenUp)];
        BarPlacement[] given = [.. fitting.Intersect(deciding)];
        BarPlacement[] without = [.. deciding.Except(fitting).Where(bar => !room.HasRoomAnew(bar))];
        BarPlacement[] anew = [.. deciding.Except(fitting).Except(without)];
        if (given.Length > 0)
        {
            problems.Add(new(
                Severity.Info, ProblemCodes.LeftToLinux,
                $"a Linux guest looks for a place itself: ACPI's window, {room.Window()}, has room for {Names(placement, given)}"
                    + (room.HasRoomTogether(given) ? "" : ", but not for all at once")
                    + "; the firmware's own drivers do without, and what another system does is not known"));
        }

        if (without.Length > 0)
        {
            problems.Add(new(
                Severity.Info, ProblemCodes.LeftToLinux,
                $"a Linux guest finds no place either for {Names(placement, without)}, not even with pci=realloc: ACPI's window is "
                    + $"{room.Window()}"));
        }

        if (anew.Length > 0)
        {
            problems.Add(new(
                Severity.Info, ProblemCodes.LeftToLinux,
                $"a Linux guest finds no place by itself for {Names(placement, anew)}: bridges have the room that ACPI's window, "
                    + $"{room.Window()}, has; whether pci=realloc helps, with which Linux gives bridges their windows anew, is not known"));
        }
    }

    private static string Names(PciPlacement placement, BarPlacement[] bars) =>
        QemuBarProblems.NamesOf(placement, [.. bars.Select(static bar => (bar.Function, bar.Bar))]);

    /// <summary>The highest window, as far as the guest's processor reaches.</summary>
    private string Window() => _windows.IsEmpty ? "[0x0, 0x0)" : $"[0x{_windows[^1].Start:x}, 0x{_windows[^1].End:x})";

    private bool HasRoom(BarPlacement bar)
    {
        int parent = _placement.Tree.Functions[bar.Function].Parent;
        return Fits(bar, Free(parent, isPrefetchable: false)) || (bar.Bar.Type.IsPrefetchable() && Fits(bar, Free(parent, isPrefetchable: true)));
    }

    /// <summary>Whether there is room once all bridges give their windows back.</summary>
    private bool HasRoomAnew(BarPlacement bar) => Fits(bar, ByteRanges.Subtract(_windows, ByteRanges.Union(PlacedBars(-1))));

    /// <summary>Whether they have room side by side, in what is free of the host bridge's windows: largest first, which for powers of two leaves the
    /// least behind.</summary>
    private bool HasRoomTogether(BarPlacement[] bars)
    {
        ImmutableArray<ByteRange> free = Free(-1, isPrefetchable: false);
        foreach (BarPlacement bar in bars.OrderByDescending(static bar => bar.Bar.SizeBytes))
        {
            ulong? place = null;
            foreach (ByteRange range in free)
                place ??= FirstFit.Lowest(range, [], bar.Bar.SizeBytes, bar.Bar.SizeBytes);
            if (place is not { } start)
                return false;
            free = ByteRanges.Subtract(free, [ByteRange.FromBounds(start, start + bar.Bar.SizeBytes)]);
        }

        return true;
    }

    private bool Fits(BarPlacement bar, ImmutableArray<ByteRange> free)
    {
        bool reachesHigh = bar.Bar.Type.Is64Bit()
            && (bar.Bar.Type.IsPrefetchable() || _placement.Tree.Functions[bar.Function].Parent < 0);
        ImmutableArray<ByteRange> reached = reachesHigh ? free : ByteRanges.Intersect(free, [ByteRange.FromBounds(0, Frames.FourGiB)]);
        return ByteRanges.Largest(reached, bar.Bar.SizeBytes).SizeBytes >= bar.Bar.SizeBytes;
    }

    /// <summary>What is free on a bus: the bridge's window, or where it has none what is free in front of it.</summary>
    /// <param name="bridge">The bridge in front of the bus; −1 for the root bus.</param>
    private ImmutableArray<ByteRange> Free(int bridge, bool isPrefetchable)
    {
        if (_free.TryGetValue((bridge, isPrefetchable), out ImmutableArray<ByteRange> known))
            return known;
        ByteRange? window = bridge < 0 ? null : isPrefetchable ? _bridges[bridge].Prefetchable : _bridges[bridge].Memory;
        ImmutableArray<ByteRange> free = bridge >= 0 && window is null ? Free(_placement.Tree.Functions[bridge].Parent, isPrefetchable)
            : ByteRanges.Subtract(bridge < 0 ? _windows : [window!.Value], ByteRanges.Union(PlacedBars(bridge).Concat(_behind[bridge]
                .SelectMany(other => new[] { _bridges[other].Memory, _bridges[other].Prefetchable }).OfType<ByteRange>())));
        _free.Add((bridge, isPrefetchable), free);
        return free;
    }

    private IEnumerable<ByteRange> PlacedBars(int bridge)
    {
        foreach (BarPlacement bar in _bars[bridge])
        {
            if (bar.Address is { } address && bar.Bar.Type.IsMemory() && bar.Bar.SizeBytes <= ulong.MaxValue - address)
                yield return ByteRange.FromBounds(address, address + bar.Bar.SizeBytes);
        }
    }
}
