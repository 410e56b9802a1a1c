// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenPvh;

/// <summary>What the toolstack of a release of Xen does otherwise than others for a PVH guest's map.</summary>
/// <remarks>
/// Source: xl_parse.c, libxl_dom.c (libxl__build_hvm), libxl_x86.c (domain_construct_memmap) and libxl_x86_acpi.c of the releases 4.9.0 to 4.17.0 by
/// their tags, stable releases included; commit 0a20a53df1 and its takeovers for the KiB; the log of an xl -vvv of Xen 4.11.
/// </remarks>
/// <param name="Xen">The release.</param>
internal readonly record struct PvhToolstack(XenVersion Xen)
{
    /// <summary>What RAM is larger by where libxl takes "not set" of the video memory, all ones, for its size: with videoram= it is not.</summary>
    public const ulong StrayBytes = 1024;

    /// <summary>One release of each kind, and which are of it.</summary>
    public static readonly (XenVersion Xen, string Releases)[] Named =
    [
        (new(4, 10), "4.10"),
        (new(4, 11), "4.11 to 4.14.4, 4.15.0 to 4.15.2 or 4.16.0"),
        (new(4, 17), "4.14.5 and later of 4.14, 4.15.3 and later of 4.15, 4.16.1 and later of 4.16, or 4.17"),
        (new(4, 18), "4.18 to 4.20"),
        (new(4, 21), "4.21 or later"),
    ];

    /// <summary>Whether it has PVH guests of this kind: type= came with 4.10, and older releases of xl pass over it.</summary>
    public bool HasPvh => !Xen.IsUpTo(4, 9);

    /// <summary>4.10 has no entry for the special pages, RAM may end at the local APIC, behind ACPI's tables, and their pointer is below
    /// 1 MiB.</summary>
    public bool IsFirst => Xen.IsUpTo(4, 10);

    /// <summary>Whether RAM is <see cref="StrayBytes"/> larger; null where that depends on a patch level that is not known.</summary>
    public bool? HasStrayBytes => Xen switch
    {
        { Major: 4, Minor: 14 } => IsBefore(5),
        { Major: 4, Minor: 15 } => IsBefore(3),
        { Major: 4, Minor: 16 } => IsBefore(1),
        _ => Xen.IsUpTo(4, 13),
    };

    /// <summary>The part of the map that the patch level decides.</summary>
    /// <param name="ramEnd">Where RAM ends without the KiB.</param>
    public UnsettledRange StrayRange(ulong ramEnd) => new(ByteRange.FromSize(ramEnd, StrayBytes),
        string.Create(CultureInfo.InvariantCulture,
            $"before Xen 4.14.5, 4.15.3 and 4.16.1 RAM is 1 KiB larger, and which {Xen} the host has is not told"));

    /// <summary>For a release without PVH guests.</summary>
    public Problem None(Toolstack toolstack) => new(
        Severity.Error,
        ProblemCodes.GuestDoesNotStart,
        toolstack == Toolstack.Libvirt ? $"Xen {Xen} has no PVH guests: they came with 4.10"
            : $"Xen {Xen} has no PVH guests: type= came with 4.10, and an older xl passes over it and makes a PV guest",
        Remedy: $"take Xen 4.10 or later, or make the guest {OwnWords.Type(toolstack, GuestType.Pv)}");

    private bool? IsBefore(int patch) => Xen.Patch is { } known ? known < patch : null;
}
