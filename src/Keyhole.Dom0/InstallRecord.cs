// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;

namespace Keyhole.Dom0;

/// <summary>What <c>install</c> has done to a guest's configuration: kept beside the scripts, so that it can be undone.</summary>
public sealed record InstallRecord
{
    /// <summary>The guest's name.</summary>
    public required string Guest { get; init; }

    /// <summary>The configuration's whole path, links followed.</summary>
    public required string Configuration { get; init; }

    /// <summary>The policy of the map that its script installs.</summary>
    public required string Policy { get; init; }

    /// <summary>The scripts that the configuration names since then.</summary>
    public required ImmutableArray<InstalledScript> Scripts { get; init => field = Given.Array(value); }

    /// <summary>Whether it is undone, and the scripts are kept for a guest that was made with them and still runs.</summary>
    public bool IsUndone { get; init; }

    /// <summary>Null where the file is none of ours.</summary>
    public static InstallRecord? Parse(System.ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, InstallContext.Default.InstallRecord)
                is { Guest: not null, Configuration: not null, Policy: not null, Scripts.IsDefault: false } record
                ? record
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>What <see cref="Parse"/> reads again.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, InstallContext.Default.InstallRecord);
}

/// <summary>A script of Keyhole's.</summary>
/// <param name="Path">Where it lies.</param>
/// <param name="Before">The script that stood in its place in the configuration, as it was written; null for none.</param>
/// <param name="Own">The script that it runs.</param>
public sealed record InstalledScript(string Path, string? Before, string Own);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(InstallRecord))]
internal sealed partial class InstallContext : JsonSerializerContext;
