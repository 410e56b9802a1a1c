// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenPvh;

/// <summary>The host's own dom0 as a PVH one: Xen makes its map from the machine's.</summary>
/// <remarks>
/// Source: Xen's arch/x86/hvm/dom0_build.c; the records dom0-pvh of tests/fixtures/hvm. A slip of it that is kept: the ACPI entry for the tables that
/// Xen makes begins where they do and has the size of the first of them alone, in every release so far, so that what lies behind it is in no entry.
/// </remarks>
internal sealed class XenPvhDom0Platform : IPlatform
{
    /// <summary>Why the entry of the tables is there.</summary>
    internal const string OfTables = "ACPI tables that Xen makes for dom0";

    private const ulong MiB = 1UL << 20;

    public string Name => "xen-pvh-dom0";

    public PlatformTraits Traits { get; } = new() { KeepsHostAddresses = true };

    public bool UsesPolicy(Scenario scenario) => false;

    public Plan Plan(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        List<Problem> problems = [];
        DomainMemory.ReportTooLarge(scenario.Host, scenario.MachineMap, scenario.StartKiB, Traits.IsOvercommitted, problems, isDom0: true);
        bool isTooSmall = DomainMemory.ReportTooSmall(scenario.StartKiB, DomainMemory.Kernel, problems, isDom0: true);
        if (scenario.Dom0?.Tables is null)
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.Assumed,
                "the sizes of the ACPI tables that Xen makes for dom0 are not told: those of a usual PC are taken; they decide the "
                    + "last bytes of RAM below 4 GiB alone"));
        }

        ImmutableArray<PlannedEntry> entries = Lay(
            scenario.Host.Entries, scenario.StartPages, scenario.Dom0?.Tables ?? PvhDom0Tables.Usual, MarksOtherRam(scenario.Host));
        GuestOutcome outcome = isTooSmall ? GuestOutcome.Halts : GuestOutcome.Boots;
        if (PvhKernelPlace.ProblemOf(scenario, [.. entries.Select(static planned => planned.Entry)]) is { } conflict)
        {
            problems.Add(conflict);
            if (outcome == GuestOutcome.Boots)
                outcome = conflict.Severity == Severity.Error ? GuestOutcome.Halts : GuestOutcome.NotKnown;
        }

        // arch_iommu_check_autotranslated_hwdom, in every release that has PVH dom0s.
        const string words = "Presently, iommu must be enabled for PVH hardware domain";
        bool lacksIommu = scenario.Host.Traits.UsesIommu == false;
        if (lacksIommu)
        {
            outcome = GuestOutcome.Halts;
            problems.Add(new(
                Severity.Error, ProblemCodes.KernelHalts, $"Xen panics: \"{words}\" (its log says \"I/O virtualisation disabled\")",
                Remedy: "switch on VT-d or AMD-Vi (IOMMU) in the host's firmware, or leave out dom0=pvh"));
        }

        return new()
        {
            Scenario = scenario,
            Platform = this,
            Policy = Platforms.Plan.NoPolicy,
            MachineMap = scenario.MachineMap,
            Bars = scenario.Windows,
            Entries = entries,
            Problems = [.. problems],
            RamBelow4GiBKiB = entries.Where(static planned => planned.Entry is { IsRam: true, Address: < Frames.FourGiB })
                .Aggregate(0UL, static (sum, planned) => sum + planned.Entry.Size) >> 10,
            Verdict = new(outcome, lacksIommu ? words : null),
        };
    }

    /// <summary>Whether the host's RAM that dom0 does not get is unusable in its map; else a gap, which Linux may take for devices.</summary>
    public static bool MarksOtherRam(Host host) => host.Traits.XenVersion is not { } xen || !xen.IsUpTo(4, 11);

    /// <summary>The machine's entries, RAM in whole pages until dom0 has all it gets, the rest unusable or left out; then the tables at the end of
    /// low RAM.</summary>
    private static ImmutableArray<PlannedEntry> Lay(ImmutableArray<E820Entry> host, ulong pages, PvhDom0Tables tables, bool marksRest)
    {
        var laid = new List<PlannedEntry>();
        foreach (E820Entry entry in host)
        {
            if (!entry.IsRam)
            {
                laid.Add(new(entry, "the machine's"));
                continue;
            }

            if (pages == 0)
            {
                if (marksRest)
                    laid.Add(new(entry.WithType(E820Type.Unusable), "RAM of the host that dom0 does not get: marked so that it puts no device here"));
                continue;
            }

            ulong start = Align(entry.Address, up: true);
            ulong end = Align(entry.End, up: false);
            if (start >= end)
                continue;
            ulong taken = Math.Min((end - start) >> Frames.Shift, pages);
            pages -= taken;
            ulong ramEnd = start + (taken << Frames.Shift);
            laid.Add(new(E820Entry.FromBounds(start, ramEnd, E820Type.Ram), "dom0's RAM"));
            if (ramEnd < end && marksRest)
                laid.Add(new(E820Entry.FromBounds(ramEnd, end, E820Type.Unusable),
                    "RAM of the host that dom0 does not get: marked so that it puts no device here"));
        }

        for (int i = laid.Count - 1; i >= 0; i--)
        {
            E820Entry entry = laid[i].Entry;
            if (!entry.IsRam || entry.End > Frames.FourGiB || entry.Size < tables.TakenBytes || entry.End - tables.TakenBytes < MiB)
                continue;
            ulong start = entry.End - tables.TakenBytes;
            laid[i] = laid[i] with { Entry = E820Entry.FromBounds(entry.Address, start, E820Type.Ram) };
            laid.Insert(i + 1, new(E820Entry.FromSize(start, tables.MadtBytes, E820Type.Acpi), OfTables));
            break;
        }

        return [.. laid];
    }

    private static ulong Align(ulong address, bool up) => up ? Pfn.AtOrAbove(address).ToAddress() : address & ~Frames.OffsetMask;
}
