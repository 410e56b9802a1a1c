// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Pci;

/// <summary>How devices are added behind a bridge while the guest runs.</summary>
public enum BridgeHotplug
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>The slot of a PCI Express port.</summary>
    Express,

    /// <summary>The standard hot-plug controller (SHPC) of a PCI bridge.</summary>
    Shpc,
}

/// <summary>What a bridge asks its firmware to keep free behind it, in bytes (or ports, or buses). Null: it says nothing; 0: it wants
/// nothing.</summary>
/// <remarks>Source: QEMU's docs/pcie_pci_bridge.txt, the vendor-specific capability "resource reserve".</remarks>
public sealed record BridgeReserve
{
    /// <summary>I/O ports, in bytes; null for the firmware's own choice.</summary>
    public ulong? IoBytes { get; init; }

    /// <summary>Memory without prefetching, in bytes; null for the firmware's own choice.</summary>
    public ulong? MemoryBytes { get; init; }

    /// <summary>Prefetchable memory below 4 GiB, in bytes; null for the firmware's own choice.</summary>
    public ulong? Prefetchable32Bytes { get; init; }

    /// <summary>Prefetchable memory above 4 GiB, in bytes; null for the firmware's own choice.</summary>
    public ulong? Prefetchable64Bytes { get; init; }

    /// <summary>Bus numbers to keep free behind the bridge; null for the firmware's own choice.</summary>
    public int? Buses { get; init; }
}

/// <summary>What makes a function a bridge: the bus behind it.</summary>
/// <param name="Functions">What sits on the secondary bus, in order of device and function.</param>
public sealed record PciBridge(ImmutableArray<PciFunction> Functions)
{
    /// <summary>Whether it is a port of PCI Express; else a PCI bridge.</summary>
    public bool IsExpress { get; init; }

    /// <summary>What can be plugged in behind it while the guest runs.</summary>
    public BridgeHotplug Hotplug { get; init; }

    /// <summary>Whether a port of PCI Express says that there is a slot behind it, hot-plug or not.</summary>
    public bool HasSlot { get; init; }

    /// <summary>Whether it forwards ports at all. Where it does not, its registers take no window, whatever a firmware writes.</summary>
    public bool HasIoWindow { get; init; } = true;

    /// <summary>Null where the bridge has no such capability.</summary>
    public BridgeReserve? Reserve { get; init; }
}

/// <summary>One function of a guest's PCI tree, before any firmware ran: where it is plugged in and what it asks for.</summary>
/// <param name="Device">0–31 on its bus.</param>
/// <param name="Function">0–7.</param>
/// <param name="Bars">In the order of their registers, the ROM last.</param>
public sealed record PciFunction(int Device, int Function, ImmutableArray<BarRequest> Bars)
{
    /// <summary>What its owner calls it (an identifier of the configuration, or its address on the host); empty where nothing is said.</summary>
    public string Name { get; init; } = "";

    /// <summary>The model's name, as QEMU has it; empty for a board's own function and for a device of the host.</summary>
    public string Model { get; init; } = "";

    /// <summary>0–ffff; 0 where it is not known.</summary>
    public int VendorId { get; init; }

    /// <summary>0–ffff; 0 where it is not known.</summary>
    public int DeviceId { get; init; }

    /// <summary>24 bits with subclass and interface (030000 is a VGA display); 0 where it is not known.</summary>
    public int ClassCode { get; init; }

    /// <summary>Its place in the list of devices that the machine was plugged together from; -1 where the board brings it.</summary>
    internal int Plug { get; init; } = -1;

    /// <summary>Whether it is a device of the host that the guest was given, not a model.</summary>
    public bool IsPassedThrough { get; init; }

    /// <summary>Null for anything but a bridge.</summary>
    public PciBridge? Bridge { get; init; }

    /// <summary>Virtual functions that it has on the host and that the guest does not see.</summary>
    internal int HiddenFunctions { get; init; }

