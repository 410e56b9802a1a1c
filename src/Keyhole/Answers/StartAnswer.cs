// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;

namespace Keyhole.Answers;

/// <summary>What <c>start</c> answers: whether a guest came up on its map, and whether as forecast.</summary>
public sealed record StartAnswer : Answer
{
    /// <summary>The guest's name.</summary>
    public required string Name { get; init; }

    /// <summary>The domain's number; null where none was started.</summary>
    public uint? Id { get; init; }

    /// <summary>The policy that laid its map.</summary>
    public required string Policy { get; init; }

    /// <summary>The map that was planned.</summary>
    public required ImmutableArray<PlannedEntryAnswer> E820 { get; init => field = Given.Array(value); }

    /// <summary>RAM of that map below 4 GiB, in KiB; null where that is not known.</summary>
    public ulong? RamBelow4GiBKiB { get; init; }

    /// <summary>What was forecast of its boot.</summary>
    public required LiveForecastAnswer Forecast { get; init; }

    /// <summary>Problems of plan and forecast.</summary>
    public required ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); }

    /// <summary>"booted", "died", "stuck", "silent" or "not-started".</summary>
    public required string Outcome { get; init; }

    /// <summary>Whether its console agrees with the forecast.</summary>
    public required bool Agrees { get; init; }

    /// <summary>Where the console says something else than the forecast.</summary>
    public required ImmutableArray<FindingAnswer> Differences { get; init => field = Given.Array(value); }

    /// <summary>Why, as far as that can be told.</summary>
    public required ImmutableArray<string> Explanations { get; init => field = Given.Array(value); }

    /// <summary>What the guest said of its memory.</summary>
    public required ImmutableArray<string> Console { get; init => field = Given.Array(value); }

    /// <summary>Whether the guest is still there.</summary>
    public required bool Kept { get; init; }

    /// <summary>In words.</summary>
    public required string Verdict { get; init; }

    /// <summary>What becomes of the map at a reboot, where it does not stay; null where it does, or there is no guest.</summary>
    public string? Remark { get; init; }

    /// <summary>Whether it went all as forecast, and well.</summary>
    [JsonIgnore]
    public required bool Succeeded { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => Succeeded;
}
