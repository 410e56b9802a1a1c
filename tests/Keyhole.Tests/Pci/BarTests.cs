// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.E820;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Pci;

[TestClass]
public sealed class BarTests
{
    [TestMethod]
    public void The_seeds_window_at_0x20000000_is_told_to_lie_in_the_hole_and_without_the_filter_meets_RAM()
    {
        Bar bar = Window(0x2000_0000, 0x2001_0000);

        ConfigurationFilter filter = ConfigurationFilter.Of([bar], [E820Entry.FromBounds(0, 0xc000_0000, E820Type.Ram)]);

        FilterRule rule = filter.Rules.Single();
        Assert.AreEqual(0x2000_0000UL, rule.Old);
        Assert.AreEqual(0xc000_0000UL, rule.New);
        Assert.AreEqual(0x10, rule.RegisterOffset);
        Assert.Contains("ioremap(0x20000000)", rule.WithoutIt);
    }

    [TestMethod]
    public void A_window_in_the_hole_needs_no_filter_and_one_larger_than_the_hole_has_no_place()
    {
        ConfigurationFilter filter = ConfigurationFilter.Of([Window(0xfeb0_0000, 0xfeb1_0000), Window(0x40_0000_0000, 0x42_0000_0000)], []);

        Assert.IsEmpty(filter.Rules);
        Assert.AreEqual(8UL << 30, filter.Unplaced.Single().SizeBytes);
    }

    /// <summary>The hole goes on behind the I/O APIC: thermal sensors and the like are there.</summary>
    [TestMethod]
    [DataRow(0xfed0_8000UL, true)]
    [DataRow(0xffff_f000UL, true)]
    [DataRow(0xbfff_f000UL, false)]
    [DataRow(0x1_0000_0000UL, false)]
    public void A_window_anywhere_between_3_and_4_GiB_keeps_its_place(ulong start, bool keeps)
    {
        Assert.AreEqual(keeps, BarFilter.Place([Window(start, start + 0x1000)]).Single().IsIdentity);
    }

    [TestMethod]
    public void Filtered_windows_lie_in_the_hole_aligned_to_their_size_and_share_no_page() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300).WithQuietOnSuccess(true),
        Prop.ForAll(Gen.ListOf(Gen.Choose(0, int.MaxValue - 1)).ToArbitrary(), seeds =>
        {
            ImmutableArray<Bar> bars = [.. seeds.Take(12).Select(seed =>
            {
                ulong size = 1UL << (4 + (seed % 24));
                ulong start = (ulong)seed * 0x1_0000 & ~(size - 1);
                return Window(start, start + size);
            }).Distinct()];
            (ulong First, ulong Last)[] pages = [.. BarFilter.Place(bars).Where(place => place.GuestStart is not null && !place.IsIdentity)
                .Select(place => (place.GuestStart!.Value >> 12, (place.GuestStart!.Value + place.Bar.SizeBytes - 1) >> 12)).Order()];
            foreach (BarPlace place in BarFilter.Place(bars).Where(place => place.GuestStart is not null && !place.IsIdentity))
            {
                Assert.IsGreaterThanOrEqualTo(Hole3GPolicy.HoleStart, place.GuestStart!.Value);
                Assert.IsLessThanOrEqualTo(X86Layout.UsualIoApic, place.GuestStart!.Value + place.Bar.SizeBytes);
                Assert.AreEqual(0UL, place.GuestStart!.Value & (place.Bar.SizeBytes - 1));
            }

            for (int i = 1; i < pages.Length; i++)
                Assert.IsLessThan(pages[i].First, pages[i - 1].Last);
        }));

    [TestMethod]
    public void Room_is_the_sum_of_the_windows_from_a_start_aligned_to_the_largest()
    {
        BarRoom room = BarRoom.Of([Window(0xe000_0000, 0xf000_0000), Window(0xf000_0000, 0xf200_0000), Window(0xf300_0000, 0xf300_0100)]);

        Assert.AreEqual((256UL << 20) + (32UL << 20) + 4096, room.LowBytes);
        Assert.AreEqual(256UL << 20, room.LowAlignment);
        // ec…–fec00000 would hold them, but the largest must start at a multiple of 256 MiB.
        Assert.AreEqual((4UL << 30) - 0xe000_0000, room.SmallestLowHoleBytes);
        Assert.AreEqual(32, room.AddressBitsNow);
    }

    [TestMethod]
    public void A_32_GiB_window_needs_37_bits_behind_4_GiB_of_RAM_and_no_hole_below_4_GiB_holds_it()
    {
        BarRoom room = BarRoom.Of([new(1, BarKind.Memory, 0x20_0000_0000_00, 0x20_0008_0000_00, true, true),
            new(0, BarKind.Memory, 0x800_0000_0000, 0x808_0000_0000, true, true)]);

        Assert.IsNull(room.SmallestHoleForAllBytes);
        Assert.AreEqual(32UL << 30, room.HighAlignment);
        Assert.AreEqual(37, room.AddressBitsBehind(4UL << 30));
    }

    [TestMethod]
    public void A_bridges_window_takes_no_room_of_its_own()
    {
        Bar window = new(14, BarKind.BridgeWindow, 0xf000_0000, 0xf800_0000, false, false);

        Assert.AreEqual(0UL, BarRoom.Of([window]).LowBytes);
        Assert.IsEmpty(BarFilter.Place([window]));
    }

    [TestMethod]
    public void An_MSI_X_table_lies_at_its_offset_in_its_window_or_nowhere()
    {
        ImmutableArray<Bar> bars = [Window(0xfe00_0000, 0xfe00_4000) with { Index = 3 }];

        Assert.AreEqual((0xfe00_2000UL, 0xfe00_2050UL), new MsixTable(3, 0x2000, 5).RangeIn(bars));
        Assert.IsNull(new MsixTable(3, 0x3fff, 5).RangeIn(bars));
        Assert.IsNull(new MsixTable(0, 0, 5).RangeIn(bars));
    }

    private static Bar Window(ulong start, ulong end) => new(0, BarKind.Memory, start, end, false, false);
}
