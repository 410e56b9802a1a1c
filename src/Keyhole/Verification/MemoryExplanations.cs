// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Verification;

/// <summary>Where the memory of a kernel that boots is: moved, given back, left out, lost to the map, or the kernel's own.</summary>
internal static class MemoryExplanations
{
    /// <summary>Holes that are named; a guest on a ragged host has dozens.</summary>
    private const int MostHoles = 6;

    /// <summary>Source: Xen's dom0_build.c (dom0_compute_nr_pages), 4.2's domain_build.c (compute_dom0_nr_pages) and all between.</summary>
    private const int KeptByXenMiB = 128;

    private const ulong KiBOfPage = Frames.SizeBytes >> 10;
    private const ulong WorthMentionBytes = 1UL << 20;

    /// <param name="forecast">Of the boot.</param>
    /// <param name="observed">The boot.</param>
    /// <param name="plan">What was forecast from; null of a map that was given.</param>
    /// <param name="builder">What the log of dom0's Xen says of it; null where it says nothing, and of a guest.</param>
    public static IEnumerable<Phrase> Of(BootForecast forecast, ObservedBoot observed, Plan? plan, Dom0Log? builder)
    {
        if (forecast.RemappedPages != 0)
            yield return $"{Pages(forecast.RemappedPages)} are under holes of the map ({Holes(forecast)}); the kernel moves them to RAM "
                + $"further up, so that they are not lost.";
        foreach (string text in Released(forecast, plan))
            yield return text;
        foreach (Problem problem in forecast.Problems.Where(static problem => problem.Code == ProblemCodes.MapTooShort))
            yield return $"Pages are lost: {problem.Message}. What to change: {problem.Remedy}.";
        if (NotManaged(forecast) is { } notManaged)
            yield return notManaged;
        foreach (string text in LeftOut(forecast, observed, plan, builder))
            yield return text;
        foreach (Problem problem in plan?.Problems ?? [])
        {
            if (problem.Code is ProblemCodes.LowMemoryLost or ProblemCodes.HighRamOverlap)
            {
                string whose = plan!.LaidBy is { Traits.IsToolstacksOwn: false } policy ? $"the map of {policy.Name}" : "the toolstack's map";
                yield return $"By {whose}: {problem.Message}. What to change: {problem.Remedy}.";
            }
        }

        ulong unusable = plan is null || forecast.Request.IsDom0 ? 0 : HostsRamMarkedIn(forecast.Request.Map, plan.MachineMap);
        if (unusable >= WorthMentionBytes)
            yield return $"{ByteSize.ToText(unusable)} of the map are unusable: RAM of the host that the guest was not given, marked so that no "
                + $"device is put there. It is not missing.";
        if (observed.Facts.Memory is { } memory && Reckoned(forecast, memory.Value, observed.Facts.DefersPages) is { } sum)
            yield return $"Line {memory.Line}: {sum}";
    }

    /// <summary>Unusable bytes of a map where its host has RAM. What some kernels mark themselves is not the host's, nor is all that somebody
    /// marks.</summary>
    private static ulong HostsRamMarkedIn(ImmutableArray<E820Entry> map, ImmutableArray<E820Entry> host)
    {
        ulong bytes = 0;
        ImmutableArray<E820Entry> sorted = Hosts.SortedMap.Of(host.AsSpan());
        foreach (E820Entry entry in map.Where(static entry => entry is { Type: E820Type.Unusable, Wraps: false }))
            bytes += Hosts.SortedMap.BytesIn(entry.Range, sorted.AsSpan(), static entry => entry.IsRam);
        return bytes;
    }

    /// <summary>Whether the domain may have more than it starts with, and its map has room for it: else xl mem-set cannot give it any.</summary>
    private static bool CanGrow(BootForecast forecast, Plan? plan)
    {
        BootRequest request = forecast.Request;
        ulong room = forecast.ExtraBytes;
        ulong? mostPages = request.IsDom0 ? request.MaxPages : plan?.Guest.MaxmemKiB >> (Frames.Shift - 10);
        return room >= WorthMentionBytes && (mostPages is { } most ? most > forecast.OwnedPages : request.IsDom0);
    }

    /// <summary>Whether nothing told Xen how much dom0 is to have.</summary>
    private static bool HasAllThatXenHas(BootForecast forecast, Plan? plan, Dom0Log? builder) =>
        forecast.Request is { IsDom0: true, MaxPages: null } && builder is { HasNoMemoryOption: true, IsCountShown: true }
            && !builder.HasBuiltInLimit(Sum(forecast.Request.Map, E820Type.Ram) >> Frames.Shift, plan?.Host.Traits.XenVersion);

