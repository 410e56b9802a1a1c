// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>PV guests of Xen: the toolstack gives them a map, made from the host's where they use it, and another can be installed.</summary>
internal sealed class XenPvPlatform : IPlatform
{
    private static readonly LibxlPolicy s_toolstacks = new();

    public string Name => "xen-pv";

    public PlatformTraits Traits { get; } = new() { TakesPolicies = true, KernelLaysMemory = true, KeepsHostAddresses = true };

    /// <summary>A guest that makes its holes itself does so where the toolstack does not.</summary>
    public bool UsesPolicy(Scenario scenario) => (scenario.Guest.UsesHostMap && !IsUnknownToToolstack(scenario))
        || PolicyOf(scenario).Traits.IsMadeByGuest;

    /// <summary>Whether the map would be the toolstack's, and that of the host's Xen makes none.</summary>
    private static bool IsUnknownToToolstack(Scenario scenario) =>
        PolicyOf(scenario).Traits.IsToolstacksOwn && !LibxlPolicy.IsKnownTo(scenario.Host.Traits.XenVersion);

    public Plan Plan(Scenario scenario)
    {
        // Of a host of which nothing is known there is no map, and Xen's additions to it alone are none.
        ImmutableArray<E820Entry> machineMap = scenario.Host.Entries.IsEmpty ? [] : scenario.MachineMap;
        ImmutableArray<Bar> bars = scenario.Windows;
        GuestSpec guest = scenario.Guest;
        List<Problem> problems = [];
        ReportGuest(scenario, problems);
        GuestReview.ReportMaxmem(guest, problems);
        DomainMemory.ReportTooSmall(scenario.StartKiB, DomainMemory.PvKernel, problems);
        DomainMemory.ReportTooLarge(scenario.Host, machineMap, scenario.StartKiB, Traits.IsOvercommitted, problems);
        IHolePolicy? policy = UsesPolicy(scenario) ? PolicyOf(scenario) : null;
        PolicyResult result;
        if (policy is not null)
        {
            result = policy.Lay(InputOf(scenario.Host, machineMap, guest, bars));
            problems.AddRange(result.Problems);
            if (!result.Entries.IsEmpty)
                PlanReview.Report(policy, machineMap, guest, result.Entries, bars, HostSide.DevicesOf(scenario), problems);
        }
        else
        {
            result = PlainMap(guest, scenario.Host.Traits.XenVersion);
            PlanReview.ReportKernel(result.Entries, guest, problems);
            PlanReview.ReportBars(
                result.Entries, guest, bars, HostSide.DevicesOf(scenario), LibxlPolicy.IsKnownTo(scenario.Host.Traits.XenVersion), problems);
        }

        (string Words, Problem Problem)? refusal = Refusal(scenario);
        if (refusal is null && guest.Features.IsOldPvh && scenario.Host.Traits.XenVersion is { Major: 4, Minor: >= 4 and <= 8 } old)
        {
            const string why = "pvh=1 makes it one of the first kind of PVH guests, which is not modelled";
            return Platforms.Plan.NotKnown(this, scenario, [GuestReview.MapNotKnown($"{why} (Xen {old} has them, as those from 4.4 to 4.8)")])
                with { Verdict = new(GuestOutcome.NotKnown, null) };
        }

        if (refusal is { } refused)
            problems.Add(refused.Problem);

        problems.AddRange(scenario.Devices.Select(MsixAdvice.For).OfType<Problem>());
        HostSide.Report(scenario, problems);
        if (refusal is null && SwiotlbAdvice.For(scenario, result.Entries, machineMap) is { } untranslated)
            problems.Add(untranslated);
        HyperTransportAdvice.ReportBars(scenario.Host, bars, problems);
        return new()
        {
            Scenario = scenario,
            Platform = this,
            LaidBy = policy,
            Policy = policy?.Name ?? Platforms.Plan.NoPolicy,
            MachineMap = machineMap,
            Bars = bars,
            Entries = result.Entries,
            Gaps = result.Gaps,
            Problems = [.. problems],
            Verdict = refusal is { } verdict ? new(GuestOutcome.Refused, verdict.Words) : null,
            RamBelow4GiBKiB = PlanReview.RamBelow(Frames.FourGiB, result.Entries) >> 10,
        };
    }

    public Problem? RefusalOf(Scenario scenario) => Refusal(scenario)?.Problem;

