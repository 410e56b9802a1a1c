// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu;

/// <summary>Virtual machines of QEMU under KVM: QEMU splits their RAM at 4 GiB, and their firmware makes the map from it.</summary>
public sealed class QemuPlatform : IPlatform
{
    public string Name => "qemu";

    public PlatformTraits Traits { get; } = new() { IsOvercommitted = true };

    public bool UsesPolicy(Scenario scenario) => false;

    public Plan Plan(Scenario scenario)
    {
        ImmutableArray<E820Entry> machineMap = scenario.MachineMap;
        ImmutableArray<Bar> bars = scenario.Windows;
        List<Problem> problems = [new(Severity.Info, ProblemCodes.NotPv, "the guest is one of KVM's: QEMU makes its map, and e820_host is not for it")];
        GuestReview.ReportMaxmem(scenario.Guest, problems);
        DomainMemory.ReportTooLarge(scenario.Host, machineMap, scenario.StartKiB, Traits.IsOvercommitted, problems);
        problems.Add(GuestReview.MapNotKnown("QEMU and the guest's firmware make it, and what they do is not modelled"));
        QemuAdvice.Report(scenario.Guest, bars, problems);
        HyperTransportAdvice.ReportBars(scenario.Host, bars, problems);
        HyperTransportAdvice.ReportRam(
            scenario.Host,
            scenario.Guest,
            "start QEMU from 7.1 on with a machine type from 7.1 on, which moves RAM above 1 TiB (-machine q35,enforce-amd-1tb-hole=on)",
            problems);
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
