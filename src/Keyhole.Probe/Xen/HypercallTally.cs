// SPDX-License-Identifier: GPL-2.0-only


namespace Keyhole.Probe;

/// <summary>Hypercalls made, by name.</summary>
internal struct HypercallTally
{
    public ulong MmuUpdate;
    public ulong MmuUpdateEntries;

    /// <summary>Ticks of the time-stamp counter spent in mmu_update: Xen's share.</summary>
    public ulong MmuUpdateTicks;
    public ulong UpdateVaMapping;
    public ulong Multicall;
    public ulong MemoryMap;
    public ulong DecreaseReservation;
    public ulong PopulatePhysmap;
    public ulong OtherMemoryOp;
    public ulong EventChannelOp;
    public ulong Other;

    /// <summary>Without the console's own, which depend on what is said.</summary>
    public readonly ulong Total =>
        MmuUpdate + UpdateVaMapping + Multicall + MemoryMap + DecreaseReservation + PopulatePhysmap + OtherMemoryOp + EventChannelOp
            + Other;
}
