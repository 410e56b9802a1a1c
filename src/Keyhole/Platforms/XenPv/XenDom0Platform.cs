// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Platforms.XenPv;

/// <summary>The host's own dom0, as a PV guest: Xen hands it the machine's map.</summary>
internal sealed class XenDom0Platform : IPlatform
{
    public string Name => "xen-dom0";

    public PlatformTraits Traits { get; } = new() { KernelLaysMemory = true, KeepsHostAddresses = true };

    public bool UsesPolicy(Scenario scenario) => false;

    public Plan Plan(Scenario scenario)
    {
        ImmutableArray<E820Entry> machineMap = scenario.MachineMap;
        List<Problem> problems = [];
        DomainMemory.ReportTooLarge(scenario.Host, machineMap, scenario.StartKiB, Traits.IsOvercommitted, problems, isDom0: true);
        DomainMemory.ReportTooSmall(scenario.StartKiB, DomainMemory.PvKernel, problems, isDom0: true);
        ImmutableArray<PlannedEntry> entries =
            [.. machineMap.Select(entry => new PlannedEntry(entry, scenario.Host.Entries.Contains(entry) ? "the firmware's"
                : "Xen's: dom0 may not map it"))];
        return new()
        {
            Scenario = scenario,
            Platform = this,
            Policy = "machine-map",
            MachineMap = machineMap,
            Bars = scenario.Windows,
            Entries = entries,
            Problems = [.. problems],
            RamBelow4GiBKiB = PlanReview.RamBelow(Frames.FourGiB, entries) >> 10,
        };
    }
}
