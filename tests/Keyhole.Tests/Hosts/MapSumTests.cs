// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>What a map has is counted once, however its entries overlap; what Xen adds is told where it is known.</summary>
[TestClass]
public sealed class MapSumTests
{
    private static readonly Host s_lost = new()
    {
        Entries = [E820Entry.FromBounds(0, 0x9fc00, E820Type.Ram), E820Entry.FromBounds(0x100000, 0xc0000000, E820Type.Ram)],
        LostRanges = [ByteRange.FromBounds(0xc0000000, 0xff000000)],
    };

    [TestMethod]
    public void RAM_that_two_entries_have_is_counted_once()
    {
        E820Entry[] map =
        [
            E820Entry.FromBounds(0x100000, 0x40000000, E820Type.Ram), E820Entry.FromBounds(0x20000000, 0x60000000, E820Type.Ram),
            E820Entry.FromBounds(0x30000000, 0x30001000, E820Type.Reserved), E820Entry.FromSize(ulong.MaxValue - 1, 0x1000, E820Type.Ram),
        ];

        Assert.AreEqual(0x60000000UL - 0x100000 - 0x1000, SortedMap.PagedRamOf(map));
        Assert.AreEqual(SortedMap.PagedRamOf(map), SortedMap.RamOf(map).Aggregate(0UL, static (sum, entry) => sum + entry.Size));
    }

    [TestMethod]
    public void Parts_of_pages_are_no_RAM_to_Xen() =>
        Assert.AreEqual(0x9f000UL, SortedMap.PagedRamOf([E820Entry.FromBounds(0, 0x9fc00, E820Type.Ram)]));

    [TestMethod]
    public void What_Xen_adds_where_lines_are_lost_is_not_told()
    {
        Host machine = MachineMap.HostOn(s_lost);

        Assert.IsTrue(MachineMap.Of(s_lost).Any(static entry => entry.Address == 0xfec00000));
        CollectionAssert.AreEqual(s_lost.Entries, machine.Entries);
        CollectionAssert.AreEqual(s_lost.LostRanges, machine.LostRanges);
        Assert.IsTrue(MachineMap.HostOn(s_lost with { LostRanges = [] }).Entries.Any(static entry => entry.Address == 0xfec00000));
    }

    [TestMethod]
    public void What_is_added_half_behind_the_lost_lines_is_told_there()
    {
        Host machine = MachineMap.HostOn(s_lost with { LostRanges = [ByteRange.FromBounds(0xc0000000, 0xfee80000)] });

        Assert.AreEqual(E820Entry.FromBounds(0xfee80000, 0xfef00000, E820Type.Reserved), machine.Entries.Last());
    }

    [TestMethod]
    public void A_map_that_Xen_itself_gave_has_lost_nothing()
    {
        Host machine = MachineMap.HostOn(s_lost with { MachineEntries = s_lost.Entries, RamCounted = 1UL << 30 });

        Assert.IsFalse(machine.HasLostEntries);
        Assert.IsNull(machine.RamCounted);
    }
}
