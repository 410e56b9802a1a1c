// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <summary>Why a balloon stopped.</summary>
internal enum BalloonStop
{
    /// <summary>All that was asked for is done.</summary>
    Done,

    /// <summary>No frame in the range was left that could be filled or emptied.</summary>
    OutOfFrames,

    /// <summary>Xen gave fewer frames than asked for: it has no more, or the domain's maximum is reached. Linux tries again later.</summary>
    XenGaveFewer,

    /// <summary>Xen took fewer frames than it was given: BUG in Linux. Those it left stay in use.</summary>
    XenTookFewer,

    /// <summary>A page-table update failed: BUG in Linux. The frame is the guest's and in its P2M.</summary>
    MappingFailed,
}

/// <summary>What a balloon did, in pages.</summary>
internal struct BalloonResult
{
    public BalloonStop Stop;

    /// <summary>Pages that were got or given back.</summary>
    public ulong Pages;

    /// <summary>Rounds of at most <see cref="Balloon{TXen}.BatchPages"/> pages.</summary>
    public ulong Batches;

    public HypercallCounts Counts;
}

/// <summary>
/// Linux's balloon driver: gives pages back to Xen and gets new ones after boot, in batches. No page is lost whichever call fails: what the
/// domain owns is in its P2M.
/// </summary>
internal ref struct Balloon<TXen>
    where TXen : IHypercalls
{
    /// <summary>Frame numbers that fit the page in which the driver hands them to Xen.</summary>
    public const int BatchPages = (int)(Frames.SizeBytes / sizeof(ulong));

    // Present, writable, accessed, dirty.
    private const ulong PageKernel = 0x63;
    private const ulong NotAFrame = 3UL << 62;

    public TXen Xen;

    private readonly Span<ulong> _p2m;
    private readonly GuestMappings _mappings;

    /// <param name="xen">The hypervisor.</param>
    /// <param name="p2m">The guest's flat list, as <see cref="PagedFrames{TXen}"/> leaves it.</param>
    /// <param name="mappings">The guest's address space; all frames below its linear end have a page table.</param>
    public Balloon(TXen xen, Span<ulong> p2m, GuestMappings mappings)
    {
        Xen = xen;
        _p2m = p2m;
        _mappings = mappings;
    }

    public readonly ReadOnlySpan<ulong> P2m => _p2m;

    /// <summary>Up: gets frames for those of <paramref name="room"/> that have none, lowest first, until <paramref name="pageCount"/> are
    /// done.</summary>
    public BalloonResult Grow(PfnRange room, ulong pageCount)
    {
        var result = default(BalloonResult);
        Span<ulong> frames = stackalloc ulong[BatchPages];
        Span<ulong> pfns = stackalloc ulong[BatchPages];
        ulong next = room.Start.Value;
        while (result.Pages < pageCount)
        {
            int count = Collect(room, ref next, pageCount - result.Pages, wantsFrame: false, pfns);
            if (count == 0)
            {
                result.Stop = BalloonStop.OutOfFrames;
                return result;
            }

            result.Batches++;
            result.Counts.PopulatePhysmap++;
            pfns.Slice(0, count).CopyTo(frames);
            long got = Xen.PopulatePhysmap(DomainId.Self, frames.Slice(0, count), 0);
            for (int i = 0; i < got && i < count; i++)
            {
                _p2m[(int)pfns[i]] = frames[i];
                result.Pages++;
                // The others of this batch are the guest's too: they enter the list before anything stops.
                if (!Map(pfns[i], (frames[i] << Frames.Shift) | PageKernel, ref result.Counts))
                    result.Stop = BalloonStop.MappingFailed;
            }

            if (result.Stop != BalloonStop.Done)
                return result;
            if (got < count)
            {
                result.Stop = BalloonStop.XenGaveFewer;
                return result;
            }
        }

        return result;
    }

    /// <summary>Down: gives back the frames of <paramref name="pages"/>, lowest first, until <paramref name="pageCount"/> are gone.</summary>
    public BalloonResult Shrink(PfnRange pages, ulong pageCount)
    {
        var result = default(BalloonResult);
        Span<ulong> frames = stackalloc ulong[BatchPages];
        Span<ulong> pfns = stackalloc ulong[BatchPages];
        ulong next = pages.Start.Value;
        while (result.Pages < pageCount)
        {
            int count = Collect(pages, ref next, pageCount - result.Pages, wantsFrame: true, pfns);
            if (count == 0)
            {
                result.Stop = BalloonStop.OutOfFrames;
                return result;
            }

            result.Batches++;
            int unmapped = 0;
            while (unmapped < count)
            {
                ulong pfn = pfns[unmapped];
                if (!Map(pfn, 0, ref result.Counts))
                {
                    result.Stop = BalloonStop.MappingFailed;
                    break;
                }

                frames[unmapped] = _p2m[(int)pfn];
                _p2m[(int)pfn] = ulong.MaxValue;
                unmapped++;
            }

            if (unmapped == 0)
                return result;
            result.Counts.DecreaseReservation++;
            long taken = Xen.DecreaseReservation(DomainId.Self, frames.Slice(0, unmapped), 0);
            if (taken < 0)
                taken = 0;
            result.Pages += (ulong)taken;
            if (taken < unmapped)
            {
                Restore(pfns.Slice((int)taken, unmapped - (int)taken), frames.Slice((int)taken), ref result.Counts);
                result.Stop = BalloonStop.XenTookFewer;
            }

            if (result.Stop != BalloonStop.Done)
                return result;
        }

        return result;
    }

    /// <summary>What Xen did not take is in use again. Where even its mapping is refused, the list still knows it.</summary>
    private void Restore(scoped ReadOnlySpan<ulong> pfns, scoped ReadOnlySpan<ulong> frames, ref HypercallCounts counts)
    {
        for (int i = 0; i < pfns.Length; i++)
        {
            _p2m[(int)pfns[i]] = frames[i];
            Map(pfns[i], (frames[i] << Frames.Shift) | PageKernel, ref counts);
        }
    }

    private readonly int Collect(PfnRange range, ref ulong next, ulong wanted, bool wantsFrame, Span<ulong> pfns)
    {
        int count = 0;
        while (next < range.End.Value && next < (ulong)_p2m.Length && count < pfns.Length && (ulong)count < wanted)
        {
            ulong entry = _p2m[(int)next];
            if (wantsFrame ? (entry & NotAFrame) == 0 : entry == ulong.MaxValue)
            {
                pfns[count] = next;
                count++;
            }

            next++;
        }

        return count;
    }

    private bool Map(ulong pfn, ulong entry, ref HypercallCounts counts)
    {
        if (pfn >= _mappings.LinearEnd.Value)
            return true;
        counts.UpdateVaMapping++;
        return Xen.UpdateVaMapping(_mappings.LinearBase + (pfn << Frames.Shift), entry, 0) == 0;
    }
}
