// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenPvh;

/// <summary>PVH guests of Xen: libxl makes their map, and the kernel finds it in its start info.</summary>
/// <remarks>Source: libxl_dom.c, libxl_x86.c (domain_construct_memmap), libxl_x86_acpi.c; the records of tests/fixtures/hvm.</remarks>
internal sealed class XenPvhPlatform : IPlatform
{
    /// <summary>Where RAM ends below 4 GiB at the latest since 4.11: behind it are ACPI's tables, the local APIC and Xen's special pages.</summary>
    private const ulong HoleStart = 0xfc00_0000;

    /// <summary>Xen where nothing tells the host's release.</summary>
    private static readonly XenVersion s_usualXen = new(4, 17);

    private const ulong SpecialPages = 0xfeff_8000;
    private const ulong SpecialPagesEnd = 0xff00_0000;

    /// <summary>Processors up to which the records have a page less, and from which on they have it.</summary>
    private const int FewProcessors = 8;

    private const int ManyProcessors = 32;

    /// <summary>Pages of ACPI's tables behind the one of its information, as recorded: up to Xen 4.17, and in a newer release with one
    /// processor.</summary>
    /// <param name="isCertain">Whether a record says so; else it may be a page more.</param>
    private static ulong AcpiPagesOf(XenVersion xen, int processors, out bool isCertain)
    {
        bool isOld = xen.IsUpTo(4, 17);
        isCertain = isOld ? processors is <= FewProcessors or >= ManyProcessors : processors == 1;
        return isOld ? processors >= ManyProcessors ? 8u : 7u : 5u;
    }

    private const string NoDevices = RefusedCombination.NoPvhPassthrough;

    public string Name => "xen-pvh";

    public PlatformTraits Traits { get; } = new();

    public bool UsesPolicy(Scenario scenario) => false;

    /// <summary>Of an older Xen it is told that it has no such guests: what libxl says of them is not said there.</summary>
    public Problem? RefusalOf(Scenario scenario) => !ToolstackOf(scenario).HasPvh ? null
        : RefusedCombination.ProblemOf(scenario, this) ?? (scenario.Guest.Pci.IsEmpty ? null : new(
        Severity.Error, ProblemCodes.GuestDoesNotStart, $"the guest is not created: {NoDevices}",
        Remedy: $"take {OwnWords.Devices(scenario.Guest.Toolstack)} out, or make the guest "
            + $"{OwnWords.Type(scenario.Guest.Toolstack, GuestType.Hvm)} or " + OwnWords.Type(scenario.Guest.Toolstack, GuestType.Pv)));

    private static PvhToolstack ToolstackOf(Scenario scenario) => new(scenario.Host.Traits.XenVersion ?? s_usualXen);

