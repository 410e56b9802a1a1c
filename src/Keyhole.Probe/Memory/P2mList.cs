// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>The probe's list of frames: how far it goes, what it needs, where it is mapped.</summary>
internal static unsafe class P2mList
{
    /// <summary>The list covers all extra memory as long as it takes no more than this part of the guest.</summary>
    private const ulong ListShare = 4;

    /// <summary>Frames that the list covers: all extra memory, or where that would cost too much, as far as there are machine frames.</summary>
    public static ulong EndOf(ulong pageCount, in SetupResult expected, in RunFrames forecast)
    {
        ulong end = pageCount;
        foreach (P2mRun run in forecast.P2m.Runs)
        {
            if (run.HasFrames && run.Range.End.Value > end)
                end = run.Range.End.Value;
        }

        ulong extraEnd = expected.MaxP2mPfn.Value > end ? expected.MaxP2mPfn.Value : end;
        if (extraEnd / (Frames.SizeBytes / sizeof(ulong)) <= pageCount / ListShare && extraEnd <= AddressSpace.LinearPages)
            return extraEnd;
        if (end > AddressSpace.LinearPages)
            Panic.NoRoom("RAM above 480 GiB"u8);
        return end;
    }

    /// <summary>First-level tables for all frames that get machine frames: extra memory is not mapped.</summary>
    public static ulong TablesFor(in RunFrames forecast, ulong listEnd)
    {
        ulong count = 0;
        foreach (P2mRun run in forecast.P2m.Runs)
        {
            PfnRange part = run.Range.Intersect(PfnRange.FromBounds(default, new Pfn(listEnd)));
            if (run.HasFrames && !part.IsEmpty)
                count += ((part.End.Value - 1) >> 9) - (part.Start.Value >> 9) + 1;
        }

        return count;
    }

    /// <summary>Leaves the next frames to tables that are still to come: the frames that they lie between.</summary>
    public static PfnRange SkipTables(ref FramePool pool, ulong count)
    {
        pool.TakeMfn();
        var first = new Pfn(pool.Next.Value - 1);
        for (ulong i = 1; i < count; i++)
            pool.TakeMfn();
        return PfnRange.FromBounds(first, pool.Next);
    }

    public static Span<ulong> Map(ulong firstPage, ulong entries, ulong pages, scoped ref FramePool pool, scoped ref long error)
    {
        if (error != 0)
            return default;
        AddressSpace.Map(firstPage, pages, ref pool, out error);
        return new((void*)AddressSpace.AddressOf(firstPage), (int)entries);
    }
}
