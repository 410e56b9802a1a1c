// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Hosts;

namespace Keyhole.Guests;

/// <summary>What differs between releases of xl in how they read a file.</summary>
/// <remarks>Source: parse_config_data of each release by its tag.</remarks>
internal static class XlReleases
{
    /// <summary>Whether it looks at builder= alone: type= came with 4.10.</summary>
    public static bool HasNoType(XenVersion xen) => xen.IsUpTo(4, 9);

    /// <summary>
    /// Whether it reads pci= before e820_host=, rdm= and pci_permissive= and the like, so that e820_host=0 has the last word, and what is said for
    /// all devices reaches none: from 4.13 on, mended by commit e45ad0b1b0 in 4.14.5, 4.15.3, 4.16.1 and 4.17.
    /// </summary>
    public static bool ReadsDevicesFirst(XenVersion xen) => (xen.Major, xen.Minor) switch
    {
        (4, 13) => true,
        (4, 14) => xen.Patch < 5,
        (4, 15) => xen.Patch < 3,
        (4, 16) => xen.Patch < 1,
        _ => false,
    };

    /// <summary>Whether that depends on a patch level that is not known.</summary>
    public static bool MayReadDevicesFirst(XenVersion? xen) => xen is { Major: 4, Minor: >= 14 and <= 16, Patch: null };
}
