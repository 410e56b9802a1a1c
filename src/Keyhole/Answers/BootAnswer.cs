// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Answers;

/// <summary>What <c>boot</c> answers: the plan, and what the kernel makes of the map. Members of a PV kernel's memory are null for other
/// guests.</summary>
public sealed record BootAnswer : KernelAnswer
{
    /// <summary>What the kernel's image says of itself; null where none was read.</summary>
    [JsonPropertyOrder(MemberOrder.KernelImage)]
    public KernelImageAnswer? KernelImage { get; init; }

    /// <summary>What becomes of a kernel that ends before its builder's span does; null where its end is known, or makes no difference.</summary>
    [JsonPropertyOrder(MemberOrder.Outcome)]
    public ShorterKernelAnswer? IfKernelEndsBy { get; init; }

    /// <summary>The kernel's own map.</summary>
    [JsonPropertyOrder(MemberOrder.KernelMap)]
    public ImmutableArray<EntryAnswer>? KernelE820 { get; init; }

    /// <summary>Pages that the guest starts with.</summary>
    [JsonPropertyOrder(MemberOrder.KernelMap)]
    public ulong? NrPages { get; init; }

    /// <summary>RAM that only the balloon can reach.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public ImmutableArray<RangeAnswer>? Extra { get; init; }

    /// <summary>What is behind each of the guest's frames, in address order.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public ImmutableArray<P2mRunAnswer>? P2m { get; init; }

    /// <summary>How often each hypercall is made.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public IReadOnlyDictionary<string, ulong>? Hypercalls { get; init; }

    /// <summary>Null where the kernel gets to none.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public RangeAnswer? PciGap { get; init; }

    /// <summary>What the kernel moved away from where the map has no RAM.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public ImmutableArray<MovedAnswer>? Moved { get; init; }

    /// <summary>What becomes of the pages that the guest starts with.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public ImmutableArray<AccountAnswer>? Account { get; init; }

    /// <summary>What becomes of a change of the memory target; null where none was asked for.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public BalloonAnswer? Balloon { get; init; }

    /// <summary>What the kernel does without under Xen.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public ImmutableArray<string>? SwitchedOff { get; init; }

    /// <summary>The lines that the kernel will print.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public ImmutableArray<string>? Log { get; init; }

    /// <summary>Whether and how far the guest boots.</summary>
    [JsonIgnore]
    public GuestOutcome Reached { get; }

    /// <summary>The forecast: painters draw from it which pages move where. Null for guests whose kernel does not lay its memory out by the
    /// map.</summary>
    [JsonIgnore]
    public BootForecast? Forecast { get; }

    private BootAnswer(Boot boot, BalloonForecast? balloon, Func<Setting, string>? words)
        : base(boot.Plan, [.. boot.Problems, .. balloon?.Problems ?? []], boot.Forecast, words)
    {
        Reached = boot.Outcome;
        Outcome = GuestOutcomes.NameOf(boot.Outcome);
        Message = boot.Message;
        if (boot.Forecast is not { } forecast)
            return;
        Forecast = forecast;
        KernelImage = boot.Plan.Scenario.Image is { } image ? new(image.Version, image.Start, image.BssStop, image.End, image.LoadedEnd) : null;
        IfKernelEndsBy = forecast.IfShorter is { } shorter
            ? new(forecast.KernelEndThatMatters, GuestOutcomes.NameOf(shorter.Outcome), shorter.Message) : null;
        // What lost lines of the host's map decide is not known, and left out.
        ImmutableArray<ByteRange> notKnown = forecast.NotKnownRanges;
        KernelE820 = EntryAnswer.AllOf(forecast.KernelMap.SelectMany(entry => MapReadings.Without(entry, notKnown)));
        NrPages = forecast.Request.PageCount;
        if (forecast.IsAgreed(static reading => reading.Extra))
            Extra = [.. forecast.Extra.Select(RangeAnswer.Of)];
        if (forecast.IsAgreed(static reading => reading.P2m))
            P2m = [.. forecast.P2m.Select(P2mRunAnswer.Of)];
        if (forecast.IsAgreed(static reading => reading.Hypercalls))
            Hypercalls = CountsByName.Of(forecast.Hypercalls);
        if (forecast.IsAgreed(static reading => reading.PciGap))
            PciGap = RangeAnswer.OrNull(forecast.PciGap);
        if (forecast.IsAgreed(static reading => reading.Moved))
            Moved = [.. forecast.Moved.Select(static moved => new MovedAnswer(moved.What, moved.From.Start, moved.To.Start))];
        if (forecast.IsAgreed(static reading => reading.Account))
            Account = [.. forecast.Account.Select(static line => new AccountAnswer(line.What, line.PageCount))];
        if (forecast.IsAgreed(static reading => reading.Bars))
        {
            Bars ??= [.. forecast.Bars.Select(
                static verdict => new ClaimedBarAnswer(verdict.Bar.Start, verdict.Bar.End, verdict.CanBeClaimed, verdict.IsIdentity))];
        }

        Balloon = balloon is null ? null : BalloonAnswer.Of(balloon);
        SwitchedOff = forecast.SwitchedOff;
        Log = [.. forecast.Log.Where(line => forecast.Readings.All(reading => reading.Log.Contains(line)))];
    }

