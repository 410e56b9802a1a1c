// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Logs;

/// <summary>Frames that an old kernel gave back or got, as a line says: not all of them need to have come.</summary>
public readonly record struct CountedFrames(PfnRange Frames, ulong Count);

/// <summary>"initrd moved from … to …". Bytes.</summary>
public readonly record struct MovedBytes(ByteRange From, ByteRange To);

/// <summary>"Memory: 167432K/1048572K available": what the allocator has, and what the kernel counts as RAM.</summary>
public readonly record struct MemoryTotals(ulong AvailableKiB, ulong TotalKiB);

/// <summary>A window of a device that could not be claimed.</summary>
/// <param name="Obstacle">Linux's name of what it meets ("Unusable memory"); null where the reason is another, empty where the log does
/// not show it.</param>
/// <param name="ObstacleRange">Where that lies; empty without an obstacle.</param>
public readonly record struct FailedClaim(ByteRange Window, string? Obstacle, ByteRange ObstacleRange)
{
    private static readonly ByteRange s_romsCopy = ByteRange.FromBounds(0xc_0000, 0xe_0000);

    /// <summary>Whether the window is the copy of a display's ROM below 1 MiB, which is no BAR: where it cannot be claimed nothing is lost.</summary>
    /// <remarks>Source: Linux' arch/x86/pci/fixup.c (pci_fixup_video): always 128 KiB there.</remarks>
    public bool IsRomsCopy => Window == s_romsCopy;
}

/// <summary>A change that a kernel makes in its own map. Bytes.</summary>
/// <param name="OldType">What it takes; null where it takes whatever is there.</param>
/// <param name="NewType">What it makes of it; null where it takes it out.</param>
public readonly record struct MapEdit(ByteRange Range, E820Type? OldType, E820Type? NewType);

/// <summary>
/// What a kernel says of its memory setup. Read from a log and from a forecast's lines by the same reader, so that the two can be compared. What is
/// null was not said; of what is said twice the first counts.
/// </summary>
public sealed record BootFacts
{
    /// <summary>Pages that the kernel says it gave back to Xen.</summary>
    public LogFact<ulong>? Released { get; init; }

    /// <summary>Pages that the kernel says it moved.</summary>
    public LogFact<ulong>? Remapped { get; init; }

    /// <summary>Pages of ACPI NVS moved out of the kernel's way (linux-7.2).</summary>
    public LogFact<ulong>? RemappedNonRam { get; init; }

    /// <summary>"Set N page(s) to 1-1 mapping", up to 3.15.</summary>
    public LogFact<ulong>? IdentitySet { get; init; }

    /// <summary>Ranges that the kernel says it gave back, in the log's order.</summary>
    public ImmutableArray<LogFact<CountedFrames>> Freed { get; init => field = Given.Array(value); } = [];

    /// <summary>Ranges that the kernel says it asked back, in the log's order.</summary>
    public ImmutableArray<LogFact<CountedFrames>> Populated { get; init => field = Given.Array(value); } = [];

    /// <summary>"Unable to find available pfn range, not remapping identity pages".</summary>
    public ImmutableArray<int> NoRangeToRemapLines { get; init => field = Given.Array(value); } = [];

    /// <summary>Where the kernel says it moved the ramdisk.</summary>
    public LogFact<MovedBytes>? InitrdMoved { get; init; }

    /// <summary>Whole pages, where the ramdisk lies once it has been moved.</summary>
    public LogFact<ByteRange>? Ramdisk { get; init; }

    /// <summary>The gap taken for PCI devices; empty where the kernel says that there is none.</summary>
    public LogFact<ByteRange>? PciGap { get; init; }

    /// <summary>The line of memory that the kernel prints once it has set it up.</summary>
    public LogFact<MemoryTotals>? Memory { get; init; }

    /// <summary>Windows that the kernel says it cannot claim, in the log's order.</summary>
    public ImmutableArray<LogFact<FailedClaim>> FailedClaims { get; init => field = Given.Array(value); } = [];

    /// <summary>The kernel's own command line.</summary>
    public LogFact<string>? CommandLine { get; init; }

    /// <summary>What the kernel itself changes in its map: by its command line, the processor's MTRRs, its own rules. The first 64.</summary>
    public ImmutableArray<LogFact<MapEdit>> Edits { get; init => field = Given.Array(value); } = [];

    /// <summary>Where the kernel says that its own image is not all RAM in its map, and takes that place back (".text .data .bss are not marked …");
    /// empty where it does not say which.</summary>
    public LogFact<ByteRange>? ImageOutsideRam { get; init; }

