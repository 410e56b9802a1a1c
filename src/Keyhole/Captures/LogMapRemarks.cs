// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Captures;

/// <summary>What is worth saying of a map that was taken from a log: whose view it is, what of it is missing, which others there are.</summary>
internal static class LogMapRemarks
{
    private const ulong WorthMentionBytes = 1UL << 20;

    /// <summary>A map with less is a part of one.</summary>
    private const ulong LeastRamBytes = 16UL << 20;

    /// <summary>RAM that may follow the last of a few lines that are quoted: more changes no answer.</summary>
    private const ulong MostRamQuoted = 64UL << 30;

    /// <summary>Other maps of a log that are named in remarks; more are only counted.</summary>
    private const int MaxMapsNamed = 12;

    public static string Describe(LogMap map) => map.Kind switch
    {
        LogMapKind.XenFirmware => $"Xen's firmware map ({map.Title})",
        LogMapKind.LinuxFirmware => $"Linux's firmware map ({map.Title})",
        LogMapKind.Efi => $"EFI's descriptors ({map.Title})",
        LogMapKind.GuestKernel => $"map of a kernel under Xen ({map.Title})",
        LogMapKind.Dom0BuiltByXen => $"map that Xen built for dom0 ({map.Title})",
        LogMapKind.KernelEdited => $"map changed by the kernel ({map.Title})",
        LogMapKind.Iomem => "Linux's resources (/proc/iomem)",
    };

    /// <summary>Whether the kernel's buffer ran over and took the map's first entries. It cuts the line before the map, too.</summary>
    public static bool BeginsAmid(LogMap map) => map.Line <= 2 && map.Kind != LogMapKind.Iomem && map.Entries[0].Address != 0;

    public static ImmutableArray<Phrase> On(LogScan scan, LogMap taken)
    {
        ImmutableArray<Phrase>.Builder remarks = ImmutableArray.CreateBuilder<Phrase>();
        if (taken.Kind == LogMapKind.GuestKernel)
            remarks.Add("This is a guest kernel's view: RAM above its share is missing, what Xen adds is in; the "
                + "firmware's map stands in 'xl dmesg'");
        if (taken.Kind == LogMapKind.Iomem)
            remarks.Add("This is the kernel's view: it reserves the first page, and RAM is cut to whole pages; the "
                + "firmware's map stands in /sys/firmware/memmap");
        if (taken.Kind == LogMapKind.KernelEdited)
            remarks.Add("This map has been changed by the kernel or its command line");
        if (BeginsAmid(taken))
            remarks.Add($"The log begins with this map's entry at 0x{taken.Entries[0].Address:x}: entries before it may be lost, as "
                + $"when the kernel's buffer has run over");
        remarks.AddRange(MissingParts(scan, taken).Select(static text => (Phrase)text));
        if (taken is { Kind: LogMapKind.LinuxFirmware, Error: null })
            remarks.AddRange(CommandLineEffects.OnHost(scan, taken).Select(static text => (Phrase)text));
        return remarks.ToImmutable();
    }

    public static ImmutableArray<Phrase> OtherMaps(LogScan scan, LogMap taken)
    {
        var maps = ImmutableArray.CreateBuilder<Phrase>();
        for (int i = 0; i < scan.Maps.Length && maps.Count < MaxMapsNamed; i++)
        {
            LogMap other = scan.Maps[i];
            if (!ReferenceEquals(other, taken))
                maps.Add($"{Setting.MapNumber} {i + 1}: {Describe(other)}, line {other.Line}, {Entries(other.Entries.Length)}"
                    + $"{(other.Error is null ? "" : ", damaged")}");
        }

        return maps.ToImmutable();
    }

