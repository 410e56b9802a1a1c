// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>The Xen that a guest's log names: its kernel does, and its firmware calls itself after it.</summary>
/// <remarks>Source: Linux' arch/x86/xen/enlighten_pv.c, enlighten_hvm.c; hvmloader's smbios.c for the machine's name.</remarks>
internal static class NamedXen
{
    private static readonly string[] s_titles = ["Xen version: ", "Xen version ", "DMI: Xen HVM domU, BIOS "];

    /// <summary>The first that the boot's own lines name; null where none does.</summary>
    public static LogFact<XenVersion>? In(LogScan scan, ObservedBoot boot)
    {
        int end = BootLog.Of(scan).Where(other => other.FirstLine > boot.FirstLine && other.Domain == boot.Domain)
            .Select(static other => other.FirstLine).DefaultIfEmpty(int.MaxValue).Min();
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker != LogSpeaker.Kernel || line.Domain != boot.Domain || line.Number < boot.FirstLine || line.Number >= end)
                continue;
            foreach (string title in s_titles)
            {
                if (line.Text.StartsWith(title, StringComparison.Ordinal)
                    && XenVersion.TryParse(line.Text.AsSpan(title.Length).TrimStart(), out XenVersion version))
                    return new(version, line.Number);
            }
        }

        return null;
    }
}
