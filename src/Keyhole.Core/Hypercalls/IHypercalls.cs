// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.E820;

namespace Keyhole.Hypercalls;

/// <summary>
/// The hypervisor's memory interface as one domain sees it: Xen's own calls, one method each, with Xen's own results.
/// </summary>
/// <remarks>
/// <para>A result is 0 or a count on success, and −<see cref="XenError"/> on failure. Nothing is thrown.</para>
/// <para>Frames in extent lists are plain numbers because the same list carries pfns in and mfns out. An extent is 2^order frames, aligned to its
/// size.</para>
/// <para>The contract suite of this interface runs on the simulated and on the real hypervisor: what it says holds on both.</para>
/// </remarks>
public interface IHypercalls
{
    /// <summary>
    /// XENMEM_machine_memory_map. EPERM unless privileged; EINVAL if the buffer has no room for one entry more than the map. An empty buffer, Xen's
    /// null handle, asks for the count alone.
    /// </summary>
    long MachineMemoryMap(Span<E820Entry> buffer, out int count);

    /// <summary>XENMEM_memory_map: the caller's own map, silently cut at the buffer's length. ENOSYS if none was ever set (dom0).</summary>
    long MemoryMap(Span<E820Entry> buffer, out int count);

    /// <summary>XENMEM_set_memory_map: contents are not looked at, and an empty map is as none. EINVAL above 1024 entries, then ESRCH, EPERM,
    /// ENOMEM.</summary>
    long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map);

    /// <summary>XENMEM_maximum_ram_page: one above the highest machine frame of RAM; never fails.</summary>
    long MaximumRamPage();

    /// <summary>XENMEM_current_reservation: pages the domain owns. ESRCH, EPERM.</summary>
    long CurrentReservation(DomainId domain);

    /// <summary>XENMEM_maximum_reservation: pages the domain may own; Xen reports no limit as 0xffffffff. ESRCH, EPERM.</summary>
    long MaximumReservation(DomainId domain);

    /// <summary>
    /// XENMEM_increase_reservation: fills in the mfns of new extents, at no pfn. Returns extents done; an error shows as a short count, never
    /// negative. Orders up to 9; 12 for a domain with a device, 18 for a control domain (the caller counts, not the domain that gets them).
    /// </summary>
    long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order);

    /// <summary>
    /// XENMEM_decrease_reservation: gives extents back. Returns extents done; an error shows as a short count, never negative. Of the extent
    /// that fails, the frames before the bad one are gone. A frame that is still mapped stays the domain's until its last mapping goes, and can
    /// be given back again meanwhile.
    /// </summary>
    long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order);

    /// <summary>XENMEM_populate_physmap: pfns in, mfns out, M2P set by Xen. Returns extents done; an error shows as a short count, never
    /// negative.</summary>
    long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order);

    /// <summary>
    /// XENMEM_exchange: <paramref name="mfnsIn"/> given back, <paramref name="framesOut"/> pfns in and mfns out. 0 or an error;
    /// <paramref name="exchanged"/> tells how many input extents are done. EPERM for too high an order, EINVAL where the lists differ in pages, then
    /// 0 for empty lists, ESRCH, EPERM; EINVAL for a frame that is not the domain's or is mapped, ENOMEM: new frames come before old ones go.
    /// </summary>
    long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged);

    /// <summary>
    /// mmu_update: page-table writes and M2P updates (<see cref="MmuUpdateCommand"/>). Stops at the first error; <paramref name="done"/> is how many
    /// took effect. A table or an M2P frame that is not the caller's is EINVAL; what a page-table write maps is checked as in
    /// <see cref="UpdateVaMapping"/>.
    /// </summary>
    long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, out int done);

    /// <summary>update_va_mapping: writes the L1 entry that maps an address. EINVAL where there is no L1; EPERM for MMIO that the domain may not map;
    /// EBUSY (4.17) for RAM that is not its own.</summary>
    long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry, ulong flags);

    /// <summary>multicall: each entry with a result of its own, and 0 for the whole. A multicall within fails for itself with EINVAL, an unknown call
    /// with ENOSYS.</summary>
    long Multicall(Span<MulticallEntry> calls);

    /// <summary>callback_op, register. EINVAL for an address that is not canonical, ENOSYS for a type that this hypervisor does not know.</summary>
    long RegisterCallback(in CallbackRegister callback);

    /// <summary>vm_assist. EINVAL for an unknown type, then ENOSYS for an unknown command.</summary>
    long VmAssist(uint command, uint type);
}

/// <summary>What a guest reads without asking Xen: its memory as its page tables map it, and the machine-to-physical table.</summary>
internal interface IMappedMemory
{
    /// <summary>The page of 512 words that <paramref name="virtualAddress"/> (page-aligned) maps; empty where nothing is mapped.</summary>
    Span<ulong> Page(ulong virtualAddress);

    /// <summary>What the machine-to-physical table says of a machine frame; all ones where it says nothing.</summary>
    ulong PfnOf(ulong mfn);
}
