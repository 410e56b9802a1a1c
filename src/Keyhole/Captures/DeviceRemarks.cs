// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>What a host's log says of its firmware's faults that guests with devices suffer from: windows of host bridges that Linux drops, windows
/// over RAM, ACPI tables that Xen leaves out of a PVH dom0's.</summary>
internal static class DeviceRemarks
{
    /// <summary>Of each kind; more are the same fault.</summary>
    private const int MaxOfAKind = 8;

    public static IEnumerable<string> On(LogScan scan, LogMap taken)
    {
        if (taken.Kind is not (LogMapKind.XenFirmware or LogMapKind.LinuxFirmware))
            return [];
        LinuxStretch? linux = scan.Boots.LinuxOf(taken);
        return [.. LeftOutTables(scan, taken).Take(MaxOfAKind), .. DroppedWindows(scan, linux).Take(MaxOfAKind),
            .. taken.Error is null && (IsOfOneKernel(scan) || scan.RootWindows.All(static seen => seen.Line is not null))
                ? WindowsOverRam(LinuxStretch.WindowsOf(scan, linux), taken.Entries).Take(MaxOfAKind) : []];
    }

    /// <summary>Xen gives a PVH dom0 the firmware's tables where they are: only what its map calls ACPI or reserved.</summary>
    private static IEnumerable<string> LeftOutTables(LogScan scan, LogMap taken)
    {
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker != LogSpeaker.Xen || line.Number < taken.Line || !line.Text.StartsWith(Vocabulary.BannedTable, StringComparison.Ordinal)
                || line.Text.IndexOf(Vocabulary.BannedTableEnd, StringComparison.Ordinal) is not (> 0 and var end))
                continue;
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Xen leaves ACPI's table {line.Text[Vocabulary.BannedTable.Length..end].Trim()} out of a PVH dom0's (line {line.Number}): "
                    + $"the firmware keeps it where its map has neither ACPI nor reserved memory. What the table describes dom0 does not find");
        }
    }

    /// <summary>Below 1 MiB windows for old cards meet ROMs on most machines, and nothing is lost by it.</summary>
    private static IEnumerable<string> DroppedWindows(LogScan scan, LinuxStretch? linux)
    {
        HashSet<string> told = [];
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker != LogSpeaker.Kernel || line.Domain is not null || linux?.Holds(line.Number) != true
                || !TextCursor.TryBehind(line.Text, Vocabulary.DroppedWindow, out ReadOnlySpan<char> rest)
                || !TryWindow(rest, out ByteRange window) || window.End <= X86Layout.OneMiB)
                continue;
            int why = rest.IndexOf("(conflicts with ", StringComparison.Ordinal);
            string reason = why < 0 ? "" : $": it {rest[(why + 1)..].TrimEnd().TrimEnd(')')}";
            string text = $"Linux drops the host bridge's window {Range(window)}{reason}; BARs behind that bridge get no address there";
            if (told.Add(text))
                yield return string.Create(CultureInfo.InvariantCulture, $"{text} (line {line.Number})");
        }
    }

    private static IEnumerable<string> WindowsOverRam(ImmutableArray<RootWindow> windows, ImmutableArray<E820Entry> entries)
    {
        // Below 1 MiB lies VGA's memory, which several bridges may pass on: who does, is switched.
        foreach (RootWindow window in windows.Where(static window => window.Range.End > X86Layout.OneMiB))
        {
            ByteRange covered = entries.Where(entry => entry.IsRam && !entry.Wraps && entry.Range.Overlaps(window.Range))
                .Select(entry => entry.Range.Intersect(window.Range)).FirstOrDefault();
            if (!covered.IsEmpty)
                yield return $"The host bridge's window {Range(window.Range)} of bus {window.BusName} is over RAM of this map, {Range(covered)}: no "
                    + "BAR can be there; the firmware's map or its ACPI tables are wrong";
            RootWindow other = windows.FirstOrDefault(other => (other.Domain, other.Bus).CompareTo((window.Domain, window.Bus)) > 0
                && other.Range.Overlaps(window.Range));
            if (!other.Range.IsEmpty)
                yield return $"The windows {Range(window.Range)} of bus {window.BusName} and {Range(other.Range)} of bus {other.BusName} overlap: "
                    + "only one of the two bridges forwards what both claim; the firmware's ACPI tables are wrong";
        }
    }

    /// <summary>Whether all that kernels say in the log one kernel says: a guest's windows are no fault of the host's.</summary>
    private static bool IsOfOneKernel(LogScan scan) =>
        scan.Maps.Count(static map => map.Kind is LogMapKind.LinuxFirmware or LogMapKind.GuestKernel) <= 1
            && scan.Lines.All(static line => line.Domain is null)
            && scan.Lines.Where(static line => line.Speaker == LogSpeaker.Kernel)
                .Count(static line => line.Text.StartsWith(Vocabulary.Version, StringComparison.Ordinal)) <= 1;

    private static bool TryWindow(ReadOnlySpan<char> text, out ByteRange window)
    {
        window = default;
        var cursor = new TextCursor(text);
        if (!cursor.TryText(Vocabulary.MemOpening) || !cursor.TryText("0x") || !cursor.TryHex(out ulong start) || !cursor.TryText("-0x")
            || !cursor.TryHex(out ulong last) || start >= last || last >= Frames.AddressLimit)
            return false;
        window = ByteRange.FromBounds(start, last + 1);
        return true;
    }

    private static string Range(ByteRange range) => $"[0x{range.Start:x}, 0x{range.End:x})";
}
