// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Captures;

/// <summary>What a fleet takes of a capture. It is used again for the next: nothing is allocated but the name, and the host where that is
/// wanted.</summary>
internal sealed class CaptureSkim
{
    public const int MaxNameLength = 100;

    public List<E820Entry> Entries { get; } = [];

    /// <summary>Where the devices' windows lie, in the capture's order.</summary>
    public List<CaptureWindow> Windows { get; } = [];

    public int DeviceCount { get; set; }

    public RamShown RamShown { get; set; }

    /// <summary>Where lines of the map are lost.</summary>
    public ImmutableArray<ByteRange> LostRanges { get; set; } = [];

    /// <summary>What may have the toolstack refuse a guest: of the processor its maker, of Xen its release, and what is said of the IOMMU and of
    /// memory that devices use by themselves.</summary>
    public HostTraits Traits { get; set; } = HostTraits.Unknown;

    /// <summary>Whether the whole host is read as well: guests are to be forecast on it.</summary>
    public bool WantsHost { get; init; }

    /// <summary>The host itself, where it is wanted.</summary>
    public Host? Host { get; set; }

    /// <summary>Whether the capture has a member "name" that is a string.</summary>
    public bool HasName { get; set; }

    /// <summary>One line; null where there is none.</summary>
    public string? Name { get; set; }

    public void Clear()
    {
        Entries.Clear();
        Windows.Clear();
        DeviceCount = 0;
        RamShown = RamShown.All;
        LostRanges = [];
        Traits = HostTraits.Unknown;
        HasName = false;
        Name = null;
        Host = null;
    }
}

/// <summary>Where a window lies, in bytes, the end exclusive.</summary>
internal readonly record struct CaptureWindow(BarKind Kind, ulong Start, ulong End);
