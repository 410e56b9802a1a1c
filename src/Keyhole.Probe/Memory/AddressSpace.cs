// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Probe;

/// <summary>What to map at the pages of the probe's half TiB: asked for each page once, in rising order.</summary>
internal unsafe interface IEntrySource
{
    /// <summary>The page-table entry; 0 for none.</summary>
    ulong EntryOf(ulong page);

    /// <summary>The entries of <paramref name="count"/> pages, of one table.</summary>
    void Fill(ulong* entries, ulong page, int count);
}

/// <summary>
/// The page tables that the probe builds: half a TiB of addresses (one slot of the fourth level), its pages numbered from 0. Page n is frame n
/// of the guest; the last 32 GiB are the list of frames. Tables are filled through a window while they are plain pages, then linked, 128 of them
/// to a hypercall.
/// </summary>
internal static unsafe class AddressSpace
{
    /// <summary>The address of page 0: slot 272, the first behind Xen's own.</summary>
    public const ulong Base = X86Layout.LinuxDirectMap;

    /// <summary>Frames from this on have no place here: 480 GiB.</summary>
    public const ulong LinearPages = 480UL << 18;

    /// <summary>The first page of the list of frames.</summary>
    public const ulong P2mFirstPage = LinearPages;

    /// <summary>Where the domain builder maps frame 0 (ELF note VIRT_BASE).</summary>
    public const ulong BuilderBase = X86Layout.LinuxKernelMap;

    /// <summary>Page-table updates that go to one hypercall.</summary>
    public const int BatchEntries = 4096;

    public const ulong Writable = 0x63;
    public const ulong ReadOnly = 0x61;
    public const ulong Device = 0x7b;
    public const ulong FrameMask = 0x000f_ffff_ffff_f000;
    private const ulong Table = 0x67;
    private const ulong IsPresent = 1;
    private const int TopSlot = 272;
    private const int GiBs = 512;
    private const int GiBShift = 18;
    private const int TableShift = 9;
    private const ulong IndexMask = 511;
    private const int EntriesOfTable = 512;

    private static ulong s_builderTop;
    private static PfnRange s_builderTables;
    private static ulong s_thirdLevelMfn;
    private static ulong* s_secondLevelMfns;
    private static ulong** s_firstLevelMfns;
    private static ulong* s_windowEntries;
    private static MmuUpdate* s_updates;
    private static int s_updateCount;
    private static ulong* s_freshSlots;
    private static ulong* s_freshMfns;
    private static FramePool s_pool;
    private static ulong s_tableFirst;
    private static ulong s_tableEnd;
    private static ulong s_tablesInAll;

    /// <summary>Page tables taken into use.</summary>
    public static ulong TableCount { get; private set; }

    /// <summary>The update that Xen refused: what it was to write, and where.</summary>
    public static MmuUpdate Refused { get; private set; }

    public static ulong AddressOf(ulong page) => Base + (page << Frames.Shift);

    /// <summary>Whether a frame belongs to the tables, the domain builder's or the probe's: such frames are mapped for reading only.</summary>
    public static bool IsTable(ulong pfn) => (pfn >= s_tableFirst && pfn < s_tableEnd) || s_builderTables.Contains(new Pfn(pfn));

    /// <summary>Whether one of the frames may belong to the tables.</summary>
    public static bool MayBeTable(ulong first, ulong count) =>
        (first < s_tableEnd && first + count > s_tableFirst) || s_builderTables.Overlaps(PfnRange.FromCount(new Pfn(first), count));

    /// <summary>Takes the domain builder's tables as they are: their entries can be read from here on.</summary>
    /// <param name="top">The address of the fourth-level table (start_info.pt_base).</param>
    /// <param name="count">Tables from there on.</param>
    public static void TakeBuilderTables(ulong top, ulong count)
    {
        s_builderTop = top;
        s_builderTables = PfnRange.FromCount(Pfn.Containing(top - BuilderBase), count);
    }

    /// <summary>Makes the half TiB, empty, and remembers which frames will be tables.</summary>
    /// <param name="topMfn">The machine frame of the fourth-level table.</param>
    /// <param name="pool">Gives machine frames for tables, in the order of their frames.</param>
    /// <param name="count">How many.</param>
    /// <param name="tables">The frames that they lie between.</param>
    public static long Prepare(ulong topMfn, FramePool pool, ulong count, PfnRange tables)
    {
        s_tableFirst = tables.Start.Value;
        s_tableEnd = tables.End.Value;
        s_pool = pool;
        s_tablesInAll = count;
        s_secondLevelMfns = Pointer(Arena.Take<ulong>(GiBs));
        s_firstLevelMfns = (ulong**)Pointer(Arena.Take<ulong>(GiBs));
        s_freshSlots = Pointer(Arena.Take<ulong>(Layout.WindowPages));
        s_freshMfns = Pointer(Arena.Take<ulong>(Layout.WindowPages));
        s_windowEntries = Pointer(Arena.Take<ulong>(Layout.WindowPages));
        for (int i = 0; i < Layout.WindowPages; i++)
            s_windowEntries[i] = BuilderEntry(Native.Layout()->Window + ((ulong)i << Frames.Shift));
        fixed (MmuUpdate* updates = Arena.Take<MmuUpdate>(BatchEntries))
            s_updates = updates;
        return LinkEmpty((topMfn << Frames.Shift) + (TopSlot * sizeof(ulong)), out s_thirdLevelMfn);
    }

