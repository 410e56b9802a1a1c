// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;

namespace Keyhole.Answers;

/// <summary>What <c>compare</c> answers: every policy, or every setting, side by side, and which to take.</summary>
public sealed record ComparisonAnswer : Answer
{
    /// <summary>Null for a guest whose map no policy lays out.</summary>
    public ImmutableArray<ComparedAnswer>? Policies { get; init; }

    /// <summary>Settings of the machine, for a guest with firmware of its own; null for a PV guest.</summary>
    public ImmutableArray<SettingAnswer>? Settings { get; init; }

    /// <summary>How much room the devices' windows take; null where none is known.</summary>
    public BarRoomAnswer? BarRoom { get; init; }

    /// <summary>The policy or setting to take; null where none will do.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public required string? Best { get; init; }

    /// <summary>Why the best is the best, or why there is none, in one sentence.</summary>
    public required string Why { get; init; }

    /// <summary>The best setting, ready to be pasted: without members where none is best or nothing is to change; null where policies are
    /// compared.</summary>
    public PasteAnswer? Paste { get; init; }

    /// <summary>What was asked.</summary>
    [JsonIgnore]
    public required ComparisonRequest Request { get; init; }

    /// <summary>The comparison: painters draw its maps.</summary>
    [JsonIgnore]
    public required PolicyComparison Comparison { get; init; }

    /// <summary>Where there is no choice of policies, whether the guest is well as it is.</summary>
    [JsonIgnore]
    public override bool IsYes => Comparison.IsChoice || Settings is not null ? Best is not null
        : Policies is not { } rows || rows.All(static row => row.IsYes);

    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static ComparisonAnswer Of(ComparisonRequest request, PolicyComparison comparison, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(comparison);
        return new()
        {
            Policies = [.. comparison.Policies.Select(row => ComparedAnswer.Of(row, words))],
            BarRoom = comparison.Room is { } room ? BarRoomAnswer.Of(room) : null,
            Settings = comparison.Settings is { } tried ? [.. tried.Settings.Select(SettingAnswer.Of)] : null,
            Best = comparison.Best?.Policy.Name ?? comparison.Settings?.Best,
            Why = comparison.Why.Worded(words ?? SettingNames.Of),
            Paste = comparison.Settings is { } settings ? PasteAnswer.Of(settings.Paste) : null,
            Request = request,
            Comparison = comparison,
        };
    }
}

/// <summary>One policy: its plan, and what the kernels make of it.</summary>
public sealed record ComparedAnswer : KernelAnswer
{
    /// <summary>What has to be there for the policy: "nothing", "installed-map", "changed-xen", "configuration-filter".</summary>
    [JsonPropertyOrder(MemberOrder.Needs)]
    public string Needs { get; init; }

    /// <summary>Pages that the kernel gives back and does not get again, and such that lie where a 32-bit kernel sees none; null where no kernel
    /// was asked.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public ulong? LostPages { get; init; }

    /// <summary>Hypercalls that the kernel makes while it sets its memory up; null where no kernel was asked.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public ulong? HypercallCount { get; init; }

    /// <summary>Whether each kernel boots, by its name; without those of which lost lines of the host's map decide it.</summary>
    [JsonPropertyOrder(MemberOrder.Memory)]
    public IReadOnlyDictionary<string, bool> Kernels { get; init; }

    /// <summary>What a filter of configuration-space reads would have to change; null where the policy needs none.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public ImmutableArray<FilterRuleAnswer>? Filter { get; init; }

    /// <summary>Windows for which the policy's hole has no room; null where the policy needs no filter, or it has nothing to do.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public ImmutableArray<RangeAnswer>? FilterHasNoRoomFor { get; init; }

    /// <summary>Where such a filter could be, in words; null as above.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public ImmutableArray<string>? FilterPlaces { get; init; }

    /// <summary>What such a filter costs, in words; null as above.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    [JsonPropertyName("filterBurdens")]
    public ImmutableArray<string>? FilterCosts { get; init; }

    /// <summary>The guest's moves to the other hosts that were named, in their order.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public ImmutableArray<MigrationAnswer> Migrations { get; init => field = Given.Array(value); }

    /// <summary>What speaks against the policy; null when nothing does.</summary>
    [JsonPropertyOrder(MemberOrder.Rest)]
    public string? Against { get; init; }

    private ComparedAnswer(ComparedPolicy row, Func<Setting, string>? words)
        : base(row.Plan, row.Forecast?.ProblemsWith(row.Plan) ?? row.Plan.Problems, row.Forecast, words)
    {
        Needs = row.Policy.Traits.Needs switch
        {
            PolicyNeeds.Nothing => "nothing",
            PolicyNeeds.InstalledMap => "installed-map",
            PolicyNeeds.ChangedXen => "changed-xen",
            PolicyNeeds.ConfigurationFilter => "configuration-filter",
        };
        if (row.Forecast is not null)
        {
            LostPages = row.IsAgreed(static policy => policy.LostPages) ? row.LostPages : null;
            HypercallCount = row.IsAgreed(static policy => policy.HypercallCount) ? row.HypercallCount : null;
        }

        var kernels = new OrderedDictionary<string, bool>();
        foreach ((KernelRelease kernel, bool boots) in row.Kernels)
            kernels[KernelReleases.NameOf(kernel)] = boots;
        Kernels = kernels;
        if (row.Forecast?.IsAgreed(static reading => reading.Bars) ?? true)
            Bars ??= [.. (row.Forecast?.Bars ?? []).Select(ComparedBarAnswer.Of)];
        Migrations = [.. row.Migrations.Select(MigrationAnswer.Of)];
        Against = row.Against?.Worded(words ?? SettingNames.Of);
        if (!row.Policy.Traits.NeedsFilter)
            return;
        ConfigurationFilter filter = ConfigurationFilter.Of(row.Plan.Bars, row.Plan.Map);
        Filter = [.. filter.Rules.Select(FilterRuleAnswer.Of)];
        if (filter.Rules.IsEmpty && filter.Unplaced.IsEmpty)
            return;
        FilterHasNoRoomFor = [.. filter.Unplaced.Select(static bar => new RangeAnswer(bar.Start, bar.End))];
        FilterPlaces = ConfigurationFilter.Places;
        FilterCosts = ConfigurationFilter.Costs;
    }

    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    internal static ComparedAnswer Of(ComparedPolicy row, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(row);
        return new(row, words);
    }
}

