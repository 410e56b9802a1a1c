// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.ReservedRam;

namespace Keyhole.Answers;

/// <summary>What <c>reserve</c> answers: RAM of a host kept aside for a guest that is mapped one to one. Null members: the plan has no map.</summary>
public sealed record ReserveAnswer : Answer
{
    /// <summary>The lowest address that the host's kernel uses; null where ranges are kept instead.</summary>
    public Hex? Start { get; init; }

    /// <summary>The ranges that are kept; null where all RAM below a start is.</summary>
    public ImmutableArray<RangeAnswer>? Ranges { get; init; }

    /// <summary>Where lines of the host's map are lost; null where none are known to be.</summary>
    public ImmutableArray<RangeAnswer>? LostRanges { get; init; }

    /// <summary>Whether it is known what is kept, and by which parameters, although lines of the host's map are lost; null where none are.</summary>
    public bool? KeptKnown { get; init; }

    /// <summary>Where that is not known: what is kept whatever the lost lines said.</summary>
    public ImmutableArray<RangeAnswer>? SurelyKept { get; init; }

    /// <summary>The host's map as such a kernel sees it.</summary>
    public ImmutableArray<ReservedRamAnswer>? Host { get; init; }

    /// <summary>Its /proc/iomem.</summary>
    public ImmutableArray<string>? Iomem { get; init; }

    /// <summary>Bytes of the firmware's RAM, and what becomes of them.</summary>
    public ReservedTotalsAnswer? Totals { get; init; }

    /// <summary>The guest's map and memory slots.</summary>
    public GuestRamAnswer? Guest { get; init; }

    /// <summary>How today's kernels are made to do the same; null where nothing is kept.</summary>
    public TodaysHostAnswer? Today { get; init; }

    /// <summary>What is wrong, or worth knowing.</summary>
    public required ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); }

    /// <summary>Whether the running host is set up that way; null where nobody asked.</summary>
    public HostCheckAnswer? Check { get; init; }

    /// <summary>The plan.</summary>
    [JsonIgnore]
    public required ReservePlan Plan { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => !Plan.HasErrors && Check is not { Agrees: false };

    private const string NotKnown = "not-known";
    private const string Agreement = "agrees";

    /// <param name="given">Further resources of the host for its listing.</param>
    /// <param name="differences">What the running host has differently; null where nobody asked.</param>
    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static ReserveAnswer Of(ReservePlan plan, ImmutableArray<GivenResource> given, ImmutableArray<Problem>? differences,
        Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(plan);
        Given.Array(given, nameof(given));
        HostCheckAnswer? check = differences is { } found
            ? new(OutcomeOf(plan, found) == Agreement, ProblemAnswer.AllOf(found, words)) { Outcome = OutcomeOf(plan, found) }
            : null;
        var answer = new ReserveAnswer
        {
            Start = plan.Ranges.IsEmpty && !plan.IsStartNotKnown ? plan.Start : null,
            Ranges = plan.Ranges.IsEmpty ? null : [.. plan.Ranges.Select(RangeAnswer.Of)],
            Problems = ProblemAnswer.AllOf(plan.Problems, words),
            LostRanges = plan.Host.HasLostEntries ? [.. plan.Host.LostRanges.Select(RangeAnswer.Of)] : null,
            KeptKnown = plan.Host.HasLostEntries ? !plan.IsKeptNotKnown : null,
            SurelyKept = plan.IsKeptNotKnown ? [.. plan.SurelyKept.Select(RangeAnswer.Of)] : null,
            Check = check,
            Plan = plan,
        };
        return plan is { Map: { } map, Guest: { } guest, Today: { } today }
            ? answer with
            {
                Host = [.. map.Entries.Select(
                    static entry => new ReservedRamAnswer(entry.Range.Start, entry.Range.End, ReservedRamTypes.NameOf(entry.Type)))],
                Iomem = Lines(map.ToIomem(given)),
                Totals = ReservedTotalsAnswer.Of(map),
                Guest = GuestRamAnswer.Of(guest),
                Today = today.Memmaps.IsEmpty ? null : TodaysHostAnswer.Of(today, plan.Standing),
            }
            : answer;
    }

    private static string OutcomeOf(ReservePlan plan, ImmutableArray<Problem> found) =>
        plan.HasErrors || found.Any(static problem => problem.Severity == Severity.Error) ? "differs"
            : found.Any(static problem => problem.Code == ReserveProblemCodes.KeptNotKnown) ? NotKnown : Agreement;

    internal static ImmutableArray<string> Lines(string text) => [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)];
}

/// <summary>A range of the host's map; the type is what its kernel calls it.</summary>
public readonly record struct ReservedRamAnswer(Hex Start, Hex End, string Type);

