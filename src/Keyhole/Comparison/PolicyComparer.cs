// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Comparison;

/// <summary>Puts every policy through plan, boot and migration, and says which to take.</summary>
public static class PolicyComparer
{
    /// <summary>Less low memory than this share of what another policy keeps (in percent) is a loss that counts.</summary>
    private const ulong LowMemoryThatCounts = 90;

    /// <summary>Fewer pages lost than this (1 MiB) are no reason to install another map.</summary>
    private const ulong LossThatCounts = 256;

    /// <summary>Plans, forecasts and, where other hosts are named, migrates the guest for each policy of the request.</summary>
    public static PolicyComparison Compare(ComparisonRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        bool isChoice = Planner.PlatformOf(request.Scenario).Traits.TakesPolicies;
        Scenario scenario = request.Scenario;
        if (isChoice && !scenario.Guest.UsesHostMap)
            scenario = scenario with { Guest = scenario.Guest with { E820Host = true } };
        SettingComparison? settings = Planner.PlatformOf(scenario).CompareSettings(scenario);
        ImmutableArray<Bar> all = scenario.Windows;
        ImmutableArray<IHolePolicy> policies = isChoice ? WithHoleForAll(request, scenario) : [request.Policies[0]];
        ImmutableArray<ComparedPolicy> rows = [.. policies.Select(policy => Row(request, scenario with { Policy = policy }, policy))];
        if (!isChoice && settings is not null)
            settings = WithPlansErrors(settings, rows[0].Plan);
        PolicyComparison comparison = isChoice
            ? Choose(request, rows, all)
            : new()
            {
                Policies = rows,
                IsChoice = false,
                Best = null,
                Settings = settings,
                Why = settings?.Why ?? WhyNothing(rows[0].Plan),
            };
        comparison = comparison with { Room = RoomFor(all) };
        return isChoice && scenario.Host.HasLostEntries ? OfReadings(request with { Scenario = scenario }, comparison) : comparison;
    }

    /// <summary>Of a host of whose map lines are lost: what is best whatever they said.</summary>
    private static PolicyComparison OfReadings(ComparisonRequest request, PolicyComparison comparison)
    {
        string[] best = [.. LostLines.Readings(request.Scenario.Host)
            .Select(host => Compare(request with { Scenario = request.Scenario with { Host = host } }).Best?.Policy.Name ?? "none").Distinct()
            .OrderBy(static name => name == "none")];
        string lost = LostLineDoubts.Text(request.Scenario.Host.LostRanges);
        if (best.Length > 1)
        {
            return comparison with
            {
                Best = null,
                IsNotKnown = true,
                Why = $"which is best is not known ({string.Join(" or ", best)}): it depends on lines of the host's map that are lost where {lost} "
                    + $"{(request.Scenario.Host.LostRanges.Length == 1 ? "is" : "are")}; give the whole log, or another source of the host's map",
            };
        }

        ComparedPolicy? row = comparison.Policies.FirstOrDefault(row => row.Policy.Name == best[0]);
        return comparison with
        {
            Best = row,
            Why = row is null ? $"none will do, whatever the lines of the host's map said that are lost where {lost} is"
                : $"{best[0]} is best whatever the lines of the host's map said that are lost where {lost} is",
        };
    }

    /// <summary>What plan says a guest does not start with, no setting of its machine mends, but for one that was found for it. A host that is too
    /// small for the guest is another matter: the setting is right on one that is not.</summary>
    private static SettingComparison WithPlansErrors(SettingComparison settings, Plan plan)
    {
        bool isKept = settings.Best == settings.Settings[0].Setting;
        if (settings.Best is null)
            return settings;
        if (plan.Problems.FirstOrDefault(problem => problem is { Severity: Severity.Error, Code: not ProblemCodes.LargerThanHost }
            && (isKept || IsWhateverIsSet(problem, plan))) is not { } error)
        {
            return !plan.IsTooLargeForHost ? settings
                : settings with { Why = $"{settings.Why}; on a host with more memory: on this one the guest is not started" };
        }

        bool isRefused = (plan.Firmware?.Outcome ?? plan.Verdict?.Outcome) == GuestOutcome.Refused;
        return settings with
        {
            Settings = !isRefused ? settings.Settings
                : IsWhateverIsSet(error, plan) ? [.. settings.Settings.Select(static row => row with { Outcome = GuestOutcome.Refused })]
                : settings.Settings.SetItem(0, settings.Settings[0] with { Outcome = GuestOutcome.Refused }),
            Best = null,
            Why = error.Remedy is { } remedy ? $"{error.Message}; {remedy}" : error.Message,
            Paste = null,
        };
    }

    private static bool IsWhateverIsSet(Problem error, Plan plan) => error.Code == ProblemCodes.MaxmemBelowMemory
        || (error.Code == ProblemCodes.ReservedDeviceMemory && plan.Guest.Type == GuestType.Kvm);

