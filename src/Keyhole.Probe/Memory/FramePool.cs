// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>
/// Gives out the probe's own frames for its tables, in rising order: those behind what the domain builder placed, then those that lie under holes and
/// will be moved, both by the numbers that they have in the end. All that was given out lies in [<see cref="First"/>, <see cref="Next"/>), and
/// nothing else of the guest's does.
/// </summary>
internal unsafe struct FramePool : IEntrySource
{
    private readonly P2mRun* _runs;
    private readonly int _runCount;
    private readonly ulong* _builderList;
    private readonly ulong _builderPages;

    /// <param name="forecast">The P2M as it will be, with the guest's first frames for its machine frames; it must stay where it is, as what the
    /// arena gives does.</param>
    /// <param name="first">The first frame that may be taken.</param>
    /// <param name="builderList">The domain builder's list, an entry for each initial page.</param>
    public FramePool(ReadOnlySpan<P2mRun> forecast, Pfn first, ReadOnlySpan<ulong> builderList)
    {
        fixed (P2mRun* runs = forecast)
            _runs = runs;
        fixed (ulong* list = builderList)
            _builderList = list;
        _runCount = forecast.Length;
        _builderPages = (ulong)builderList.Length;
        First = first;
        Next = first;
    }

    public Pfn First { get; }

    public Pfn Next { get; private set; }

    /// <summary>Frames that can still be taken.</summary>
    public readonly ulong Available
    {
        get
        {
            ulong count = 0;
            for (int i = 0; i < _runCount; i++)
            {
                ulong start = StartOf(i);
                ulong end = EndOf(i);
                count += start < end ? end - start : 0;
            }

            return count;
        }
    }

    /// <summary>The next frame, as its machine frame; it is then the one before <see cref="Next"/>.</summary>
    public ulong TakeMfn()
    {
        for (int i = 0; i < _runCount; i++)
        {
            ulong start = StartOf(i);
            if (start >= EndOf(i))
                continue;
            Next = new(start + 1);
            return _builderList[_runs[i].Mfn.Value + (start - _runs[i].Range.Start.Value)];
        }

        Panic.NoRoom("no RAM left for the probe's own tables"u8);
        return 0;
    }

    public ulong EntryOf(ulong page) => (TakeMfn() << Frames.Shift) | AddressSpace.Writable;

    public void Fill(ulong* entries, ulong page, int count)
    {
        for (int i = 0; i < count; i++)
            entries[i] = EntryOf(page + (ulong)i);
    }

    private readonly ulong StartOf(int run)
    {
        ulong start = _runs[run].Range.Start.Value;
        return start > Next.Value ? start : Next.Value;
    }

    /// <summary>0 where the run holds none of the pages that the guest starts with: firmware data, or pages that Xen is yet to give.</summary>
    private readonly ulong EndOf(int run)
    {
        P2mRun it = _runs[run];
        bool isOwn = it.Kind is P2mKind.Ram or P2mKind.Remapped && it.Mfn.Value < _builderPages && it.Range.Count <= _builderPages - it.Mfn.Value;
        return isOwn ? it.Range.End.Value : 0;
    }
}
