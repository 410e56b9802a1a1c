// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Logs;

namespace Keyhole.Captures;

/// <summary>What is worth saying of a map that was taken from a log: whose view it is, what of it is missing, which others there are.</summary>
internal static class LogMapRemarks
{
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
        LogMapKind.Tboot => $"tboot's map ({map.Title})",
    };

    public static ImmutableArray<Phrase> On(LogScan scan, LogMap taken)
    {
        ImmutableArray<Phrase>.Builder remarks = ImmutableArray.CreateBuilder<Phrase>();
        if (taken.Kind == LogMapKind.GuestKernel)
            remarks.Add(scan.Boots.OwnerOf(taken) switch
            {
                BootOwner.Dom0 => (Phrase)$"This is dom0's own view: RAM above its share is "
                    + $"{(UnusableMadeUp.IsIn(scan, taken) ? "unusable in it" : "missing")}, what Xen "
                    + "adds is in; the firmware's map stands in 'xl dmesg'",
                BootOwner.Guest => "This is a guest's own map: of its host it says nothing but what xl has made of the host's map; the firmware's "
                    + "map stands in 'xl dmesg' of the host",
                BootOwner.Unknown => "This is the view of a kernel under Xen: of dom0's RAM above its share is missing, what Xen adds is in, and a "
                    + "guest's says little of its host; the firmware's map stands in 'xl dmesg'",
            });
        if (taken.Kind == LogMapKind.Dom0BuiltByXen)
            remarks.Add("This is the map that Xen made for a PVH dom0: RAM that dom0 does not get is unusable in it (up to Xen 4.11 missing), "
                + "and ACPI tables that Xen made are in; the firmware's map stands in 'xl dmesg'");
        if (taken.Kind == LogMapKind.Iomem)
            remarks.Add("This is the kernel's view: it reserves the first page, and RAM is cut to whole pages; the "
                + "firmware's map stands in /sys/firmware/memmap");
        if (taken.Kind == LogMapKind.Tboot)
            remarks.Add(taken.IsBeforeXensChanges
                ? "This is a map from before tboot hands it over: what tboot reserves for itself may be missing; the one that Xen gets stands in "
                    + "tboot's \"adjusted e820 map\" ('txt-stat'), and in 'xl dmesg'"
                : "This is the map that tboot hands to the Xen or Linux that it starts: what tboot keeps for itself is not RAM in it");
        if (taken.Kind == LogMapKind.KernelEdited)
            remarks.Add("This map has been changed by the kernel or its command line");
        if (taken.Kind == LogMapKind.LinuxFirmware && VirtualMachineLine(scan, taken) is { } machine)
            remarks.Add($"This is a virtual machine's own map, not its host's: line {machine.Number} says {InputError.Quote(machine.Text)}");
        if (MapExtent.IsCrashKernels(taken))
            remarks.Add("This map has RAM, and none at 1 MiB: it is that of a kernel started after a crash (kexec), with what crashkernel= kept for "
                + "it; the host's own stands in the log of the boot before");
        if (MapExtent.BeginsAmid(taken))
            remarks.Add($"The log begins with this map's entry at 0x{taken.Entries[0].Address:x}: entries before it may be lost, as "
                + $"when the kernel's buffer has run over");
        remarks.AddRange(MissingParts(scan, taken).Select(static text => (Phrase)text));
        if (taken is { Kind: LogMapKind.LinuxFirmware, Error: null })
            remarks.AddRange(CommandLineEffects.OnHost(scan, taken).Select(static text => (Phrase)text));
        if (RamCount.LimitOfXen(scan, taken) is { } limit)
            remarks.Add($"Xen takes no RAM from {ByteSize.ToText(limit.Bytes)} on (line {limit.Line}: mem= or availmem= on its command line, or a "
                + $"limit of its own): what the host has there is unusable in this map, and neither dom0 nor a guest gets it");
        if (RamCount.XensIommu(scan, taken) is { IsUsed: false, Line: var line })
        {
            string refused = scan.Traits.XenVersion switch
            {
                null => "starts no guest with a device (up to Xen 4.12 no HVM guest)",
                { } xen when xen.IsUpTo(4, 12) => "starts no HVM guest with a device",
                _ => "starts no guest with a device",
            };
            remarks.Add($"Xen says \"{Vocabulary.NoIommu}\" (line {line.Number}): this host has no IOMMU in use, and xl {refused}");
        }

        if (taken.Kind == LogMapKind.XenFirmware && scan.Boots.Around(taken) is { IsXensOwnEnd: true, BootFailure: { } end })
        {
            remarks.Add($"Xen itself dies in this log (line {end.Line}: {InputError.Quote(end.Value.Words)}): a forecast is of what would come if "
                + $"it did not");
        }

        remarks.AddRange(DeviceRemarks.On(scan, taken).Select(static text => (Phrase)text));
        return remarks.ToImmutable();
    }

    /// <summary>The line by which the Linux that printed a firmware's map tells that its machine is a virtual one, or null.</summary>
    private static LogLine? VirtualMachineLine(LogScan scan, LogMap taken)
    {
        LinuxStretch? stretch = scan.Boots.LinuxOf(taken);
        return scan.Lines.FirstOrDefault(line => line is { Speaker: LogSpeaker.Kernel, Domain: null } && stretch?.Holds(line.Number) == true
            && (s_machines.Any(name => line.Text.StartsWith(name, StringComparison.Ordinal))
                || (KernelMessage.Parse(line.Text) is { Kind: KernelMessageKind.RunsOn, Text: { } runsOn }
                    && s_hypervisors.Any(name => runsOn.Contains(name, StringComparison.Ordinal)))));
    }

    /// <summary>How virtual machines call themselves.</summary>
    private static readonly string[] s_machines =
        ["DMI: QEMU ", "DMI: Xen HVM domU", "DMI: VMware, Inc. VMware", "DMI: Microsoft Corporation Virtual Machine", "DMI: innotek GmbH VirtualBox"];

    /// <summary>How Linux calls what only virtual machines run on.</summary>
    /// <remarks>Source: arch/x86/kernel/cpu (the names of hypervisor_x86), arch/x86/xen.</remarks>
    private static readonly string[] s_hypervisors = ["HVM", "KVM", "VMware", "Hyper-V"];

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
                $"Line {cut} leaves out a part of this map: what is missing there is not known; give the whole log");
        if (map.OpenLine is { } open)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Right after this map's last entry lines are left out (line {open}): whether the map goes on there is not to be seen");
        ulong ram = MapExtent.WholePagesOfRam(map);
        if (ram < MapExtent.LeastRamBytes)
            yield return $"This map has {(ram == 0 ? "no RAM" : $"only {ByteSize.ToText(ram)} of RAM")}: it is a part of a map, such as a few "
                + $"lines that somebody quotes, not a machine's";
        else if (map.CutLine is null && !MapExtent.BeginsAmid(map) && !MapExtent.HasLowRam(map))
            yield return "This map has no RAM below 1 MiB, where every PC has some: it is a part of a map, or lines of several machines";
        if (MapExtent.IsEndOpen(scan, map) && map.OpenLine is null)
            yield return "No further line of the log follows this map's last one, and it ends below where every PC's chipset has addresses "
                + "(0xfec00000): whether it goes on is not to be seen; give the whole log";
        if (MapExtent.EndsWithSource(scan, map))
            yield return "The log ends with this map, below where every PC's chipset has addresses (0xfec00000): whether more lines follow is not "
                + "known";
        if (MapExtent.BeginsAmid(map) || RamCount.OfXen(scan, map) is not { } counted)
            yield break;
        (string said, string there) = ByteSize.ToTexts(counted.Bytes, ram);
        if (counted.Bytes > ram + MapExtent.WorthMentionBytes)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Xen counts {said} of RAM (line {counted.Line}), this map has {there}: a part of the map is missing");
        else if (counted.Bytes + MapExtent.WorthMentionBytes < ram)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Xen counts {said} of RAM (line {counted.Line}), this map has {there}: "
                    + $"Xen leaves some of it unused, or the map is not the one of this boot");
    }

    private static string Entries(int count) => string.Create(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? "entry" : "entries")}");
}
