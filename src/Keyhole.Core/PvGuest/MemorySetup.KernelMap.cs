// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.PvGuest;

/// <content>The kernel's own map.</content>
internal static partial class MemorySetup
{
    private ref partial struct Setup<TXen, TFrames, TLog>
    {
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
    }
}
