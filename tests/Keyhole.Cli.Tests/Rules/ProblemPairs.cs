// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>The problems of plans, forecasts, comparisons and of <c>keyhole reserve</c>.</summary>
internal static partial class ProblemPairs
{
    // A list of its own for each file: what is static in a partial class is set in no order.
    public static ImmutableArray<RulePair> All => [.. PvGuests(), .. PvPolicies(), .. PvhGuests(), .. XenRefusals(), .. HvmGuests(), .. Boots(),
        .. ReservePlans(), .. ReserveChecks(), .. KvmHosts(), .. KvmGuests(), .. KvmBars()];
}
