// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Numerics;
using Keyhole.Addresses;
using Keyhole.PvGuest;
using Keyhole.Simulation;

namespace Keyhole.Migration;

/// <summary>The machine frames behind a guest: taken from a simulated host, and given back.</summary>
internal static class GuestFrames
{
    /// <summary>The largest piece in which frames are taken: 1 GiB.</summary>
    public const int MaxOrder = 18;

    /// <summary>The forecast's frames are the pfns that the guest started with; the machine knows which mfns those had, and is told where they
    /// are now.</summary>
    public static void AddWithMachineFrames(SimulatedXen machine, SimulatedDomain domain, P2mRun run, List<P2mRun> runs)
    {
        if (run.Kind is not (P2mKind.Ram or P2mKind.Remapped))
        {
            runs.Add(run);
            return;
        }

        if (run.Mfn.Value >= P2mRun.UnknownMfn)
        {
            Populate(machine, domain, run.Range, runs);
            return;
        }

        ulong first = run.Mfn.Value;
        foreach (FrameRun initial in domain.InitialP2M)
        {
            PfnRange part = PfnRange.FromCount(initial.Pfn, initial.Count).Intersect(PfnRange.FromCount(new Pfn(first), run.Range.Count));
            if (part.IsEmpty)
                continue;
            Pfn pfn = run.Range.Start.Plus(part.Start.Value - first);
            Mfn mfn = initial.Mfn.Plus(part.Start.Value - initial.Pfn.Value);
            if (pfn != part.Start)
                machine.Assign(domain, mfn.Value, part.Count, pfn.Value);
            runs.Add(new(PfnRange.FromCount(pfn, part.Count), P2mKind.Ram, mfn));
        }
    }

    /// <summary>Frames for a range, in pieces as large as the machine has them: what it costs goes with the pieces, not with the pages.</summary>
    public static bool Populate(SimulatedXen machine, SimulatedDomain domain, PfnRange range, List<P2mRun> runs)
    {
        ulong done = 0;
        while (done < range.Count)
        {
            int order = int.Min(MaxOrder, BitOperations.Log2(range.Count - done));
            ulong mfn = 0;
            while (order >= 0 && !machine.TryTake(order, out mfn))
                order--;
            if (order < 0)
            {
                runs.Add(new(PfnRange.FromBounds(range.Start.Plus(done), range.End), P2mKind.Invalid, default));
                return false;
            }

            ulong count = 1UL << order;
            machine.Assign(domain, mfn, count, range.Start.Value + done);
            domain.CurrentPages += count;
            runs.Add(new(PfnRange.FromCount(range.Start.Plus(done), count), P2mKind.Ram, new Mfn(mfn)));
            done += count;
        }

        return true;
    }

    public static void GiveBackUnlisted(SimulatedXen machine, SimulatedDomain domain, List<P2mRun> runs)
    {
        ByteRange[] listed = [.. runs.Where(static run => run.Kind == P2mKind.Ram)
            .Select(static run => Bytes(run.Mfn, run.Range.Count)).OrderBy(static range => range.Start)];
        int next = 0;
        foreach (FrameRun initial in domain.InitialP2M.OrderBy(static run => run.Mfn.Value))
        {
            ByteRange whole = Bytes(initial.Mfn, initial.Count);
            while (next < listed.Length && listed[next].End <= whole.Start)
                next++;
            foreach (RangePiece piece in new RangeMap<ByteRange>(listed.AsSpan(next)).Over(whole))
            {
                if (piece.IsGap)
                    GiveBack(machine, domain, piece.Range.Start >> Frames.Shift, piece.Range.SizeBytes >> Frames.Shift);
            }
        }
    }

    private static ByteRange Bytes(Mfn start, ulong count) => ByteRange.FromSize(start.Value << Frames.Shift, count << Frames.Shift);

    private static void GiveBack(SimulatedXen machine, SimulatedDomain domain, ulong mfn, ulong count)
    {
        machine.GiveBack(mfn, count);
        domain.CurrentPages -= count;
    }

    /// <summary>Frames with RAM behind them, whichever machine frames those are.</summary>
    public static List<PfnRange> MemoryOf(ImmutableArray<P2mRun> runs)
    {
        List<PfnRange> memory = [];
        foreach (P2mRun run in runs)
        {
            if (run.Kind != P2mKind.Ram)
                continue;
            if (memory.Count > 0 && memory[^1].End == run.Range.Start)
                memory[^1] = PfnRange.FromBounds(memory[^1].Start, run.Range.End);
            else
                memory.Add(run.Range);
        }

        return memory;
    }

    /// <summary>Calls of populate_physmap: one for each aligned 2 MiB, one for each page of the rest.</summary>
    public static ulong CallsFor(PfnRange range)
    {
        ulong first = (range.Start.Value + Migrator.EntriesPerP2mPage - 1) / Migrator.EntriesPerP2mPage;
        ulong end = range.End.Value / Migrator.EntriesPerP2mPage;
        return end <= first ? range.Count : end - first + (range.Count - ((end - first) * Migrator.EntriesPerP2mPage));
    }
}
