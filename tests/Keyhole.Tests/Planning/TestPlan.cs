// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;

namespace Keyhole.Tests.Planning;

/// <summary>Plans of scenarios that have nothing but what is named.</summary>
internal static class TestPlan
{
    public static Plan Of(Host host, GuestSpec guest, IHolePolicy? policy, ImmutableArray<Bar> bars) =>
        Planner.Plan(new Scenario { Host = host, Guest = guest, Policy = policy, Bars = bars });
}
