// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.PvGuest;

/// <content>What must lie on RAM, and where it goes if it does not.</content>
internal static partial class MemorySetup
{
    private ref partial struct Setup<TXen, TFrames, TLog>
    {
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
    }
}
