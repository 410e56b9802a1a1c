// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>What Xen 4.17 does when one domain calls it: the reservation calls. The page tables are in DomainCalls.PageTables.cs, multicall in
/// DomainCalls.Multicall.cs.</summary>
internal sealed partial class DomainCalls
{
    /// <summary>More extents do not fit the number in which Xen notes how far an interrupted call came.</summary>
    private const int MaxExtents = (int)(uint.MaxValue >> 6);

    private readonly SimulatedXen _xen;
    private readonly SimulatedDomain _caller;
    private readonly List<ulong> _stolen = [];
    private readonly List<ulong> _taken = [];

    public ulong PfnOf(ulong mfn) => _xen.MachineToPhysical(new(mfn));

    public DomainCalls(SimulatedXen xen, SimulatedDomain caller)
    {
        _xen = xen;
        _caller = caller;
    }

    /// <summary>Counts the call and tells whether it is to fail.</summary>
    public FaultPoint Enter(HypercallKind kind)
    {
        _caller.Calls[(int)kind]++;
        return _xen.Faults.IsEmpty ? default : _xen.Faults.Next(kind, _caller.Id);
    }

    public long MachineMemoryMap(Span<E820Entry> buffer, out int count)
    {
        count = 0;
        FaultPoint fault = Enter(HypercallKind.MachineMemoryMap);
        if (fault.Fires)
            return Failed(fault.Error);
        if (_caller.Translated)
            return Failed(XenError.ENOSYS);
        if (!_caller.Privileged && !_xen.Spec.MachineMapForEveryone)
            return Failed(XenError.EPERM);
        ReadOnlySpan<E820Entry> map = _xen.Spec.MachineMap.AsSpan();
        if (!buffer.IsEmpty)
        {
            if (buffer.Length < map.Length + 1)
                return Failed(XenError.EINVAL);
            map.CopyTo(buffer);
        }

        count = map.Length;
        return 0;
    }

    public long MemoryMap(Span<E820Entry> buffer, out int count)
    {
        count = 0;
        FaultPoint fault = Enter(HypercallKind.MemoryMap);
        if (fault.Fires)
            return Failed(fault.Error);
        if (_caller.MemoryMap.Length == 0)
            return Failed(XenError.ENOSYS);
        count = Math.Min(buffer.Length, _caller.MemoryMap.Length);
        _caller.MemoryMap.AsSpan(0, count).CopyTo(buffer);
        return 0;
    }

