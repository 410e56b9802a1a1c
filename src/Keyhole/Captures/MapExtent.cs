// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Captures;

/// <summary>
/// How much of a map a log shows. The whole one has RAM below 1 MiB, where every PC has some, and one of these tells that it ends where it does: its
/// log goes on behind it (a line that Xen or a kernel has marked as its own, or one that is known); it reaches to where every PC's chipset has
/// addresses (0xfec00000) or beyond, as what 'grep' leaves does; the line above it is there and the source ends with it. Of a log that begins amid
/// its map what comes before is lost, of one that ends there what comes behind. Lines that are neither are what somebody has cut out: of everything
/// between and around them nothing is known.
/// </summary>
internal static class MapExtent
{
    public const ulong WorthMentionBytes = 1UL << 20;

    /// <summary>A map with less is a part of one.</summary>
    public const ulong LeastRamBytes = 16UL << 20;

    /// <summary>Interrupt controllers and flash: from there on up a PC has no RAM below 4 GiB, and firmware reserves a part of it.</summary>
    private const ulong ChipsetStart = X86Layout.UsualIoApic;

    /// <summary>Lines behind a map among which one that is known shows that its log goes on.</summary>
    private const int LinesBehind = 200;

    /// <summary>Whether the kernel's buffer ran over and took the map's first entries. It cuts the line before the map, too; where the map's own
    /// heading stands above the first entry none is lost (firmware's maps begin at 0x100, 0x400 or 0x1000, too).</summary>
    public static bool BeginsAmid(LogMap map) =>
        map is { Line: <= 2, IsTitled: false } && map.Kind != LogMapKind.Iomem && map.Entries[0].Address != 0;

    /// <summary>Whether it is that of a kernel which another one started after a crash (kexec): what crashkernel= kept for it, and nothing at 1 MiB,
    /// where every firmware's map has RAM.</summary>
    public static bool IsCrashKernels(LogMap map) => map.Kind == LogMapKind.LinuxFirmware && IsCrashKernels(map.Entries);

    /// <inheritdoc cref="IsCrashKernels(LogMap)"/>
    public static bool IsCrashKernels(Host host) => host.RamShown == RamShown.Part && IsCrashKernels(host.Entries);

    private static bool IsCrashKernels(ImmutableArray<E820Entry> entries) => HasLowRam(entries)
        && entries.Any(static entry => entry.IsRam && entry.Address > X86Layout.OneMiB)
        && !entries.Any(static entry => entry.IsRam && entry.Address <= X86Layout.OneMiB && entry.End > X86Layout.OneMiB);

    /// <summary>Kernels start their processors from there.</summary>
    public static bool HasLowRam(LogMap map) => HasLowRam(map.Entries);

    private static bool HasLowRam(ImmutableArray<E820Entry> entries) => entries.Any(static entry => entry.IsRam && entry.Address < X86Layout.OneMiB);

    /// <summary>Whether the map may go on behind the last entry that the log shows.</summary>
    public static bool IsEndOpen(LogScan scan, LogMap map) => map.IsFollowedByLog != true && (!HasLowRam(map)
        || !((map.IsTitled && map.IsFollowedByLog is null) || EndOf(map) >= ChipsetStart || IsFollowedByKnownLine(scan, map)));

    /// <summary>Whether the log ends with the map, and nothing but the line above it tells that it is whole: one that is cut there looks the
    /// same.</summary>
    public static bool EndsWithSource(LogScan scan, LogMap map) =>
        map.IsTitled && IsLastOf(scan, map) && HasLowRam(map) && EndOf(map) < ChipsetStart;

    /// <summary>Whether nothing of its log follows a map.</summary>
    public static bool IsLastOf(LogScan scan, LogMap map) => map is { Entries.IsEmpty: false, IsFollowedByLog: null, OpenLine: null }
        && map.IsMachines && !IsFollowedByKnownLine(scan, map);

    /// <summary>Where entries of a map are known to be missing, or may be; empty where none are known to be.</summary>
    public static ImmutableArray<ByteRange> LostRanges(LogScan scan, LogMap map)
    {
        ulong limit = scan.Traits.PhysicalAddressBits is > 32 and < 52 and { } bits ? 1UL << bits : Frames.AddressLimit;
        var behind = ByteRange.FromBounds(EndOf(map), ulong.Max(EndOf(map), limit));
        bool isEndOpen = IsEndOpen(scan, map);
        if (map.Cuts.IsEmpty && IsCutOut(map, isEndOpen))
            return ByteRanges.Union(LostLines.GapsIn(ByteRange.FromBounds(0, behind.End), map.Entries));
        if (!map.IsMachines)
            return [];
        List<ByteRange> lost = isEndOpen ? [behind] : [];
        if (BeginsAmid(map))
            lost.Add(ByteRange.FromBounds(0, map.Entries[0].Address));
        foreach (int cut in map.Cuts)
        {
            ulong before = map.Entries.Take(cut).Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();
            // Out of order nobody knows where the lines belong.
            if (before > map.Entries[cut].Address)
                return ByteRanges.Union([.. LostLines.AnyGapOf(map.Entries), .. lost]);
            lost.Add(ByteRange.FromBounds(before, map.Entries[cut].Address));
        }

        // Where the RAM may be that no entry has: the gaps that are large enough, and what follows the last entry.
        if (lost.Count == 0 && RamCount.OfXen(scan, map) is { } counted && counted.Bytes > WholePagesOfRam(map) + WorthMentionBytes)
            lost.AddRange([.. LostLines.AnyGapOf(map.Entries).Where(gap => gap.SizeBytes >= counted.Bytes - WholePagesOfRam(map)), behind]);
        return ByteRanges.Union(lost.SelectMany(range => LostLines.GapsIn(range, map.Entries)));
    }

    public static ulong WholePagesOfRam(LogMap map) => SortedMap.PagedRamOf(map.Entries.AsSpan());

    /// <summary>Whether a line that is known comes soon behind it: its log goes on.</summary>
    public static bool IsFollowedByKnownLine(LogScan scan, LogMap map) =>
        scan.Lines.Any(line => line.Number > map.EntryLines[^1] && line.Number <= map.EntryLines[^1] + LinesBehind);

    /// <summary>Whether a map is a few lines that somebody quotes.</summary>
    private static bool IsCutOut(LogMap map, bool isEndOpen) => isEndOpen ? !map.IsTitled || !HasLowRam(map)
        : !BeginsAmid(map) && (WholePagesOfRam(map) < LeastRamBytes || !HasLowRam(map));

    private static ulong EndOf(LogMap map) =>
        map.Entries.Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();
}
