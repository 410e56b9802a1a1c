// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>A map that Keyhole has given a domain, and what was there before: what <c>apply --undo</c> needs.</summary>
public sealed record AppliedMap
{
    /// <summary>The domain's number at the time.</summary>
    public required DomainId Domain { get; init; }

    /// <summary>Tells the domain from a later one of the same number.</summary>
    public required Guid Uuid { get; init; }

    /// <summary>The policy that made the map, or "map" for one given by hand.</summary>
    public required string Policy { get; init; }

    /// <summary>The map in force.</summary>
    public required ImmutableArray<E820Entry> Installed { get; init => field = Given.Array(value); }

    /// <summary>The toolstack's map, reckoned: Xen does not show a domain's map to others.</summary>
    public required ImmutableArray<E820Entry> Before { get; init => field = Given.Array(value); }
}
