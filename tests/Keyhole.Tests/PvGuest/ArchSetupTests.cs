// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Hypercalls;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

[TestClass]
public sealed class ArchSetupTests
{
    private const ulong Entry = 0xffff_ffff_8100_0000;

    [TestMethod]
    [DataRow(CallbackOp.CALLBACKTYPE_event)]
    [DataRow(CallbackOp.CALLBACKTYPE_failsafe)]
    public void Without_event_or_failsafe_callback_the_kernel_stops(ushort refused)
    {
        foreach (KernelRelease version in KernelReleases.Named)
            Assert.IsTrue(Start(version, [refused]).Halts, KernelReleases.NameOf(version));
    }

    [TestMethod]
    public void Without_the_syscall_callback_it_says_so_and_goes_on()
    {
        ArchSetupResult result = Start(Kernels.Linux61, [CallbackOp.CALLBACKTYPE_syscall]);

        Assert.IsFalse(result.Halts);
        Assert.AreEqual(-(long)XenError.ENOSYS, result.SyscallError);
        Assert.IsFalse(result.Syscall32Off);
    }

    [TestMethod]
    public void Without_the_fast_calls_of_32_bit_programs_they_are_switched_off()
    {
        ArchSetupResult result = Start(Kernels.Linux61, [CallbackOp.CALLBACKTYPE_sysenter, CallbackOp.CALLBACKTYPE_syscall32]);

        Assert.IsFalse(result.Halts);
        Assert.AreEqual(0, result.SyscallError);
        Assert.IsTrue(result.SysenterOff);
        Assert.IsTrue(result.Syscall32Off);
    }

    [TestMethod]
    public void Where_xen_refuses_nothing_everything_is_on()
    {
        ArchSetupResult result = Start(Kernels.Linux61, []);

        Assert.AreEqual((false, 0L, false, false, false),
            (result.Halts, result.SyscallError, result.SysenterOff, result.Syscall32Off, result.HasNoSegNegNote));
    }

    [TestMethod]
    public void A_callback_address_that_is_not_canonical_stops_the_kernel() =>
        Assert.IsTrue(Start(Kernels.Linux61, [], entryPoint: 0x0001_0000_0000_0000).Halts);

    [TestMethod]
    public void A_32_bit_kernel_registers_no_syscall_and_has_the_note_in_its_vdso()
    {
        ArchSetupResult result = Start(Kernels.Linux44, [CallbackOp.CALLBACKTYPE_syscall, CallbackOp.CALLBACKTYPE_syscall32], is32Bit: true);

        Assert.AreEqual(0, result.SyscallError);
        Assert.IsFalse(result.Syscall32Off);
        Assert.IsTrue(result.HasNoSegNegNote);
    }

    [TestMethod]
    public void A_translated_guest_registers_nothing()
    {
        Assert.IsFalse(Start(Kernels.Linux61, [CallbackOp.CALLBACKTYPE_event], isTranslated: true).Halts);
    }

    private static ArchSetupResult Start(
        KernelRelease version, ImmutableArray<ushort> refused, ulong entryPoint = Entry, bool is32Bit = false, bool isTranslated = false)
    {
        var machine = new SimulatedXen(MachineSpec.OfFrames(1) with { RefusedCallbacks = refused });
        Assert.AreEqual(XenError.None,
            machine.CreateDomain(new() { Id = new(1), NrPages = 0, Translated = isTranslated }, out SimulatedDomain? domain));
        SimulatedHypercalls xen = machine.HypercallsOf(domain!);
        return ArchSetup.Run(new GuestStart { Is32Bit = is32Bit, IsAutoTranslated = isTranslated }, KernelProfile.Of(version), ref xen, entryPoint);
    }
}
