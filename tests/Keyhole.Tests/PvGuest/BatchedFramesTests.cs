// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Hypercalls;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>Many pages to a hypercall leave the same guest behind as one page to a hypercall does.</summary>
[TestClass]
public sealed class BatchedFramesTests
{
    [TestMethod]
    public void Batches_and_single_pages_leave_the_same_tables_on_any_map()
    {
        int moved = 0;
        int released = 0;
        Prop.ForAll(SmallWorld.Any.Where(world => world.HasWindowPage && world.Version != Kernels.Linux72).ToArbitrary(), world =>
        {
            PagedBoot paged = PagedBoot.Of(world);
            BatchedBoot batched = BatchedBoot.Of(world);
            Assert.AreEqual(paged.Result.Halt, batched.Result.Halt);
            Assert.IsEmpty(batched.Machine.Audit());
            if (paged.Result.Halt is not (HaltReason.None or HaltReason.ReleasesItself))
                return;
            Assert.AreEqual(paged.Result.ReleasedPages, batched.Result.ReleasedPages);
            Assert.AreEqual(paged.Result.PopulatedPages, batched.Result.PopulatedPages);
            Assert.AreEqual(paged.Result.RemappedPages, batched.Result.RemappedPages);
            CollectionAssert.AreEqual(paged.Extra, batched.Extra);
            AssertSameFrames(paged, batched);
            moved += batched.Result.RemappedPages > BatchedBoot.BatchEntries ? 1 : 0;
            released += batched.Result.ReleasedPages > BatchedBoot.BatchEntries ? 1 : 0;
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(600));
        // Worlds in which nothing happens would prove nothing.
        Assert.IsGreaterThan(6, moved);
        Assert.IsGreaterThan(6, released);
    }

    [TestMethod]
    public void A_remap_of_n_pages_takes_a_hypercall_for_each_full_batch()
    {
        const ulong hole = 1000;
        BatchedBoot batched = BatchedBoot.Of(World(hole));

        Assert.AreEqual(hole, batched.Result.RemappedPages);
        Assert.AreEqual((hole + BatchedBoot.BatchEntries - 1) / BatchedBoot.BatchEntries, batched.Counts.MmuUpdate);
    }

    [TestMethod]
    public void A_refused_m2p_update_halts_and_names_the_frame()
    {
        BatchedBoot batched = BatchedBoot.Of(World(1000), new Fault { Call = HypercallKind.MmuUpdate, Error = XenError.EINVAL });

        Assert.AreEqual(HaltReason.RemapFailed, batched.Result.Halt);
        Assert.AreEqual(-(long)XenError.EINVAL, batched.Error);
        Assert.AreEqual(2000UL, batched.FailedPfn.Value);
        // The first page of the hole was to go to the first frame behind the guest's own.
        Assert.AreEqual(batched.BuilderList[600], batched.FailedMfn.Value);
    }

    [TestMethod]
    [DataRow("linux-3.3", 5UL)]
    [DataRow("linux-3.4", 4UL)]
    public void A_page_that_is_not_taken_back_ends_the_release_of_its_hole_since_3_4_and_costs_only_itself_before(string name, ulong released)
    {
        KernelRelease kernel = Kernels.Of(name);
        SmallWorld world = new()
        {
            // Gaps serve as holes.
            Map = [Ram(0, 0x200), Ram(0x203, 0x300), Ram(0x303, 0x400)],
            PageCount = 0x400,
            Version = kernel,
        };

        BatchedBoot batched = BatchedBoot.Of(world, new Fault { Call = HypercallKind.DecreaseReservation, At = 1 });

        Assert.AreEqual(released, batched.Result.ReleasedPages);
        Assert.AreEqual(0x201UL, batched.FailedPfn.Value);
        Assert.AreEqual(batched.BuilderList[0x201], batched.FailedMfn.Value);
    }

    private static SmallWorld World(ulong hole) => new()
    {
        Map =
        [
            Ram(0, 600),
            E820.E820Entry.FromSize(600 << 12, hole << 12, E820.E820Type.Reserved),
            Ram(600 + hole, 4000),
        ],
        PageCount = 2000,
        Version = Kernels.Linux61,
    };

    private static E820.E820Entry Ram(ulong start, ulong end) => E820.E820Entry.FromBounds(start << 12, end << 12, E820.E820Type.Ram);

    private static void AssertSameFrames(PagedBoot paged, BatchedBoot batched)
    {
        for (int pfn = 0; pfn < paged.P2m.Length; pfn++)
        {
            ulong left = paged.P2m[pfn];
            ulong right = batched.P2m[pfn];
            // Pages that Xen gave again may be others; what the guest brought along must be the same.
            bool isSame = left == right || (P2mEntry.HasFrame(left) && P2mEntry.HasFrame(right) && paged.Result.PopulatedPages > 0);
            Assert.IsTrue(isSame, $"pfn {pfn:x}: {left:x} and {right:x}");
            if (P2mEntry.HasFrame(right))
                Assert.AreEqual((ulong)pfn, batched.Machine.MachineToPhysical(new(right)), $"M2P of pfn {pfn:x}");
        }
    }

    /// <summary>A small world booted in batches.</summary>
    private sealed class BatchedBoot
    {
        public const int BatchEntries = 64;

        public required SimulatedXen Machine { get; init; }

        public required SetupResult Result { get; init; }

        public required ByteRange[] Extra { get; init; }

        public required ulong[] P2m { get; init; }

        public required HypercallCounts Counts { get; init; }

        public required long Error { get; init; }

        public required Pfn FailedPfn { get; init; }

        public required Mfn FailedMfn { get; init; }

        public required ulong[] BuilderList { get; init; }

        public static BatchedBoot Of(SmallWorld world, params Fault[] faults)
        {
            SimulatedXen machine = world.MakeMachine(out SimulatedDomain domain, world.PageCount);
            ulong[] list = new ulong[world.PageCount];
            foreach (FrameRun run in domain.InitialP2M)
                FlatRun.Fill(list.AsSpan((int)run.Pfn.Value, (int)run.Count), run.Mfn.Value);
            ulong[] p2m = new ulong[world.ListLength];
            Assert.AreEqual(XenError.None, machine.ExtendLinearMapping(domain, Math.Min((ulong)p2m.Length, world.LinearEnd.Value)));
            SimulatedHypercalls xen = machine.HypercallsOf(domain);
            var frames = new BatchedFrames<SimulatedHypercalls, MulticallMapper>(
                xen, new(xen, world), p2m, list, new PreparedRemap[256], new MmuUpdate[BatchEntries], new ulong[BatchEntries]);
            foreach (Fault fault in faults)
                machine.Inject(fault);
            var tables = new SetupTables(
                new E820.E820Entry[SetupTables.MapCapacity], new E820.E820Entry[SetupTables.MapCapacity], new ByteRange[ExtraMemory.MaxRegions],
                new ByteRange[SetupTables.ReservedCapacity]);
            var log = new EventLog([]);
            SetupResult result = MemorySetup.Run(world.Start, KernelProfile.Of(world.Version), ref xen, ref frames, ref log, ref tables);
            return new()
            {
                Machine = machine,
                Result = result,
                Extra = tables.Extra.Slots.ToArray(),
                P2m = p2m,
                Counts = frames.Counts,
                Error = frames.Error,
                FailedPfn = frames.FailedPfn,
                FailedMfn = frames.FailedMfn,
                BuilderList = list,
            };
        }
    }

    /// <summary>Maps devices where Linux does, all pages of a run in one multicall.</summary>
    private readonly struct MulticallMapper(SimulatedHypercalls xen, SmallWorld world) : IFrameMapper
    {
        public void MapIdentity(PfnRange range, bool zaps)
        {
            PfnRange part = range.Intersect(PfnRange.FromBounds(default, world.MappedEnd));
            var calls = new MulticallEntry[part.Count];
            for (int i = 0; i < calls.Length; i++)
            {
                ulong pfn = part.Start.Value + (ulong)i;
                calls[i] = Update(pfn, zaps ? 0 : (pfn << Frames.Shift) | 0x7b);
            }

            xen.Multicall(calls);
        }

        private static MulticallEntry Update(ulong pfn, ulong entry) =>
            new() { op = Hypercall.update_va_mapping, arg0 = DomainSpec.LinuxPageOffset + (pfn << Frames.Shift), arg1 = entry };
    }
}
