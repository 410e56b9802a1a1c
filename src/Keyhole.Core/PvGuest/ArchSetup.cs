// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <summary>What a PV kernel registers with Xen at its start, and what it does where Xen refuses.</summary>
internal struct ArchSetupResult
{
    /// <summary>Xen took neither the event nor the failsafe callback: BUG.</summary>
    public bool Halts;

    /// <summary>−<see cref="XenError"/> of the syscall callback: 64-bit programs then cannot call the kernel, which says so and goes on.</summary>
    public long SyscallError;

    /// <summary>32-bit programs do not use sysenter: the processor or Xen lacks it.</summary>
    public bool SysenterOff;

    /// <summary>32-bit programs on a 64-bit kernel do not use syscall.</summary>
    public bool Syscall32Off;

    /// <summary>32 bits: the vDSO carries a note that makes programs take libraries without negative segments.</summary>
    public bool HasNoSegNegNote;

    /// <summary>A domU takes no ACPI.</summary>
    public bool AcpiOff;

    /// <summary>Xen's scheduler and governors decide: the guest's own idle and frequency drivers are off, and so is NUMA.</summary>
    public bool CpuidleOff;

    public bool CpufreqOff;

    public bool NumaOff;
}

/// <summary>The start of a PV kernel as far as Xen takes part (xen_arch_setup).</summary>
internal static class ArchSetup
{
    /// <param name="start">What the kernel finds.</param>
    /// <param name="profile">Which kernel.</param>
    /// <param name="xen">Takes the callbacks.</param>
    /// <param name="entryPoint">Where the callbacks lead; Xen wants a canonical address.</param>
    public static ArchSetupResult Run<TXen>(in GuestStart start, KernelProfile profile, ref TXen xen, ulong entryPoint)
        where TXen : IHypercalls
    {
        var result = new ArchSetupResult
        {
            AcpiOff = !start.IsDom0,
            CpuidleOff = profile.Has(KernelBehaviour.LeavesPowerToXen),
            CpufreqOff = profile.Has(KernelBehaviour.LeavesPowerToXen),
            NumaOff = true,
            HasNoSegNegNote = start.Is32Bit,
        };
        if (start.IsAutoTranslated)
            return result;

        if (!profile.Has(KernelBehaviour.AsksForOneAssist))
        {
            xen.VmAssist(VmAssist.VMASST_CMD_enable, VmAssist.VMASST_TYPE_4gb_segments);
            xen.VmAssist(VmAssist.VMASST_CMD_enable, VmAssist.VMASST_TYPE_writable_pagetables);
            xen.VmAssist(VmAssist.VMASST_CMD_enable, VmAssist.VMASST_TYPE_pae_extended_cr3);
        }
        else
        {
            xen.VmAssist(VmAssist.VMASST_CMD_enable, VmAssist.VMASST_TYPE_writable_pagetables);
        }

        if (Register(ref xen, CallbackOp.CALLBACKTYPE_event, entryPoint) != 0 || Register(ref xen, CallbackOp.CALLBACKTYPE_failsafe, entryPoint) != 0)
        {
            result.Halts = true;
            return result;
        }

        if (!profile.Has(KernelBehaviour.RegistersOneFastCall))
        {
            result.SysenterOff = Register(ref xen, CallbackOp.CALLBACKTYPE_sysenter, entryPoint) != 0;
            if (start.Is32Bit)
                return result;
            result.SyscallError = Register(ref xen, CallbackOp.CALLBACKTYPE_syscall, entryPoint);
            result.Syscall32Off = Register(ref xen, CallbackOp.CALLBACKTYPE_syscall32, entryPoint) != 0;
            return result;
        }

        // Since 7.0 there is one fast way for 32-bit programs: syscall32 where the processor has it.
        result.SyscallError = Register(ref xen, CallbackOp.CALLBACKTYPE_syscall, entryPoint);
        result.Syscall32Off = Register(ref xen, CallbackOp.CALLBACKTYPE_syscall32, entryPoint) != 0;
        result.SysenterOff = true;
        return result;
    }

    private static long Register<TXen>(ref TXen xen, ushort type, ulong entryPoint)
        where TXen : IHypercalls
    {
        var callback = new CallbackRegister { type = type, flags = CallbackOp.CALLBACKF_mask_events, address = entryPoint };
        return xen.RegisterCallback(in callback);
    }
}