    public Plan Plan(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        List<Problem> problems = [];
        PvhToolstack toolstack = ToolstackOf(scenario);
        if (toolstack.HasPvh)
            GuestReview.ReportNotPv("PVH", scenario.Guest, problems);
        GuestReview.ReportMaxmem(scenario.Guest, problems);
        DomainMemory.ReportTooLarge(scenario.Host, scenario.MachineMap, scenario.StartKiB, Traits.IsOvercommitted, problems);
        bool isTooSmall = DomainMemory.ReportTooSmall(scenario.StartKiB, DomainMemory.Kernel, problems);
        Plan plan = Platforms.Plan.NotKnown(this, scenario, []);
        if (RefusalOf(scenario) is { } refusal)
            return plan with { Problems = [.. problems, refusal], Verdict = new(GuestOutcome.Refused,
                RefusedCombination.WordsOf(scenario) ?? NoDevices) };

        XenVersion xen = toolstack.Xen;
        if (!toolstack.HasPvh)
            return plan with { Problems = [.. problems, toolstack.None(scenario.Guest.Toolstack)], Verdict = new(GuestOutcome.NotKnown, null) };
        if (scenario.Guest.Features.IsShim && !toolstack.IsFirst)
        {
            const string why = "with pvshim=1 it is Xen's shim that gets libxl's map, and what that gives to the guest in it is not modelled";
            return plan with { Problems = [.. problems, GuestReview.MapNotKnown(why)], Verdict = new(GuestOutcome.NotKnown, null) };
        }

        GuestReview.ReportOnDemand(scenario.Guest, problems);
        ulong? videoKiB = scenario.Guest.Features.VideoKiB;
        if (videoKiB >= scenario.Guest.MaxmemKiB)
        {
            return plan with
            {
                Problems = [.. problems, GuestReview.MapNotKnown("videoram= is as much as the guest's memory, from which libxl takes it")],
                Verdict = new(GuestOutcome.NotKnown, null),
            };
        }

        if (videoKiB is > 0 and { } taken)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.SettingIgnored,
                $"a PVH guest has no video card: videoram={taken >> 10} does nothing but take {ByteSize.ToText(taken << 10)} of its RAM",
                Remedy: "take videoram= out"));
        }

        ulong end = ((scenario.Guest.MaxmemKiB - (videoKiB ?? 0)) << 10) & ~Frames.OffsetMask;
        bool? hasStray = videoKiB is null ? toolstack.HasStrayBytes : false;
        int processors = Math.Max(scenario.Guest.Vcpus, scenario.Guest.MaxVcpus ?? 1);
        ulong acpiPages = AcpiPagesOf(xen, processors, out bool isCertain);
        if (!isCertain)
            problems.Add(new(Severity.Info, ProblemCodes.Assumed,
                "with so many processors ACPI's tables from fc000000 on may take a page more than is shown"));
        // Since 4.21 (commit d6dab805f1): a guest must not take them for RAM, as Xen's AML reads them.
        E820Type tables = xen.IsUpTo(4, 20) ? E820Type.Acpi : E820Type.Nvs;
        ulong holeStart = toolstack.IsFirst ? X86Layout.LocalApicStart : HoleStart;
        ImmutableArray<UnsettledRange> unsettled = [];
        if (hasStray == true)
            end += PvhToolstack.StrayBytes;
        else if (hasStray is null)
            unsettled = [toolstack.StrayRange(end > holeStart ? Frames.FourGiB + (end - holeStart) : end)];
        foreach (UnsettledRange part in unsettled)
            problems.Add(part.ToProblem());
        ImmutableArray<PlannedEntry> entries = Lay(end, holeStart, acpiPages, tables, toolstack, hasStray == true);
        return plan with
        {
            IsMapKnown = true,
            Entries = entries,
            Unsettled = unsettled,
            RamBelow4GiBKiB = Math.Min(end, holeStart) >> 10,
            Problems = [.. problems],
            Verdict = new(isTooSmall ? GuestOutcome.Halts : GuestOutcome.Boots, null),
        };
    }

    /// <summary>In libxl's order.</summary>
    private static ImmutableArray<PlannedEntry> Lay(ulong bytes, ulong holeStart, ulong acpiPages, E820Type type, PvhToolstack toolstack,
        bool hasStray)
    {
        const ulong tables = HoleStart + Frames.SizeBytes;
        ulong pointer = tables + (acpiPages << Frames.Shift);
        const ulong pointerBytes = 64;
        ulong low = Math.Min(bytes, holeStart);
        var entries = ImmutableArray.CreateBuilder<PlannedEntry>();
        entries.Add(new(E820Entry.FromBounds(0, low, E820Type.Ram), hasStray && low == bytes
            ? "the guest's RAM below 4 GiB, and 1 KiB that this libxl adds by mistake" : "the guest's RAM below 4 GiB"));
        if (!toolstack.IsFirst)
        {
            entries.Add(new(E820Entry.FromBounds(SpecialPages, SpecialPagesEnd, E820Type.Reserved),
                "Xen's special pages: xenstore, console and the like"));
        }

        entries.Add(toolstack.IsFirst
            ? new(E820Entry.FromBounds(X86Layout.OneMiB - Frames.SizeBytes, X86Layout.OneMiB, type),
                "the pointer to ACPI's tables (RSDP), at the end of the page")
            : new(E820Entry.FromSize(pointer, pointerBytes, type), "the pointer to ACPI's tables (RSDP)"));
        entries.Add(new(E820Entry.FromBounds(HoleStart, tables, type), "libxl's information for ACPI"));
        entries.Add(new(E820Entry.FromBounds(tables, pointer, type), "ACPI's tables"));
        if (bytes > low)
        {
            entries.Add(new(E820Entry.FromBounds(Frames.FourGiB, Frames.FourGiB + bytes - low, E820Type.Ram), hasStray
                ? "the guest's RAM above 4 GiB, and 1 KiB that this libxl adds by mistake" : "the guest's RAM above 4 GiB"));
        }

        return entries.ToImmutable();
    }
}
