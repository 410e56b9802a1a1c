// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>The Xen that a guest's log names: its kernel does, its firmware calls itself after it, and hvmloader says what it finds.</summary>
/// <remarks>Source: Linux' arch/x86/xen/enlighten_pv.c, enlighten_hvm.c; hvmloader's smbios.c for the machine's name.</remarks>
internal static class NamedXen
{
    private static readonly string[] s_titles = ["Xen version: ", "Xen version ", "DMI: Xen HVM domU, BIOS "];

    /// <summary>The first that the boot's own lines name, else what hvmloader names last before its end; null where none does.</summary>
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

        return OfHvmloader(scan, boot);
    }

    private static LogFact<XenVersion>? OfHvmloader(LogScan scan, ObservedBoot boot)
    {
        LogLine[] all = [.. scan.Lines.Where(line => line.Number <= boot.LastLine
            && line.Text.Contains(Vocabulary.DetectedXen, StringComparison.Ordinal))];
        // Xen marks what the firmware says with the guest's number, and an attached console does not: of one guest alone it is this one's.
        bool isAny = boot.Domain is null
            && scan.Lines.Where(static line => line.Domain is not null).DistinctBy(static line => line.Domain).Count() == 1;
        return all.LastOrDefault(line => isAny || line.Domain == boot.Domain) is { } last
            && TextCursor.TryBehind(last.Text, Vocabulary.DetectedXen, out TextCursor version)
            && XenVersion.TryParse(version.Rest, out XenVersion xen) ? new(xen, last.Number) : null;
    }
}
