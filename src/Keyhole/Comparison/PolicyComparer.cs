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
using Keyhole.PvGuest;

namespace Keyhole.Comparison;

/// <summary>Puts every policy through plan, boot and migration, and says which to take.</summary>
public static class PolicyComparer
{
    /// <summary>Less low memory than this share of what another policy keeps (in percent) is a loss that counts.</summary>
    private const ulong LowMemoryThatCounts = 90;

    /// <summary>Fewer pages lost than this (1 MiB) are no reason to install another map.</summary>
    private const ulong LossThatCounts = 256;

    public static PolicyComparison Compare(ComparisonRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        GuestSpec guest = request.Guest.Type == GuestType.Pv && !request.Guest.UsesHostMap ? request.Guest with { E820Host = true } : request.Guest;
        ImmutableArray<Bar> all = [.. request.Bars, .. Planner.BarsOf(request.Host, guest)];
        ImmutableArray<IHolePolicy> policies = guest.Type == GuestType.Pv ? WithHoleForAll(request, all) : [request.Policies[0]];
        ImmutableArray<ComparedPolicy> rows = [.. policies.Select(policy => Row(request, guest, policy, all))];
        PolicyComparison comparison = guest.Type == GuestType.Pv
            ? Choose(request, rows, all)
            : new() { Policies = rows, Best = null, Why = "the guest is no PV guest: its map does not follow the host's, and no policy applies; its problems say what to set" };
        return comparison with { Room = RoomFor(all) };
    }

    /// <summary>A window that the user names and the host's capture has too is one.</summary>
    private static BarRoom? RoomFor(ImmutableArray<Bar> bars)
    {
        ImmutableArray<Bar> windows = [.. bars.Where(static bar => bar.Kind != BarKind.BridgeWindow).DistinctBy(static bar => (bar.Start, bar.End))];
        return windows.IsEmpty ? null : BarRoom.Of(windows);
    }

    /// <summary>Where the guest is to move, a hole whose start is left open is to suit all hosts.</summary>
    private static ImmutableArray<IHolePolicy> WithHoleForAll(ComparisonRequest request, ImmutableArray<Bar> bars)
    {
        if (request.MigrateTo.IsEmpty)
            return request.Policies;
        ulong start = HostHoles.StartOfPciHole(MachineMap.Of(request.Host), bars);
        foreach (MigrationHost host in request.MigrateTo)
            start = Math.Min(start, HostHoles.StartOfPciHole(host.MachineMap, host.Bars));
        start = HostHoles.RecommendedStart(start);
        return start is 0 or >= Frames.FourGiB
            ? request.Policies
            : [.. request.Policies.Select(policy => policy is HoleAtPolicy { HoleStart: null } ? new HoleAtPolicy(start) : policy)];
    }

    private static ComparedPolicy Row(ComparisonRequest request, GuestSpec guest, IHolePolicy policy, ImmutableArray<Bar> all)
    {
        Plan plan = Planner.Plan(request.Host, guest, policy, request.Bars);
        BootForecast? forecast = plan.Entries.IsEmpty || guest.Type != GuestType.Pv ? null : Forecast(request, plan, request.Kernel);
        ImmutableArray<MigrationResult> migrations = guest.Type != GuestType.Pv ? [] : [.. request.MigrateTo.Select(to => Migrator.Run(new()
        {
            From = new("this host", plan.MachineMap, all),
            To = to,
            Guest = guest,
            Policy = policy,
            Kernel = request.Kernel,
            Resume = request.Resume,
            BalloonedPages = request.BalloonedPages,
            Fill = HoleFill.AtBoot,
        }))];
        return new()
        {
            Policy = policy,
            Plan = plan,
            Forecast = forecast,
            Kernels = forecast is null ? [] : [.. KernelVersions.All.Select(kernel => (kernel, kernel == request.Kernel ? forecast.Boots : Forecast(request, plan, kernel).Boots))],
            Migrations = migrations,
            Against = Against(request, plan, forecast, migrations, policy, all),
        };
    }

    private static BootForecast Forecast(ComparisonRequest request, Plan plan, KernelVersion kernel)
    {
        ulong pages = (plan.Guest.MemoryKiB >> 10) << (20 - Frames.Shift);
        return Forecaster.Forecast(new()
        {
            Map = [.. plan.Entries.Select(static planned => planned.Entry)],
            PageCount = pages,
            Kernel = kernel,
            Is32Bit = plan.Guest.Is32Bit,
            Layout = request.Layout ?? GuestLayout.OfXl(pages, plan.Guest.Is32Bit),
            CommandLine = plan.Guest.CommandLine ?? "",
            Bars = plan.Bars,
        });
    }

