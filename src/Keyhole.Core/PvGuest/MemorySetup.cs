// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <summary>
/// What a PV kernel does with its memory map at boot: decides what to keep, identity-map, move, release and leave to the balloon. One
/// algorithm; what differs between kernels stands in <see cref="KernelProfile"/>.
/// </summary>
/// <remarks>Source: the setup code of the releases that <see cref="BehaviourSpan.Of"/> tells apart, and the records of them, which judge
/// it.</remarks>
internal static class MemorySetup
{
    private const ulong IbftStart = 0x8_0000;
    private const ulong SlackWithoutMapBytes = 8UL << 20;
    private const ulong ExtraMemoryRatio = 10;
    private const ulong FramesPerLeaf = 512;
    private const ulong MostIgnoredReported = 3;
    private const ulong FramesOf512GiB = 1UL << (39 - Addresses.Frames.Shift);
    private const ulong PmdSizeBytes = X86Layout.LargePageBytes;
    private const ulong PudSizeBytes = X86Layout.HugePageBytes;
    private const ulong P4dSizeBytes = 1UL << 39;

    /// <summary>Runs a memory setup to its end: early setup, then (as Linux does once memory can be allocated) the remap.</summary>
    /// <param name="start">What the kernel finds.</param>
    /// <param name="profile">Which kernel.</param>
    /// <param name="xen">Answers for the map and the maximum reservation.</param>
    /// <param name="frames">Carries out what is decided.</param>
    /// <param name="log">Takes events.</param>
    /// <param name="tables">Empty tables of sufficient size.</param>
    public static SetupResult Run<TXen, TFrames, TLog>(
        in GuestStart start,
        KernelProfile profile,
        ref TXen xen,
        ref TFrames frames,
        ref TLog log,
        ref SetupTables tables)
        where TXen : IHypercalls
        where TFrames : IFrames, allows ref struct
        where TLog : IBootLog
    {
        // A field cannot refer to a ref struct: the setup works on copies, handed back at its end.
        var setup = new Setup<TXen, TFrames, TLog>(in start, profile, xen, frames, log, tables);
        setup.Run();
        xen = setup.Xen;
        log = setup.Log;
        frames = setup.Frames;
        tables = setup.Tables;
        setup.Result.PciGap = MapQueries.PciGap(tables.KernelMap.Entries, profile.Has(KernelBehaviour.PrefersHighPciGap));
        return setup.Result;
    }

