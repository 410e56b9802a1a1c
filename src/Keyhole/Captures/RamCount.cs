// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Logs;

namespace Keyhole.Captures;

/// <summary>How much RAM a log says that its host has, beside the map.</summary>
internal static class RamCount
{
    /// <summary>
    /// Xen's "System RAM:", or what a Linux on the bare machine counts in "Memory: …K/…K available", which leaves out parts of pages; null where the
    /// log does not say it, or where the kernel has changed the map before it counted.
    /// </summary>
    public static ulong? Of(LogScan scan, LogMap map)
    {
        if (OfXen(scan, map) is { } counted)
            return counted.Bytes;
        if (map.Kind is not (LogMapKind.LinuxFirmware or LogMapKind.Efi))
            return null;
        int next = scan.Maps.Where(other => other.Kind == map.Kind && other.Line > map.EntryLines[^1]).Select(static other => other.Line)
            .DefaultIfEmpty(int.MaxValue).Min();
        if (scan.Maps.Any(other => other.Kind is LogMapKind.KernelEdited or LogMapKind.GuestKernel && other.Line > map.Line && other.Line < next))
            return null;
        foreach (LogLine line in scan.Lines)
        {
            if (line is { Speaker: LogSpeaker.Kernel, Domain: null } && line.Number > map.EntryLines[^1] && line.Number < next
                && KernelMessage.Parse(line.Text) is { Kind: KernelMessageKind.Memory } message)
                return message.TotalKiB << 10;
        }

        return null;
    }

    /// <summary>The RAM of a map of Xen's as Xen counts it; null where the log does not say it.</summary>
    public static (ulong Bytes, int Line)? OfXen(LogScan scan, LogMap map)
    {
        if (map.Kind != LogMapKind.XenFirmware || SystemRam(scan, map) is not { } line
            || Dom0Log.RamPages(line.Text.AsSpan()[(line.Text.IndexOf(':') + 1)..].Trim()) is not (> 0 and ulong pages))
            return null;
        // A line wrapped behind the MiB says them alone, rounded down.
        return (pages << Frames.Shift, line.Number);
    }

    /// <summary>
    /// From where on Xen takes no RAM, and the line that says so: its own mem= or availmem=, or what it can reach. Xen says it before it prints the
    /// map, in which that RAM is unusable; null where it says nothing.
    /// </summary>
    /// <remarks>Source: Xen's arch/x86/e820.c (init_e820, clip_to_limit), 4.0 to 4.19.</remarks>
    public static (ulong Bytes, int Line)? LimitOfXen(LogScan scan, LogMap map)
    {
        if (map.Kind != LogMapKind.XenFirmware)
            return null;
        int before = scan.Maps.Where(other => other.Kind == LogMapKind.XenFirmware && other.Line < map.Line)
            .Select(static other => other.Line).DefaultIfEmpty(0).Max();
        LogLine? said = scan.Lines.LastOrDefault(line => line.Speaker == LogSpeaker.Xen && line.Number > before && line.Number < map.Line
            && line.Text.StartsWith(Vocabulary.Truncating, StringComparison.Ordinal));
        string[] words = said?.Text.Split("kB") ?? [];
        return words is [_, var to, ..] && to.StartsWith(" to ", StringComparison.Ordinal)
            && ulong.TryParse(to.AsSpan()[" to ".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out ulong kib)
            && kib <= Frames.AddressLimit >> 10 ? (kib << 10, said!.Number) : null;
    }

    private static LogLine? SystemRam(LogScan scan, LogMap map) => XensLine(scan, map, "System RAM:");

    /// <summary>The first line of Xen's that begins so behind the map, if it comes before the next boot's.</summary>
    public static LogLine? XensLine(LogScan scan, LogMap map, string words)
    {
        int next = scan.Maps.Where(other => other.Kind == LogMapKind.XenFirmware && other.Line > map.Line && !map.IsBeforeXensChanges)
            .Select(static other => other.Line).DefaultIfEmpty(int.MaxValue).Min();
        return scan.Lines.FirstOrDefault(line => line.Speaker == LogSpeaker.Xen && line.Number > map.Line && line.Number < next
            && line.Text.StartsWith(words, StringComparison.Ordinal));
    }

    /// <summary>What Xen says of the host's IOMMU: whether it uses one, and where that stands. Null where it says nothing, or, beside a map that is
    /// not its own, now this and now that.</summary>
    public static (bool IsUsed, LogLine Line)? XensIommu(LogScan scan, LogMap map)
    {
        LogLine? none, used;
        if (map.Kind == LogMapKind.XenFirmware)
        {
            (none, used) = (XensLine(scan, map, Vocabulary.NoIommu), XensLine(scan, map, Vocabulary.IommuInUse));
            return none is not null ? (false, none) : used is not null ? (true, used) : null;
        }

        // Of a bare Linux' map Xen's lines are of another boot.
        if (map is not { Kind: LogMapKind.GuestKernel or LogMapKind.Dom0BuiltByXen or LogMapKind.Iomem, Domain: null }
            || scan.Boots.OwnerOf(map) == BootOwner.Guest)
            return null;
        (none, used) = (Any(Vocabulary.NoIommu), Any(Vocabulary.IommuInUse));
        return none is not null ? used is null ? (false, none) : null : used is not null ? (true, used) : null;

        LogLine? Any(string words) => scan.Lines.FirstOrDefault(line =>
            line.Speaker == LogSpeaker.Xen && line.Text.StartsWith(words, StringComparison.Ordinal));
    }
}
