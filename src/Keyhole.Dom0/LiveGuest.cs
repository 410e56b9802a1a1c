// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Hypercalls;
using Keyhole.Planning;
using Keyhole.Platforms;

namespace Keyhole.Dom0;

/// <summary>A domain that is there now, as hypervisor and toolstack tell of it.</summary>
/// <param name="Spec">How it was made, or null where the toolstack does not say.</param>
public sealed record LiveGuest(DomainInfo Info, string? Name, GuestSpec? Spec)
{
    /// <summary>The domain in one line: its name in quotes, where it has one, and its number.</summary>
    public string Shown => Name is { } name ? $"domain {Diagnostics.InputError.Quote(name)} ({Info.Id.Value})" : $"domain {Info.Id.Value}";

    /// <summary>Whether the memory that <see cref="Spec"/> has is what the domain was made with: <c>xl list -l</c> tells what xl mem-set has made of
    /// it.</summary>
    public bool IsMemoryAsMade { get; init; }

    /// <summary>Who made it, and so in whose words it is told what to change.</summary>
    public Toolstack Toolstack { get; init; }

    /// <summary>"PV", "PVH", "HVM", or "HVM or PVH" where only the hypervisor tells.</summary>
    public string TypeName => Info.IsHvm ? Spec?.Type == GuestType.Pvh ? "PVH" : Spec is null ? "HVM or PVH" : "HVM" : "PV";

    /// <summary>The domain that a user names, by its name or number.</summary>
    public static XenResult<LiveGuest> Find(IXenControl xen, DomainTools tools, string nameOrNumber)
    {
        ArgumentNullException.ThrowIfNull(xen);
        ArgumentNullException.ThrowIfNull(tools);
        ArgumentNullException.ThrowIfNull(nameOrNumber);
        if (!tools.Find(nameOrNumber).TryGet(out DomainNumber? number, out XenProblem? problem))
            return problem;
        if (!xen.Domain(number.Id).TryGet(out DomainInfo? info, out problem))
            return problem;
        GuestSpec? spec = info.Id.Value == 0 ? null : tools.ConfigOf(info.Id);
        GuestSpec? made = spec is null ? null : tools.RecordOf(info);
        return new LiveGuest(info, tools.NameOf(info.Id),
            made is null ? spec : spec! with { MemoryKiB = made.MemoryKiB, MaxmemKiB = made.MaxmemKiB })
        {
            IsMemoryAsMade = made is not null || (!info.HasRun && spec is not null && spec.MemoryKiB >> 2 == info.TotalPages),
            Toolstack = tools.IsLibvirts(info) ? Toolstack.Libvirt : Toolstack.Xl,
        };
    }

    /// <summary>
    /// A domain whose configuration is told: also one that its toolstack is building, and so does not tell of yet. Its size is xenstore's, where it
    /// is there already: a guest that was given another one while it ran has that after a reboot.
    /// </summary>
    /// <param name="file">How it was made, as its file says.</param>
    public static XenResult<LiveGuest> Find(IXenControl xen, DomainTools tools, DomainId id, GuestSpec file)
    {
        ArgumentNullException.ThrowIfNull(xen);
        ArgumentNullException.ThrowIfNull(tools);
        ArgumentNullException.ThrowIfNull(file);
        if (!xen.Domain(id).TryGet(out DomainInfo? info, out XenProblem? problem))
            return problem;
        ulong memoryKiB = tools.TargetKiB(id) ?? file.MemoryKiB;
        return new LiveGuest(info, tools.NameOf(id),
            file with { MemoryKiB = memoryKiB, MaxmemKiB = tools.StaticMaxKiB(id) ?? Math.Max(file.MaxmemKiB, memoryKiB) })
        {
            Toolstack = file.Toolstack,
        };
    }

    /// <summary>Why this domain cannot be given a map, or null when it can.</summary>
    public XenProblem? WhyNoMap()
    {
        if (Info.Id.Value == 0)
            return No("dom0 uses the machine's own map", "name a guest");
        if (Info.IsDying || Info.IsShutdown)
            return No($"it is {Info.StateName}", "create it again, paused: xl create -p");
        if (Info.IsHvm)
            return No($"it is not a PV guest but {TypeName}: {GuestReview.WhyNoOtherMap(Spec?.Type)}",
                GuestReview.InsteadOfAnotherMap(Spec?.Type, Toolstack));
        if (!Info.IsPaused)
            return No("it runs, and has read its map already", "create it again, paused: xl create -p");
        return Info.HasRun
            ? No("it is paused but has run before, and has read its map already", "create it again, paused: xl create -p")
            : null;
    }

    /// <summary>What the toolstack gave the guest when it was made, or null where it cannot be reckoned.</summary>
    public Plan? ToolstackPlan(Host machine) => Spec is { } spec ? Planner.Plan(new Scenario { Host = machine, Guest = spec }) : null;

    /// <summary>Why something cannot be done to this domain.</summary>
    public XenProblem No(string what, Phrase remedy) => new(XenProblemKind.Guest, Shown, what, remedy);
}

/// <summary>A map for a live guest with the forecast of its boot on it.</summary>
public sealed record LiveMap(string Policy, ImmutableArray<PlannedEntry> Entries, ImmutableArray<Problem> Problems, BootForecast Forecast)
{
    /// <summary>The plain entries, as the hypervisor takes them.</summary>
    public ImmutableArray<E820Entry> Map => Forecast.Request.Map;

    /// <summary>Whether nobody named the kernel that is forecast.</summary>
    public bool IsKernelAssumed { get; init; }

    /// <summary>Whether a problem of severity error speaks against the map.</summary>
    public bool HasErrors => Problems.Any(static problem => problem.Severity == Severity.Error);

    /// <summary>Whether it is the toolstack's own, which is there already.</summary>
    public bool IsToolstacksOwn { get; init; }

    /// <summary>
    /// Pages of RAM in the map, overlaps counted once. Of the toolstack's own the pages that it means to give: where its RAM above 4 GiB lies on
    /// something of the host's, the kernel keeps less of it, and copes.
    /// </summary>
    public ulong RamPages => IsToolstacksOwn ? PagesMeant(Map) : PagesOfRam(Map);

    private static ulong PagesMeant(ImmutableArray<E820Entry> map)
    {
        ulong pages = 0;
        foreach (E820Entry entry in map)
            pages += entry.IsRam && !entry.Wraps ? entry.Size >> Frames.Shift : 0;
        return pages;
    }

    /// <summary>Whole pages of RAM in a map, overlaps counted once.</summary>
    public static ulong PagesOfRam(ImmutableArray<E820Entry> map)
    {
        ImmutableArray<E820Entry> entries = SortedMap.Of(map.AsSpan());
        ulong pages = 0;
        foreach (E820Entry entry in entries)
        {
            Pfn start = Pfn.AtOrAbove(entry.Address);
            Pfn end = Pfn.Containing(entry.End);
            if (entry.IsRam && !entry.Wraps && end > start)
                pages += end.Value - start.Value;
        }

        return pages;
    }

    /// <summary>Forecasts the boot of a guest on the map that its scenario comes to. Only guests whose kernel lays its memory out by the map get
    /// here.</summary>
    public static LiveMap Of(Boot boot)
    {
        ArgumentNullException.ThrowIfNull(boot);
        return new(boot.Plan.Policy, boot.Plan.Entries, boot.Problems, boot.Forecast!) 
        {
            IsToolstacksOwn = !boot.Plan.NeedsInstalling,
            IsKernelAssumed = boot.Plan.Scenario.IsKernelAssumed,
        };
    }
}