    /// <summary>Maps pages that are not mapped. What was done before Xen refused stays done.</summary>
    public static bool Map<TSource>(ulong page, ulong count, ref TSource source, out long error)
        where TSource : IEntrySource, allows ref struct
    {
        ulong end = page + count;
        while (page < end)
        {
            ulong slotEnd = (page >> TableShift) + Layout.WindowPages;
            ulong chunkEnd = end < slotEnd << TableShift ? end : slotEnd << TableShift;
            error = MapChunk(page, chunkEnd, ref source);
            if (error != 0)
                return false;
            page = chunkEnd;
        }

        error = 0;
        return true;
    }

    /// <summary>Writes one entry, its table made where it is missing.</summary>
    public static long MapOne(ulong page, ulong entry)
    {
        var nothing = new NoEntries();
        if (!Map(page, 1, ref nothing, out long error))
            return error;
        Queue(EntryAddress(page), entry);
        return FlushQueue(flushesTranslations: true);
    }

    public static long Unmap(ulong page, ulong count)
    {
        for (ulong i = page; i < page + count; i++)
        {
            if (FirstLevelMfn(i) == 0)
                continue;
            if (s_updateCount == BatchEntries && FlushQueue(flushesTranslations: false) is long error && error != 0)
                return error;
            Queue(EntryAddress(i), 0);
        }

        return FlushQueue(flushesTranslations: true);
    }

    /// <summary>The entry of a page as the processor sees it; 0 where there is no table.</summary>
    public static ulong EntryOf(ulong page)
    {
        ulong table = FirstLevelMfn(page);
        if (table == 0)
            return 0;
        ulong pfn = default(RealXen).PfnOf(table);
        return *(ulong*)(AddressOf(pfn) + ((page & IndexMask) * sizeof(ulong)));
    }

    /// <summary>The first page at or after <paramref name="page"/> that has a table, or <paramref name="end"/>.</summary>
    public static ulong NextWithTable(ulong page, ulong end)
    {
        while (page < end && FirstLevelMfn(page) == 0)
            page = ((page >> TableShift) + 1) << TableShift;
        return page < end ? page : end;
    }

    /// <summary>The entry with which the domain builder mapped an address; 0 where it did not.</summary>
    public static ulong BuilderMapping(ulong virtualAddress)
    {
        ulong address = BuilderEntryAddress(virtualAddress);
        return address == 0 ? 0 : *(ulong*)address;
    }

    /// <summary>The machine address of the first-level entry for an address of the domain builder's; 0 where there is none.</summary>
    private static ulong BuilderEntry(ulong virtualAddress)
    {
        ulong address = BuilderEntryAddress(virtualAddress);
        if (address == 0)
            return 0;
        ulong tablePfn = (address - BuilderBase) >> Frames.Shift;
        return (BuilderMapping(BuilderBase + (tablePfn << Frames.Shift)) & FrameMask) + (address & Frames.OffsetMask);
    }

    private static ulong BuilderEntryAddress(ulong virtualAddress)
    {
        ulong table = s_builderTop;
        for (int shift = 39; shift > 12; shift -= TableShift)
        {
            ulong entry = *(ulong*)(table + (((virtualAddress >> shift) & IndexMask) * sizeof(ulong)));
            if ((entry & IsPresent) == 0)
                return 0;
            table = BuilderBase + (default(RealXen).PfnOf((entry & FrameMask) >> Frames.Shift) << Frames.Shift);
        }

        return table + (((virtualAddress >> Frames.Shift) & IndexMask) * sizeof(ulong));
    }

    private static long MapChunk<TSource>(ulong page, ulong end, ref TSource source)
        where TSource : IEntrySource, allows ref struct
    {
        ulong firstSlot = page >> TableShift;
        ulong lastSlot = (end - 1) >> TableShift;
        for (ulong gib = page >> GiBShift; gib <= (end - 1) >> GiBShift; gib++)
        {
            long refused = PrepareGiB(gib);
            if (refused != 0)
                return refused;
        }

        int fresh = 0;
        for (ulong slot = firstSlot; slot <= lastSlot; slot++)
        {
            if (FirstLevelMfn(slot << TableShift) != 0)
                continue;
            s_freshSlots[fresh] = slot;
            s_freshMfns[fresh] = TakeTable();
            Queue(s_windowEntries[fresh], (s_freshMfns[fresh] << Frames.Shift) | Writable);
            fresh++;
        }

        long error = fresh > 0 ? FlushQueue(flushesTranslations: true) : 0;
        if (error != 0)
            return error;
        int at = 0;
        for (ulong slot = firstSlot; slot <= lastSlot; slot++)
        {
            ulong slotStart = slot << TableShift;
            ulong from = page > slotStart ? page : slotStart;
            ulong to = end < slotStart + 512 ? end : slotStart + 512;
            if (at < fresh && s_freshSlots[at] == slot)
            {
                FillTable((ulong*)(Native.Layout()->Window + ((ulong)at << Frames.Shift)), slotStart, from, to, ref source);
                at++;
                continue;
            }

            for (ulong i = from; i < to; i++)
            {
                ulong entry = source.EntryOf(i);
                if (entry == 0)
                    continue;
                if (s_updateCount == BatchEntries)
                {
                    error = FlushQueue(flushesTranslations: false);
                    if (error != 0)
                        return error;
                }

                Queue(EntryAddress(i), entry);
            }
        }

        return LinkFresh(fresh);
    }

