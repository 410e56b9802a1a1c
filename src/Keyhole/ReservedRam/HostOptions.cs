// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.ReservedRam;

/// <summary>What of a plan's kernel parameters stands on the host's command line.</summary>
/// <param name="There">Words of it that do what the plan asks for.</param>
/// <param name="Missing">The plan's parameters that are still to be added; empty where none are.</param>
public sealed record StandingOptions(ImmutableArray<string> There, string Missing)
{
    /// <summary>Bytes that its hugepages= take.</summary>
    public ulong HugePageBytes { get; init; }
}

/// <summary>A plan beside the options that the host is booted with already: what stands there is not advised again, and what is against the plan is
/// told.</summary>
internal static class HostOptions
{
    public const string NoKaslr = "nokaslr";

    public static ReservePlan Applied(ReservePlan plan)
    {
        if (plan is not { Host.Traits.KernelOptions: { } words, Map: { } map, Today: { } today })
            return plan;
        IReadOnlyList<KernelMemoryOption> options = KernelMemoryOptions.Of(string.Join(' ', words));
        ImmutableArray<ByteRange> kept = ByteRanges.WholePages(today.Map.Kept);
        StandingOptions standing = StandingIn(today, options, words) with { HugePageBytes = HugePageBytesOf(words) };
        List<Problem> problems = [.. plan.Problems];
        AddKernelsPlace(problems, plan, today, words);
        foreach (KernelMemoryOption option in options)
            AddOption(problems, option, map, today, kept);
        AddEfi(problems, plan, options);
        AddCount(problems, today, options, standing, words);
        AddHugePages(problems, map, standing);
        return plan with { Standing = standing, Problems = [.. problems] };
    }

    private static StandingOptions StandingIn(TodaysHost today, IReadOnlyList<KernelMemoryOption> options, ImmutableArray<string> words)
    {
        KernelMemoryOption[] reserving = [.. options.Where(IsReserving)];
        List<string> there = [];
        var missing = ImmutableArray.CreateBuilder<ByteRange>();
        foreach (ByteRange range in today.Memmaps)
        {
            int at = Array.FindIndex(reserving, option => option.Range.Start <= range.Start && range.End <= option.Range.End);
            if (at < 0)
                missing.Add(range);
            else
                there.Add(RamTaken.Name(reserving[at]));
        }

        bool isRelaxed = words.Contains(MemmapParameters.RelaxedIomem, StringComparer.Ordinal);
        if (today.NeedsRelaxedIomem && isRelaxed)
            there.Add(MemmapParameters.RelaxedIomem);
        return new([.. there.Distinct(StringComparer.Ordinal)],
            MemmapParameters.Join(missing.ToImmutable(), today.NeedsRelaxedIomem && !isRelaxed));
    }

    private static bool IsReserving(KernelMemoryOption option) => option is { Kind: KernelMemoryOptionKind.Range, Type: E820Type.Reserved };

    private static void AddKernelsPlace(List<Problem> problems, ReservePlan plan, TodaysHost today, ImmutableArray<string> words)
    {
        ImmutableArray<ByteRange> overlap = ByteRanges.Intersect(today.Memmaps,
            [ByteRange.FromSize(ReservePlanner.UsualKernelStart, ReservePlanner.KernelBytes)]);
        if (overlap.IsEmpty || plan.Host.Traits.IsEfi == true || !words.Contains(NoKaslr, StringComparer.Ordinal))
            return;
        bool isAtStart = overlap[0].Start <= ReservePlanner.UsualKernelStart;
        problems.Add(new(
            isAtStart ? Severity.Error : Severity.Warning,
            ReserveProblemCodes.CommandLineConflict,
            $"{NoKaslr} is among the host's options: booted by BIOS, its kernel then starts at 16 MiB, "
                + (isAtStart ? "in the kept RAM"
                    : $"and may reach into the kept RAM: it takes up to {ByteSize.ToText(ReservePlanner.KernelBytes)} there to unpack itself"),
            overlap[0].Start,
            overlap[^1].End,
            $"boot without {NoKaslr}"));
    }