    private static IEnumerable<string> Released(BootForecast forecast, Plan? plan)
    {
        if (forecast.ReleasedPages == 0)
            yield break;
        if (forecast.PopulatedPages >= forecast.ReleasedPages)
        {
            yield return $"{Pages(forecast.ReleasedPages)} under holes of the map ({Holes(forecast)}) are given back to Xen, and as many are "
                + $"got again further up: nothing is lost.";
            yield break;
        }

        ulong lost = forecast.ReleasedPages - forecast.PopulatedPages;
        string setMemory = OwnWords.SetMemory(forecast.Request.Toolstack);
        ImmutableArray<BootForecast> survey = KernelSurvey.Of(forecast.Request);
        string releases = KernelSurvey.ReleasesThat(KernelSurvey.KeepsAll, survey);
        string why = forecast.Request.Profile.Displaced == DisplacedPages.Release
            ? "this kernel gives back what is there and gets nothing for it"
            : releases.Length == 0
                ? $"the map has no {(forecast.PopulatedPages + forecast.RemappedPages == 0 ? "" : "more ")}RAM after the guest's first pages that "
                    + "could take them"
                : "this kernel does not find the RAM after the guest's first pages that could take them";
        yield return $"{Pages(lost)} are missing: they are under holes of the map ({Holes(forecast)}), and {why}. They went back to Xen.";
        if (releases.Length != 0)
        {
            foreach (string text in KernelSurvey.Tell(survey))
                yield return $"By kernel: {text}.";
            yield return $"What to change: boot a kernel of {releases}{(CanGrow(forecast, plan) ? $"; or balloon up again ({setMemory})" : "")}.";
        }
        else
        {
            yield return $"Which kernels cope: none; every known version gives pages back on this map"
                + $"{(survey.All(static other => other.Boots) ? "" : ", or does not boot on it")}.";
            // dom0's map is the machine's: nobody can install another.
            if (!forecast.Request.IsDom0)
            {
                string orElse = CanGrow(forecast, plan)
                    ? $"; the guest can also balloon up again by {ByteSize.ToText(forecast.ExtraBytes)} ({setMemory})" : "";
                yield return $"What to change: install a map with as much RAM as the guest has pages, so that they can move{orElse}.";
            }
        }
    }

    /// <summary>What the domain has and its kernel has no use for.</summary>
    private static string? NotManaged(BootForecast forecast)
    {
        ulong pages = PageAccount.PagesOf(forecast, PageAccount.BeyondLimit);
        if (pages == 0)
            return null;
        string releases = KernelSurvey.ReleasesThat(
            static other => KernelSurvey.KeepsAll(other) && PageAccount.PagesOf(other, PageAccount.BeyondLimit) == 0,
            KernelSurvey.Of(forecast.Request));
        return $"{Pages(pages)} of those that it starts with are beyond what this kernel can manage: nothing uses them. What to change: "
            + $"{(releases.Length == 0 ? "" : $"boot a kernel of {releases}; or ")}start it with that much less.";
    }

    /// <summary>Whether what has no memory behind it yet is out of the balloon's reach.</summary>
    private static bool HasPool(BootForecast forecast) => forecast.Request.Profile.Has(KernelBehaviour.HasScratchPool);

    private static string RoomFor(BootForecast forecast) => HasPool(forecast) ? "room without memory" : "room for the balloon";

