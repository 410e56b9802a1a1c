// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>The total of "Memory: x/y available" beside the RAM of a map: a kernel counts the whole pages of RAM that its map has, but for the first
/// page and what is below 1 MiB behind 640 KiB, and nothing else.</summary>
/// <remarks>Source: Linux' mem_init_print_info (mm/page_alloc.c, since 6.4 mm/mm_init.c) since 3.11: the pages present in all nodes, which come from
/// the E820 map (e820__memblock_setup, trim_bios_range). All logs of the fixtures come out to the page.</remarks>
internal static class RamTotal
{
    public const string What = "RAM in all";

    /// <summary>How releases of kernels are called that may reach no more than 4 GiB, or less.</summary>
    private static readonly string[] s_namesOf32Bit = ["686", "586", "486", "i386"];

    private static readonly string[] s_namesOf64Bit = ["amd64", "x86_64"];

    /// <summary>What kernels of 32 bits reach at most: without PAE, and without high memory.</summary>
    private static readonly ulong[] s_reachOf32Bit = [Frames.FourGiB, 0x377f_e000];

    private const ulong KiBOfPage = Frames.SizeBytes >> 10;

    /// <summary>What a kernel counts on a map.</summary>
    public static ulong KiBIn(ImmutableArray<E820Entry> map)
    {
        var low = PfnRange.FromBounds(default, Pfn.Containing(Frames.SizeBytes));
        var isa = PfnRange.FromBounds(Pfn.Containing(X86Layout.IsaStart), Pfn.Containing(X86Layout.IsaEnd));
        ulong pages = 0;
        foreach (E820Entry entry in Hosts.SortedMap.RamOf(map.AsSpan()))
        {
            PfnRange whole = WholePagesOf(entry);
            pages += whole.Count - whole.Intersect(low).Count - whole.Intersect(isa).Count;
        }

        return pages * KiBOfPage;
    }

    /// <summary>The total of a guest's kernel beside the plan's; null where there is none, or too little of the map is known.</summary>
    /// <param name="plan">Of the guest.</param>
    /// <param name="forecast">Its map as Linux prints it.</param>
    /// <param name="observed">The boot.</param>
    /// <param name="withMap">The boot with the map that its system was given; null where the log has none. Where parts of the forecast's are not
    /// settled, it counts, if it is whole.</param>
    public static Finding? Compare(Plan plan, ImmutableArray<E820Entry> forecast, ObservedBoot observed, ObservedBoot? withMap)
    {
        if (!plan.NotKnownRanges.IsEmpty || !plan.Readings.IsEmpty)
            return null;
        if (!(plan.Firmware?.Unsettled ?? plan.Unsettled).IsEmpty)
        {
            if (withMap is not
                {
                    MapMayBeginLate: false,
                    MapMayEndEarly: false,
                    Map: { Kind: LogMapKind.LinuxFirmware, Error: null, Cuts.IsEmpty: true, Garbled.IsEmpty: true } own,
                })
                return null;
            forecast = own.Entries;
        }

        string release = observed.Release?.Value ?? "";
        bool mayBe32Bit = !s_namesOf64Bit.Any(release.Contains) && s_reachOf32Bit.Any(reach =>
            observed.Facts.Memory is { } memory && memory.Value.TotalKiB == KiBIn([.. forecast.Select(entry => Below(entry, reach))]));
        return Compare(forecast, observed, mayBe32Bit || s_namesOf32Bit.Any(release.Contains));
    }

    /// <summary>The total beside the forecast's; null where the log has none, or what its kernel does to its own map decides it.</summary>
    /// <param name="map">As the kernel was forecast to have it, all of it known.</param>
    /// <param name="observed">The boot.</param>
    /// <param name="is32Bit">Whether the kernel may not reach all of it.</param>
    public static Finding? Compare(ImmutableArray<E820Entry> map, ObservedBoot observed, bool is32Bit)
    {
        if (observed.Facts.Memory is not { } memory || map.IsEmpty || observed.UserMap is not null || HasOptions(observed.Facts))
            return null;
        ulong forecast = KiBIn(map);
        ulong seen = memory.Value.TotalKiB;
        ulong least = forecast - Math.Min(forecast, TakenKiB(map, observed.Facts));
        bool agrees = seen <= forecast && (seen >= least || is32Bit);
        return new(What, Text(agrees ? seen : forecast), Text(seen), memory.Line, agrees);
    }

