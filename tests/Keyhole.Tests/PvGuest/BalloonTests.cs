// SPDX-License-Identifier: GPL-2.0-only

using System;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Hypercalls;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

[TestClass]
public sealed class BalloonTests
{
    private const ulong StartPages = 2000;
    private const ulong MaxPages = 2600;
    private const ulong ListPages = 4000;

    private static readonly PfnRange s_all = PfnRange.FromCount(default, ListPages);

    private SimulatedXen _machine = null!;
    private SimulatedDomain _domain = null!;
    private ulong[] _p2m = [];

    [TestInitialize]
    public void MakeGuest()
    {
        _machine = new(MachineSpec.OfFrames(8000));
        Assert.AreEqual(XenError.None, _machine.CreateDomain(
            new() { Id = new(1), NrPages = StartPages, MaxPages = MaxPages, Placement = FramePlacement.Shuffled(7) }, out SimulatedDomain? domain));
        _domain = domain!;
        Assert.AreEqual(XenError.None, _machine.ExtendLinearMapping(_domain, ListPages));
        _p2m = new ulong[ListPages];
        Array.Fill(_p2m, ulong.MaxValue);
        foreach (FrameRun run in _domain.InitialP2M)
            FlatRun.Fill(_p2m.AsSpan((int)run.Pfn.Value, (int)run.Count), run.Mfn.Value);
        // Identity frames amid all are neither filled nor emptied.
        FlatRun.Fill(_p2m.AsSpan(3000, 20), 3000 | P2MAudit.IdentityFrameBit);
    }

    [TestMethod]
    public void Down_gives_pages_back_in_batches_of_512()
    {
        BalloonResult result = Shrink(1300);

        Assert.AreEqual((BalloonStop.Done, 1300UL, 3UL), (result.Stop, result.Pages, result.Batches));
        Assert.AreEqual((3UL, 1300UL), (result.Counts.DecreaseReservation, result.Counts.UpdateVaMapping));
        Assert.AreEqual(700UL, _domain.CurrentPages);
        Assert.AreEqual(ulong.MaxValue, _p2m[1299]);
        Assert.AreNotEqual(ulong.MaxValue, _p2m[1300]);
        AssertNothingLost();
    }

    [TestMethod]
    public void Up_fills_the_frames_without_pages_and_maps_them()
    {
        BalloonResult result = Grow(513);

        Assert.AreEqual((BalloonStop.Done, 513UL, 2UL), (result.Stop, result.Pages, result.Batches));
        Assert.AreEqual((2UL, 513UL), (result.Counts.PopulatePhysmap, result.Counts.UpdateVaMapping));
        Assert.AreEqual(StartPages + 513, _domain.CurrentPages);
        Assert.IsFalse(_machine.HypercallsOf(_domain).Page(DomainSpec.LinuxPageOffset + (2512UL << 12)).IsEmpty);
        AssertNothingLost();
    }

    [TestMethod]
    public void Up_stops_at_the_domains_maximum_with_what_xen_gave()
    {
        BalloonResult result = Grow(900);

        Assert.AreEqual((BalloonStop.XenGaveFewer, MaxPages - StartPages), (result.Stop, result.Pages));
        AssertNothingLost();
    }

    [TestMethod]
    public void Up_stops_when_no_frame_is_left_and_identity_frames_stay()
    {
        _domain.MaxPages = 8000;
        BalloonResult result = Grow(5000);

        Assert.AreEqual((BalloonStop.OutOfFrames, ListPages - StartPages - 20), (result.Stop, result.Pages));
        Assert.AreEqual(3000 | P2MAudit.IdentityFrameBit, _p2m[3000]);
        AssertNothingLost();
    }

    [TestMethod]
    public void Down_stops_when_no_page_is_left()
    {
        BalloonResult result = Shrink(5000);

        Assert.AreEqual((BalloonStop.OutOfFrames, StartPages), (result.Stop, result.Pages));
        Assert.AreEqual(0UL, _domain.CurrentPages);
        AssertNothingLost();
    }

    [TestMethod]
    public void Pages_that_xen_does_not_take_stay_in_use()
    {
        _machine.Inject(new() { Call = HypercallKind.DecreaseReservation, Occurrence = 2, At = 100 });
        BalloonResult result = Shrink(1300);

        Assert.AreEqual((BalloonStop.XenTookFewer, 612UL), (result.Stop, result.Pages));
        Assert.AreEqual(StartPages - 612, _domain.CurrentPages);
        Assert.IsFalse(_machine.HypercallsOf(_domain).Page(DomainSpec.LinuxPageOffset + (612UL << 12)).IsEmpty, "mapped again");
        AssertNothingLost();
    }

    [TestMethod]
    public void Whichever_call_fails_at_whichever_extent_no_page_is_lost() => Prop.ForAll(
        (from steps in (from up in Gen.Elements(false, true) from pages in Gen.Choose(0, 1500) select (up, pages)).ArrayOf(4)
         from kind in Gen.Elements(HypercallKind.PopulatePhysmap, HypercallKind.DecreaseReservation, HypercallKind.UpdateVaMapping)
         from occurrence in Gen.Choose(1, 6)
         from at in Gen.Choose(0, 511)
         select (steps, new Fault { Call = kind, Occurrence = kind == HypercallKind.UpdateVaMapping ? occurrence * 300 : occurrence,
             At = kind == HypercallKind.UpdateVaMapping ? 0 : (ulong)at })).ToArbitrary(),
        world =>
        {
            (var steps, Fault fault) = world;
            // Runs one after another: each world has a machine of its own.
            MakeGuest();
            _machine.Inject(fault);
            ulong owned = StartPages;
            foreach ((bool up, int pages) in steps)
            {
                BalloonResult result = up ? Grow((ulong)pages) : Shrink((ulong)pages);
                owned = up ? owned + result.Pages : owned - result.Pages;
                Assert.AreEqual(owned, _domain.CurrentPages);
                if (result.Stop == BalloonStop.Done)
                    Assert.AreEqual((ulong)pages, result.Pages);
                Assert.IsLessThanOrEqualTo((ulong)pages, result.Pages);
                AssertNothingLost();
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(150));

    private BalloonResult Grow(ulong pages)
    {
        Balloon<SimulatedHypercalls> balloon = MakeBalloon();
        return balloon.Grow(s_all, pages);
    }

    private BalloonResult Shrink(ulong pages)
    {
        Balloon<SimulatedHypercalls> balloon = MakeBalloon();
        return balloon.Shrink(s_all, pages);
    }

    private Balloon<SimulatedHypercalls> MakeBalloon() =>
        new(_machine.HypercallsOf(_domain), _p2m, new() { LinearBase = DomainSpec.LinuxPageOffset, LinearEnd = new(Frames.MaxCount) });

    private void AssertNothingLost()
    {
        Assert.IsEmpty(_machine.Audit());
        P2MAudit audit = P2MAudit.OfList(_machine, _domain, _p2m);
        Assert.IsEmpty(audit.Findings, string.Join('\n', audit.Findings));
        Assert.AreEqual(0UL, audit.UnlistedPages);
    }
}
