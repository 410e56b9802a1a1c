// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Dom0;

/// <summary>A guest to create on this machine.</summary>
public sealed record GuestRequest
{
    /// <summary>Its xl.cfg.</summary>
    public required string Path { get; init; }

    /// <summary>What its configuration says.</summary>
    public required GuestSpec Guest { get; init; }

    /// <summary>Null: the map that the toolstack makes by itself.</summary>
    public required IHolePolicy? Policy { get; init; }

    /// <summary>The Linux that is forecast.</summary>
    public required KernelRelease Kernel { get; init; }

    /// <summary>What its kernel's image says; null where it cannot be read.</summary>
    public KernelImage? Image { get; init; }

    /// <summary>Whether the user or the kernel's image says which Linux it is; else it is assumed.</summary>
    public required bool IsKernelNamed { get; init; }

    /// <summary>How long to wait for what it says.</summary>
    public required TimeSpan Timeout { get; init; }

    /// <summary>The guest on this machine. The toolstack's own map leaves a guest without the host's map as it is; the others give it one.</summary>
    public XenResult<Scenario> OnThisMachine(LiveMachine dom0, IXenControl xen)
    {
        ArgumentNullException.ThrowIfNull(dom0);
        ArgumentNullException.ThrowIfNull(xen);
        if (!new MachineCapture(dom0).ReadMachineMap(xen).TryGet(out Host? machine, out XenProblem? problem))
            return problem;
        return new Scenario
        {
            Host = machine,
            Guest = Policy is null or { Traits.IsToolstacksOwn: true } ? Guest : Guest with { E820Host = true },
            Policy = Policy,
            Kernel = Kernel,
            IsKernelAssumed = !IsKernelNamed,
            Image = Image,
        };
    }
}