    /// <summary>What tells that the map in the log is not the whole one: lines left out, next to no RAM, or Xen's own count of it.</summary>
    private static IEnumerable<string> MissingParts(LogScan scan, LogMap map)
    {
        if (map.CutLine is { } cut)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Line {cut} leaves out a part of this map (\"...\"): what is missing there is not known; give the whole log");
        if (map.OpenLine is { } open)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Right after this map's last entry lines are left out (line {open}): whether the map goes on there is not to be seen");
        ulong ram = WholePagesOfRam(map);
        if (ram < LeastRamBytes)
            yield return $"This map has {(ram == 0 ? "no RAM" : $"only {ByteSize.ToText(ram)} of RAM")}: it is a part of a map, such as a few "
                + $"lines that somebody quotes, not a machine's";
        else if (map.CutLine is null && !BeginsAmid(map) && !HasLowRam(map))
            yield return "This map has no RAM below 1 MiB, where every PC has some: it is a part of a map, or lines of several machines";
        if (BeginsAmid(map) || CountedByXen(scan, map) is not { } counted)
            yield break;
        if (counted.Bytes > ram + WorthMentionBytes)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Xen counts {ByteSize.ToText(counted.Bytes)} of RAM (line {counted.Line}), this map has "
                    + $"{ByteSize.ToText(ram)}: a part of the map is missing");
        else if (counted.Bytes + WorthMentionBytes < ram)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Xen counts {ByteSize.ToText(counted.Bytes)} of RAM (line {counted.Line}), this map has {ByteSize.ToText(ram)}: "
                    + $"Xen leaves some of it unused, or the map is not the one of this boot");
    }

    /// <summary>Where entries of a firmware's map are known to be missing, or may be; empty where none are known to be.</summary>
    public static ImmutableArray<ByteRange> LostRanges(LogScan scan, LogMap map)
    {
        if (map.Kind is not (LogMapKind.XenFirmware or LogMapKind.LinuxFirmware or LogMapKind.Efi))
            return [];
        List<ByteRange> lost = [];
        if (BeginsAmid(map))
            lost.Add(ByteRange.FromBounds(0, map.Entries[0].Address));
        foreach (int behind in map.Cuts)
        {
            ulong before = map.Entries.Take(behind).Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();
            // Out of order nobody knows where the lines belong.
            if (before > map.Entries[behind].Address)
                return LostLines.AnyGapOf(map.Entries);
            lost.Add(ByteRange.FromBounds(before, map.Entries[behind].Address));
        }

        // A few lines that somebody quotes: everything else of the map is lost.
        if (lost.Count == 0 && (WholePagesOfRam(map) < LeastRamBytes || !HasLowRam(map)))
            return ByteRanges.Union(LostLines.GapsIn(ByteRange.FromBounds(0, ulong.Max(EndOf(map), Frames.FourGiB) + MostRamQuoted), map.Entries));
        if (lost.Count == 0 && CountedByXen(scan, map) is { } counted && counted.Bytes > WholePagesOfRam(map) + WorthMentionBytes)
            lost.AddRange(RoomFor(counted.Bytes - WholePagesOfRam(map), map));
        return ByteRanges.Union(lost.SelectMany(range => LostLines.GapsIn(range, map.Entries)));
    }

    private static ulong EndOf(LogMap map) =>
        map.Entries.Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();

    /// <summary>Kernels start their processors from there.</summary>
    private static bool HasLowRam(LogMap map) => map.Entries.Any(static entry => entry.IsRam && entry.Address < X86Layout.OneMiB);

    /// <summary>Where RAM of a size may be that no entry has: the gaps that are large enough, and what follows the last entry.</summary>
    private static IEnumerable<ByteRange> RoomFor(ulong bytes, LogMap map)
    {
        foreach (ByteRange gap in LostLines.AnyGapOf(map.Entries))
        {
            if (gap.SizeBytes >= bytes)
                yield return gap;
        }

        ulong end = EndOf(map);
        yield return ByteRange.FromBounds(end, ulong.Min(ulong.Max(end, Frames.FourGiB) + bytes, Frames.AddressLimit));
    }

    /// <summary>The RAM of a map of Xen's as Xen counts it; null where the log does not say it.</summary>
    private static (ulong Bytes, int Line)? CountedByXen(LogScan scan, LogMap map)
    {
        if (map.Kind != LogMapKind.XenFirmware || SystemRam(scan, map) is not { } line
            || Dom0Log.RamPages(line.Text.AsSpan()[(line.Text.IndexOf(':') + 1)..].Trim()) is not (> 0 and ulong pages))
            return null;
        // A line wrapped behind the MiB says them alone, rounded down.
        return (pages << Frames.Shift, line.Number);
    }

    private static ulong WholePagesOfRam(LogMap map)
    {
        ulong ram = 0;
        foreach (E820Entry entry in map.Entries)
        {
            if (entry.IsRam && entry.End <= Frames.AddressLimit)
                ram = Math.Min(ram + (entry.Size & ~Frames.OffsetMask), Frames.AddressLimit);
        }

        return ram;
    }

    /// <summary>Xen's line "System RAM:" behind the map, if it comes before the next boot's.</summary>
    private static LogLine? SystemRam(LogScan scan, LogMap map)
    {
        int next = scan.Maps.Where(other => other.Kind == LogMapKind.XenFirmware && other.Line > map.Line && !map.IsBeforeXensChanges)
            .Select(static other => other.Line).DefaultIfEmpty(int.MaxValue).Min();
        return scan.Lines.FirstOrDefault(line => line.Speaker == LogSpeaker.Xen && line.Number > map.Line && line.Number < next
            && line.Text.StartsWith("System RAM:", StringComparison.Ordinal));
    }

    private static string Entries(int count) => string.Create(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? "entry" : "entries")}");
}
