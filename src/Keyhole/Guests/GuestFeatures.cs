// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Guests;

/// <summary>Keys of an xl.cfg that decide no address, but with which libxl or Xen refuse a guest where others are set, too.</summary>
/// <remarks>Source: xl_parse.c, and libxl's enumerations altp2m_mode and passthrough, whose names are read in any case.</remarks>
internal sealed record GuestFeatures
{
    public static readonly GuestFeatures None = new();

    /// <summary>altp2m= names another mode than "disabled"; since Xen 4.9.</summary>
    public bool HasAltP2m { get; init; }

    /// <summary>altp2mhvm= of old, for HVM guests; since Xen 4.6.</summary>
    public bool HasOldAltP2m { get; init; }

    /// <summary>nestedhvm=.</summary>
    public bool IsNested { get; init; }

    /// <summary>Whether hap=0 is set.</summary>
    public bool HasNoHap { get; init; }

    /// <summary>vnuma= has a node; since Xen 4.6.</summary>
    public bool HasVnuma { get; init; }

    /// <summary>passthrough=, since Xen 4.13: whether the guest is to have an IOMMU's tables; null where it is not set, or "default": then if it has
    /// a device.</summary>
    public bool? Passthrough { get; init; }

    /// <summary>Whether passthrough= asks for an IOMMU's tables that are those of the processor.</summary>
    public bool SharesTables { get; init; }

    /// <summary>altp2m_count=, since Xen 4.21; null where it is not set.</summary>
    public long? AltP2mCount { get; init; }

    /// <summary>videoram=, which libxl takes from a PVH guest's memory, too; null where it is not set.</summary>
    public ulong? VideoKiB { get; init; }

    /// <summary>pvshim=, since Xen 4.11: a PVH guest that is a Xen, in which the guest runs as a PV one.</summary>
    public bool IsShim { get; init; }

    /// <summary>pvh= of Xen 4.4 to 4.8, for PV guests.</summary>
    public bool IsOldPvh { get; init; }

    public static GuestFeatures Of(XlSettings keys)
    {
        ArgumentNullException.ThrowIfNull(keys);
        return new()
        {
            HasAltP2m = keys.Number("altp2m") is { } mode ? mode is > 0 and <= 3
                : keys.Text("altp2m") is { } named && IsOneOf(named, "mixed", "external", "limited"),
            HasOldAltP2m = keys.Flag("altp2mhvm", false),
            IsNested = keys.Flag("nestedhvm", false),
            HasNoHap = !keys.Flag("hap", true),
            HasVnuma = keys.HasItems("vnuma"),
            Passthrough = keys.Text("passthrough") is not { } told ? null
                : IsOneOf(told, "disabled") ? false : IsOneOf(told, "enabled", "sync_pt", "share_pt") ? true : null,
            IsShim = keys.Flag("pvshim", false),
            IsOldPvh = keys.Flag("pvh", false),
            VideoKiB = keys.Number("videoram") is { } mib and >= 0 and < 1L << 40 ? (ulong)mib << 10 : null,
            AltP2mCount = keys.Number("altp2m_count"),
            SharesTables = keys.Text("passthrough") is { } shares && IsOneOf(shares, "share_pt"),
        };
    }

    private static bool IsOneOf(string text, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (text.Equals(name, StringComparison.OrdinalIgnoreCase))
                return true;
        }

        return false;
    }
}
