// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;

namespace Keyhole.Hosts;

/// <summary>The dialects' names on the command line (<c>--from</c>, <c>--to</c>) and in JSON.</summary>
public static class HostMapDialects
{
    public static IReadOnlyList<HostMapDialect> All { get; } = Enum.GetValues<HostMapDialect>();

    public static string NameOf(HostMapDialect dialect) => dialect switch
    {
        HostMapDialect.Linux => "linux",
        HostMapDialect.LinuxOld => "linux-3",
        HostMapDialect.Linux72 => "linux-7.2",
        HostMapDialect.Xen => "xen",
        HostMapDialect.XenOld => "xen-4.13",
        HostMapDialect.Iomem => "iomem",
        HostMapDialect.Memmap => "memmap",
        HostMapDialect.Packed => "packed",
        HostMapDialect.Lines => "lines",
        HostMapDialect.Json => "json",
        HostMapDialect.Efi => "efi",
    };

    public static bool TryParse(string name, out HostMapDialect dialect)
    {
        foreach (HostMapDialect candidate in All)
        {
            if (NameOf(candidate) == name)
            {
                dialect = candidate;
                return true;
            }
        }

        dialect = default;
        return false;
    }
}
