// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Hosts;

/// <summary>
/// Lines that a host's source has lost: where in the map they stood is known, what they said is not. An answer holds if it is the same whatever
/// they said; so each is given for several readings of them, from all RAM to none, and what differs is not known.
/// </summary>
internal static class LostLines
{
    /// <summary>Ranges that are read apart: up to so many every mixture of RAM and reserved memory is tried.</summary>
    private const int MaxMixed = 3;

    /// <summary>libxl leaves out what starts at 1 MiB or below: the first page behind it that it does not.</summary>
    private const ulong BehindMainStart = X86Layout.OneMiB + Frames.SizeBytes;

    /// <summary>What a range is read as. Halves: of one that is cut in the middle.</summary>
    private enum Content
    {
        Nothing,
        Ram,
        Reserved,
        Nvs,
        RamThenReserved,
        ReservedThenRam,
        ReservedThenNothing,
        NothingThenReserved,
    }

    /// <summary>A range as people read it; of one that has no known end "…" stands for it.</summary>
    public static string Text(ByteRange range) =>
        range.End >= Frames.AddressLimit ? $"[0x{range.Start:x}, …)" : $"[0x{range.Start:x}, 0x{range.End:x})";

    /// <summary>All gaps below the last entry's end: where lines may be lost if nothing tells where they were.</summary>
    public static ImmutableArray<ByteRange> AnyGapOf(ImmutableArray<E820Entry> entries)
    {
        ulong end = entries.Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();
        return ByteRanges.Subtract([ByteRange.FromBounds(0, end)], Taken(entries));
    }

    /// <summary>A host's lost ranges where what follows its last entry is lost, too.</summary>
    public static ImmutableArray<ByteRange> WithOpenEnd(Host host)
    {
        ulong end = host.Entries.Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();
        return ByteRanges.Union([.. host.LostRanges, ByteRange.FromBounds(end, ulong.Max(end, Frames.AddressLimit))]);
    }

    /// <summary>What of a range no entry has.</summary>
    public static ImmutableArray<ByteRange> GapsIn(ByteRange range, ImmutableArray<E820Entry> entries) =>
        range.IsEmpty ? [] : ByteRanges.Subtract([range], Taken(entries));

    /// <summary>
    /// Hosts of which nothing is lost, one for each reading; the first has gaps where lines are lost. The others have RAM there, reserved memory,
    /// ACPI NVS, or RAM, reserved memory and gaps by turns: in halves of each range, or of the ranges.
    /// </summary>
    public static ImmutableArray<Host> Readings(Host host)
    {
        ArgumentNullException.ThrowIfNull(host);
        // What is below 4 GiB and what is above decide different things.
        var low = ByteRange.FromBounds(0, Frames.FourGiB);
        var high = ByteRange.FromBounds(Frames.FourGiB, ulong.MaxValue);
        ByteRange[] lost = [.. host.LostRanges.SelectMany(range => new[] { range.Intersect(low), range.Intersect(high) })
            .Where(static range => !range.IsEmpty)];
        IEnumerable<Host> readings = ContentsFor(lost.Length)
            .Select(contents => Read(host, lost.Zip(contents, Entries).SelectMany(static part => part)));
        return host.SeenInLostRanges.IsEmpty ? [.. readings]
            : [.. readings, Read(host, host.SeenInLostRanges.SelectMany(entry => lost.Select(range => range.Intersect(entry.Range))
                .Where(static part => !part.IsEmpty).Select(part => E820Entry.FromBounds(part.Start, part.End, entry.Type))))];
    }

    private static IEnumerable<Content[]> ContentsFor(int count)
    {
        foreach (Content content in Enum.GetValues<Content>())
            yield return [.. Enumerable.Repeat(content, count)];
        if (count <= MaxMixed)
        {
            for (int mixture = 1; mixture < (1 << count) - 1; mixture++)
                yield return [.. Enumerable.Range(0, count).Select(i => (mixture >> i & 1) != 0 ? Content.Ram : Content.Reserved)];
            yield break;
        }

        for (int split = 1; split <= MaxMixed; split++)
        {
            int at = count * split / (MaxMixed + 1);
            yield return [.. Enumerable.Range(0, count).Select(i => i < at ? Content.Ram : Content.Reserved)];
            yield return [.. Enumerable.Range(0, count).Select(i => i < at ? Content.Reserved : Content.Ram)];
        }
    }

    private static Host Read(Host host, IEnumerable<E820Entry> found)
    {
        List<E820Entry> entries = [.. host.Entries];
        foreach (E820Entry entry in found)
        {
            int behind = entries.FindIndex(other => other.Address >= entry.Address);
            entries.Insert(behind < 0 ? entries.Count : behind, entry);
        }

        return host with { Entries = [.. entries], LostRanges = [], SeenInLostRanges = [] };
    }

    private static (Content First, Content Second)? HalvesOf(Content content) => content switch
    {
        Content.RamThenReserved => (Content.Ram, Content.Reserved),
        Content.ReservedThenRam => (Content.Reserved, Content.Ram),
        Content.ReservedThenNothing => (Content.Reserved, Content.Nothing),
        Content.NothingThenReserved => (Content.Nothing, Content.Reserved),
        _ => null,
    };

    /// <summary>Between the video memory's start and 1 MiB no PC has RAM.</summary>
    private static IEnumerable<E820Entry> Entries(ByteRange range, Content content)
    {
        if (content == Content.Nothing)
            return [];
        if (HalvesOf(content) is (var first, var second))
        {
            ulong middle = ulong.Max(range.Start, Align.Down(range.Start + (range.SizeBytes / 2), Frames.SizeBytes));
            return Entries(ByteRange.FromBounds(range.Start, middle), first).Concat(Entries(ByteRange.FromBounds(middle, range.End), second));
        }

        E820Type type = content switch
        {
            Content.Reserved => E820Type.Reserved,
            Content.Nvs => E820Type.Nvs,
            _ => E820Type.Ram,
        };
        return new (ulong Start, ulong End, E820Type Type)[]
        {
            (0, X86Layout.IsaStart, type),
            (X86Layout.IsaStart, X86Layout.OneMiB, E820Type.Reserved),
            (content == Content.Ram ? X86Layout.OneMiB : BehindMainStart, Frames.AddressLimit, type),
        }
            .Select(part => (Range: ByteRange.FromBounds(part.Start, part.End).Intersect(range), part.Type))
            .Where(static part => !part.Range.IsEmpty)
            .Select(static part => E820Entry.FromBounds(part.Range.Start, part.Range.End, part.Type));
    }

    private static ImmutableArray<ByteRange> Taken(ImmutableArray<E820Entry> entries) =>
        ByteRanges.Union(entries.Where(static entry => !entry.Wraps).Select(static entry => entry.Range));
}
