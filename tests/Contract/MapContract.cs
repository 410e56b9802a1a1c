// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>memory_map, machine_memory_map, set_memory_map, maximum_ram_page, and the callbacks and assists of the start.</summary>
public static class MapContract
{
    private const int PlentyOfEntries = 2048;

    private static readonly DomainId s_self = DomainId.Self;

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Machine_memory_map_needs_room_for_one_entry_more_than_it_has(ContractWorld world)
    {
        IHypercalls xen = world.ControlDomain!;
        var plenty = new E820Entry[PlentyOfEntries];
        Expect.Equal(0, xen.MachineMemoryMap(plenty, out int count));
        Expect.That(count > 0, "the machine has no map");

        Expect.Error(XenError.EINVAL, xen.MachineMemoryMap(new E820Entry[count], out _));
        var enough = new E820Entry[count + 1];
        Expect.Equal(0, xen.MachineMemoryMap(enough, out int again));

        Expect.Equal(count, again);
        Expect.That(enough.AsSpan(0, count).SequenceEqual(plenty.AsSpan(0, count)), "the map changed with the buffer's size");
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void An_empty_buffer_asks_for_the_count_of_the_machine_memory_map(ContractWorld world)
    {
        Expect.Equal(0, world.ControlDomain!.MachineMemoryMap(new E820Entry[PlentyOfEntries], out int count));

        Expect.Equal(0, world.ControlDomain!.MachineMemoryMap([], out int counted));

        Expect.Equal(count, counted);
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void The_highest_ram_of_the_machine_map_ends_at_the_maximum_ram_page(ContractWorld world)
    {
        var map = new E820Entry[PlentyOfEntries];
        Expect.Equal(0, world.ControlDomain!.MachineMemoryMap(map, out int count));
        ulong end = 0;
        foreach (E820Entry entry in map.AsSpan(0, count))
            end = entry.IsRam ? Math.Max(end, entry.End >> 12) : end;

        Expect.Equal((long)end, world.ControlDomain!.MaximumRamPage());
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void An_unprivileged_guest_may_not_see_the_machine_memory_map(ContractWorld world) =>
        Expect.Error(XenError.EPERM, world.GuestCalls!.MachineMemoryMap(new E820Entry[PlentyOfEntries], out _));

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Set_memory_map_takes_1024_entries_and_no_more(ContractWorld world)
    {
        Expect.Error(XenError.EINVAL, world.ControlDomain!.SetMemoryMap(world.Guest, new E820Entry[MemoryOp.MaxSetMapEntries + 1]));

        Expect.Equal(0, world.ControlDomain!.SetMemoryMap(world.Guest, new E820Entry[MemoryOp.MaxSetMapEntries]));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Set_memory_map_of_a_domain_that_does_not_exist_is_ESRCH(ContractWorld world) =>
        Expect.Error(XenError.ESRCH, world.ControlDomain!.SetMemoryMap(world.NoSuchDomain, new E820Entry[1]));

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Set_memory_map_counts_entries_before_it_looks_for_the_domain(ContractWorld world) =>
        Expect.Error(XenError.EINVAL, world.ControlDomain!.SetMemoryMap(world.NoSuchDomain, new E820Entry[MemoryOp.MaxSetMapEntries + 1]));

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Set_memory_map_does_not_look_at_the_entries(ContractWorld world)
    {
        E820Entry[] nonsense =
        [
            E820Entry.FromSize(ulong.MaxValue, ulong.MaxValue, (E820Type)0xffff_ffff),
            E820Entry.FromSize(0, 0, E820Type.Ram),
            E820Entry.FromSize(0, 1 << 20, E820Type.Ram),
            E820Entry.FromSize(0, 1 << 20, E820Type.Reserved),
        ];

        Expect.Equal(0, world.ControlDomain!.SetMemoryMap(world.Guest, nonsense));
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_guest_may_set_its_own_memory_map_but_no_other_domains(ContractWorld world)
    {
        E820Entry[] map = [E820Entry.FromSize(0, 64 << 20, E820Type.Ram)];

        Expect.Error(XenError.EPERM, world.GuestCalls!.SetMemoryMap(world.ForeignDomain, map));
        Expect.Equal(0, world.GuestCalls!.SetMemoryMap(s_self, map));
    }

    [CheckedAs(ContractCaller.Both)]
    public static void Memory_map_tells_what_was_set_cut_at_the_buffers_length(ContractWorld world)
    {
        E820Entry[] map =
        [
            E820Entry.FromSize(0, 512 << 20, E820Type.Ram),
            E820Entry.FromSize(512 << 20, 2560UL << 20, E820Type.Reserved),
            E820Entry.FromSize(1UL << 32, 1UL << 30, E820Type.Ram),
        ];
        Expect.Equal(0, world.ControlDomain!.SetMemoryMap(world.Guest, map));
        var whole = new E820Entry[10];
        var cut = new E820Entry[2];

        Expect.Equal(0, world.GuestCalls!.MemoryMap(whole, out int count));
        Expect.Equal(0, world.GuestCalls!.MemoryMap(cut, out int cutCount));
        Expect.Equal(0, world.GuestCalls!.MemoryMap([], out int noCount));

        Expect.Equal(3, count);
        Expect.Equal(2, cutCount);
        Expect.Equal(0, noCount);
        Expect.That(whole.AsSpan(0, 3).SequenceEqual(map), "the map came back changed");
        Expect.That(cut.AsSpan().SequenceEqual(map.AsSpan(0, 2)), "the cut map came back changed");
    }

    [CheckedAs(ContractCaller.Both)]
    public static void Without_a_map_or_with_an_empty_one_memory_map_is_ENOSYS(ContractWorld world)
    {
        Expect.Equal(0, world.ControlDomain!.SetMemoryMap(world.Guest, []));

        Expect.Error(XenError.ENOSYS, world.GuestCalls!.MemoryMap(new E820Entry[10], out _));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Callback_op_does_not_know_type_6(ContractWorld world) =>
        Expect.Error(XenError.ENOSYS, world.ControlDomain!.RegisterCallback(new CallbackRegister { type = 6 }));

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Callback_op_looks_at_the_address_before_the_type(ContractWorld world) =>
        Expect.Error(XenError.EINVAL, world.ControlDomain!.RegisterCallback(new CallbackRegister { type = 6, address = 1UL << 47 }));

    [CheckedAs(ContractCaller.Guest)]
    public static void Callback_op_takes_what_Linux_registers(ContractWorld world)
    {
        foreach (ushort type in (ushort[])
            [
                CallbackOp.CALLBACKTYPE_event, CallbackOp.CALLBACKTYPE_failsafe, CallbackOp.CALLBACKTYPE_syscall,
                CallbackOp.CALLBACKTYPE_sysenter, CallbackOp.CALLBACKTYPE_syscall32,
            ])
        {
            var callback = new CallbackRegister { type = type, flags = CallbackOp.CALLBACKF_mask_events, address = 0xffff_ffff_8100_0000 };
            Expect.Equal(0, world.GuestCalls!.RegisterCallback(callback));
        }
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Vm_assist_looks_at_the_type_before_the_command(ContractWorld world)
    {
        Expect.Error(XenError.EINVAL, world.ControlDomain!.VmAssist(99, 31));
        Expect.Error(XenError.EINVAL, world.ControlDomain!.VmAssist(VmAssist.VMASST_CMD_enable, 64));
        Expect.Error(XenError.ENOSYS, world.ControlDomain!.VmAssist(99, VmAssist.VMASST_TYPE_4gb_segments));
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void Vm_assist_takes_what_Linux_enables(ContractWorld world)
    {
        foreach (uint type in (uint[])
            [
                VmAssist.VMASST_TYPE_4gb_segments, VmAssist.VMASST_TYPE_writable_pagetables, VmAssist.VMASST_TYPE_pae_extended_cr3,
                VmAssist.VMASST_TYPE_runstate_update_flag, VmAssist.VMASST_TYPE_m2p_strict,
            ])
        {
            Expect.Equal(0, world.GuestCalls!.VmAssist(VmAssist.VMASST_CMD_enable, type));
        }
    }
}
