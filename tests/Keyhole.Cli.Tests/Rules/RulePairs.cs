// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>All pairs, and what has none yet.</summary>
internal static class RulePairs
{
    public static ImmutableArray<RulePair> All { get; } = [.. ProblemPairs.All, .. MemoryPairs.All, .. DevicePairs.All, .. EndPairs.All, .. StartPairs.All];

    /// <summary>The command line always takes a layout where none is told; that there is none only a user of the library says.</summary>
    public static ImmutableArray<string> ProblemsWithoutPair { get; } = ["layout-not-known"];

    /// <summary>Said of a map of which a part is not forecast: <c>OtherSurroundingsTests</c> has it, on the records, and where it is not said.</summary>
    public static ImmutableArray<string> SentencesWithoutPair { get; } = ["OtherSurroundings: , as far as the map is known then,"];
}
