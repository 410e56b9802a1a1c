// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>The calls that write page tables and the M2P.</summary>
internal sealed partial class DomainCalls
{
    /// <summary>
    /// mmu_update. <paramref name="frameOwner"/> is the domain whose frames the updates name; a caller says Self, for Xen refuses its own number.
    /// </summary>
    public long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, DomainId frameOwner, FaultPoint fault, out int done)
    {
        done = 0;
        if (_caller.Translated)
            return Failed(XenError.ENOSYS);
        if (frameOwner == _caller.Id || Find(frameOwner) is not { } owner)
            return Failed(XenError.ESRCH);
        for (int i = 0; i < updates.Length; i++)
        {
            XenError error = (ulong)i == fault.Limit ? fault.Error : Controls(owner) ? Update(updates[i], owner) : XenError.EPERM;
            if (error != XenError.None)
            {
                done = i;
                return Failed(error);
            }
        }

        done = updates.Length;
        return 0;
    }

    public long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry)
    {
        FaultPoint fault = Enter(HypercallKind.UpdateVaMapping);
        if (fault.Fires)
            return Failed(fault.Error);
        if (_caller.Translated)
            return Failed(XenError.ENOSYS);
        ulong page = SimulatedDomain.PageNumber(virtualAddress);
        if (!SimulatedDomain.IsCanonical(virtualAddress) || !_caller.L1.Get(page).HasTable)
            return Failed(XenError.EINVAL);
        return Failed(WriteL1(page, pageTableEntry, _caller, false));
    }

    public Span<ulong> Page(ulong virtualAddress, bool forWriting)
    {
        if (!SimulatedDomain.IsCanonical(virtualAddress))
            return [];
        if (_caller.Physmap is { } physmap)
        {
            TranslatedEntry translated = physmap.Get(unchecked(virtualAddress - _caller.Spec.LinearBase) >> Frames.Shift);
            return translated.IsHole ? [] : _xen.Contents(new Mfn(translated.Mfn));
        }

        L1Entry entry = _caller.L1.Get(SimulatedDomain.PageNumber(virtualAddress));
        if (!entry.IsPresent || (forWriting && (entry.Pte & L1Entry.Writable) == 0))
            return [];
        return _xen.Contents(new Mfn(entry.Mfn));
    }

    private XenError Update(in MmuUpdate update, SimulatedDomain owner)
    {
        ulong mfn = update.ptr >> Frames.Shift;
        ulong command = update.ptr & 3;
        if (command == MmuUpdateCommand.MMU_MACHPHYS_UPDATE)
        {
            if (owner.Translated || _xen.FrameTable.Get(mfn).Owner != owner.Owner)
                return XenError.EINVAL;
            _xen.FrameTable.Edit(mfn).M2P = update.val;
            return XenError.None;
        }

        // The table is always the caller's own; only what it maps may be another's.
        if (_xen.FrameTable.Get(mfn).Owner != _caller.Owner || (update.ptr & 4) != 0)
            return XenError.EINVAL;
        int index = (int)((update.ptr & Frames.OffsetMask) / sizeof(ulong));
        if (_caller.L1Tables.TryGetValue(mfn, out ulong firstPage))
            return WriteL1(firstPage + (ulong)index, update.val, owner, command == MmuUpdateCommand.MMU_PT_UPDATE_PRESERVE_AD);
        // A page that is no page table is written like any other.
        _xen.ContentsOf(mfn)[index] = update.val;
        return XenError.None;
    }

    /// <summary>Writes an entry whose table exists. What it mapped loses a reference, what it maps gains one.</summary>
    private XenError WriteL1(ulong page, ulong pte, SimulatedDomain owner, bool keepAccessedAndDirty)
    {
        ref L1Entry entry = ref _caller.L1.Edit(page);
        if (keepAccessedAndDirty)
            pte |= entry.Pte & L1Entry.AccessedAndDirty;
        ulong mfn = L1Entry.MfnOf(pte);
        if ((pte & L1Entry.Present) != 0)
        {
            if (!_caller.HasDevices && (pte & L1Entry.CacheAttributes) != 0)
                return XenError.EINVAL;
            bool alike = entry.IsPresent && entry.Mfn == mfn && ((entry.Pte ^ pte) & L1Entry.Writable) == 0;
            XenError refused = alike ? XenError.None : Reference(mfn, (pte & L1Entry.Writable) != 0, owner);
            if (refused != XenError.None)
                return refused;
            if (alike)
            {
                entry.Pte = pte;
                return XenError.None;
            }
        }

        L1Entry old = entry;
        entry.Pte = pte;
        if (old.IsPresent && _xen.IsRam(new Mfn(old.Mfn)))
            _xen.DropReference(old.Mfn);
        return XenError.None;
    }

    private XenError Reference(ulong mfn, bool writable, SimulatedDomain owner)
    {
        FrameState frame = _xen.FrameTable.Get(mfn);
        if (!frame.IsRam)
        {
            if (owner.MayMapIo(mfn) && _caller.MayMapIo(mfn))
                return XenError.None;
            return mfn == L1Entry.InvalidMfn ? XenError.EINVAL : XenError.EPERM;
        }

        if (frame.Owner != owner.Owner || (writable && frame.IsPageTable))
            return XenError.EBUSY;
        _xen.FrameTable.Edit(mfn).References++;
        return XenError.None;
    }
}
