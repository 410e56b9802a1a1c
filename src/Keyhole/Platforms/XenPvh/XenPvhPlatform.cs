// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPvh;

/// <summary>PVH guests of Xen: libxl makes their map, and the kernel finds it in its start info.</summary>
public sealed class XenPvhPlatform : IPlatform
{
    public string Name => "xen-pvh";

    public PlatformTraits Traits { get; } = new();

    public bool UsesPolicy(Scenario scenario) => false;

    public Plan Plan(Scenario scenario)
    {
        ImmutableArray<E820Entry> machineMap = scenario.MachineMap;
        ImmutableArray<Bar> bars = scenario.Windows;
        List<Problem> problems = [];
        GuestReview.ReportNotPv("PVH", scenario.Guest, problems);
        GuestReview.ReportMaxmem(scenario.Guest, problems);
        DomainMemory.ReportTooLarge(scenario.Host, machineMap, scenario.StartKiB, Traits.IsOvercommitted, problems);
        problems.Add(GuestReview.MapNotKnown("libxl makes it for PVH, and what it does is not modelled"));
        HyperTransportAdvice.ReportBars(scenario.Host, bars, problems);
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
