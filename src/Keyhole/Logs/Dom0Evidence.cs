// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;

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
            return IsGuestsElsewhere(boot, scan) ? boot with { Owner = BootOwner.Guest } : boot;
        int first = Math.Min(boot.Release?.Line ?? int.MaxValue, boot.Map?.Line ?? int.MaxValue);
        LogMap? machine = scan.Maps.LastOrDefault(map => map.Kind == LogMapKind.XenFirmware && map.Line >= boot.FirstLine && map.Line < first);
        bool isPvh = boot.Builder is { Pvh: not null }
            || scan.Maps.Any(map => map.Kind == LogMapKind.Dom0BuiltByXen && map.Line >= boot.FirstLine && map.Line < first);
        bool isGuests = IsGuests(boot, machine, scan)
            || (machine is not null && boot.Map is { } own && GoesOnBehind(boot, own) && IsAnothers(own, machine));
        // A Linux under Xen prints its map as Xen's, but in a PVH dom0.
        bool isBare = !isPvh && boot.Map is null && scan.Maps.Any(map => map is { Kind: LogMapKind.LinuxFirmware, Domain: null }
            && map.Line > first && !scan.Lines.Any(line => line.Number > first && line.Number < map.Line && line.Domain is null
                && line.Speaker == LogSpeaker.Kernel && line.Text.StartsWith(Vocabulary.Version, StringComparison.Ordinal)));
        return isGuests || isBare ? boot with { Owner = isGuests ? BootOwner.Guest : BootOwner.Unknown, FirstLine = first, Builder = null } : boot;
    }

    /// <summary>Whether a boot that stands elsewhere than behind Xen's lines is that of the dom0 of the machine whose map Xen tells: its kernel
    /// has all that the firmware reserves.</summary>
    public static bool IsDom0Elsewhere(ObservedBoot boot, LogMap machine, LogScan scan) =>
        boot is { Owner: BootOwner.Unknown, Map: { Error: null } own } && machine.Error is null && machine.Entries.Any(IsKept)
            && Dom0sMap.IsOfThisHost(own.Entries, machine.Entries) && !IsGuests(boot, machine, scan);

    /// <summary>Whether the map that a Linux was given behind the lines of a Xen that builds a PVH dom0 is that dom0's: much like the one that Xen
    /// says it has built, or where Xen says none, the machine's with less of its RAM.</summary>
    public static bool IsPvhDom0s(LogMap map, int firstLine, LogScan scan)
    {
        LogMap[] before = [.. scan.Maps.Where(other => other.Line >= firstLine && other.Line < map.Line && other.Domain is null)];
        if (Array.FindLast(before, static other => other.Kind == LogMapKind.Dom0BuiltByXen) is { } built)
            return MachineLines.AreAlike(built, map);
        return Array.FindLast(before, static other => other.Kind == LogMapKind.XenFirmware) is { } machine
            && Dom0sMap.IsOfThisHost(map.Entries, machine.Entries) && RamIn(map) < RamIn(machine);

        static ulong RamIn(LogMap of) => SortedMap.TotalsOf(of.Entries.AsSpan()).GetValueOrDefault(E820Type.Ram);
    }

    /// <summary>Whether a boot that no line of Xen's comes before is a guest's of the machines whose maps Xen tells further down.</summary>
    private static bool IsGuestsElsewhere(ObservedBoot boot, LogScan scan)
    {
        LogMap[] machines = [.. scan.Maps.Where(static map => map.Kind == LogMapKind.XenFirmware)];
        return boot is { Owner: BootOwner.Unknown, Map: { } own } && machines.Length > 0
            && Array.TrueForAll(machines, machine => IsGuests(boot, machine, scan) || (GoesOnBehind(boot, own) && IsAnothers(own, machine)));
    }

    /// <summary>Whether a boot shows that it is a guest's, also where the guest has the host's map.</summary>
    private static bool IsGuests(ObservedBoot boot, LogMap? machine, LogScan scan) =>
        boot.Facts.RunsOn is { } runsOn && runsOn.Value.Contains("HVM", StringComparison.Ordinal)
            || boot.Facts.CommandLine is { } options && options.Value.Contains("root=/dev/xvd", StringComparison.Ordinal)
            || (machine is not null && boot.Map is { } own && HasLibxlsUnusable(own, machine))
            || scan.Lines.Any(line => line.Domain is null && line.Number >= (boot.Release?.Line ?? boot.Map?.Line ?? boot.FirstLine)
                && line.Number <= boot.LastLine && line.Text.Contains(KernelMapOwner.Unprivileged, StringComparison.Ordinal));

    /// <summary>
    /// Whether a kernel's map has the unusable memory that libxl puts from the end of a guest's RAM to the first hole, which is RAM of the machine.
    /// A dom0's Linux that marks so what dom0 does not get does it with RAM above 4 GiB as well.
    /// </summary>
    private static bool HasLibxlsUnusable(LogMap own, LogMap machine) =>
        own is { Error: null, Cuts.IsEmpty: true, CutLine: null, OpenLine: null }
            && own.Entries.Any(entry => IsUnusable(entry) && entry.End <= Frames.FourGiB && machine.Entries.Any(ram => IsRamIn(ram, entry.Range)))
            && machine.Entries.Any(ram => ram.IsRam && !ram.Wraps && ram.Address >= Frames.FourGiB
                && !own.Entries.Any(entry => (entry.IsRam || IsUnusable(entry)) && entry.End >= ram.End));

    private static bool IsUnusable(E820Entry entry) => entry is { Type: E820Type.Unusable, Wraps: false };

    private static bool IsRamIn(E820Entry ram, ByteRange range) => ram.IsRam && !ram.Wraps && ram.Range.Overlaps(range);

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