    /// <summary>What the kernel says it runs on: "Xen HVM", "Xen PVH", "KVM", "bare hardware"; of a PV kernel "Xen", since 5.12 "Xen PV".</summary>
    public LogFact<string>? RunsOn { get; init; }

    /// <summary>The first line that a program prints, or that tells of the first process: the kernel has got through its start.</summary>
    public int? FirstProgramLine { get; init; }

    /// <summary>What the kernel says is no RAM of its own (nosave memory), as far as it is kept: by address.</summary>
    internal ImmutableArray<ByteRange> NotSaved { get; init => field = Given.Array(value); } = [];

    /// <summary>A line that stands behind the place where a kernel prints the map that its command line has changed.</summary>
    internal int? OptionsTakenLine { get; init; }

    /// <summary>The title of the map that the command line has changed; the map's own lines may be missing.</summary>
    internal int? ChangedMapTitleLine { get; init; }

    /// <summary>A line that stands behind the place where a kernel says that its own image is not all RAM.</summary>
    internal int? BehindImageLine { get; init; }

    /// <summary>Whether the log goes on behind the place where a kernel prints the map that its command line has changed, and has no such
    /// map.</summary>
    internal bool HasNoChangedMap => ChangedMapTitleLine is null && this is { OptionsTakenLine: not null } or { Memory: not null }
        or { PciGap: not null } or { Remapped: not null } or { Ramdisk: not null } or { FirstProgramLine: not null } or { AliveLine: not null };

    /// <summary>What the kernel or a driver says that it got no memory for, behind the memory setup: the first four.</summary>
    internal ImmutableArray<LogFact<string>> Needs { get; init => field = Given.Array(value); } = [];

    /// <summary>The lines of these, and how many seconds at least behind the kernel's start they come, that come so long behind it that they are
    /// none of the boot.</summary>
    internal ImmutableSortedDictionary<int, ulong> LateNeeds { get; init; } = ImmutableSortedDictionary<int, ulong>.Empty;

    /// <summary>Whether the killer of processes was called last for another reason than that there was no memory.</summary>
    internal bool KillsForOthers { get; init; }

    /// <summary>Whether the log says, behind the memory setup, that something got no memory.</summary>
    public bool HasNeeds => !Needs.IsEmpty;

    /// <summary>Whether it says so long behind the boot alone, as where a program takes all memory there is.</summary>
    public bool HasLateNeedsAlone
    {
        get
        {
            foreach (LogFact<string> need in Needs)
            {
                if (!LateNeeds.ContainsKey(need.Line))
                    return false;
            }

            return HasNeeds;
        }
    }

    /// <summary>Whether the kernel says that it sets up most of its memory later: until then that counts as taken.</summary>
    public bool DefersPages { get; init; }

    /// <summary>Another end than one in the memory setup: a panic, a BUG, an Oops.</summary>
    public LogFact<BootFailure>? BootFailure { get; init; }

    /// <summary>A BUG or an Oops that ended what the kernel was doing, and behind which it goes on: the last one.</summary>
    internal LogFact<BootFailure>? Survived { get; init; }

    /// <summary>The last line that shows that the kernel runs, of those that were looked for.</summary>
    internal int? AliveLine { get; init; }

    /// <summary>Whether the log shows that the kernel got through its start.</summary>
    internal bool Runs => FirstProgramLine is not null || AliveLine is not null;

    /// <summary>The message with which a kernel stops, in the words of <see cref="Forecasts.BootForecast.Message"/>.</summary>
    public LogFact<string>? PanicMessage { get; init; }

