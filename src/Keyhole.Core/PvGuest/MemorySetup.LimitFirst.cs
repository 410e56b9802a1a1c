// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <content>4.3 and later: the limit first, then the map, the checks and the holes.</content>
internal static partial class MemorySetup
{
    private ref partial struct Setup<TXen, TFrames, TLog>
    {
        private void SetUpByCounting()
        {
            bool checksFirst = _profile.Has(KernelBehaviour.MovesNvs);
            if (checksFirst)
            {
                CheckUsable(_start.Kernel, HaltReason.KernelConflict);
                CheckUsable(_start.StartInfo, HaltReason.StartInfoConflict);
                CheckUsable(_start.PageTables, HaltReason.PageTableConflict);
            }

            if (_isHalted)
                return;
            WalkMap(ExtraPages(), MemoryEnd);
            if (!checksFirst)
            {
                CheckConflict(_start.Kernel, HaltReason.KernelConflict);
                CheckConflict(_start.PageTables, HaltReason.PageTableConflict);
            }

            PlaceP2mList();
            PlaceInitrd();
            if (_isHalted)
                return;
            WalkHoles();
            if (_isHalted)
                return;
            if (Tables.Reserved.HasOverflowed)
                Halt(HaltReason.TooManyPieces);
            else
                FinishRemap();
        }

        /// <summary>Later in the boot, once page tables can be allocated: extra memory invalid, prepared pages moved.</summary>
        private void FinishRemap()
        {
            foreach (ByteRange region in Tables.Extra.Slots)
                Frames.Invalidate(region.Touched);
            HaltReason reason = Frames.Remap(ref Tables.Extra, out ulong remapped);
            Result.RemappedPages = remapped;
            if (reason != HaltReason.None)
            {
                Halt(reason);
                return;
            }

            Log.Report(new() { Kind = BootEventKind.Remapped, Count = remapped });
            for (int i = 0; i < Tables.NonRam.Count; i++)
            {
                P2mRun moved = Tables.NonRam.Get(i);
                Frames.RemapNonRam(moved.Mfn, moved.Range);
            }

            if (_profile.Has(KernelBehaviour.MovesNvs))
                Log.Report(new() { Kind = BootEventKind.NonRamRemapped, Count = Result.NonRamPages });
        }

        private readonly ulong MaxPages()
        {
            if (!_start.IsDom0)
                return _limit;
            long result = Xen.MaximumReservation(DomainId.Self);
            if (_profile.Has(KernelBehaviour.ReadsReservationAsInt))
                result = unchecked((int)result);
            return result > 0 ? Min((ulong)result, _limit) : _limit;
        }

        private readonly ulong ExtraPages()
        {
            // The limit of July 2015 has no bound: its sum wraps, and the guest gets no extra memory at all. Reproduced, not mended.
            ulong maxPages = unchecked(MaxPages() + CountRemapPages());
            ulong extra = maxPages > _pages ? maxPages - _pages : 0;
            extra = Min(extra, unchecked(maxPages - _pages));
            return Min(extra, ExtraMemoryRatio * Min(_pages, KernelProfile.MaxLowPages(_start.Is32Bit)));
        }

        private readonly ulong CountRemapPages()
        {
            if (_profile.Release == KernelRelease.July2015)
                return CountByEntry();
            if (_profile.Has(KernelBehaviour.CountsSharedPagesTwice))
                return CountByEntryAndGap();
            ulong count = 0;
            var holes = new HoleWalk(XenMap);
            while (holes.MoveNext())
                count += holes.Current.Intersect(PfnRange.FromBounds(default, new Pfn(_pages))).Count;
            return count;
        }

        /// <summary>July 2015: entry by entry, without the gaps.</summary>
        private readonly ulong CountByEntry()
        {
            ulong count = 0;
            foreach (E820Entry entry in XenMap)
            {
                PfnRange touched = PfnRange.FromBounds(Pfn.Containing(entry.Address), Pfn.AtOrAbove(entry.End));
                if (touched.Start.Value >= _pages)
                    break;
                if (!entry.IsRam)
                    count += touched.Intersect(PfnRange.FromBounds(default, new Pfn(_pages))).Count;
            }

            return count;
        }

        /// <summary>4.3 to 4.6: with the gaps, but not the one behind the last entry; a page that a gap or two entries share counts in
        /// each.</summary>
        private readonly ulong CountByEntryAndGap()
        {
            ulong count = 0;
            ulong end = 0;
            foreach (E820Entry entry in XenMap)
            {
                ulong start = Pfn.Containing(entry.Address).Value;
                end = Min(end, start);
                // A map that was not sanitised may go backwards, and then the sum does.
                if (start >= _pages)
                    return unchecked(count + _pages - end);
                count = unchecked(count + start - end);
                end = Min(Pfn.AtOrAbove(entry.End).Value, _pages);
                if (!entry.IsRam)
                    count = unchecked(count + end - start);
            }

            return count;
        }

        private void RemapHole(PfnRange hole)
        {
            ulong done = 0;
            bool isAtOnce = _profile.Has(KernelBehaviour.RemapsInBlocks);
            while (done < hole.Count)
            {
                Pfn current = hole.Start.Plus(done);
                ulong left = hole.Count - done;
                if (current.Value >= _pages)
                {
                    SetIdentity(PfnRange.FromCount(current, left));
                    break;
                }

                ulong room = MapQueries.NextRam(XenMap, ref _remapTarget, _profile.Has(KernelBehaviour.StopsAtRangeEndingAtTarget));
                if (room == 0)
                {
                    ReleaseInsteadOfRemap(PfnRange.FromCount(current, left));
                    break;
                }

                ulong size = Min(Min(left, _pages - current.Value), room);
                if (isAtOnce)
                    RemapInBlocks(PfnRange.FromCount(current, size));
                else if (!Frames.PrepareRemap(PfnRange.FromCount(current, size), _remapTarget))
                    Halt(HaltReason.RemapFailed);
                if (_isHalted)
                    return;
                if (isAtOnce)
                    _identityPages += size;
                else
                    _listedPages += size;
                done += size;
                _remapTarget = _remapTarget.Plus(size);
            }

            if (_profile.Has(KernelBehaviour.UpdatesOldMapping))
                Frames.RemapAddresses(hole, _profile.Has(KernelBehaviour.ZapsOldMapping));
        }

        /// <summary>
        /// 3.18: blocks of 512 that are whole in the P2M's leaves go first, source's first to target's first; what is left at the edges of both
        /// then fills what is left.
        /// </summary>
        private void RemapInBlocks(PfnRange source)
        {
            Pfn target = _remapTarget;
            Pfn sourceStart = UpToLeaf(source.Start);
            Pfn targetStart = UpToLeaf(target);
            ulong sourceEnd = source.End.Value / FramesPerLeaf * FramesPerLeaf;
            ulong targetEnd = target.Plus(source.Count).Value / FramesPerLeaf * FramesPerLeaf;
            ulong blocks = Min(BlocksBetween(sourceStart.Value, sourceEnd), BlocksBetween(targetStart.Value, targetEnd));
            ulong moved = blocks * FramesPerLeaf;
            if (moved != 0)
                MoveNow(PfnRange.FromCount(sourceStart, moved), targetStart);
            // The edges, piece by piece: each ends where its own blocks begin, or at its end.
            ulong left = source.Count - moved;
            Pfn from = source.Start;
            Pfn to = target;
            while (left != 0)
            {
                if (from == sourceStart)
                    from = from.Plus(moved);
                if (to == targetStart)
                    to = to.Plus(moved);
                ulong piece = left;
                if (from < sourceStart)
                    piece = Min(piece, sourceStart.Value - from.Value);
                if (to < targetStart)
                    piece = Min(piece, targetStart.Value - to.Value);
                MoveNow(PfnRange.FromCount(from, piece), to);
                from = from.Plus(piece);
                to = to.Plus(piece);
                left -= piece;
            }

            Result.RemappedPages += source.Count;
        }

        private void MoveNow(PfnRange source, Pfn target)
        {
            if (!_isHalted && !Frames.MoveNow(source, target))
                Halt(HaltReason.RemapFailed);
        }

        private static Pfn UpToLeaf(Pfn pfn) => new((pfn.Value + FramesPerLeaf - 1) / FramesPerLeaf * FramesPerLeaf);

        private static ulong BlocksBetween(ulong start, ulong end) => end > start ? (end - start) / FramesPerLeaf : 0;

        private void ReleaseInsteadOfRemap(PfnRange range)
        {
            Log.Report(new() { Kind = BootEventKind.NoRangeToRemap, Range = range });
            PfnRange owned = range.Intersect(PfnRange.FromBounds(default, new Pfn(_pages)));
            if (_profile.Has(KernelBehaviour.RemapsInBlocks))
                ReleaseRange(owned);
            else
                Result.ReleasedPages += Frames.Release(owned, stopsAtFailure: true);
            SetIdentity(range);
        }
    }
}
