// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Dom0;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>What only holds on the real hypervisor: pointers that lead nowhere, calls that are none, and what it says of domains.</summary>
internal static class PrivcmdContract
{
    /// <summary>No program has memory in its first pages.</summary>
    private const ulong Nowhere = 0x1000;

    private const uint NoSuchMemoryOp = 63;
    private const uint NoSuchCall = 63;

    public static void A_bad_pointer_is_EFAULT(Privcmd privcmd, IXenControl xen, ContractWorld world)
    {
        Expect.Error(XenError.EFAULT, privcmd.Call(Hypercall.memory_op, MemoryOp.XENMEM_set_memory_map, Nowhere));
        Expect.Error(XenError.EFAULT, privcmd.Call(Hypercall.memory_op, MemoryOp.XENMEM_machine_memory_map, Nowhere));
        Expect.Error(XenError.EFAULT, privcmd.Call(Hypercall.memory_op, MemoryOp.XENMEM_current_reservation, Nowhere));
        Expect.Error(XenError.EFAULT, privcmd.Call(Hypercall.memory_op, MemoryOp.XENMEM_exchange, Nowhere));
    }

    public static void A_map_at_a_bad_pointer_is_EFAULT_and_changes_nothing(Privcmd privcmd, IXenControl xen, ContractWorld world)
    {
        using HypercallBuffer memory = HypercallBuffer.Allocate(ForeignMemoryMap.SizeBytes)!;
        memory.At<ForeignMemoryMap>(0) = new() { domid = world.Guest.Value, map = new() { nr_entries = 2, buffer = Nowhere } };
        Expect.Error(XenError.EFAULT, privcmd.Call(Hypercall.memory_op, MemoryOp.XENMEM_set_memory_map, memory.Address));
    }

    public static void Memory_ops_and_hypercalls_that_do_not_exist_are_ENOSYS(Privcmd privcmd, IXenControl xen, ContractWorld world)
    {
        Expect.Error(XenError.ENOSYS, privcmd.Call(Hypercall.memory_op, NoSuchMemoryOp, Nowhere));
        Expect.Error(XenError.ENOSYS, privcmd.Call(NoSuchCall));
    }

    public static void Dom0_was_never_given_a_map_of_its_own(Privcmd privcmd, IXenControl xen, ContractWorld world) =>
        Expect.Error(XenError.ENOSYS, new PrivcmdHypercalls(privcmd).MemoryMap(new E820Entry[8], out _));

    public static void The_guest_is_a_paused_PV_domain_that_has_never_run(Privcmd privcmd, IXenControl xen, ContractWorld world)
    {
        Expect.That(xen.Domain(world.Guest).TryGet(out DomainInfo? guest, out XenProblem? problem), $"{problem}");
        Expect.That(guest is { IsPaused: true, HasRun: false, IsHvm: false, IsDying: false, IsShutdown: false }, $"it is {guest}");
        Expect.Equal((long)guest!.TotalPages, xen.Calls.CurrentReservation(world.Guest));
        Expect.Equal((long)guest.MaxPages, xen.Calls.MaximumReservation(world.Guest));
        Expect.That(xen.Domain(new(0)).TryGet(out DomainInfo? dom0, out problem) && dom0 is { HasRun: true, IsPaused: false },
            $"dom0 is {dom0}{problem}");
    }

    public static void A_domain_that_does_not_exist_has_no_facts(Privcmd privcmd, IXenControl xen, ContractWorld world) =>
        Expect.That(!xen.Domain(world.NoSuchDomain).TryGet(out DomainInfo? found, out _), $"it has: {found}");
}
