// SPDX-License-Identifier: GPL-2.0-only

using System;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.Addresses;

[TestClass]
public sealed class FrameArithmeticTests
{
    /// <summary>Numbers around those at which something could go wrong.</summary>
    private static readonly Gen<ulong> s_edge =
        from power in Gen.Choose(0, 64)
        from offset in Gen.Choose(-3, 3)
        select unchecked((power == 64 ? 0UL : 1UL << power) + (ulong)(long)offset);

    [TestMethod]
    public void Zero_is_a_valid_value_of_every_type()
    {
        Assert.AreEqual(new Pfn(0), default(Pfn));
        Assert.AreEqual(new Mfn(0), default(Mfn));
        Assert.IsTrue(default(PfnRange).IsEmpty);
        Assert.IsTrue(default(MfnRange).IsEmpty);
        Assert.IsTrue(default(ByteRange).IsEmpty);
        Assert.AreEqual(default, PfnRange.FromBounds(default, default));
    }

    [TestMethod]
    public void Any_address_lies_in_its_frame_and_below_the_next() => Check.All(s_edge, address =>
    {
        Pfn inside = Pfn.Containing(address);
        Pfn above = Pfn.AtOrAbove(address);

        Assert.AreEqual(address >> 12, inside.Value);
        Assert.AreEqual((ulong)(((UInt128)address + 4095) >> 12), above.Value);
        Assert.AreEqual(inside.Value, Mfn.Containing(address).Value);
        Assert.AreEqual(above.Value, Mfn.AtOrAbove(address).Value);
    });

    [TestMethod]
    public void The_frame_above_the_last_address_is_two_to_the_52()
    {
        Assert.AreEqual((1UL << 52) - 1, Pfn.Containing(ulong.MaxValue).Value);
        Assert.AreEqual(1UL << 52, Pfn.AtOrAbove(ulong.MaxValue).Value);
    }

    [TestMethod]
    public void The_end_of_the_last_frame_is_a_valid_bound()
    {
        PfnRange all = PfnRange.FromBounds(default, new Pfn(Frames.MaxCount));

        Assert.AreEqual(1UL << 40, all.Count);
        Assert.AreEqual(Frames.AddressLimit, all.End.ToAddress());
        Assert.IsTrue(all.Contains(new Pfn(Frames.MaxCount - 1)));
        Assert.IsFalse(all.Contains(new Pfn(Frames.MaxCount)));
        Assert.AreEqual(1UL << 52, ByteRange.FromFrames(all).SizeBytes);
    }

    [TestMethod]
    public void Moving_past_the_last_number_is_an_overflow_and_no_small_frame()
    {
        Assert.ThrowsExactly<OverflowException>(() => new Pfn(ulong.MaxValue).Plus(1));
        Assert.ThrowsExactly<OverflowException>(() => new Mfn(ulong.MaxValue).Plus(1));
    }

    [TestMethod]
    public void A_range_of_bytes_that_wraps_ends_below_its_start_as_the_entry_does()
    {
        Assert.AreEqual(1UL, ByteRange.FromSize(ulong.MaxValue, 2).End);
        Assert.AreEqual(0UL, ByteRange.FromSize(ulong.MaxValue, 1).End);
    }

    [TestMethod]
    public void A_range_with_its_end_before_its_start_is_empty_at_its_start() => Check.All(s_edge.Two(), pair =>
    {
        PfnRange range = PfnRange.FromBounds(new Pfn(pair.Item1), new Pfn(pair.Item2));
        MfnRange machine = MfnRange.FromBounds(new Mfn(pair.Item1), new Mfn(pair.Item2));
        ByteRange bytes = ByteRange.FromBounds(pair.Item1, pair.Item2);

        ulong count = pair.Item2 > pair.Item1 ? pair.Item2 - pair.Item1 : 0;
        Assert.AreEqual((pair.Item1, count), (range.Start.Value, range.Count));
        Assert.AreEqual((pair.Item1, count), (machine.Start.Value, machine.Count));
        Assert.AreEqual((pair.Item1, count), (bytes.Start, bytes.SizeBytes));
        Assert.AreEqual(count == 0, range.IsEmpty);
    });

    [TestMethod]
    public void Contains_overlaps_and_intersect_agree_with_looking_at_every_frame() => Check.All(
        from first in Check.Below(8).Two()
        from second in Check.Below(8).Two()
        from base_ in Gen.Elements(0UL, Frames.MaxCount - 8, ulong.MaxValue - 8)
        select (Range(base_, first), Range(base_, second), base_),
        world =>
        {
            (PfnRange left, PfnRange right, ulong start) = world;
            PfnRange both = left.Intersect(right);
            bool any = false;
            for (ulong offset = 0; offset < 8; offset++)
            {
                Pfn pfn = new(start + offset);
                bool inBoth = left.Contains(pfn) && right.Contains(pfn);
                any |= inBoth;
                Assert.AreEqual(inBoth, both.Contains(pfn));
                Assert.AreEqual(pfn >= left.Start && pfn < left.End, left.Contains(pfn));
            }

            Assert.AreEqual(any, left.Overlaps(right));
            Assert.AreEqual(any, right.Overlaps(left));
            Assert.AreEqual(!any, both.IsEmpty);
        });

    [TestMethod]
    public void Bytes_touch_the_frames_that_hold_any_of_them()
    {
        Assert.AreEqual(PfnRange.FromCount(new Pfn(1), 2), ByteRange.FromBounds(0x1fff, 0x2001).Touched);
        Assert.AreEqual(PfnRange.FromCount(new Pfn(1), 1), ByteRange.FromBounds(0x1000, 0x2000).Touched);
        Assert.AreEqual(new Pfn(1UL << 52), ByteRange.FromBounds(0, ulong.MaxValue).Touched.End);
    }

    private static PfnRange Range(ulong start, (ulong From, ulong To) bounds) =>
        PfnRange.FromBounds(new Pfn(start + bounds.From), new Pfn(start + bounds.To));
}
