// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>The Xen that a guest's log names: its kernel does, and its firmware calls itself after it.</summary>
/// <remarks>Source: Linux' arch/x86/xen/enlighten_pv.c, enlighten_hvm.c; hvmloader's hvmloader.c, and smbios.c for the machine's name.</remarks>
internal static class NamedXen
{
    private static readonly string[] s_titles = ["Xen version: ", "Xen version ", "DMI: Xen HVM domU, BIOS "];

    /// <summary>The first that the boot's own lines name; null where none does.</summary>
    public static LogFact<XenVersion>? In(LogScan scan, ObservedBoot boot)
    {
        ObservedBoot[] others = [.. BootLog.Of(scan).Where(other => other.Domain == boot.Domain)];
        int end = others.Where(other => other.FirstLine > boot.FirstLine).Select(static other => other.FirstLine).DefaultIfEmpty(int.MaxValue).Min();
        // The firmware speaks before the kernel.
        int start = others.Where(other => other.LastLine < boot.FirstLine).Select(static other => other.LastLine).DefaultIfEmpty(0).Max();
        // Xen marks what the firmware says with the guest's number, and a console that is attached does not: of one guest alone it is this one's.
        bool isAlone = boot.Domain is null && scan.Lines.Where(static line => line.Domain is not null).DistinctBy(static line => line.Domain).Count() == 1;
        foreach (LogLine line in scan.Lines)
        {
            if ((line.Domain != boot.Domain && !isAlone) || line.Number <= start || line.Number >= end)
                continue;
            if (TextCursor.TryBehind(line.Text, Vocabulary.DetectedXen, out ReadOnlySpan<char> release)
                && XenVersion.TryParse(release, out XenVersion detected))
                return new(detected, line.Number);
            if (line.Speaker != LogSpeaker.Kernel || line.Domain != boot.Domain || line.Number < boot.FirstLine)
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
