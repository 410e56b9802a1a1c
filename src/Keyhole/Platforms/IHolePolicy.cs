// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms;

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

/// <summary>How a policy differs from the others, as far as anybody outside of it has to know. Nobody asks for its name or type instead.</summary>
/// <param name="Needs">What has to be there before its map can be used.</param>
/// <param name="Preference">Among equally good policies the lowest comes first: what keeps most of what the host's map says.</param>
public sealed record PolicyTraits(PolicyNeeds Needs, int Preference)
{
    /// <summary>Whether the toolstack makes this map by itself.</summary>
    public bool IsToolstacksOwn => Needs == PolicyNeeds.Nothing;

    /// <summary>Whether the map is another than the toolstack's own, so that somebody has to install it.</summary>
    public bool NeedsInstalledMap => !IsToolstacksOwn;

    /// <summary>Whether windows outside of the hole get other addresses, which only a filter of configuration-space reads can tell the
    /// guest.</summary>
    public bool NeedsFilter => Needs == PolicyNeeds.ConfigurationFilter;

    /// <summary>Whether entries of the map are known to be missing: what would cure it is not known either.</summary>
    public bool IsPart { get; init; }

    /// <summary>Whether the guest's own kernel makes the holes, so that it has them under a toolstack that does not use the host's map.</summary>
    public bool IsMadeByGuest { get; init; }

    /// <summary>Whether a start for the hole is a parameter of it, which <see cref="IHolePolicy.WithHoleAt"/> takes.</summary>
    public bool TakesHoleStart { get; init; }

    /// <summary>Where the hole starts on every host, in bytes: the map does not follow the host's. Null where it does.</summary>
    public ulong? HoleStartOnEveryHost { get; init; }

    /// <summary>Whether the map has room for a device that is added later.</summary>
    public bool HasRoomForLaterDevices { get; init; } = true;
}

/// <summary>A way to lay a guest's RAM around the host's devices: a pure function of its input.</summary>
public interface IHolePolicy
{
    /// <summary>The name on the command line and in JSON, with its parameter where one was given.</summary>
    string Name { get; }

    /// <summary>What the policy needs and what it is good for.</summary>
    PolicyTraits Traits { get; }

    /// <summary>The same policy with its hole from <paramref name="holeStart"/> on, where it has one whose start was left open; else
    /// itself.</summary>
    IHolePolicy WithHoleAt(ulong holeStart) => this;

    /// <summary>The guest's map for a host and a guest.</summary>
    PolicyResult Lay(PolicyInput input);
}

/// <param name="MachineMap">The host's map with Xen's additions.</param>
/// <param name="Guest">A PV guest that uses the host's map.</param>
/// <param name="Bars">Memory windows of the devices passed through, as far as they are known.</param>
public sealed record PolicyInput(ImmutableArray<E820Entry> MachineMap, GuestSpec Guest, ImmutableArray<Bar> Bars)
{
    /// <summary>The host's map with Xen's additions.</summary>
    public ImmutableArray<E820Entry> MachineMap { get; init => field = Given.Array(value); } = Given.Array(MachineMap);

    /// <summary>A PV guest that uses the host's map.</summary>
    public GuestSpec Guest { get; init => field = Given.NotNull(value); } = Given.NotNull(Guest);

    /// <summary>Memory windows of the devices passed through, as far as they are known.</summary>
    public ImmutableArray<Bar> Bars { get; init => field = Given.Array(value); } = Given.Array(Bars);

    /// <summary>Host memory that devices use by themselves (RMRR), in bytes; empty where none is known.</summary>
    public ImmutableArray<ByteRange> DeviceMemory { get; init => field = Given.Array(value); } = [];

    /// <summary>The host's Xen, whose toolstack lays the map; null where it is not known.</summary>
    public XenVersion? Xen { get; init; }
}

/// <summary>The guest's map in the policy's own order. No entries where the policy failed; a problem then says why.</summary>
public sealed record PolicyResult(ImmutableArray<PlannedEntry> Entries, ImmutableArray<Problem> Problems)
{
    /// <summary>The map, in the policy's own order.</summary>
    public ImmutableArray<PlannedEntry> Entries { get; init => field = Given.Array(value); } = Given.Array(Entries);

    /// <summary>What is wrong, or worth knowing.</summary>
    public ImmutableArray<Problem> Problems { get; init => field = Given.Array(value); } = Given.Array(Problems);

    /// <summary>Gaps that the policy left on purpose, and why, in address order. Gaps that it does not name are nobody's.</summary>
    public ImmutableArray<KeptRange> Gaps { get; init => field = Given.Array(value); } = [];
}

/// <summary>One entry of a guest's map and the reason that it is there.</summary>
public readonly record struct PlannedEntry(E820Entry Entry, string Why);

/// <summary>A range that a policy keeps free of the guest's RAM, and why.</summary>
/// <param name="Type">The type that the guest sees there, or null for a gap.</param>
public readonly record struct KeptRange(ulong Start, ulong End, E820Type? Type, string Why) : IRanged
{
    /// <summary>The addresses.</summary>
    public ByteRange Range => ByteRange.FromBounds(Start, End);
}
