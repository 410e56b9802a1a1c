// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Platforms;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class P2mReaderTests
{
    private const ulong Ram = 0x12345;

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void A_list_comes_out_run_by_run_whichever_way_the_kernel_tells_where_it_is()
    {
        ulong[] entries =
            [.. Enumerable.Repeat(Ram, 0x800), .. Enumerable.Repeat(FakeP2m.Identity, 0x1234), FakeP2m.Foreign | Ram, FakeP2m.Invalid, Ram + 1, Ram];
        (ulong, LiveP2mKind)[] expected =
            [(0x800, LiveP2mKind.Ram), (0x1234, LiveP2mKind.Identity), (1, LiveP2mKind.Foreign), (1, LiveP2mKind.Invalid), (2, LiveP2mKind.Ram)];

        foreach (FakeP2m guest in (FakeP2m[])[new FakeP2m().WithLinearList(entries), new FakeP2m().WithTree(entries)])
        {
            LiveP2m list = Read(guest);

            Assert.AreEqual((ulong)entries.Length, list.FrameCount);
            CollectionAssert.AreEqual(expected, list.Runs.Select(run => (run.Range.Count, run.Kind)).ToArray());
            Assert.AreEqual(0x802UL, list.CountOf(LiveP2mKind.Ram));
        }
    }

    [TestMethod]
    public void Any_list_is_read_as_it_stands()
    {
        int seed = Random.Shared.Next();
        TestContext.WriteLine($"seed {seed}");
        var random = new Random(seed);
        for (int round = 0; round < 200; round++)
        {
            List<ulong> entries = [];
            List<LiveP2mKind> expected = [];
            for (int runs = random.Next(1, 12); runs > 0; runs--)
            {
                var kind = (LiveP2mKind)random.Next(4);
                for (int count = random.Next(4) == 0 ? random.Next(1, 4) : random.Next(1, 3000); count > 0; count--)
                {
                    entries.Add(EntryOf(kind, (ulong)random.Next()));
                    expected.Add(kind);
                }
            }

            for (int start = 0; start < expected.Count; start += 512)
            {
                Span<LiveP2mKind> page = CollectionsMarshal.AsSpan(expected)[start..Math.Min(start + 512, expected.Count)];
                if (!page.ContainsAnyExcept(LiveP2mKind.Invalid))
                    page.Fill(LiveP2mKind.Unwritten);
            }

            ulong[] all = [.. entries];
            FakeP2m guest = random.Next(2) == 0 ? new FakeP2m().WithLinearList(all) : new FakeP2m().WithTree(all);
            CollectionAssert.AreEqual(expected, Read(guest).Runs.SelectMany(run => Enumerable.Repeat(run.Kind, (int)run.Range.Count)).ToList(),
                $"seed {seed}, round {round}");
        }
    }

    [TestMethod]
    public void Pages_of_nothing_but_invalid_entries_are_told_apart_by_which_page_they_are()
    {
        // Linux has one such page for identity and one for nothing.
        var guest = new FakeP2m().WithLinearList([.. Enumerable.Repeat(Ram, 512), .. Enumerable.Repeat(FakeP2m.Invalid, 1024),
            .. Enumerable.Repeat(Ram, 512), .. Enumerable.Repeat(FakeP2m.Invalid, 512), FakeP2m.Invalid, Ram]);
        (ulong, LiveP2mKind, int)[] expected =
            [(512, LiveP2mKind.Ram, 0), (1024, LiveP2mKind.Unwritten, 1), (512, LiveP2mKind.Ram, 0), (512, LiveP2mKind.Unwritten, 2),
                (1, LiveP2mKind.Invalid, 0), (1, LiveP2mKind.Ram, 0)];

        CollectionAssert.AreEqual(expected, Read(guest).Runs.Select(run => (run.Range.Count, run.Kind, run.Page)).ToArray());
    }

    [TestMethod]
    public void A_page_that_stands_in_the_list_again_and_again_is_read_once_in_each_batch()
    {
        var guest = new FakeP2m().WithLinearList([.. Enumerable.Repeat(FakeP2m.Invalid, 512 * 2048)]);

        Assert.AreEqual(1, Read(guest).Runs.Length);
        // Four batches, and what leads there: a root, two of the second level, five tables, shared_info twice.
        Assert.IsLessThan(20, guest.Read);
    }

    [TestMethod]
    public void What_has_no_list_is_told_why()
    {
        ulong[] entries = [Ram];
        Assert.Contains("has never run", Problem(new FakeP2m { Guest = new() { Id = new(5) } }.WithLinearList(entries)));
        Assert.Contains("only PV guests", Problem(new FakeP2m { Guest = Running with { IsHvm = true } }.WithLinearList(entries)));
        Assert.Contains("dom0", Problem(new FakeP2m { Guest = Running with { Id = new(0) } }.WithLinearList(entries)));
        Assert.Contains("32-bit guest", Problem(new FakeP2m { Bits = 32 }.WithLinearList(entries)));
        Assert.Contains("ENOSYS", Problem(new FakeP2m { Bits = -38 }.WithLinearList(entries)));
        Assert.Contains("has not said where its P2M list is", Problem(new FakeP2m()));
        Assert.Contains("cannot be mapped", Problem(new FakeP2m { Guest = Running with { SharedInfoFrame = 99 } }.WithLinearList(entries)));
    }

    [TestMethod]
    public void What_a_hostile_guest_says_is_bounded_and_refused()
    {
        ulong[] entries = [.. Enumerable.Repeat(Ram, 3000)];
        FakeP2m Guest() => new FakeP2m().WithLinearList(entries);

        FakeP2m endless = Guest();
        endless.MaxPfn = ulong.MaxValue;
        Assert.Contains("more than any guest has", Problem(endless));

        FakeP2m crooked = Guest();
        crooked.ListAddress += 8;
        Assert.Contains("in the middle of a page", Problem(crooked));

        FakeP2m absent = Guest();
        absent.TableEntry(0, FakeP2m.Address + 8192) = 0;
        Assert.Contains("do not reach its P2M list at 0xffffc90000400000", Problem(absent));

        FakeP2m others = Guest();
        others.TableEntry(0, FakeP2m.Address) = (0xdeadUL << 12) | 1;
        Assert.Contains("cannot be mapped", Problem(others));

        FakeP2m othersTable = Guest();
        othersTable.Cr3 = 0xdeadUL << 12;
        Assert.Contains("cannot be mapped", Problem(othersTable));

        Assert.Contains("more than 65,536 runs", Problem(new FakeP2m().WithLinearList(
            [.. Enumerable.Range(0, 70_000).Select(i => i % 2 == 0 ? Ram : FakeP2m.Invalid)])));

        // 2^32 frames behind one page of page tables: it goes on to the list's end, and reads little.
        FakeP2m round = new FakeP2m().WithLinearList([.. Enumerable.Repeat(Ram, 512)]);
        round.MaxPfn = 1UL << 27;
        for (int i = 0; i < 512; i++)
            round.TableEntry(0, FakeP2m.Address & ~0x1fffffUL | (ulong)i << 12) = round.TableEntry(0, FakeP2m.Address);
        for (int i = 0; i < 512; i++)
            round.TableEntry(1, FakeP2m.Address & ~0x3fffffffUL | (ulong)i << 21) = round.TableEntry(1, FakeP2m.Address);
        for (int i = 0; i < 512; i++)
            round.TableEntry(2, FakeP2m.Address & ~0x7fffffffffUL | (ulong)i << 30) = round.TableEntry(2, FakeP2m.Address);
        Assert.AreEqual(1UL << 27, Read(round).Runs.Single().Range.Count);
        Assert.IsLessThan(3000, round.Read);
    }

    [TestMethod]
    public void A_list_that_changes_while_it_is_read_is_read_again()
    {
        var guest = new FakeP2m().WithLinearList([Ram]);
        int reads = 0;
        guest.Reading = it =>
        {
            // Between the first look at where the list is and the second.
            if (++reads == 3)
                it.Generation += 2;
        };
        Assert.AreEqual(1, Read(guest).Runs.Length);

        guest.Reading = static it => it.Generation += 2;
        Assert.Contains("again and again", Problem(guest));
    }

    [TestMethod]
    public void What_is_unwritten_agrees_with_identity_or_with_nothing_and_each_of_its_pages_with_one_of_them()
    {
        BootForecast forecast = Forecast(
            new(PfnRange.FromCount(new(0), 512), P2mKind.Ram, default), new(PfnRange.FromCount(new(512), 1024), P2mKind.Identity, default),
            new(PfnRange.FromCount(new(1536), 512), P2mKind.Invalid, default));
        LiveP2m List(int last) => new()
        {
            FrameCount = 2048,
            Runs = [new(PfnRange.FromCount(new(0), 512), LiveP2mKind.Ram), new(PfnRange.FromCount(new(512), 1024), LiveP2mKind.Unwritten, 1),
                new(PfnRange.FromCount(new(1536), 512), LiveP2mKind.Unwritten, last)],
        };

        Assert.IsNull(List(2).Compare(forecast, out ulong differing));
        Assert.AreEqual(0UL, differing);

        Assert.AreEqual(new LiveP2mDifference(PfnRange.FromCount(new(1536), 512), LiveP2mKind.Identity, LiveP2mKind.Invalid),
            List(1).Compare(forecast, out differing));
        Assert.AreEqual(512UL, differing);
    }

    [TestMethod]
    public void Frames_behind_the_list_are_identity_and_each_that_differs_is_counted()
    {
        BootForecast forecast = Forecast(
            new(PfnRange.FromCount(new(0), 100), P2mKind.Ram, default), new(PfnRange.FromCount(new(100), 100), P2mKind.Remapped, new(7)),
            new(PfnRange.FromCount(new(200), 100), P2mKind.Identity, default));
        LiveP2m list = new() { FrameCount = 210, Runs = [new(PfnRange.FromCount(new(0), 150), LiveP2mKind.Ram),
            new(PfnRange.FromCount(new(150), 10), LiveP2mKind.Invalid), new(PfnRange.FromCount(new(160), 50), LiveP2mKind.Ram)] };

        Assert.AreEqual(new LiveP2mDifference(PfnRange.FromCount(new(150), 10), LiveP2mKind.Invalid, LiveP2mKind.Ram),
            list.Compare(forecast, out ulong differing));
        Assert.AreEqual(20UL, differing);
    }

    private static BootForecast Forecast(params P2mRun[] runs) =>
        Boot.Of(new Scenario { Host = new Host { Entries = [E820Entry.FromBounds(0, 0x4000_0000, E820Type.Ram)] }, Guest = new GuestSpec { MemoryKiB = 4096, MaxmemKiB = 4096 } }).Forecast!
            with { P2m = [.. runs], P2mEnd = runs[^1].Range.End };

    private static DomainInfo Running => new FakeP2m().Guest;

    private static ulong EntryOf(LiveP2mKind kind, ulong frame) => kind switch
    {
        LiveP2mKind.Ram => frame,
        LiveP2mKind.Identity => FakeP2m.Identity | frame,
        LiveP2mKind.Foreign => FakeP2m.Foreign | frame,
        _ => FakeP2m.Invalid,
    };

    private static LiveP2m Read(FakeP2m guest)
    {
        Assert.IsTrue(P2mReader.Read(guest, guest.Guest, "domain 5").TryGet(out LiveP2m? list, out XenProblem? problem), problem?.ToString());
        return list;
    }

    private static string Problem(FakeP2m guest)
    {
        Assert.IsFalse(P2mReader.Read(guest, guest.Guest, "domain 5").TryGet(out _, out XenProblem? problem));
        return problem.ToString();
    }
}
