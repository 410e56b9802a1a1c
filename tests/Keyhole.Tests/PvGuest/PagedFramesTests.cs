// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>What is reckoned in runs is what happens when every page is moved with real hypercalls.</summary>
[TestClass]
public sealed class PagedFramesTests
{
    [TestMethod]
    public void Runs_and_pages_agree_on_any_map() => Compare(SmallWorld.Any, 600);

    [TestMethod]
    public void Runs_and_pages_agree_where_nothing_lies_in_the_way() => Compare(SmallWorld.Plain, 600);

    [TestMethod]
    public void Xen_refuses_to_move_a_page_a_second_time_where_two_holes_share_it()
    {
        SetupResult result = AssertAgree(new()
        {
            Map =
            [
                E820Entry.FromBounds(0, 0xc9000, E820Type.Unusable),
                E820Entry.FromBounds(0xc9400, 0xcb400, E820Type.Acpi),
                E820Entry.FromBounds(0xcb400, 0xce400, E820Type.Ram),
                E820Entry.FromBounds(0xce400, 0xdcc00, E820Type.Reserved),
                E820Entry.FromBounds(0x15ec00, 0x163c00, E820Type.Nvs),
                E820Entry.FromBounds(0x166c00, 0x16ec00, E820Type.Unusable),
                E820Entry.FromBounds(0x16ec00, 0x3f4400, E820Type.Ram),
                E820Entry.FromBounds(0x425400, 0x425c00, E820Type.Ram),
                E820Entry.FromBounds(0x428000, 0x43c000, E820Type.Reserved),
                E820Entry.FromBounds(0x43c000, 0x6b1c00, E820Type.Ram),
                E820Entry.FromBounds(0x6b1c00, 0xa10c00, E820Type.Ram),
                E820Entry.FromBounds(0xa11c00, 0xb94c00, E820Type.Ram),
            ],
            PageCount = 0x73a,
            MaxPages = 0x73a,
            Version = new KernelRelease(3, 18, 0),
        });

        Assert.AreEqual(HaltReason.RemapFailed, result.Halt);
    }

    [TestMethod]
    public void Runs_and_pages_agree_where_RAM_without_a_whole_page_is_taken_for_endless()
    {
        SetupResult result = AssertAgree(new()
        {
            Map =
            [
                E820Entry.FromBounds(0x26d800, 0x516400, E820Type.Ram),
                E820Entry.FromBounds(0xbc1400, 0xbc1c00, E820Type.Ram),
                E820Entry.FromBounds(0xd6b800, 0xd80400, E820Type.Ram),
            ],
            PageCount = 0xabf,
            Version = new KernelRelease(3, 18, 0),
        });

        // Past the end of the map: its last page is d80.
        Assert.AreEqual(0x26eu, result.RemappedPages);
    }

    /// <summary>The release that moves pages at once: Xen may refuse in the middle of it.</summary>
    [TestMethod]
    public void Runs_and_pages_agree_where_pages_are_moved_at_once() =>
        Compare(SmallWorld.Any.Select(static world => world with { Version = new KernelRelease(3, 18, 0) }), 1500);

    [TestMethod]
    [DataRow(508UL)]
    [DataRow(509UL)]
    [DataRow(510UL)]
    [DataRow(1018UL)]
    [DataRow(1019UL)]
    public void Runs_and_pages_agree_around_full_pages_of_the_remap_list(ulong hole)
    {
        foreach (KernelRelease version in KernelReleases.Named)
        {
            AssertAgree(new()
            {
                Map =
                [
                    E820Entry.FromSize(0, 600 << 12, E820Type.Ram),
                    E820Entry.FromSize(600 << 12, hole << 12, E820Type.Reserved),
                    // Room in two pieces, the first smaller than a page of the list.
                    E820Entry.FromBounds((600 + hole) << 12, 2100 << 12, E820Type.Ram),
                    E820Entry.FromBounds(2200 << 12, 4000 << 12, E820Type.Ram),
                ],
                PageCount = 2000,
                Version = version,
            });
        }
    }