    private ref struct Setup<TXen, TFrames, TLog>
        where TXen : IHypercalls
        where TFrames : IFrames, allows ref struct
        where TLog : IBootLog
    {
        public SetupResult Result;
        public TXen Xen;
        public TLog Log;
        public TFrames Frames;
        public SetupTables Tables;

        private readonly GuestStart _start;
        private readonly KernelProfile _profile;
        private readonly ulong _limit;
        private readonly ulong _pages;
        private Pfn _remapTarget;
        private ulong _identityPages;
        private ulong _listedPages;
        private bool _isHalted;

        public Setup(
            scoped in GuestStart start,
            KernelProfile profile,
            TXen xen,
            TFrames frames,
            TLog log,
            SetupTables tables)
        {
            _start = start;
            _profile = profile;
            Xen = xen;
            Frames = frames;
            Log = log;
            Tables = tables;
            _limit = profile.PageLimit(start.Is32Bit, start.IsDom0, start.IsLimitedTo512GiB);
            _pages = Min(_limit, start.PageCount);
            Result = new() { PageCount = _pages, MaxP2mPfn = new(_pages), Initrd = start.Initrd, P2mList = start.P2mList };
        }

        private readonly ulong MemoryEnd => new Pfn(_pages).ToAddress();

        private readonly ReadOnlySpan<E820Entry> XenMap => Tables.XenMap.Entries;

        public void Run()
        {
            ReserveFixed();
            if (!FetchMap())
                return;
            if (_start.IsAutoTranslated)
            {
                TakeMapAsItIs();
                return;
            }

            // What the domain builder's list does not cover: up to 3.18 nothing is there, later it is identity but for the list's last leaf.
            Pfn listEnd = _profile.Has(KernelBehaviour.LeavesTailInvalid)
                ? new((_start.PageCount + FramesPerLeaf - 1) / FramesPerLeaf * FramesPerLeaf)
                : new(_profile.Has(KernelBehaviour.IdentityReaches512GiB) ? FramesOf512GiB : Addresses.Frames.MaxCount);
            Frames.Invalidate(PfnRange.FromBounds(new Pfn(_start.PageCount), listEnd));
            if (_profile.Has(KernelBehaviour.CountsBeforehand))
                SetUpByCounting();
            else
                SetUpByWalking();
        }

        private void Halt(HaltReason reason)
        {
            Result.Halt = reason;
            _isHalted = true;
        }

        private void ReserveFixed()
        {
            Tables.Reserved.Add(ByteRange.FromSize(0, _profile.ReservedLowBytes));
            Tables.Reserved.Add(_start.StartInfo);
            Tables.Reserved.Add(_start.PageTables);
            if (!_profile.Has(KernelBehaviour.ReservesKernelEarly))
                return;
            Tables.Reserved.Add(_start.Kernel);
            Tables.Reserved.Add(_start.Initrd);
        }

        private bool FetchMap()
        {
            Span<E820Entry> buffer = stackalloc E820Entry[SetupTables.MapCapacity / 2];
            buffer = buffer.Slice(0, _profile.XenMapEntries);
            long result = _start.IsDom0 && !_start.IsAutoTranslated
                ? Xen.MachineMemoryMap(buffer, out int count)
                : Xen.MemoryMap(buffer, out count);
            if (result == -(long)XenError.ENOSYS && !_start.IsDom0 && !_start.IsAutoTranslated)
            {
                buffer[0] = E820Entry.FromSize(0, MemoryEnd + SlackWithoutMapBytes, E820Type.Ram);
                count = 1;
            }
            else if (result != 0 || count == 0)
            {
                Halt(HaltReason.NoMemoryMap);
                return false;
            }

            bool usesMachineMap = _start.IsDom0 && !_start.IsAutoTranslated;
            bool takesUnusable = usesMachineMap && _profile.Has(KernelBehaviour.TakesUnusableForRam);
            foreach (E820Entry entry in buffer.Slice(0, count))
                Tables.XenMap.TryAdd(takesUnusable && entry.Type == E820Type.Unusable ? entry.WithType(E820Type.Ram) : entry);
            if (usesMachineMap && _profile.Has(KernelBehaviour.KeepsIbftArea))
                Tables.XenMap.TryAdd(E820Entry.FromBounds(IbftStart, X86Layout.IsaEnd, E820Type.Reserved));
            // Where Linux refuses to sanitise, it goes on with the map as it is.
            Sanitize(ref Tables.XenMap, _profile.Has(KernelBehaviour.SanitizesWithinItsCount) ? count : _profile.XenMapEntries);
            return true;
        }

        private readonly void Sanitize(ref E820Table table, int limit) => table.TrySanitize(limit, _profile.Has(KernelBehaviour.KeepsPramApart));

        private void TakeMapAsItIs()
        {
            foreach (E820Entry entry in XenMap)
                Tables.KernelMap.TryAdd(entry);
        }

        // ---- up to 4.2: holes first, then the limit ----
        private void SetUpByWalking()
        {
            ulong maxPages = MaxPages();
            ulong extra = maxPages > _pages ? maxPages - _pages : 0;
            WalkHoles();
            ulong populated = _profile.Displaced == DisplacedPages.ReleaseAndPopulate ? PopulateBehind(Result.ReleasedPages, out Pfn last)
                : Nothing(out last);
            Result.PopulatedPages = populated;
            if (_profile.Has(KernelBehaviour.RemapsInBlocks))
                last = _remapTarget;
            extra += Result.ReleasedPages - populated + _listedPages;
            ulong reckoned = _pages;
            if (last.Value > _pages)
                reckoned = Min(_limit, last.Value);
            extra = Min(ExtraMemoryRatio * Min(reckoned, KernelProfile.MaxLowPages(_start.Is32Bit)), extra);
            WalkMap(extra, new Pfn(reckoned).ToAddress());
            if (_profile.Has(KernelBehaviour.RemapsByList))
                FinishRemap();
            if (!_isHalted && KernelReleasedItself())
                Halt(HaltReason.ReleasesItself);
        }

        private static ulong Nothing(out Pfn last)
        {
            last = default;
            return 0;
        }

        private void WalkHoles()
        {
            bool remaps = _profile.Displaced == DisplacedPages.Remap;
            _remapTarget = new(_pages);
            var holes = new HoleWalk(XenMap);
            while (holes.MoveNext() && !_isHalted)
            {
                if (remaps)
                    RemapHole(holes.Current);
                else
                    ReleaseHole(holes.Current);
            }

            if (_profile.Has(KernelBehaviour.RemapsInBlocks))
            {
                Log.Report(new() { Kind = BootEventKind.IdentitySet, Count = _identityPages });
                Log.Report(new() { Kind = BootEventKind.RemappedAtOnce, Count = Result.RemappedPages, Range = PfnRange.FromCount(_remapTarget, 0) });
            }

            Log.Report(new() { Kind = BootEventKind.Released, Count = Result.ReleasedPages });
            if (!remaps)
                Log.Report(new() { Kind = BootEventKind.IdentitySet, Count = _identityPages });
        }

        private void ReleaseHole(PfnRange hole)
        {
            if (_profile.Has(KernelBehaviour.UpdatesOldMapping))
                RemapOldAddresses(hole);
            if (hole.Start.Value < _pages)
                ReleaseRange(hole.Intersect(PfnRange.FromBounds(default, new Pfn(_pages))));
            SetIdentity(hole);
        }

        private void RemapOldAddresses(PfnRange hole)
        {
            if (!_profile.Has(KernelBehaviour.ZapsOldMappingButIsa))
            {
                Frames.RemapAddresses(hole, zaps: false);
                return;
            }

            Pfn isaEnd = Pfn.AtOrAbove(X86Layout.IsaEnd);
            Frames.RemapAddresses(hole.Intersect(PfnRange.FromBounds(default, isaEnd)), zaps: false);
            Frames.RemapAddresses(hole.Intersect(PfnRange.FromBounds(isaEnd, new Pfn(Addresses.Frames.MaxCount))), zaps: true);
        }

        private void ReleaseRange(PfnRange range)
        {
            ulong freed = Frames.Release(range, _profile.Has(KernelBehaviour.StopsReleaseAtRefusal));
            Result.ReleasedPages += freed;
            // Up to 3.4 a run is reported of which nothing was freed, too.
            if (freed > 0 || _profile.Displaced == DisplacedPages.Release)
                Log.Report(new() { Kind = BootEventKind.Freed, Range = range, Count = freed });
        }

        /// <summary>Sets identity as the release does, and counts what it reports.</summary>
        private void SetIdentity(PfnRange range)
        {
            bool reachesEnd = range.End.Value >= FramesOf512GiB;
            if (reachesEnd && !_profile.Has(KernelBehaviour.IdentityReaches512GiB))
                return;
            Frames.SetIdentity(range);
            // What lies behind 512 GiB is identity without being set, and does not count.
            _identityPages += range.Intersect(PfnRange.FromBounds(default, new Pfn(FramesOf512GiB))).Count;
        }

        private ulong PopulateBehind(ulong credits, out Pfn last)
        {
            bool goesThroughHoles = _profile.Has(KernelBehaviour.PopulatesThroughHoles);
            ulong done = 0;
            last = default;
            foreach (E820Entry entry in XenMap)
            {
                if (credits == 0)
                    break;
                if (!entry.IsRam)
                    continue;
                Pfn end = goesThroughHoles ? Pfn.AtOrAbove(entry.End) : Pfn.Containing(entry.End);
                if (end.Value <= _pages)
                    continue;
                Pfn begin = goesThroughHoles ? Pfn.Containing(entry.Address) : Pfn.AtOrAbove(entry.Address);
                if (begin.Value <= _pages)
                    begin = new(_pages);
                else if (goesThroughHoles && last != default && end >= last)
                    begin = last;
                // 3.5 goes on to the next entry, later releases do not look.
                if (goesThroughHoles && end <= begin)
                    continue;
                PfnRange target = PfnRange.FromCount(begin, Min(credits, end > begin ? end.Value - begin.Value : 0));
                ulong populated = Frames.Populate(target);
                if (populated > 0)
                    Log.Report(new() { Kind = BootEventKind.Populated, Range = target, Count = populated });
                done += populated;
                last = begin.Plus(populated);
                if (populated < target.Count && !goesThroughHoles)
                    break;
                credits -= populated;
            }

            return done;
        }

        /// <summary>Up to 4.2 nobody looks: what lies on a hole is released or covered while the kernel runs in it.</summary>
        private readonly bool KernelReleasedItself() =>
            MapQueries.IsReserved(XenMap, _start.Kernel) || MapQueries.IsReserved(XenMap, _start.PageTables);

        // ---- 4.3 and later: the limit first, then the map, the checks and the holes ----
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

        // ---- the kernel's own map ----
        private void WalkMap(ulong extraPages, ulong memoryEnd)
        {
            ulong address = 0;
            foreach (E820Entry entry in XenMap)
            {
                address = entry.Address;
                ulong left = entry.Size;
                // An entry of no size, in a map that was not sanitised, is added once.
                do
                {
                    ulong chunk = left;
                    E820Type type = entry.Type;
                    if (type != E820Type.Ram)
                        AddAligned(address, chunk, type);
                    else if (address < memoryEnd)
                        AddAligned(address, chunk = Min(left, memoryEnd - address), type);
                    else if (extraPages != 0)
                        AddExtra(ref address, ref left, ref chunk, ref extraPages);
                    else if (_profile.MarksSurplusUnusable)
                        AddAligned(address, chunk, E820Type.Unusable);
                    // A map that Linux refused to sanitise may wrap, and then so does Linux.
                    address = unchecked(address + chunk);
                    left -= chunk;
                }
                while (left != 0);
            }

            Result.IdentityFrom = Pfn.Containing(address);
            if (_profile.Has(KernelBehaviour.IdentityBehindMap))
                Frames.SetIdentity(PfnRange.FromBounds(Result.IdentityFrom, new Pfn(Addresses.Frames.MaxCount)));
            AddToKernelMap(E820Entry.FromBounds(X86Layout.IsaStart, X86Layout.IsaEnd, E820Type.Reserved));
            Sanitize(ref Tables.KernelMap, _profile.KernelMapEntries);
        }

        /// <summary>Cuts the chunk at what is left of the extra memory, keeps it and adds it to the map.</summary>
        private void AddExtra(ref ulong address, ref ulong left, ref ulong chunk, ref ulong extraPages)
        {
            // No shift: extra memory of July 2015 may be as many pages as do not fit 64 bits of bytes.
            if (extraPages < Addresses.Frames.MaxCount)
                chunk = Min(left, extraPages << Addresses.Frames.Shift);
            if (_profile.Has(KernelBehaviour.ExtraInBytes))
            {
                KeepExtra(ByteRange.FromSize(address, chunk));
                extraPages -= chunk >> Addresses.Frames.Shift;
                Result.MaxP2mPfn = Pfn.Containing(unchecked(address + chunk));
                AddAligned(address, chunk, E820Type.Ram);
                return;
            }

            // One page of extra memory left, and no whole page in a chunk that starts within one: chunk by chunk the kernel goes through the
            // entry, gains nothing, and adds an entry of no size to its map each time, until there is no room for what follows.
            if (WholePages(address, chunk) == 0 && chunk < left)
            {
                ulong steps = (left - 1) / chunk;
                ulong done = 0;
                for (; done < steps && Result.IgnoredEntries < MostIgnoredReported; done++)
                    AddAligned(unchecked(address + (done * chunk)), chunk, E820Type.Ram);
                Result.IgnoredEntries += steps - done;
                address = unchecked(address + (steps * chunk));
                left -= steps * chunk;
                chunk = Min(left, chunk);
            }

            // Within one page, where no page ends, this is −1: the region goes backwards, and there is a page more to give.
            ulong pages = WholePages(address, chunk);
            Pfn first = Pfn.AtOrAbove(address);
            KeepExtra(ByteRange.FromSize(first.ToAddress(), unchecked(pages << Addresses.Frames.Shift)));
            extraPages = unchecked(extraPages - pages);
            Result.MaxP2mPfn = new(unchecked(first.Value + pages));
            AddAligned(address, chunk, E820Type.Ram);
        }

        /// <summary>The pages that lie whole in a range; −1 where it lies in one page and touches neither end.</summary>
        private static ulong WholePages(ulong address, ulong sizeBytes) =>
            unchecked(Pfn.Containing(address + sizeBytes).Value - Pfn.AtOrAbove(address).Value);

        private void KeepExtra(ByteRange kept)
        {
            if (!Tables.Extra.Add(kept))
                Log.Report(new() { Kind = BootEventKind.NotEnoughExtraRegions });
            // What goes backwards is reserved to the end of all memory.
            Tables.Reserved.Add(kept.End < kept.Start ? ByteRange.FromSize(kept.Start, ulong.MaxValue - kept.Start) : kept);
            if (_profile.Has(KernelBehaviour.RemapsByList))
                return;
            PfnRange frames = PfnRange.FromBounds(Pfn.Containing(kept.Start), Pfn.Containing(kept.End));
            if (_profile.Has(KernelBehaviour.ExtraSparesIdentity))
                Frames.InvalidateUnlessIdentity(frames);
            else
                InvalidateWithNext(frames);
        }

        /// <summary>Up to 3.5 the frame behind extra memory is made invalid too, unless its leaf of the P2M is the one that all whole identity leaves
        /// share.</summary>
        private void InvalidateWithNext(PfnRange frames)
        {
            Frames.Invalidate(frames);
            Frames.InvalidateUnlessLeafIsIdentity(frames.End);
        }

        /// <summary>RAM is cut to whole pages. Of less than one page nothing is left, or, where no page ends in it, less than nothing: the entry
        /// wraps.</summary>
        private void AddAligned(ulong address, ulong sizeBytes, E820Type type)
        {
            if (type != E820Type.Ram)
            {
                AddToKernelMap(E820Entry.FromSize(address, sizeBytes, type));
                return;
            }

            ulong start = unchecked((address + Addresses.Frames.OffsetMask) & ~Addresses.Frames.OffsetMask);
            ulong end = unchecked(address + sizeBytes) & ~Addresses.Frames.OffsetMask;
            AddToKernelMap(E820Entry.FromSize(start, unchecked(end - start), type));
        }

        private void AddToKernelMap(E820Entry entry)
        {
            if (Tables.KernelMap.Count < _profile.KernelMapEntries)
            {
                Tables.KernelMap.TryAdd(entry);
                return;
            }

            if (Result.IgnoredEntries < MostIgnoredReported)
                Log.Report(new() { Kind = BootEventKind.EntryIgnored, From = ByteRange.FromSize(entry.Address, entry.Size) });
            Result.IgnoredEntries++;
        }

        // ---- what must lie on RAM ----
        private void CheckConflict(ByteRange range, HaltReason reason)
        {
            if (!_isHalted && MapQueries.IsReserved(XenMap, range))
                Halt(reason);
        }

        private void CheckUsable(ByteRange range, HaltReason reason)
        {
            if (_isHalted || range.IsEmpty)
                return;
            MoveNvsAway(range);
            CheckConflict(range, reason);
        }

        private void MoveNvsAway(ByteRange needed)
        {
            for (int i = 0; i < Tables.XenMap.Count; i++)
            {
                E820Entry entry = Tables.XenMap.Entries[i];
                if (entry.Address >= needed.End)
                    return;
                if (entry.End <= needed.Start || entry.Type != E820Type.Nvs)
                    continue;
                if (!SwapWithRam(i))
                    return;
                // The map has changed, and the next entry may be another one now.
                if (_profile.Has(KernelBehaviour.SearchesNvsAnew))
                    i = -1;
            }
        }

        private bool SwapWithRam(int index)
        {
            Span<E820Entry> map = Tables.XenMap.Entries;
            E820Entry nvs = map[index];
            ulong from = Pfn.Containing(nvs.Address).ToAddress();
            ulong size = unchecked(Pfn.AtOrAbove(nvs.End).ToAddress() - from);
            if (Tables.NonRam.Count == MovedNonRam.Capacity)
            {
                Halt(HaltReason.TooManyNvs);
                return false;
            }

            for (int i = 0; i < map.Length; i++)
            {
                E820Entry ram = map[i];
                if (!ram.IsRam || ram.Size < size || unchecked(ram.End - size) < MemoryEnd)
                    continue;
                ulong to = unchecked(ram.End - size);
                // RAM may end off a page. The move is by whole pages: the two offsets must agree.
                if ((to & Addresses.Frames.OffsetMask) != 0)
                {
                    Halt(HaltReason.NvsTargetUnaligned);
                    return false;
                }

                ulong offset = nvs.Address - from;
                ulong placed = _profile.Has(KernelBehaviour.MisplacesUnalignedNvs) ? unchecked(to - offset) : unchecked(to + offset);
                map[i] = E820Entry.FromSize(ram.Address, ram.Size - size, E820Type.Ram);
                map[index] = E820Entry.FromSize(from, size, E820Type.Ram);
                Tables.XenMap.TryAdd(E820Entry.FromSize(placed, nvs.Size, nvs.Type));
                PfnRange target = PfnRange.FromCount(Pfn.Containing(to), size >> Addresses.Frames.Shift);
                Tables.NonRam.Add(new(target, P2mKind.NonRam, Mfn.Containing(from)));
                Result.NonRamPages += target.Count;
                Log.Report(new() { Kind = BootEventKind.NvsMoved, From = ByteRange.FromSize(from, size), To = ByteRange.FromSize(to, size) });
                Sanitize(ref Tables.XenMap, _profile.XenMapEntries);
                return true;
            }

            Halt(HaltReason.NoRoomForNvs);
            return false;
        }

        private void PlaceP2mList()
        {
            if (_isHalted || _start.P2mList.IsEmpty)
                return;
            Tables.Reserved.Add(_start.P2mList);
            if (!MapQueries.IsReserved(XenMap, _start.P2mList))
                return;
            if (_start.Is32Bit)
            {
                Halt(HaltReason.P2mListConflict);
                return;
            }

            ulong size = (((_start.PageCount * sizeof(ulong)) + Addresses.Frames.OffsetMask) >> Addresses.Frames.Shift) << Addresses.Frames.Shift;
            ulong tables = Pieces(size, PmdSizeBytes) + Pieces(size, PudSizeBytes) + Pieces(size, P4dSizeBytes);
            if (!Tables.Reserved.TryTakeFreeArea(XenMap, size + (tables << Addresses.Frames.Shift), out ByteRange area))
            {
                Halt(HaltReason.NoRoomForP2mList);
                return;
            }

            // The new page tables lie in front of the list.
            Result.P2mList = ByteRange.FromSize(unchecked(area.Start + (tables << Addresses.Frames.Shift)), size);
            Tables.Reserved.Remove(_start.P2mList);
            Log.Report(new() { Kind = BootEventKind.P2mListMoved, From = _start.P2mList, To = Result.P2mList });
        }

        private static ulong Pieces(ulong size, ulong pieceSizeBytes) => (size + pieceSizeBytes - 1) / pieceSizeBytes;

        private void PlaceInitrd()
        {
            if (_isHalted || !MapQueries.IsReserved(XenMap, _start.Initrd))
                return;
            if (!Tables.Reserved.TryTakeFreeArea(XenMap, _start.Initrd.SizeBytes, out ByteRange area))
            {
                Halt(HaltReason.NoRoomForInitrd);
                return;
            }

            Result.Initrd = area;
            Tables.Reserved.Remove(_start.Initrd);
            Log.Report(new() { Kind = BootEventKind.InitrdMoved, From = _start.Initrd, To = area });
        }

        private static ulong Min(ulong left, ulong right) => left < right ? left : right;
    }
}
