// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>What has to be there before a policy's map can be used.</summary>
public enum PolicyNeeds
{
    /// <summary>The toolstack makes the map by itself.</summary>
    Nothing,

    /// <summary>Somebody installs the map between "xl create -p" and "xl unpause" (XENMEM_set_memory_map).</summary>
    InstalledMap,

    /// <summary>A hypervisor that does what the real one refuses.</summary>
    ChangedXen,

    /// <summary>An installed map, and a filter of configuration-space reads where a BAR lies outside of the hole. Nobody has one.</summary>
    ConfigurationFilter,
}

/// <summary>A way to lay a guest's RAM around the host's devices: a pure function of its input.</summary>
public interface IHolePolicy
{
    /// <summary>The name on the command line and in JSON, with its parameter where one was given.</summary>
    string Name { get; }

    PolicyNeeds Needs { get; }

    PolicyResult Lay(PolicyInput input);
}

/// <param name="MachineMap">The host's map with Xen's additions.</param>
/// <param name="Guest">A PV guest that uses the host's map.</param>
/// <param name="Bars">Memory windows of the devices passed through, as far as they are known.</param>
public sealed record PolicyInput(ImmutableArray<E820Entry> MachineMap, GuestSpec Guest, ImmutableArray<Bar> Bars)
{
    /// <summary>Host memory that devices use by themselves (RMRR), in bytes; empty where none is known.</summary>
    public ImmutableArray<ByteRange> DeviceMemory { get; init; } = [];
}

/// <summary>The guest's map in the policy's own order. No entries where the policy failed; a problem then says why.</summary>
public sealed record PolicyResult(ImmutableArray<PlannedEntry> Entries, ImmutableArray<Problem> Problems)
{
    /// <summary>Gaps that the policy left on purpose, and why, in address order. Gaps that it does not name are nobody's.</summary>
    public ImmutableArray<KeptRange> Gaps { get; init; } = [];
}

/// <summary>One entry of a guest's map and the reason that it is there.</summary>
public readonly record struct PlannedEntry(E820Entry Entry, string Why);