    private static IEnumerable<string> LeftOut(BootForecast forecast, ObservedBoot observed, Plan? plan, Dom0Log? builder)
    {
        BootRequest request = forecast.Request;
        ulong room = forecast.ExtraBytes;
        if (room >= WorthMentionBytes)
        {
            string who = request.IsDom0 ? "domain" : "guest";
            string asFar = request.IsDom0 ? ", as far as Xen has them free (free_memory in 'xl info')" : ", they are not missing";
            string meaning = HasAllThatXenHas(forecast, plan, builder)
                ? $". Without dom0_mem= on its command line Xen gives dom0 all that it has left but for {KeptByXenMiB} MiB at most: about so much "
                    + $"can be had with {OwnWords.SetMemory(request.Toolstack)}, the rest Xen uses itself"
                : HasPool(forecast) && CanGrow(forecast, plan)
                ? $", which Linux from 6.10 on keeps for itself: {OwnWords.SetMemory(request.Toolstack)} gives the {who} memory at other addresses, "
                    + $"by hotplug{(request.IsDom0 ? asFar : "")}"
                : CanGrow(forecast, plan)
                ? $": the {who} gets them with {OwnWords.SetMemory(request.Toolstack)}{asFar}"
                : ", and the domain may not have more than it starts with";
            yield return $"{ByteSize.ToText(room)} of the RAM in the map are {RoomFor(forecast)}{meaning}.";
            if (PageStructures.Tell(request, room, plan?.Guest) is { } cost)
                yield return cost;
        }

        ulong leftOut = BalloonRoom.LeftOutBytes(forecast);
        if (leftOut == 0)
            yield break;
        ulong given = leftOut + Sum(forecast.KernelMap, E820Type.Ram);
        string how = request.Profile.MarksSurplusUnusable ? "marks them unusable" : "leaves them out of its map";
        string why = !request.IsDom0
            ? BalloonRoom.Why(forecast)
            : request.MaxPages is { } max
                ? $"dom0 may have {ByteSize.ToText(max << Frames.Shift)} ({WhoLimits(max, observed, builder)})"
                : $"dom0 starts with {ByteSize.ToText(request.PageCount << Frames.Shift)}, and Linux keeps room for ten times that at most "
                    + $"(dom0_mem= on Xen's command line gives it more)";
        // A guest that may have all of them gets them as memory that is plugged in, if at all.
        string cure = request.IsDom0 || BalloonRoom.Remedy(forecast) is not { } remedy ? "" : $" What to change: {remedy}.";
        yield return $"{ByteSize.ToText(leftOut)} of the {ByteSize.ToText(given)} of RAM in the map "
            + $"{(request.IsDom0 ? "are not dom0's" : "are out of the balloon's room")}: {why}. The kernel {how}.{cure}";
    }

    /// <summary>Where dom0's limit is from: a log without Xen's command line does not tell, and what was told goes before what it says.</summary>
    private static string WhoLimits(ulong maxPages, ObservedBoot observed, Dom0Log? builder) =>
        builder is null ? "dom0_mem=max: on Xen's command line, or as was told"
            : builder.MaxPages == maxPages ? "dom0_mem=max: on Xen's command line"
            : builder.HasNoMemoryOption ? "as was told, for Xen's command line has no dom0_mem="
            : builder.IsMaxUnknown && BootEvidence.LimitSeenIn(observed) == maxPages
                ? "by the RAM of its own map: Xen's command line is not in the log" : "as was told";

    /// <summary>The total of "Memory: x/y available" as a sum of whole parts; null where it does not come out to the last page.</summary>
    /// <param name="defers">Whether the kernel sets up most of its memory later.</param>
    private static string? Reckoned(BootForecast forecast, MemoryTotals memory, bool defers)
    {
        ulong givenKiB = forecast.Request.PageCount * KiBOfPage;
        ulong usable = PageAccount.PagesOf(forecast, PageAccount.Stays) + PageAccount.PagesOf(forecast, PageAccount.Moved) + forecast.PopulatedPages;
        ulong inMap = 0;
        foreach (E820Entry entry in forecast.KernelMap)
        {
            if (entry.IsRam)
                inMap += PfnRange.FromBounds(Pfn.AtOrAbove(entry.Address), Pfn.Containing(entry.End)).Count;
        }

        // Linux reserves the first page whatever the map says, and counts room for the balloon as memory.
        if (inMap == 0 || (inMap - 1) * KiBOfPage != memory.TotalKiB || inMap < usable)
            return null;
        string parts = $"{Verifier.Number(givenKiB)} KiB given";
        foreach ((ulong pages, string what) in new[]
        {
            (forecast.ReleasedPages - Math.Min(forecast.ReleasedPages, forecast.PopulatedPages), "given back to Xen"),
            (PageAccount.PagesOf(forecast, PageAccount.NotUsed), "reserved below 1 MiB and at the edges of holes"),
            (PageAccount.PagesOf(forecast, PageAccount.Lost), "behind the map's end"),
            (PageAccount.PagesOf(forecast, PageAccount.BeyondLimit), "beyond what this kernel can manage"),
            (1UL, "the first page"),
        })
        {
            if (pages != 0)
                parts += $" − {Verifier.Number(pages * KiBOfPage)} {what}";
        }

        if (inMap > usable)
            parts += $" + {Verifier.Number((inMap - usable) * KiBOfPage)} of {RoomFor(forecast)}";
        ulong own = memory.TotalKiB - memory.AvailableKiB;
        string total = $"{Verifier.Number(memory.TotalKiB)} KiB of RAM are {parts}.";
        // From 4.2 on kernels may set up most of their memory once they run; until then it counts as taken, and nobody has it.
        const ulong mostOfItsOwnKiB = 2UL << 20;
        if (defers || (own > mostOfItsOwnKiB && own > memory.TotalKiB / 8))
        {
            string rest = defers ? "the kernel sets up the rest later (deferred pages)"
                : "kernels that set up most of their memory later count that as taken until then";
            return $"{total} When it said so {Verifier.Number(memory.AvailableKiB)} KiB were set up; {rest}.";
        }

        ulong structures = forecast.Request.Is32Bit ? 0 : PageStructures.BytesFor((inMap - usable) << Frames.Shift) >> 10;
        string ofRoom = structures == 0 || structures > own ? ""
            : $", about {Verifier.Number(structures)} of them for its structures of that room's pages";
        return $"{total} Of these the kernel had taken {Verifier.Number(own)} KiB for itself and its ramdisk when it said so{ofRoom}.";
    }

