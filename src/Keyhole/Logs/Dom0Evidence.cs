// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Logs;

/// <summary>Whether the Linux behind Xen's lines is dom0's: a guest's log, or another machine's, may follow them in the same paste.</summary>
/// <remarks>Source: Linux' arch/x86/xen/setup.c (dom0 has the machine's map), arch/x86/kernel/setup.c and cpu/hypervisor.c.</remarks>
internal static class Dom0Evidence
{
    private static readonly ByteRange s_apics = ByteRange.FromBounds(X86Layout.UsualIoApic, X86Layout.LocalApicEnd);

    /// <summary>A boot whose kernel shows that it is not dom0's is a guest's, or a machine's of its own; any other stays as it is.</summary>
    public static ObservedBoot OwnerShown(ObservedBoot boot, LogScan scan)
    {
        if (boot is not { Owner: BootOwner.Dom0 } || (boot.Release is null && boot.Map is null))
            return boot;
        int first = Math.Min(boot.Release?.Line ?? int.MaxValue, boot.Map?.Line ?? int.MaxValue);
        LogMap? machine = scan.Maps.LastOrDefault(map => map.Kind == LogMapKind.XenFirmware && map.Line >= boot.FirstLine && map.Line < first);
        bool isPvh = boot.Builder is { Pvh: not null }
            || scan.Maps.Any(map => map.Kind == LogMapKind.Dom0BuiltByXen && map.Line >= boot.FirstLine && map.Line < first);
        bool isGuests = boot.Facts.RunsOn is { } runsOn && runsOn.Value.Contains("HVM", StringComparison.Ordinal)
            || boot.Facts.CommandLine is { } options && options.Value.Contains("root=/dev/xvd", StringComparison.Ordinal)
            || (machine is not null && boot.Map is { } own && GoesOnBehind(boot, own) && IsAnothers(own, machine));
        // A Linux under Xen prints its map as Xen's, but in a PVH dom0.
        bool isBare = !isPvh && boot.Map is null && scan.Maps.Any(map => map is { Kind: LogMapKind.LinuxFirmware, Domain: null }
            && map.Line > first && !scan.Lines.Any(line => line.Number > first && line.Number < map.Line && line.Domain is null
                && line.Speaker == LogSpeaker.Kernel && line.Text.StartsWith(Vocabulary.Version, StringComparison.Ordinal)));
        return isGuests || isBare ? boot with { Owner = isGuests ? BootOwner.Guest : BootOwner.Unknown, FirstLine = first, Builder = null } : boot;
    }

    /// <summary>Whether a kernel's map has something of what the machine's has above 1 MiB beside RAM, or the APICs' pages, as dom0's has; a guest's
    /// own map has nothing of it.</summary>
    public static bool KeepsOf(LogMap machine, LogMap own) => own.Entries.Any(entry => IsKept(entry)
        && (entry.Range.Overlaps(s_apics) || machine.Entries.Any(other => IsKept(other) && other.Range.Overlaps(entry.Range))));

    /// <summary>Whether anything that is read stands behind a boot's map: it is not cut there.</summary>
    public static bool GoesOnBehind(ObservedBoot boot, LogMap own) => own.EntryLines is [.., var last] && boot.LastLine > last;

    private static bool IsAnothers(LogMap own, LogMap machine) =>
        own is { Error: null, Cuts.IsEmpty: true, CutLine: null, OpenLine: null } && machine.Error is null
            // Of a map without any the lines may have been left out.
            && own.Entries.Any(static entry => !entry.IsRam) && machine.Entries.Any(IsKept) && !KeepsOf(machine, own);

    private static bool IsKept(E820Entry entry) => !entry.IsRam && !entry.Wraps && entry.End > X86Layout.OneMiB;
}
