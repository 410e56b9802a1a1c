// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;

namespace Keyhole.ReservedRam;

/// <summary>The kernel parameters that keep RAM aside in Linux today, and how boot loaders want them written.</summary>
/// <remarks>
/// <c>memmap=SIZE$START</c> makes RAM reserved. <c>memmap=SIZE%START-1+2</c> would do without the dollar sign that boot loaders trip over, but the
/// part of the kernel that chooses its own place (KASLR) takes that for a limit of memory, and puts the kernel where it should not be.
/// </remarks>
internal static class MemmapParameters
{
    /// <summary>KASLR steers clear of the first four memmap= ranges only (MAX_MEMMAP_REGIONS); it does not know of others.</summary>
    public const int MaxRanges = 4;

    /// <summary>Lets /dev/mem map reserved memory that counts as busy; see <see cref="TodaysHost.NeedsRelaxedIomem"/>.</summary>
    public const string RelaxedIomem = "iomem=relaxed";

    private static readonly char[] s_units = ['K', 'M', 'G', 'T'];

    /// <summary><c>memmap=511M$1M</c>.</summary>
    public static string ToText(ByteRange range) => $"memmap={Size(range.SizeBytes)}${Size(range.Start)}";

    /// <summary>A size or address as the kernel's memparse reads it, in the largest unit that holds it whole.</summary>
    public static string Size(ulong bytes)
    {
        string? text = null;
        for (int i = 0; i < s_units.Length; i++)
        {
            int shift = 10 * (i + 1);
            if (bytes != 0 && (bytes & ((1UL << shift) - 1)) == 0)
                text = string.Create(CultureInfo.InvariantCulture, $"{bytes >> shift}{s_units[i]}");
        }

        return text ?? string.Create(CultureInfo.InvariantCulture, $"0x{bytes:x}");
    }

    /// <summary>For a <c>linux</c> line of grub.cfg, and for GRUB's own prompt and editor: there, $ begins a variable.</summary>
    public static string ForGrubScript(string parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return parameters.Replace("$", "\\$", StringComparison.Ordinal);
    }

    /// <summary>
    /// For the double quotes of /etc/default/grub: the shell takes one backslash off <c>\\</c> and one off <c>\$</c>, and what is left is what
    /// grub.cfg needs.
    /// </summary>
    public static string ForDefaultGrub(string parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return parameters.Replace("$", "\\\\\\$", StringComparison.Ordinal);
    }

    /// <summary>The line to put into /etc/default/grub.</summary>
    public static string DefaultGrubLine(string parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return $"GRUB_CMDLINE_LINUX=\"{ForDefaultGrub(parameters)}\"";
    }

    internal static string Join(ImmutableArray<ByteRange> ranges, bool needsRelaxedIomem) =>
        string.Join(' ', ranges.Select(ToText).Concat(needsRelaxedIomem ? [RelaxedIomem] : []));
}
