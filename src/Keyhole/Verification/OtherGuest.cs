// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Captures;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>The guest that a log is of, where it is not the one that was told: another memory, or the host's map where none was told, or the
/// reverse.</summary>
internal static class OtherGuest
{
    private const ulong MiB = 1UL << 20;

    /// <summary>
    /// Proven by: the forecast of that guest, on the same host and with the same kernel, has everything that the log shows. Null where no guest that
    /// was tried does.
    /// </summary>
    /// <param name="request">The boot that was forecast.</param>
    /// <param name="observed">The boot of the log.</param>
    /// <param name="plan">What was told.</param>
    /// <param name="builder">What Xen's log says of dom0; null where it says nothing, and of a guest.</param>
    public static Phrase? Of(BootRequest request, ObservedBoot observed, Plan? plan, Dom0Log? builder)
    {
        if (observed.Map is not { Error: null, Entries.IsEmpty: false } map)
            return null;
        if (request.IsDom0)
            return OtherLimit(request, observed, plan, builder);
        if (plan is null || observed.MapMayBeginLate || observed.MapMayEndEarly || !map.Cuts.IsEmpty || !map.Garbled.IsEmpty)
            return null;
        Scenario told = plan.Scenario;
        foreach (GuestSpec guest in Candidates(told, map))
        {
            ulong pages = (guest.MemoryKiB >> 10) << (20 - Frames.Shift);
            var other = Boot.Of(told with { Guest = guest, PageCount = null, Layout = BootEvidence.LayoutOfGuest(observed, pages) });
            if (other.Forecast is { } forecast && KernelThatAgrees(forecast.Request, observed) is { } kernel)
                return Tell(guest, told.Guest, kernel);
        }

        return null;
    }

    /// <summary>
    /// Proven by: the log has no map, but windows that cannot be claimed for what is in their way in the guest's map; on the host's map, which the
    /// guest that was told has, that is not so, and on the one that libxl gives a guest without it, it is so to the byte, at least where the guest
    /// starts with all that it may have. Null elsewhere.
    /// </summary>
    public static Phrase? WithoutHostsMap(ObservedBoot observed, Plan? plan)
    {
        if (plan is null || observed.Map is { Entries.IsEmpty: false } || !plan.Scenario.Guest.UsesHostMap
            || plan.Scenario.Policy is { Traits.IsToolstacksOwn: false }
            || !ClaimsDiffer(plan.Scenario))
            return null;
        // Of a guest that starts with little, Linux leaves out what is far beyond that: the RAM in the log tells how much there was.
        Scenario without = WithoutHostsMap(plan.Scenario);
        Scenario whole = without with { Guest = without.Guest with { MemoryKiB = without.Guest.MaxmemKiB } };
        bool isWhole = ClaimsDiffer(without);
        if (isWhole && (whole.Guest.MemoryKiB == without.Guest.MemoryKiB || ClaimsDiffer(whole)))
            return null;
        string more = isWhole && Boot.Of(without).Forecast is { } small && BalloonRoom.StartThatReachesAll(small) is { } mib
            ? $" By the forecast it started with {mib} MiB or more: with {without.Guest.MemoryKiB >> 10} MiB Linux takes less of maxmem into its map."
            : "";
        LogFact<FailedClaim> first = observed.Facts.FailedClaims.First(static claim => BarFindings.IsOfMap(claim.Value.Obstacle ?? ""));
        string has = plan.Scenario.Guest is { Toolstack: Toolstack.Xl, E820Host: not true } ? "a pci= entry"
            : OwnWords.HostMap(plan.Scenario.Guest.Toolstack);
        return $"Line {first.Line}: {first.Value.Obstacle} {Verifier.Range(first.Value.ObstacleRange)} is what a guest without the host's map has "
            + $"there: e820_host was not in force in this boot, and the device's windows lie in the guest's RAM.{more} The guest that was told has "
            + $"it ({has}): this one was started without, or the device was attached later. What to change: start it anew with that in its "
            + $"configuration.";

        bool ClaimsDiffer(Scenario scenario) => Boot.Of(scenario).Forecast is not { } forecast
            || BarFindings.Compare(forecast, observed.Facts.FailedClaims).ToArray() is not { Length: > 0 } findings
            || findings.Any(static finding => !finding.Agrees);
    }

    /// <summary>Proven by: the map that is taken for the host's is one that a kernel prints, and the log tells that it is no dom0's. Null
    /// elsewhere.</summary>
    public static Phrase? MapTakenForHosts(Plan? plan, LogScan? hostLog)
    {
        LogMap? map = hostLog?.Maps.FirstOrDefault(map => map.Kind == LogMapKind.GuestKernel && plan is not null
            && (map.Entries.SequenceEqual(plan.Host.Entries)
                || (UnusableMadeUp.IsIn(hostLog!, map) && UnusableMadeUp.MachinesEntries(map.Entries).SequenceEqual(plan.Host.Entries))));
        return map is null || hostLog!.Boots.OwnerOf(map) != BootOwner.Guest ? null
            : (Phrase)($"The map that is taken for the host's (line {map.Line}) is a guest's own: what is forecast from it holds for no host. "
                + $"Give what 'xl dmesg' says on the host with {Setting.Host}.");
    }