    /// <param name="boot">For dom0 the plan is the machine map as Xen hands it over.</param>
    /// <param name="balloon">What becomes of a change of the memory target; null where none was asked for.</param>
    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static BootAnswer Of(Boot boot, BalloonForecast? balloon = null, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(boot);
        return new(boot, balloon, words);
    }
}

/// <summary>A kernel's image.</summary>
/// <param name="Version">Its version line; null where it has none.</param>
/// <param name="Start">Where it begins, in bytes.</param>
/// <param name="BssStop">Where its bss ends.</param>
/// <param name="End">Where the kernel itself ends.</param>
/// <param name="LoadedEnd">Where what its builder gives it ends.</param>
public sealed record KernelImageAnswer(string? Version, Hex Start, Hex BssStop, Hex End, Hex LoadedEnd);

/// <summary>What becomes of a kernel that ends by an address.</summary>
/// <param name="Message">Its panic message; null where there is none.</param>
public sealed record ShorterKernelAnswer(Hex Address, string Outcome, string? Message);

/// <summary>Frames of the P2M that have the same kind of machine frames behind them; the end is exclusive.</summary>
/// <param name="Kind">"ram", "remapped", "identity" or "invalid".</param>
/// <param name="Mfn">The machine frame of firmware data; null for anything else: machine frames of RAM are Xen's choice.</param>
/// <param name="FromPfn">Which of the guest's frames remapped RAM was; null for anything else.</param>
public readonly record struct P2mRunAnswer(Hex Start, Hex End, string Kind, Hex? Mfn, Hex? FromPfn)
{
    internal static P2mRunAnswer Of(P2mRun run) => new(
        run.Range.Start.Value,
        run.Range.End.Value,
        NameOf(run.Kind),
        run.Kind == P2mKind.NonRam ? run.Mfn.Value : null,
        run.Kind == P2mKind.Remapped ? run.Mfn.Value : null);

    /// <summary>What JSON calls a kind.</summary>
    public static string NameOf(P2mKind kind) => kind switch
    {
        P2mKind.Invalid => "invalid",
        P2mKind.Ram => "ram",
        P2mKind.Remapped or P2mKind.NonRam => "remapped",
        P2mKind.Identity => "identity",
    };
}

/// <summary>Something that the kernel moved, by where it starts.</summary>
public sealed record MovedAnswer(string What, Hex From, Hex To);

/// <summary>Pages that fare alike.</summary>
public sealed record AccountAnswer(string What, ulong Pages);

/// <summary>What becomes of a change of a guest's memory target.</summary>
public sealed record BalloonAnswer
{
    /// <summary>Pages that the guest owns before.</summary>
    public required ulong FromPages { get; init; }

    /// <summary>Pages of the target.</summary>
    public required ulong TargetPages { get; init; }

    /// <summary>Pages that it owns afterwards, if Xen has them.</summary>
    public required ulong ToPages { get; init; }

    /// <summary>Pages that come from extra memory of the map.</summary>
    public required ulong ExtraPages { get; init; }

    /// <summary>Pages that come by hotplug.</summary>
    public required ulong HotplugPages { get; init; }

    /// <summary>Where hotplug lays memory; null where it lays none.</summary>
    public RangeAnswer? Hotplug { get; init; }

    /// <summary>Pages of extra memory that the balloon does not get: they are in the scratch pool (kernels from 6.10 on).</summary>
    public required ulong ScratchPages { get; init; }

    /// <summary>Pages of the target that are out of reach: beyond maxmem.</summary>
    public required ulong BeyondMaximumPages { get; init; }

    /// <summary>Pages of the target that are out of reach: no free addresses to lay them at.</summary>
    public required ulong BeyondRoomPages { get; init; }

    /// <summary>Rounds of at most 512 pages.</summary>
    public required ulong Batches { get; init; }

    /// <summary>How often each hypercall is made.</summary>
    public required IReadOnlyDictionary<string, ulong> Hypercalls { get; init; }

    internal static BalloonAnswer Of(BalloonForecast balloon)
    {
        ArgumentNullException.ThrowIfNull(balloon);
        return new()
        {
            FromPages = balloon.FromPages,
            TargetPages = balloon.TargetPages,
            ToPages = balloon.ToPages,
            ExtraPages = balloon.ExtraPages,
            HotplugPages = balloon.HotplugPages,
            Hotplug = RangeAnswer.OrNull(balloon.Hotplug),
            ScratchPages = balloon.ScratchPages,
            BeyondMaximumPages = balloon.BeyondMaximumPages,
            BeyondRoomPages = balloon.BeyondRoomPages,
            Batches = balloon.Batches,
            Hypercalls = CountsByName.Of(balloon.Hypercalls),
        };
    }
}
