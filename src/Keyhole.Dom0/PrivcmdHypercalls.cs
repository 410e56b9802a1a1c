// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>
/// The real hypervisor's memory interface as dom0's user space sees it. Page tables, the P2M, callbacks, assists and multicalls belong to dom0's
/// kernel:
/// a program that changed them would bring dom0 down, so those calls are not made and give −ENOSYS.
/// </summary>
public sealed class PrivcmdHypercalls(Privcmd privcmd) : IHypercalls
{
    private const long NoMemory = -(long)XenError.ENOMEM;
    private const long NotMade = -(long)XenError.ENOSYS;

    /// <inheritdoc/>
    public long MachineMemoryMap(Span<E820Entry> buffer, out int count) => ReadMap(MemoryOp.XENMEM_machine_memory_map, buffer, out count);

    /// <summary>dom0's own map: ENOSYS, unless someone gave it one.</summary>
    public long MemoryMap(Span<E820Entry> buffer, out int count) => ReadMap(MemoryOp.XENMEM_memory_map, buffer, out count);

    /// <inheritdoc/>
    public long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map)
    {
        using HypercallBuffer? memory = HypercallBuffer.Allocate(ForeignMemoryMap.SizeBytes + (map.Length * E820Entry.WireSizeBytes));
        if (memory is null)
            return NoMemory;
        map.CopyTo(memory.Span<E820Entry>(ForeignMemoryMap.SizeBytes, map.Length));
        memory.At<ForeignMemoryMap>(0) = new()
        {
            domid = domain.Value,
            map = new() { nr_entries = (uint)map.Length, buffer = memory.Address + ForeignMemoryMap.SizeBytes },
        };
        return Memory(MemoryOp.XENMEM_set_memory_map, memory);
    }

    /// <inheritdoc/>
    public long MaximumRamPage() => privcmd.Call(Hypercall.memory_op, MemoryOp.XENMEM_maximum_ram_page);

    /// <inheritdoc/>
    public long CurrentReservation(DomainId domain) => OfDomain(MemoryOp.XENMEM_current_reservation, domain);

    /// <inheritdoc/>
    public long MaximumReservation(DomainId domain) => OfDomain(MemoryOp.XENMEM_maximum_reservation, domain);

    /// <inheritdoc/>
    public long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order) =>
        Reserve(MemoryOp.XENMEM_increase_reservation, domain, mfns, mfns, order);

    /// <inheritdoc/>
    public long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order) =>
        Reserve(MemoryOp.XENMEM_decrease_reservation, domain, mfns, [], order);

    /// <inheritdoc/>
    public long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order) =>
        Reserve(MemoryOp.XENMEM_populate_physmap, domain, frames, frames, order);

    /// <inheritdoc/>
    public long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged)
    {
        exchanged = 0;
        int listIn = MemoryExchange.SizeBytes;
        int listOut = listIn + (mfnsIn.Length * sizeof(ulong));
        using HypercallBuffer? memory = HypercallBuffer.Allocate(listOut + (framesOut.Length * sizeof(ulong)));
        if (memory is null)
            return NoMemory;
        mfnsIn.CopyTo(memory.Span<ulong>(listIn, mfnsIn.Length));
        Span<ulong> frames = memory.Span<ulong>(listOut, framesOut.Length);
        framesOut.CopyTo(frames);
        ref MemoryExchange exchange = ref memory.At<MemoryExchange>(0);
        exchange.@in = Extents(domain, memory.Address + (ulong)listIn, mfnsIn.Length, orderIn);
        exchange.@out = Extents(domain, memory.Address + (ulong)listOut, framesOut.Length, orderOut);
        long result = Memory(MemoryOp.XENMEM_exchange, memory);
        frames.CopyTo(framesOut);
        exchanged = exchange.nr_exchanged;
        return result;
    }

    /// <inheritdoc/>
    public long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, out int done)
    {
        done = 0;
        return NotMade;
    }

    /// <inheritdoc/>
    public long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry, ulong flags) => NotMade;

    /// <inheritdoc/>
    public long Multicall(Span<MulticallEntry> calls) => NotMade;

    /// <inheritdoc/>
    public long RegisterCallback(in CallbackRegister callback) => NotMade;

    /// <inheritdoc/>
    public long VmAssist(uint command, uint type) => NotMade;

    private static MemoryReservation Extents(DomainId domain, ulong address, int count, int order) => new()
    {
        extent_start = address,
        nr_extents = (ulong)count,
        extent_order = (uint)order,
        domid = domain.Value,
    };

    private long Memory(uint operation, HypercallBuffer argument) => privcmd.Call(Hypercall.memory_op, operation, argument.Address);

    private long ReadMap(uint operation, Span<E820Entry> buffer, out int count)
    {
        count = 0;
        using HypercallBuffer? memory = HypercallBuffer.Allocate(MemoryMapRequest.SizeBytes + (buffer.Length * E820Entry.WireSizeBytes));
        if (memory is null)
            return NoMemory;
        ref MemoryMapRequest request = ref memory.At<MemoryMapRequest>(0);
        request.nr_entries = (uint)buffer.Length;
        request.buffer = buffer.IsEmpty ? 0 : memory.Address + MemoryMapRequest.SizeBytes;
        long result = Memory(operation, memory);
        if (result < 0)
            return result;
        count = (int)request.nr_entries;
        int copied = Math.Min(count, buffer.Length);
        memory.Span<E820Entry>(MemoryMapRequest.SizeBytes, copied).CopyTo(buffer);
        return result;
    }

    private long OfDomain(uint operation, DomainId domain)
    {
        using HypercallBuffer? memory = HypercallBuffer.Allocate(sizeof(ushort));
        if (memory is null)
            return NoMemory;
        memory.At<ushort>(0) = domain.Value;
        return Memory(operation, memory);
    }

    /// <summary>Counts, not errors: without memory for the list nothing is done.</summary>
    private long Reserve(uint operation, DomainId domain, ReadOnlySpan<ulong> extents, Span<ulong> results, int order)
    {
        using HypercallBuffer? memory = HypercallBuffer.Allocate(MemoryReservation.SizeBytes + (extents.Length * sizeof(ulong)));
        if (memory is null)
            return 0;
        Span<ulong> list = memory.Span<ulong>(MemoryReservation.SizeBytes, extents.Length);
        extents.CopyTo(list);
        memory.At<MemoryReservation>(0) = Extents(domain, memory.Address + MemoryReservation.SizeBytes, extents.Length, order);
        long result = Memory(operation, memory);
        list[..results.Length].CopyTo(results);
        return result;
    }
}
