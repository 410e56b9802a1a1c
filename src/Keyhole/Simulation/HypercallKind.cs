// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;

namespace Keyhole.Simulation;

/// <summary>The calls that the simulator knows: what it counts, and where a fault can be put.</summary>
internal enum HypercallKind
{
    MachineMemoryMap,
    MemoryMap,
    SetMemoryMap,
    MaximumRamPage,
    CurrentReservation,
    MaximumReservation,
    IncreaseReservation,
    DecreaseReservation,
    PopulatePhysmap,
    Exchange,
    MmuUpdate,
    UpdateVaMapping,
    Multicall,
    CallbackOp,
    VmAssist,
}

internal static class HypercallKinds
{
    public static ImmutableArray<HypercallKind> All { get; } = [.. Enum.GetValues<HypercallKind>()];

    /// <summary>The call's name in Xen's public headers.</summary>
    public static string NameOf(HypercallKind kind) => kind switch
    {
        HypercallKind.MachineMemoryMap => "XENMEM_machine_memory_map",
        HypercallKind.MemoryMap => "XENMEM_memory_map",
        HypercallKind.SetMemoryMap => "XENMEM_set_memory_map",
        HypercallKind.MaximumRamPage => "XENMEM_maximum_ram_page",
        HypercallKind.CurrentReservation => "XENMEM_current_reservation",
        HypercallKind.MaximumReservation => "XENMEM_maximum_reservation",
        HypercallKind.IncreaseReservation => "XENMEM_increase_reservation",
        HypercallKind.DecreaseReservation => "XENMEM_decrease_reservation",
        HypercallKind.PopulatePhysmap => "XENMEM_populate_physmap",
        HypercallKind.Exchange => "XENMEM_exchange",
        HypercallKind.MmuUpdate => "mmu_update",
        HypercallKind.UpdateVaMapping => "update_va_mapping",
        HypercallKind.Multicall => "multicall",
        HypercallKind.CallbackOp => "callback_op",
        HypercallKind.VmAssist => "vm_assist",
    };
}
