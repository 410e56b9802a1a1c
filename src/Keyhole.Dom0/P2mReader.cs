// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.InteropServices;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>
/// Reads the P2M list of a live 64-bit PV guest from dom0, as a toolstack does that saves it: where the list lies, the guest tells in the page that
/// it shares with the hypervisor; its pages are mapped as foreign ones. The guest may run meanwhile, and may be hostile: whatever it writes there,
/// only pages that it owns can be mapped, and what is read is bounded.
/// </summary>
public sealed class P2mReader
{
    /// <summary>A list of 2 TiB's frames takes 4 GiB: more of it is not read.</summary>
    private const int MostPagesRead = 1 << 20;

    /// <summary>Frames of 16 TiB, more than any host has memory.</summary>
    private const ulong MostFrames = 1UL << 32;

    private const int MostRuns = 1 << 16;
    private const int MostTries = 3;
    private const int EntriesAPage = 512;
    private const int PageSizeBytes = 1 << Frames.Shift;

    // struct shared_info of a 64-bit guest: arch begins behind 32 processors' parts, the event channels and the wall clock.
    private const int MaxPfnOffset = 3088;
    private const int FrameListListOffset = 3096;
    private const int P2mCr3Offset = 3112;
    private const int P2mAddressOffset = 3120;
    private const int P2mGenerationOffset = 3128;

    private const ulong Present = 1;
    private const ulong FrameBits = 0x000f_ffff_ffff_f000;

    // arch/x86/include/asm/xen/page.h
    private const ulong InvalidEntry = ulong.MaxValue;
    private const ulong ForeignFrameBit = 1UL << 63;
    private const ulong IdentityFrameBit = 1UL << 62;

    private readonly IXenControl _xen;
    private readonly DomainInfo _guest;
    private readonly string _subject;
    private readonly CachedPage[] _tables;
    private readonly ImmutableArray<LiveP2mRun>.Builder _runs = ImmutableArray.CreateBuilder<LiveP2mRun>();
    private readonly Dictionary<ulong, int> _unwritten = [];
    private int _pagesRead;

    private P2mReader(IXenControl xen, DomainInfo guest, string subject)
    {
        _xen = xen;
        _guest = guest;
        _subject = subject;
        _tables = [new(), new(), new(), new()];
    }

    /// <summary>The guest's list, or why there is none to read: an HVM or 32-bit guest, dom0, a kernel that has not said yet where its list
    /// is.</summary>
    /// <param name="guest">Whose list; found a moment ago.</param>
    /// <param name="subject">What to call the guest in a problem.</param>
    public static XenResult<LiveP2m> Read(IXenControl xen, DomainInfo guest, string subject)
    {
        ArgumentNullException.ThrowIfNull(xen);
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(subject);
        var reader = new P2mReader(xen, guest, subject);
        if (guest.Id.Value == 0)
            return reader.No("dom0 cannot map its own pages as those of another");
        if (guest.IsHvm)
            return reader.No("only PV guests have a P2M list of their own");
        if (!guest.HasRun)
            return reader.No("it has never run, and has no P2M list yet");
        long bits = xen.AddressBits(guest.Id);
        if (bits < 0)
            return reader.Failed("XEN_DOMCTL_get_address_size", bits);
        return bits == 64 ? reader.Read()
            : reader.No($"it is a {bits.ToString(CultureInfo.InvariantCulture)}-bit guest, whose P2M list Keyhole does not read");
    }

    private XenResult<LiveP2m> Read()
    {
        for (int tries = 0; tries < MostTries; tries++)
        {
            if (!ReadWhere().TryGet(out Where? before, out XenProblem? problem))
                return problem;
            if ((before.Generation & 1) != 0)
                continue;
            _runs.Clear();
            _unwritten.Clear();
            foreach (CachedPage table in _tables)
                table.Forget();
            problem = ReadEntries(before);
            if (!ReadWhere().TryGet(out Where? after, out XenProblem? gone))
                return gone;
            if (after != before)
                continue;
            return problem is null ? new LiveP2m { FrameCount = before.FrameCount, Runs = _runs.ToImmutable() } : problem;
        }

        return No("it rebuilds its P2M list again and again while it is read");
    }

