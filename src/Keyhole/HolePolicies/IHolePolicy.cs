// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Planning;

namespace Keyhole.HolePolicies;

/// <summary>A way to lay a guest's RAM around the host's devices: a pure function of its input.</summary>
public interface IHolePolicy
{
    /// <summary>The name on the command line and in JSON.</summary>
    string Name { get; }

    PolicyResult Lay(PolicyInput input);
}

/// <param name="MachineMap">The host's map with Xen's additions.</param>
/// <param name="Guest">A PV guest that uses the host's map.</param>
/// <param name="Bars">Memory windows of the devices passed through, as far as they are known.</param>
public sealed record PolicyInput(ImmutableArray<E820Entry> MachineMap, GuestSpec Guest, ImmutableArray<Bar> Bars);

/// <summary>The guest's map in the policy's own order. No entries where the policy failed; a problem then says why.</summary>
public sealed record PolicyResult(ImmutableArray<PlannedEntry> Entries, ImmutableArray<Problem> Problems);

/// <summary>One entry of a guest's map and the reason that it is there.</summary>
public readonly record struct PlannedEntry(E820Entry Entry, string Why);
