// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.Contract;
using Keyhole.Hypercalls;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Simulation;

[TestClass]
public sealed class SimulatedXenContractTests : HypercallContract
{
    private const ulong Window = 0xffff_ffff_8200_0000;

    private SimulatedXen? _xen;

    [TestCleanup]
    public void The_machines_books_agree_afterwards() => Assert.IsEmpty(_xen!.Audit(), string.Join("\n", _xen.Audit()));

    protected override ContractWorld MakeWorld()
    {
        _xen = new SimulatedXen(MachineSpec.OfFrames(8192));
        Assert.AreEqual(XenError.None,
            _xen.CreateDomain(new DomainSpec { Id = new DomainId(0), NrPages = 1024, Privileged = true }, out SimulatedDomain? dom0));
        var spec = new DomainSpec
        {
            Id = new DomainId(3),
            NrPages = 2048,
            MaxPages = 2048 + 256,
            MappedPages = 2000,
            Windows = [new WindowMapping(Window, new Pfn(2010))],
            Placement = FramePlacement.Descending(),
        };
        Assert.AreEqual(XenError.None, _xen.CreateDomain(spec, out SimulatedDomain? guest));
        SimulatedHypercalls calls = _xen.HypercallsOf(guest!);
        Assert.IsTrue(guest!.TryReadL1Entry(Window, out ulong windowEntry));
        return new ContractWorld
        {
            ControlDomain = _xen.HypercallsOf(dom0!),
            GuestCalls = calls,
            GuestMemory = calls,
            Guest = guest.Id,
            NoSuchDomain = new DomainId(77),
            ForeignDomain = dom0!.Id,
            ForeignMfn = dom0.InitialP2M[0].Mfn.Value,
            ForbiddenIoMfn = 0xfee00,
            WindowAddress = Window,
            WindowMfn = windowEntry >> Frames.Shift,
            UnmappedMfn = guest.InitialP2M[^1].Mfn.Value + guest.InitialP2M[^1].Count - 1,
        };
    }
}
