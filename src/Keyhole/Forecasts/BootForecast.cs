// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>Something that the kernel moved. Bytes; empty ranges do not occur.</summary>
public sealed record MovedRange(string What, ByteRange From, ByteRange To);

/// <summary>Pages of the guest that fare alike, and how.</summary>
public sealed record AccountLine(string What, ulong PageCount);

/// <summary>Whether a guest will reach a window of its device.</summary>
/// <param name="IsIdentity">Whether the P2M leads to the device: every frame of the window is its own machine frame.</param>
/// <param name="Conflict">What the window meets in the kernel's map; null when it can be claimed.</param>
public sealed record BarVerdict(Bar Bar, bool IsIdentity, E820Entry? Conflict)
{
    /// <summary>Whether the kernel finds the window free and gives it to the device's driver.</summary>
    public bool CanBeClaimed => Conflict is null && IsIdentity;

    /// <summary>The part of the window that meets <see cref="Conflict"/>; empty when there is none.</summary>
    public ByteRange ConflictRange => Conflict is { } entry ? entry.Range.Intersect(Bar.Range) : default;

    /// <summary>What Linux says when it cannot claim the window, without the device's name; null when it can.</summary>
    public string? Words => Conflict is { } entry ? KernelWords.CannotClaim(Bar, entry) : null;
}

/// <summary>What a kernel will make of its map. Data only; see <see cref="Forecaster"/>.</summary>
public sealed record BootForecast
{
    /// <summary>What the forecast is for.</summary>
    public required BootRequest Request { get; init; }

    /// <summary>Why the kernel halts; <see cref="HaltReason.None"/> where it boots.</summary>
    public required HaltReason Halt { get; init; }

    /// <summary>The panic message of a kernel that halts, as it prints it; empty when it dies without a message. Null when it boots.</summary>
    public string? Message { get; init; }

    /// <summary>Whether it boots, halts, or nobody can say because it is not known where the kernel lies, or what lies there.</summary>
    public GuestOutcome Outcome => IsDecidedByLostLines ? GuestOutcome.NotKnown : OwnOutcome;

    private GuestOutcome OwnOutcome => Halt != HaltReason.None ? GuestOutcome.Halts
        : Request.Layout.IsKnown ? GuestOutcome.Boots : GuestOutcome.NotKnown;

