// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Simulation;

[TestClass]
public sealed class FaultTests
{
    private static IEnumerable<object[]> Kinds => HypercallKinds.All.Select(kind => new object[] { kind.ToString() });

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void Every_call_fails_at_its_start_in_its_own_way(string name)
    {
        HypercallKind kind = Enum.Parse<HypercallKind>(name);
        SimulatedXen xen = Make(out SimulatedDomain domain, out SimulatedHypercalls calls);
        ulong before = domain.CurrentPages;
        xen.Inject(new Fault { Call = kind, Error = XenError.EIO });

        long result = Call(calls, domain, kind, 3, out long progress);

        bool counts = kind is HypercallKind.IncreaseReservation or HypercallKind.DecreaseReservation or HypercallKind.PopulatePhysmap;
        Assert.AreEqual(counts ? 0 : -(long)XenError.EIO, result);
        Assert.AreEqual(0, progress);
        Assert.AreEqual(before, domain.CurrentPages);
        Assert.IsFalse(xen.HasPendingFaults);
        Assert.IsEmpty(xen.Audit());
        Assert.IsGreaterThanOrEqualTo(0, Call(calls, domain, kind, 3, out _), "only one call fails");
    }

    [TestMethod]
    [DataRow(nameof(HypercallKind.IncreaseReservation))]
    [DataRow(nameof(HypercallKind.DecreaseReservation))]
    [DataRow(nameof(HypercallKind.PopulatePhysmap))]
    [DataRow(nameof(HypercallKind.Exchange))]
    [DataRow(nameof(HypercallKind.MmuUpdate))]
    [DataRow(nameof(HypercallKind.Multicall))]
    public void A_list_fails_at_the_element_asked_for_with_those_before_it_done(string name)
    {
        HypercallKind kind = Enum.Parse<HypercallKind>(name);
        for (ulong at = 0; at < 4; at++)
        {
            SimulatedXen xen = Make(out SimulatedDomain domain, out SimulatedHypercalls calls);
            xen.Inject(new Fault { Call = kind, At = at, Error = XenError.ENOMEM });

            long result = Call(calls, domain, kind, 3, out long progress);

            long expected = Math.Min((long)at, 3);
            Assert.AreEqual(expected, progress, $"at {at}");
            if (kind is HypercallKind.Exchange or HypercallKind.MmuUpdate or HypercallKind.Multicall)
                Assert.AreEqual(at < 3 ? -(long)XenError.ENOMEM : 0, result, $"at {at}");
            Assert.IsEmpty(xen.Audit());
        }
    }

    [TestMethod]
    public void The_call_of_the_number_and_the_domain_asked_for_fails()
    {
        SimulatedXen xen = Make(out SimulatedDomain domain, out SimulatedHypercalls calls);
        Assert.AreEqual(XenError.None, xen.CreateDomain(new DomainSpec { Id = new DomainId(9), NrPages = 1 }, out SimulatedDomain? other));
        SimulatedHypercalls others = xen.HypercallsOf(other!);
        xen.Inject(new Fault { Call = HypercallKind.MaximumRamPage, Occurrence = 2, Caller = domain.Id, Error = XenError.EIO });

        Assert.IsGreaterThan(0, calls.MaximumRamPage());
        Assert.IsGreaterThan(0, others.MaximumRamPage());
        Assert.IsGreaterThan(0, calls.MemoryMap(new E820Entry[1], out _) + 1);
        Assert.AreEqual(-(long)XenError.EIO, calls.MaximumRamPage());
        Assert.IsGreaterThan(0, calls.MaximumRamPage());
    }

