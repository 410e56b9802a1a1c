// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>What a log of a guest's start says behind the command: with what QEMU ended, or that it did not start.</summary>
/// <remarks>Source: QEMU's hw/vfio (errors have "vfio ADDRESS: " before them, warnings "warning: " before that), util/error-report.c; libvirt's
/// qemu_domain.c, qemuDomainLogAppendMessage and virDomainShutoffReason: "failed" is a start that failed, and no end of a guest that ran.</remarks>
internal static class QemuLastWords
{
    /// <summary>How QEMU's last line begins where a device cannot reach what it has to once the guest runs (hw_error in hw/vfio).</summary>
    public const string HardwareError = "hardware error: vfio: ";

    /// <summary>With which it ends where KVM cannot map some of the guest's addresses (accel/kvm/kvm-all.c).</summary>
    public const string SlotError = "error registering slot: ";

    private const string Failed = ": shutting down, reason=failed";

    /// <summary>The words; empty where it says nothing of the kind.</summary>
    public static string Behind(IReadOnlyList<string> lines, int start)
    {
        const int longest = 300;
        string last = "";
        for (int i = start + 1; i < lines.Count; i++)
        {
            ReadOnlySpan<char> line = lines[i];
            // The first end of the start that was read is its own.
            if (line.EndsWith(Failed) && char.IsAsciiDigit(line[0]))
                return InputError.OneLine(last.Length > 0 ? last : line[(line.IndexOf(Failed) + 2)..], longest);
            // QEMU ends with these, also where the guest has run.
            if (int.Max(line.IndexOf(HardwareError), line.IndexOf(SlotError)) is >= 0 and var end)
                return InputError.OneLine(last.Length > 0 ? $"{last}; {line[end..]}" : line[end..], longest);
            if (Said(line, out bool isOfDevice) is not { IsEmpty: false } words)
                continue;
            last = words.ToString();
            if (!isOfDevice)
                continue;
            int map = int.Max(words.IndexOf("VFIO_MAP_DMA failed"), words.IndexOf("VFIO_MAP_DMA: -"));
            if (map >= 0)
                return InputError.OneLine(words[map..], longest);
            if (words.IndexOf("vfio_dma_map(") is >= 0 and var call && words.Contains(" = -", StringComparison.Ordinal))
                return InputError.OneLine(words[(words.IndexOf("Region ") is >= 0 and var region && region < call ? region : call)..], longest);
            if (words.StartsWith("vfio ") && words.Contains(": ", StringComparison.Ordinal))
                return InputError.OneLine(words, longest);
        }

        return "";
    }

    /// <summary>The release that QEMU's monitor tells behind a command ("QEMU 2.9.1 monitor - type 'help' for more information"); empty where none
    /// does.</summary>
    public static string MonitorRelease(IReadOnlyList<string> lines, int start)
    {
        const string name = "QEMU ", monitor = " monitor - type ";
        for (int i = start + 1; i < lines.Count; i++)
        {
            ReadOnlySpan<char> line = lines[i].AsSpan().TrimStart();
            if (line.StartsWith(name) && line.IndexOf(monitor) is > 0 and var end && QemuVersion.TryParseLeading(line[name.Length..end], out _))
                return line[name.Length..end].ToString();
        }

        return "";
    }

    /// <summary>Whether a line is what QEMU prints of itself, no part of a command.</summary>
    public static bool IsOutput(ReadOnlySpan<char> line) => line.StartsWith("(qemu)") || line.StartsWith("qemu: ")
        || (line.StartsWith("QEMU ") && line.Contains(" monitor - type ", StringComparison.Ordinal))
        || (line.StartsWith("qemu-") && line.IndexOf(": ") is > 0 and var end && line[..end].IndexOf(' ') < 0);

    /// <summary>An error that a line tells with the program's name before it; empty for any other line, and for a warning.</summary>
    private static ReadOnlySpan<char> Said(ReadOnlySpan<char> line, out bool isOfDevice)
    {
        isOfDevice = false;
        int at = line.IndexOf(": ");
        while (at >= 0 && !line[..at].EndsWith("kvm") && !line[..at].Contains("qemu-system", StringComparison.Ordinal))
        {
            int next = line[(at + 2)..].IndexOf(": ");
            at = next < 0 ? -1 : at + 2 + next;
        }

        if (at < 0)
            return default;
        ReadOnlySpan<char> words = line[(at + 2)..];
        isOfDevice = words.StartsWith("-device ");
        // The option that it is about: no value of one has a colon and a blank in it.
        if (words.StartsWith("-") && words.IndexOf(": ") is >= 0 and var end)
            words = words[(end + 2)..];
        return words.StartsWith("warning:") || words.StartsWith("info:") || words.StartsWith("terminating on signal") ? default : words;
    }
}
