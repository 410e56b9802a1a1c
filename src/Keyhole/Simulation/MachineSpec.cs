// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>The machine and its hypervisor.</summary>
internal sealed record MachineSpec
{
    /// <summary>The first MiB is I/O to Xen, whatever the firmware says of it.</summary>
    public const ulong FirstRamFrame = 0x100;

    /// <summary>
    /// What XENMEM_machine_memory_map tells (Xen's additions made). Its RAM, whole frames of it from 1 MiB on and where nothing else overlaps, is the
    /// machine's memory.
    /// </summary>
    public required ImmutableArray<E820Entry> MachineMap { get; init => field = Given.Array(value); }

    /// <summary>XENMEM_machine_memory_map answers every PV domain, as the policy guest-merge needs it. Xen's own answer is EPERM.</summary>
    public bool MachineMapForEveryone { get; init; }

    /// <summary>Callback types that callback_op refuses with ENOSYS, besides those that no Xen knows.</summary>
    public ImmutableArray<ushort> RefusedCallbacks { get; init => field = Given.Array(value); } = [];

    /// <summary>Entries that XENMEM_set_memory_map takes: 1024 since 2017, 128 before.</summary>
    public int MaxSetMapEntries { get; init; } = MemoryOp.MaxSetMapEntries;

    /// <summary>Single extents come from the lowest free memory; otherwise, as in Xen, from the highest.</summary>
    public bool AllocateLowestFirst { get; init; }

    /// <summary>A machine of so many frames of RAM, from 1 MiB on without a hole.</summary>
    public static MachineSpec OfFrames(ulong frameCount) => new()
    {
        MachineMap = [E820Entry.FromSize(FirstRamFrame << Frames.Shift, frameCount << Frames.Shift, E820Type.Ram)],
    };
}
