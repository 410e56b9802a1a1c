// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>
/// Windows that a kernel could not claim, against the forecast's map: no device needs to be known beforehand. A window that is claimed says nothing
/// that a log would show, so only failures are compared.
/// </summary>
internal static class BarFindings
{
    public const string What = "window that cannot be claimed";

    public static IEnumerable<Finding> Compare(BootForecast forecast, ImmutableArray<LogFact<FailedClaim>> claims)
    {
        foreach (LogFact<FailedClaim> claim in claims)
        {
            // Other devices and bridges stand in the way too; that is not the map's doing.
            if (claim.Value.Obstacle is not { Length: > 0 } obstacle || !IsOfMap(obstacle) || !IomemSyntax.TryType(obstacle, out E820Type type))
                continue;
            E820Entry? met = SortedMap.Obstacle(forecast.KernelMap.AsSpan(), claim.Value.Window);
            string? expected = met is { } entry
                ? Text(claim.Value.Window, entry.Type == type ? obstacle : LinuxTypeNames.OfResource(entry.Type),
                    ByteRange.FromBounds(entry.Address, entry.End)) : null;
            string seen = Text(claim.Value.Window, obstacle, claim.Value.ObstacleRange);
            yield return new(What, expected ?? $"{Verifier.Range(claim.Value.Window)} can be claimed", seen, claim.Line, expected == seen);
        }
    }

    /// <summary>Whether the name is one that Linux gives to memory of the map that stands in a window's way.</summary>
    public static bool IsOfMap(string obstacle) => IomemSyntax.TryType(obstacle, out E820Type type) && type != E820Type.Reserved;

    private static string Text(ByteRange window, string obstacle, ByteRange range) =>
        $"{Verifier.Range(window)} conflicts with {obstacle} {Verifier.Range(range)}";
}
