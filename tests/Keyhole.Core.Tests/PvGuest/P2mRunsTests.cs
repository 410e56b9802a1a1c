// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.PvGuest;

[TestClass]
public sealed class P2mRunsTests
{
    private const int WorldFrames = 200;
    private const ulong IdentityBit = 1UL << 62;

    private static readonly Gen<P2mRun> s_run =
        from start in Gen.Choose(0, WorldFrames - 1)
        from length in Gen.Frequency((4, Gen.Choose(0, 20)), (1, Gen.Choose(0, WorldFrames)))
        from kind in Gen.Elements(P2mKind.Ram, P2mKind.Remapped, P2mKind.Identity, P2mKind.Invalid, P2mKind.NonRam)
        from mfn in Gen.Elements(0UL, 1000UL, P2mRun.UnknownMfn)
        select Run(start, Math.Min(length, WorldFrames - start), kind, mfn == 1000 ? mfn + (ulong)start : mfn);

    [TestMethod]
    public void Runs_agree_with_a_flat_array() => Check.All(
        from pages in Gen.Choose(0, WorldFrames)
        from runs in Gen.Choose(0, 40).SelectMany(count => s_run.ArrayOf(count))
        select (pages, runs),
        world =>
        {
            var p2m = new P2mRuns(new P2mRun[300], (ulong)world.pages, new Mfn(5000));
            P2mRun[] flat = [.. Enumerable.Range(0, WorldFrames)
                .Select(pfn => pfn < world.pages ? Run(pfn, 1, P2mKind.Ram, 5000 + (ulong)pfn) : Run(pfn, 1, P2mKind.Identity, 0))];
            foreach (P2mRun run in world.runs)
            {
                p2m.Set(run);
                for (ulong i = 0; i < run.Range.Count; i++)
                    flat[run.Range.Start.Value + i] = Run((int)(run.Range.Start.Value + i), 1, run.Kind, MfnAt(run, i));
            }

            Assert.IsFalse(p2m.HasOverflowed);
            AssertWhole(p2m);
            ulong[] list = new ulong[WorldFrames];
            p2m.WriteTo(list);
            for (int pfn = 0; pfn < WorldFrames; pfn++)
            {
                P2mRun found = p2m.Find(new Pfn((ulong)pfn));
                Assert.AreEqual(flat[pfn].Kind, found.Kind);
                if (found.HasFrames)
                    Assert.AreEqual(flat[pfn].Mfn.Value, MfnAt(found, (ulong)pfn - found.Range.Start.Value));
                Assert.AreEqual(Entry(flat[pfn], (ulong)pfn), list[pfn], $"entry {pfn}");
            }

            PfnRange part = PfnRange.FromBounds(new Pfn(30), new Pfn(130));
            foreach (P2mKind kind in Enum.GetValues<P2mKind>())
                Assert.AreEqual((ulong)flat[30..130].Count(run => run.Kind == kind), p2m.CountOf(kind, part));
        });

    [TestMethod]
    public void A_list_shorter_than_the_runs_is_written_to_its_end_and_no_further()
    {
        var p2m = new P2mRuns(new P2mRun[10], 100, new Mfn(7));
        ulong[] list = new ulong[60];
        p2m.WriteTo(list.AsSpan(0, 50));

        Assert.AreEqual(56UL, list[49]);
        Assert.AreEqual(0UL, list[50]);
    }

    [TestMethod]
    public void Storage_that_is_too_small_is_told_and_what_was_there_stays()
    {
        var p2m = new P2mRuns(new P2mRun[2], 10, default);
        p2m.Set(Run(3, 1, P2mKind.Invalid, 0));

        Assert.IsTrue(p2m.HasOverflowed);
        AssertWhole(p2m);
        Assert.AreEqual(P2mKind.Ram, p2m.Find(new Pfn(3)).Kind);
    }

    [TestMethod]
    public void The_last_frame_of_all_can_be_set()
    {
        var p2m = new P2mRuns(new P2mRun[4], Frames.MaxCount, default);
        p2m.Set(new(PfnRange.FromCount(new Pfn(Frames.MaxCount - 1), 1), P2mKind.Invalid, default));

        AssertWhole(p2m);
        Assert.AreEqual(2, p2m.Count);
        Assert.AreEqual(Frames.MaxCount - 1, p2m.CountOf(P2mKind.Ram, PfnRange.FromBounds(default, new Pfn(Frames.MaxCount))));
    }

