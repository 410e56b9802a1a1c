// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.E820;

namespace Keyhole.Xen;

/// <summary>
/// The hypervisor's memory interface as one domain sees it: Xen's own calls, one method each, with Xen's own results.
/// </summary>
/// <remarks>
/// <para>A result is 0 or a count on success, and −<see cref="XenError"/> on failure. Nothing is thrown.</para>
/// <para>Frames in extent lists are plain numbers because the same list carries pfns in and mfns out. An extent is 2^order frames, aligned to its size.</para>
/// <para>The contract suite of this interface runs on the simulated and on the real hypervisor: what it says holds on both.</para>
/// </remarks>
public interface IHypercalls
{
    /// <summary>XENMEM_machine_memory_map. EPERM unless privileged; EINVAL if the buffer has no room for one entry more than the map.</summary>
    long MachineMemoryMap(Span<E820Entry> buffer, out int count);

    /// <summary>XENMEM_memory_map: the caller's own map, silently cut at the buffer's length. ENOSYS if none was ever set (dom0).</summary>
    long MemoryMap(Span<E820Entry> buffer, out int count);

    /// <summary>XENMEM_set_memory_map: contents are not looked at. EINVAL above 1024 entries, ESRCH, EPERM, ENOMEM.</summary>
    long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map);

    /// <summary>XENMEM_maximum_ram_page: the highest machine frame of RAM; never fails.</summary>
    long MaximumRamPage();

    /// <summary>XENMEM_current_reservation: pages the domain owns. ESRCH, EPERM.</summary>
    long CurrentReservation(DomainId domain);

    /// <summary>XENMEM_maximum_reservation: pages the domain may own; Xen reports no limit as 0xffffffff. ESRCH, EPERM.</summary>
    long MaximumReservation(DomainId domain);

    /// <summary>XENMEM_increase_reservation: fills in the mfns of new extents. Returns extents done; an error shows as a short count, never negative.</summary>
    long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order);

    /// <summary>XENMEM_decrease_reservation: gives extents back. Returns extents done; an error shows as a short count, never negative.</summary>
    long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order);

    /// <summary>XENMEM_populate_physmap: pfns in, mfns out, M2P set by Xen. Returns extents done; an error shows as a short count, never negative.</summary>
    long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order);

    /// <summary>
    /// XENMEM_exchange: <paramref name="mfnsIn"/> given back, <paramref name="framesOut"/> pfns in and mfns out. 0 or an error;
    /// <paramref name="exchanged"/> tells how many input extents are done.
    /// </summary>
    long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged);

    /// <summary>mmu_update: page-table writes and M2P updates (<see cref="MmuUpdateCommand"/>). Stops at the first error; <paramref name="done"/> is how many took effect.</summary>
    long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, out int done);

    /// <summary>update_va_mapping: writes the L1 entry that maps an address. EINVAL where there is no L1; EPERM for MMIO that the domain may not map.</summary>
    long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry, ulong flags);

    /// <summary>multicall: each entry with a result of its own. A multicall within fails for itself.</summary>
    long Multicall(Span<MulticallEntry> calls);

    /// <summary>callback_op, register. ENOSYS for a type that this hypervisor does not know.</summary>
    long RegisterCallback(in CallbackRegister callback);

    /// <summary>vm_assist.</summary>
    long VmAssist(uint command, uint type);
}

/// <summary>What a guest reads without asking Xen: its memory as its page tables map it, and the machine-to-physical table.</summary>
public interface IMappedMemory
{
    /// <summary>The page of 512 words that <paramref name="virtualAddress"/> (page-aligned) maps; empty where nothing is mapped.</summary>
    Span<ulong> Page(ulong virtualAddress);

    /// <summary>What the machine-to-physical table says of a machine frame; all ones where it says nothing.</summary>
    ulong PfnOf(ulong mfn);
}
