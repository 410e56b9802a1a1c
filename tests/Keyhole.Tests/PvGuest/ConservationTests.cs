// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>No page gets lost or has two places, whichever call fails and wherever.</summary>
[TestClass]
public sealed class ConservationTests
{
    private static readonly HypercallKind[] s_kinds =
    [
        HypercallKind.MachineMemoryMap, HypercallKind.MemoryMap, HypercallKind.MaximumReservation, HypercallKind.DecreaseReservation,
        HypercallKind.PopulatePhysmap, HypercallKind.MmuUpdate, HypercallKind.UpdateVaMapping,
    ];

    /// <summary>A map that makes every kernel release, populate or move: holes of less and of more than a page of the remap list.</summary>
    private static readonly SmallWorld s_busy = new()
    {
        Map =
        [
            E820Entry.FromBounds(0, 0x9_ec00, E820Type.Ram),
            E820Entry.FromBounds(0x9_ec00, 0x10_0000, E820Type.Reserved),
            E820Entry.FromBounds(0x10_0000, 0x18_0000, E820Type.Ram),
            E820Entry.FromBounds(0x18_0000, 0x18_9400, E820Type.Nvs),
            E820Entry.FromBounds(0x18_a000, 0x1c_0000, E820Type.Ram),
            E820Entry.FromBounds(0x40_0000, 0x42_3000, E820Type.Ram),
            E820Entry.FromBounds(0x42_4000, 0x42_5000, E820Type.Ram),
            E820Entry.FromBounds(0x50_0000, 0x58_0000, E820Type.Ram),
            E820Entry.FromBounds(0x58_0000, 0x58_0800, E820Type.Reserved),
        ],
        PageCount = 0x410,
        HasDevice = true,
        PageTables = ByteRange.FromBounds(0x10_8000, 0x10_c000),
    };

