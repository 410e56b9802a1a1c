// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using Keyhole.PvGuest;

namespace Keyhole.Logs;

/// <summary>The kernels' names on the command line and in JSON, and which of them stands for a version that a log names.</summary>
public static class KernelVersions
{
    /// <summary>The kernel of most distributions now, and of the golden records.</summary>
    public const KernelVersion Default = KernelVersion.Linux61;

    public static IReadOnlyList<KernelVersion> All { get; } = Enum.GetValues<KernelVersion>();

    public static string NameOf(KernelVersion version) => version switch
    {
        KernelVersion.Linux33 => "linux-3.3",
        KernelVersion.Linux34 => "linux-3.4",
        KernelVersion.Linux43 => "linux-4.3",
        KernelVersion.Linux44 => "linux-4.4",
        KernelVersion.Linux61 => "linux-6.1",
        KernelVersion.Linux66 => "linux-6.6",
        KernelVersion.Linux72 => "linux-7.2",
    };

    public static bool TryParse(string name, out KernelVersion version)
    {
        foreach (KernelVersion candidate in All)
        {
            if (NameOf(candidate) == name)
            {
                version = candidate;
                return true;
            }
        }

        version = default;
        return false;
    }

    /// <summary>
    /// The kernel that behaves like a release: "6.1.192-2-amd64" is linux-6.1. Dom0 keeps room for an iBFT since 6.5. ACPI NVS is moved away since 6.12, so 6.12 and later are linux-7.2.
    /// </summary>
    public static bool TryFromRelease(ReadOnlySpan<char> release, out KernelVersion version)
    {
        version = default;
        int dot = release.IndexOf('.');
        if (dot <= 0 || !int.TryParse(release[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out int major))
            return false;
        ReadOnlySpan<char> rest = release[(dot + 1)..];
        int digits = 0;
        while (digits < rest.Length && char.IsAsciiDigit(rest[digits]))
            digits++;
        if (!int.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out int minor))
            return false;
        version = (major, minor) switch
        {
            ( < 3, _) or (3, <= 3) => KernelVersion.Linux33,
            (3, <= 15) => KernelVersion.Linux34,
            (3, _) or (4, <= 3) => KernelVersion.Linux43,
            (4, <= 19) => KernelVersion.Linux44,
            (5, <= 12) => KernelVersion.Linux44,
            (5, _) or (6, <= 4) => KernelVersion.Linux61,
            (6, <= 11) => KernelVersion.Linux66,
            _ => KernelVersion.Linux72,
        };
        return true;
    }

    /// <summary>The releases that <paramref name="first"/> to <paramref name="last"/> stand for, in words: "3.16 to 4.3", "6.12 and later".</summary>
    public static string ReleasesOf(KernelVersion first, KernelVersion last)
    {
        (string from, _) = Bounds(first);
        (_, string to) = Bounds(last);
        if (from.Length == 0)
            return to.Length == 0 ? "every release" : $"{to} and older";
        return to.Length == 0 ? $"{from} and later" : $"{from} to {to}";
    }

    /// <summary>The first and the last release of <see cref="TryFromRelease"/>'s table; a test holds the two together.</summary>
    private static (string First, string Last) Bounds(KernelVersion version) => version switch
    {
        KernelVersion.Linux33 => ("", "3.3"),
        KernelVersion.Linux34 => ("3.4", "3.15"),
        KernelVersion.Linux43 => ("3.16", "4.3"),
        KernelVersion.Linux44 => ("4.4", "5.12"),
        KernelVersion.Linux61 => ("5.13", "6.4"),
        KernelVersion.Linux66 => ("6.5", "6.11"),
        KernelVersion.Linux72 => ("6.12", ""),
    };
}
