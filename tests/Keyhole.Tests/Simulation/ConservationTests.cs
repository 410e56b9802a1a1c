// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Simulation;

/// <summary>Whatever two domains call, with whatever faults, no frame is lost, none has two owners, and M2P says what was told it.</summary>
[TestClass]
public sealed class ConservationTests
{
    /// <summary>Few enough that memory runs out.</summary>
    private const int FrameCount = 380;
    private const ulong Window = 0xffff_ffff_8200_0000;

    [TestMethod]
    public void No_sequence_of_calls_loses_a_frame_or_gives_it_two_owners() => Scripts.Check(script => new Run(script).Play(false), 300, 250);

    [TestMethod]
    public void The_same_holds_with_a_translated_domain() => Scripts.Check(script => new Run(script).Play(true), 100, 250);

    private sealed class Run(Script script)
    {
        private readonly SimulatedXen _xen = new(MachineSpec.OfFrames(FrameCount));
        private readonly SimulatedDomain[] _domains = new SimulatedDomain[2];
        private readonly SimulatedHypercalls[] _calls = new SimulatedHypercalls[2];

        /// <summary>What M2P must say of a frame, and whose it was when it was told.</summary>
        private readonly SortedDictionary<ulong, (DomainId Owner, ulong Pfn)> _told = [];

        public void Play(bool translated)
        {
            Create(0, new DomainSpec { Id = new DomainId(0), NrPages = 150, Privileged = true, MappedPages = 60,
                L1Tables = [new L1Table(new Pfn(70), DomainSpec.LinuxPageOffset)] });
            Create(1, new DomainSpec
            {
                Id = new DomainId(5),
                NrPages = 200,
                MaxPages = 260,
                MappedPages = 90,
                Translated = translated,
                Placement = FramePlacement.Shuffled(3),
                Windows = [new WindowMapping(Window, new Pfn(95))],
            });
            while (!script.IsEmpty)
            {
                Step();
                Check(translated);
            }
        }

        private void Create(int index, DomainSpec spec)
        {
            Assert.AreEqual(XenError.None, _xen.CreateDomain(spec, out SimulatedDomain? domain));
            _domains[index] = domain!;
            _calls[index] = _xen.HypercallsOf(domain!);
            foreach (FrameRun run in domain!.InitialP2M)
            {
                for (ulong i = 0; i < run.Count; i++)
                    _told[run.Mfn.Value + i] = (domain.Id, run.Pfn.Value + i);
            }
        }

        private void Step()
        {
            int caller = script.Next(2);
            SimulatedHypercalls calls = _calls[caller];
            int other = script.Next(2);
            DomainId target = script.Next(8) == 0 ? new DomainId(99) : other == caller ? DomainId.Self : _domains[other].Id;
            int order = script.Next(4) == 0 ? script.Next(5) : 0;
            ulong[] list = List(order);
            ulong[] asked = [.. list];
            switch (script.Next(10))
            {
                case 0:
                    Told(_domains[other], list, null, calls.IncreaseReservation(target, list, order), order);
                    break;
                case 1:
                    InRange(calls.DecreaseReservation(target, list, order), list.Length);
                    break;
                case 2:
                    Told(_domains[other], list, asked, calls.PopulatePhysmap(target, list, order), order);
                    break;
                case 3:
                    Exchange(calls, target, other, list, order);
                    break;
                case 4:
                    MmuUpdate[] updates =
                        [.. list.Select(frame => new MmuUpdate { ptr = (frame << 12) | (uint)script.Next(4), val = (ulong)script.Next(500) })];
                    calls.MmuUpdate(updates, out int done);
                    foreach (MmuUpdate update in updates.Take(done).Where(update => (update.ptr & 3) == 1))
                        _told[update.ptr >> 12] = (_domains[caller].Id, update.val);
                    break;
                case 5:
                    foreach (ulong frame in list)
                        calls.UpdateVaMapping(Address(), Pte(frame), 0);
                    break;
                case 6:
                    MulticallEntry[] entries =
                        [.. list.Select(frame => new MulticallEntry { op = Hypercall.update_va_mapping, arg0 = Address(), arg1 = Pte(frame) })];
                    Assert.AreEqual(0, calls.Multicall(entries));
                    break;
                case 7:
                    _xen.Inject(new Fault
                    {
                        Call = HypercallKinds.All[script.Next(HypercallKinds.All.Length)],
                        Occurrence = 1 + script.Next(3),
                        At = (ulong)script.Next(5),
                        Error = XenError.ENOMEM,
                    });
                    break;
                case 8:
                    _domains[1].MaxPages = (ulong)script.Next(400);
                    break;
                default:
                    calls.SetMemoryMap(target, new E820Entry[script.Next(3)]);
                    calls.MemoryMap(new E820Entry[1], out _);
                    calls.Page(Address()).Fill(1);
                    break;
            }
        }