    [TestMethod]
    public void Pages_of_the_tree_are_those_of_three_levels_built_literally() => Check.All(
        from pages in Gen.Choose(0, 3 << 18)
        from end in TreeEdge()
        from runs in Gen.Choose(0, 8)
            .SelectMany(count => (from start in TreeEdge() from stop in TreeEdge() from kind in Gen.Elements(P2mKind.Identity, P2mKind.Invalid,
                P2mKind.Ram) select Run(start, Math.Max(0, stop - start), kind, 0)).ArrayOf(count))
        select (pages, end, runs),
        world =>
        {
            var p2m = new P2mRuns(new P2mRun[100], (ulong)world.pages, default);
            P2mKind[] flat = new P2mKind[3 << 18];
            Array.Fill(flat, P2mKind.Identity);
            Array.Fill(flat, P2mKind.Ram, 0, world.pages);
            foreach (P2mRun run in world.runs)
            {
                p2m.Set(run);
                Array.Fill(flat, run.Kind, (int)run.Range.Start.Value, (int)run.Range.Count);
            }

            Assert.AreEqual(LiteralTreePages(flat.AsSpan(0, world.end)), p2m.CountTreePages(new Pfn((ulong)world.end)));
        },
        150);

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(7)]
    [DataRow(8)]
    [DataRow(1000)]
    [DataRow(1025)]
    public void Numbers_that_follow_each_other_fill_a_span_of_any_length(int length)
    {
        ulong[] list = new ulong[length + 1];
        FlatRun.Fill(list.AsSpan(0, length), ulong.MaxValue - 3);

        for (int i = 0; i < length; i++)
            Assert.AreEqual(unchecked(ulong.MaxValue - 3 + (ulong)i), list[i]);
        Assert.AreEqual(0UL, list[length]);
    }

    private static Gen<int> TreeEdge() =>
        from unit in Gen.Elements(1 << 18, 512, 512, 1)
        from at in Gen.Choose(0, (3 << 18) / unit)
        from offset in Gen.Elements(0, 0, 0, 1, -1)
        select Math.Clamp((at * unit) + offset, 0, 3 << 18);

    /// <summary>A leaf for each 512 frames not all identity or all missing, a middle for each 512 leaves of which one is its own, a top.</summary>
    private static ulong LiteralTreePages(ReadOnlySpan<P2mKind> flat)
    {
        ulong pages = 1;
        for (int middle = 0; middle < flat.Length; middle += 1 << 18)
        {
            ulong leaves = 0;
            for (int leaf = middle; leaf < Math.Min(middle + (1 << 18), flat.Length); leaf += 512)
            {
                ReadOnlySpan<P2mKind> kinds = flat[leaf..Math.Min(leaf + 512, flat.Length)];
                bool isShared = !kinds.ContainsAnyExcept(P2mKind.Identity) || !kinds.ContainsAnyExcept(P2mKind.Invalid);
                leaves += isShared ? 0UL : 1UL;
            }

            pages += leaves > 0 ? leaves + 1 : 0;
        }

        return pages;
    }

    /// <summary>Sorted, without gaps from 0 to 2^40, and no two neighbours that are one run.</summary>
    private static void AssertWhole(P2mRuns p2m)
    {
        Pfn end = default;
        P2mRun? left = null;
        foreach (P2mRun run in p2m.Runs)
        {
            Assert.AreEqual(end, run.Range.Start);
            Assert.IsFalse(run.Range.IsEmpty);
            if (left is { } before && before.Kind == run.Kind)
                Assert.IsTrue(run.HasFrames && MfnAt(before, before.Range.Count) != MfnAt(run, 0), "two neighbours that are one run");
            end = run.Range.End;
            left = run;
        }

        Assert.AreEqual(new Pfn(Frames.MaxCount), end);
    }

    private static ulong MfnAt(P2mRun run, ulong offset) =>
        !run.HasFrames ? 0 : run.Mfn.Value == P2mRun.UnknownMfn ? P2mRun.UnknownMfn : run.Mfn.Value + offset;

    private static ulong Entry(P2mRun one, ulong pfn) => one.Kind switch
    {
        P2mKind.Identity => pfn | IdentityBit,
        P2mKind.Invalid => ulong.MaxValue,
        P2mKind.Ram or P2mKind.Remapped or P2mKind.NonRam => one.Mfn.Value == P2mRun.UnknownMfn ? ulong.MaxValue : one.Mfn.Value,
    };

    private static P2mRun Run(int start, int length, P2mKind kind, ulong mfn) =>
        new(PfnRange.FromCount(new Pfn((ulong)start), (ulong)length), kind, new Mfn(kind is P2mKind.Identity or P2mKind.Invalid ? 0 : mfn));
}