    private static void FillTable<TSource>(ulong* table, ulong slotStart, ulong from, ulong to, ref TSource source)
        where TSource : IEntrySource, allows ref struct
    {
        int before = (int)(from - slotStart);
        int count = (int)(to - from);
        new Span<ulong>(table, before).Clear();
        source.Fill(table + before, from, count);
        new Span<ulong>(table + before + count, EntriesOfTable - before - count).Clear();
    }

    /// <summary>Closes the window, which makes the pages fit to be tables, and puts them in their places.</summary>
    private static long LinkFresh(int fresh)
    {
        if (s_updateCount + (2 * fresh) > BatchEntries)
        {
            long error = FlushQueue(flushesTranslations: false);
            if (error != 0)
                return error;
        }

        for (int i = 0; i < fresh; i++)
            Queue(s_windowEntries[i], 0);
        for (int i = 0; i < fresh; i++)
        {
            ulong slot = s_freshSlots[i];
            ulong parent = s_secondLevelMfns[slot >> TableShift] << Frames.Shift;
            Queue(parent + ((slot & IndexMask) * sizeof(ulong)), (s_freshMfns[i] << Frames.Shift) | Table);
        }

        long result = FlushQueue(flushesTranslations: false);
        if (result != 0)
            return result;
        for (int i = 0; i < fresh; i++)
            s_firstLevelMfns[s_freshSlots[i] >> TableShift][s_freshSlots[i] & IndexMask] = s_freshMfns[i];
        return 0;
    }

    private static long PrepareGiB(ulong gib)
    {
        if (s_secondLevelMfns[gib] != 0)
            return 0;
        s_firstLevelMfns[gib] = Pointer(Arena.Take<ulong>(512));
        return LinkEmpty((s_thirdLevelMfn << Frames.Shift) + (gib * sizeof(ulong)), out s_secondLevelMfns[gib]);
    }

    private static long LinkEmpty(ulong parentEntry, out ulong mfn)
    {
        mfn = TakeTable();
        Queue(s_windowEntries[0], (mfn << Frames.Shift) | Writable);
        long error = FlushQueue(flushesTranslations: true);
        if (error != 0)
            return error;
        new Span<ulong>((void*)Native.Layout()->Window, 512).Clear();
        Queue(s_windowEntries[0], 0);
        Queue(parentEntry, (mfn << Frames.Shift) | Table);
        return FlushQueue(flushesTranslations: false);
    }

    private static ulong TakeTable()
    {
        if (TableCount == s_tablesInAll)
            Panic.NoRoom("no page left for a page table"u8);
        TableCount++;
        return s_pool.TakeMfn();
    }

    private static ulong FirstLevelMfn(ulong page)
    {
        ulong* tables = s_firstLevelMfns[page >> GiBShift];
        return tables == null ? 0 : tables[(page >> TableShift) & IndexMask];
    }

    private static ulong EntryAddress(ulong page) => (FirstLevelMfn(page) << Frames.Shift) + ((page & IndexMask) * sizeof(ulong));

    private static void Queue(ulong machineAddress, ulong entry)
    {
        s_updates[s_updateCount] = new() { ptr = machineAddress | MmuUpdateCommand.MMU_NORMAL_PT_UPDATE, val = entry };
        s_updateCount++;
    }

    private static long FlushQueue(bool flushesTranslations)
    {
        if (s_updateCount == 0)
            return 0;
        var updates = new ReadOnlySpan<MmuUpdate>(s_updates, s_updateCount);
        s_updateCount = 0;
        long result = flushesTranslations ? RealXen.MmuUpdateAndFlush(updates, out int done) : default(RealXen).MmuUpdate(updates, out done);
        if (result != 0 && done < updates.Length)
            Refused = updates[done];
        return result;
    }

    private static ulong* Pointer(Span<ulong> span)
    {
        fixed (ulong* pointer = span)
            return pointer;
    }

    private struct NoEntries : IEntrySource
    {
        public readonly ulong EntryOf(ulong page) => 0;

        public readonly void Fill(ulong* entries, ulong page, int count) => new Span<ulong>(entries, count).Clear();
    }
}
