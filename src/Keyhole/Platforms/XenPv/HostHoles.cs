// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>Where a host has no memory: what several policies start from.</summary>
internal static class HostHoles
{
    private const ulong TwoMiB = X86Layout.LargePageBytes;

    /// <summary>Everything above 1 MiB that is not the host's memory: its other entries, and the gaps between them. The first MiB is the guest's
    /// own.</summary>
    public static ImmutableArray<KeptRange> Of(ImmutableArray<E820Entry> machineMap)
    {
        ImmutableArray<E820Entry> sorted = SortedMap.Of(machineMap.AsSpan());
        var holes = ImmutableArray.CreateBuilder<KeptRange>();
        // Below 4 GiB there may be devices behind the last entry as well.
        foreach (RangePiece piece in new RangeMap<E820Entry>(sorted.AsSpan()).Over(ByteRange.FromBounds(X86Layout.OneMiB, EndOf(machineMap))))
        {
            if (piece.IsGap)
                holes.Add(new(piece.Range.Start, piece.Range.End, null, "a gap of the host's"));
            else if (sorted[piece.Index] is var entry && !SortedMap.IsMemory(entry))
                holes.Add(new(piece.Range.Start, piece.Range.End, entry.Type, $"the host's: {E820TypeNames.Describe(entry.Type)}"));
        }

        return holes.ToImmutable();
    }

    /// <summary>Where the host's map ends, at least 4 GiB.</summary>
    public static ulong EndOf(ImmutableArray<E820Entry> machineMap)
    {
        Given.Array(machineMap, nameof(machineMap));
        ulong end = Frames.FourGiB;
        foreach (E820Entry entry in machineMap)
        {
            if (!entry.Wraps && entry.Size != 0)
                end = Math.Max(end, entry.End);
        }

        return end;
    }

    /// <summary>
    /// Where the hole of a host starts that is to hold its PCI devices: behind its last memory below 4 GiB, or at a window that lies lower. Where no
    /// window is known, at a gap of <see cref="X86Layout.SmallestPciGapBytes"/> or more amid the memory, if there is one. Regions that the firmware
    /// keeps amid the memory do not count. A page boundary; 4 GiB where memory reaches there.
    /// </summary>
    public static ulong StartOfPciHole(ImmutableArray<E820Entry> machineMap, ImmutableArray<Bar> bars)
    {
        Given.Array(machineMap, nameof(machineMap));
        Given.Array(bars, nameof(bars));
        ImmutableArray<E820Entry> sorted = SortedMap.Of(machineMap.AsSpan());
        ulong start = EndOfMemory(sorted);
        bool isKnown = false;
        foreach (Bar bar in bars)
        {
            if (bar.Kind == BarKind.BridgeWindow)
                continue;
            isKnown = true;
            start = Math.Min(start, bar.Start);
        }

        if (!isKnown)
        {
            foreach (ByteRange gap in GapsAmid(sorted, start))
                start = Math.Min(start, gap.Start);
        }

        return Pfn.Containing(start).ToAddress();
    }

    /// <summary>
    /// Where below 4 GiB a device may be of which nothing is known: in the gaps of <see cref="X86Layout.SmallestPciGapBytes"/> or more amid the
    /// host's memory, and behind the last of it wherever the host's map has a gap or a reserved region. Ascending; bytes.
    /// </summary>
    public static ImmutableArray<ByteRange> DevicePlaces(ImmutableArray<E820Entry> machineMap)
    {
        ImmutableArray<E820Entry> sorted = SortedMap.Of(machineMap.AsSpan());
        ulong end = Math.Max(EndOfMemory(sorted), X86Layout.OneMiB);
        List<ByteRange> places = GapsAmid(sorted, end);
        E820Entry[] taken = [.. sorted.Where(static entry => entry.Type != E820Type.Reserved)];
        foreach (RangePiece piece in new RangeMap<E820Entry>(taken).Over(ByteRange.FromBounds(end, Frames.FourGiB)))
        {
            if (piece.IsGap)
                places.Add(piece.Range);
        }

        return [.. places];
    }

