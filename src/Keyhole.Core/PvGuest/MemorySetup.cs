// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <summary>The tables that a memory setup works on, over spans of the caller's. See <see cref="MemorySetup"/>.</summary>
public ref struct SetupTables
{
    /// <summary>Entries that each of the two maps must have room for: twice what any kernel keeps, for the sanitiser's splits.</summary>
    public const int MapCapacity = 640;

    /// <summary>Areas that must have room.</summary>
    public const int ReservedCapacity = 512;

    public SetupTables(Span<E820Entry> xenMap, Span<E820Entry> kernelMap, Span<ByteRange> extra, Span<ByteRange> reserved)
    {
        XenMap = new(xenMap);
        KernelMap = new(kernelMap);
        Extra = new(extra);
        Reserved = new(reserved);
    }

    /// <summary>The map as Xen gave it, sanitised: what the kernel decides by.</summary>
    public E820Table XenMap;

    /// <summary>The map that the kernel makes for itself.</summary>
    public E820Table KernelMap;

    public ExtraMemory Extra;

    public ReservedAreas Reserved;

    /// <summary>ACPI NVS that was moved away; its P2M entries follow when memory can be allocated.</summary>
    public MovedNonRam NonRam;
}

/// <summary>The up to four pieces of ACPI NVS that linux-7.2 moves.</summary>
public struct MovedNonRam
{
    /// <summary>NR_NONRAM_REMAP.</summary>
    public const int Capacity = 4;

    private P2mRun _first;
    private P2mRun _second;
    private P2mRun _third;
    private P2mRun _fourth;

    public int Count { get; private set; }

    /// <summary>Adds one. There must be room.</summary>
    public void Add(P2mRun run)
    {
        if (Count == 0)
            _first = run;
        else if (Count == 1)
            _second = run;
        else if (Count == 2)
            _third = run;
        else
            _fourth = run;
        Count++;
    }

    public readonly P2mRun Get(int index) => index == 0 ? _first : index == 1 ? _second : index == 2 ? _third : _fourth;
}

/// <summary>What came of a memory setup, in pages.</summary>
public struct SetupResult
{
    public HaltReason Halt;

    /// <summary>The pages that the kernel reckons with: start_info's, cut at its limit.</summary>
    public ulong PageCount;

    public ulong ReleasedPages;
    public ulong PopulatedPages;
    public ulong RemappedPages;

    /// <summary>7.2: pages of ACPI NVS that lie elsewhere now.</summary>
    public ulong NonRamPages;

    /// <summary>The first frame behind extra memory, or behind the initial pages when there is none (xen_max_p2m_pfn).</summary>
    public Pfn MaxP2mPfn;

    /// <summary>The frame that the end of the map lies in: since 4.3 all is identity from here on.</summary>
    public Pfn IdentityFrom;

    /// <summary>Where initrd and p2m list lie now.</summary>
    public ByteRange Initrd;

    public ByteRange P2mList;

    /// <summary>The gap that the kernel gives to PCI devices; empty when there is none.</summary>
    public ByteRange PciGap;
}

/// <summary>
/// What a PV kernel does with its memory map at boot: decides what to keep, identity-map, move, release and leave to the balloon. One
/// algorithm; what differs between kernels stands in <see cref="KernelProfile"/>.
/// </summary>
/// <remarks>Source: the seeds, the kernels named in <see cref="KernelVersion"/>, and the golden records, which judge it.</remarks>
public static class MemorySetup
{
    private const ulong IsaStart = 0xa_0000;
    private const ulong IsaEnd = 0x10_0000;
    private const ulong IbftStart = 0x8_0000;
    private const ulong SlackWithoutMapBytes = 8UL << 20;
    private const ulong ExtraMemoryRatio = 10;
    private const ulong PmdSizeBytes = 2UL << 20;
    private const ulong PudSizeBytes = 1UL << 30;
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
        setup.Result.PciGap = MapQueries.PciGap(tables.KernelMap.Entries, profile.PrefersHighPciGap);
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

