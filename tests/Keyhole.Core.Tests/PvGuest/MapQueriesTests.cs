// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.PvGuest;

[TestClass]
public sealed class MapQueriesTests
{
    private const ulong MiB = 1UL << 20;

    private static readonly E820Entry[] s_map =
    [
        E820Entry.FromBounds(0, 0x9ec00, E820Type.Ram),
        E820Entry.FromBounds(0x9ec00, 0xa0000, E820Type.Reserved),
        E820Entry.FromBounds(0x10_0000, 0x20_0800, E820Type.Ram),
        E820Entry.FromBounds(0x20_1000, 0x30_0000, E820Type.Ram),
    ];

    [TestMethod]
    public void A_range_is_reserved_unless_one_ram_entry_holds_it_whole()
    {
        Assert.IsFalse(MapQueries.IsReserved(s_map, ByteRange.FromBounds(0x10_0000, 0x20_0800)));
        Assert.IsTrue(MapQueries.IsReserved(s_map, ByteRange.FromBounds(0x10_0000, 0x20_0801)));
        Assert.IsTrue(MapQueries.IsReserved(s_map, ByteRange.FromBounds(0xf_ffff, 0x10_0001)));
        Assert.IsTrue(MapQueries.IsReserved(s_map, ByteRange.FromBounds(0x20_0000, 0x20_2000)), "two RAM entries with a gap");
        Assert.IsTrue(MapQueries.IsReserved(s_map, ByteRange.FromBounds(0x40_0000, 0x40_0001)), "beyond the map");
        Assert.IsFalse(MapQueries.IsReserved(s_map, ByteRange.FromSize(0x9f000, 0)), "an empty range never is");
    }

    [TestMethod]
    public void The_next_ram_has_whole_pages_only()
    {
        Assert.AreEqual(PfnRange.FromBounds(new Pfn(0), new Pfn(0x9e)), NextRam(s_map, default, false));
        Assert.AreEqual(PfnRange.FromBounds(new Pfn(0x100), new Pfn(0x200)), NextRam(s_map, new Pfn(0x9e), false));
        Assert.AreEqual(PfnRange.FromBounds(new Pfn(0x180), new Pfn(0x200)), NextRam(s_map, new Pfn(0x180), false));
        Assert.AreEqual(PfnRange.FromBounds(new Pfn(0x201), new Pfn(0x300)), NextRam(s_map, new Pfn(0x200), false));
        Assert.IsTrue(NextRam(s_map, new Pfn(0x300), false).IsEmpty);
    }

    [TestMethod]
    public void A_range_within_one_page_has_so_many_pages_that_they_go_far_beyond_it()
    {
        E820Entry[] map = [E820Entry.FromBounds(0x1400, 0x1c00, E820Type.Ram), E820Entry.FromBounds(0x10_0000, 0x20_0000, E820Type.Ram)];
        Pfn from = default;

        Assert.AreEqual(ulong.MaxValue, MapQueries.NextRam(map, ref from, false));
        Assert.AreEqual(new Pfn(2), from);
    }

    [TestMethod]
    public void A_range_without_a_whole_page_ends_the_search_though_more_RAM_follows()
    {
        E820Entry[] map = [E820Entry.FromBounds(0x1400, 0x2c00, E820Type.Ram), E820Entry.FromBounds(0x10_0000, 0x20_0000, E820Type.Ram)];
        Pfn from = default;

        Assert.AreEqual(0UL, MapQueries.NextRam(map, ref from, false));
    }

    [TestMethod]
    public void Until_4_4_a_range_that_ends_at_the_target_ends_the_search() =>
        Assert.IsTrue(NextRam(s_map, new Pfn(0x200), stopsAtRangeEndingThere: true).IsEmpty);

    [TestMethod]
    public void The_next_ram_is_the_one_that_looking_at_every_page_finds() => Check.All(
        from map in Sorted()
        from start in Check.Below(60)
        select (map, start),
        world =>
        {
            PfnRange found = NextRam(world.map, new Pfn(world.start), false);
            // A RAM entry without a whole page also ends Linux's search when it lies in the way.
            ulong? expected = null;
            ulong end = 0;
            foreach (E820Entry entry in world.map.Where(entry => entry.IsRam && entry.End >> 12 > world.start))
            {
                ulong first = (entry.Address + 0xfff) >> 12;
                first = first > world.start ? first : world.start;
                end = entry.End >> 12;
                expected = first < end ? first : null;
                break;
            }

            Assert.AreEqual(expected is null, found.IsEmpty);
            if (expected is { } pfn)
                Assert.AreEqual(PfnRange.FromBounds(new Pfn(pfn), new Pfn(end)), found);
        });