    /// <summary>Of a guest whose map no policy lays, and of which no setting was tried.</summary>
    private static string WhyNothing(Plan plan)
    {
        if ((plan.Verdict?.Outcome ?? plan.Firmware?.Outcome) == GuestOutcome.Refused)
            return "no setting was tried: the guest is not created; its problems say why";
        return plan.IsMapKnown ? "the guest is not a PV guest: its map does not follow the host's, and no policy or setting changes it"
            : "no setting was tried: the guest's map is not known; its problems say why";
    }

    /// <summary>A window that the user names and the host's capture has too is one.</summary>
    private static BarRoom? RoomFor(ImmutableArray<Bar> bars)
    {
        ImmutableArray<Bar> windows = [.. bars.Where(static bar => bar.Kind != BarKind.BridgeWindow).DistinctBy(static bar => (bar.Start, bar.End))];
        return windows.IsEmpty ? null : BarRoom.Of(windows);
    }

    /// <summary>Where the guest is to move, a hole whose start is left open is to suit all hosts.</summary>
    private static ImmutableArray<IHolePolicy> WithHoleForAll(ComparisonRequest request, Scenario scenario)
    {
        if (!LibxlPolicy.IsKnownTo(scenario.Host.Traits.XenVersion))
            request = request with { Policies = [.. request.Policies.Where(static policy => !policy.Traits.IsToolstacksOwn)] };
        if (request.MigrateTo.IsEmpty)
            return request.Policies;
        ulong start = HostHoles.StartOfPciHole(scenario.MachineMap, scenario.Windows);
        foreach (MigrationHost host in request.MigrateTo)
        {
            Scenario there = host.On(scenario);
            start = Math.Min(start, HostHoles.StartOfPciHole(there.MachineMap, there.Windows));
        }

        start = HostHoles.RecommendedStart(start);
        return start is 0 or >= Frames.FourGiB ? request.Policies : [.. request.Policies.Select(policy => policy.WithHoleAt(start))];
    }

    private static ComparedPolicy Row(ComparisonRequest request, Scenario scenario, IHolePolicy policy)
    {
        Boot boot = Boot.Of(scenario);
        Plan plan = boot.Plan;
        BootForecast? forecast = plan.Entries.IsEmpty ? null : boot.Forecast;
        ImmutableArray<MigrationResult> migrations = !plan.Platform.Traits.TakesPolicies ? [] : [.. request.MigrateTo.Select(to => Migrator.Run(new()
        {
            Scenario = scenario,
            Known = boot,
            To = to,
            Resume = request.Resume,
            BalloonedPages = request.BalloonedPages,
            Fill = HoleFill.AtBoot,
        }))];
        return new()
        {
            Policy = policy,
            Plan = plan,
            Forecast = forecast,
            Kernels = forecast is null ? []
                : [.. KernelReleases.Named
                    .Select(kernel => (Kernel: kernel, Forecast: kernel == scenario.Kernel ? forecast : boot.With(kernel).Forecast))
                    .Where(static row => row.Forecast is { IsDecidedByLostLines: false } or null)
                    .Select(static row => (row.Kernel, row.Forecast is { Boots: true }))],
            Migrations = migrations,
            Against = Against(boot, migrations, policy),
        };
    }

    private static Phrase? Against(Boot boot, ImmutableArray<MigrationResult> migrations, IHolePolicy policy)
    {
        Plan plan = boot.Plan;
        if (policy.Traits.Needs == PolicyNeeds.ChangedXen)
            return "the real Xen refuses it (EPERM)";
        if (boot.Problems.FirstOrDefault(static problem => problem.Severity == Severity.Error) is { } error)
        {
            return error.Code == ProblemCodes.KernelHalts && boot.Forecast is { IfShorter.Boots: true } forecast
                ? $"{error.Message}, if it reaches beyond 0x{forecast.KernelEndThatMatters:x}: its image tells where it ends, its builder does not"
                : error.Message;
        }

        // Where firmware gives the devices addresses of the guest's own, the host's holes speak against nothing.
        if (plan.Platform.Traits.KeepsHostAddresses && plan.Bars.IsEmpty && AgainstWithoutDevice(policy, plan) is { } covered)
            return covered;
        if (migrations.FirstOrDefault(static migration => !migration.Succeeded) is { } stuck)
            return $"cannot move to {stuck.Request.To.Name}: {stuck.Failure?.What}";
        return null;
    }

