// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Logs;

/// <summary>A map right behind whose last line another boot begins: lines of two boots that stand in one file in blocks. A kernel and Xen say more
/// behind a whole map.</summary>
internal static class BrokenMap
{
    /// <summary>The map, with an error where lines behind it may be its own: nobody can tell whose those of the next map are.</summary>
    /// <param name="all">All maps, by their first lines.</param>
    public static LogMap Settled(LogMap map, LogMap[] all, string sourceName)
    {
        if (map is not { Error: null, BrokenOffLine: { } line, IsBeforeXensChanges: false, Entries.IsEmpty: false }
            || map.Kind is not (LogMapKind.LinuxFirmware or LogMapKind.GuestKernel or LogMapKind.XenFirmware)
            || Array.Find(all, other => other.FirstLineIsBehind(line) && other.Kind == map.Kind && other.Domain == map.Domain) is not { } next)
            return map;
        ulong end = EndOf(map);
        // What filters a log leaves whole maps, the one right behind the other.
        bool isWhole = end >= X86Layout.UsualIoApic || EndOf(next) <= end;
        if (isWhole && IsInOrder(next))
            return map;
        return map with
        {
            Error = InputError.Malformed(sourceName, line,
                "another boot begins amid the map's lines: which of the lines that follow are whose is not to be seen",
                "give the log of one boot of one machine, its lines in their order: one console's file, or journalctl -b without -m"),
        };
    }

    private static bool FirstLineIsBehind(this LogMap map, int line) => map.Line >= line;

    private static ulong EndOf(LogMap map)
    {
        ulong end = 0;
        foreach (E820Entry entry in map.Entries)
            end = entry.Wraps ? end : Math.Max(end, entry.End);
        foreach (E820Entry entry in map.BehindDamage)
            end = entry.Wraps ? end : Math.Max(end, entry.End);
        return end;
    }

    private static bool IsInOrder(LogMap map)
    {
        for (int i = 1; i < map.Entries.Length; i++)
        {
            if (map.Entries[i].Address < map.Entries[i - 1].Address)
                return false;
        }

        return true;
    }
}
