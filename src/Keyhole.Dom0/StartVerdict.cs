// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Verification;

namespace Keyhole.Dom0;

/// <summary>How a started guest's boot compares with its forecast.</summary>
public enum StartResult
{
    /// <summary>It boots, and its console agrees with the forecast.</summary>
    AsForecast,

    /// <summary>It boots as forecast, with problems of severity error, which were forecast too.</summary>
    WithForecastErrors,

    /// <summary>It boots, but its console differs from the forecast.</summary>
    Differs,

    /// <summary>It boots, though it was forecast to halt.</summary>
    BootsAgainstForecast,

    /// <summary>It died, as forecast.</summary>
    DiedAsForecast,

    /// <summary>It died, though it was forecast to boot.</summary>
    DiedAgainstForecast,

    /// <summary>It set its memory up, but did not get through its start in the time given.</summary>
    Stuck,

    /// <summary>It said nothing of its memory in the time given, though it was forecast to boot.</summary>
    Silent,

    /// <summary>It said nothing in the time given, and was forecast to halt.</summary>
    SilentAsForecast,
}

/// <summary>A started guest held against its forecast.</summary>
public sealed record StartVerdict
{
    /// <summary>How the boot compares with its forecast.</summary>
    public required StartResult Result { get; init; }

    /// <summary>The forecast for the kernel that the console names; for the one asked for where it names none.</summary>
    public required BootForecast Forecast { get; init; }

    /// <summary>The console beside the forecast; null where the console shows no boot.</summary>
    public BootVerification? Verification { get; init; }

    /// <summary>What the guest said of its memory.</summary>
    public required ImmutableArray<string> Said { get; init => field = Given.Array(value); }

    /// <summary>Whether it boots, but has not said whether it claims its device's windows.</summary>
    public bool AwaitsClaims { get; init; }

    /// <summary>Whether it went all as forecast, and well.</summary>
    public bool Succeeded => Result == StartResult.AsForecast;

    /// <param name="plan">What the guest was to get.</param>
    /// <param name="isKernelNamed">Whether the forecast's kernel was named by the user, and not only assumed.</param>
    public static StartVerdict Of(Plan plan, StartedGuest guest, bool isKernelNamed)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(guest);
        BootForecast forecast = guest.Map.Forecast;
        using var text = new MemoryStream(Encoding.Latin1.GetBytes(guest.Console));
        LogScan scan = LogScanner.Scan(text, "the guest's console");
        ObservedBoot? observed = BootLog.Of(scan).FirstOrDefault();
        if (!isKernelNamed && observed?.Kernel is { } seen && seen != forecast.Request.Kernel)
            forecast = forecast.With(seen);
        BootVerification? verification = observed is null ? null : Verifier.Compare(forecast, observed, plan);
        bool agrees = verification is { Agrees: true, Findings.IsEmpty: false };
        StartResult result = guest.Outcome switch
        {
            StartOutcome.Booted when forecast.Halts => StartResult.BootsAgainstForecast,
            // Its console may tell of an end that the domain's state does not show any more.
            StartOutcome.Booted when !agrees => observed is { Halts: true } ? StartResult.DiedAgainstForecast : StartResult.Differs,
            StartOutcome.Booted => guest.Map.HasErrors ? StartResult.WithForecastErrors : StartResult.AsForecast,
            StartOutcome.Died => forecast.Halts ? StartResult.DiedAsForecast : StartResult.DiedAgainstForecast,
            StartOutcome.Stuck => StartResult.Stuck,
            StartOutcome.Silent => forecast.Boots ? StartResult.Silent : StartResult.SilentAsForecast,
        };
        return new()
        {
            Result = result,
            Forecast = forecast,
            Verification = verification,
            Said = [.. scan.Lines.Select(static line => line.Text)],
            AwaitsClaims = result == StartResult.AsForecast && !plan.Bars.IsEmpty && !guest.ClaimsSeen,
        };
    }
}