    /// <summary>What its capability of virtual functions asks for; null where it has none.</summary>
    internal VirtualFunctions? Virtual { get; init; }
}

/// <summary>Virtual functions that a function can switch on (SR-IOV).</summary>
/// <param name="Count">How many.</param>
/// <param name="Offset">From the function to its first one, in numbers of functions.</param>
/// <param name="Stride">From one to the next.</param>
/// <param name="Bars">What each of them asks for: all have their windows side by side.</param>
internal sealed record VirtualFunctions(int Count, int Offset, int Stride, ImmutableArray<BarRequest> Bars)
{
    /// <summary>The number of the last one, of that of the function: 256 of them are a bus.</summary>
    public int LastOf(int function) => function + Offset + ((Count - 1) * Stride);

    public bool Equals(VirtualFunctions? other) =>
        other is not null && (Count, Offset, Stride) == (other.Count, other.Offset, other.Stride) && Bars.SequenceEqual(other.Bars);

    public override int GetHashCode() => HashCode.Combine(Count, Offset, Stride, Bars.Length);
}

/// <summary>A bus that hangs on no bridge: the first one, or one of an expander that has a number of its own.</summary>
/// <param name="Number">0–255.</param>
/// <param name="Functions">In order of device and function.</param>
public sealed record PciRootBus(int Number, ImmutableArray<PciFunction> Functions);

/// <summary>The PCI functions of a guest as they are wired up. Holds no addresses: those are the firmware's to give.</summary>
/// <param name="Roots">In order of their numbers, bus 0 first.</param>
public sealed record PciTree(ImmutableArray<PciRootBus> Roots);

/// <summary>A function of a <see cref="NumberedTree"/>.</summary>
/// <param name="Node">The function as it is wired up.</param>
/// <param name="Address">With the bus number that its bus was given.</param>
/// <param name="Parent">Index of the bridge that it sits behind, or −1 on a root bus.</param>
/// <param name="Root">Index of its root bus in the tree.</param>
/// <param name="SecondaryBus">The bus behind it; 0 for anything but a bridge.</param>
/// <param name="SubordinateBus">The last bus behind it; 0 for anything but a bridge.</param>
public readonly record struct NumberedFunction(PciFunction Node, PciAddress Address, int Parent, int Root, int SecondaryBus, int SubordinateBus);

/// <summary>
/// A tree whose buses have their numbers: depth first, each bridge the next free one, as every firmware here does it. A bridge that asks for
/// buses in reserve is given them.
/// </summary>
public sealed class NumberedTree
{
    /// <summary>Buses of one PCI domain.</summary>
    public const int MaxBuses = 256;

    private NumberedTree(PciTree tree, ImmutableArray<NumberedFunction> functions)
    {
        Tree = tree;
        Functions = functions;
    }

    /// <summary>The tree that was numbered.</summary>
    public PciTree Tree { get; }

    /// <summary>In order of bus, device and function; a bridge stands in front of what is behind it, unless expanders are numbered in
    /// between.</summary>
    public ImmutableArray<NumberedFunction> Functions { get; }

    /// <summary>Numbers the buses, each bridge given what it asks for in reserve. False where the domain's 256 buses do not suffice, or two would get
    /// one number.</summary>
    public static bool TryCreate(PciTree tree, out NumberedTree numbered) =>
        TryCreate(tree, static bridge => bridge.Reserve?.Buses ?? 0, static (_, _) => 0, out numbered);

    /// <summary>Numbers the buses.</summary>
    /// <param name="reserve">How many buses a bridge is given in reserve; negative is none.</param>
    public static bool TryCreate(PciTree tree, Func<PciBridge, int> reserve, out NumberedTree numbered) =>
        TryCreate(tree, reserve, static (_, _) => 0, out numbered);

