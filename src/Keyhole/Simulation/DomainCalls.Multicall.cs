// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>multicall, whose entries carry pointers: they are addresses that the caller's page tables map.</summary>
internal sealed partial class DomainCalls
{
    /// <summary>Elements of a guest's list that are copied at once.</summary>
    private const int BatchLength = 64;

    public long Multicall(Span<MulticallEntry> calls)
    {
        FaultPoint fault = Enter(HypercallKind.Multicall);
        for (int i = 0; i < calls.Length; i++)
            calls[i].result = (ulong)i == fault.Limit ? Failed(fault.Error) : Dispatch(calls[i]);
        return 0;
    }

    private long Dispatch(in MulticallEntry call)
    {
        switch (call.op)
        {
            case Hypercall.mmu_update:
                return MmuUpdateFromGuest(call.arg0, (uint)(call.arg1 & uint.MaxValue), call.arg2, (uint)(call.arg3 & uint.MaxValue));
            case Hypercall.memory_op:
                return MemoryOperation(call.arg0, call.arg1);
            case Hypercall.multicall:
                return Failed(XenError.EINVAL);
            case Hypercall.update_va_mapping:
                return UpdateVaMapping(call.arg0, call.arg1);
            case Hypercall.vm_assist:
                return VmAssist((uint)(call.arg0 & uint.MaxValue), (uint)(call.arg1 & uint.MaxValue));
            case Hypercall.callback_op when (call.arg0 & uint.MaxValue) == CallbackOp.CALLBACKOP_register:
                return TryRead(call.arg1, out CallbackRegister callback) ? RegisterCallback(callback) : Failed(XenError.EFAULT);
            default:
                return Failed(XenError.ENOSYS);
        }
    }

    private long MmuUpdateFromGuest(ulong list, uint count, ulong doneAddress, uint foreignDomain)
    {
        FaultPoint fault = Enter(HypercallKind.MmuUpdate);
        // The upper half names another owner of the page tables, which only the builder of a domain needs.
        if (foreignDomain >> 16 != 0)
            return Failed(XenError.ESRCH);
        var owner = new DomainId((ushort)foreignDomain);
        Span<MmuUpdate> batch = stackalloc MmuUpdate[BatchLength];
        uint done = 0;
        long result = 0;
        do
        {
            Span<MmuUpdate> part = batch[..(int)Math.Min(BatchLength, count - done)];
            if (!TryReadAll(list + ((ulong)done * Keyhole.Hypercalls.MmuUpdate.SizeBytes), part))
            {
                result = Failed(XenError.EFAULT);
                break;
            }

            result = MmuUpdate(part, owner, fault.Behind(done), out int partDone);
            done += (uint)partDone;
        }
        while (result == 0 && done < count);

        if (doneAddress != 0)
            _ = TryWrite(doneAddress, done);
        return result;
    }

    private long MemoryOperation(ulong command, ulong argument)
    {
        ulong startExtent = command >> 6;
        switch ((uint)(command & 63))
        {
            case MemoryOp.XENMEM_increase_reservation:
                return ChangeReservation(HypercallKind.IncreaseReservation, argument, startExtent);
            case MemoryOp.XENMEM_decrease_reservation:
                return ChangeReservation(HypercallKind.DecreaseReservation, argument, startExtent);
            case MemoryOp.XENMEM_populate_physmap:
                return ChangeReservation(HypercallKind.PopulatePhysmap, argument, startExtent);
            case MemoryOp.XENMEM_maximum_ram_page:
                return MaximumRamPage();
            case MemoryOp.XENMEM_current_reservation:
                return TryRead(argument, out ushort current) ? Reservation(HypercallKind.CurrentReservation, new DomainId(current))
                    : Failed(XenError.EFAULT);
            case MemoryOp.XENMEM_maximum_reservation:
                return TryRead(argument, out ushort maximum) ? Reservation(HypercallKind.MaximumReservation, new DomainId(maximum))
                    : Failed(XenError.EFAULT);
            case MemoryOp.XENMEM_memory_map:
                return MapFromGuest(argument, false);
            case MemoryOp.XENMEM_machine_memory_map:
                return MapFromGuest(argument, true);
            case MemoryOp.XENMEM_set_memory_map:
                return SetMapFromGuest(argument);
            case MemoryOp.XENMEM_exchange:
                return ExchangeFromGuest(argument);
            default:
                return Failed(XenError.ENOSYS);
        }
    }

    private long ChangeReservation(HypercallKind kind, ulong argument, ulong startExtent)
    {
        FaultPoint fault = Enter(kind);
        if (!TryRead(argument, out MemoryReservation reservation) || reservation.nr_extents > MaxExtents || reservation.extent_order > 63)
            return (long)startExtent;
        var domain = new DomainId(reservation.domid);
        int order = (int)reservation.extent_order;
        Span<ulong> batch = stackalloc ulong[BatchLength];
        ulong done = startExtent;
        while (done < reservation.nr_extents)
        {
            Span<ulong> part = batch[..(int)Math.Min(BatchLength, reservation.nr_extents - done)];
            ulong address = unchecked(reservation.extent_start + (done * sizeof(ulong)));
            // Where the list cannot be read on, nothing more is done; Xen would come as far as the last element that it can read.
            if (!TryReadAll(address, part))
                break;
            FaultPoint partFault = fault.Behind(done);
            long partDone = kind switch
            {
                HypercallKind.IncreaseReservation => IncreaseReservation(domain, part, order, partFault),
                HypercallKind.DecreaseReservation => DecreaseReservation(domain, part, order, partFault),
                _ => PopulatePhysmap(domain, part, order, partFault),
            };
            if (kind != HypercallKind.DecreaseReservation)
                _ = TryWriteAll<ulong>(address, part[..(int)partDone]);
            done += (ulong)partDone;
            if (partDone < part.Length)
                break;
        }

        return (long)done;
    }

