// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.PvGuest;

/// <content>Up to 4.2: the holes first, then the limit.</content>
internal static partial class MemorySetup
{
    private ref partial struct Setup<TXen, TFrames, TLog>
    {
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
    }
}