    [TestMethod]
    public void The_gap_for_pci_is_the_largest_of_4_mib_or_more_below_4_gib()
    {
        E820Entry[] map = [E820Entry.FromBounds(0, 0x4000_0000, E820Type.Ram), E820Entry.FromBounds(0x5000_0000, 0x5010_0000, E820Type.Reserved),
            E820Entry.FromBounds(0xfec0_0000, 0x1_0000_0000, E820Type.Reserved), E820Entry.FromBounds(0x2_0000_0000, 0x2_4000_0000, E820Type.Ram)];

        Assert.AreEqual(ByteRange.FromBounds(0x5010_0000, 0xfec0_0000), MapQueries.PciGap(map, false));
    }

    [TestMethod]
    public void Of_equal_gaps_old_kernels_take_the_lowest_and_7_2_the_highest()
    {
        E820Entry[] map =
        [
            E820Entry.FromBounds(0, 0x4000_0000, E820Type.Ram),
            E820Entry.FromBounds(0x4100_0000, 0x5000_0000, E820Type.Reserved),
            E820Entry.FromBounds(0x5100_0000, 0x1_0000_0000, E820Type.Reserved),
        ];

        Assert.AreEqual(ByteRange.FromBounds(0x4000_0000, 0x4100_0000), MapQueries.PciGap(map, prefersHigh: false));
        Assert.AreEqual(ByteRange.FromBounds(0x5000_0000, 0x5100_0000), MapQueries.PciGap(map, prefersHigh: true));
    }

    [TestMethod]
    public void A_gap_of_less_than_4_mib_is_none_and_one_of_4_mib_is()
    {
        E820Entry[] map = [E820Entry.FromBounds(0, (4096 - 4) * MiB, E820Type.Ram)];
        Assert.AreEqual(ByteRange.FromBounds((4096 - 4) * MiB, 4096 * MiB), MapQueries.PciGap(map, false));
        map[0] = E820Entry.FromBounds(0, ((4096 - 4) * MiB) + 1, E820Type.Ram);
        Assert.IsTrue(MapQueries.PciGap(map, false).IsEmpty);
    }

    [TestMethod]
    public void Below_the_first_entry_there_is_no_gap() =>
        Assert.AreEqual(
            ByteRange.FromBounds(0xf000_0000, 0x1_0000_0000),
            MapQueries.PciGap([E820Entry.FromBounds(0xe000_0000, 0xf000_0000, E820Type.Ram)], false));

    [TestMethod]
    public void Holes_are_everything_but_whole_ram_pages_up_to_the_last_entry() => Check.All(Sorted(), map =>
    {
        HashSet<ulong> holes = [];
        ulong left = 0;
        var walk = new HoleWalk(map);
        while (walk.MoveNext())
        {
            Assert.IsGreaterThanOrEqualTo(left, walk.Current.Start.Value, "in order");
            Assert.IsFalse(walk.Current.IsEmpty);
            left = walk.Current.Start.Value;
            for (ulong pfn = walk.Current.Start.Value; pfn < walk.Current.End.Value; pfn++)
                holes.Add(pfn);
        }

        E820Entry last = map[^1];
        // RAM at the end of the map ends the walk at its start; anything else is a hole itself.
        ulong end = ((last.IsRam ? last.Address : last.End) + 0xfff) >> 12;
        for (ulong pfn = 0; pfn < 80; pfn++)
        {
            bool isHole = false;
            for (ulong address = pfn << 12; address < (pfn + 1) << 12; address += 0x400)
                isHole |= !map.Any(entry => entry.IsRam && entry.Contains(address)) && address < (last.IsRam ? last.Address : last.End);
            Assert.AreEqual(isHole && pfn < end, holes.Contains(pfn), $"frame {pfn}");
        }
    });

    /// <summary>Sorted maps without overlaps, edges at quarters of pages.</summary>
    private static Gen<E820Entry[]> Sorted() => Gen.Choose(1, 10).SelectMany(count =>
        (from gap in Gen.Choose(0, 12) from size in Gen.Choose(1, 20) from type in Gen.Elements(E820Type.Ram, E820Type.Reserved,
            E820Type.Nvs) select (gap, size, type)).ArrayOf(count).Select(parts =>
        {
            List<E820Entry> map = [];
            ulong at = 0;
            foreach ((int gap, int size, E820Type type) in parts)
            {
                // A sanitised map has no two neighbours of one type.
                at += map.Count > 0 && map[^1].Type == type && gap == 0 ? 0x400 : (ulong)gap * 0x400;
                map.Add(E820Entry.FromSize(at, (ulong)size * 0x400, type));
                at += (ulong)size * 0x400;
            }

            return map.ToArray();
        }));

    /// <summary>The range that is found; of what Linux takes for more pages than there are, none.</summary>
    private static PfnRange NextRam(ReadOnlySpan<E820Entry> map, Pfn from, bool stopsAtRangeEndingThere)
    {
        ulong count = MapQueries.NextRam(map, ref from, stopsAtRangeEndingThere);
        return count > Frames.MaxCount ? default : PfnRange.FromCount(from, count);
    }
}