    private XenResult<Where> ReadWhere()
    {
        Span<byte> page = stackalloc byte[PageSizeBytes];
        long result = _xen.ReadFrames(_guest.Id, [_guest.SharedInfoFrame], page);
        if (result < 0)
            return Failed("its shared_info page cannot be mapped: IOCTL_PRIVCMD_MMAPBATCH_V2", result);
        var where = new Where(Word(page, MaxPfnOffset), Word(page, FrameListListOffset), Word(page, P2mCr3Offset), Word(page, P2mAddressOffset),
            Word(page, P2mGenerationOffset));
        if (where.FrameCount == 0 || (where.Cr3 == 0 && where.FrameListList is 0 or ulong.MaxValue))
            return No("its kernel has not said where its P2M list is: it has not got that far, or is one that does not say it");
        if (where.FrameCount > MostFrames)
            return No($"it says that its P2M list has {Number(where.FrameCount)} frames, more than any guest has");
        if (where.Cr3 != 0 && (where.Address & (PageSizeBytes - 1)) != 0)
            return No($"it says that its P2M list begins in the middle of a page, at 0x{where.Address.ToString("x", CultureInfo.InvariantCulture)}");
        return where;
    }

    /// <summary>Goes through the list page by page, many at a time. A page that stands in it again and again, as Linux's pages for "all invalid" and
    /// "all identity" do, is read once.</summary>
    private XenProblem? ReadEntries(Where where)
    {
        ulong pageCount = (where.FrameCount + EntriesAPage - 1) / EntriesAPage;
        ulong[] wanted = new ulong[Privcmd.MostFramesAtOnce];
        int[] readAs = new int[Privcmd.MostFramesAtOnce];
        ulong[] distinct = new ulong[Privcmd.MostFramesAtOnce];
        byte[] pages = new byte[Privcmd.MostFramesAtOnce * PageSizeBytes];
        for (ulong first = 0; first < pageCount; first += (ulong)wanted.Length)
        {
            int count = (int)Math.Min((ulong)wanted.Length, pageCount - first);
            int distinctCount = 0;
            for (int i = 0; i < count; i++)
            {
                if (PageOf(where, first + (ulong)i, out wanted[i]) is { } problem)
                    return problem;
                if (distinctCount == 0 || distinct[distinctCount - 1] != wanted[i])
                    distinct[distinctCount++] = wanted[i];
                readAs[i] = distinctCount - 1;
            }

            _pagesRead += distinctCount;
            if (_pagesRead > MostPagesRead)
                return No($"its P2M list takes more than {ByteSize.ToText((ulong)MostPagesRead << Frames.Shift)}, which is not read");
            long result = _xen.ReadFrames(_guest.Id, distinct.AsSpan(0, distinctCount), pages);
            if (result < 0)
                return Failed("a page of its P2M list cannot be mapped: IOCTL_PRIVCMD_MMAPBATCH_V2", result);
            for (int i = 0; i < count; i++)
            {
                ulong frame = (first + (ulong)i) * EntriesAPage;
                ReadOnlySpan<ulong> entries = MemoryMarshal.Cast<byte, ulong>(pages.AsSpan(readAs[i] * PageSizeBytes, PageSizeBytes));
                entries = entries[..(int)Math.Min(EntriesAPage, where.FrameCount - frame)];
                if (!(entries.ContainsAnyExcept(InvalidEntry) ? Add(frame, entries) : AddUnwritten(frame, entries.Length, wanted[i])))
                    return No($"its P2M list has more than {Number(MostRuns)} runs: no Linux makes such a one");
            }
        }

        return null;
    }

    private bool Add(ulong frame, ReadOnlySpan<ulong> entries)
    {
        int start = 0;
        while (start < entries.Length)
        {
            LiveP2mKind kind = KindOf(entries[start]);
            int end = start + 1;
            while (end < entries.Length && KindOf(entries[end]) == kind)
                end++;
            if (!Add(new(PfnRange.FromBounds(new(frame + (ulong)start), new(frame + (ulong)end)), kind)))
                return false;
            start = end;
        }

        return true;
    }

