// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>What everybody who asks a sorted map relies on.</summary>
[TestClass]
public sealed class SortedMapTests
{
    private static readonly Gen<E820Entry> s_entry =
        from start in Gen.Choose(0, 20)
        from size in Gen.Choose(0, 5)
        from type in Gen.Elements((E820Type[])[E820Type.None, E820Type.Ram, E820Type.Reserved, E820Type.Unusable, E820Type.Pram])
        select E820Entry.FromSize((ulong)start, (ulong)size, type);

    [TestMethod]
    public void No_entry_of_a_sorted_map_is_empty_or_begins_before_the_end_of_another() => Prop.ForAll(
        Gen.Frequency((3, s_entry.ListOf()), (1, s_entry.ListOf(1))).ToArbitrary(),
        map =>
        {
            ulong reached = 0;
            foreach (E820Entry entry in SortedMap.Of([.. map]))
            {
                Assert.AreNotEqual(0UL, entry.Size);
                Assert.AreNotEqual(E820Type.None, entry.Type);
                Assert.IsGreaterThanOrEqualTo(reached, entry.Address);
                reached = entry.End;
            }
        }).Check(Config.QuickThrowOnFailure);

    [TestMethod]
    public void An_empty_entry_that_stands_alone_is_as_little_as_one_beside_others()
    {
        E820Entry empty = E820Entry.FromSize(0x5fb00000, 0, E820Type.Ram);

        Assert.IsTrue(SortedMap.Of([empty]).IsEmpty);
        Assert.IsTrue(SortedMap.Of([empty, empty]).IsEmpty);
        Assert.IsTrue(SortedMap.Of([E820Entry.FromSize(0x5fb00000, 0x1000, E820Type.None)]).IsEmpty);
    }

    [TestMethod]
    [DataRow(E820Type.Ram)]
    [DataRow(E820Type.Unusable)]
    public void Empty_memory_that_stands_alone_moves_no_hole(E820Type type)
    {
        var host = new Host { Entries = [E820Entry.FromSize(0x5fb00000, 0, type)] };

        Assert.AreEqual(0UL, HostDemand.Of(host, "").HoleStart);
        Assert.AreEqual(0UL, HostHoles.StartOfPciHole(host.Entries, []));
        Assert.IsTrue(HostHoles.DevicePlaces(host.Entries).SequenceEqual(HostHoles.DevicePlaces([])));
    }
}