    /// <summary>Where no window is known, a device may be wherever the host has no memory: what speaks against RAM there.</summary>
    private static Phrase? AgainstWithoutDevice(IHolePolicy policy, Plan plan)
    {
        // Of lines that are lost, what speaks against it for each reading of them.
        if (!plan.Readings.IsEmpty)
        {
            Phrase?[] words = [.. plan.Readings.Select(reading => AgainstWithoutDevice(policy, reading))];
            return words.All(word => word?.ToString() == words[0]?.ToString()) ? words[0] : null;
        }

        ulong hostsHole = HostHoles.StartOfPciHole(plan.MachineMap, []);
        if (policy.Traits is { NeedsFilter: true, HoleStartOnEveryHost: { } holeStart } && hostsHole < holeStart)
            return $"the host's own hole starts at 0x{hostsHole:x}: a device below {ByteSize.ToText(holeStart)} would need a filter";
        foreach (ByteRange place in HostHoles.DevicePlaces(plan.MachineMap))
        {
            foreach (PlannedEntry planned in plan.Entries)
            {
                ByteRange covered = planned.Entry.Range.Intersect(place);
                if (planned.Entry.IsRam && !covered.IsEmpty)
                    return $"no device's window is known, and its RAM covers {covered}, where the host may have the device (say where it is with "
                        + $"{Setting.Bar} or {Setting.DeviceListing})";
            }
        }

        return null;
    }

    private static PolicyComparison Choose(ComparisonRequest request, ImmutableArray<ComparedPolicy> rows, ImmutableArray<Bar> bars)
    {
        ComparedPolicy[] able = [.. rows.Where(static row => row.Against is null && row.Forecast is not null)];
        if (able.Length == 0)
        {
            ComparedPolicy nearest = rows.Where(static row => row.Policy.Traits.NeedsInstalledMap).MinBy(static row => row.Policy.Traits.Preference)
                ?? rows[0];
            return new() { Policies = rows, Best = null, Why = $"none will do; against {nearest.Policy.Name}: {nearest.Against}" };
        }

        ulong mostLow = able.Max(static row => row.LowMemoryKiB);
        ComparedPolicy best = able
            .OrderBy(static row => row.LostPages / LossThatCounts)
            .ThenBy(row => row.LowMemoryKiB * 100 >= mostLow * LowMemoryThatCounts ? 0 : 1)
            .ThenBy(static row => row.Policy.Traits.IsToolstacksOwn ? 0 : 1)
            .ThenByDescending(static row => row.Kernels.Count(static kernel => kernel.Boots))
            .ThenBy(static row => row.Policy.Traits.Preference)
            .First();
        return new() { Policies = rows, Best = best, Why = Why(request, rows, able, best, bars) };
    }

    private static Phrase Why(ComparisonRequest request, ImmutableArray<ComparedPolicy> rows, ComparedPolicy[] able, ComparedPolicy best,
        ImmutableArray<Bar> bars)
    {
        List<string> reasons = [$"{best.Policy.Name} boots {KernelReleases.NameOf(request.Scenario.Kernel)}"];
        if (!bars.IsEmpty)
            reasons.Add(best.Forecast!.Bars.Length == 1 ? "claims the window" : $"claims all {best.Forecast.Bars.Length} windows");
        if (!request.MigrateTo.IsEmpty)
            reasons.Add($"can move to {string.Join(", ", request.MigrateTo.Select(static host => host.Name))}");
        reasons.Add($"keeps {ByteSize.ToText(best.LowMemoryKiB << 10)} below 4 GiB");
        reasons.Add(best.LostPages == 0 ? "loses no page" : $"loses {Pages(best.LostPages)}");
        string text = string.Join(", ", reasons);
        if (!best.Policy.Traits.HasRoomForLaterDevices)
            text += "; it leaves no room for a device that is added later";
        ComparedPolicy? libxl = rows.FirstOrDefault(static row => row.Policy.Traits.IsToolstacksOwn);
        if (best.Policy.Traits.IsToolstacksOwn)
            return $"{text}, and it needs nothing but {Needs(request.Scenario.Guest)}";
        if (libxl is null)
            return text;
        if (libxl.Against is { } against)
            return $"{text}; against libxl: {against}";
        string less = libxl.LostPages > best.LostPages
            ? $"loses {Pages(libxl.LostPages - best.LostPages)} more"
            : $"keeps only {ByteSize.ToText(libxl.LowMemoryKiB << 10)} below 4 GiB";
        return able.Contains(libxl) ? $"{text}; libxl {less}" : text;
    }

    /// <summary>The host's map, which libxl's policy is, a guest gets where its configuration asks for it.</summary>
    private static string Needs(GuestSpec guest) => !guest.UsesHostMap ? $"{OwnWords.HostMap(guest.Toolstack)} in the guest's configuration"
        : guest.Toolstack == Toolstack.Libvirt ? "libvirt itself" : "xl itself";

    private static string Pages(ulong count) => count == 1 ? "1 page" : $"{count} pages";
}
