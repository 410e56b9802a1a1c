// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;

namespace Keyhole.Answers;

/// <summary>What <c>install</c> answers: what becomes of a guest's configuration, so that its map lasts.</summary>
public sealed record InstallAnswer : Answer
{
    /// <summary>The guest's name.</summary>
    public required string Name { get; init; }

    /// <summary>The configuration's whole path, links followed.</summary>
    public required string Config { get; init; }

    /// <summary>The policy that lays its map.</summary>
    public required string Policy { get; init; }

    /// <summary>"stop" or "libxl": what becomes of the guest where it cannot be given its map; null where the change is taken back.</summary>
    public string? OrElse { get; init; }

    /// <summary>Whether the scripts are in place and the configuration names them.</summary>
    public required bool Installed { get; init; }

    /// <summary>Whether they were taken out again.</summary>
    public required bool Undone { get; init; }

    /// <summary>Keyhole's scripts, with the guest's own ones that they run.</summary>
    public required ImmutableArray<InstalledScriptAnswer> Scripts { get; init => field = Given.Array(value); }

    /// <summary>The lines of the configuration that differ.</summary>
    public required ImmutableArray<LineChangeAnswer> Changes { get; init => field = Given.Array(value); }

    /// <summary>Where the configuration as it was is kept; null where the change is taken back.</summary>
    public string? Copy { get; init; }

    /// <summary>Null where the change is taken back.</summary>
    public LiveForecastAnswer? Forecast { get; init; }

    /// <summary>Problems of plan and forecast.</summary>
    public required ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); }

    /// <summary>What has to be known besides.</summary>
    public required ImmutableArray<string> Remarks { get; init => field = Given.Array(value); }

    /// <summary>Whether nothing is installed because the guest would not boot on the map.</summary>
    [JsonIgnore]
    public bool IsRefused { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => !IsRefused;
}

/// <summary>A script of Keyhole's, and the one that it runs.</summary>
public sealed record InstalledScriptAnswer(string Path, string Runs);

/// <summary>A line before and after.</summary>
public readonly record struct LineChangeAnswer(int Line, string Before, string After);
