// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Answers;

/// <summary>A plan with what a kernel makes of its map, in short. The members are null where no kernel's memory setup was forecast, and where lines
/// that the host's source has lost decide them.</summary>
public abstract record KernelAnswer : PlanAnswer
{
    /// <summary>The kernel's name.</summary>
    [JsonPropertyOrder(MemberOrder.Kernel)]
    public string? Kernel { get; }

    /// <summary>Whether nobody named the kernel, so that it is an assumption.</summary>
    [JsonPropertyOrder(MemberOrder.Kernel)]
    public bool? KernelIsAssumed { get; }

    /// <summary>Pages that the kernel gives back to Xen for good.</summary>
    [JsonPropertyOrder(MemberOrder.Pages)]
    public ulong? ReleasedPages { get; }

    /// <summary>Pages that the kernel moves from under holes to RAM further up.</summary>
    [JsonPropertyOrder(MemberOrder.Pages)]
    public ulong? RemappedPages { get; }

    /// <summary>Pages that the kernel asks back from Xen.</summary>
    [JsonPropertyOrder(MemberOrder.Pages)]
    public ulong? PopulatedPages { get; }

    /// <summary>Pages of ACPI NVS that the kernel moves to RAM further up.</summary>
    [JsonPropertyOrder(MemberOrder.Pages)]
    public ulong? NonRamPages { get; }

    private protected KernelAnswer(Plan plan, IEnumerable<Problem> problems, BootForecast? forecast, Func<Setting, string>? words)
        : base(plan, problems, words)
    {
        if (forecast is null)
            return;
        Kernel = KernelReleases.NameOf(forecast.Request.Kernel);
        KernelIsAssumed = plan.Scenario.IsKernelAssumed;
        Outcome = GuestOutcomes.NameOf(forecast.Outcome);
        Message = forecast.Message;
        ReleasedPages = forecast.IsAgreed(static reading => reading.ReleasedPages) ? forecast.ReleasedPages : null;
        RemappedPages = forecast.IsAgreed(static reading => reading.RemappedPages) ? forecast.RemappedPages : null;
        PopulatedPages = forecast.IsAgreed(static reading => reading.PopulatedPages) ? forecast.PopulatedPages : null;
        NonRamPages = forecast.IsAgreed(static reading => reading.NonRamPages) ? forecast.NonRamPages : null;
    }
}
