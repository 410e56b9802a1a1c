// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.E820;

namespace Keyhole.Platforms;

/// <summary>Says of every byte of a map why it is what it is.</summary>
internal static class Layout
{
    /// <summary>Pieces in address order that join without a break from 0 to the end of the last entry or gap. Where entries overlap, the higher type
    /// wins, as in Linux.</summary>
    public static ImmutableArray<KeptRange> Of(ImmutableArray<PlannedEntry> entries, ImmutableArray<KeptRange> gaps,
        ImmutableArray<E820Entry> machineMap)
    {
        SortedSet<ulong> edges = [0];
        foreach (PlannedEntry planned in entries)
            AddEdges(edges, planned.Entry.Address, planned.Entry.Wraps ? ulong.MaxValue : planned.Entry.End);
        foreach (KeptRange gap in gaps)
            AddEdges(edges, gap.Start, gap.End);
        foreach (E820Entry entry in machineMap)
        {
            // Only to tell where a gap lies over the host's memory: the end of the guest's map stays.
            if (!entry.Wraps && entry.End < edges.Max)
                AddEdges(edges, entry.Address, entry.End);
        }

        List<KeptRange> pieces = [];
        ulong start = 0;
        foreach (ulong end in edges)
        {
            if (end == start)
                continue;
            KeptRange piece = Explain(start, end, entries, gaps, machineMap);
            if (pieces.Count > 0 && pieces[^1].Type == piece.Type && pieces[^1].Why == piece.Why)
                pieces[^1] = pieces[^1] with { End = end };
            else
                pieces.Add(piece);
            start = end;
        }

        return [.. pieces];
    }

    private static void AddEdges(SortedSet<ulong> edges, ulong start, ulong end)
    {
        if (start >= end)
            return;
        edges.Add(start);
        edges.Add(end);
    }

    private static KeptRange Explain(ulong start, ulong end, ImmutableArray<PlannedEntry> entries, ImmutableArray<KeptRange> gaps,
        ImmutableArray<E820Entry> machineMap)
    {
        PlannedEntry? found = null;
        foreach (PlannedEntry planned in entries)
        {
            if (planned.Entry.Contains(start) && (found is not { } other || planned.Entry.Type > other.Entry.Type))
                found = planned;
        }

        if (found is { } entry)
            return new(start, end, entry.Entry.Type, entry.Why);
        foreach (KeptRange gap in gaps)
        {
            if (gap.Start <= start && gap.End > start)
                return new(start, end, null, gap.Why);
        }

        foreach (E820Entry host in machineMap)
        {
            if (host.Contains(start))
                return new(start, end, null, "nothing of the guest's; the host's map has an entry here that the guest does not see");
        }

        return new(start, end, null, "nothing of the guest's, and nothing of the host's");
    }
}
