// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>A plan and what the guest's firmware and kernel make of it. The last step of <c>Scenario → Plan → Boot</c>, and the one way to a
/// forecast.</summary>
/// <param name="Forecast">What the kernel makes of the map, page by page; null for guests whose kernel does not lay its memory out by the
/// map.</param>
public sealed record Boot(Plan Plan, BootForecast? Forecast)
{
    /// <summary>Plans the scenario and forecasts its boot.</summary>
    public static Boot Of(Scenario scenario) => Of(Planner.Plan(scenario));

    /// <summary>Forecasts the boot on a plan's map.</summary>
    public static Boot Of(Plan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (!plan.Platform.Traits.KernelLaysMemory || plan.Verdict is { Outcome: GuestOutcome.Refused })
            return new(plan, null);
        return HasKernel(plan.Scenario) ? new(plan, Forecaster.Forecast(RequestOf(plan))) : new(Refused(plan), null);
    }

    /// <summary>Whether a kernel of such a release and width exists. The stable releases of 5.8 have it still.</summary>
    private static bool HasKernel(Scenario scenario) =>
        !scenario.Guest.Is32Bit || scenario.Kernel <= KernelReleases.LastOf32Bits
            || scenario.Kernel.IsOfSeries(KernelReleases.LastOf32Bits.Major, KernelReleases.LastOf32Bits.Minor);

    private static Plan Refused(Plan plan)
    {
        var problem = new Problem(
            Severity.Error,
            ProblemCodes.No32BitKernel,
            $"there is no 32-bit PV kernel of {KernelReleases.NameOf(plan.Scenario.Kernel)}: Linux dropped them with "
                + $"5.9, and the domain builder takes none",
            Remedy: "boot a 64-bit kernel, or one up to 5.8; as PVH or HVM newer 32-bit kernels boot");
        return plan with { Problems = [.. plan.Problems, problem], Verdict = new(GuestOutcome.Refused, null) };
    }

    /// <summary>The same plan with another kernel.</summary>
    public Boot With(KernelRelease kernel) => Of(Plan with { Scenario = Plan.Scenario with { Kernel = kernel } });

    /// <summary>How far the guest gets.</summary>
    public GuestOutcome Outcome => Plan.Firmware is { Outcome: not GuestOutcome.Boots } firmware ? firmware.Outcome
        : Forecast?.Outcome ?? Plan.Firmware?.Outcome ?? Plan.Verdict?.Outcome ?? GuestOutcome.NotKnown;

    /// <summary>Whether the guest gets through its boot, as far as is forecast.</summary>
    public bool Boots => Outcome == GuestOutcome.Boots;

    /// <summary>What kernel or firmware say where they stop; null where there is nothing to say.</summary>
    public string? Message => Forecast?.Message ?? Plan.Firmware?.Message ?? Plan.Verdict?.Message;

    /// <summary>The plan's problems and the forecast's. Of a map with entries missing no remedy is known but to give the whole map.</summary>
    public ImmutableArray<Problem> Problems
    {
        get
        {
            ImmutableArray<Problem> all = Forecast?.ProblemsWith(Plan) ?? Plan.Problems;
            return Plan.LaidBy is not { Traits.IsPart: true } ? all
                : [.. all.Select(static problem => problem.Code == ProblemCodes.MapNotKnown ? problem : problem with { Remedy = null })];
        }
    }

    /// <summary>Whether a problem of severity error speaks against the guest: the answer is no.</summary>
    public bool HasErrors => Problems.Any(static problem => problem.Severity == Severity.Error);

    private static BootRequest RequestOf(Plan plan)
    {
        Scenario scenario = plan.Scenario;
        return new()
        {
            Map = plan.Map,
            Readings = [.. plan.Readings.Select(static reading => reading.Map)],
            LostRanges = scenario.Host.LostRanges,
            IsDom0 = scenario.Dom0 is not null,
            Toolstack = scenario.Guest.Toolstack,
            Is32Bit = scenario.Guest.Is32Bit,
            PageCount = scenario.StartPages,
            MaxPages = scenario.Dom0?.MaxPages,
            Kernel = scenario.Kernel,
            Layout = scenario.LayoutThatCounts,
            CommandLine = scenario.Guest.CommandLine ?? "",
            Bars = plan.Bars,
            Devices = HostSide.DevicesOf(scenario),
        };
    }
}
