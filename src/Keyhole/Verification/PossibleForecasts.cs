// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>
/// The forecasts that remain where lines of the host's map are lost: one for each reading of those lines that the boot's own end does not refute.
/// What they do not have in common speaks neither for nor against anything that the log shows. Of a host of which nothing is lost it is one.
/// </summary>
internal sealed class PossibleForecasts
{
    private PossibleForecasts(BootForecast forecast, ImmutableArray<BootForecast> all)
    {
        Forecast = forecast;
        All = all;
        NotKnownRanges = forecast.Readings.IsEmpty ? [] : ByteRanges.Union(
            [.. forecast.Request.LostRanges, .. MapReadings.Differences([.. all.Select(static reading => reading.KernelMap)])]);
    }

    /// <summary>What they are the readings of.</summary>
    public BootForecast Forecast { get; }

    /// <summary>At least one.</summary>
    public ImmutableArray<BootForecast> All { get; }

    /// <summary>Where the kernel's map is not known: where lines are lost, and where the forecasts differ. Empty where nothing is lost.</summary>
    public ImmutableArray<ByteRange> NotKnownRanges { get; }

    public bool HasLostLines => !Forecast.Readings.IsEmpty;

    public static PossibleForecasts Of(BootForecast forecast, ObservedBoot observed)
    {
        if (forecast.Readings.IsEmpty)
            return new(forecast, [forecast]);
        // Most readings make the same map, and then they are the same forecast.
        ImmutableArray<BootForecast> all = [.. forecast.Readings.Distinct<BootForecast>(ReferenceEqualityComparer.Instance)];
        ImmutableArray<BootForecast> possible = [.. all.Where(reading => !IsRefuted(reading, observed))];
        return new(forecast, possible.IsEmpty ? all : possible);
    }

    /// <summary>What all of them say.</summary>
    public IEnumerable<Phrase> InCommon(Func<BootForecast, IEnumerable<Phrase>> of)
    {
        if (All.Length == 1)
            return of(All[0]);
        HashSet<string>[] others = [.. All.Skip(1).Select(reading => of(reading).Select(static text => text.ToString()).ToHashSet())];
        return of(All[0]).Where(text => Array.TrueForAll(others, other => other.Contains(text.ToString())));
    }

    private static bool IsRefuted(BootForecast reading, ObservedBoot observed) =>
        !(reading.Outcome == GuestOutcome.NotKnown && !observed.Halts)
            && Verifier.Outcome(reading, observed) is { Agrees: false } end && !Verifier.IsDeathBehindSetup(end, observed);
}
