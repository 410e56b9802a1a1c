// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenHvm;

/// <summary>HVM guests of Xen: libxl splits their RAM at the hole for devices, hvmloader places the BARs in it and makes the map.</summary>
public sealed class XenHvmPlatform : IPlatform
{
    public string Name => "xen-hvm";

    public PlatformTraits Traits { get; } = new();

    public bool UsesPolicy(Scenario scenario) => false;

    public Plan Plan(Scenario scenario)
    {
        ImmutableArray<E820Entry> machineMap = scenario.MachineMap;
        ImmutableArray<Bar> bars = scenario.Windows;
        List<Problem> problems = [];
        GuestReview.ReportNotPv("HVM", scenario.Guest, problems);
        GuestReview.ReportMaxmem(scenario.Guest, problems);
        DomainMemory.ReportTooLarge(scenario.Host, machineMap, scenario.StartKiB, Traits.IsOvercommitted, problems);
        problems.Add(GuestReview.MapNotKnown("hvmloader makes it, and what it does is not modelled"));
        HvmAdvice.Report(scenario.Host, scenario.Guest, bars, problems);
        HyperTransportAdvice.ReportBars(scenario.Host, bars, problems);
        HyperTransportAdvice.ReportRam(scenario.Host, scenario.Guest, "give the guest less than 1008 GiB", problems);
        return new()
        {
            Scenario = scenario,
            Platform = this,
            Policy = "none",
            MachineMap = machineMap,
            Bars = bars,
            IsMapKnown = false,
            Entries = [],
            Problems = [.. problems],
            RamBelow4GiBKiB = null,
        };
    }
}
