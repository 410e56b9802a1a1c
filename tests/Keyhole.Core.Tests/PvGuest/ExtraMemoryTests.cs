// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.PvGuest;

[TestClass]
public sealed class ExtraMemoryTests
{
    [TestMethod]
    public void A_range_behind_a_region_is_appended_to_it()
    {
        var extra = new ExtraMemory(new ByteRange[4]);
        Assert.IsTrue(extra.Add(ByteRange.FromBounds(0x5000, 0x6000)));
        Assert.IsTrue(extra.Add(ByteRange.FromBounds(0x1000, 0x2000)));
        Assert.IsTrue(extra.Add(ByteRange.FromBounds(0x6000, 0x8000)));

        CollectionAssert.AreEqual(
            new[] { ByteRange.FromBounds(0x5000, 0x8000), ByteRange.FromBounds(0x1000, 0x2000), default, default }, extra.Slots.ToArray());
        Assert.AreEqual(0x4000UL, extra.TotalBytes);
    }

    [TestMethod]
    public void A_range_in_front_of_a_region_is_a_region_of_its_own()
    {
        var extra = new ExtraMemory(new ByteRange[2]);
        extra.Add(ByteRange.FromBounds(0x2000, 0x3000));
        extra.Add(ByteRange.FromBounds(0x1000, 0x2000));

        CollectionAssert.AreEqual(new[] { ByteRange.FromBounds(0x2000, 0x3000), ByteRange.FromBounds(0x1000, 0x2000) }, extra.Slots.ToArray());
    }

    [TestMethod]
    public void A_free_slot_comes_before_a_region_further_on_that_could_be_appended_to()
    {
        var extra = new ExtraMemory(new ByteRange[3]);
        extra.Add(ByteRange.FromBounds(0x1000, 0x2000));
        extra.Add(ByteRange.FromBounds(0x8000, 0x9000));
        Assert.IsTrue(extra.Remove(ByteRange.FromBounds(0x1000, 0x2000)));

        Assert.IsTrue(extra.Add(ByteRange.FromBounds(0x9000, 0xa000)));

        CollectionAssert.AreEqual(new[] { ByteRange.FromBounds(0x9000, 0xa000), ByteRange.FromBounds(0x8000, 0x9000), default },
            extra.Slots.ToArray());
    }

    [TestMethod]
    public void The_129th_region_is_lost_and_counted()
    {
        var extra = new ExtraMemory(new ByteRange[ExtraMemory.MaxRegions]);
        for (ulong i = 0; i < 128; i++)
            Assert.IsTrue(extra.Add(ByteRange.FromSize(i << 20, 0x1000)));

        Assert.IsFalse(extra.Add(ByteRange.FromSize(1UL << 40, 0x1000)));
        Assert.AreEqual(1, extra.LostRegions);
        Assert.IsTrue(extra.Add(ByteRange.FromSize((5UL << 20) + 0x1000, 0x1000)), "appending needs no slot");
        Assert.IsTrue(extra.Remove(ByteRange.FromSize(7UL << 20, 0x1000)));
        Assert.IsTrue(extra.Add(ByteRange.FromSize(1UL << 40, 0x1000)), "a region that was emptied is a free slot");
    }

    [TestMethod]
    [DataRow(0x10UL, 0x18UL, 0x18UL, 0x20UL, 0UL, 0UL, DisplayName = "at its start")]
    [DataRow(0x18UL, 0x20UL, 0x10UL, 0x18UL, 0UL, 0UL, DisplayName = "at its end")]
    [DataRow(0x14UL, 0x18UL, 0x10UL, 0x14UL, 0x18UL, 0x20UL, DisplayName = "in its middle")]
    [DataRow(0x10UL, 0x20UL, 0x20UL, 0x20UL, 0UL, 0UL, DisplayName = "whole")]
    [DataRow(0x08UL, 0x0cUL, 0x10UL, 0x20UL, 0UL, 0UL, DisplayName = "beside it")]
    public void A_range_is_taken_out_of_a_region(ulong from, ulong to, ulong start, ulong end, ulong secondStart, ulong secondEnd)
    {
        var extra = new ExtraMemory(new ByteRange[2]);
        extra.Add(ByteRange.FromBounds(0x10, 0x20));

        Assert.IsTrue(extra.Remove(ByteRange.FromBounds(from, to)));

        CollectionAssert.AreEqual(new[] { ByteRange.FromBounds(start, end), ByteRange.FromBounds(secondStart, secondEnd) }, extra.Slots.ToArray());
    }

    [TestMethod]
    [DataRow(0x10UL, 0x21UL, DisplayName = "from its start past its end")]
    [DataRow(0x0fUL, 0x20UL, DisplayName = "from before it to its end")]
    [DataRow(0x14UL, 0x21UL, DisplayName = "from its middle past its end")]
    public void Taking_out_more_than_a_region_has_is_where_linux_stops(ulong from, ulong to)
    {
        var extra = new ExtraMemory(new ByteRange[2]);
        extra.Add(ByteRange.FromBounds(0x10, 0x20));

        Assert.IsFalse(extra.Remove(ByteRange.FromBounds(from, to)));
        CollectionAssert.AreEqual(new[] { ByteRange.FromBounds(0x10, 0x20), default }, extra.Slots.ToArray());
    }

    [TestMethod]
    public void Adding_and_removing_agree_with_a_set_of_frames() => Check.All(
        Gen.Choose(1, 30)
            .SelectMany(count => (from start in Check.Below(60) from length in Gen.Choose(1, 8) from adds in Gen.Elements(true, true,
                false) select (start, (ulong)length, adds)).ArrayOf(count)),
        steps =>
        {
            var extra = new ExtraMemory(new ByteRange[ExtraMemory.MaxRegions]);
            SortedSet<ulong> model = [];
            foreach ((ulong start, ulong length, bool adds) in steps)
            {
                ulong[] frames = [.. Enumerable.Range(0, (int)length).Select(i => start + (ulong)i)];
                ByteRange range = ByteRange.FromFrames(PfnRange.FromCount(new Pfn(start), length));
                if (adds)
                {
                    if (frames.Any(model.Contains))
                        continue;
                    Assert.IsTrue(extra.Add(range));
                    model.UnionWith(frames);
                }
                else if (IsInOneRegion(extra, range))
                {
                    Assert.IsTrue(extra.Remove(range));
                    model.ExceptWith(frames);
                }

                for (ulong pfn = 0; pfn < 70; pfn++)
                    Assert.AreEqual(model.Contains(pfn), extra.Contains(new Pfn(pfn)), $"frame {pfn}");
                Assert.AreEqual((ulong)model.Count << Frames.Shift, extra.TotalBytes);
            }
        });

    private static bool IsInOneRegion(ExtraMemory extra, ByteRange range)
    {
        foreach (ByteRange region in extra.Slots)
        {
            if (region.Start <= range.Start && region.End >= range.End && !region.IsEmpty)
                return true;
        }

        return false;
    }
}
