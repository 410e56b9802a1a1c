// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Keyhole.Platforms.XenHvm;
using Keyhole.Platforms.XenPv;
using Keyhole.Platforms.XenPvh;

namespace Keyhole.Planning;

/// <summary>Scenario in, plan out: chooses the platform. The one place that knows which there are.</summary>
public static class Planner
{
    private static readonly XenPvPlatform s_xenPv = new();
    private static readonly XenDom0Platform s_xenDom0 = new();
    private static readonly XenPvhPlatform s_xenPvh = new();
    private static readonly XenPvhDom0Platform s_xenPvhDom0 = new();
    private static readonly XenHvmPlatform s_xenHvm = new();
    private static readonly QemuPlatform s_qemu = new();

    /// <summary>The map that the scenario's guest would get, and what is wrong with it.</summary>
    public static Plan Plan(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        IPlatform platform = PlatformOf(scenario);
        return WithDoubtOfXen(scenario.Host.HasLostEntries ? PlanOfReadings(platform, scenario) : platform.Plan(scenario), platform);
    }

    /// <summary>Says of a Xen that came later that nobody looked at it.</summary>
    private static Plan WithDoubtOfXen(Plan plan, IPlatform platform)
    {
        XenVersion newest = XenVersion.NewestKnown;
        if (platform == s_qemu || plan.Scenario.Host.Traits.XenVersion is not { } xen || xen.IsUpTo(newest.Major, newest.Minor))
            return plan;
        string message = $"Xen {xen} is later than those that are known: it is assumed to do what {newest} does";
        return plan with { Problems = plan.Problems.Add(new(Severity.Info, ProblemCodes.Assumed, message)) };
    }

    /// <summary>Of a host of whose map lines are lost: what is the same whatever they said.</summary>
    private static Plan PlanOfReadings(IPlatform platform, Scenario scenario)
    {
        ImmutableArray<Plan> readings = [.. LostLines.Readings(scenario.Host).Select(host => platform.Plan(scenario with { Host = host }))];
        Plan plan = readings[0];
        ulong?[] low = [.. readings.Select(static reading => reading.RamBelow4GiBKiB).Distinct().Order()];
        (string least, string most) = ByteSize.ToTexts((low[0] ?? 0) << 10, (low[^1] ?? 0) << 10);
        string[] doubts = low.Length == 1 ? [] : [$"how much RAM the guest has below 4 GiB (at least {least}, at most {most})"];
        bool isVerdictKnown = readings.All(reading => reading.Verdict == plan.Verdict);
        return plan with
        {
            Scenario = scenario,
            Readings = readings,
            NotKnownRanges = MapReadings.Differences([.. readings.Select(static reading => reading.Map)]),
            RamBelow4GiBKiB = low.Length == 1 ? low[0] : null,
            Verdict = isVerdictKnown ? plan.Verdict : new GuestVerdict(GuestOutcome.NotKnown, null),
            Problems = LostLineDoubts.Agreed(scenario.Host.LostRanges, [.. readings.Select(static reading => reading.Problems)], doubts),
        };
    }

    /// <summary>Why the toolstack does not create the scenario's guest, whatever map it has; null where it does, and where the plan alone tells
    /// it.</summary>
    public static Problem? RefusalOf(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        return PlatformOf(scenario).RefusalOf(scenario);
    }

    /// <summary>Who makes the guest's map.</summary>
    public static IPlatform PlatformOf(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        return scenario.Dom0 is not { } dom0 ? PlatformOf(scenario.Guest) : dom0.IsPvh ? s_xenPvhDom0 : s_xenDom0;
    }

    /// <summary>The platform of a guest that is no dom0.</summary>
    public static IPlatform PlatformOf(GuestSpec guest)
    {
        ArgumentNullException.ThrowIfNull(guest);
        return guest.Type switch
        {
            GuestType.Pv => s_xenPv,
            GuestType.Pvh => s_xenPvh,
            GuestType.Hvm => s_xenHvm,
            GuestType.Kvm => s_qemu,
        };
    }
}