    /// <summary>The forecasts for <see cref="BootRequest.Readings"/>, in that order; empty where no lines are lost.</summary>
    internal ImmutableArray<BootForecast> Readings { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether it boots if lines that are lost said one thing, and halts if they said another.</summary>
    internal bool IsDecidedByLostLines => Readings.Any(reading => reading.OwnOutcome != OwnOutcome);

    /// <summary>Where the kernel's own map depends on lines that are lost.</summary>
    internal ImmutableArray<ByteRange> NotKnownRanges =>
        Readings.IsEmpty ? [] : MapReadings.Differences([.. Readings.Select(static reading => reading.KernelMap)]);

    /// <summary>Whether something is the same whatever lines that are lost said.</summary>
    internal bool IsAgreed<T>(Func<BootForecast, ImmutableArray<T>> of) =>
        !IsDecidedByLostLines && Readings.All(reading => of(reading).SequenceEqual(of(this)));

    /// <inheritdoc cref="IsAgreed{T}(Func{BootForecast, ImmutableArray{T}})"/>
    internal bool IsAgreed<T>(Func<BootForecast, T> of)
        where T : struct => !IsDecidedByLostLines && Readings.All(reading => of(reading).Equals(of(this)));

    /// <summary>Whether it is known to boot.</summary>
    public bool Boots => Outcome == GuestOutcome.Boots;

    /// <summary>The kernel's own map: what it prints, and what /proc/iomem is made from.</summary>
    public required ImmutableArray<E820Entry> KernelMap { get; init => field = Given.Array(value); }

    /// <summary>Pages that the kernel gives back to Xen for good.</summary>
    public required ulong ReleasedPages { get; init; }

    /// <summary>Pages that the kernel moves from under holes to RAM further up.</summary>
    public required ulong RemappedPages { get; init; }

    /// <summary>Pages that the kernel asks back from Xen.</summary>
    public required ulong PopulatedPages { get; init; }

    /// <summary>Pages of ACPI NVS that kernels from 6.12 on move from under their image to RAM further up; 0 with every other.</summary>
    public ulong NonRamPages { get; init; }

    /// <summary>
    /// RAM that only the balloon can reach, sorted. Whole pages, but up to 4.2 for its edges. Where less than a page of RAM lies behind the guest's
    /// pages, kernels since 4.3 keep a region that ends a page before it starts; it holds nothing.
    /// </summary>
    public required ImmutableArray<ByteRange> Extra { get; init => field = Given.Array(value); }

    /// <summary>Entries for which the kernel's own map had no room: what stands behind them in its map is lost.</summary>
    public required ulong IgnoredEntries { get; init; }

    /// <summary>The bytes of <see cref="Extra"/>.</summary>
    public ulong ExtraBytes => Extra.Aggregate(0UL, static (sum, region) => region.End < region.Start ? sum : sum + region.SizeBytes);

    /// <summary>The P2M from frame 0 to <see cref="P2mEnd"/>. The <see cref="P2mRun.Mfn"/> of RAM is the frame that it had when the guest
    /// started.</summary>
    public required ImmutableArray<P2mRun> P2m { get; init => field = Given.Array(value); }

    /// <summary>Where the interesting part of the P2M ends: behind the map and behind RAM.</summary>
    public required Pfn P2mEnd { get; init; }

    /// <summary>Pages of Linux's three-level list for this P2M.</summary>
    public required ulong P2mTreePages { get; init; }

    /// <summary>Hypercalls that the kernel makes for all this, by name, sorted by name.</summary>
    public required ImmutableArray<(string Name, ulong Count)> Hypercalls { get; init => field = Given.Array(value); }

    /// <summary>The gap that the kernel gives to PCI devices; empty when there is none.</summary>
    public required ByteRange PciGap { get; init; }

    /// <summary>What the kernel moves out of the way of the firmware's data: itself, its page tables, the ramdisk.</summary>
    public required ImmutableArray<MovedRange> Moved { get; init => field = Given.Array(value); }

    /// <summary>Every page that the guest starts with, in one line each.</summary>
    public required ImmutableArray<AccountLine> Account { get; init => field = Given.Array(value); }

    /// <summary>What becomes of each window of the guest's devices.</summary>
    public required ImmutableArray<BarVerdict> Bars { get; init => field = Given.Array(value); }

    /// <summary>What the kernel does without because Xen is under it, by the names that its users know: ACPI (in a domU), NUMA, cpuidle,
    /// cpufreq.</summary>
    public required ImmutableArray<string> SwitchedOff { get; init => field = Given.Array(value); }

    /// <summary>
    /// The forecast for the shortest kernel that the builder's span may hold, where nobody knows where it ends and that makes a difference; else
    /// null.
    /// </summary>
    public BootForecast? IfShorter { get; init; }

    /// <summary><see cref="IfShorter"/>, also where lost lines decide whether the kernel's end makes a difference; null where it makes
    /// none.</summary>
    internal BootForecast? Shortest =>
        Readings.Any(static reading => reading.IfShorter is not null) ? Forecaster.ShortestOf(this, Readings) : IfShorter;

    /// <summary>Where the kernel may end, in bytes; empty where that is known.</summary>
    public ByteRange KernelEndRange => Request.Layout.KernelEndRange(Request.Profile.Has(KernelBehaviour.ChecksToEnd));

    /// <summary>The lowest address in <see cref="KernelEndRange"/> at which the map has no RAM; its end where there is none.</summary>
    public ulong KernelEndThatMatters => Forecaster.FirstWithoutRam(Request, KernelEndRange);

    /// <summary>The lines that the kernel will print, in its own words.</summary>
    public required ImmutableArray<string> Log { get; init => field = Given.Array(value); }

    /// <summary>What is wrong with the boot, its plan's problems left out.</summary>
    public required ImmutableArray<Problem> Problems { get; init => field = Given.Array(value); }

    /// <summary>The same boot with another kernel.</summary>
    public BootForecast With(KernelRelease kernel) => Forecaster.Forecast(Request with { Kernel = kernel });

    /// <summary>
    /// A plan's problems and the forecast's, in this order; one for each fault. Of a window that both name, and of the kernel's place, the forecast
    /// knows more: the plan's word is left out.
    /// </summary>
    public ImmutableArray<Problem> ProblemsWith(Plan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        return [.. plan.Problems.Where(problem => !KnowsMoreThan(problem)), .. Problems];
    }

    private bool KnowsMoreThan(Problem problem) => problem.Code switch
    {
        // Some kernels leave RAM out of their map, and claim a window in it.
        ProblemCodes.BarConflict => Problems.Any(own => own.Code == ProblemCodes.BarConflict && own.Range.Overlaps(problem.Range))
            || (Request.LostRanges.IsEmpty && Bars.Any(verdict => verdict.Bar.Range.Overlaps(problem.Range))),
        ProblemCodes.KernelNotOnRam => Outcome != GuestOutcome.NotKnown,
        _ => false,
    };

    /// <summary>Whether it is known to halt.</summary>
    public bool Halts => Outcome == GuestOutcome.Halts;

    /// <summary>Pages that the guest owns once the kernel is up, whether it can use them or not.</summary>
    public ulong OwnedPages => Request.PageCount - ReleasedPages + PopulatedPages;
}