    /// <summary>The facts with what one more message says.</summary>
    internal BootFacts With(in KernelMessage message, int line) => message.Kind switch
    {
        KernelMessageKind.Freed => this with { Freed = Freed.Add(new(new(message.Pfns, message.Count), line)) },
        KernelMessageKind.Populated => this with { Populated = Populated.Add(new(new(message.Pfns, message.Count), line)) },
        KernelMessageKind.NoRangeToRemap => this with { NoRangeToRemapLines = NoRangeToRemapLines.Add(line) },
        KernelMessageKind.InitrdMoved => this with { InitrdMoved = InitrdMoved ?? new(new(message.From, message.To), line) },
        KernelMessageKind.PanicMessage => this with { PanicMessage = PanicMessage ?? new(message.Text!, line) },
        KernelMessageKind.Released => this with { Released = Released ?? new(message.Count, line) },
        KernelMessageKind.IdentitySet => this with { IdentitySet = IdentitySet ?? new(message.Count, line) },
        KernelMessageKind.Ramdisk => this with { Ramdisk = Ramdisk ?? new(message.From, line) },
        KernelMessageKind.Remapped => this with { Remapped = Remapped ?? new(message.Count, line) },
        KernelMessageKind.RemappedNonRam => this with { RemappedNonRam = RemappedNonRam ?? new(message.Count, line) },
        KernelMessageKind.PciGap => this with { PciGap = PciGap ?? new(message.From, line), BehindImageLine = BehindImageLine ?? line },
        KernelMessageKind.Memory => this with
        {
            Memory = Memory ?? new(new(message.Count, message.TotalKiB), line),
            BehindImageLine = BehindImageLine ?? line,
        },
        KernelMessageKind.BarClaim => WithClaim(new(message.From, message.Text, message.To), line),
        KernelMessageKind.CommandLine or KernelMessageKind.LateCommandLine => this with { CommandLine = CommandLine ?? new(message.Text!, line) },
        KernelMessageKind.BootFailure => this with { BootFailure = BootFailure
            ?? new(message.BootFailure!.Value with { IsBehindSetup = Memory is not null || FirstProgramLine is not null }, line) },
        KernelMessageKind.MapEdit => WithEdit(new(message.From, message.OldType, message.NewType), line),
        KernelMessageKind.ImageOutsideRam => this with { ImageOutsideRam = ImageOutsideRam ?? new(default, line) },
        KernelMessageKind.DeferredPages => this with { DefersPages = true },
        KernelMessageKind.Program => this with { FirstProgramLine = FirstProgramLine ?? line },
        // No map has more entries.
        KernelMessageKind.NotSaved => NotSaved.Length < Hosts.Host.MaxEntries
            ? this with { NotSaved = NotSaved.Add(message.From), BehindImageLine = BehindImageLine ?? line } : this,
        KernelMessageKind.OptionsTaken => this with
        {
            OptionsTakenLine = OptionsTakenLine ?? line,
            BehindImageLine = BehindImageLine ?? (message.Text == Vocabulary.MachineName ? null : line),
        },
        KernelMessageKind.ChangedMapTitle => this with { ChangedMapTitleLine = ChangedMapTitleLine ?? line },
        KernelMessageKind.Need => WithNeed(message.Text!, line),
        KernelMessageKind.RunsOn => this with { RunsOn = RunsOn ?? new(message.Text!, line) },
        KernelMessageKind.Other or KernelMessageKind.Release or KernelMessageKind.TraceRelease or KernelMessageKind.Segment
            or KernelMessageKind.Console or KernelMessageKind.NextBoot or KernelMessageKind.NoExecute or KernelMessageKind.Sleep => this,
    };

    private BootFacts WithNeed(string words, int line)
    {
        const int most = 4;
        if (KernelNeeds.IsCalled(words))
            return this with { KillsForOthers = true };
        if (KernelNeeds.IsOfGroup(words))
            return this with
            {
                // What comes of a group's limit has words of its own.
                KillsForOthers = !KernelNeeds.IsOfLimit(words),
                Needs = Needs is [.., var last] && KernelNeeds.IsOfKiller(last.Value) ? Needs.RemoveAt(Needs.Length - 1) : Needs,
            };
        if (KernelNeeds.IsOfVictim(words) && KillsForOthers)
            return this;
        if (KernelNeeds.IsOfKiller(words) && KillsForOthers)
            return (this with { KillsForOthers = false }).WithNeed(words, line);
        foreach (LogFact<string> known in Needs)
        {
            if (known.Value == words)
                return this;
        }

        return Needs.Length == most ? this : this with { Needs = Needs.Add(new(words, line)) };
    }

    private BootFacts WithEdit(MapEdit edit, int line)
    {
        // Right behind that message the kernel takes its place out of the map, whatever is there, to put it back as RAM.
        if (ImageOutsideRam is { Value.IsEmpty: true } image && edit is { OldType: null, NewType: null })
            return this with { ImageOutsideRam = new(edit.Range, image.Line) };
        const int most = 64;
        foreach (LogFact<MapEdit> known in Edits)
        {
            if (known.Value == edit)
                return this;
        }

        return Edits.Length == most ? this : this with { Edits = Edits.Add(new(edit, line)) };
    }

    /// <summary>Logs are often shown twice, on the console and by dmesg: the same window counts once.</summary>
    private BootFacts WithClaim(FailedClaim claim, int line)
    {
        foreach (LogFact<FailedClaim> known in FailedClaims)
        {
            if (known.Value == claim)
                return this;
        }

        return this with { FailedClaims = FailedClaims.Add(new(claim, line)) };
    }
}
