// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;

namespace Keyhole.Simulation;

/// <summary>
/// Whether a machine's books agree: every frame of RAM free or owned, none lost, counters right, reference counts those of the page tables.
/// Everything is counted again from the runs; its cost follows their number.
/// </summary>
internal sealed class MachineAudit
{
    private readonly SimulatedXen _xen;
    private readonly ImmutableArray<AuditFinding>.Builder _findings = ImmutableArray.CreateBuilder<AuditFinding>();
    private readonly ulong[] _owned;

    /// <summary>Changes of the number of mappings, each at a frame.</summary>
    private readonly List<(ulong Frame, long Delta)> _mappingDeltas = [];

    private readonly List<MfnRange> _freeInTable = [];

    private MachineAudit(SimulatedXen xen)
    {
        _xen = xen;
        _owned = new ulong[xen.DomainsByOwner.Count];
    }

    public static ImmutableArray<AuditFinding> Of(SimulatedXen xen)
    {
        var audit = new MachineAudit(xen);
        foreach (SimulatedDomain domain in xen.DomainsByOwner)
            audit.CountMappings(domain);
        audit.CheckFrames();
        audit.CheckFree();
        audit.CheckTotals();
        foreach (SimulatedDomain domain in xen.DomainsByOwner)
            audit.CheckPhysmap(domain);
        return audit._findings.ToImmutable();
    }

    private void Add(ulong start, ulong count, string message) => _findings.Add(new AuditFinding(MfnRange.FromCount(new Mfn(start), count), message));

    private void CountMappings(SimulatedDomain domain)
    {
        domain.L1.Visit(0, domain.L1.Length, (_, count, in entry) =>
        {
            if (!entry.IsPresent)
                return;
            Count(entry.Mfn, 1);
            Count(entry.Mfn + count, -1);
        });
        foreach (ulong mfn in domain.L1Tables.Keys)
        {
            Count(mfn, 1);
            Count(mfn + 1, -1);
        }
    }

    private void Count(ulong frame, long delta) => _mappingDeltas.Add((frame, delta));

    private void CheckFrames()
    {
        _mappingDeltas.Sort(static (left, right) => left.Frame.CompareTo(right.Frame));
        int next = 0;
        long current = 0;
        _xen.FrameTable.Visit(0, _xen.FrameTable.Length, (start, count, in frame) =>
        {
            CheckFrame(start, count, frame);
            ulong from = start;
            while (from < start + count)
            {
                while (next < _mappingDeltas.Count && _mappingDeltas[next].Frame <= from)
                    current += _mappingDeltas[next++].Delta;
                ulong to = next < _mappingDeltas.Count ? Math.Min(_mappingDeltas[next].Frame, start + count) : start + count;
                if (frame.IsRam && frame.References != current)
                    Add(from, to - from, $"{frame.References} references counted, but {current} mappings exist");
                from = to;
            }
        });
    }

    private void CheckFrame(ulong start, ulong count, in FrameState frame)
    {
        if (frame.Owner > _owned.Length)
        {
            Add(start, count, $"owned by domain slot {frame.Owner}, which does not exist");
            return;
        }

        if (frame.Owner == 0)
        {
            if (frame.IsRam)
                _freeInTable.Add(MfnRange.FromCount(new Mfn(start), count));
            if (frame.References > 0 || frame.IsAllocated)
                Add(start, count, "nobody's, but allocated or mapped");
            return;
        }

        _owned[frame.Owner - 1] += count;
        if (!frame.IsRam)
            Add(start, count, "owned, but no RAM");
        if (!frame.IsAllocated && frame.References == 0)
            Add(start, count, "lost: given back and mapped nowhere, but not free");
    }

    /// <summary>A frame in the free list with an owner is one with two owners; one in neither is lost.</summary>
    private void CheckFree()
    {
        foreach (MfnRange run in Merged(_freeInTable))
            Compare(run, "nobody's, but not in the free list: lost", static (xen, mfn) => xen.Free.IsFree(mfn));
        foreach (MfnRange run in _xen.Free.Runs())
        {
            _xen.FrameTable.Visit(run.Start.Value, run.Count, (start, count, in frame) =>
            {
                if (frame.Owner != 0)
                    Add(start, count, "in the free list, but owned: two owners");
                else if (!frame.IsRam)
                    Add(start, count, "in the free list, but no RAM");
            });
        }
    }

    /// <summary>Looks at both ends of a run only: the totals find what is missing in between.</summary>
    private void Compare(MfnRange run, string message, Func<SimulatedXen, ulong, bool> holds)
    {
        if (!holds(_xen, run.Start.Value) || !holds(_xen, run.End.Value - 1))
            Add(run.Start.Value, run.Count, message);
    }

    private static List<MfnRange> Merged(List<MfnRange> runs)
    {
        List<MfnRange> merged = [];
        foreach (MfnRange run in runs)
        {
            if (merged.Count > 0 && merged[^1].End == run.Start)
                merged[^1] = MfnRange.FromCount(merged[^1].Start, merged[^1].Count + run.Count);
            else
                merged.Add(run);
        }

        return merged;
    }

    private void CheckTotals()
    {
        ulong total = 0;
        foreach (MfnRange run in _xen.Free.Runs())
            total += run.Count;
        if (total != _xen.Free.Count)
            Add(0, 0, $"the free list holds {total} frames, but counts {_xen.Free.Count}");
        for (int i = 0; i < _owned.Length; i++)
        {
            SimulatedDomain domain = _xen.DomainsByOwner[i];
            total += _owned[i];
            if (_owned[i] != domain.CurrentPages)
                Add(0, 0, $"domain {domain.Id.Value} owns {_owned[i]} frames, but counts {domain.CurrentPages}");
        }

        if (total != _xen.TotalFrames)
            Add(0, 0, $"{total} frames are free or owned, but the machine has {_xen.TotalFrames}");
    }

    private void CheckPhysmap(SimulatedDomain domain)
    {
        if (domain.Physmap is not { } physmap)
            return;
        List<FrameRun> runs = [];
        physmap.Visit(0, physmap.Length, (start, count, in entry) =>
        {
            if (!entry.IsHole)
                runs.Add(new FrameRun(new Pfn(start), new Mfn(entry.Mfn), count));
        });
        _findings.AddRange(P2MAudit.Of(_xen, domain, runs).Findings);
    }
}