/// <summary>Whether the kernel can claim a window on the policy's map, and what is in the way.</summary>
/// <param name="Conflict">The entry of the kernel's map that is in the way; null where there is none.</param>
public sealed record ComparedBarAnswer(Hex Start, Hex End, bool Identity, bool Claimed, EntryAnswer? Conflict) : BarAnswer
{
    internal static ComparedBarAnswer Of(BarVerdict verdict)
    {
        ArgumentNullException.ThrowIfNull(verdict);
        return new(
        verdict.Bar.Start, verdict.Bar.End, verdict.IsIdentity, verdict.CanBeClaimed, verdict.Conflict is { } conflict ? EntryAnswer.Of(conflict)
            : null);
    }
}

/// <summary>A register that a filter would have to show changed.</summary>
/// <param name="Register">Its offset in the configuration space; null for the windows of virtual functions.</param>
public sealed record FilterRuleAnswer(Hex? Register, Hex Old, Hex New, string WithoutIt)
{
    internal static FilterRuleAnswer Of(FilterRule rule)
    {
        ArgumentNullException.ThrowIfNull(rule);
        return new(rule.RegisterOffset is { } offset ? (ulong)offset : null, rule.Old, rule.New, rule.WithoutIt);
    }
}

/// <summary>A move to another host.</summary>
public sealed record MigrationAnswer(string To, bool Succeeds, ulong MovedPages, ImmutableArray<MigrationStepAnswer> Steps)
{
    internal static MigrationAnswer Of(MigrationResult migration)
    {
        ArgumentNullException.ThrowIfNull(migration);
        return new(
        migration.Request.To.Name,
        migration.Succeeded,
        migration.MovedPages,
        [.. migration.Steps.Select(static step => new MigrationStepAnswer(step.Name, step.Succeeded, step.What))]);
    }
}

/// <summary>A step of a move.</summary>
public sealed record MigrationStepAnswer(string Step, bool Succeeded, string What);

/// <summary>The room that the windows of the guest's devices take.</summary>
/// <param name="SmallestHoleForAllBytes">Null where no hole below 4 GiB holds them all.</param>
/// <param name="AddressBits">What their highest address needs where they are now.</param>
public sealed record BarRoomAnswer(
    Hex LowBytes,
    Hex LowAlignment,
    Hex HighBytes,
    Hex HighAlignment,
    Hex SmallestLowHoleBytes,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] Hex? SmallestHoleForAllBytes,
    int AddressBits)
{
    internal static BarRoomAnswer Of(BarRoom room)
    {
        ArgumentNullException.ThrowIfNull(room);
        return new(
        room.LowBytes, room.LowAlignment, room.HighBytes, room.HighAlignment, room.SmallestLowHoleBytes, room.SmallestHoleForAllBytes,
        room.AddressBitsNow);
    }
}

/// <summary>A setting of the machine that was tried.</summary>
/// <param name="Setting">As the user would write it.</param>
/// <param name="Unplaced">BARs without a place: all of a guest that is not started; null where it is not told what the devices ask for.</param>
/// <param name="Outcome">As in <see cref="PlanAnswer.Outcome"/>.</param>
/// <param name="RamBelow4GiBKiB">RAM below 4 GiB; null where the setting does not decide it.</param>
/// <param name="Above4GiB">Memory BARs that lie above 4 GiB; null where that is not counted.</param>
public sealed record SettingAnswer(
    string Setting, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] int? Unplaced, string Outcome, ulong? RamBelow4GiBKiB,
    int? Above4GiB)
{
    internal static SettingAnswer Of(TriedSetting tried)
    {
        ArgumentNullException.ThrowIfNull(tried);
        return new(tried.Setting, tried.Unplaced, GuestOutcomes.NameOf(tried.Outcome), tried.RamBelow4GiBKiB, tried.AboveFourGiB);
    }
}

/// <summary>A setting, ready for each tool's file or command line; null where the tool has none of the kind.</summary>
public sealed record PasteAnswer(string? Libvirt, string? Qemu, string? Proxmox, string? Xl, string? XcpNg)
{
    /// <summary>What it takes the place of, and what is to be done beside it; null for nothing.</summary>
    public string? Beside { get; init; }

    internal static PasteAnswer Of(PastedSetting? paste) =>
        new(paste?.Libvirt, paste?.Qemu, paste?.Proxmox, paste?.Xl, paste?.XcpNg) { Beside = paste?.Beside };
}
