// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.ReservedRam;

/// <summary>What a running host shows of its memory, by /proc/iomem or by the log of its boot.</summary>
internal sealed record ShownHost
{
    private static readonly ByteRange s_all = ByteRange.FromBounds(0, Frames.AddressLimit);

    private ShownHost(IEnumerable<E820Entry> map, ImmutableArray<ByteRange> lost, string source)
    {
        ImmutableArray<E820Entry> entries = [.. map.Where(static entry => !entry.Wraps && entry.Type != E820Type.None)];
        Ram = LinuxIomem.RamOf(entries);
        NoRam = [.. entries.Where(static entry => !entry.IsRam).Select(LinuxIomem.RangeOf)];
        PersistentMemory = ByteRanges.Union([.. entries.Where(static entry => entry.Type is E820Type.Pram or E820Type.PersistentMemory)
            .Select(LinuxIomem.RangeOf)]);
        Lost = ByteRanges.Subtract(lost, ByteRanges.Union([.. Ram, .. NoRam]));
        Source = source;
    }

    /// <summary>The kernel's own.</summary>
    public ImmutableArray<ByteRange> Ram { get; init; }

    /// <summary>Each entry that is not RAM, in the source's order.</summary>
    public ImmutableArray<ByteRange> NoRam { get; }

    /// <summary>What of them is persistent memory, from which the kernel makes devices.</summary>
    public ImmutableArray<ByteRange> PersistentMemory { get; }

    /// <summary>Where lines of the source are missing.</summary>
    public ImmutableArray<ByteRange> Lost { get; }

    /// <summary>What it is shown by: "/proc/iomem", "the map of line 20".</summary>
    public string Source { get; }

    /// <summary>Why <see cref="Lost"/> is so, as a sentence of its own.</summary>
    public string WhyLost { get; private init; } = "";

    /// <summary>What the kernel was booted with; null where the source does not say it. Line 0 where it is from no log.</summary>
    public LogFact<string>? CommandLine { get; init; }

    /// <summary>Whether it is a log, of which a line may be missing without a trace.</summary>
    public bool IsLog { get; private init; }

    /// <param name="iomem">What /proc/iomem has, with the options of the same boot where they are known.</param>
    /// <param name="copy">Where it was read; null where it is whole.</param>
    public static ShownHost Of(Host iomem, LogMap? copy)
    {
        const string source = "/proc/iomem";
        // Each has the first page as reserved: what lacks all that is not RAM was cut out of one.
        bool isCutOut = !iomem.Entries.Any(static entry => !entry.IsRam);
        return new(iomem.Entries, isCutOut ? [s_all] : copy is null ? [] : LostOf(copy, isEndOpen: copy.OpenLine is not null), source)
        {
            CommandLine = iomem.Traits.KernelOptions is { } options ? new(string.Join(' ', options), 0) : null,
            WhyLost = isCutOut ? $"{source} is given without its reserved ranges" : $"lines of {source} are missing there",
        };
    }

    /// <summary>By the log of a boot: the map as the kernel's options changed it, or the firmware's where they did not. Null where the log has no
    /// line that tells which.</summary>
    public static ShownHost? Of(LogScan log, LogMap firmware, ImmutableArray<ByteRange> lostOfFirmware, out BootFacts facts)
    {
        (facts, LogMap? changed, int last) = CommandLineEffects.FactsOf(log, firmware);
        if (changed is null && facts.ChangedMapTitleLine is { } title)
        {
            return new([], [s_all], $"the map of line {title}")
            {
                IsLog = true,
                CommandLine = facts.CommandLine,
                WhyLost = $"line {title} announces the map as the kernel's options changed it, and its lines are left out",
            };
        }

        if (changed is null && last == 0)
            return null;
        LogMap map = changed ?? firmware;
        return new(map.Entries, changed is null ? lostOfFirmware : LostOf(changed, IsEndOpen(log, changed)), $"the map of line {map.Line}")
        {
            IsLog = true,
            CommandLine = facts.CommandLine,
            WhyLost = $"lines of the map of line {map.Line} are missing there",
        };
    }

    /// <summary>The same with RAM that the source shows in another way.</summary>
    public ShownHost WithRam(ImmutableArray<ByteRange> more) => this with { Ram = ByteRanges.Union([.. Ram, .. more]) };

    /// <summary>Whether both addresses are within one entry that is not RAM, and not at its edges: there the kernel has split it itself.</summary>
    public bool IsAmidEntry(ulong start, ulong end) => NoRam.Any(entry => entry.Start < start && end < entry.End);

    private static bool IsEndOpen(LogScan log, LogMap map) =>
        map.OpenLine is not null || (map.IsFollowedByLog != true && !MapExtent.IsFollowedByKnownLine(log, map));

    /// <summary>Where lines of a kernel's map are missing. It begins at 0, as each of Linux's on a PC.</summary>
    private static ImmutableArray<ByteRange> LostOf(LogMap map, bool isEndOpen)
    {
        if (map.Error is not null || map.Entries.IsEmpty || (map.CutLine is not null && map.Cuts.IsEmpty))
            return [s_all];
        List<ByteRange> lost = [ByteRange.FromBounds(0, map.Entries[0].Address), .. map.RangesLeftOut()];
        if (isEndOpen)
        {
            ulong end = map.Entries.Where(static entry => !entry.Wraps).Select(static entry => entry.End).DefaultIfEmpty().Max();
            lost.Add(ByteRange.FromBounds(end, Frames.AddressLimit));
        }

        return ByteRanges.Union(lost);
    }
}
