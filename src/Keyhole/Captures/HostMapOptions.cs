// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Hosts;

namespace Keyhole.Captures;

/// <summary>What a user may say about a source that the reader would else find out by itself.</summary>
public sealed record HostMapOptions
{
    /// <summary>The host's map, as the source has it, detected.</summary>
    public static readonly HostMapOptions Default = new();

    /// <summary>The dialect to read, or null to detect it.</summary>
    public HostMapDialect? From { get; init; }

    /// <summary>Which of a log's maps to take, 1-based in the log's order, or null for the firmware's.</summary>
    public int? MapNumber { get; init; }

    /// <summary>Whether a guest's map is wanted: of a log the one that a kernel under Xen printed, of JSON a plan's or a boot's, too.</summary>
    internal bool IsGuests { get; init; }

    /// <summary>Whether a log without a map is a host of which no map is known, where it tells something else of it: for guests whose map does not
    /// depend on the host's.</summary>
    public bool NeedsNoMap { get; init; }
}