    /// <summary>Whether nothing else differs: then no other firmware or width explains it.</summary>
    public static bool IsAllThatDiffers(IEnumerable<Finding> findings) =>
        findings.Where(static finding => !finding.Agrees).All(static finding => finding.What == What);

    /// <summary>What a total that differs says, and what it does not.</summary>
    public static IEnumerable<Phrase> Explain(IReadOnlyCollection<Finding> findings, ObservedBoot observed)
    {
        if (findings.FirstOrDefault(static finding => finding is { What: What, Agrees: false }) is not { } total
            || observed.Facts.Memory is not { } memory)
            yield break;
        Finding[] entries = [.. findings.Where(static finding => finding.What == MapComparison.What)];
        bool isWhole = observed is { Map: { Error: null, Cuts.IsEmpty: true, Garbled.IsEmpty: true, Entries.IsEmpty: false } };
        if (isWhole && entries.Any(static finding => !finding.Agrees) && KiBIn(observed.Map!.Entries) == memory.Value.TotalKiB)
        {
            yield return $"The map in the log is whole: its RAM is what the kernel counts behind it (line {total.Line}: "
                + $"{Verifier.Number(memory.Value.TotalKiB)} KiB).";
            yield break;
        }

        string told = $"Line {total.Line}: the kernel counts {total.Observed} of RAM, and ";
        string mayLimit = observed.Facts.CommandLine is null
            ? " The kernel's command line, which can change that (mem=, memmap=), is not in the log." : "";
        yield return entries.Length == 0
            ? $"{told}the forecast's map gives it {total.Forecast}. The kernel's own map, which would tell why, is not in the log.{mayLimit}"
            : entries.All(static finding => finding.Agrees)
                ? $"{told}the map, which is as forecast, gives it {total.Forecast}. A kernel counts the whole pages of RAM of its map, and the log "
                    + $"shows nothing that changed it: whether this line is of the same boot as the map is the first thing to look at.{mayLimit}"
                : $"{told}neither the forecast's map ({total.Forecast}) nor the lines of the log's give that.{mayLimit}";
    }

    /// <summary>A number of KiB as Linux has it.</summary>
    private static string Text(ulong kib) => $"{Verifier.Number(kib)} KiB";

    /// <summary>Whether the command line, or the kernel itself, makes RAM or forbids it.</summary>
    private static bool HasOptions(BootFacts facts) => facts.ChangedMapTitleLine is not null || facts.ImageOutsideRam is not null
        || (facts.CommandLine is { } line && KernelMemoryOptions.Of(line.Value).Count > 0)
        || facts.Edits.Any(static edit => edit.Value is { NewType: E820Type.Ram, OldType: not E820Type.Ram });

    /// <summary>RAM of a map that the kernel says it takes out of use, or may: what comes once the pages are counted is among it.</summary>
    private static ulong TakenKiB(ImmutableArray<E820Entry> map, BootFacts facts)
    {
        ulong pages = 0;
        foreach (LogFact<MapEdit> edit in facts.Edits)
        {
            // The first page is counted nowhere.
            if (edit.Value is not { NewType: not E820Type.Ram, OldType: null or E820Type.Ram } taken || taken.Range.End <= Frames.SizeBytes)
                continue;
            foreach (E820Entry entry in Hosts.SortedMap.RamOf(map.AsSpan()))
            {
                ByteRange part = entry.Range.Intersect(taken.Range);
                // A page of which a part is taken is gone as a whole.
                if (!part.IsEmpty)
                    pages += PfnRange.FromBounds(Pfn.Containing(part.Start), Pfn.AtOrAbove(part.End)).Count;
            }
        }

        return pages * KiBOfPage;
    }

    private static E820Entry Below(E820Entry entry, ulong end) => entry.Wraps || entry.End <= end ? entry
        : E820Entry.FromBounds(Math.Min(entry.Address, end), end, entry.Type);

    private static PfnRange WholePagesOf(E820Entry entry) => entry.Wraps || entry.Address >= Frames.AddressLimit ? default
        : PfnRange.FromBounds(Pfn.AtOrAbove(entry.Address), Pfn.Containing(Math.Min(entry.End, Frames.AddressLimit)));
}