    private static void Compare(Gen<SmallWorld> worlds, int times)
    {
        int moved = 0;
        int released = 0;
        Prop.ForAll(worlds.Where(world => world.HasWindowPage).ToArbitrary(), world =>
        {
            SetupResult result = AssertAgree(world);
            moved += result.RemappedPages > 509 ? 1 : 0;
            released += result.ReleasedPages > 0 ? 1 : 0;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(times));
        // Worlds in which nothing happens would prove nothing.
        Assert.IsGreaterThan(times / 100, moved);
        Assert.IsGreaterThan(times / 100, released);
    }

    private static SetupResult AssertAgree(SmallWorld world)
    {
        RunBoot run = RunBoot.Of(world);
        PagedBoot paged = PagedBoot.Of(world);
        Assert.AreEqual(run.Result.Halt, paged.Result.Halt);
        CollectionAssert.AreEqual(run.KernelMap, paged.KernelMap);
        Assert.IsEmpty(paged.Machine.Audit());
        if (run.Result.Halt is not (HaltReason.None or HaltReason.ReleasesItself))
            return run.Result;

        Assert.AreEqual(Text(run.Result), Text(paged.Result));
        CollectionAssert.AreEqual(run.Extra, paged.Extra);
        CollectionAssert.AreEqual(run.Events, paged.Events);
        Assert.AreEqual(Text(run.Counts), Text(paged.Counts));
        AssertCounted(paged);
        AssertSameP2m(world, run.P2m, paged);
        return run.Result;
    }

    private static string Text(in SetupResult result) =>
        $"{result.PageCount} pages, {result.ReleasedPages} released, {result.PopulatedPages} populated, {result.RemappedPages} "
            + $"remapped, {result.NonRamPages} non-RAM, "
        + $"{result.MaxP2mPfn.Value:x} {result.IdentityFrom.Value:x} {result.Initrd.Start:x} {result.P2mList.Start:x} "
        + $"{result.PciGap.Start:x}-{result.PciGap.End:x}";

    private static string Text(in HypercallCounts counts) =>
        $"decrease {counts.DecreaseReservation} populate {counts.PopulatePhysmap} mmu_update {counts.MmuUpdate} va {counts.UpdateVaMapping}";

    private static void AssertCounted(PagedBoot paged)
    {
        var made = paged.Domain.HypercallCounts;
        Assert.AreEqual(paged.Counts.DecreaseReservation, (ulong)made.GetValueOrDefault("XENMEM_decrease_reservation"));
        Assert.AreEqual(paged.Counts.PopulatePhysmap, (ulong)made.GetValueOrDefault("XENMEM_populate_physmap"));
        Assert.AreEqual(paged.Counts.MmuUpdate, (ulong)made.GetValueOrDefault("mmu_update"));
        Assert.AreEqual(paged.Counts.UpdateVaMapping, (ulong)made.GetValueOrDefault("update_va_mapping"));
    }

    private static void AssertSameP2m(SmallWorld world, P2mRun[] runs, PagedBoot paged)
    {
        Dictionary<ulong, ulong> origin = [];
        foreach (FrameRun initial in paged.Domain.InitialP2M)
        {
            for (ulong i = 0; i < initial.Count; i++)
                origin[initial.Mfn.Value + i] = initial.Pfn.Value + i;
        }

        foreach (P2mRun run in runs)
        {
            for (ulong pfn = run.Range.Start.Value; pfn < Math.Min(run.Range.End.Value, (ulong)world.ListLength); pfn++)
            {
                ulong entry = paged.P2m[pfn];
                ulong offset = pfn - run.Range.Start.Value;
                switch (run.Kind)
                {
                    case P2mKind.Identity:
                        Assert.AreEqual(pfn | P2MAudit.IdentityFrameBit, entry, $"pfn {pfn:x}");
                        break;
                    case P2mKind.Invalid:
                        Assert.AreEqual(ulong.MaxValue, entry, $"pfn {pfn:x}");
                        break;
                    case P2mKind.NonRam:
                        Assert.AreEqual(run.Mfn.Value + offset, entry, $"pfn {pfn:x}");
                        break;
                    case P2mKind.Ram when run.Mfn.Value == P2mRun.UnknownMfn:
                        Assert.AreEqual(pfn, paged.Machine.MachineToPhysical(new(entry)), $"pfn {pfn:x} was populated");
                        break;
                    case P2mKind.Ram or P2mKind.Remapped:
                        Assert.AreEqual(run.Mfn.Value + offset, origin[entry], $"pfn {pfn:x}");
                        break;
                    default:
                        Assert.Fail();
                        break;
                }
            }
        }
    }
}