    private static string? Against(
        ComparisonRequest request,
        Plan plan,
        BootForecast? forecast,
        ImmutableArray<MigrationResult> migrations,
        IHolePolicy policy,
        ImmutableArray<Bar> all)
    {
        if (policy.Needs == PolicyNeeds.ChangedXen)
            return "the real Xen refuses it (EPERM)";
        if (plan.Problems.FirstOrDefault(static problem => problem.Severity == Severity.Error) is { } error)
            return error.Message;
        if (forecast?.Problems.FirstOrDefault(static problem => problem.Severity == Severity.Error) is { } halt)
            return halt.Message;
        if (all.IsEmpty && AgainstWithoutDevice(policy, plan) is { } covered)
            return covered;
        if (migrations.FirstOrDefault(static migration => !migration.Succeeded) is { } stuck)
            return $"cannot move to {stuck.Request.To.Name}: {stuck.Failure?.What}";
        return null;
    }

    /// <summary>Where no window is known, a device may be wherever the host has no memory: what speaks against RAM there.</summary>
    private static string? AgainstWithoutDevice(IHolePolicy policy, Plan plan)
    {
        ulong hostsHole = HostHoles.StartOfPciHole(plan.MachineMap, []);
        if (policy is Hole3GPolicy && hostsHole < Hole3GPolicy.HoleStart)
            return $"the host's own hole starts at 0x{hostsHole:x}: a device below 3 GiB would need a filter";
        foreach (ByteRange place in HostHoles.DevicePlaces(plan.MachineMap))
        {
            foreach (PlannedEntry planned in plan.Entries)
            {
                if (!planned.Entry.IsRam || planned.Entry.Address >= place.End || planned.Entry.End <= place.Start)
                    continue;
                ulong start = Math.Max(planned.Entry.Address, place.Start);
                ulong end = Math.Min(planned.Entry.End, place.End);
                return $"no device's window is known, and its RAM covers [0x{start:x}, 0x{end:x}), where the host may have the device (say where it is with --bar or --devices)";
            }
        }

        return null;
    }

    private static PolicyComparison Choose(ComparisonRequest request, ImmutableArray<ComparedPolicy> rows, ImmutableArray<Bar> bars)
    {
        ComparedPolicy[] able = [.. rows.Where(static row => row.Against is null && row.Forecast is not null)];
        if (able.Length == 0)
        {
            ComparedPolicy? nearest = rows.FirstOrDefault(static row => row.Policy is PunchPolicy) ?? rows[0];
            return new() { Policies = rows, Best = null, Why = $"none will do; against {nearest.Policy.Name}: {nearest.Against}" };
        }

        ulong mostLow = able.Max(static row => row.Plan.RamBelow4GiBKiB);
        ComparedPolicy best = able
            .OrderBy(static row => row.LostPages / LossThatCounts)
            .ThenBy(row => row.Plan.RamBelow4GiBKiB * 100 >= mostLow * LowMemoryThatCounts ? 0 : 1)
            .ThenBy(static row => row.Policy.Needs == PolicyNeeds.Nothing ? 0 : 1)
            .ThenByDescending(static row => row.Kernels.Count(static kernel => kernel.Boots))
            .ThenBy(static row => Rank(row.Policy))
            .First();
        return new() { Policies = rows, Best = best, Why = Why(request, rows, able, best, bars) };
    }

    /// <summary>Where policies are equally good: the one that keeps most of what the host's map says comes first.</summary>
    private static int Rank(IHolePolicy policy) => policy switch
    {
        LibxlPolicy => 0,
        PunchPolicy => 1,
        HoleAtPolicy => 2,
        LibxlFixedPolicy => 3,
        MinimalPolicy => 4,
        _ => 5,
    };

    private static string Why(ComparisonRequest request, ImmutableArray<ComparedPolicy> rows, ComparedPolicy[] able, ComparedPolicy best, ImmutableArray<Bar> bars)
    {
        List<string> reasons = [$"{best.Policy.Name} boots {KernelVersions.NameOf(request.Kernel)}"];
        if (!bars.IsEmpty)
            reasons.Add(best.Forecast!.Bars.Length == 1 ? "claims the window" : $"claims all {best.Forecast.Bars.Length} windows");
        if (!request.MigrateTo.IsEmpty)
            reasons.Add($"can move to {string.Join(", ", request.MigrateTo.Select(static host => host.Name))}");
        reasons.Add($"keeps {ByteSize.ToText(best.Plan.RamBelow4GiBKiB << 10)} below 4 GiB");
        reasons.Add(best.LostPages == 0 ? "loses no page" : $"loses {Pages(best.LostPages)}");
        string text = string.Join(", ", reasons);
        if (best.Policy is MinimalPolicy)
            text += "; it leaves no room for a device that is added later";
        ComparedPolicy? libxl = rows.FirstOrDefault(static row => row.Policy is LibxlPolicy);
        if (best.Policy.Needs == PolicyNeeds.Nothing)
            return $"{text}, and it needs nothing but xl itself";
        if (libxl is null)
            return text;
        if (libxl.Against is { } against)
            return $"{text}; against libxl: {against}";
        string less = libxl.LostPages > best.LostPages
            ? $"loses {Pages(libxl.LostPages - best.LostPages)} more"
            : $"keeps only {ByteSize.ToText(libxl.Plan.RamBelow4GiBKiB << 10)} below 4 GiB";
        return able.Contains(libxl) ? $"{text}; libxl {less}" : text;
    }

    private static string Pages(ulong count) => count == 1 ? "1 page" : $"{count} pages";
}
