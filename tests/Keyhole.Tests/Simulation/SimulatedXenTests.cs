// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using System.Runtime.InteropServices;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Simulation;

[TestClass]
public sealed class SimulatedXenTests
{
    private const ulong Window = 0xffff_ffff_8200_0000;
    private const ulong KernelPage = 0x63;

    [TestMethod]
    public void Ram_is_what_the_machine_map_calls_ram_from_1_MiB_on_in_whole_frames()
    {
        var xen = new SimulatedXen(new MachineSpec
        {
            MachineMap =
            [
                E820Entry.FromSize(0, 0x200800, E820Type.Ram),
                E820Entry.FromBounds(0x180400, 0x181000, E820Type.Reserved),
                E820Entry.FromBounds(0x400800, 0x403000, E820Type.Ram),
            ],
        });

        Assert.AreEqual(0x100UL - 1 + 2, xen.TotalFrames);
        Assert.AreEqual(0x403UL, xen.MaximumRamPage);
        Assert.IsFalse(xen.IsRam(new Mfn(0xff)));
        Assert.IsFalse(xen.IsRam(new Mfn(0x180)));
        Assert.IsFalse(xen.IsRam(new Mfn(0x200)));
        Assert.IsFalse(xen.IsRam(new Mfn(0x400)));
        Assert.IsTrue(xen.IsRam(new Mfn(0x402)));
        Assert.IsEmpty(xen.Audit());
    }

    [TestMethod]
    [DataRow(ulong.MaxValue - 3, 2)]
    [DataRow(ulong.MaxValue - 2, 2)]
    [DataRow(ulong.MaxValue, 2)]
    [DataRow(ulong.MaxValue, 0)]
    public void Pfns_given_for_an_extent_count_on_past_the_last_as_Xens_do(ulong firstPfn, int order)
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        Assert.AreEqual(XenError.None,
            xen.CreateDomain(new DomainSpec { Id = new DomainId(1), NrPages = 10, MaxPages = 100 }, out SimulatedDomain? domain));
        SimulatedHypercalls calls = xen.HypercallsOf(domain!);

        ulong[] populated = [firstPfn];
        Assert.AreEqual(1, calls.PopulatePhysmap(DomainId.Self, populated, order));
        ulong[] exchanged = [firstPfn];
        Assert.AreEqual(0, calls.Exchange(DomainId.Self, populated, order, exchanged, order, out _));

