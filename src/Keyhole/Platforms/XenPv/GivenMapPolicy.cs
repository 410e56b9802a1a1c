// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Platforms.XenPv;

/// <summary>A map that somebody wrote by hand, as it stands: whatever is in it, what comes of it is the forecast's to say.</summary>
/// <param name="entries">In the order in which they are to be installed.</param>
public sealed class GivenMapPolicy(ImmutableArray<E820Entry> entries) : IHolePolicy
{
    /// <summary>What is known to be missing in the map's source, as a sentence; null where nothing is.</summary>
    public string? Missing { get; init; }

    /// <inheritdoc/>
    public string Name => "map";

    /// <inheritdoc/>
    public PolicyTraits Traits => new(PolicyNeeds.InstalledMap, int.MaxValue) { IsPart = Missing is not null };

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        return new(
            [.. entries.Select(static entry => new PlannedEntry(entry, "as given"))],
            Missing is { } missing
                ? [new(Severity.Warning, ProblemCodes.MapNotKnown, missing, Remedy: "give the guest's whole map: all lines of it")] : []);
    }
}