        private void Exchange(SimulatedHypercalls calls, DomainId target, int other, ulong[] list, int order)
        {
            int orderOut = script.Next(3);
            ulong[] outs = List(0);
            int pages = outs.Length << orderOut;
            ulong[] ins = script.Next(3) == 0 ? list : [.. Enumerable.Range(0, pages >> order).Select(_ => Frame())];
            ulong[] asked = [.. outs];
            long result = calls.Exchange(target, ins, order, outs, orderOut, out ulong exchanged);
            Assert.IsTrue(result <= 0 && exchanged <= (ulong)ins.Length, $"{result}, {exchanged}");
            if (ins.Length > 0)
                Assert.AreEqual(result == 0, exchanged == (ulong)ins.Length);
            Told(_domains[other], outs, asked, (long)((exchanged << order) >> orderOut), orderOut);
        }

        private void Told(SimulatedDomain owner, ulong[] list, ulong[]? pfns, long count, int order)
        {
            InRange(count, list.Length);
            if (owner.Translated)
                return;
            for (int i = 0; i < count; i++)
            {
                for (ulong j = 0; j < 1UL << order; j++)
                    _told[list[i] + j] = (owner.Id, pfns is null ? ulong.MaxValue : unchecked(pfns[i] + j));
            }

            if (pfns is not null)
                CollectionAssert.AreEqual(pfns[(int)count..], list[(int)count..], "what was not done is untouched");
        }

        private void Check(bool translated)
        {
            Assert.IsEmpty(_xen.Audit(), string.Join("\n", _xen.Audit()));
            Assert.AreEqual(_xen.TotalFrames, _xen.FreeFrameCount + _domains[0].CurrentPages + _domains[1].CurrentPages);
            foreach ((ulong mfn, (DomainId owner, ulong pfn)) in _told.ToArray())
            {
                if (_xen.OwnerOf(new Mfn(mfn)) != owner)
                    _told.Remove(mfn);
                else if (!translated || owner != _domains[1].Id)
                    Assert.AreEqual(pfn, _xen.MachineToPhysical(new Mfn(mfn)), $"mfn 0x{mfn:x}");
            }
        }

        private static void InRange(long count, int length) => Assert.IsTrue(count >= 0 && count <= length, $"{count} of {length}");

        private ulong[] List(int order) => [.. Enumerable.Range(0, script.Next(6)).Select(_ => Frame() >> order << order)];

        /// <summary>Mostly one of the machine's; often one that a domain maps just now, for those are the ones that stay a while.</summary>
        private ulong Frame()
        {
            if (script.Next(2) == 0 && _domains[script.Next(2)].TryReadL1Entry(Address(), out ulong entry) && entry != 0)
                return entry >> Frames.Shift;
            return AnyFrame();
        }

        private ulong AnyFrame() => script.Next(20) == 0 ? ulong.MaxValue >> script.Next(64)
            : MachineSpec.FirstRamFrame - 5 + (ulong)script.Next(FrameCount + 10);

        private ulong Pte(ulong frame) => script.Next(5) == 0 ? 0 : (frame << 12) | 1 | (uint)(script.Next(2) * 2);

        private ulong Address() => script.Next(3) == 0 ? Window
            : DomainSpec.LinuxPageOffset + ((ulong)script.Next(script.Next(4) == 0 ? 520 : 12) << 12);
    }
}