        for (ulong i = 0; i < 1UL << order; i++)
            Assert.AreEqual(unchecked(firstPfn + i), xen.MachineToPhysical(new Mfn(exchanged[0] + i)));
        // Cut out of the run, a frame keeps its number and those behind it theirs.
        Assert.AreEqual(1, calls.DecreaseReservation(DomainId.Self, exchanged, 0));
        for (ulong i = 1; i < 1UL << order; i++)
            Assert.AreEqual(unchecked(firstPfn + i), xen.MachineToPhysical(new Mfn(exchanged[0] + i)));
    }

    [TestMethod]
    public void A_hostile_machine_map_costs_nothing_and_gives_sound_books()
    {
        var xen = new SimulatedXen(new MachineSpec
        {
            MachineMap =
            [
                E820Entry.FromSize(0x1000, ulong.MaxValue, E820Type.Ram),
                E820Entry.FromSize(0, ulong.MaxValue, E820Type.Ram),
                E820Entry.FromSize(ulong.MaxValue - 10, 100, E820Type.Reserved),
                E820Entry.FromSize(1UL << 40, ulong.MaxValue, E820Type.Nvs),
            ],
        });

        Assert.AreEqual((1UL << 28) - 0x100, xen.TotalFrames);
        Assert.IsEmpty(xen.Audit());
    }

    [TestMethod]
    public void A_domain_starts_with_pfns_from_0_on_and_an_M2P_that_agrees()
    {
        foreach (FramePlacement placement in (FramePlacement[])
            [FramePlacement.Ascending, FramePlacement.Descending(), FramePlacement.Descending(0), FramePlacement.Shuffled(7),
                FramePlacement.Shuffled(7, 4)])
        {
            var xen = new SimulatedXen(MachineSpec.OfFrames(5000));
            SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 3001, Placement = placement });

            P2MAudit audit = P2MAudit.Of(xen, domain, domain.InitialP2M);

            Assert.IsEmpty(audit.Findings);
            Assert.AreEqual(3001UL, audit.ListedPages);
            Assert.AreEqual(0UL, audit.UnlistedPages);
            Assert.AreEqual(0UL, domain.InitialP2M[0].Pfn.Value);
            Assert.AreEqual(5000UL - 3001, xen.FreeFrameCount);
            Assert.IsEmpty(xen.Audit());
        }
    }

    [TestMethod]
    public void Placement_decides_the_order_of_the_frames()
    {
        Assert.HasCount(1, InitialP2M(FramePlacement.Ascending));
        Assert.HasCount(3001, InitialP2M(FramePlacement.Descending(0)));
        FrameRun[] descending = InitialP2M(FramePlacement.Descending());
        Assert.IsGreaterThan(descending[1].Mfn, descending[0].Mfn);
        Assert.AreEqual(512UL, descending[1].Count);
        CollectionAssert.AreEqual(InitialP2M(FramePlacement.Shuffled(7)), InitialP2M(FramePlacement.Shuffled(7)));
        CollectionAssert.AreNotEqual(InitialP2M(FramePlacement.Shuffled(7)), InitialP2M(FramePlacement.Shuffled(8)));
    }

    [TestMethod]
    public void A_domain_that_cannot_be_made_changes_nothing()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 10 });
        (XenError Error, DomainSpec Spec)[] cases =
        [
            (XenError.EEXIST, new DomainSpec { Id = new DomainId(1), NrPages = 10 }),
            (XenError.ENOMEM, new DomainSpec { Id = new DomainId(2), NrPages = 991 }),
            (XenError.EINVAL, new DomainSpec { Id = DomainId.Self, NrPages = 10 }),
            (XenError.EINVAL, new DomainSpec { Id = new DomainId(2), NrPages = 10, MappedPages = 11 }),
            (XenError.EINVAL, new DomainSpec { Id = new DomainId(2), NrPages = 10, LinearBase = 0xffff_ffff_ffff_f000 }),
            (XenError.EINVAL, new DomainSpec { Id = new DomainId(2), NrPages = 10, LinearBase = 1UL << 47 }),
            (XenError.EINVAL, new DomainSpec { Id = new DomainId(2), NrPages = 10, LinearBase = 0x0000_7fff_ffff_f000 }),
            (XenError.EINVAL, new DomainSpec { Id = new DomainId(2), NrPages = 10, Windows = [new WindowMapping(Window, new Pfn(10))] }),
            (XenError.EINVAL, new DomainSpec { Id = new DomainId(2), NrPages = 10, Windows = [new WindowMapping(Window + 1, new Pfn(1))] }),
            (XenError.EINVAL, new DomainSpec { Id = new DomainId(2), NrPages = 10, L1Tables = [new L1Table(new Pfn(1), Window + 0x1000)] }),
        ];

        foreach ((XenError error, DomainSpec spec) in cases)
        {
            Assert.AreEqual(error, xen.CreateDomain(spec, out SimulatedDomain? domain), spec.ToString());
            Assert.IsNull(domain);
        }

        Assert.AreEqual(990UL, xen.FreeFrameCount);
        Assert.AreEqual(1, xen.Domains.Count());
    }

    [TestMethod]
    public void A_domain_of_16_TiB_is_made_of_a_few_runs()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(5UL << 30));
        long before = GC.GetAllocatedBytesForCurrentThread();

        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 4UL << 30 });

        Assert.IsLessThan(2_000_000, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.HasCount(1, domain.InitialP2M);
        Assert.IsEmpty(P2MAudit.Of(xen, domain, domain.InitialP2M).Findings);
        Assert.IsEmpty(xen.Audit());
        SimulatedHypercalls calls = xen.HypercallsOf(domain);
        calls.Page(DomainSpec.LinuxPageOffset + (((4UL << 30) - 1) << 12))[0] = 42;
        Assert.AreEqual(42UL, xen.Contents(new Mfn(domain.InitialP2M[0].Mfn.Value + (4UL << 30) - 1))[0]);
    }

    [TestMethod]
    public void Lists_are_worked_through_without_allocating()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(100_000));
        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 50_000 });
        SimulatedHypercalls calls = xen.HypercallsOf(domain);
        var frames = new ulong[512];
        var updates = new MmuUpdate[512];
        long allocated = 0;
        for (int round = 0; round < 3; round++)
        {
            for (int i = 0; i < 512; i++)
                frames[i] = 60_000 + (ulong)i;
            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.AreEqual(512, calls.PopulatePhysmap(DomainId.Self, frames, 0));
            for (int i = 0; i < 512; i++)
                updates[i] = new MmuUpdate { ptr = (frames[i] << 12) | 1, val = (ulong)i };
            Assert.AreEqual(0, calls.MmuUpdate(updates, out _));
            for (ulong i = 0; i < 512; i++)
                calls.UpdateVaMapping(DomainSpec.LinuxPageOffset + (i << 12), (frames[i] << 12) | KernelPage, 0);
            for (ulong i = 0; i < 512; i++)
                calls.UpdateVaMapping(DomainSpec.LinuxPageOffset + (i << 12), ((domain.InitialP2M[0].Mfn.Value + i) << 12) | KernelPage, 0);
            Assert.AreEqual(512, calls.DecreaseReservation(DomainId.Self, frames, 0));
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.AreEqual(0, allocated, "the third round finds its leaves there");
    }

    [TestMethod]
    public void The_guest_merge_policy_lets_a_guest_see_the_machine_map()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000) with { MachineMapForEveryone = true });
        SimulatedHypercalls guest = xen.HypercallsOf(Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 10 }));

        Assert.AreEqual(0, guest.MachineMemoryMap(new E820Entry[2], out int count));

        Assert.AreEqual(1, count);
    }

    [TestMethod]
    public void A_hypervisor_may_refuse_a_callback_type()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000) with { RefusedCallbacks = [CallbackOp.CALLBACKTYPE_sysenter] });
        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 10 });
        SimulatedHypercalls guest = xen.HypercallsOf(domain);

        Assert.AreEqual(-(long)XenError.ENOSYS, guest.RegisterCallback(new CallbackRegister { type = CallbackOp.CALLBACKTYPE_sysenter }));
        Assert.AreEqual(0, guest.RegisterCallback(new CallbackRegister { type = CallbackOp.CALLBACKTYPE_event, address = 0x1000 }));

        Assert.IsFalse(domain.TryGetCallback(CallbackOp.CALLBACKTYPE_sysenter, out _));
        Assert.IsTrue(domain.TryGetCallback(CallbackOp.CALLBACKTYPE_event, out CallbackRegister callback));
        Assert.AreEqual(0x1000UL, callback.address);
    }

    [TestMethod]
    public void A_domain_that_targets_another_controls_it_and_nobody_else()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 10 });
        Create(xen, new DomainSpec { Id = new DomainId(2), NrPages = 10 });
        SimulatedHypercalls stub = xen.HypercallsOf(Create(xen, new DomainSpec { Id = new DomainId(3), NrPages = 10, Target = new DomainId(1) }));

        Assert.AreEqual(10, stub.CurrentReservation(new DomainId(1)));
        Assert.AreEqual(1, stub.PopulatePhysmap(new DomainId(1), [20], 0));
        Assert.AreEqual(-(long)XenError.EPERM, stub.CurrentReservation(new DomainId(2)));
        Assert.AreEqual(0, stub.PopulatePhysmap(new DomainId(2), [20], 0));
    }

    [TestMethod]
    [DataRow(0, 9)]
    [DataRow(1, 12)]
    [DataRow(2, 18)]
    public void The_largest_order_is_the_callers(int kind, int largest)
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1 << 20));
        SimulatedHypercalls caller = xen.HypercallsOf(Create(xen, new DomainSpec
        {
            Id = new DomainId(1),
            NrPages = 10,
            Privileged = kind == 2,
            IoRanges = kind == 1 ? [MfnRange.FromCount(new Mfn(0xfebc0), 32)] : default,
        }));

        Assert.AreEqual(1, caller.IncreaseReservation(DomainId.Self, new ulong[1], largest));
        Assert.AreEqual(0, caller.IncreaseReservation(DomainId.Self, new ulong[1], largest + 1));
        Assert.AreEqual(0, caller.IncreaseReservation(DomainId.Self, new ulong[1], -1));
    }

    [TestMethod]
    public void A_domain_maps_the_io_it_was_granted_and_no_other()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        var spec = new DomainSpec { Id = new DomainId(1), NrPages = 10, IoRanges = [MfnRange.FromCount(new Mfn(0xfebc0), 32)] };
        SimulatedHypercalls guest = xen.HypercallsOf(Create(xen, spec));

        Assert.AreEqual(0, guest.UpdateVaMapping(DomainSpec.LinuxPageOffset, (0xfebdfUL << 12) | KernelPage | 0x10, 0));
        Assert.AreEqual(-(long)XenError.EPERM, guest.UpdateVaMapping(DomainSpec.LinuxPageOffset, (0xfebe0UL << 12) | KernelPage, 0));

        Assert.IsTrue(guest.Page(DomainSpec.LinuxPageOffset).IsEmpty);
        Assert.AreEqual(0u, xen.ReferencesTo(new Mfn(0x100)));
        Assert.IsEmpty(xen.Audit());
    }

    [TestMethod]
    public void Page_tables_are_written_by_machine_address_too()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        SimulatedDomain domain = Create(xen, new DomainSpec
        {
            Id = new DomainId(1),
            NrPages = 10,
            L1Tables = [new L1Table(new Pfn(9), DomainSpec.LinuxPageOffset)],
        });
        SimulatedHypercalls guest = xen.HypercallsOf(domain);
        ulong table = domain.InitialP2M[0].Mfn.Value + 9;
        ulong first = domain.InitialP2M[0].Mfn.Value;
        Assert.IsTrue(domain.TryGetL1Entry(DomainSpec.LinuxPageOffset + 0x3000, out ulong entry));
        Assert.AreEqual((table << 12) + 24, entry);

        Assert.AreEqual(0, guest.MmuUpdate([new MmuUpdate { ptr = entry, val = (first << 12) | 1 }], out _));
        Assert.AreEqual(0, guest.MmuUpdate([new MmuUpdate { ptr = entry | MmuUpdateCommand.MMU_PT_UPDATE_PRESERVE_AD, val = (first << 12) | 3 }],
            out _));

        Assert.IsTrue(domain.TryReadL1Entry(DomainSpec.LinuxPageOffset + 0x3000, out ulong pte));
        Assert.AreEqual((first << 12) | 3, pte);
        Assert.AreEqual(-(long)XenError.EBUSY, guest.MmuUpdate([new MmuUpdate { ptr = entry, val = (table << 12) | KernelPage }], out _),
            "a table is not mapped writable");
        Assert.AreEqual(0, guest.MmuUpdate([new MmuUpdate { ptr = entry, val = (table << 12) | 1 }], out _));
        Assert.AreEqual(0, guest.MmuUpdate([new MmuUpdate { ptr = (first << 12) + 8, val = 99 }], out _));
        Assert.AreEqual(99UL, guest.Page(DomainSpec.LinuxPageOffset)[1], "a page that is not a table is written like any other");
        Assert.IsEmpty(xen.Audit());
    }

    [TestMethod]
    public void Pointers_in_a_multicall_are_addresses_in_the_guests_memory()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 100 });
        SimulatedHypercalls guest = xen.HypercallsOf(domain);
        const ulong request = DomainSpec.LinuxPageOffset + 0x1000;
        const ulong list = DomainSpec.LinuxPageOffset + 0x2ff8;
        var reservation = new MemoryReservation { extent_start = list, nr_extents = 3, domid = DomainId.Self.Value };
        MemoryMarshal.Write(MemoryMarshal.AsBytes(guest.Page(request)), reservation);
        guest.Page(list)[511] = 200;
        guest.Page(list + 8)[0] = 201;
        guest.Page(list + 8)[1] = 202;
        MulticallEntry[] calls =
        [
            new() { op = Hypercall.memory_op, arg0 = MemoryOp.XENMEM_populate_physmap, arg1 = request },
            new() { op = Hypercall.memory_op, arg0 = MemoryOp.XENMEM_current_reservation, arg1 = request + 24 },
            new() { op = Hypercall.memory_op, arg0 = MemoryOp.XENMEM_current_reservation, arg1 = 0 },
            new() { op = Hypercall.memory_op, arg0 = MemoryOp.XENMEM_decrease_reservation, arg1 = 0 },
        ];

        Assert.AreEqual(0, guest.Multicall(calls));

        Assert.AreEqual(3, calls[0].result);
        Assert.AreEqual(103, calls[1].result);
        Assert.AreEqual(-(long)XenError.EFAULT, calls[2].result);
        Assert.AreEqual(0, calls[3].result);
        Assert.AreEqual(200UL, xen.MachineToPhysical(new Mfn(guest.Page(list)[511])));
        Assert.AreEqual(202UL, xen.MachineToPhysical(new Mfn(guest.Page(list + 8)[1])));
        Assert.AreEqual(1, domain.HypercallCounts["XENMEM_populate_physmap"]);
    }

    [TestMethod]
    public void A_translated_domain_speaks_of_pfns_only()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        SimulatedHypercalls guest = xen.HypercallsOf(Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 100, Translated = true }));
        ulong[] frames = [200];

        Assert.AreEqual(1, guest.PopulatePhysmap(DomainId.Self, frames, 0));
        Assert.AreEqual(200UL, frames[0]);
        guest.Page(DomainSpec.LinuxPageOffset + (200UL << 12))[0] = 5;
        Assert.AreEqual(1, guest.DecreaseReservation(DomainId.Self, frames, 0));
        Assert.AreEqual(0, guest.DecreaseReservation(DomainId.Self, frames, 0));
        Assert.IsTrue(guest.Page(DomainSpec.LinuxPageOffset + (200UL << 12)).IsEmpty);
        Assert.AreEqual(-(long)XenError.ENOSYS, guest.MmuUpdate([], out _));
        Assert.AreEqual(-(long)XenError.ENOSYS, guest.UpdateVaMapping(DomainSpec.LinuxPageOffset, 0, 0));
        Assert.AreEqual(-(long)XenError.ENOSYS, guest.MachineMemoryMap(new E820Entry[10], out _));
        Assert.AreEqual(-(long)XenError.EOPNOTSUPP, guest.Exchange(DomainId.Self, [5], 0, [5], 0, out _));
        Assert.IsEmpty(xen.Audit());
    }

    [TestMethod]
    public void An_exchange_for_which_memory_does_not_suffice_changes_nothing()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(101));
        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 100, MappedPages = 0 });
        SimulatedHypercalls guest = xen.HypercallsOf(domain);
        ulong first = (domain.InitialP2M[0].Mfn.Value + 1) & ~1UL;
        ulong[] outs = [200, 201];

        Assert.AreEqual(-(long)XenError.ENOMEM, guest.Exchange(DomainId.Self, [first], 1, outs, 0, out ulong exchanged));

        Assert.AreEqual(0UL, exchanged);
        CollectionAssert.AreEqual((ulong[])[200, 201], outs);
        Assert.AreEqual(1UL, xen.FreeFrameCount);
        Assert.IsEmpty(P2MAudit.Of(xen, domain, domain.InitialP2M).Findings);
        Assert.IsEmpty(xen.Audit());
    }

    [TestMethod]
    public void Calls_are_counted_by_name()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 10 });
        SimulatedHypercalls guest = xen.HypercallsOf(domain);

        guest.MaximumRamPage();
        guest.MaximumRamPage();
        guest.Multicall([new MulticallEntry { op = Hypercall.vm_assist }]);

        CollectionAssert.AreEqual(
            (string[])["XENMEM_maximum_ram_page=2", "multicall=1", "vm_assist=1"],
            domain.HypercallCounts.Select(pair => $"{pair.Key}={pair.Value}").ToArray());
    }

    [TestMethod]
    public void The_default_hypercalls_belong_to_nobody()
    {
        SimulatedHypercalls nobody = default;

        Assert.AreEqual(-(long)XenError.ENOSYS, nobody.CurrentReservation(DomainId.Self));
        Assert.AreEqual(0, nobody.PopulatePhysmap(DomainId.Self, new ulong[1], 0));
        Assert.IsTrue(nobody.Page(0).IsEmpty);
    }

    [TestMethod]
    public void A_P2M_that_lies_is_found_out()
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        SimulatedDomain other = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 10 });
        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(2), NrPages = 10 });
        Mfn mfn = domain.InitialP2M[0].Mfn;
        FrameRun honest = domain.InitialP2M[0];
        (string Expected, FrameRun[] P2M)[] cases =
        [
            ("twice", [honest, new FrameRun(new Pfn(50), mfn, 1)]),
            ("pfn 0x5 is in the P2M twice", [honest, new FrameRun(new Pfn(5), mfn.Plus(5), 1)]),
            ("M2P says pfn 0x0", [new FrameRun(new Pfn(1), mfn, 1)]),
            ("domain 1's", [new FrameRun(new Pfn(1), other.InitialP2M[0].Mfn, 1)]),
            ("free", [new FrameRun(new Pfn(9), mfn.Plus(9), 2)]),
            ("no RAM", [new FrameRun(new Pfn(1), new Mfn(0xfe), 2)]),
            ("beyond", [new FrameRun(new Pfn(1), new Mfn(1UL << 39), 2)]),
        ];

        foreach ((string expected, FrameRun[] p2m) in cases)
        {
            P2MAudit audit = P2MAudit.Of(xen, domain, p2m);
            Assert.IsTrue(audit.Findings.Any(finding => finding.ToString().Contains(expected, StringComparison.Ordinal)),
                $"{expected}: {string.Join("; ", audit.Findings)}");
        }

        ulong[] list = [mfn.Value, mfn.Value + 1, ulong.MaxValue, (1UL << 62) | 3, mfn.Value + 4];
        P2MAudit ofList = P2MAudit.OfList(xen, domain, list);
        Assert.IsEmpty(ofList.Findings);
        Assert.AreEqual(3UL, ofList.ListedPages);
        Assert.AreEqual(7UL, ofList.UnlistedPages);
    }

    [TestMethod]
    public void Broken_books_are_found_out()
    {
        Assert.Contains("two owners", Broken((xen, mfn) => xen.Free.Release(mfn, 1)));
        Assert.Contains("lost", Broken((xen, mfn) =>
        {
            xen.FrameTable.Edit(mfn).References = 0;
            xen.FrameTable.Edit(mfn).Flags = FrameFlags.Ram;
        }));
        Assert.Contains("mappings exist", Broken((xen, mfn) => xen.FrameTable.Edit(mfn).References++));
        Assert.Contains("free or owned", Broken((xen, mfn) => xen.FrameTable.Edit(mfn) = FrameState.FreeRam));
        Assert.Contains("no RAM", Broken((xen, mfn) => xen.FrameTable.Edit(mfn).Flags = FrameFlags.Allocated));
        Assert.Contains("does not exist", Broken((xen, mfn) => xen.FrameTable.Edit(mfn).Owner = 9));
        Assert.Contains("counts 11", Broken((xen, _) => xen.DomainsByOwner[0].CurrentPages++));
    }

    private static string Broken(Action<SimulatedXen, ulong> break1)
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        SimulatedDomain domain = Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 10 });
        break1(xen, domain.InitialP2M[0].Mfn.Value);
        return string.Join("\n", xen.Audit());
    }

    private static FrameRun[] InitialP2M(FramePlacement placement)
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(5000));
        return [.. Create(xen, new DomainSpec { Id = new DomainId(1), NrPages = 3001, Placement = placement }).InitialP2M];
    }

    private static SimulatedDomain Create(SimulatedXen xen, DomainSpec spec)
    {
        Assert.AreEqual(XenError.None, xen.CreateDomain(spec, out SimulatedDomain? domain));
        return domain!;
    }
}
