// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>
/// One failure to come. The call fails in its own way: increase_reservation, decrease_reservation and populate_physmap with a short count, mmu_update
/// with an error and the updates before it done, exchange with an error and the chunks before it exchanged, multicall in the result of
/// one entry, every other call with an error and nothing done.
/// </summary>
internal sealed record Fault
{
    private readonly long _occurrence = 1;
    private readonly XenError _error = XenError.ENOMEM;

    public required HypercallKind Call { get; init; }

    /// <summary>Which call of this kind fails, counted from 1 from the moment the fault is put in.</summary>
    public long Occurrence
    {
        get => _occurrence;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            _occurrence = value;
        }
    }

    /// <summary>
    /// The extent, input extent, update or entry at which it fails, from 0. A call that never gets there does not fail. Calls without a list fail at
    /// 0. For exchange the whole chunk that holds the input extent fails.
    /// </summary>
    public ulong At { get; init; }

    public XenError Error
    {
        get => _error;
        init
        {
            if (value == XenError.None)
                throw new ArgumentException("A fault needs an error", nameof(value));
            _error = value;
        }
    }

    /// <summary>Only calls by this domain count; null for calls by any.</summary>
    public DomainId? Caller { get; init; }
}

/// <summary>Where the call under way is to fail; none by default.</summary>
internal readonly struct FaultPoint
{
    private readonly ulong _atPlusOne;

    public FaultPoint(ulong at, XenError error)
    {
        _atPlusOne = unchecked(at + 1);
        Error = error;
    }

    public XenError Error { get; }

    /// <summary>Elements that may be done before the failure.</summary>
    public ulong Limit => unchecked(_atPlusOne - 1);

    public bool IsNone => _atPlusOne == 0;

    /// <summary>For calls without a list.</summary>
    public bool Fires => _atPlusOne == 1;

    public FaultPoint Behind(ulong done) => IsNone ? this : new FaultPoint(Limit >= done ? Limit - done : 0, Error);
}

/// <summary>The faults that have not happened yet.</summary>
internal sealed class FaultPlan
{
    private readonly List<Pending> _pending = [];

    public bool IsEmpty => _pending.Count == 0;

    public void Add(Fault fault) => _pending.Add(new Pending(fault));

    public void Clear() => _pending.Clear();

    /// <summary>Counts a call, and tells where it is to fail. Of two faults on the same call the one put in first counts, the other is used up
    /// too.</summary>
    public FaultPoint Next(HypercallKind kind, DomainId caller)
    {
        FaultPoint point = default;
        for (int i = 0; i < _pending.Count; i++)
        {
            Pending pending = _pending[i];
            if (pending.Fault.Call != kind || (pending.Fault.Caller is { } only && only != caller))
                continue;
            pending.Left--;
            if (pending.Left > 0)
                continue;
            _pending.RemoveAt(i);
            i--;
            if (point.IsNone)
                point = new FaultPoint(pending.Fault.At, pending.Fault.Error);
        }

        return point;
    }

    private sealed class Pending(Fault fault)
    {
        public Fault Fault { get; } = fault;

        public long Left { get; set; } = fault.Occurrence;
    }
}