    private long MapFromGuest(ulong argument, bool ofMachine)
    {
        if (!TryRead(argument, out MemoryMapRequest request))
            return Failed(XenError.EFAULT);
        int room = ofMachine ? _xen.Spec.MachineMap.Length + 1 : _caller.MemoryMap.Length;
        var entries = new E820Entry[ofMachine && request.buffer == 0 ? 0 : Math.Min((int)Math.Min(request.nr_entries, int.MaxValue), room)];
        int count;
        long result = ofMachine ? MachineMemoryMap(entries, out count) : MemoryMap(entries, out count);
        if (result != 0)
            return result;
        request.nr_entries = (uint)count;
        bool written = (entries.Length == 0 || TryWriteAll<E820Entry>(request.buffer, entries.AsSpan(0, count))) && TryWrite(argument, request);
        return written ? 0 : Failed(XenError.EFAULT);
    }

    private long SetMapFromGuest(ulong argument)
    {
        if (!TryRead(argument, out ForeignMemoryMap request))
            return Failed(XenError.EFAULT);
        var domain = new DomainId(request.domid);
        XenError refused = MaySetMemoryMap(domain, (ulong)request.map.nr_entries, out _);
        if (refused != XenError.None)
        {
            Enter(HypercallKind.SetMemoryMap);
            return Failed(refused);
        }

        var entries = new E820Entry[request.map.nr_entries];
        return TryReadAll<E820Entry>(request.map.buffer, entries) ? SetMemoryMap(domain, entries) : Failed(XenError.EFAULT);
    }

    private long ExchangeFromGuest(ulong argument)
    {
        if (!TryRead(argument, out MemoryExchange request))
            return Failed(XenError.EFAULT);
        if (request.@in.domid != request.@out.domid || request.nr_exchanged != 0)
            return Failed(XenError.EINVAL);
        if (!TryReadList(request.@in, out ulong[] mfnsIn) || !TryReadList(request.@out, out ulong[] framesOut))
            return Failed(XenError.EFAULT);
        int orderIn = (int)Math.Min(request.@in.extent_order, int.MaxValue);
        int orderOut = (int)Math.Min(request.@out.extent_order, int.MaxValue);
        long result = Exchange(new DomainId(request.@in.domid), mfnsIn, orderIn, framesOut, orderOut, out request.nr_exchanged);
        bool written = TryWriteAll<ulong>(request.@out.extent_start, framesOut) && TryWrite(argument, request);
        return written ? result : Failed(XenError.EFAULT);
    }

    /// <summary>Reads a list piece by piece, so that a length without memory behind it costs nothing.</summary>
    private bool TryReadList(in MemoryReservation reservation, out ulong[] extents)
    {
        extents = [];
        if (reservation.nr_extents > MaxExtents)
            return false;
        var read = new List<ulong>();
        Span<ulong> batch = stackalloc ulong[BatchLength];
        while ((ulong)read.Count < reservation.nr_extents)
        {
            Span<ulong> part = batch[..(int)Math.Min(BatchLength, reservation.nr_extents - (ulong)read.Count)];
            if (!TryReadAll(unchecked(reservation.extent_start + ((ulong)read.Count * sizeof(ulong))), part))
                return false;
            read.AddRange(part);
        }

        extents = [.. read];
        return true;
    }

    private bool TryRead<T>(ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        return TryReadAll(address, MemoryMarshal.CreateSpan(ref value, 1));
    }

    private bool TryReadAll<T>(ulong address, Span<T> destination)
        where T : unmanaged
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(destination);
        while (!bytes.IsEmpty)
        {
            Span<ulong> page = Page(address, false);
            if (page.IsEmpty)
                return false;
            Span<byte> source = MemoryMarshal.AsBytes(page)[(int)(address & Frames.OffsetMask)..];
            int count = Math.Min(source.Length, bytes.Length);
            source[..count].CopyTo(bytes);
            bytes = bytes[count..];
            address = unchecked(address + (ulong)count);
        }

        return true;
    }

    private bool TryWrite<T>(ulong address, T value)
        where T : unmanaged => TryWriteAll<T>(address, MemoryMarshal.CreateReadOnlySpan(ref value, 1));

    private bool TryWriteAll<T>(ulong address, ReadOnlySpan<T> source)
        where T : unmanaged
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(source);
        while (!bytes.IsEmpty)
        {
            Span<ulong> page = Page(address, true);
            if (page.IsEmpty)
                return false;
            Span<byte> destination = MemoryMarshal.AsBytes(page)[(int)(address & Frames.OffsetMask)..];
            int count = Math.Min(destination.Length, bytes.Length);
            bytes[..count].CopyTo(destination);
            bytes = bytes[count..];
            address = unchecked(address + (ulong)count);
        }

        return true;
    }
}