    private static Scenario WithoutHostsMap(Scenario told) => told with { Guest = told.Guest with { E820Host = false, Pci = [] } };

    /// <summary>The RAM in the map of a kernel that leaves out what it may not have is what it may have.</summary>
    private static Phrase? OtherLimit(BootRequest request, ObservedBoot observed, Plan? plan, Dom0Log? builder)
    {
        ulong ramPages = SortedMap.TotalsOf(request.Map.AsSpan()).GetValueOrDefault(E820Type.Ram) >> Frames.Shift;
        bool isBuiltIn = builder?.HasBuiltInLimit(ramPages, plan?.Host.Traits.XenVersion) == true;
        // A limit that Xen's command line tells is the limit.
        if (!isBuiltIn && builder is { IsMaxUnknown: false, IsMaxReckoned: false, IsMaxUnclear: false })
            return null;
        if (BootEvidence.LimitSeenIn(observed) is not { } pages || pages == request.MaxPages || pages < request.PageCount
            || KernelThatAgrees(request with { MaxPages = pages }, observed) is not { } kernel)
            return null;
        ulong kib = pages << (Frames.Shift - 10);
        string limit = kib % 1024 == 0 ? $"{kib >> 10}M" : $"{kib}K";
        string option = isBuiltIn ? $"max:{limit} in the dom0_mem= that is built into this Xen, whose command line has none"
            : $"dom0_mem=max:{limit} on Xen's command line";
        string told = $"All of the memory setup in the log agrees with a dom0 that may have {ByteSize.ToText(kib << 10)} ({option}){kernel}. That "
            + $"is not what was taken: say so with";
        if (kernel.Length == 0)
            return $"{told} {Setting.Dom0Limit}.";
        return $"{told} {Setting.Dom0Limit} and {Setting.Kernel}.";
    }

    /// <summary>Empty where the kernel that is taken agrees; " and a kernel of …" where others do and the log names none; else null.</summary>
    private static string? KernelThatAgrees(BootRequest request, ObservedBoot observed)
    {
        if (Verifier.AgreesAll(Forecaster.Forecast(request), observed))
            return "";
        return observed.Release is null && Verifier.Agreeing(request, observed) is { Length: > 0 } releases ? $" and a kernel of {releases}" : null;
    }

    /// <summary>What is told comes first: as little as possible is changed.</summary>
    private static IEnumerable<GuestSpec> Candidates(Scenario told, LogMap map)
    {
        GuestSpec guest = told.Guest;
        List<GuestSpec> sizes = [guest];
        if (SizeKiBIn(map) is { } sizeKiB)
        {
            sizes.Add(guest with { MemoryKiB = sizeKiB, MaxmemKiB = sizeKiB });
            if (sizeKiB > guest.MemoryKiB)
                sizes.Add(guest with { MaxmemKiB = sizeKiB });
        }

        foreach (GuestSpec size in sizes)
        {
            if (size != guest)
                yield return size;
        }

        // A policy that was asked for lays a map of the host's in any case.
        if (told.Policy is { Traits.IsToolstacksOwn: false })
            yield break;
        foreach (GuestSpec size in sizes)
            yield return guest.UsesHostMap ? size with { E820Host = false, Pci = [] } : size with { E820Host = true };
    }

    /// <summary>The memory of the guest whose kernel shows a map, in whole MiB; null where no guest has so much, or so little.</summary>
    internal static ulong? SizeKiBIn(LogMap map)
    {
        ulong ram = SortedMap.PagedRamOf(map.Entries.AsSpan());
        // Kernels reserve the ISA range, which is a part of what the guest was given.
        ulong isa = X86Layout.IsaEnd - X86Layout.IsaStart;
        return ram != 0 && ram <= Frames.AddressLimit - MiB ? (ram + isa + MiB - 1) / MiB << 10 : null;
    }

    private static Phrase Tell(GuestSpec guest, GuestSpec told, string kernel)
    {
        // No configuration of its own tells how large it is.
        if (told.IsStubDomain)
            return $"All of the memory setup in the log agrees with a stubdomain of {ByteSize.ToText(guest.MemoryKiB << 10)}{kernel}.";
        bool isXls = told.Toolstack == Toolstack.Xl;
        string size = guest.MemoryKiB == told.MemoryKiB && guest.MaxmemKiB == told.MaxmemKiB ? ""
            : $"{OwnWords.Memory(told.Toolstack)}{(isXls ? "=" : " ")}{guest.MemoryKiB >> 10}"
                + (guest.MaxmemKiB == guest.MemoryKiB ? "" : $", {OwnWords.Most(told.Toolstack)}{(isXls ? "=" : " ")}{guest.MaxmemKiB >> 10}");
        string own = OwnWords.HostMap(told.Toolstack);
        string map = guest.UsesHostMap == told.UsesHostMap ? ""
            : guest.UsesHostMap ? $"the host's map ({(isXls ? "e820_host=1 or a pci= entry" : own)})"
            : $"a map that is not the host's (no {(isXls ? "e820_host=1, no pci= entry" : own)})";
        string both = string.Join(" and ", new[] { size, map }.Where(static part => part.Length != 0));
        return $"All of the memory setup in the log agrees with a guest that has {both}{kernel}, which is not the guest that was told. Give its "
            + $"configuration with {Setting.Guest}.";
    }
}
