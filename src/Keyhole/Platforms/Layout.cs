// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Platforms;

/// <summary>Says of every byte of a map why it is what it is.</summary>
internal static class Layout
{
    private const string HostsAlone = "nothing of the guest's; the host's map has an entry here that the guest does not see";
    private const string Nobodys = "nothing of the guest's, and nothing of the host's";

    /// <summary>Pieces in address order that join without a break from 0 to the end of the last entry or gap. Where entries overlap, the higher type
    /// wins, as in Linux; of two of one type the first.</summary>
    public static ImmutableArray<KeptRange> Of(ImmutableArray<PlannedEntry> entries, ImmutableArray<KeptRange> gaps,
        ImmutableArray<E820Entry> machineMap)
    {
        // Linux's own sorting lets the highest number win: each reason has one, from the weakest on.
        List<KeptRange> reasons = [];
        List<E820Entry> ranked = [];
        ulong end = 0;
        foreach (KeptRange gap in gaps.Reverse())
            Rank(gap.Range, null, gap.Why);
        foreach (PlannedEntry planned in entries.Reverse().OrderBy(static planned => planned.Entry.Type))
            Rank(planned.Entry.Range, planned.Entry.Type, planned.Why);
        foreach (E820Entry host in machineMap)
            ranked.Add(E820Entry.FromBounds(host.Range.Start, host.Range.End, RankOfHost));

        ImmutableArray<E820Entry> sorted = SortedMap.Of([.. ranked]);
        List<KeptRange> pieces = [];
        foreach (RangePiece piece in new RangeMap<E820Entry>(sorted.AsSpan()).Over(ByteRange.FromBounds(0, end)))
        {
            KeptRange reason = piece.IsGap ? new(0, 0, null, Nobodys)
                : sorted[piece.Index].Type == RankOfHost ? new(0, 0, null, HostsAlone)
                : reasons[(int)sorted[piece.Index].Type - FirstRank];
            if (pieces.Count > 0 && pieces[^1].Type == reason.Type && pieces[^1].Why == reason.Why)
                pieces[^1] = pieces[^1] with { End = piece.Range.End };
            else
                pieces.Add(reason with { Start = piece.Range.Start, End = piece.Range.End });
        }

        return [.. pieces];

        void Rank(ByteRange range, E820Type? type, string why)
        {
            ranked.Add(E820Entry.FromBounds(range.Start, range.End, (E820Type)(FirstRank + reasons.Count)));
            reasons.Add(new(range.Start, range.End, type, why));
            end = ulong.Max(end, range.IsEmpty ? 0 : range.End);
        }
    }

    private const E820Type RankOfHost = (E820Type)1;
    private const int FirstRank = 2;
}
