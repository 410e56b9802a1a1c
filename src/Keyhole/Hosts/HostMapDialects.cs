// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;

namespace Keyhole.Hosts;

/// <summary>A form in which a memory map is written down. The names of the command line stand in <see cref="HostMapDialects"/>.</summary>
public enum HostMapDialect
{
    /// <summary>Linux since 3.x: <c>BIOS-e820: [mem 0x…-0x…] usable</c>, end inclusive. Under Xen the prefix is <c>Xen:</c>.</summary>
    Linux,

    /// <summary>Linux up to 3.x: <c>BIOS-e820: 0000000000000000 - 000000000009e000 (usable)</c>, end exclusive.</summary>
    LinuxOld,

    /// <summary>Linux 7.2: "System RAM", "device reserved", "soft reserved", and <c>[gap …]</c> lines between entries.</summary>
    Linux72,

    /// <summary>Xen since 4.14: <c>(XEN)  [0000000000000000, 000000000009fbff] (usable)</c>, end inclusive.</summary>
    Xen,

    /// <summary>Xen up to 4.13: <c>(XEN)  0000000000000000 - 000000000009fc00 (usable)</c>, end exclusive.</summary>
    XenOld,

    /// <summary>Linux's <c>/proc/iomem</c>.</summary>
    Iomem,

    /// <summary>A <c>/sys/firmware/memmap</c> folder: start, end (inclusive) and type a file each.</summary>
    Memmap,

    /// <summary>Entries of 20 bytes: u64 address, u64 size, u32 type.</summary>
    Packed,

    /// <summary>Lines of <c>START END TYPE</c>: hex, end exclusive, type a number.</summary>
    Lines,

    /// <summary>Keyhole's own JSON, as <c>show --json</c> and <c>capture</c> write it.</summary>
    Json,

    /// <summary>A memory map of EFI: Linux's <c>efi: mem00: […] range=[…]</c> or Xen's list of descriptors with their type numbers. Read
    /// only.</summary>
    Efi,
}

/// <summary>The dialects' names on the command line (<c>--from</c>, <c>--to</c>) and in JSON.</summary>
public static class HostMapDialects
{
    /// <summary>Every dialect, in the order in which they are listed for users.</summary>
    public static IReadOnlyList<HostMapDialect> All { get; } = Enum.GetValues<HostMapDialect>();

    /// <summary>The dialect's name for users and in JSON.</summary>
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

    /// <summary>Reads what <see cref="NameOf"/> gives.</summary>
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
