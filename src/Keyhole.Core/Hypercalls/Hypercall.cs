// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Hypercalls;

/// <summary>Hypercall numbers (public/xen.h). The entry of number n lies 32·n bytes into the hypercall page.</summary>
public static class Hypercall
{
    /// <summary>Writes page-table entries and the M2P.</summary>
    public const uint mmu_update = 1;

    /// <summary>Memory: see <see cref="MemoryOp"/>.</summary>
    public const uint memory_op = 12;

    /// <summary>Several calls in one.</summary>
    public const uint multicall = 13;

    /// <summary>Writes the page-table entry of a virtual address.</summary>
    public const uint update_va_mapping = 14;

    /// <summary>Xen's release, and what it supports.</summary>
    public const uint xen_version = 17;

    /// <summary>Xen's own console.</summary>
    public const uint console_io = 18;

    /// <summary>Switches help of Xen's on or off: see <see cref="VmAssist"/>.</summary>
    public const uint vm_assist = 21;

    /// <summary>Pins page tables, flushes.</summary>
    public const uint mmuext_op = 26;

    /// <summary>Yields, blocks, shuts down.</summary>
    public const uint sched_op = 29;

    /// <summary>Sets where Xen enters the guest.</summary>
    public const uint callback_op = 30;

    /// <summary>Event channels.</summary>
    public const uint event_channel_op = 32;

    /// <summary>Bytes between two entries of the hypercall page.</summary>
    public const uint EntrySizeBytes = 32;
}

/// <summary>Subcommands of memory_op (public/memory.h).</summary>
public static class MemoryOp
{
    /// <summary>Gives a domain machine frames that it has no addresses for yet.</summary>
    public const uint XENMEM_increase_reservation = 0;

    /// <summary>Gives frames back.</summary>
    public const uint XENMEM_decrease_reservation = 1;

    /// <summary>The machine's highest frame of RAM.</summary>
    public const uint XENMEM_maximum_ram_page = 2;

    /// <summary>Pages that a domain owns.</summary>
    public const uint XENMEM_current_reservation = 3;

    /// <summary>Pages that it may own.</summary>
    public const uint XENMEM_maximum_reservation = 4;

    /// <summary>Gets frames for given addresses of the guest.</summary>
    public const uint XENMEM_populate_physmap = 6;

    /// <summary>The caller's own E820 map.</summary>
    public const uint XENMEM_memory_map = 9;

    /// <summary>The machine's E820 map; privileged domains only.</summary>
    public const uint XENMEM_machine_memory_map = 10;

    /// <summary>Exchanges frames for others.</summary>
    public const uint XENMEM_exchange = 11;

    /// <summary>Installs a domain's E820 map.</summary>
    public const uint XENMEM_set_memory_map = 13;

    /// <summary>Entries that set_memory_map takes since 2017; before that 128.</summary>
    public const int MaxSetMapEntries = 1024;
}

/// <summary>What mmu_update does with an entry: the two lowest bits of its pointer (public/xen.h).</summary>
internal static class MmuUpdateCommand
{
    /// <summary>Write a page-table entry, checked.</summary>
    public const ulong MMU_NORMAL_PT_UPDATE = 0;

    /// <summary>Set the machine-to-physical entry of a frame.</summary>
    public const ulong MMU_MACHPHYS_UPDATE = 1;

    /// <summary>Write a page-table entry and keep its accessed and dirty bits.</summary>
    public const ulong MMU_PT_UPDATE_PRESERVE_AD = 2;

    /// <summary>Write a page-table entry whose frame is a machine frame also in a translated guest.</summary>
    public const ulong MMU_PT_UPDATE_NO_TRANSLATE = 3;
}

/// <summary>Callback types and flags of callback_op (public/callback.h).</summary>
internal static class CallbackOp
{
    public const uint CALLBACKOP_register = 0;
    public const ushort CALLBACKTYPE_event = 0;
    public const ushort CALLBACKTYPE_failsafe = 1;
    public const ushort CALLBACKTYPE_syscall = 2;
    public const ushort CALLBACKTYPE_nmi = 4;
    public const ushort CALLBACKTYPE_sysenter = 5;
    public const ushort CALLBACKTYPE_syscall32 = 7;
    public const ushort CALLBACKF_mask_events = 1;
}

/// <summary>Commands and types of vm_assist (public/xen.h).</summary>
public static class VmAssist
{
    /// <summary>Command: switch on.</summary>
    public const uint VMASST_CMD_enable = 0;

    /// <summary>Command: switch off.</summary>
    public const uint VMASST_CMD_disable = 1;

    /// <summary>Segments of 4 GiB for 32-bit guests.</summary>
    public const uint VMASST_TYPE_4gb_segments = 0;

    /// <summary>The same, and the guest is told of each use.</summary>
    public const uint VMASST_TYPE_4gb_segments_notify = 1;

    /// <summary>Page tables that the guest writes as if they were its own.</summary>
    public const uint VMASST_TYPE_writable_pagetables = 2;

    /// <summary>Top-level tables of PAE above 4 GiB.</summary>
    public const uint VMASST_TYPE_pae_extended_cr3 = 3;

    /// <summary>IOPL as the processor has it.</summary>
    public const uint VMASST_TYPE_architectural_iopl = 4;

    /// <summary>A flag while Xen writes the runstate.</summary>
    public const uint VMASST_TYPE_runstate_update_flag = 5;

    /// <summary>The M2P is not readable from the guest's user mode.</summary>
    public const uint VMASST_TYPE_m2p_strict = 32;
}