    private bool AddUnwritten(ulong frame, int count, ulong machineFrame)
    {
        if (!_unwritten.TryGetValue(machineFrame, out int page))
            _unwritten[machineFrame] = page = _unwritten.Count + 1;
        return Add(new(PfnRange.FromCount(new(frame), (ulong)count), LiveP2mKind.Unwritten, page));
    }

    private bool Add(LiveP2mRun run)
    {
        if (_runs.Count > 0 && _runs[^1].Kind == run.Kind && _runs[^1].Page == run.Page)
            _runs[^1] = run with { Range = PfnRange.FromBounds(_runs[^1].Range.Start, run.Range.End) };
        else if (_runs.Count == MostRuns)
            return false;
        else
            _runs.Add(run);
        return true;
    }

    private static LiveP2mKind KindOf(ulong entry) => entry == InvalidEntry ? LiveP2mKind.Invalid
        : (entry & ForeignFrameBit) != 0 ? LiveP2mKind.Foreign
        : (entry & IdentityFrameBit) != 0 ? LiveP2mKind.Identity : LiveP2mKind.Ram;

    /// <summary>The machine frame of a page of the list.</summary>
    private XenProblem? PageOf(Where where, ulong index, out ulong machineFrame)
    {
        machineFrame = 0;
        if (where.Cr3 == 0)
        {
            // The tree that kernels up to 3.18 keep for toolstacks: frames of 512 lists, each of 512 frames of the list's pages.
            if (index >= (ulong)EntriesAPage * EntriesAPage)
                return No("its P2M list goes on after the 512 GiB that its tree can tell of");
            return Entry(_tables[1], where.FrameListList, (int)(index / EntriesAPage), out ulong middle)
                ?? Entry(_tables[0], middle, (int)(index % EntriesAPage), out machineFrame);
        }

        ulong address = unchecked(where.Address + (index << Frames.Shift));
        ulong table = where.Cr3 >> Frames.Shift;
        for (int level = 3; level >= 0; level--)
        {
            int shift = Frames.Shift + (9 * level);
            if (Entry(_tables[level], table, (int)((address >> shift) & (EntriesAPage - 1)), out ulong entry) is { } problem)
                return problem;
            if ((entry & Present) == 0)
                return No($"its page tables do not reach its P2M list at 0x{address.ToString("x", CultureInfo.InvariantCulture)}");
            table = (entry & FrameBits) >> Frames.Shift;
        }

        machineFrame = table;
        return null;
    }

    private XenProblem? Entry(CachedPage page, ulong machineFrame, int index, out ulong entry)
    {
        entry = 0;
        long result = page.Hold(_xen, _guest.Id, machineFrame, ref _pagesRead);
        if (result < 0)
            return Failed("a page that leads to its P2M list cannot be mapped: IOCTL_PRIVCMD_MMAPBATCH_V2", result);
        entry = page[index];
        return _pagesRead > MostPagesRead ? No("too many pages lead to its P2M list") : null;
    }

    private XenProblem No(string what) => new(XenProblemKind.Guest, _subject, what, "only its maps are shown");

    private XenProblem Failed(string call, long result) => XenProblem.Of(_subject, call, result, "only its maps are shown");

    private static string Number(ulong count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    private static ulong Word(ReadOnlySpan<byte> page, int offset) => MemoryMarshal.Read<ulong>(page[offset..]);

    /// <summary>Where a guest says that its list is.</summary>
    private sealed record Where(ulong FrameCount, ulong FrameListList, ulong Cr3, ulong Address, ulong Generation);

    /// <summary>The page table of one level that was looked at last: a list's pages follow each other in it.</summary>
    private sealed class CachedPage
    {
        private readonly byte[] _bytes = new byte[PageSizeBytes];
        private ulong? _machineFrame;

        public ulong this[int index] => Word(_bytes, index * sizeof(ulong));

        public void Forget() => _machineFrame = null;

        public long Hold(IXenControl xen, DomainId id, ulong machineFrame, ref int pagesRead)
        {
            if (_machineFrame == machineFrame)
                return 0;
            _machineFrame = null;
            pagesRead++;
            long result = xen.ReadFrames(id, [machineFrame], _bytes);
            if (result >= 0)
                _machineFrame = machineFrame;
            return result;
        }
    }
}
