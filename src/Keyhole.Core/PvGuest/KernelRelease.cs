// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.PvGuest;

/// <summary>
/// A release of Linux: 6.1.192 is (6, 1, 192), and what Linus releases has patch 0. Two states between releases, which the project's sources
/// describe, are here too. They sort as what they came from and went into. The default is 3.2, the oldest release that is known.
/// </summary>
public readonly struct KernelRelease : IEquatable<KernelRelease>, IComparable<KernelRelease>
{
    private const int MajorShift = 24;
    private const int MinorShift = 16;
    private const uint StatePatch = 0xffff;
    private const uint Oldest = (3U << MajorShift) | (2U << MinorShift);

    private readonly uint _aboveOldest;

    /// <param name="major">0 to 255.</param>
    /// <param name="minor">0 to 255.</param>
    /// <param name="patch">Of the stable series, 0 to 65534. What is older than 3.2 becomes 3.2.</param>
    public KernelRelease(byte major, byte minor, ushort patch = 0)
        : this(Pack(major, minor, patch < StatePatch ? patch : StatePatch - 1))
    {
    }

    private KernelRelease(uint packed) => _aboveOldest = packed < Oldest ? 0 : packed - Oldest;

    /// <summary>The oldest release whose memory setup is known.</summary>
    public static KernelRelease First => default;

    /// <summary>The newest series whose memory setup is known.</summary>
    public static KernelRelease Last => new(7, 3);

    /// <summary>3.4 with the commit of April 2012 that populates elsewhere what lay under holes; it went into 3.5 in another form.</summary>
    public static KernelRelease April2012 => new(Pack(3, 4, StatePatch));

    /// <summary>The state of July 2015 on the way from 4.2 to 4.3: it checks and moves as 4.3 does, and its limit of pages can wrap.</summary>
    public static KernelRelease July2015 => new(Pack(4, 2, StatePatch));

    /// <summary>The first number.</summary>
    public int Major => (int)(Packed >> MajorShift);

    /// <summary>The second number, 0 to 255.</summary>
    public int Minor => (int)((Packed >> MinorShift) & 0xff);

    /// <summary>The number of the stable release; of a state between releases it means nothing.</summary>
    public int Patch => (int)(Packed & 0xffff);

    /// <summary>A state between two releases.</summary>
    public bool IsState => (Packed & 0xffff) == StatePatch;

    private uint Packed => Oldest + _aboveOldest;

    /// <summary>Whether both belong to one stable series: 4.19.5 and 4.19.304 do.</summary>
    public bool IsOfSeries(int major, int minor) => !IsState && Major == major && Minor == minor;

    /// <inheritdoc/>
    public bool Equals(KernelRelease other) => _aboveOldest == other._aboveOldest;

    /// <inheritdoc/>
    public int CompareTo(KernelRelease other) => _aboveOldest < other._aboveOldest ? -1 : _aboveOldest > other._aboveOldest ? 1 : 0;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is KernelRelease other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => unchecked((int)_aboveOldest);

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(KernelRelease left, KernelRelease right) => left.Equals(right);

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(KernelRelease left, KernelRelease right) => !left.Equals(right);

    /// <summary>Whether the left one comes before the right one.</summary>
    public static bool operator <(KernelRelease left, KernelRelease right) => left._aboveOldest < right._aboveOldest;

    /// <summary>Whether the left one comes behind the right one.</summary>
    public static bool operator >(KernelRelease left, KernelRelease right) => left._aboveOldest > right._aboveOldest;

    /// <summary>Whether the left one does not come behind the right one.</summary>
    public static bool operator <=(KernelRelease left, KernelRelease right) => left._aboveOldest <= right._aboveOldest;

    /// <summary>Whether the left one does not come before the right one.</summary>
    public static bool operator >=(KernelRelease left, KernelRelease right) => left._aboveOldest >= right._aboveOldest;

    private static uint Pack(uint major, uint minor, uint patch) => (major << MajorShift) | (minor << MinorShift) | patch;
}
