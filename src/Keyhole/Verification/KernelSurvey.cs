// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>What the other kernels would make of the same boot, and where a kernel would have to lie to get through.</summary>
internal static class KernelSurvey
{
    /// <summary>"6.12 and later: boots": a line for each run of releases that fare alike.</summary>
    public static IEnumerable<string> Tell(ImmutableArray<BootForecast> forecasts)
    {
        for (int i = 0; i < forecasts.Length;)
        {
            string outcome = OutcomeOf(forecasts[i]);
            int next = i + 1;
            while (next < forecasts.Length && OutcomeOf(forecasts[next]) == outcome)
                next++;
            yield return $"{KernelReleases.RangeOf(forecasts[i].Request.Kernel, forecasts[next - 1].Request.Kernel, forecasts[i].Request.Is32Bit)}: "
                + outcome;
            i = next;
        }
    }

    /// <summary>The releases of those kernels that cope: "3.4 to 3.15, or 5.13 and later".</summary>
    public static string ReleasesThat(Func<BootForecast, bool> cope, ImmutableArray<BootForecast> forecasts)
    {
        List<string> runs = [];
        for (int i = 0; i < forecasts.Length; i++)
        {
            int first = i;
            while (i < forecasts.Length && cope(forecasts[i]))
                i++;
            if (i > first)
                runs.Add(KernelReleases.RangeOf(forecasts[first].Request.Kernel, forecasts[i - 1].Request.Kernel, forecasts[first].Request.Is32Bit));
        }

        return string.Join(", or ", runs);
    }

    /// <summary>Boots, and gives no pages back for good.</summary>
    public static bool KeepsAll(BootForecast forecast) => forecast.Boots && forecast.ReleasedPages <= forecast.PopulatedPages;

    /// <summary>The same boot with every mainline release that differs from the one before, oldest first.</summary>
    public static ImmutableArray<BootForecast> Of(BootRequest request) =>
        [.. KernelReleases.Changing.Where(version => !request.Is32Bit || version <= KernelReleases.LastOf32Bits)
            .Select(version => Forecaster.Forecast(request with { Kernel = version }))];

    private static string OutcomeOf(BootForecast forecast)
    {
        if (forecast.Outcome == GuestOutcome.NotKnown)
            return "not known";
        if (forecast.Halts)
            return forecast.Message is { Length: > 0 } message ? $"halts with \"{message}\"" : "halts without a message";
        ulong lost = forecast.ReleasedPages - Math.Min(forecast.ReleasedPages, forecast.PopulatedPages);
        return lost == 0 ? "boots with all its memory" : $"boots, but gives back {Verifier.Number(lost)} pages";
    }
}
