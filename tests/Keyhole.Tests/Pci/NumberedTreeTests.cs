// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Pci;

[TestClass]
public sealed class NumberedTreeTests
{
    private static PciFunction Leaf(int device) => new(device, 0, []);

    private static PciFunction Bridge(int device, int? reserve, params PciFunction[] behind) => new(device, 0, [])
    {
        Bridge = new PciBridge([.. behind]) { Reserve = reserve is null ? null : new BridgeReserve { Buses = reserve } },
    };

    private static NumberedTree Number(params PciRootBus[] roots)
    {
        Assert.IsTrue(NumberedTree.TryCreate(new PciTree([.. roots]), out NumberedTree tree));
        return tree;
    }

    [TestMethod]
    public void Buses_are_numbered_depth_first_and_functions_stand_in_bus_order()
    {
        NumberedTree tree = Number(new PciRootBus(0, [Bridge(1, null, Bridge(0, null, Leaf(3))), Leaf(2), Bridge(4, null, Leaf(0))]));
        CollectionAssert.AreEqual(
            new[] { "0000:00:01.0", "0000:00:02.0", "0000:00:04.0", "0000:01:00.0", "0000:02:03.0", "0000:03:00.0" },
            tree.Functions.Select(f => f.Address.ToString()).ToArray());
        CollectionAssert.AreEqual(new[] { -1, -1, -1, 0, 3, 2 }, tree.Functions.Select(f => f.Parent).ToArray());
        CollectionAssert.AreEqual(
            new[] { (1, 2), (0, 0), (3, 3), (2, 2), (0, 0), (0, 0) },
            tree.Functions.Select(f => (f.SecondaryBus, f.SubordinateBus)).ToArray());
    }

    [TestMethod]
    public void A_bridge_that_reserves_buses_pushes_the_next_bridge_further()
    {
        NumberedTree tree = Number(new PciRootBus(0, [Bridge(1, 3, Leaf(0)), Bridge(2, null, Leaf(0))]));
        CollectionAssert.AreEqual(
            new[] { (1, 4), (5, 5) },
            tree.Functions.Where(f => f.Node.Bridge is not null).Select(f => (f.SecondaryBus, f.SubordinateBus)).ToArray());
    }

    [TestMethod]
    public void An_expander_numbers_its_buses_from_its_own_number_on()
    {
        NumberedTree tree = Number(new PciRootBus(0, [Bridge(1, null, Leaf(0))]), new PciRootBus(0x40, [Bridge(0, null, Leaf(0))]));
        CollectionAssert.AreEqual(
            new[] { "0000:00:01.0", "0000:01:00.0", "0000:40:00.0", "0000:41:00.0" },
            tree.Functions.Select(f => f.Address.ToString()).ToArray());
        CollectionAssert.AreEqual(new[] { 0, 0, 1, 1 }, tree.Functions.Select(f => f.Root).ToArray());
    }

    [TestMethod]
    public void A_tree_whose_buses_do_not_suffice_is_refused()
    {
        var bridges = Enumerable.Range(0, 32).Select(i => Bridge(i, 8)).ToArray();
        Assert.IsFalse(NumberedTree.TryCreate(new PciTree([new PciRootBus(0, [.. bridges])]), out _));
        Assert.IsFalse(NumberedTree.TryCreate(new PciTree([new PciRootBus(0, [Bridge(1, null)]), new PciRootBus(1, [])]), out _));
    }

    [TestMethod]
    [DataRow(0, 4096ul, BarType.Memory32, true)]
    [DataRow(5, 4096ul, BarType.Memory64, false)]
    [DataRow(0, 1ul << 32, BarType.Memory32, false)]
    [DataRow(0, 1ul << 37, BarType.Memory64Prefetchable, true)]
    [DataRow(2, 3ul << 20, BarType.Memory32, false)]
    [DataRow(6, 65536ul, BarType.Rom, true)]
    [DataRow(0, 65536ul, BarType.Rom, false)]
    [DataRow(0, 0ul, BarType.Io, false)]
    public void A_request_is_one_that_the_registers_can_express(int index, ulong size, BarType type, bool isOne) =>
        Assert.AreEqual(isOne, BarRequest.TryCreate(index, size, type, out _));
}
