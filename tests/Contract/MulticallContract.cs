// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>multicall.</summary>
public static class MulticallContract
{
    /// <summary>A number that Xen never gave to a call.</summary>
    private const ulong NoSuchCall = 63;

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void An_empty_multicall_succeeds(ContractWorld world) => Expect.Equal(0, world.ControlDomain!.Multicall([]));

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Each_entry_of_a_multicall_has_a_result_of_its_own(ContractWorld world)
    {
        MulticallEntry[] calls =
        [
            new() { op = Hypercall.vm_assist, arg0 = 99, arg1 = 31 },
            new() { op = NoSuchCall },
            new() { op = Hypercall.memory_op, arg0 = MemoryOp.XENMEM_maximum_ram_page },
            new() { op = Hypercall.vm_assist, arg0 = 99, arg1 = VmAssist.VMASST_TYPE_4gb_segments },
        ];

        Expect.Equal(0, world.ControlDomain!.Multicall(calls));

        Expect.Error(XenError.EINVAL, calls[0].result);
        Expect.Error(XenError.ENOSYS, calls[1].result);
        Expect.Equal(world.ControlDomain!.MaximumRamPage(), calls[2].result);
        Expect.Error(XenError.ENOSYS, calls[3].result);
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void A_multicall_within_a_multicall_fails_for_itself(ContractWorld world)
    {
        MulticallEntry[] calls = [new() { op = Hypercall.multicall }, new() { op = Hypercall.memory_op, arg0 = MemoryOp.XENMEM_maximum_ram_page }];

        Expect.Equal(0, world.ControlDomain!.Multicall(calls));

        Expect.Error(XenError.EINVAL, calls[0].result);
        Expect.Equal(world.ControlDomain!.MaximumRamPage(), calls[1].result);
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_multicall_changes_mappings(ContractWorld world)
    {
        MulticallEntry[] calls =
        [
            new() { op = Hypercall.update_va_mapping, arg0 = world.WindowAddress },
            new() { op = Hypercall.update_va_mapping, arg0 = world.WindowAddress, arg1 = (world.ForbiddenIoMfn << 12) | 0x63 },
            new() { op = Hypercall.update_va_mapping, arg0 = world.WindowAddress, arg1 = (world.WindowMfn << 12) | 0x63 },
        ];

        Expect.Equal(0, world.GuestCalls!.Multicall(calls));

        Expect.Equal(0, calls[0].result);
        Expect.Error(XenError.EPERM, calls[1].result);
        Expect.Equal(0, calls[2].result);
        Expect.That(!world.GuestMemory!.Page(world.WindowAddress).IsEmpty, "the window is not mapped");
    }
}
