// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>Looks at the guest's memory through its own page tables, after the setup.</summary>
internal static unsafe class PageChecks
{
    // An odd constant, so that neither a zeroed page nor a pfn by itself passes.
    private const ulong Pattern = 0x6b65_7968_6f6c_6501;
    private const int LastWord = 511;

    /// <summary>Writes each page's own number into it: first all, so that a page that stands for two is found when read.</summary>
    public static ulong Write(ReadOnlySpan<ulong> p2m, OwnFrames own)
    {
        Activity.Begin(Task.WritingPatterns);
        ulong pages = 0;
        for (int pfn = 0; pfn < p2m.Length; pfn++)
        {
            if (!FirmwareFrames.IsRam(p2m[pfn], (ulong)pfn) || own.Contains((ulong)pfn))
                continue;
            Activity.Subject = (ulong)pfn;
            ulong* page = (ulong*)AddressSpace.AddressOf((ulong)pfn);
            page[0] = Pattern ^ (ulong)pfn;
            page[LastWord] = ~(Pattern ^ (ulong)pfn);
            pages++;
        }

        return pages;
    }

    public static Check Read(ReadOnlySpan<ulong> p2m, OwnFrames own, ulong from)
    {
        Activity.Begin(Task.ReadingPatterns);
        var check = new Check();
        for (int pfn = (int)from; pfn < p2m.Length; pfn++)
        {
            if (!FirmwareFrames.IsRam(p2m[pfn], (ulong)pfn) || own.Contains((ulong)pfn))
                continue;
            Activity.Subject = (ulong)pfn;
            ulong* page = (ulong*)AddressSpace.AddressOf((ulong)pfn);
            if (page[0] == (Pattern ^ (ulong)pfn) && page[LastWord] == ~(Pattern ^ (ulong)pfn))
                check.Passed++;
            else
                check.Fail((ulong)pfn, p2m[pfn], page[0] ^ Pattern);
        }

        return check;
    }

    /// <summary>Xen's table names the same frame as the guest's: then no machine frame stands behind two of the guest's.</summary>
    public static Check MachineToPhysical(ReadOnlySpan<ulong> p2m)
    {
        Activity.Begin(Task.CheckingM2p);
        var check = new Check();
        for (int pfn = 0; pfn < p2m.Length; pfn++)
        {
            if (!FirmwareFrames.IsRam(p2m[pfn], (ulong)pfn))
                continue;
            Activity.Subject = (ulong)pfn;
            ulong found = default(RealXen).PfnOf(p2m[pfn]);
            if (found == (ulong)pfn)
                check.Passed++;
            else
                check.Fail((ulong)pfn, p2m[pfn], found);
        }

        return check;
    }

    /// <summary>
    /// Frames without a machine frame of the guest's are mapped nowhere or to themselves, at the probe's address and at the domain builder's.
    /// </summary>
    /// <param name="p2m">The list.</param>
    /// <param name="profile">linux-3.3 gives pages back that the domain builder mapped, and leaves them mapped there.</param>
    public static Check Holes(ReadOnlySpan<ulong> p2m, KernelProfile profile)
    {
        Activity.Begin(Task.CheckingHoles);
        var check = new Check();
        ulong end = (ulong)p2m.Length;
        bool isFirst = true;
        ulong builderEnd = profile.Displaced == DisplacedPages.Release ? 0 : FrameMapper.BuilderMappedEnd;
        for (ulong pfn = 0; pfn < end; pfn++)
        {
            if (P2mEntry.HasFrame(p2m[(int)pfn]))
            {
                isFirst = true;
                continue;
            }

            Activity.Subject = pfn;
            Judge(ref check, pfn, AddressSpace.EntryOf(pfn));
            if (pfn < builderEnd)
                Judge(ref check, pfn, AddressSpace.BuilderMapping(AddressSpace.BuilderBase + (pfn << Frames.Shift)));
            // One page of each hole is touched: a trap that does not come would show a stale translation.
            uint value = 0;
            if (isFirst && AddressSpace.EntryOf(pfn) == 0 && Native.TryRead(AddressSpace.AddressOf(pfn), &value))
                check.Fail(pfn, p2m[(int)pfn], value);
            isFirst = false;
        }

        return check;
    }

    /// <summary>Firmware data that was moved stands in the list where it was moved to; dom0, which alone uses it, can read it there.</summary>
    public static Check Firmware(ReadOnlySpan<ulong> p2m, bool isDom0)
    {
        var check = new Check();
        for (int i = 0; i < FirmwareFrames.Moved.Count; i++)
        {
            P2mRun run = FirmwareFrames.Moved.Get(i);
            for (ulong pfn = run.Range.Start.Value; pfn < run.Range.End.Value; pfn++)
            {
                Activity.Subject = pfn;
                ulong mfn = run.Mfn.Value + (pfn - run.Range.Start.Value);
                ulong entry = pfn < (ulong)p2m.Length ? p2m[(int)pfn] : P2mEntry.Invalid;
                if (entry == mfn && (!isDom0 || IsReadable(pfn, mfn)))
                    check.Passed++;
                else
                    check.Fail(pfn, mfn, entry);
            }
        }

        return check;
    }

    /// <summary>The list is what the forecast says, kind by kind.</summary>
    public static Check Forecast(ReadOnlySpan<ulong> p2m, in P2mRuns forecast)
    {
        var check = new Check();
        foreach (P2mRun run in forecast.Runs)
        {
            PfnRange part = run.Range.Intersect(PfnRange.FromBounds(default, new Pfn((ulong)p2m.Length)));
            for (ulong pfn = part.Start.Value; pfn < part.End.Value; pfn++)
            {
                ulong entry = p2m[(int)pfn];
                bool agrees = run.Kind == P2mKind.Identity ? entry == (pfn | P2mEntry.IdentityBit) :
                    run.Kind == P2mKind.Invalid ? entry == P2mEntry.Invalid : P2mEntry.HasFrame(entry);
                if (agrees)
                    check.Passed++;
                else
                    check.Fail(pfn, entry, (ulong)run.Kind);
            }
        }

        return check;
    }

    private static bool IsReadable(ulong pfn, ulong mfn)
    {
        uint value = 0;
        return AddressSpace.MapOne(pfn, (mfn << Frames.Shift) | AddressSpace.ReadOnly) == 0 && Native.TryRead(AddressSpace.AddressOf(pfn), &value);
    }

    private static void Judge(ref Check check, ulong pfn, ulong entry)
    {
        ulong mfn = (entry & AddressSpace.FrameMask) >> Frames.Shift;
        if ((entry & 1) == 0 || mfn == pfn)
            check.Passed++;
        else
            check.Fail(pfn, mfn, entry);
    }
}

/// <summary>The frames that the probe itself lives in: its image with what the domain builder placed, and its tables.</summary>
internal readonly struct OwnFrames
{
    private readonly PfnRange _image;
    private readonly PfnRange _tables;

    public OwnFrames(PfnRange image, PfnRange tables)
    {
        _image = image;
        _tables = tables;
    }

    public ulong Count => _image.Count + _tables.Count;

    public bool Contains(ulong pfn) => _image.Contains(new Pfn(pfn)) || _tables.Contains(new Pfn(pfn));
}
