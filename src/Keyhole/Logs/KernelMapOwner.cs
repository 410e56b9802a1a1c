// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.E820;

namespace Keyhole.Logs;

/// <summary>Whose the map is that a kernel under Xen shows, as far as its log tells: dom0's, of the machine, or a guest's own.</summary>
/// <remarks>Source: Linux' arch/x86/xen/enlighten_pv.c, arch/x86/kernel/setup.c, drivers/firmware/dmi_scan.c: a guest without privileges sees neither
/// ACPI's tables nor DMI's.</remarks>
internal static class KernelMapOwner
{
    /// <summary>What a kernel says that is not dom0's.</summary>
    public const string Unprivileged = "ACPI in unprivileged domain disabled";

    private static readonly string[] s_machines = ["DMI: ", "ACPI: RSDP "];

    /// <param name="scan">The log.</param>
    /// <param name="boots">The log's.</param>
    /// <param name="map">One of its maps, of the kind <see cref="LogMapKind.GuestKernel"/>.</param>
    public static BootOwner Of(LogScan scan, BootsInLog boots, LogMap map)
    {
        if (map.Domain is not null)
            return BootOwner.Guest;
        if (boots.Around(map) is not { } boot)
            return BootOwner.Unknown;
        if (boot.Owner != BootOwner.Unknown)
            return boot.Owner;
        int end = boots.All.FirstOrDefault(other => other.Number > boot.Number)?.FirstLine ?? int.MaxValue;
        LogLine[] lines = [.. scan.Lines.Where(line => line.Number >= boot.FirstLine && line.Number < end && line.Speaker == LogSpeaker.Kernel)];
        if (lines.Any(static line => line.Text.Contains(Unprivileged, StringComparison.Ordinal))
            || boot.Facts.CommandLine is { } options && options.Value.Contains("root=/dev/xvd", StringComparison.Ordinal))
            return BootOwner.Guest;
        if (lines.Any(static line => s_machines.Any(mark => line.Text.StartsWith(mark, StringComparison.Ordinal))))
            return BootOwner.Dom0;
        // dom0's has the local APIC's page at least.
        return map is { Error: null, Cuts.IsEmpty: true, Entries.IsEmpty: false } && !boot.MapMayBeginLate
            && (map.IsFollowedByLog == true || !boot.MapMayEndEarly)
            && map.Entries.All(static entry => entry.IsRam || entry.End <= X86Layout.OneMiB) ? BootOwner.Guest : BootOwner.Unknown;
    }
}