    /// <summary>The identity-mapped frames among those that the guest was given, with what the map has there.</summary>
    private static string Holes(BootForecast forecast)
    {
        PfnRange given = PfnRange.FromBounds(default, new(forecast.Request.PageCount));
        List<string> holes = [];
        ulong more = 0;
        // To kernels before 3.14 a hole that reaches 512 GiB is none of identity.
        PfnRange[] identity = [.. forecast.P2m.Where(static run => run.Kind == P2mKind.Identity).Select(run => run.Range.Intersect(given))];
        bool isWhole = identity.Aggregate(0UL, static (sum, part) => sum + part.Count) >= ulong.Max(forecast.ReleasedPages, forecast.RemappedPages);
        foreach (PfnRange part in isWhole ? identity : OutsideOfRam(forecast.Request.Map, given))
        {
            if (part.IsEmpty)
                continue;
            foreach (PfnRange hole in EntriesAndGaps(forecast.KernelMap, part))
            {
                if (holes.Count < MostHoles)
                    holes.Add($"{Verifier.Range(ByteRange.FromFrames(hole))} "
                        + $"{TypesIn(forecast.KernelMap, ByteRange.FromFrames(hole))}: {Verifier.Number(hole.Count)}");
                else
                    more += hole.Count;
            }
        }

        return string.Join(", ", holes) + (more == 0 ? "" : $", and {Verifier.Number(more)} in others");
    }

    /// <summary>The frames of a range that are no whole pages of RAM.</summary>
    private static IEnumerable<PfnRange> OutsideOfRam(ImmutableArray<E820Entry> map, PfnRange range)
    {
        Pfn at = range.Start;
        foreach (E820Entry entry in Hosts.SortedMap.RamOf(map.AsSpan()))
        {
            PfnRange part = PfnRange.FromBounds(Pfn.AtOrAbove(entry.Address), Pfn.Containing(entry.End)).Intersect(range);
            if (part.IsEmpty)
                continue;
            if (part.Start > at)
                yield return PfnRange.FromBounds(at, part.Start);
            at = part.End;
        }

        if (range.End > at)
            yield return PfnRange.FromBounds(at, range.End);
    }

    /// <summary>The frames that entries name apart from those of which the map says nothing: entries side by side are one piece.</summary>
    private static IEnumerable<PfnRange> EntriesAndGaps(ImmutableArray<E820Entry> map, PfnRange range)
    {
        Pfn at = range.Start;
        Pfn named = at;
        foreach (E820Entry entry in map.Where(static entry => entry is { IsRam: false, Wraps: false }).OrderBy(static entry => entry.Address))
        {
            PfnRange part = PfnRange.FromBounds(Pfn.Containing(entry.Address), Pfn.AtOrAbove(entry.End)).Intersect(range);
            if (part.IsEmpty || part.End <= named)
                continue;
            if (part.Start > named)
            {
                if (named > at)
                    yield return PfnRange.FromBounds(at, named);
                yield return PfnRange.FromBounds(named, part.Start);
                at = part.Start;
            }

            named = part.End;
        }

        if (named > at)
            yield return PfnRange.FromBounds(at, named);
        if (range.End > named)
            yield return PfnRange.FromBounds(named, range.End);
    }

    private static string TypesIn(ImmutableArray<E820Entry> map, ByteRange range)
    {
        string types = string.Join('/', map.Where(entry => !entry.IsRam && ByteRange.FromBounds(entry.Address, entry.End).Overlaps(range))
            .Select(static entry => Hosts.E820TypeNames.NameOf(entry.Type)).Distinct());
        return types.Length == 0 ? "gap" : types;
    }

    private static string Pages(ulong count) => $"{Verifier.Number(count)} pages ({ByteSize.ToText(count << Frames.Shift)})";

    private static ulong Sum(ImmutableArray<E820Entry> map, E820Type type) => Hosts.SortedMap.TotalsOf(map.AsSpan()).GetValueOrDefault(type);
}
