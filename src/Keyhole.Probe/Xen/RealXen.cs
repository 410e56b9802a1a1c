// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Probe;

/// <summary>The hypervisor below the probe. All state is Xen's: copies of this struct are the same.</summary>
internal unsafe struct RealXen : IHypercalls, IMappedMemory
{
    /// <summary>Where Xen maps the machine-to-physical table for a 64-bit guest (MACH2PHYS_VIRT_START), and how many frames it can hold.</summary>
    public const ulong MachineToPhysical = 0xffff_8000_0000_0000;

    private const ulong MachineToPhysicalFrames = 1UL << 35;
    private const uint MMUEXT_TLB_FLUSH_LOCAL = 6;

    public static HypercallTally Tally;

    public readonly long MachineMemoryMap(Span<E820Entry> buffer, out int count) =>
        FetchMap(MemoryOp.XENMEM_machine_memory_map, buffer, out count);

    public readonly long MemoryMap(Span<E820Entry> buffer, out int count) => FetchMap(MemoryOp.XENMEM_memory_map, buffer, out count);

    public readonly long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map)
    {
        fixed (E820Entry* entries = map)
        {
            var request = new ForeignMemoryMap { domid = domain.Value, map = new() { nr_entries = (uint)map.Length, buffer = (ulong)entries } };
            Tally.OtherMemoryOp++;
            return MemoryCall(MemoryOp.XENMEM_set_memory_map, &request);
        }
    }

    public readonly long MaximumRamPage()
    {
        Tally.OtherMemoryOp++;
        return MemoryCall(MemoryOp.XENMEM_maximum_ram_page, null);
    }

    public readonly long CurrentReservation(DomainId domain) => Reservation(MemoryOp.XENMEM_current_reservation, domain);

    public readonly long MaximumReservation(DomainId domain) => Reservation(MemoryOp.XENMEM_maximum_reservation, domain);

    public readonly long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order)
    {
        fixed (ulong* list = mfns)
        {
            Tally.OtherMemoryOp++;
            return Extents(MemoryOp.XENMEM_increase_reservation, domain, list, mfns.Length, order);
        }
    }

    public readonly long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order)
    {
        fixed (ulong* list = mfns)
        {
            Tally.DecreaseReservation++;
            return Extents(MemoryOp.XENMEM_decrease_reservation, domain, list, mfns.Length, order);
        }
    }

    public readonly long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order)
    {
        fixed (ulong* list = frames)
        {
            Tally.PopulatePhysmap++;
            return Extents(MemoryOp.XENMEM_populate_physmap, domain, list, frames.Length, order);
        }
    }

    public readonly long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged)
    {
        fixed (ulong* from = mfnsIn, to = framesOut)
        {
            var request = new MemoryExchange
            {
                @in = Request(domain, from, mfnsIn.Length, orderIn),
                @out = Request(domain, to, framesOut.Length, orderOut),
            };
            Tally.OtherMemoryOp++;
            long result = MemoryCall(MemoryOp.XENMEM_exchange, &request);
            exchanged = request.nr_exchanged;
            return result;
        }
    }

    public readonly long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, out int done)
    {
        fixed (MmuUpdate* list = updates)
        {
            uint count = 0;
            Tally.MmuUpdate++;
            Tally.MmuUpdateEntries += (ulong)updates.Length;
            ulong begun = Native.ReadTimeStampCounter();
            long result = Native.Hypercall(Hypercall.mmu_update, (ulong)list, (ulong)updates.Length, (ulong)&count, DomainId.SelfValue, 0);
            Tally.MmuUpdateTicks = unchecked(Tally.MmuUpdateTicks + Native.ReadTimeStampCounter() - begun);
            done = (int)count;
            return result;
        }
    }

    public readonly long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry, ulong flags)
    {
        Tally.UpdateVaMapping++;
        return Native.Hypercall(Hypercall.update_va_mapping, virtualAddress, pageTableEntry, flags, 0, 0);
    }

    public readonly long Multicall(Span<MulticallEntry> calls)
    {
        fixed (MulticallEntry* list = calls)
        {
            Tally.Multicall++;
            return Native.Hypercall(Hypercall.multicall, (ulong)list, (ulong)calls.Length, 0, 0, 0);
        }
    }

    public readonly long RegisterCallback(in CallbackRegister callback)
    {
        CallbackRegister copy = callback;
        Tally.Other++;
        return Native.Hypercall(Hypercall.callback_op, CallbackOp.CALLBACKOP_register, (ulong)&copy, 0, 0, 0);
    }

    public readonly long VmAssist(uint command, uint type)
    {
        Tally.Other++;
        return Native.Hypercall(Hypercall.vm_assist, command, type, 0, 0, 0);
    }

    /// <summary>set_trap_table (0).</summary>
    public static long SetTrapTable(ulong table)
    {
        Tally.Other++;
        return Native.Hypercall(0, table, 0, 0, 0, 0);
    }

    /// <summary>
    /// mmu_update and the flush of this processor's translations in one hypercall. 0, or the error of whichever failed.
    /// </summary>
    public static long MmuUpdateAndFlush(ReadOnlySpan<MmuUpdate> updates, out int done)
    {
        fixed (MmuUpdate* list = updates)
        {
            uint count = 0;
            // struct mmuext_op: cmd at 0, two arguments at 8 and 16.
            ulong* flush = stackalloc ulong[3];
            flush[0] = MMUEXT_TLB_FLUSH_LOCAL;
            flush[1] = 0;
            flush[2] = 0;
            Span<MulticallEntry> calls = stackalloc MulticallEntry[2];
            calls[0] = new()
            {
                op = Hypercall.mmu_update,
                arg0 = (ulong)list,
                arg1 = (ulong)updates.Length,
                arg2 = (ulong)&count,
                arg3 = DomainId.SelfValue
            };
            calls[1] = new() { op = Hypercall.mmuext_op, arg0 = (ulong)flush, arg1 = 1, arg3 = DomainId.SelfValue };
            Tally.MmuUpdateEntries += (ulong)updates.Length;
            long result = default(RealXen).Multicall(calls);
            done = (int)count;
            if (result != 0)
                return result;
            return calls[0].result != 0 ? calls[0].result : calls[1].result;
        }
    }

    public static long EventChannelOp(uint command, void* argument)
    {
        Tally.EventChannelOp++;
        return Native.Hypercall(Hypercall.event_channel_op, command, (ulong)argument, 0, 0, 0);
    }

    public readonly Span<ulong> Page(ulong virtualAddress) => new((void*)virtualAddress, (int)(Frames.SizeBytes / sizeof(ulong)));

    public readonly ulong PfnOf(ulong mfn)
    {
        // The table has holes where the machine has none of the memory it could have.
        if (mfn >= MachineToPhysicalFrames)
            return ulong.MaxValue;
        uint low;
        uint high;
        ulong entry = MachineToPhysical + (mfn * sizeof(ulong));
        if (!Native.TryRead(entry, &low) || !Native.TryRead(entry + sizeof(uint), &high))
            return ulong.MaxValue;
        return ((ulong)high << 32) | low;
    }

    private static long FetchMap(uint command, Span<E820Entry> buffer, out int count)
    {
        fixed (E820Entry* entries = buffer)
        {
            var request = new MemoryMapRequest { nr_entries = (uint)buffer.Length, buffer = (ulong)entries };
            Tally.MemoryMap++;
            long result = MemoryCall(command, &request);
            count = (int)request.nr_entries;
            return result;
        }
    }

    private static long Reservation(uint command, DomainId domain)
    {
        ushort number = domain.Value;
        Tally.OtherMemoryOp++;
        return MemoryCall(command, &number);
    }

    private static long Extents(uint command, DomainId domain, ulong* list, int count, int order)
    {
        MemoryReservation request = Request(domain, list, count, order);
        return MemoryCall(command, &request);
    }

    private static MemoryReservation Request(DomainId domain, ulong* list, int count, int order) =>
        new() { extent_start = (ulong)list, nr_extents = (ulong)count, extent_order = (uint)order, domid = domain.Value };

    private static long MemoryCall(uint command, void* argument) => Native.Hypercall(Hypercall.memory_op, command, (ulong)argument, 0, 0, 0);
}
