// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Answers;

/// <summary>What <c>apply</c> answers: the map that a paused guest had and the one that it gets.</summary>
public sealed record ApplyAnswer : Answer
{
    /// <summary>The domain's number.</summary>
    public required uint Id { get; init; }

    /// <summary>Null where the toolstack has none, and where a map was taken back.</summary>
    public string? Name { get; init; }

    /// <summary>The policy of the new map: "map" for one given by hand.</summary>
    public required string Policy { get; init; }

    /// <summary>Whether the new map is in force; false too where nothing was to be changed.</summary>
    public required bool Installed { get; init; }

    /// <summary>The map that the guest had.</summary>
    public required ImmutableArray<EntryAnswer> Old { get; init => field = Given.Array(value); }

    /// <summary>With the reasons of a planned map; without any where one was put back.</summary>
    public required ImmutableArray<NewEntryAnswer> New { get; init => field = Given.Array(value); }

    /// <summary>Null where a map was put back.</summary>
    public LiveForecastAnswer? Forecast { get; init; }

    /// <summary>Null where a map was put back.</summary>
    public ImmutableArray<ProblemAnswer>? Problems { get; init; }

    /// <summary>Whether the new map is not installed because it is none to install.</summary>
    [JsonIgnore]
    public bool IsRefused { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => !IsRefused;
}

/// <summary>An entry of an installed map; no reason where it is not known.</summary>
public readonly record struct NewEntryAnswer(Hex Start, Hex End, E820Type Type, string? Why);
