// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using Keyhole.Pci;

namespace Keyhole.Platforms.Firmware;

/// <summary>
/// SeaBIOS numbers buses depth first like everybody. A bridge that asks for fewer buses in reserve than are already behind it is given that number
/// itself as its last bus, and numbering goes on from there: what is behind it cannot be reached then, and numbers come twice. That is its slip, and
/// reproduced.
/// </summary>
/// <remarks>Source: src/fw/pciinit.c (pci_bios_init_bus_rec), src/hw/pci.c; how a bus is found by its number: QEMU's hw/pci/pci.c.</remarks>
internal sealed class SeaBiosBuses
{
    private const int LastBus = NumberedTree.MaxBuses - 1;

    /// <summary>What a numbering that ends does not come near: each number is tried once, unless a slip sets them back.</summary>
    private const int MostTries = 64 * NumberedTree.MaxBuses;

    private sealed class Bus
    {
        public required PciBridge? Bridge { get; init; }

        public required IReadOnlyList<PciFunction> Functions { get; init; }

        public int Root { get; init; }

        /// <summary>0 until the bridge before it was given a number: then it answers to none.</summary>
        public int Number { get; set; }

        public int Last { get; set; }

        /// <summary>The buses behind it, by the index of their bridge's function.</summary>
        public SortedList<int, Bus> Behind { get; } = [];
    }

    private readonly List<Bus> _roots = [];
    private bool _hasFailed;
    private bool _neverEnds;
    private int _visits;

    /// <summary>Numbers the buses. False where 256 do not suffice.</summary>
    /// <param name="neverEnds">Whether numbering goes round for ever: then no bus has its number, and the tree is numbered as others do it.</param>
    public static bool TryNumber(PciTree tree, out NumberedTree numbered, out bool neverEnds)
    {
        var buses = new SeaBiosBuses();
        for (int root = 0; root < tree.Roots.Length; root++)
            buses._roots.Add(Plug(null, tree.Roots[root].Functions, root, tree.Roots[root].Number));
        int last = 0;
        buses.Number(buses._roots[0], ref last);
        if (tree.Roots.Length > 1)
            buses.NumberExpanders(last);
        neverEnds = buses._neverEnds;
        numbered = null!;
        if (buses._hasFailed)
            return false;
        if (neverEnds)
            return NumberedTree.TryCreate(tree, static _ => 0, out numbered);
        numbered = NumberedTree.Of(tree, buses.Reachable());
        return true;
    }

    /// <summary>
    /// Expanders' root buses are found where their numbers come up: each number behind the last one is tried as a root, up to 255. A bridge that sets
    /// the last number back has them all tried again, and it again: then it never ends.
    /// </summary>
    private void NumberExpanders(int last)
    {
        var numbered = new HashSet<Bus> { _roots[0] };
        while (last < LastBus && !_neverEnds && !_hasFailed)
        {
            last++;
            _neverEnds |= ++_visits > MostTries;
            if (Find(last) is not { } bus)
                continue;
            numbered.Add(bus);
            Number(bus, ref last);
        }

        // The number of an expander was passed over: a bridge before it has it.
        _hasFailed |= !_neverEnds && _roots.Exists(root => !numbered.Contains(root));
    }

    private static Bus Plug(PciBridge? bridge, IReadOnlyList<PciFunction> functions, int root, int number)
    {
        var bus = new Bus { Bridge = bridge, Functions = functions, Root = root, Number = number };
        for (int i = 0; i < functions.Count; i++)
        {
            if (functions[i].Bridge is { } behind)
                bus.Behind.Add(i, Plug(behind, behind.Functions, root, 0));
        }

        return bus;
    }

    /// <summary>Numbers the bridges of a bus. What answers to a new number is what is behind the bridge, unless a slip has cut it off or given the
    /// number twice.</summary>
    private void Number(Bus bus, ref int last, int depth = 0)
    {
        if (++_visits > MostTries || depth > NumberedTree.MaxBuses)
        {
            _neverEnds = true;
            return;
        }

        foreach (Bus behind in bus.Behind.Values)
        {
            behind.Number = LastBus;
            behind.Last = 0;
        }

        foreach (Bus behind in bus.Behind.Values)
        {
            if (last >= LastBus)
            {
                _hasFailed = true;
                return;
            }

            behind.Number = ++last;
            behind.Last = LastBus;
            if (Find(last) is { } found)
                Number(found, ref last, depth + 1);
            // A bridge whose last bus is 0 already, by the slip of one behind it, is left as it is.
            if (last != 0)
                last = WithReserve(behind, last);
            behind.Last = last;
        }
    }

    private static int WithReserve(Bus bus, int last)
    {
        if (bus.Bridge!.Reserve?.Buses is not { } asked)
            return last;
        int reserve = asked & 0xff;
        if (((reserve + bus.Number) & 0xff) < bus.Number || ((reserve + bus.Number) & 0xff) < reserve)
            reserve = 0;
        return bus.Number + reserve > last ? bus.Number + reserve : reserve;
    }

    /// <summary>Every function that answers under a bus number, with that number.</summary>
    private List<NumberedFunction> Reachable()
    {
        var found = new List<NumberedFunction>();
        var places = new Dictionary<Bus, int[]>();
        int most = _roots[^1].Number;
        for (int number = 0; number <= most; number++)
        {
            if (Find(number) is not { } bus)
                continue;
            var place = new int[bus.Functions.Count];
            for (int i = 0; i < place.Length; i++)
            {
                place[i] = found.Count;
                Bus? behind = bus.Behind.GetValueOrDefault(i);
                if (behind is not null)
                    most = System.Math.Max(most, behind.Number);
                PciFunction node = bus.Functions[i];
                found.Add(new(node, PciAddress.Create(number, node.Device, node.Function), -1, bus.Root, behind?.Number ?? 0, behind?.Last ?? 0));
            }

            places.Add(bus, place);
        }

        // Parents may have a higher number than what is behind them, where a slip made it so: they are known only now.
        foreach ((Bus bus, int[] place) in places)
        {
            foreach ((int function, Bus behind) in bus.Behind)
            {
                foreach (int child in places.GetValueOrDefault(behind) ?? [])
                    found[child] = found[child] with { Parent = place[function] };
            }
        }

        return found;
    }

    /// <summary>The bus that answers to a number: through each bridge whose range holds it, the one plugged in last first.</summary>
    private Bus? Find(int number)
    {
        foreach (Bus root in _roots)
        {
            if (root.Number == number)
                return root;
        }

        foreach (Bus root in _roots)
        {
            for (Bus? bus = root; bus is not null;)
            {
                Bus? next = null;
                for (int i = bus.Behind.Count - 1; i >= 0 && next is null; i--)
                {
                    Bus behind = bus.Behind.Values[i];
                    if (behind.Number == number)
                        return behind;
                    if (number > behind.Number && number <= behind.Last)
                        next = behind;
                }

                bus = next;
            }
        }

        return null;
    }
}
