// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>The problems of plans, forecasts, comparisons and of <c>keyhole reserve</c>.</summary>
internal static class ProblemPairs
{
    private const string Pv = "name=\"net\"\ntype=\"pv\"\nkernel=\"/boot/vmlinuz\"\n";

    public static ImmutableArray<RulePair> All { get; } =
    [
        RulePair.Of("maxmem-below-memory", "both are the same",
            static () => Plan($"{Pv}memory=800\nmaxmem=700\n"),
            static () => Plan($"{Pv}memory=800\nmaxmem=800\n")),
    ];

    private static CommandRun Plan(string guest) =>
        CommandRun.Of("plan", "--host", RulePair.Fixture("golden", "plain4g.log"), "--guest", RulePair.Written("guest.cfg", guest), "--json");
}
