// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Logs;

namespace Keyhole.Answers;

/// <summary>What is forecast of a live guest's boot, in short.</summary>
public sealed record LiveForecastAnswer
{
    /// <summary>The kernel that was forecast, by its name.</summary>
    public required string Kernel { get; init; }

    /// <summary>Whether nobody named the kernel, so that it is an assumption; null where that is not told.</summary>
    public bool? KernelIsAssumed { get; init; }

    /// <summary>"boots" or "halts".</summary>
    public required string Outcome { get; init; }

    /// <summary>The panic message; null where the kernel boots.</summary>
    public string? Message { get; init; }

    /// <summary>Pages that the guest starts with.</summary>
    public required ulong NrPages { get; init; }

    /// <summary>Pages that the kernel gives back to Xen.</summary>
    public required ulong ReleasedPages { get; init; }

    /// <summary>Pages that it moves to other addresses.</summary>
    public required ulong RemappedPages { get; init; }

    /// <summary>The windows of the guest's devices.</summary>
    public required ImmutableArray<LiveBarAnswer> Bars { get; init => field = Given.Array(value); }

    /// <summary>The forecast in short.</summary>
    /// <param name="isKernelAssumed">Whether nobody named the kernel; null where that is not told.</param>
    public static LiveForecastAnswer Of(BootForecast forecast, bool? isKernelAssumed = null)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        return new()
        {
            Kernel = KernelReleases.NameOf(forecast.Request.Kernel),
            KernelIsAssumed = isKernelAssumed,
            Outcome = Platforms.GuestOutcomes.NameOf(forecast.Outcome),
            Message = forecast.Message,
            NrPages = forecast.Request.PageCount,
            ReleasedPages = forecast.ReleasedPages,
            RemappedPages = forecast.RemappedPages,
            Bars = [.. forecast.Bars.Select(static verdict => new LiveBarAnswer(verdict.Bar.Start, verdict.Bar.End, verdict.CanBeClaimed))],
        };
    }
}

/// <summary>Whether a window can be claimed.</summary>
public readonly record struct LiveBarAnswer(Hex Start, Hex End, bool Claimed);
