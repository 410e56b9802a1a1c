// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Dom0;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>
/// The calls of dom0's user space, and in addition those that belong to dom0's kernel: the contract asks for their refusals alone, which change
/// nothing.
/// </summary>
internal sealed class Dom0Calls(Privcmd privcmd) : IHypercalls
{
    private readonly PrivcmdHypercalls _calls = new(privcmd);

    public long MachineMemoryMap(Span<E820Entry> buffer, out int count) => _calls.MachineMemoryMap(buffer, out count);

    public long MemoryMap(Span<E820Entry> buffer, out int count) => _calls.MemoryMap(buffer, out count);

    public long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map) => _calls.SetMemoryMap(domain, map);

    public long MaximumRamPage() => _calls.MaximumRamPage();

    public long CurrentReservation(DomainId domain) => _calls.CurrentReservation(domain);

    public long MaximumReservation(DomainId domain) => _calls.MaximumReservation(domain);

    public long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order) => _calls.IncreaseReservation(domain, mfns, order);

    public long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order) => _calls.DecreaseReservation(domain, mfns, order);

    public long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order) => _calls.PopulatePhysmap(domain, frames, order);

    public long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged) =>
        _calls.Exchange(domain, mfnsIn, orderIn, framesOut, orderOut, out exchanged);

    public long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, out int done)
    {
        int list = Keyhole.Hypercalls.MmuUpdate.SizeBytes;
        using HypercallBuffer memory = Allocate(list + (updates.Length * Keyhole.Hypercalls.MmuUpdate.SizeBytes));
        updates.CopyTo(memory.Span<MmuUpdate>(list, updates.Length));
        long result = privcmd.Call(Hypercall.mmu_update, memory.Address + (ulong)list, (ulong)updates.Length, memory.Address, DomainId.Self.Value);
        done = (int)memory.At<uint>(0);
        return result;
    }

    public long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry, ulong flags) =>
        privcmd.Call(Hypercall.update_va_mapping, virtualAddress, pageTableEntry, flags);

    public long Multicall(Span<MulticallEntry> calls)
    {
        using HypercallBuffer memory = Allocate(Math.Max(1, calls.Length) * MulticallEntry.SizeBytes);
        Span<MulticallEntry> list = memory.Span<MulticallEntry>(0, calls.Length);
        calls.CopyTo(list);
        long result = privcmd.Call(Hypercall.multicall, memory.Address, (ulong)calls.Length);
        list.CopyTo(calls);
        return result;
    }

    public long RegisterCallback(in CallbackRegister callback)
    {
        using HypercallBuffer memory = Allocate(CallbackRegister.SizeBytes);
        memory.At<CallbackRegister>(0) = callback;
        return privcmd.Call(Hypercall.callback_op, CallbackOp.CALLBACKOP_register, memory.Address);
    }

    public long VmAssist(uint command, uint type) => privcmd.Call(Hypercall.vm_assist, command, type);

    private static HypercallBuffer Allocate(int sizeBytes) => HypercallBuffer.Allocate(sizeBytes)
        ?? throw new ContractException("dom0 has no memory for a hypercall");
}
