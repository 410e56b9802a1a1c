// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>All pairs, and what has none yet.</summary>
internal static class RulePairs
{
    public static ImmutableArray<RulePair> All { get; } = [.. ProblemPairs.All, .. MemoryPairs.All, .. DevicePairs.All, .. EndPairs.All];

    public static ImmutableArray<string> ProblemsWithoutPair { get; } = [];

    public static ImmutableArray<string> SentencesWithoutPair { get; } = [];
}