/// <summary>Bytes of the firmware's RAM, and what becomes of them.</summary>
public sealed record ReservedTotalsAnswer(Hex FirmwareRam, Hex HostRam, Hex Kept, Hex Failed)
{
    internal static ReservedTotalsAnswer Of(ReservedRamMap map)
    {
        ArgumentNullException.ThrowIfNull(map);
        ulong kept = Sum(map.Kept);
        ulong failed = Sum(map.Failed);
        ulong host = Sum(map.HostRam);
        return new(kept + failed + host, host, kept, failed);
    }

    private static ulong Sum(ImmutableArray<ByteRange> ranges) => ranges.Aggregate(0UL, static (sum, range) => sum + range.SizeBytes);
}

/// <summary>The guest's map and its memory slots.</summary>
/// <param name="Memory">Bytes that it can use.</param>
/// <param name="Buffer">Bytes that are mapped for it but are not in its map.</param>
public sealed record GuestRamAnswer(ImmutableArray<EntryAnswer> E820, ImmutableArray<MemorySlotAnswer> Slots, Hex Memory, Hex Buffer)
{
    internal static GuestRamAnswer Of(GuestRam guest)
    {
        ArgumentNullException.ThrowIfNull(guest);
        return new(
        EntryAnswer.AllOf(guest.Map), [.. guest.Slots.Select(MemorySlotAnswer.Of)], guest.MemoryBytes, guest.BufferBytes);
    }
}

/// <summary>A KVM memory slot; the names are those of the kernel's interface.</summary>
/// <param name="Backing">"/dev/mem" or "buffer"; the address counts from its start.</param>
public sealed record MemorySlotAnswer(
    int Slot,
    uint Flags,
    [property: JsonPropertyName("guest_phys_addr")] Hex GuestAddress,
    [property: JsonPropertyName("memory_size")] Hex Size,
    [property: JsonPropertyName("userspace_addr")] Hex UserspaceOffset,
    string Backing,
    bool Identity)
{
    internal static MemorySlotAnswer Of(MemorySlot slot)
    {
        ArgumentNullException.ThrowIfNull(slot);
        return new(
        slot.Slot, MemorySlot.Flags, slot.GuestAddress, slot.SizeBytes, slot.UserspaceOffset, slot.IsIdentity ? "/dev/mem" : "buffer",
        slot.IsIdentity);
    }
}

/// <summary>Kernel parameters of today that keep the RAM aside, and what comes of them.</summary>
public sealed record TodaysHostAnswer(
    ImmutableArray<string> Memmap,
    string Parameters,
    string DefaultGrub,
    string GrubCfg,
    ImmutableArray<string> Iomem,
    ReservedTotalsAnswer Totals,
    GuestRamAnswer Guest,
    HugePagesAnswer HugePages)
{
    /// <summary>Words of the host's command line that do what the parameters ask for; null where its command line is not known.</summary>
    public ImmutableArray<string>? There { get; init; }

    /// <summary>The parameters that are still to be added to it, as the two lines for GRUB have them; empty where none are, and the lines for GRUB
    /// then have all. Null where its command line is not known.</summary>
    public string? ToAdd { get; init; }

    internal static TodaysHostAnswer Of(TodaysHost today, StandingOptions? standing)
    {
        ArgumentNullException.ThrowIfNull(today);
        string written = standing is { Missing.Length: > 0 } ? standing.Missing : today.Parameters;
        HugePages huge = ReservedRam.HugePages.In(today.Guest);
        return new(
            [.. today.Memmaps.Select(MemmapParameters.ToText)],
            today.Parameters,
            MemmapParameters.DefaultGrubLine(written),
            MemmapParameters.ForGrubScript(written),
            ReserveAnswer.Lines(LinuxIomem.ToText(today.Iomem)),
            ReservedTotalsAnswer.Of(today.Map),
            GuestRamAnswer.Of(today.Guest),
            new(huge.Of1GiB, huge.Of2MiB, huge.Instead))
        {
            There = standing?.There,
            ToAdd = standing?.Missing,
        };
    }
}

/// <summary>Large pages that lie whole in the kept RAM.</summary>
/// <param name="Instead">Parameters that reserve as much as huge pages, for a host with an IOMMU.</param>
public sealed record HugePagesAnswer([property: JsonPropertyName("fit1G")] ulong Of1GiB, [property: JsonPropertyName("fit2M")] ulong Of2MiB,
    string Instead);

/// <summary>Whether the running host is set up as planned.</summary>
public sealed record HostCheckAnswer(bool Agrees, ImmutableArray<ProblemAnswer> Problems)
{
    /// <summary>"agrees", "differs", or "not-known" where lost lines of the host's map decide it, or where its kernel is does.</summary>
    public required string Outcome { get; init; }
}
