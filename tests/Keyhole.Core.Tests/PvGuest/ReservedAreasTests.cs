// SPDX-License-Identifier: GPL-2.0-only

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
public sealed class ReservedAreasTests
{
    private const ulong PageBytes = 4096;

    /// <summary>Edges on and off page boundaries.</summary>
    private static readonly Gen<ulong> s_address =
        from page in Gen.Choose(0, 40)
        from offset in Gen.Elements(0, 0, 0, 1, 0x800, 0xfff)
        select ((ulong)page * PageBytes) + (ulong)offset;

    private static readonly Gen<ByteRange> s_range =
        from start in s_address
        from size in s_address
        select ByteRange.FromSize(start, size);

    [TestMethod]
    public void The_area_is_the_one_that_probing_page_by_page_finds() => Check.All(
        from map in Gen.Choose(1, 4).SelectMany(count => s_range.ArrayOf(count))
        from types in Gen.Elements(E820Type.Ram, E820Type.Ram, E820Type.Reserved).ArrayOf(4)
        from reserved in Gen.Choose(0, 12)
            .SelectMany(count => (from start in s_address from size in Gen.Choose(1, 0x3000) select ByteRange.FromSize(start, (ulong)size))
                .ArrayOf(count))
        from size in Gen.Choose(1, 0x8000)
        select (map.Select((range, i) => E820Entry.FromSize(range.Start, range.SizeBytes, types[i])).ToArray(), reserved, (ulong)size),
        world =>
        {
            (E820Entry[] map, ByteRange[] reserved, ulong size) = world;
            var areas = new ReservedAreas(new ByteRange[64]);
            foreach (ByteRange range in reserved)
                areas.Add(range);

            bool found = areas.TryTakeFreeArea(map, size, out ByteRange area);

            ulong expected = Probe(map, [.. reserved], size);
            Assert.AreEqual(expected != 0, found);
            if (found)
                Assert.AreEqual(ByteRange.FromSize(expected, size), area);
        },
        3000);

    [TestMethod]
    public void An_area_taken_is_not_given_again()
    {
        var areas = new ReservedAreas(new ByteRange[8]);
        E820Entry[] map = [E820Entry.FromBounds(0x1000, 0x5000, E820Type.Ram)];

        Assert.IsTrue(areas.TryTakeFreeArea(map, 0x2000, out ByteRange first));
        Assert.IsTrue(areas.TryTakeFreeArea(map, 0x2000, out ByteRange second));
        Assert.IsFalse(areas.TryTakeFreeArea(map, 0x2000, out _));
        Assert.AreEqual((0x1000UL, 0x3000UL), (first.Start, second.Start));
    }

    [TestMethod]
    public void An_area_given_back_can_be_taken_again()
    {
        var areas = new ReservedAreas(new ByteRange[8]);
        E820Entry[] map = [E820Entry.FromBounds(0x1000, 0x3000, E820Type.Ram)];
        areas.Add(ByteRange.FromBounds(0x1000, 0x3000));
        Assert.IsFalse(areas.TryTakeFreeArea(map, 0x2000, out _));

        areas.Remove(ByteRange.FromBounds(0x1000, 0x2000));
        Assert.IsFalse(areas.TryTakeFreeArea(map, 0x2000, out _), "another range than the one that was added frees nothing");
        areas.Remove(ByteRange.FromBounds(0x1000, 0x3000));
        Assert.IsTrue(areas.TryTakeFreeArea(map, 0x2000, out _));
    }

    [TestMethod]
    public void As_in_linux_a_place_at_address_0_counts_as_none()
    {
        var areas = new ReservedAreas(new ByteRange[8]);
        E820Entry[] map = [E820Entry.FromBounds(0, 0x3000, E820Type.Ram)];

        Assert.IsFalse(areas.TryTakeFreeArea(map, 0x2000, out _));
    }

    [TestMethod]
    public void More_areas_than_there_is_room_for_are_told()
    {
        var areas = new ReservedAreas(new ByteRange[1]);
        areas.Add(ByteRange.FromSize(0x1000, 1));
        areas.Add(default);
        Assert.IsFalse(areas.HasOverflowed, "an empty area needs no room");
        areas.Add(ByteRange.FromSize(0x2000, 1));
        Assert.IsTrue(areas.HasOverflowed);
    }

    [TestMethod]
    public void Areas_that_end_at_the_last_address_break_nothing()
    {
        var areas = new ReservedAreas(new ByteRange[8]);
        areas.Add(ByteRange.FromBounds(0x1000, ulong.MaxValue));
        E820Entry[] map = [E820Entry.FromBounds(0x1000, ulong.MaxValue, E820Type.Ram),
            E820Entry.FromSize(ulong.MaxValue - 0x1fff, 0x2000, E820Type.Ram)];

        Assert.IsFalse(areas.TryTakeFreeArea(map, 0x1000, out _));
        Assert.IsFalse(areas.TryTakeFreeArea(map, ulong.MaxValue - 0x1000, out _));
    }

    /// <summary>xen_find_free_area, said in another way: the first start from which every page's first byte is free; 0 for none.</summary>
    private static ulong Probe(E820Entry[] map, List<ByteRange> reserved, ulong size)
    {
        foreach (E820Entry entry in map)
        {
            if (!entry.IsRam || entry.Size < size)
                continue;
            for (ulong start = entry.Address; start + size <= entry.End; start += PageBytes)
            {
                bool isFree = true;
                for (ulong probe = start; probe < start + size; probe += PageBytes)
                    isFree &= !reserved.Any(range => probe >= range.Start && probe < range.End);
                if (isFree)
                    return start;
            }
        }

        return 0;
    }
}