    public long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map)
    {
        FaultPoint fault = Enter(HypercallKind.SetMemoryMap);
        if (fault.Fires)
            return Failed(fault.Error);
        XenError refused = MaySetMemoryMap(domain, map.Length, out SimulatedDomain? target);
        if (refused != XenError.None)
            return Failed(refused);
        target!.MemoryMap = map.ToArray();
        return 0;
    }

    public long MaximumRamPage()
    {
        FaultPoint fault = Enter(HypercallKind.MaximumRamPage);
        return fault.Fires ? Failed(fault.Error) : (long)_xen.MaximumRamPage;
    }

    public long Reservation(HypercallKind kind, DomainId domain)
    {
        FaultPoint fault = Enter(kind);
        if (fault.Fires)
            return Failed(fault.Error);
        if (Find(domain) is not { } target)
            return Failed(XenError.ESRCH);
        if (!Controls(target))
            return Failed(XenError.EPERM);
        return (long)(kind == HypercallKind.CurrentReservation ? target.CurrentPages : Math.Min(target.MaxPages, long.MaxValue));
    }

    public long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order, FaultPoint fault)
    {
        if (!MayAdjust(domain, mfns.Length, order, out SimulatedDomain? target))
            return 0;
        for (int i = 0; i < mfns.Length; i++)
        {
            if ((ulong)i == fault.Limit || !TryAllocate(target!, order, null, out ulong mfn))
                return i;
            if (!target!.Translated)
                mfns[i] = mfn;
        }

        return mfns.Length;
    }

    public long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order, FaultPoint fault)
    {
        if (!MayAdjust(domain, mfns.Length, order, out SimulatedDomain? target))
            return 0;
        for (int i = 0; i < mfns.Length; i++)
        {
            if ((ulong)i == fault.Limit || !RemoveExtent(target!, mfns[i], order))
                return i;
        }

        return mfns.Length;
    }

    public long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order, FaultPoint fault)
    {
        if (!MayAdjust(domain, frames.Length, order, out SimulatedDomain? target))
            return 0;
        for (int i = 0; i < frames.Length; i++)
        {
            ulong pfn = frames[i];
            if ((ulong)i == fault.Limit)
                return i;
            if (target!.Physmap is { } physmap)
            {
                // Xen has taken the page before it looks at the pfn, and keeps it with the domain.
                bool fits = pfn < Frames.MaxCount && Frames.MaxCount - pfn >= 1UL << order;
                if (!TryAllocate(target, order, fits ? pfn : null, out ulong translated) || !fits)
                    return i;
                AddTranslated(physmap, pfn, translated, 1UL << order);
                continue;
            }

            if (!TryAllocate(target, order, pfn, out ulong mfn))
                return i;
            frames[i] = mfn;
        }

        return frames.Length;
    }

    public long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged)
    {
        exchanged = 0;
        FaultPoint fault = Enter(HypercallKind.Exchange);
        if (!MayHaveExtents(orderIn) || !MayHaveExtents(orderOut))
            return Failed(XenError.EPERM);
        if ((ulong)mfnsIn.Length << orderIn != (ulong)framesOut.Length << orderOut)
            return Failed(XenError.EINVAL);
        if (mfnsIn.IsEmpty)
            return 0;
        if (Find(domain) is not { } target)
            return Failed(XenError.ESRCH);
        if (!Controls(target))
            return Failed(XenError.EPERM);
        // A chunk is the least that both lists have whole extents of.
        int chunkIn = 1 << Math.Max(0, orderOut - orderIn);
        int chunkOut = 1 << Math.Max(0, orderIn - orderOut);
        int chunks = mfnsIn.Length / chunkIn;
        for (int chunk = 0; chunk < chunks; chunk++)
        {
            XenError error = !fault.IsNone && fault.Limit / (ulong)chunkIn == (ulong)chunk
                ? fault.Error
                : ExchangeChunk(target, mfnsIn.Slice(chunk * chunkIn, chunkIn), orderIn, framesOut.Slice(chunk * chunkOut, chunkOut), orderOut);
            if (error != XenError.None)
            {
                exchanged = (ulong)chunk * (ulong)chunkIn;
                return Failed(error);
            }
        }

        exchanged = (ulong)mfnsIn.Length;
        return 0;
    }

    public long RegisterCallback(in CallbackRegister callback)
    {
        FaultPoint fault = Enter(HypercallKind.CallbackOp);
        if (fault.Fires)
            return Failed(fault.Error);
        if (_caller.Translated)
            return Failed(XenError.ENOSYS);
        if (!SimulatedDomain.IsCanonical(callback.address))
            return Failed(XenError.EINVAL);
        if (!IsCallbackType(callback.type) || _xen.Spec.RefusedCallbacks.Contains(callback.type))
            return Failed(XenError.ENOSYS);
        _caller.Callbacks[callback.type] = callback;
        return 0;
    }

    public long VmAssist(uint command, uint type)
    {
        FaultPoint fault = Enter(HypercallKind.VmAssist);
        if (fault.Fires)
            return Failed(fault.Error);
        const ulong translated = 1UL << (int)Keyhole.Hypercalls.VmAssist.VMASST_TYPE_runstate_update_flag;
        const ulong paravirtual = 0x3f | (1UL << (int)Keyhole.Hypercalls.VmAssist.VMASST_TYPE_m2p_strict);
        ulong known = _caller.Translated ? translated : paravirtual;
        if (type >= 64 || (known >> (int)type & 1) == 0)
            return Failed(XenError.EINVAL);
        switch (command)
        {
            case Keyhole.Hypercalls.VmAssist.VMASST_CMD_enable:
                _caller.Assists |= 1UL << (int)type;
                return 0;
            case Keyhole.Hypercalls.VmAssist.VMASST_CMD_disable:
                _caller.Assists &= ~(1UL << (int)type);
                return 0;
            default:
                return Failed(XenError.ENOSYS);
        }
    }

    private static long Failed(XenError error) => -(long)error;

    private static bool IsCallbackType(ushort type) => type is CallbackOp.CALLBACKTYPE_event or CallbackOp.CALLBACKTYPE_failsafe
        or CallbackOp.CALLBACKTYPE_syscall or CallbackOp.CALLBACKTYPE_nmi or CallbackOp.CALLBACKTYPE_sysenter or CallbackOp.CALLBACKTYPE_syscall32;

    private SimulatedDomain? Find(DomainId domain) => domain == DomainId.Self ? _caller : _xen.Find(domain);

    private bool Controls(SimulatedDomain target) => target == _caller || _caller.Privileged || _caller.Spec.Target == target.Id;

    private XenError MaySetMemoryMap(DomainId domain, ulong entryCount, out SimulatedDomain? target)
    {
        target = null;
        if (entryCount > (ulong)_xen.Spec.MaxSetMapEntries)
            return XenError.EINVAL;
        target = Find(domain);
        if (target is null)
            return XenError.ESRCH;
        return Controls(target) ? XenError.None : XenError.EPERM;
    }

    private XenError MaySetMemoryMap(DomainId domain, int entryCount, out SimulatedDomain? target) =>
        MaySetMemoryMap(domain, (ulong)entryCount, out target);

    private bool MayAdjust(DomainId domain, int extentCount, int order, out SimulatedDomain? target)
    {
        target = extentCount > MaxExtents || !MayHaveExtents(order) ? null : Find(domain);
        return target is not null && Controls(target);
    }

    private bool MayHaveExtents(int order) => order >= 0 && order <= _caller.MaxExtentOrder;

    private bool TryAllocate(SimulatedDomain target, int order, ulong? firstPfn, out ulong mfn)
    {
        ulong count = 1UL << order;
        mfn = 0;
        if (target.CurrentPages > target.MaxPages || count > target.MaxPages - target.CurrentPages || !_xen.TryTake(order, out mfn))
            return false;
        _xen.Assign(target, mfn, count, firstPfn);
        target.CurrentPages += count;
        return true;
    }

    /// <summary>Frame by frame, as Xen does: where one cannot be given back, those before it are gone all the same.</summary>
    private bool RemoveExtent(SimulatedDomain target, ulong first, int order)
    {
        ulong count = 1UL << order;
        if (first > ulong.MaxValue - count)
            return false;
        if (order > 0 && target.Physmap is null && first + count <= _xen.MaximumRamPage
            && _xen.FrameTable.IsOneRun(first, count, out FrameState whole)
            && whole.Owner == target.Owner && whole.IsAllocated && whole.References == 0)
        {
            _xen.GiveBack(first, count);
            target.CurrentPages -= count;
            return true;
        }

        for (ulong i = 0; i < count; i++)
        {
            if (!RemovePage(target, first + i))
                return false;
        }

        return true;
    }

    private bool RemovePage(SimulatedDomain target, ulong gfn)
    {
        ulong mfn = gfn;
        if (target.Physmap is { } physmap)
        {
            TranslatedEntry entry = physmap.Get(gfn);
            if (entry.IsHole)
                return false;
            mfn = entry.Mfn;
            physmap.Edit(gfn) = default;
        }

        FrameState frame = _xen.FrameTable.Get(mfn);
        if (frame.Owner != target.Owner)
            return false;
        if (frame.References > 0)
        {
            // Still mapped: it stays the domain's until the last mapping goes, and may even be given back again.
            _xen.FrameTable.Edit(mfn).Flags &= ~FrameFlags.Allocated;
            return true;
        }

        _xen.GiveBack(mfn, 1);
        target.CurrentPages--;
        return true;
    }

    /// <summary>A pfn that had a page before has the new one; the old one stays the domain's, at no pfn.</summary>
    private void AddTranslated(AffineTree<TranslatedEntry> physmap, ulong pfn, ulong mfn, ulong count)
    {
        for (ulong i = 0; i < count; i++)
        {
            TranslatedEntry old = physmap.Get(pfn + i);
            if (!old.IsHole)
                _xen.FrameTable.Edit(old.Mfn).M2P = FrameState.InvalidM2P;
        }

        physmap.SetRange(pfn, count, new TranslatedEntry(mfn));
    }

    private XenError ExchangeChunk(SimulatedDomain target, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut)
    {
        _stolen.Clear();
        _taken.Clear();
        XenError error = Steal(target, mfnsIn, 1UL << orderIn);
        for (int i = 0; error == XenError.None && i < framesOut.Length; i++)
        {
            if (_xen.TryTake(orderOut, out ulong mfn))
                _taken.Add(mfn);
            else
                error = XenError.ENOMEM;
        }

        if (error != XenError.None)
        {
            foreach (ulong mfn in _taken)
                _xen.Free.Release(mfn, 1UL << orderOut);
            foreach (ulong mfn in _stolen)
                _xen.FrameTable.Edit(mfn).Owner = target.Owner;
            return error;
        }

        foreach (ulong mfn in _stolen)
            _xen.GiveBack(mfn, 1);
        for (int i = 0; i < framesOut.Length; i++)
        {
            _xen.Assign(target, _taken[i], 1UL << orderOut, framesOut[i]);
            framesOut[i] = _taken[i];
        }

        return XenError.None;
    }

    /// <summary>Takes frames from their owner for a moment: only those that nothing maps can go. Those taken are noted, also when it fails.</summary>
    private XenError Steal(SimulatedDomain target, ReadOnlySpan<ulong> extents, ulong extentSize)
    {
        foreach (ulong first in extents)
        {
            for (ulong i = 0; i < extentSize; i++)
            {
                ulong mfn = unchecked(first + i);
                if (target.Physmap is { } physmap)
                    return physmap.Get(mfn).IsHole ? XenError.EINVAL : XenError.EOPNOTSUPP;
                FrameState frame = _xen.FrameTable.Get(mfn);
                if (frame.Owner != target.Owner || !frame.IsAllocated || frame.References > 0)
                    return XenError.EINVAL;
                _xen.FrameTable.Edit(mfn).Owner = 0;
                _stolen.Add(mfn);
            }
        }

        return XenError.None;
    }
}