    /// <summary>What must not be added on a host that boots by EFI must not stand there either: its kernel may be in that RAM already.</summary>
    private static void AddEfi(List<Problem> problems, ReservePlan plan, IReadOnlyList<KernelMemoryOption> options)
    {
        if (plan.Host.Traits.IsEfi != true)
            return;
        foreach (KernelMemoryOption option in options.Where(IsReserving))
        {
            ImmutableArray<ByteRange> low = ByteRanges.Intersect(
                ByteRanges.Intersect(LinuxIomem.RamOf(plan.Host.Entries), [option.Range]), [ByteRange.FromBounds(X86Layout.OneMiB, Frames.FourGiB)]);
            if (low.IsEmpty)
                continue;
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.CommandLineConflict,
                $"{RamTaken.Name(option)} is among the options of this host, which boots by EFI: its kernel does not avoid that RAM, and may be in "
                    + "it now",
                low[0].Start,
                low[^1].End,
                "take it off the command line"));
        }
    }

    private static void AddOption(List<Problem> problems, KernelMemoryOption option, ReservedRamMap map, TodaysHost today,
        ImmutableArray<ByteRange> kept)
    {
        string name = $"{RamTaken.Name(option)} among the host's options";
        switch (option.Kind)
        {
            case KernelMemoryOptionKind.Limit or KernelMemoryOptionKind.Broken:
                ImmutableArray<ByteRange> beyond =
                    [ByteRange.FromBounds(ulong.Min(Align.Down(option.Limit, Frames.SizeBytes), Frames.AddressLimit), Frames.AddressLimit)];
                AddTaken(problems, option, today, ByteRanges.Intersect(kept, beyond), Severity.Error);
                AddTaken(problems, option, today, ByteRanges.Intersect(map.HostRam, beyond), Severity.Warning);
                break;
            case KernelMemoryOptionKind.Change when option.Type == E820Type.None:
                AddTaken(problems, option, today, ByteRanges.Intersect(kept, [option.Range]), Severity.Error);
                break;
            case KernelMemoryOptionKind.ExactMap:
                problems.Add(new(
                    Severity.Warning,
                    ReserveProblemCodes.CommandLineConflict,
                    $"{name} drops the firmware's map and all that stands before it: the host's RAM is what the options behind it name",
                    Remedy: "boot without it, or put the parameters behind it"));
                break;
            case KernelMemoryOptionKind.Range when option.Type == E820Type.Pram:
                ImmutableArray<ByteRange> disk = ByteRanges.Intersect(kept, [option.Range]);
                if (!disk.IsEmpty)
                    problems.Add(PersistentMemory(name, disk));
                break;
            default:
                break;
        }
    }

    /// <summary>RAM that the kernel does not use as such, and makes a block device of.</summary>
    public static Problem PersistentMemory(string what, ImmutableArray<ByteRange> ranges) => new(
        Severity.Warning,
        ReserveProblemCodes.KeptAsPersistentMemory,
        $"{what} makes persistent memory of {ByteSize.ToText(ByteRanges.Sum(ranges))} of what is to be kept: the kernel does not use it as RAM, but "
            + "makes a device of it (/dev/pmem0), and what the host writes there is in the guest's RAM",
        ranges[0].Start,
        ranges[^1].End,
        "write memmap=SIZE$START in its place, or leave that device alone: no file system, no swap, no DAX on it");

    private static void AddTaken(List<Problem> problems, KernelMemoryOption option, TodaysHost today, ImmutableArray<ByteRange> taken,
        Severity severity)
    {
        if (taken.IsEmpty)
            return;
        string what = severity == Severity.Error ? "what is to be kept is out of the kernel's map then, not reserved"
            : "the plan leaves it to the host";
        problems.Add(new(
            severity,
            ReserveProblemCodes.CommandLineConflict,
            $"{ByteSize.ToText(ByteRanges.Sum(taken))} of RAM: {RamTaken.Words(option, null, today.Memmaps)}; {what}",
            taken[0].Start,
            taken[^1].End,
            $"boot without {RamTaken.Name(option)}"));
    }

    /// <summary>KASLR minds the first four ranges, whatever their sign; those that lie in one of the plan's may go.</summary>
    private static void AddCount(List<Problem> problems, TodaysHost today, IReadOnlyList<KernelMemoryOption> options, StandingOptions standing,
        ImmutableArray<string> words)
    {
        KernelMemoryOption[] ranges = [.. options.Where(static option => option is { Kind: KernelMemoryOptionKind.Range, Type: not E820Type.Ram })];
        KernelMemoryOption[] within = [.. ranges.Where(option => IsReserving(option) && today.Memmaps.Any(range =>
            range.Start <= option.Range.Start && option.Range.End <= range.End && range != option.Range))];
        if (within.Length > 0)
        {
            problems.Add(new(
                Severity.Info,
                ReserveProblemCodes.CommandLineConflict,
                $"{string.Join(", ", within.Select(RamTaken.Name))} among the host's options {(within.Length == 1 ? "lies" : "lie")} in what the "
                    + "parameters keep",
                Remedy: $"take {(within.Length == 1 ? "it" : "them")} off the command line"));
        }

        int added = standing.Missing.Split(' ').Count(static word => word.StartsWith("memmap=", StringComparison.Ordinal));
        int count = ranges.Length - within.Length + added;
        if (added > 0 && count > MemmapParameters.MaxRanges && !words.Contains(NoKaslr, StringComparer.Ordinal))
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.TooManyRanges,
                $"with those that stand there {count} memmap= are on the command line: the kernel's choice of its own place "
                    + "(KASLR) minds the first four only",
                Remedy: "put these parameters before the others"));
        }
    }

    private static void AddHugePages(List<Problem> problems, ReservedRamMap map, StandingOptions standing)
    {
        ulong left = ByteRanges.Sum(map.HostRam);
        if (standing.HugePageBytes <= left || left == 0)
            return;
        problems.Add(new(
            Severity.Warning,
            ReserveProblemCodes.CommandLineConflict,
            $"hugepages= among the host's options asks for {ByteSize.ToText(standing.HugePageBytes)}; the plan leaves the "
                + $"host {ByteSize.ToText(left)} of RAM",
            Remedy: "ask for fewer, or keep less"));
    }

    /// <summary>Bytes; the form "hugepages=NODE:COUNT,…" is of one size, too.</summary>
    private static ulong HugePageBytesOf(ImmutableArray<string> words)
    {
        const string count = "hugepages=", size = "hugepagesz=", usual = "default_hugepagesz=";
        ulong pageBytes = X86Layout.LargePageBytes;
        if (words.FirstOrDefault(static word => word.StartsWith(usual, StringComparison.Ordinal)) is { } named)
            pageBytes = SizeOf(named[usual.Length..]) ?? pageBytes;
        ulong bytes = 0;
        foreach (string word in words)
        {
            if (word.StartsWith(size, StringComparison.Ordinal))
                pageBytes = SizeOf(word[size.Length..]) ?? pageBytes;
            if (!word.StartsWith(count, StringComparison.Ordinal))
                continue;
            foreach (string part in word[count.Length..].Split(','))
            {
                string pages = part[(part.IndexOf(':', StringComparison.Ordinal) + 1)..];
                if (uint.TryParse(pages, out uint number) && number <= Frames.AddressLimit / pageBytes)
                    bytes = ulong.Min(Frames.AddressLimit, bytes + (number * pageBytes));
            }
        }

        return bytes;
    }

    private static ulong? SizeOf(string text) => text switch
    {
        "1G" or "1g" or "1024M" => 1UL << 30,
        "2M" or "2m" or "2048K" or "2048k" => X86Layout.LargePageBytes,
        _ => null,
    };
}