    /// <summary>The end of a host's last memory below 4 GiB; 0 where it has none.</summary>
    private static ulong EndOfMemory(ImmutableArray<E820Entry> sorted)
    {
        ulong end = 0;
        foreach (E820Entry entry in sorted)
        {
            if (SortedMap.IsMemory(entry) && entry.Address < Frames.FourGiB)
                end = Math.Max(end, Math.Min(entry.End, Frames.FourGiB));
        }

        return end;
    }

    private static List<ByteRange> GapsAmid(ImmutableArray<E820Entry> sorted, ulong endOfMemory)
    {
        List<ByteRange> gaps = [];
        foreach (RangePiece piece in new RangeMap<E820Entry>(sorted.AsSpan()).Over(ByteRange.FromBounds(X86Layout.OneMiB, endOfMemory)))
        {
            if (piece.IsGap && piece.Range.SizeBytes >= X86Layout.SmallestPciGapBytes)
                gaps.Add(piece.Range);
        }

        return gaps;
    }

    /// <summary>
    /// A start to recommend for a hole that is to suit several hosts, in bytes: the multiple of 2 MiB at or below <paramref name="start"/>. A page of
    /// Linux's list of frames covers 2 MiB; a hole that shares one with RAM comes out of a migration INVALID, whole pages of holes stay.
    /// </summary>
    public static ulong RecommendedStart(ulong start) => Align.Down(start, TwoMiB);

    /// <summary>Windows behind the host's map, where RAM that finds no other place would go.</summary>
    internal static IEnumerable<KeptRange> BarsBehind(PolicyInput input)
    {
        ulong end = EndOf(input.MachineMap);
        foreach (Bar bar in input.Bars)
        {
            if (bar.End > end)
                yield return new(Math.Max(bar.Start, end), bar.End, null, "a window of the guest's device");
        }
    }

    /// <summary>The holes without the part of them where the kernel must lie, which RAM covers unless a device of the guest needs it.</summary>
    internal static List<KeptRange> OffTheKernel(IEnumerable<KeptRange> holes, ImmutableArray<Bar> bars, List<Problem> problems)
    {
        List<KeptRange> kept = [];
        foreach (KeptRange hole in holes)
            Keep(hole, bars, kept, problems);
        return kept;
    }

    private static void Keep(KeptRange hole, ImmutableArray<Bar> bars, List<KeptRange> kept, List<Problem> problems)
    {
        ByteRange needed = hole.Range.Intersect(ByteRange.FromBounds(LinuxPvKernel.LoadAddress, LinuxPvKernel.EndOfNeed));
        (ulong start, ulong end) = (needed.Start, needed.End);
        if (needed.IsEmpty)
        {
            kept.Add(hole);
            return;
        }

        string what = hole.Type is { } type ? $"{E820TypeNames.NameOf(type)} region" : "gap";
        foreach (Bar bar in bars)
        {
            if (!bar.Range.Overlaps(needed))
                continue;
            problems.Add(new(
                Severity.Error,
                ProblemCodes.KernelNotOnRam,
                $"no layout helps: the {what} at 0x{hole.Start:x} holds a window of the guest's device at 0x{bar.Start:x}, "
                    + $"and a Linux PV kernel must be there",
                start,
                end,
                "have the firmware place the device elsewhere (\"above 4G decoding\"), or link the kernel elsewhere (CONFIG_PHYSICAL_START)"));
            kept.Add(hole);
            return;
        }

        problems.Add(new(
            Severity.Info,
            ProblemCodes.HoleCovered,
            $"the host's {what} at 0x{hole.Start:x} is where a Linux PV kernel must be; RAM covers it, since no device of the guest needs it",
            start,
            end));
        if (hole.Start < start)
            kept.Add(hole with { End = start });
        if (hole.End > end)
            kept.Add(hole with { Start = end });
    }
}
