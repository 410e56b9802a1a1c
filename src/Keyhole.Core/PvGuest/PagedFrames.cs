// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <summary>Where a kernel has its memory mapped.</summary>
internal struct GuestMappings
{
    /// <summary>Virtual address of frame 0; frame n follows n pages later.</summary>
    public ulong LinearBase;

    /// <summary>Frames below this are mapped by the domain builder's page tables.</summary>
    public Pfn MappedEnd;

    /// <summary>Frames from this on have no linear mapping (32 bits: highmem).</summary>
    public Pfn LinearEnd;

    /// <summary>A page-aligned virtual address that serves as a window onto any frame.</summary>
    public ulong Window;

    /// <summary>The frame that the window maps when it is not in use.</summary>
    public Mfn WindowFrame;
}

/// <summary>
/// Carries a memory setup out page by page with real hypercalls, as Linux does: a flat P2M, and the list of pages to move written into those
/// pages themselves.
/// </summary>
internal ref struct PagedFrames<TXen> : IFrames
    where TXen : IHypercalls, IMappedMemory
{
    /// <summary>The P2M entry of a frame without a machine frame.</summary>
    public const ulong InvalidEntry = P2mEntry.Invalid;

    /// <summary>Set in the P2M entry of an identity frame.</summary>
    public const ulong IdentityBit = P2mEntry.IdentityBit;

    // Page-table bits: present, writable, accessed, dirty; and for devices those with caching off.
    private const ulong PageKernel = 0x63;
    private const ulong PageKernelIo = 0x7b;
    private const ulong EndOfList = ulong.MaxValue;
    private const int NextWord = 0;
    private const int TargetWord = 1;
    private const int SizeWord = 2;
    private const int MfnWords = 3;

    public TXen Xen;
    public HypercallCounts Counts;

    private readonly Span<ulong> _p2m;
    private readonly GuestMappings _mappings;
    private ulong _listHead;

    /// <param name="xen">The hypervisor and the guest's memory.</param>
    /// <param name="p2m">The flat list: an entry for each frame that may ever be RAM. Frames behind it are identity.</param>
    /// <param name="pageCount">Frames that have machine frames now; the entries behind them are set to identity.</param>
    /// <param name="mappings">The guest's address space.</param>
    public PagedFrames(TXen xen, Span<ulong> p2m, ulong pageCount, GuestMappings mappings)
    {
        Xen = xen;
        Counts = default;
        _p2m = p2m;
        _mappings = mappings;
        _listHead = EndOfList;
        SetIdentity(PfnRange.FromBounds(new Pfn(pageCount), new Pfn((ulong)p2m.Length)));
    }

    public readonly ReadOnlySpan<ulong> P2m => _p2m;

    public readonly void SetIdentity(PfnRange range)
    {
        Span<ulong> part = Slice(range);
        FlatRun.Fill(part, range.Start.Value | IdentityBit);
    }

    public readonly void Invalidate(PfnRange range) => Slice(range).Fill(InvalidEntry);

    public readonly void InvalidateUnlessIdentity(PfnRange range) => P2mEntry.InvalidateUnlessIdentity(Slice(range));

    public readonly void InvalidateUnlessLeafIsIdentity(Pfn pfn)
    {
        if (!P2mEntry.AreIdentity(Slice(P2mEntry.LeafOf(pfn))))
            Invalidate(PfnRange.FromCount(pfn, 1));
    }

    public ulong Release(PfnRange range, bool stopsAtFailure)
    {
        ulong released = 0;
        Span<ulong> one = stackalloc ulong[1];
        for (ulong pfn = range.Start.Value; pfn < range.End.Value; pfn++)
        {
            ulong mfn = _p2m[(int)pfn];
            if (mfn == InvalidEntry)
                continue;
            bool isIdentity = (mfn & IdentityBit) != 0;
            mfn &= ~IdentityBit;
            ulong owner = Xen.PfnOf(mfn);
            // A page that two holes share is identity already. Where its machine frame is nowhere else, Linux takes it for a page of its own, and Xen
            // does not take that back.
            if (isIdentity ? owner < (ulong)_p2m.Length && _p2m[(int)owner] == mfn : owner != pfn)
                continue;
            one[0] = mfn;
            Counts.DecreaseReservation++;
            if (Xen.DecreaseReservation(DomainId.Self, one, 0) == 1)
            {
                _p2m[(int)pfn] = InvalidEntry;
                released++;
            }
            else if (stopsAtFailure)
            {
                break;
            }
        }

        return released;
    }

    public ulong Populate(PfnRange range)
    {
        ulong populated = 0;
        Span<ulong> one = stackalloc ulong[1];
        for (ulong pfn = range.Start.Value; pfn < range.End.Value && pfn < (ulong)_p2m.Length; pfn++)
        {
            if (_p2m[(int)pfn] != InvalidEntry)
                continue;
            one[0] = pfn;
            Counts.PopulatePhysmap++;
            if (Xen.PopulatePhysmap(DomainId.Self, one, 0) != 1)
                break;
            _p2m[(int)pfn] = one[0];
            populated++;
        }

        return populated;
    }

    public bool PrepareRemap(PfnRange source, Pfn target)
    {
        ulong done = 0;
        while (done < source.Count)
        {
            ulong chunk = source.Count - done;
            if (chunk > RunFrames.MfnsPerPage)
                chunk = RunFrames.MfnsPerPage;
            PfnRange part = PfnRange.FromCount(source.Start.Plus(done), chunk);
            ReadOnlySpan<ulong> mfns = Slice(part);
            ulong first = mfns[0] & ~IdentityBit;
            Span<ulong> page = OpenWindow(first);
            if (page.IsEmpty)
                return false;
            page[NextWord] = _listHead;
            page[TargetWord] = target.Value + done;
            page[SizeWord] = chunk;
            for (int i = 0; i < mfns.Length; i++)
                page[MfnWords + i] = mfns[i] & ~IdentityBit;
            _listHead = first;
            SetIdentity(part);
            done += chunk;
        }

        return !OpenWindow(_mappings.WindowFrame.Value).IsEmpty;
    }

    public HaltReason Remap(ref ExtraMemory extra, out ulong remapped)
    {
        remapped = 0;
        PfnRange joined = default;
        while (_listHead != EndOfList)
        {
            Span<ulong> page = OpenWindow(_listHead);
            if (page.IsEmpty || page[MfnWords] != _listHead)
                return HaltReason.RemapFailed;
            PfnRange target = PfnRange.FromCount(new Pfn(page[TargetWord]), page[SizeWord]);
            if (target.Count > RunFrames.MfnsPerPage)
                return HaltReason.RemapFailed;
            for (ulong i = 0; i < target.Count; i++)
            {
                if (!MoveTo(target.Start.Value + i, page[MfnWords + (int)i]))
                    return HaltReason.RemapFailed;
                remapped++;
            }

            _listHead = page[NextWord];
            if (joined.IsEmpty || target.End == joined.Start)
            {
                joined = PfnRange.FromCount(target.Start, joined.Count + target.Count);
                continue;
            }

            if (joined.End == target.Start)
            {
                joined = PfnRange.FromCount(joined.Start, joined.Count + target.Count);
                continue;
            }

            if (!extra.Remove(ByteRange.FromFrames(joined)))
                return HaltReason.ExtraMemoryMismatch;
            joined = target;
        }

        if (!joined.IsEmpty && !extra.Remove(ByteRange.FromFrames(joined)))
            return HaltReason.ExtraMemoryMismatch;
        return OpenWindow(_mappings.WindowFrame.Value).IsEmpty ? HaltReason.RemapFailed : HaltReason.None;
    }

    public bool MoveNow(PfnRange source, Pfn target)
    {
        Span<MmuUpdate> update = stackalloc MmuUpdate[1];
        for (ulong i = 0; i < source.Count; i++)
        {
            ulong pfn = target.Value + i;
            if (pfn >= (ulong)_p2m.Length)
                return false;
            ulong mfn = _p2m[(int)(source.Start.Value + i)] & ~IdentityBit;
            update[0] = new() { ptr = (mfn << Frames.Shift) | MmuUpdateCommand.MMU_MACHPHYS_UPDATE, val = pfn };
            Counts.MmuUpdate++;
            if (Xen.MmuUpdate(update, out _) < 0)
                return false;
            _p2m[(int)pfn] = mfn;
            SetIdentity(PfnRange.FromCount(source.Start.Plus(i), 1));
        }

        return true;
    }

    public readonly void RemapNonRam(Mfn source, PfnRange target) => FlatRun.Fill(Slice(target), source.Value);

    public void RemapAddresses(PfnRange range, bool zaps)
    {
        PfnRange mapped = range.Intersect(PfnRange.FromBounds(default, _mappings.MappedEnd));
        for (ulong pfn = mapped.Start.Value; pfn < mapped.End.Value; pfn++)
        {
            // Linux does not look at the result either: what cannot be mapped is not there.
            UpdateMapping(_mappings.LinearBase + (pfn << Frames.Shift), zaps ? 0 : (pfn << Frames.Shift) | PageKernelIo);
        }
    }

    private bool MoveTo(ulong pfn, ulong mfn)
    {
        if (pfn >= (ulong)_p2m.Length)
            return false;
        Span<MmuUpdate> update = stackalloc MmuUpdate[1];
        update[0] = new() { ptr = (mfn << Frames.Shift) | MmuUpdateCommand.MMU_MACHPHYS_UPDATE, val = pfn };
        Counts.MmuUpdate++;
        if (Xen.MmuUpdate(update, out _) < 0)
            return false;
        // Linux writes its own table first and dies where Xen refuses; this way the two tables agree even then.
        _p2m[(int)pfn] = mfn;
        return pfn >= _mappings.LinearEnd.Value
            || UpdateMapping(_mappings.LinearBase + (pfn << Frames.Shift), (mfn << Frames.Shift) | PageKernel);
    }

    /// <summary>The page of a machine frame through the window; empty where Xen refuses.</summary>
    private Span<ulong> OpenWindow(ulong mfn) =>
        UpdateMapping(_mappings.Window, (mfn << Frames.Shift) | PageKernel) ? Xen.Page(_mappings.Window) : default;

    private bool UpdateMapping(ulong virtualAddress, ulong entry)
    {
        Counts.UpdateVaMapping++;
        return Xen.UpdateVaMapping(virtualAddress, entry, 0) == 0;
    }

    /// <summary>The part of the list for a range; what lies behind the list has no entries.</summary>
    private readonly Span<ulong> Slice(PfnRange range)
    {
        PfnRange part = range.Intersect(PfnRange.FromBounds(default, new Pfn((ulong)_p2m.Length)));
        return part.IsEmpty ? default : _p2m.Slice((int)part.Start.Value, (int)part.Count);
    }
}