    [TestMethod]
    public void Without_faults_nothing_is_lost_on_any_map() => Prop.ForAll(SmallWorld.Any.Where(world => world.HasWindowPage).ToArbitrary(), world =>
    {
        PagedBoot boot = PagedBoot.Of(world);
        AssertConserved(world, boot);
        if (boot.Result.Halt == HaltReason.None && world.Version >= Kernels.Linux43)
            AssertIdentity(world, boot);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [TestMethod]
    [DataRow("linux-3.3", false)]
    [DataRow("linux-3.4", false)]
    [DataRow("linux-4.3", false)]
    [DataRow("linux-4.4", false)]
    [DataRow("linux-6.1", false)]
    [DataRow("linux-7.2", false)]
    [DataRow("linux-3.4", true)]
    [DataRow("linux-6.1", true)]
    public void Whichever_call_fails_no_page_is_lost_and_the_end_is_stated(string name, bool isDom0)
    {
        KernelRelease version = Kernels.Of(name);
        SmallWorld world = s_busy with { Version = version, IsDom0 = isDom0, PageCount = isDom0 ? 0x150UL : s_busy.PageCount };
        PagedBoot whole = PagedBoot.Of(world);
        Assert.AreEqual(HaltReason.None, whole.Result.Halt);
        foreach (HypercallKind kind in s_kinds)
        {
            long calls = whole.Domain.HypercallCounts.GetValueOrDefault(HypercallKinds.NameOf(kind));
            for (long occurrence = 1; occurrence <= calls; occurrence++)
            {
                PagedBoot boot = PagedBoot.Of(world, [new Fault { Call = kind, Occurrence = occurrence }]);
                Assert.IsFalse(boot.Machine.HasPendingFaults, $"{kind} {occurrence}: the fault did not happen");
                AssertConserved(world, boot);
                AssertStated(kind, boot, whole, $"{KernelReleases.NameOf(version)} {kind} {occurrence}");
            }
        }
    }

    [TestMethod]
    public void Any_two_failures_on_any_map_lose_no_page() => Prop.ForAll(
        (from world in SmallWorld.Any
         where world.HasWindowPage
         from kinds in Gen.Elements(s_kinds).Two()
         from occurrences in Gen.Choose(1, 400).Two()
         select (world, faults: new[] { new Fault { Call = kinds.Item1, Occurrence = occurrences.Item1 },
             new Fault { Call = kinds.Item2, Occurrence = occurrences.Item2 } })).ToArbitrary(),
        pair => AssertConserved(pair.world, PagedBoot.Of(pair.world, pair.faults))).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    private static void AssertStated(HypercallKind kind, PagedBoot boot, PagedBoot whole, string where)
    {
        switch (kind)
        {
            case HypercallKind.MachineMemoryMap or HypercallKind.MemoryMap:
                Assert.AreEqual(HaltReason.NoMemoryMap, boot.Result.Halt, where);
                break;
            case HypercallKind.MaximumReservation:
                // Linux goes on without a maximum.
                Assert.AreEqual(HaltReason.None, boot.Result.Halt, where);
                break;
            case HypercallKind.DecreaseReservation:
                Assert.AreEqual(HaltReason.None, boot.Result.Halt, where);
                Assert.IsLessThan(whole.Result.ReleasedPages, boot.Result.ReleasedPages, where);
                break;
            case HypercallKind.PopulatePhysmap:
                Assert.AreEqual(HaltReason.None, boot.Result.Halt, where);
                Assert.IsLessThan(whole.Result.PopulatedPages, boot.Result.PopulatedPages, where);
                break;
            case HypercallKind.MmuUpdate:
                Assert.AreEqual(HaltReason.RemapFailed, boot.Result.Halt, where);
                Assert.IsLessThan(whole.Result.RemappedPages, boot.Result.RemappedPages, where);
                break;
            case HypercallKind.UpdateVaMapping:
                // Mapping the device at the old address may fail; moving pages may not.
                Assert.IsTrue(boot.Result.Halt is HaltReason.None or HaltReason.RemapFailed, where);
                // A page that is still mapped when it is given back is not the next one got: which frames 3.4 populates may differ, where may not.
                if (boot.Result.Halt == HaltReason.None)
                    CollectionAssert.AreEqual(whole.P2m.Select(KindOf).ToArray(), boot.P2m.Select(KindOf).ToArray(), where);
                break;
            default:
                Assert.Fail();
                break;
        }
    }

    private static string KindOf(ulong entry) => entry == ulong.MaxValue ? "invalid" : (entry & P2MAudit.IdentityFrameBit) != 0 ? "identity" : "ram";

    private static void AssertConserved(SmallWorld world, PagedBoot boot)
    {
        Assert.IsEmpty(boot.Machine.Audit());
        SimulatedDomain domain = boot.Domain;
        // What was given back while it was mapped stays the domain's until its mapping goes, if it ever does.
        ulong stillMapped = GivenBackButMapped(boot);
        Assert.AreEqual(world.PageCount + boot.Result.PopulatedPages, domain.CurrentPages + boot.Result.ReleasedPages - stillMapped);
        P2MAudit audit = P2MAudit.OfList(boot.Machine, domain, WithoutFirmware(boot.P2m, boot));
        Assert.IsEmpty(audit.Findings, string.Join('\n', audit.Findings));
    }

    /// <summary>7.2 moves ACPI NVS to where RAM was: frames in the list that are nobody's RAM.</summary>
    private static ulong[] WithoutFirmware(ulong[] p2m, PagedBoot boot) =>
        boot.Result.NonRamPages == 0 ? p2m
            : [.. p2m.Select(entry => entry != ulong.MaxValue && !boot.Machine.IsRam(new Mfn(entry)) ? ulong.MaxValue : entry)];

    private static ulong GivenBackButMapped(PagedBoot boot)
    {
        ulong count = 0;
        foreach (FrameRun run in boot.Domain.InitialP2M)
        {
            for (ulong i = 0; i < run.Count; i++)
            {
                FrameState frame = boot.Machine.FrameTable.Get(run.Mfn.Value + i);
                if (frame.Owner == boot.Domain.Owner && !frame.IsAllocated)
                    count++;
            }
        }

        return count;
    }

    /// <summary>Every frame below the end of the map that no RAM covers whole is identity.</summary>
    private static void AssertIdentity(SmallWorld world, PagedBoot boot)
    {
        E820Entry[] map = new E820Entry[2 * world.Map.Length];
        if (!Sanitizer.TrySanitize(world.IsDom0 ? [.. world.Map.Select(AsDom0Sees)] : world.Map.AsSpan(), map,
            new int[Sanitizer.ScratchLength(world.Map.Length)], out int count) || count == 0)
            return;
        // NVS that 7.2 moved is RAM to it.
        if (boot.Result.NonRamPages > 0)
            return;
        map = map[..count];
        ulong end = Math.Min(Pfn.Containing(map[^1].End).Value, (ulong)world.ListLength);
        ulong withinPage = map.Where(static entry => entry.IsRam && Pfn.AtOrAbove(entry.Address) > Pfn.Containing(entry.End))
            .Select(static entry => Pfn.AtOrAbove(entry.Address).Value).DefaultIfEmpty(ulong.MaxValue).Min();
        for (ulong pfn = 0; pfn < end; pfn++)
        {
            if (map.Any(entry => entry.IsRam && entry.Address <= pfn << 12 && entry.End >= (pfn + 1) << 12))
                continue;
            // 4.3 keeps extra memory in bytes and takes pages that it only touches for extra memory too.
            if (world.Version == Kernels.Linux43 && boot.P2m[pfn] == ulong.MaxValue
                && map.Any(entry => entry.IsRam && entry.Address < (pfn + 1) << 12 && entry.End > pfn << 12))
                continue;
            // RAM within one page has so many pages to the kernel that what moves there goes on behind it, over whatever follows.
            if (pfn >= withinPage && boot.P2m[pfn] != (pfn | P2MAudit.IdentityFrameBit))
                continue;
            Assert.AreEqual(pfn | P2MAudit.IdentityFrameBit, boot.P2m[pfn], $"pfn {pfn:x}");
        }
    }

    private static E820Entry AsDom0Sees(E820Entry entry) => entry.Type == E820Type.Unusable ? entry.WithType(E820Type.Ram) : entry;
}
