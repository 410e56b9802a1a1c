// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;

namespace Keyhole.Answers;

/// <summary>What <c>inspect</c> answers: what is known of a live domain.</summary>
public sealed record InspectAnswer : Answer
{
    /// <summary>Xen's release.</summary>
    public required string Xen { get; init; }

    /// <summary>The domain's number.</summary>
    public required uint Id { get; init; }

    /// <summary>The domain's name; null where the toolstack has none.</summary>
    public string? Name { get; init; }

    /// <summary>The domain's UUID.</summary>
    public required Guid Uuid { get; init; }

    /// <summary>"dying", "crashed", "shut down", "paused" or "running".</summary>
    public required string State { get; init; }

    /// <summary>"poweroff", "reboot", "suspend", "crash", "watchdog" or "soft-reset"; null where it has not ended.</summary>
    public string? Shutdown { get; init; }

    /// <summary>"PV", "PVH", "HVM" or "HVM or PVH".</summary>
    public required string Type { get; init; }

    /// <summary>Whether it has used any time of a processor.</summary>
    public required bool HasRun { get; init; }

    /// <summary>Time of processors that it has used, in nanoseconds.</summary>
    public required ulong CpuTimeNanoseconds { get; init; }

    /// <summary>Pages that it owns.</summary>
    public required ulong Pages { get; init; }

    /// <summary>Null where Xen does not say.</summary>
    public long? MaximumPages { get; init; }

    /// <summary>The balloon's target in KiB; null where the toolstack does not say.</summary>
    public ulong? TargetKiB { get; init; }

    /// <summary>The most that the balloon may be told, in KiB; null where the toolstack does not say.</summary>
    public ulong? StaticMaxKiB { get; init; }

    /// <summary>The map that Keyhole installed; null where it installed none.</summary>
    public InstalledMapAnswer? Applied { get; init; }

    /// <summary>The map that the toolstack gave it; null where that is not known.</summary>
    public ToolstackMapAnswer? Toolstack { get; init; }

    /// <summary>Why there is no <see cref="Toolstack"/>, in words; null where there is one.</summary>
    public string? ToolstackRemark { get; init; }

    /// <summary>The guest's own P2M list; null where it has none, or it cannot be read: <see cref="P2mRemark"/> says why.</summary>
    public LiveP2mAnswer? P2m { get; init; }

    /// <summary>Why there is no <see cref="P2m"/>, in words; null where there is one.</summary>
    public string? P2mRemark { get; init; }

    /// <summary>What cannot be told of a live domain, in words.</summary>
    public required string Remark { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => true;
}

/// <summary>A running guest's P2M list.</summary>
/// <param name="Basis">How sure it is, in words.</param>
/// <param name="Frames">Frames that it has entries for.</param>
/// <param name="Runs">Frames in a row of which it says the same, sorted, without gaps.</param>
/// <param name="RamPages">Frames with machine frames of the guest's own.</param>
/// <param name="Forecast">How it compares with the forecast for the map that the guest was given; null where that is not known.</param>
public sealed record LiveP2mAnswer(
    string Basis, ulong Frames, ulong RamPages, ImmutableArray<LiveP2mRunAnswer> Runs, LiveP2mForecastAnswer? Forecast);

/// <summary>Frames of a P2M list; the end is exclusive.</summary>
/// <param name="Kind">"ram", "identity", "foreign", "invalid", or "unwritten": identity or invalid, of which a list does not tell which.</param>
/// <param name="Page">Which page of the list for what is unwritten: frames with the same one are of the same kind; null for other kinds.</param>
public readonly record struct LiveP2mRunAnswer(Hex Start, Hex End, string Kind, int? Page);

/// <summary>A P2M list beside a forecast.</summary>
/// <param name="Kernel">Which Linux the forecast is for.</param>
/// <param name="KernelIsKnown">Whether the user or the kernel's image says that it is that one.</param>
/// <param name="Map">The policy of the map: the installed one's, or the toolstack's.</param>
/// <param name="Outcome">What is forecast: "boots", "halts" or "unknown".</param>
/// <param name="Agrees">Whether they agree on every frame; null where no P2M is forecast.</param>
/// <param name="DifferingPages">Frames of which they say other things.</param>
/// <param name="FirstDifference">The first of them; null where there are none.</param>
public sealed record LiveP2mForecastAnswer(
    string Kernel, bool KernelIsKnown, string Map, string Outcome, bool? Agrees, ulong DifferingPages, LiveP2mDifferenceAnswer? FirstDifference);

/// <summary>Frames of which a list and a forecast say other things; the end is exclusive.</summary>
/// <param name="Live">What the list says: a kind of <see cref="LiveP2mRunAnswer"/>.</param>
/// <param name="Forecast">What was forecast.</param>
public sealed record LiveP2mDifferenceAnswer(Hex Start, Hex End, string Live, string Forecast);

/// <summary>A map that was installed.</summary>
/// <param name="Basis">How sure it is, in words.</param>
public sealed record InstalledMapAnswer(string Policy, ImmutableArray<EntryAnswer> E820, string Basis);

/// <summary>A map that the toolstack made.</summary>
/// <param name="Basis">How sure it is, in words.</param>
public sealed record ToolstackMapAnswer(string Policy, ImmutableArray<PlannedEntryAnswer> E820, string Basis);
