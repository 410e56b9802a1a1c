// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime.CompilerServices;
using Keyhole.Addresses;
using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <summary>
/// A guest's own mapping of its frames, as far as <see cref="BatchedFrames{TXen, TMapper}"/> needs it. What has machine frames when the setup is over
/// is the guest's to map then, each frame once, where it lies in the end.
/// </summary>
internal interface IFrameMapper
{
    /// <summary>Makes the addresses that the domain builder gave to these frames lead to the device, or nowhere. What Xen refuses stays as it
    /// is.</summary>
    void MapIdentity(PfnRange range, bool zaps);
}

/// <summary>
/// Carries a memory setup out as <see cref="PagedFrames{TXen}"/> does, with the same P2M and M2P in the end, but many pages to a hypercall.
/// The machine frames of pages that move are looked up in the domain builder's list, so that nothing has to be noted in the pages.
/// </summary>
internal ref struct BatchedFrames<TXen, TMapper> : IFrames
    where TXen : IHypercalls
    where TMapper : IFrameMapper
{
    public TXen Xen;
    public TMapper Mapper;
    public HypercallCounts Counts;

    private readonly Span<ulong> _p2m;
    private readonly ReadOnlySpan<ulong> _builderList;
    private readonly Span<PreparedRemap> _prepared;
    private readonly Span<MmuUpdate> _updates;
    private readonly Span<ulong> _extents;
    private int _preparedCount;
    private int _updateCount;
    private bool _movesForeignFrames;

    /// <param name="xen">The hypervisor.</param>
    /// <param name="mapper">The guest's page tables.</param>
    /// <param name="p2m">The list to fill: an entry for each frame that may ever be RAM. Frames behind it are identity.</param>
    /// <param name="builderList">The domain builder's list, an entry for each initial page. It must not be the same memory as
    /// <paramref name="p2m"/>.</param>
    /// <param name="prepared">Storage for runs to move: one for each hole and each RAM range they fill.</param>
    /// <param name="updates">Storage for M2P updates; as many go to a hypercall.</param>
    /// <param name="extents">Storage for frame numbers; as many go to a hypercall.</param>
    public BatchedFrames(
        TXen xen,
        TMapper mapper,
        Span<ulong> p2m,
        ReadOnlySpan<ulong> builderList,
        Span<PreparedRemap> prepared,
        Span<MmuUpdate> updates,
        Span<ulong> extents)
    {
        Xen = xen;
        Mapper = mapper;
        Counts = default;
        _p2m = p2m;
        _builderList = builderList;
        _prepared = prepared;
        _updates = updates;
        _extents = extents;
        _preparedCount = 0;
        _updateCount = 0;
        _movesForeignFrames = false;
        Error = 0;
        FailedPfn = default;
        FailedMfn = default;
        HasOverflowed = false;
        builderList.CopyTo(p2m);
        SetIdentity(PfnRange.FromBounds(new Pfn((ulong)builderList.Length), new Pfn((ulong)p2m.Length)));
    }

    /// <summary>What Xen said to the first thing that it refused; 0 when nothing was.</summary>
    public long Error { get; private set; }

    /// <summary>The frame that was to get what Xen refused.</summary>
    public Pfn FailedPfn { get; private set; }

    /// <summary>The machine frame that it was about; 0 where there was none yet.</summary>
    public Mfn FailedMfn { get; private set; }

    /// <summary>There was not enough storage for runs to move.</summary>
    public bool HasOverflowed { get; private set; }

    public readonly ReadOnlySpan<ulong> P2m => _p2m;

    /// <summary>What Xen refused is dealt with: the next refusal is the first again.</summary>
    public void ForgetFailure()
    {
        Error = 0;
        FailedPfn = default;
        FailedMfn = default;
    }

    public readonly void SetIdentity(PfnRange range) => FlatRun.Fill(Slice(range), range.Start.Value | P2mEntry.IdentityBit);

    public readonly void Invalidate(PfnRange range) => Slice(range).Fill(P2mEntry.Invalid);

    public readonly void InvalidateUnlessIdentity(PfnRange range) => P2mEntry.InvalidateUnlessIdentity(Slice(range));

    public readonly void InvalidateUnlessLeafIsIdentity(Pfn pfn)
    {
        if (!P2mEntry.AreIdentity(Slice(P2mEntry.LeafOf(pfn))))
            Invalidate(PfnRange.FromCount(pfn, 1));
    }

    public ulong Release(PfnRange range, bool stopsAtFailure)
    {
        ulong released = 0;
        ulong pfn = range.Start.Value;
        ulong end = Min(range.End.Value, (ulong)_p2m.Length);
        while (pfn < end)
        {
            ulong first = pfn;
            int count = 0;
            for (; pfn < end && count < _extents.Length; pfn++)
            {
                // A page that two holes share is identity already; Linux fails to give it back, and stops there.
                if (stopsAtFailure && _p2m[(int)pfn] != P2mEntry.Invalid && !P2mEntry.HasFrame(_p2m[(int)pfn]))
                    end = pfn;
                if (pfn >= end || !P2mEntry.HasFrame(_p2m[(int)pfn]))
                    continue;
                _extents[count] = _p2m[(int)pfn];
                count++;
            }

            if (count == 0)
                break;
            Counts.DecreaseReservation++;
            long done = Xen.DecreaseReservation(DomainId.Self, _extents.Slice(0, count), 0);
            ulong behind = MarkReleased(first, pfn, done < 0 ? 0 : (ulong)done);
            released += done < 0 ? 0 : (ulong)done;
            if (done == count)
                continue;
            Fail(new Pfn(behind), new Mfn(_p2m[(int)behind]), done < 0 ? done : -(long)XenError.EINVAL);
            if (stopsAtFailure)
                break;
            pfn = behind + 1;
        }

        return released;
    }

    public ulong Populate(PfnRange range)
    {
        ulong populated = 0;
        ulong pfn = range.Start.Value;
        ulong end = Min(range.End.Value, (ulong)_p2m.Length);
        while (pfn < end)
        {
            ulong first = pfn;
            int count = 0;
            for (; pfn < end && count < _extents.Length; pfn++)
            {
                if (_p2m[(int)pfn] != P2mEntry.Invalid)
                    continue;
                _extents[count] = pfn;
                count++;
            }

            if (count == 0)
                break;
            Counts.PopulatePhysmap++;
            long done = Xen.PopulatePhysmap(DomainId.Self, _extents.Slice(0, count), 0);
            int taken = 0;
            for (ulong i = first; i < pfn && taken < done; i++)
            {
                if (_p2m[(int)i] != P2mEntry.Invalid)
                    continue;
                _p2m[(int)i] = _extents[taken];
                taken++;
            }

            populated += (ulong)taken;
            if (taken == count)
                continue;
            Fail(new Pfn(_extents[taken]), default, done < 0 ? done : -(long)XenError.ENOMEM);
            break;
        }

        return populated;
    }

    public bool PrepareRemap(PfnRange source, Pfn target)
    {
        if (_preparedCount == _prepared.Length)
        {
            HasOverflowed = true;
            return true;
        }

        // A map that ends within a page below the guest's end: that page is identity already when its turn comes, and Xen refuses to move what
        // is no frame of the guest's.
        foreach (ulong entry in Slice(source))
            _movesForeignFrames |= !P2mEntry.HasFrame(entry);
        _prepared[_preparedCount] = new(source, target, default);
        _preparedCount++;
        SetIdentity(source);
        return true;
    }

    public HaltReason Remap(ref ExtraMemory extra, out ulong remapped)
    {
        remapped = 0;
        if (HasOverflowed)
            return HaltReason.TooManyPieces;
        if (_movesForeignFrames)
            return HaltReason.RemapFailed;
        PfnRange joined = default;
        for (int i = _preparedCount - 1; i >= 0; i--)
        {
            PfnRange source = _prepared[i].Source;
            PfnRange target = PfnRange.FromCount(_prepared[i].Target, source.Count);
            if (!MoveFrames(source, target, ref remapped))
                return HaltReason.RemapFailed;
            if (joined.IsEmpty || target.End == joined.Start)
            {
                joined = PfnRange.FromCount(target.Start, joined.Count + target.Count);
                continue;
            }

            if (!extra.Remove(ByteRange.FromFrames(joined)))
                return HaltReason.ExtraMemoryMismatch;
            joined = target;
        }

        if (!FlushUpdates(ref remapped))
            return HaltReason.RemapFailed;
        return joined.IsEmpty || extra.Remove(ByteRange.FromFrames(joined)) ? HaltReason.None : HaltReason.ExtraMemoryMismatch;
    }

    public bool MoveNow(PfnRange source, Pfn target)
    {
        ulong moved = 0;
        if (!MoveFrames(source, PfnRange.FromCount(target, source.Count), ref moved))
            return false;
        SetIdentity(source);
        return FlushUpdates(ref moved);
    }

    public readonly void RemapNonRam(Mfn source, PfnRange target) => FlatRun.Fill(Slice(target), source.Value);

    public void RemapAddresses(PfnRange range, bool zaps) => Mapper.MapIdentity(range, zaps);

    private static ulong Min(ulong left, ulong right) => left < right ? left : right;

    /// <summary>Sets the first <paramref name="done"/> frames of the batch to invalid and returns the frame that follows.</summary>
    private readonly ulong MarkReleased(ulong first, ulong end, ulong done)
    {
        ulong pfn = first;
        for (; pfn < end; pfn++)
        {
            if (!P2mEntry.HasFrame(_p2m[(int)pfn]))
                continue;
            if (done == 0)
                return pfn;
            _p2m[(int)pfn] = P2mEntry.Invalid;
            done--;
        }

        return pfn;
    }

    private bool MoveFrames(PfnRange source, PfnRange target, ref ulong remapped)
    {
        if (target.End.Value > (ulong)_p2m.Length || source.End.Value > (ulong)_builderList.Length)
        {
            Fail(target.Start, default, -(long)XenError.EINVAL);
            return false;
        }

        ReadOnlySpan<ulong> mfns = _builderList.Slice((int)source.Start.Value, (int)source.Count);
        mfns.CopyTo(Slice(target));
        ulong pfn = target.Start.Value;
        while (!mfns.IsEmpty)
        {
            if (_updateCount == _updates.Length && !FlushUpdates(ref remapped))
                return false;
            Span<MmuUpdate> room = _updates.Slice(_updateCount);
            if (room.Length > mfns.Length)
                room = room.Slice(0, mfns.Length);
            FillUpdates(room, mfns, pfn);
            _updateCount += room.Length;
            pfn += (ulong)room.Length;
            mfns = mfns.Slice(room.Length);
        }

        return true;
    }

    /// <summary>The inner loop of a remap: as many updates as frames, in range, so nothing is checked here.</summary>
    private static void FillUpdates(Span<MmuUpdate> room, ReadOnlySpan<ulong> mfns, ulong pfn)
    {
        ref MmuUpdate update = ref room[0];
        ref ulong mfn = ref Unsafe.AsRef(in mfns[0]);
        unchecked
        {
            for (nint i = 0; i < room.Length; i++)
            {
                ref MmuUpdate next = ref Unsafe.Add(ref update, i);
                next.ptr = (Unsafe.Add(ref mfn, i) << Frames.Shift) | MmuUpdateCommand.MMU_MACHPHYS_UPDATE;
                next.val = pfn + (ulong)i;
            }
        }
    }

    private bool FlushUpdates(ref ulong remapped)
    {
        if (_updateCount == 0)
            return true;
        Counts.MmuUpdate++;
        long result = Xen.MmuUpdate(_updates.Slice(0, _updateCount), out int done);
        remapped += (ulong)done;
        if (result < 0)
            Fail(new Pfn(_updates[done].val), Mfn.Containing(_updates[done].ptr), result);
        _updateCount = 0;
        return result >= 0;
    }

    private void Fail(Pfn pfn, Mfn mfn, long error)
    {
        if (Error != 0)
            return;
        Error = error;
        FailedPfn = pfn;
        FailedMfn = mfn;
    }

    /// <summary>The part of the list for a range; what lies behind the list has no entries.</summary>
    private readonly Span<ulong> Slice(PfnRange range)
    {
        PfnRange part = range.Intersect(PfnRange.FromBounds(default, new Pfn((ulong)_p2m.Length)));
        return part.IsEmpty ? default : _p2m.Slice((int)part.Start.Value, (int)part.Count);
    }
}
