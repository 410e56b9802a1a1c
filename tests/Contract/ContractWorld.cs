// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>Who makes the calls of a check.</summary>
public enum ContractCaller
{
    /// <summary>A control domain (dom0), working on <see cref="ContractWorld.Guest"/>.</summary>
    ControlDomain,

    /// <summary>The guest itself, unprivileged.</summary>
    Guest,

    /// <summary>Both in turn.</summary>
    Both,
}

/// <summary>
/// The hypervisor that the contract is checked on, and what a check must know of it. A world may lack either caller: its checks are then not
/// applicable. Checks by the control domain touch only the memory map of the guest and frames that they add to it themselves, so the guest may be any
/// paused PV domain that nobody needs afterwards.
/// </summary>
public sealed record ContractWorld
{
    public IHypercalls? ControlDomain { get; init; }

    public IHypercalls? GuestCalls { get; init; }

    internal IMappedMemory? GuestMemory { get; init; }

    /// <summary>A PV domain that the control domain controls, without a device, with a maximum a little above what it owns.</summary>
    public required DomainId Guest { get; init; }

    /// <summary>A number that no domain has.</summary>
    public required DomainId NoSuchDomain { get; init; }

    /// <summary>A domain that the guest may not touch (dom0).</summary>
    public DomainId ForeignDomain { get; init; }

    /// <summary>A frame of RAM that the guest does not own.</summary>
    public ulong ForeignMfn { get; init; }

    /// <summary>A frame of I/O that the guest may not map.</summary>
    public ulong ForbiddenIoMfn { get; init; }

    /// <summary>A page-aligned address of the guest's that maps a page of its own, which the checks may remap; they put it back.</summary>
    public ulong WindowAddress { get; init; }

    /// <summary>The mfn that <see cref="WindowAddress"/> maps.</summary>
    public ulong WindowMfn { get; init; }

    /// <summary>A frame of the guest's that nothing maps, which the checks may not lose.</summary>
    public ulong UnmappedMfn { get; init; }
}

/// <summary>What came of a check.</summary>
public enum ContractOutcome
{
    Passed,
    Failed,

    /// <summary>The world lacks what the check needs.</summary>
    NotApplicable,
}

/// <summary>A check's result under its name, a sentence.</summary>
public sealed record ContractResult(string Name, ContractOutcome Outcome, string Message)
{
    public override string ToString() => $"{Outcome} {Name}{(Message.Length > 0 ? ": " + Message : "")}";
}