    private (string Words, Problem Problem)? Refusal(Scenario scenario)
    {
        if (RefusedCombination.ProblemOf(scenario, this) is { } combined)
            return (RefusedCombination.WordsOf(scenario)!, combined);
        if (UnusedIommu.RefusalOf(scenario) is { } words)
            return (words, UnusedIommu.ProblemOf(words, scenario.Host));
        if (RepeatedDevice.RefusalOf(scenario) is { } twice)
            return (twice, RepeatedDevice.ProblemOf(scenario, twice));
        return SharedDeviceMemory.RefusedOf(scenario, null) is { } shared
            ? (SharedDeviceMemory.Words, SharedDeviceMemory.ProblemOf(shared, SharedDeviceMemory.RelaxedText(scenario.Guest))) : null;
    }

    private static IHolePolicy PolicyOf(Scenario scenario) => scenario.Policy ?? s_toolstacks;

    /// <summary>What a policy is told of a host.</summary>
    private static PolicyInput InputOf(Host host, ImmutableArray<E820Entry> machineMap, GuestSpec guest, ImmutableArray<Bar> bars) =>
        new(machineMap, guest, bars) { DeviceMemory = [.. host.DeviceMemory.Select(ByteRange.FromFrames)], Xen = host.Traits.XenVersion };

    /// <summary>Without the host's map the toolstack sets one RAM entry of maxmem, up to Xen 4.1 with 8 MiB more.</summary>
    private static PolicyResult PlainMap(GuestSpec guest, XenVersion? xen)
    {
        const ulong oldSlackKiB = 8 * 1024;
        return xen?.IsUpTo(4, 1) == true
            ? new([new(E820Entry.FromSize(0, (guest.MaxmemKiB + oldSlackKiB) << 10, E820Type.Ram),
                "one RAM entry of maxmem and the 8 MiB that toolstacks add up to Xen 4.1: the guest does not use the host's map")], [])
            : new([new(E820Entry.FromSize(0, guest.MaxmemKiB << 10, E820Type.Ram),
                "one RAM entry of maxmem: the guest does not use the host's map")], []);
    }

    private static void ReportGuest(Scenario scenario, List<Problem> problems)
    {
        GuestSpec guest = scenario.Guest;
        if (guest.IsTypePassedOver)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.SettingIgnored,
                $"the xl of Xen {scenario.Host.Traits.XenVersion} passes over type=, which came with 4.10: without builder=\"hvm\" it makes a "
                    + "PV guest",
                Remedy: "put builder=\"hvm\" beside type="));
        }

        if (guest.UsesHostMap && IsUnknownToToolstack(scenario))
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.HostMapUnused,
                $"the toolstack of Xen {scenario.Host.Traits.XenVersion} knows no e820_host, which came with Xen 4.2: whatever pci= says, the guest "
                    + "gets one RAM entry and no room for devices",
                Remedy: LibxlPolicy.Later));
        }
        else if (guest.HostMapForcedByPci)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.HostMapForced,
                "the configuration says e820_host=0, but any pci= entry makes xl use the host's map all the same"
                    + (XlReleases.MayReadDevicesFirst(scenario.Host.Traits.XenVersion)
                        ? " (that of 4.13, and those before 4.14.5, 4.15.3 and 4.16.1, do not, and which this host has is not told)" : ""),
                Remedy: "take e820_host=0 out: it says what is not so"));
        }
        else if (guest.IsHostMapOff)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.HostMapUnused,
                $"e820_host=0 counts to the xl of this Xen ({scenario.Host.Traits.XenVersion}, before 4.14.5, 4.15.3 and 4.16.1), which reads "
                    + "it after pci=: the guest gets one RAM entry and no room for its devices",
                Remedy: "set e820_host=1"));
        }
        else if (!guest.UsesHostMap && !LibxlPolicy.IsKnownTo(scenario.Host.Traits.XenVersion))
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.HostMapUnused,
                $"the toolstack of Xen {scenario.Host.Traits.XenVersion} knows no e820_host, which came with Xen 4.2: the guest gets one RAM entry "
                    + "and no room for devices",
                Remedy: guest.Pci.IsEmpty ? "take Xen 4.3 or later if a device will be passed through later" : LibxlPolicy.Later));
        }
        else if (!guest.UsesHostMap)
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.HostMapUnused,
                guest.Pci.IsEmpty
                    ? $"the guest has neither e820_host nor {OwnWords.Devices(guest.Toolstack)}: it gets one RAM entry and no room for devices"
                    : "the guest has a device, but libvirt does not turn e820_host on for it: it gets one RAM entry and no room for devices",
                Remedy: guest.Pci.IsEmpty ? $"set {OwnWords.HostMap(guest.Toolstack)} if a device will be passed through later"
                    : $"set e820_host: {OwnWords.HostMap(guest.Toolstack)}"));
        }
    }
}
