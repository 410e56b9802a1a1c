// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.HolePolicies;

/// <summary>The policies there are.</summary>
public static class Policies
{
    public static ImmutableArray<IHolePolicy> All { get; } = [new LibxlPolicy(), new PunchPolicy()];

    /// <summary>The policy of that name, or null.</summary>
    public static IHolePolicy? Find(string name)
    {
        foreach (IHolePolicy policy in All)
        {
            if (policy.Name == name)
                return policy;
        }

        return null;
    }
}