    private static SimulatedXen Make(out SimulatedDomain domain, out SimulatedHypercalls calls)
    {
        var xen = new SimulatedXen(MachineSpec.OfFrames(1000));
        var spec = new DomainSpec
        {
            Id = new DomainId(1),
            NrPages = 100,
            MappedPages = 50,
            Privileged = true,
            MemoryMap = [E820Entry.FromSize(0, 1 << 20, E820Type.Ram)],
        };
        Assert.AreEqual(XenError.None, xen.CreateDomain(spec, out SimulatedDomain? made));
        domain = made!;
        calls = xen.HypercallsOf(domain);
        return xen;
    }

    /// <summary>Makes a call that would succeed, with a list of <paramref name="length"/> where there is one; progress is what was done of the
    /// list.</summary>
    private static long Call(SimulatedHypercalls calls, SimulatedDomain domain, HypercallKind kind, int length, out long progress)
    {
        ulong mfn = domain.InitialP2M[0].Mfn.Value;
        ulong before = domain.CurrentPages;
        ulong[] spare = [.. Enumerable.Range(0, length).Select(i => 500 + (ulong)i)];
        ulong[] unmapped = [.. Enumerable.Range(0, length).Select(i => mfn + domain.CurrentPages - 1 - (ulong)i)];
        progress = 0;
        switch (kind)
        {
            case HypercallKind.MachineMemoryMap:
                return calls.MachineMemoryMap(new E820Entry[10], out _);
            case HypercallKind.MemoryMap:
                return calls.MemoryMap(new E820Entry[10], out _);
            case HypercallKind.SetMemoryMap:
                return calls.SetMemoryMap(DomainId.Self, new E820Entry[1]);
            case HypercallKind.MaximumRamPage:
                return calls.MaximumRamPage();
            case HypercallKind.CurrentReservation:
                return calls.CurrentReservation(DomainId.Self);
            case HypercallKind.MaximumReservation:
                return calls.MaximumReservation(DomainId.Self);
            case HypercallKind.IncreaseReservation:
                progress = calls.IncreaseReservation(DomainId.Self, spare, 0);
                Assert.AreEqual((long)before + progress, (long)domain.CurrentPages);
                return progress;
            case HypercallKind.DecreaseReservation:
                progress = calls.DecreaseReservation(DomainId.Self, unmapped, 0);
                Assert.AreEqual((long)before - progress, (long)domain.CurrentPages);
                return progress;
            case HypercallKind.PopulatePhysmap:
                progress = calls.PopulatePhysmap(DomainId.Self, spare, 0);
                Assert.AreEqual((long)before + progress, (long)domain.CurrentPages);
                return progress;
            case HypercallKind.Exchange:
                long exchange = calls.Exchange(DomainId.Self, unmapped, 0, spare, 0, out ulong exchanged);
                progress = (long)exchanged;
                Assert.AreEqual(length - progress,
                    spare.Count(frame => frame >= 500 && frame < 500 + (ulong)length && frame == 500 + (ulong)Array.IndexOf(spare, frame)));
                return exchange;
            case HypercallKind.MmuUpdate:
                long update = calls.MmuUpdate([.. unmapped.Select(frame => new MmuUpdate { ptr = (frame << 12) | 1, val = 7 })], out int done);
                progress = done;
                return update;
            case HypercallKind.UpdateVaMapping:
                return calls.UpdateVaMapping(DomainSpec.LinuxPageOffset, (mfn << 12) | 1, 0);
            case HypercallKind.Multicall:
                MulticallEntry[] entries =
                    [.. unmapped.Select(_ => new MulticallEntry { op = Hypercall.memory_op, arg0 = MemoryOp.XENMEM_maximum_ram_page })];
                Assert.AreEqual(0, calls.Multicall(entries));
                progress = entries.TakeWhile(entry => entry.result > 0).Count();
                return entries.FirstOrDefault(entry => entry.result < 0).result;
            case HypercallKind.CallbackOp:
                return calls.RegisterCallback(default);
            case HypercallKind.VmAssist:
                return calls.VmAssist(0, 0);
            default:
                throw new ArgumentOutOfRangeException(nameof(kind));
        }
    }
}