            if (_profile.Displaced == DisplacedPages.Remap)
                SetUpByRemapping();
            else
                SetUpByReleasing();
        }

        private void Halt(HaltReason reason)
        {
            Result.Halt = reason;
            _isHalted = true;
        }

        private void ReserveFixed()
        {
            Tables.Reserved.Add(ByteRange.FromSize(0, _profile.ReservedLowBytes));
            Tables.Reserved.Add(_start.Kernel);
            Tables.Reserved.Add(_start.StartInfo);
            Tables.Reserved.Add(_start.PageTables);
            Tables.Reserved.Add(_start.Initrd);
        }

        private bool FetchMap()
        {
            Span<E820Entry> buffer = stackalloc E820Entry[SetupTables.MapCapacity / 2];
            buffer = buffer.Slice(0, _profile.MapEntries);
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

            bool ignoresUnusable = _start.IsDom0 && !_start.IsAutoTranslated;
            foreach (E820Entry entry in buffer.Slice(0, count))
                Tables.XenMap.TryAdd(ignoresUnusable && entry.Type == E820Type.Unusable ? entry.WithType(E820Type.Ram) : entry);
            if (ignoresUnusable && _profile.ReservesIbftInDom0)
                Tables.XenMap.TryAdd(E820Entry.FromBounds(IbftStart, IsaEnd, E820Type.Reserved));
            // Where Linux refuses to sanitise, it goes on with the map as it is.
            Tables.XenMap.TrySanitize(_profile.SanitizesWithinItsCount ? count : _profile.MapEntries);
            return true;
        }

        private void TakeMapAsItIs()
        {
            foreach (E820Entry entry in XenMap)
                Tables.KernelMap.TryAdd(entry);
        }

        // ---- 3.3 and 3.4: release, and populate ----
        private void SetUpByReleasing()
        {
            // These kernels know no identity beyond their list: what is not set is missing.
            Frames.Invalidate(PfnRange.FromBounds(new Pfn(_start.PageCount), new Pfn(Addresses.Frames.MaxCount)));
            ulong maxPages = MaxPages();
            ulong extra = maxPages > _pages ? maxPages - _pages : 0;
            ulong released = ReleaseHoles();
            Result.ReleasedPages = released;
            ulong populated = _profile.Displaced == DisplacedPages.ReleaseAndPopulate ? PopulateBehind(released, out Pfn last) : Nothing(out last);
            Result.PopulatedPages = populated;
            extra += released - populated;
            ulong reckoned = _pages;
            if (last.Value > _pages)
                reckoned = Min(_limit, last.Value);
            extra = Min(ExtraMemoryRatio * Min(reckoned, KernelProfile.MaxLowPages(_start.Is32Bit)), extra);
            WalkMap(extra, new Pfn(reckoned).ToAddress());
            if (KernelGaveItselfAway())
                Halt(HaltReason.ReleasesItself);
        }

        private static ulong Nothing(out Pfn last)
        {
            last = default;
            return 0;
        }

        private ulong ReleaseHoles()
        {
            ulong released = 0;
            ulong identity = 0;
            var holes = new HoleWalk(XenMap);
            while (holes.MoveNext())
            {
                PfnRange hole = holes.Current;
                PfnRange owned = hole.Intersect(PfnRange.FromBounds(default, new Pfn(_pages)));
                // linux-3.3 reports a run of which nothing was freed, too; a run that starts beyond the pages it does not look at.
                if (_profile.Displaced == DisplacedPages.ReleaseAndPopulate)
                    Frames.RemapAddresses(hole, zaps: false);
                if (hole.Start.Value < _pages)
                {
                    ulong freed = Frames.Release(owned, stopsAtFailure: _profile.Displaced == DisplacedPages.ReleaseAndPopulate);
                    released += freed;
                    if (freed > 0 || _profile.Displaced == DisplacedPages.Release)
                        Log.Report(new() { Kind = BootEventKind.Freed, Range = owned, Count = freed });
                }

                Frames.SetIdentity(hole);
                identity += hole.Count;
            }

            Log.Report(new() { Kind = BootEventKind.Released, Count = released });
            Log.Report(new() { Kind = BootEventKind.IdentitySet, Count = identity });
            return released;
        }

        private ulong PopulateBehind(ulong credits, out Pfn last)
        {
            ulong done = 0;
            last = default;
            foreach (E820Entry entry in XenMap)
            {
                if (credits == 0)
                    break;
                if (!entry.IsRam)
                    continue;
                Pfn end = Pfn.Containing(entry.End);
                if (end.Value <= _pages)
                    continue;
                Pfn begin = Pfn.AtOrAbove(entry.Address);
                if (begin.Value < _pages)
                    begin = new(_pages);
                PfnRange target = PfnRange.FromCount(begin, Min(credits, end > begin ? end.Value - begin.Value : 0));
                ulong populated = Frames.Populate(target);
                if (populated > 0)
                    Log.Report(new() { Kind = BootEventKind.Populated, Range = target, Count = populated });
                done += populated;
                last = begin.Plus(populated);
                if (populated < target.Count)
                    break;
                credits -= populated;
            }

            return done;
        }

        /// <summary>These kernels look nowhere: what lies on a hole is released or covered while they run in it.</summary>
        private readonly bool KernelGaveItselfAway() =>
            MapQueries.IsReserved(XenMap, _start.Kernel) || MapQueries.IsReserved(XenMap, _start.PageTables);

        // ---- 4.3 and later: remap ----
        private void SetUpByRemapping()
        {
            if (_profile.ChecksFirstAndSwapsNvs)
            {
                CheckUsable(_start.Kernel, HaltReason.KernelConflict);
                CheckUsable(_start.StartInfo, HaltReason.StartInfoConflict);
                CheckUsable(_start.PageTables, HaltReason.PageTableConflict);
            }

            if (_isHalted)
                return;
            WalkMap(ExtraPages(), MemoryEnd);
            if (!_profile.ChecksFirstAndSwapsNvs)
            {
                CheckConflict(_start.Kernel, HaltReason.KernelConflict);
                CheckConflict(_start.PageTables, HaltReason.PageTableConflict);
            }

            PlaceP2mList();
            PlaceInitrd();
            if (_isHalted)
                return;
            var holes = new HoleWalk(XenMap);
            while (holes.MoveNext())
            {
                RemapHole(holes.Current);
                if (_isHalted)
                    return;
            }

            Log.Report(new() { Kind = BootEventKind.Released, Count = Result.ReleasedPages });
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

            if (_profile.ChecksFirstAndSwapsNvs)
                Log.Report(new() { Kind = BootEventKind.NonRamRemapped, Count = Result.NonRamPages });
        }

        private readonly ulong MaxPages()
        {
            if (!_start.IsDom0)
                return _limit;
            long result = Xen.MaximumReservation(DomainId.Self);
            if (_profile.TruncatesReservation)
                result = unchecked((int)result);
            return result > 0 ? Min((ulong)result, _limit) : _limit;
        }

        private readonly ulong ExtraPages()
        {
            // 4.3's limit has no bound: its sum wraps, and the guest gets no extra memory at all. Reproduced, not mended.
            ulong maxPages = unchecked(MaxPages() + CountRemapPages());
            ulong extra = maxPages > _pages ? maxPages - _pages : 0;
            extra = Min(extra, unchecked(maxPages - _pages));
            return Min(extra, ExtraMemoryRatio * Min(_pages, KernelProfile.MaxLowPages(_start.Is32Bit)));
        }

        private readonly ulong CountRemapPages()
        {
            ulong count = 0;
            if (_profile.CountsRemapByEntry)
            {
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

            var holes = new HoleWalk(XenMap);
            while (holes.MoveNext())
                count += holes.Current.Intersect(PfnRange.FromBounds(default, new Pfn(_pages))).Count;
            return count;
        }

        private void RemapHole(PfnRange hole)
        {
            ulong done = 0;
            if (_remapTarget == default)
                _remapTarget = new(_pages);
            while (done < hole.Count)
            {
                Pfn current = hole.Start.Plus(done);
                ulong left = hole.Count - done;
                if (current.Value >= _pages)
                {
                    Frames.SetIdentity(PfnRange.FromCount(current, left));
                    break;
                }

                PfnRange ram = MapQueries.NextRam(XenMap, _remapTarget, _profile.StopsAtRangeEndingAtTarget);
                if (ram.IsEmpty)
                {
                    ReleaseInsteadOfRemap(PfnRange.FromCount(current, left));
                    break;
                }

                ulong size = Min(Min(left, _pages - current.Value), ram.Count);
                if (!Frames.PrepareRemap(PfnRange.FromCount(current, size), ram.Start))
                {
                    Halt(HaltReason.RemapFailed);
                    return;
                }

                done += size;
                _remapTarget = ram.Start.Plus(size);
            }

            Frames.RemapAddresses(hole, _profile.ZapsOldMapping);
        }

        private void ReleaseInsteadOfRemap(PfnRange range)
        {
            Log.Report(new() { Kind = BootEventKind.NoRangeToRemap, Range = range });
            Result.ReleasedPages += Frames.Release(range.Intersect(PfnRange.FromBounds(default, new Pfn(_pages))), stopsAtFailure: true);
            Frames.SetIdentity(range);
        }

        // ---- the kernel's own map ----
        private void WalkMap(ulong extraPages, ulong memoryEnd)
        {
            ulong address = 0;
            foreach (E820Entry entry in XenMap)
            {
                address = entry.Address;
                ulong left = entry.Size;
                while (left != 0)
                {
                    ulong chunk = left;
                    E820Type type = entry.Type;
                    bool isDiscarded = false;
                    if (type == E820Type.Ram)
                    {
                        if (address < memoryEnd)
                            chunk = Min(left, memoryEnd - address);
                        else if (extraPages != 0)
                        {
                            ulong pages = AddExtra(address, ref chunk, extraPages);
                            extraPages -= pages;
                            if (pages == 0 && chunk < left)
                            {
                                // One page left, and no whole page in a chunk that starts within one: Linux goes on chunk by chunk through the
                                // whole entry and gains nothing. All but the last of them at once.
                                chunk *= (left - 1) / chunk;
                                isDiscarded = true;
                            }
                        }
                        else if (_profile.MarksSurplusUnusable)
                            type = E820Type.Unusable;
                        else
                            isDiscarded = true;
                    }

                    if (!isDiscarded)
                        AddAligned(address, chunk, type);
                    // A map that Linux refused to sanitise may wrap, and then so does Linux.
                    address = unchecked(address + chunk);
                    left -= chunk;
                }
            }

            Result.IdentityFrom = Pfn.Containing(address);
            if (_profile.Displaced == DisplacedPages.Remap)
                Frames.SetIdentity(PfnRange.FromBounds(Result.IdentityFrom, new Pfn(Addresses.Frames.MaxCount)));
            AddToKernelMap(E820Entry.FromBounds(IsaStart, IsaEnd, E820Type.Reserved));
            Tables.KernelMap.TrySanitize(_profile.MapEntries);
        }

        /// <summary>Cuts the chunk at what is left of the extra memory, keeps it, and returns the pages that it takes of it.</summary>
        private ulong AddExtra(ulong address, ref ulong chunk, ulong extraPages)
        {
            // No shift: extra memory of 4.3 may be as many pages as do not fit 64 bits of bytes.
            if (extraPages < Addresses.Frames.MaxCount)
                chunk = Min(chunk, extraPages << Addresses.Frames.Shift);
            ByteRange kept = ByteRange.FromSize(address, chunk);
            ulong pages = chunk >> Addresses.Frames.Shift;
            if (!_profile.ExtraMemoryInBytes)
            {
                PfnRange whole = PfnRange.FromBounds(Pfn.AtOrAbove(address), Pfn.Containing(unchecked(address + chunk)));
                kept = ByteRange.FromFrames(whole);
                pages = whole.Count;
            }

            if (!kept.IsEmpty)
            {
                if (!Tables.Extra.Add(kept))
                    Log.Report(new() { Kind = BootEventKind.NotEnoughExtraRegions });
                Tables.Reserved.Add(kept);
            }

            Result.MaxP2mPfn = Pfn.Containing(unchecked(address + chunk));
            return pages;
        }

        private void AddAligned(ulong address, ulong sizeBytes, E820Type type)
        {
            ulong end = unchecked(address + sizeBytes);
            if (type == E820Type.Ram)
            {
                address = Pfn.AtOrAbove(address).ToAddress();
                end = Pfn.Containing(end).ToAddress();
            }

            if (end > address)
                AddToKernelMap(E820Entry.FromBounds(address, end, type));
        }

        private void AddToKernelMap(E820Entry entry)
        {
            if (Tables.KernelMap.Count < _profile.MapEntries)
                Tables.KernelMap.TryAdd(entry);
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
                if (entry.End > needed.Start && entry.Type == E820Type.Nvs && !SwapWithRam(i))
                    return;
            }
        }

        private bool SwapWithRam(int index)
        {
            Span<E820Entry> map = Tables.XenMap.Entries;
            E820Entry nvs = map[index];
            ulong from = Pfn.Containing(nvs.Address).ToAddress();
            ulong size = unchecked(Pfn.AtOrAbove(nvs.End).ToAddress() - from);
            for (int i = 0; i < map.Length; i++)
            {
                E820Entry ram = map[i];
                if (!ram.IsRam || ram.Size < size || unchecked(ram.End - size) < MemoryEnd)
                    continue;
                ulong to = unchecked(ram.End - size);
                if (Tables.NonRam.Count == MovedNonRam.Capacity)
                {
                    Halt(HaltReason.TooManyNvs);
                    return false;
                }

                map[i] = E820Entry.FromSize(ram.Address, ram.Size - size, E820Type.Ram);
                map[index] = E820Entry.FromSize(from, size, E820Type.Ram);
                Tables.XenMap.TryAdd(E820Entry.FromSize(unchecked(to + (nvs.Address - from)), nvs.Size, nvs.Type));
                PfnRange target = PfnRange.FromCount(Pfn.Containing(to), size >> Addresses.Frames.Shift);
                Tables.NonRam.Add(new(target, P2mKind.NonRam, Mfn.Containing(from)));
                Result.NonRamPages += target.Count;
                Log.Report(new() { Kind = BootEventKind.NvsMoved, From = ByteRange.FromSize(from, size), To = ByteRange.FromSize(to, size) });
                Tables.XenMap.TrySanitize(_profile.MapEntries);
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
