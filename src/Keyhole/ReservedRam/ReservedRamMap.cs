// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>One range of a host's resource map.</summary>
public readonly record struct ReservedRamEntry(ByteRange Range, ReservedRamType Type);

/// <summary>A resource that does not come from the E820 map (a PNP device, a ROM) and is given as it stands in /proc/iomem.</summary>
public sealed record GivenResource(ByteRange Range, string Name);

/// <summary>The resource map of a host whose kernel uses RAM from a physical start on: what it keeps aside below, what failed, what is its
/// own.</summary>
public sealed class ReservedRamMap
{
    private ReservedRamMap(ulong start, ImmutableArray<ReservedRamEntry> entries)
    {
        Start = start;
        Entries = entries;
        Kept = Of(ReservedRamType.ReservedRam);
        Failed = Of(ReservedRamType.Failed);
        HostRam = Of(ReservedRamType.Ram);
    }

    /// <summary>The lowest address that the host's kernel uses.</summary>
    public ulong Start { get; }

    /// <summary>Sorted and without overlaps.</summary>
    public ImmutableArray<ReservedRamEntry> Entries { get; }

    /// <summary>RAM kept aside, in bytes: it may begin and end inside a page.</summary>
    public ImmutableArray<ByteRange> Kept { get; }

    /// <summary>RAM below the start that the kernel could not promise to leave alone, in bytes.</summary>
    public ImmutableArray<ByteRange> Failed { get; }

    /// <summary>RAM of the host, in bytes.</summary>
    public ImmutableArray<ByteRange> HostRam { get; }

    /// <param name="firmware">The firmware's map in any order; overlaps are settled as Linux does, the highest type wins.</param>
    /// <param name="start">The physical start; the map is split there.</param>
    /// <param name="early">What below the start is not left alone. Above it, and where there is no RAM, they change nothing.</param>
    public static ReservedRamMap Of(ImmutableArray<E820Entry> firmware, ulong start, ImmutableArray<EarlyReservation> early)
    {
        Given.Array(firmware, nameof(firmware));
        Given.Array(early, nameof(early));
        return Of(firmware, start, start == 0 ? [] : [ByteRange.FromBounds(0, start)], early);
    }

    /// <summary>The same for RAM that is kept in any places.</summary>
    /// <param name="firmware">The firmware's map in any order; overlaps are settled as Linux does, the highest type wins.</param>
    /// <param name="kept">What is kept aside: sorted, without overlaps.</param>
    /// <param name="early">What of it is not left alone. Elsewhere, and where there is no RAM, they change nothing.</param>
    public static ReservedRamMap OfRanges(ImmutableArray<E820Entry> firmware, ImmutableArray<ByteRange> kept, ImmutableArray<EarlyReservation> early)
    {
        Given.Array(firmware, nameof(firmware));
        Given.Array(kept, nameof(kept));
        Given.Array(early, nameof(early));
        return Of(firmware, 0, kept, early);
    }

    private static ReservedRamMap Of(
        ImmutableArray<E820Entry> firmware, ulong start, ImmutableArray<ByteRange> kept, ImmutableArray<EarlyReservation> early)
    {
        ImmutableArray<ByteRange> touched = ByteRanges.Union(early.Select(static reservation => reservation.Range));
        List<E820Entry> entries = [];
        foreach (E820Entry entry in firmware)
        {
            if (entry.Type == E820Type.None || entry.Size == 0 || entry.Wraps)
                continue;
            if (!entry.IsRam)
            {
                entries.Add(entry.WithType((E820Type)ReservedRamTypes.Of(entry.Type)));
                continue;
            }

            ImmutableArray<ByteRange> whole = [ByteRange.FromBounds(entry.Address, entry.End)];
            ImmutableArray<ByteRange> aside = ByteRanges.Intersect(whole, kept);
            foreach (ByteRange range in aside)
                Add(entries, range, ReservedRamType.ReservedRam);
            foreach (ByteRange range in ByteRanges.Subtract(whole, kept))
                Add(entries, range, ReservedRamType.Ram);
            foreach (ByteRange failed in ByteRanges.Intersect(touched, aside))
                Add(entries, failed, ReservedRamType.Failed);
        }

        return new(start, Sanitize(entries));
    }

    /// <summary>
    /// The map as /proc/iomem shows it. Given resources stand where they belong: beside the map's own, or two blanks deeper inside the one that holds
    /// them.
    /// </summary>
    public string ToIomem(ImmutableArray<GivenResource> given)
    {
        IEnumerable<(ByteRange Range, string Text)> lines = Entries
            .Select(static entry => (entry.Range, Line(entry.Range, ReservedRamTypes.NameOf(entry.Type))))
            .Concat(given.Select(resource => (resource.Range, Indent(resource.Range) + Line(resource.Range, resource.Name))));
        var text = new StringBuilder();
        foreach ((_, string line) in lines.OrderBy(static line => line.Range.Start).ThenByDescending(static line => line.Range.End))
            text.Append(line);
        return text.ToString();

        string Indent(ByteRange range) => Entries.Any(entry => entry.Range.Start <= range.Start && range.End <= entry.Range.End) ? "  " : "";
    }

    internal static string Line(ByteRange range, string name) => $"{range.Start:x8}-{range.End - 1:x8} : {name}\n";

    private ImmutableArray<ByteRange> Of(ReservedRamType type) => [.. Entries.Where(entry => entry.Type == type).Select(static entry => entry.Range)];

    private static void Add(List<E820Entry> entries, ByteRange range, ReservedRamType type)
    {
        if (!range.IsEmpty)
            entries.Add(E820Entry.FromSize(range.Start, range.SizeBytes, (E820Type)type));
    }

    private static ImmutableArray<ReservedRamEntry> Sanitize(List<E820Entry> entries)
    {
        ImmutableArray<E820Entry> settled = SortedMap.Of([.. entries]);
        var map = ImmutableArray.CreateBuilder<ReservedRamEntry>(settled.Length);
        foreach (E820Entry entry in settled)
            map.Add(new(ByteRange.FromBounds(entry.Address, entry.End), (ReservedRamType)entry.Type));
        return map.MoveToImmutable();
    }
}
