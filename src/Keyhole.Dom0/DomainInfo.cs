// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>What the hypervisor knows of a domain (struct xen_domctl_getdomaininfo).</summary>
public sealed record DomainInfo
{
    /// <summary>The domain's number, which Xen gives again once the domain is gone.</summary>
    public required DomainId Id { get; init; }

    /// <summary>The domain's handle, which the toolstack sets to its UUID: a number is used again, this is not.</summary>
    public Guid Uuid { get; init; }

    /// <summary>HVM or PVH: Xen does not tell them apart here.</summary>
    public bool IsHvm { get; init; }

    /// <summary>Whether it is being taken apart: nothing can be done to it any more.</summary>
    public bool IsDying { get; init; }

    /// <summary>Whether its kernel has ended; <see cref="ShutdownReason"/> says how.</summary>
    public bool IsShutdown { get; init; }

    /// <summary>Why it shut down, where it did: 0 poweroff, 1 reboot, 2 suspend, 3 crash, 4 watchdog.</summary>
    public int ShutdownReason { get; init; }

    /// <summary>Whether a toolstack holds it: none of its processors run.</summary>
    public bool IsPaused { get; init; }

    /// <summary>Pages it owns.</summary>
    public ulong TotalPages { get; init; }

    /// <summary>Pages it may own.</summary>
    public ulong MaxPages { get; init; }

    /// <summary>Time that its processors have run, in nanoseconds.</summary>
    public ulong CpuTimeNanoseconds { get; init; }

    /// <summary>The machine frame of the page that the hypervisor shares with it; of a PV guest.</summary>
    public ulong SharedInfoFrame { get; init; }

    /// <summary>Whether it has ever run an instruction. <c>xl list</c> shows tenths of a second, in which a kernel has long read its map.</summary>
    public bool HasRun => CpuTimeNanoseconds != 0;

    /// <summary>One word: dying, crashed, shut down, paused or running.</summary>
    public string StateName => (IsDying, IsShutdown, IsPaused) switch
    {
        (true, _, _) => "dying",
        (_, true, _) => ShutdownReason == ShutdownCrash ? "crashed" : "shut down",
        (_, _, true) => "paused",
        _ => "running",
    };

    /// <summary>Why it shut down, in xl's words; null where it has not, or for a reason that no Xen has yet.</summary>
    public string? ShutdownName => !IsShutdown ? null : ShutdownReason switch
    {
        0 => "poweroff",
        1 => "reboot",
        2 => "suspend",
        ShutdownCrash => "crash",
        4 => "watchdog",
        5 => "soft-reset",
        _ => null,
    };

    private const int ShutdownCrash = 3;
}