    /// <summary>Numbers the buses.</summary>
    /// <param name="reserve">How many buses a bridge is given in reserve; negative is none.</param>
    /// <param name="forVirtual">How many buses are kept for the virtual functions of a function at an address.</param>
    internal static bool TryCreate(
        PciTree tree, Func<PciBridge, int> reserve, Func<VirtualFunctions, PciAddress, int> forVirtual, out NumberedTree numbered)
    {
        ArgumentNullException.ThrowIfNull(tree);
        ArgumentNullException.ThrowIfNull(reserve);
        var found = new List<NumberedFunction>();
        Span<bool> taken = stackalloc bool[MaxBuses];
        taken.Clear();
        int last = -1;
        for (int root = 0; root < tree.Roots.Length; root++)
        {
            PciRootBus bus = tree.Roots[root];
            if (bus.Number < 0 || bus.Number >= MaxBuses || taken[bus.Number])
                return Fail(out numbered);
            taken[bus.Number] = true;
            last = bus.Number;
            if (!TryNumber(bus.Functions, bus.Number, parent: -1, root, reserve, forVirtual, ref last, taken, found))
                return Fail(out numbered);
        }

        numbered = new(tree, Sorted(found));
        return true;
    }

    private static bool Fail(out NumberedTree numbered)
    {
        numbered = null!;
        return false;
    }

    private static bool TryNumber(
        ImmutableArray<PciFunction> functions,
        int bus,
        int parent,
        int root,
        Func<PciBridge, int> reserve,
        Func<VirtualFunctions, PciAddress, int> forVirtual,
        ref int last,
        Span<bool> taken,
        List<NumberedFunction> found)
    {
        int first = found.Count;
        foreach (PciFunction function in functions)
        {
            PciAddress address = PciAddress.Create(bus, function.Device, function.Function);
            found.Add(new(function, address, parent, root, SecondaryBus: 0, SubordinateBus: 0));
        }

        int keptFor = -1;
        int kept = 0;
        for (int i = 0; i < functions.Length; i++)
        {
            if (functions[i].Virtual is { } more)
            {
                // Of the functions of a device the one counts that needs most.
                kept = keptFor == functions[i].Device ? kept : 0;
                keptFor = functions[i].Device;
                int wantedForThem = forVirtual(more, found[first + i].Address);
                for (; kept < wantedForThem; kept++)
                {
                    if (++last >= MaxBuses || taken[last])
                        return false;
                    taken[last] = true;
                }
            }

            if (functions[i].Bridge is not { } bridge)
                continue;
            int secondary = ++last;
            if (secondary >= MaxBuses || taken[secondary])
                return false;
            taken[secondary] = true;
            if (!TryNumber(bridge.Functions, secondary, first + i, root, reserve, forVirtual, ref last, taken, found))
                return false;
            int wanted = secondary + Math.Max(reserve(bridge), 0);
            while (last < wanted)
            {
                if (++last >= MaxBuses || taken[last])
                    return false;
                taken[last] = true;
            }

            found[first + i] = found[first + i] with { SecondaryBus = secondary, SubordinateBus = last };
        }

        return true;
    }

    /// <summary>A tree that somebody numbered by rules of his own.</summary>
    /// <param name="found">In any order, parents by their place in it; functions that cannot be reached are left out.</param>
    internal static NumberedTree Of(PciTree tree, List<NumberedFunction> found) => new(tree, Sorted(found));

    private static ImmutableArray<NumberedFunction> Sorted(List<NumberedFunction> found)
    {
        var order = new int[found.Count];
        for (int i = 0; i < order.Length; i++)
            order[i] = i;
        Array.Sort(order, (a, b) => found[a].Address.CompareTo(found[b].Address));
        var place = new int[order.Length];
        for (int i = 0; i < order.Length; i++)
            place[order[i]] = i;
        var sorted = ImmutableArray.CreateBuilder<NumberedFunction>(order.Length);
        foreach (int i in order)
            sorted.Add(found[i] with { Parent = found[i].Parent < 0 ? -1 : place[found[i].Parent] });
        return sorted.MoveToImmutable();
    }
}
