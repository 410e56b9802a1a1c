// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>The lines of a log that the Linux of one boot says: what it tells of its machine is told of no other's.</summary>
/// <param name="First">Its first line.</param>
/// <param name="End">The first line behind it.</param>
internal readonly record struct LinuxStretch(int First, int End)
{
    private static readonly LinuxStretch s_all = new(0, int.MaxValue);

    /// <summary>The boot that a map belongs to: the one that printed it, and for Xen's the one of the dom0 that the log shows; null where it shows
    /// none. The whole log for a map that no boot prints.</summary>
    public static LinuxStretch? Of(LogScan scan, BootsInLog boots, LogMap map)
    {
        if (map.Kind is LogMapKind.Iomem or LogMapKind.Dom0BuiltByXen or LogMapKind.Tboot || map.Domain is not null)
            return s_all;
        if (map.Kind != LogMapKind.XenFirmware)
            return Around(scan, boots.All, map.Line);
        ObservedBoot? dom0 = boots.Dom0Around(map);
        if (dom0 is null || !IsShown(scan, dom0, map))
            dom0 = boots.All.FirstOrDefault(boot => Dom0Evidence.IsDom0Elsewhere(boot, map, scan));
        return (dom0?.Release?.Line ?? dom0?.Map?.Line) is { } line ? Around(scan, boots.All, line) : null;
    }

    public bool Holds(int line) => line >= First && line < End;

    /// <summary>The windows of the host's bridges: what <c>/proc/iomem</c> lists bears no boot's mark.</summary>
    public static ImmutableArray<RootWindow> WindowsOf(LogScan scan, LinuxStretch? stretch) =>
        [.. scan.RootWindows.Where(seen => seen.Line is not { } line || stretch?.Holds(line) == true).Select(static seen => seen.Window)
            .Distinct().Take(RootWindow.MaxCount)];

    private static bool IsShown(LogScan scan, ObservedBoot dom0, LogMap machine) =>
        (dom0.Map is { } own && (Dom0Evidence.GoesOnBehind(dom0, own) || Dom0Evidence.KeepsOf(machine, own)))
        || scan.Maps.Any(map => map.Kind == LogMapKind.Dom0BuiltByXen && map.Line > machine.Line && map.Line <= dom0.LastLine);

    private static LinuxStretch Around(LogScan scan, ImmutableArray<ObservedBoot> boots, int line)
    {
        int[] starts = [.. Starts(scan, boots)];
        return new(starts.Where(start => start <= line).DefaultIfEmpty(0).Max(),
            starts.Where(start => start > line).DefaultIfEmpty(int.MaxValue).Min());
    }

    /// <summary>Where a boot begins: a Linux or a Xen names itself, or a second map comes. What a real console says again is none.</summary>
    private static IEnumerable<int> Starts(LogScan scan, ImmutableArray<ObservedBoot> boots)
    {
        HashSet<int> releases = [.. boots.Select(static boot => boot.Release?.Line ?? 0)];
        SortedSet<int> starts =
        [
            .. scan.Lines.Where(line => line.Domain is null && (line.Speaker == LogSpeaker.Xen
                ? line.Text.StartsWith("Xen version", StringComparison.Ordinal) : releases.Contains(line.Number)))
                .Select(static line => line.Number),
            .. scan.Maps.Where(static map => map.Kind == LogMapKind.XenFirmware).Select(static map => map.Line),
        ];
        LogMap? before = null;
        foreach (LogMap map in scan.Maps.Where(static map => map is { Kind: LogMapKind.LinuxFirmware or LogMapKind.GuestKernel, Domain: null }))
        {
            bool isNext = before is null
                ? scan.Maps.Any(other => other.Kind == LogMapKind.XenFirmware && other.Line < map.Line)
                : !before.Entries.SequenceEqual(map.Entries) && !map.GoesOnWith(before);
            if (isNext && !starts.Any(start => start > (before?.Line ?? 0) && start <= map.Line && releases.Contains(start)))
                starts.Add(map.Line);
            before = map;
        }

        return starts;
    }
}
