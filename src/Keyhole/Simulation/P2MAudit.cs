// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Simulation;

/// <summary>
/// Whether the P2M that a guest holds is true: no mfn twice, no pfn twice, every mfn the guest's own RAM, and M2P agreeing with it for every page.
/// </summary>
internal sealed record P2MAudit
{
    /// <summary>Linux's P2M: this bit marks a frame of another domain or of I/O.</summary>
    public const ulong ForeignFrameBit = 1UL << 63;

    /// <summary>Linux's P2M: this bit marks an identity frame. Both bits and all others: invalid.</summary>
    public const ulong IdentityFrameBit = 1UL << 62;

    public required ImmutableArray<AuditFinding> Findings { get; init => field = Given.Array(value); }

    /// <summary>Pages of the guest's own RAM that the P2M lists.</summary>
    public required ulong ListedPages { get; init; }

    /// <summary>Pages that the guest owns, but which its P2M does not list: out of its reach.</summary>
    public required ulong UnlistedPages { get; init; }

    /// <summary>Checks a P2M in runs, in any order; identity and invalid entries are not in it.</summary>
    public static P2MAudit Of(SimulatedXen xen, SimulatedDomain domain, IEnumerable<FrameRun> p2m)
    {
        ArgumentNullException.ThrowIfNull(xen);
        ArgumentNullException.ThrowIfNull(domain);
        List<FrameRun> runs = [];
        foreach (FrameRun run in p2m)
        {
            if (run.Count > 0)
                runs.Add(run);
        }

        var findings = ImmutableArray.CreateBuilder<AuditFinding>();
        FindTwice(runs, findings);
        ulong listed = 0;
        foreach (FrameRun run in runs)
            listed += CheckRun(xen, domain, run, findings);
        return new P2MAudit
        {
            Findings = findings.ToImmutable(),
            ListedPages = listed,
            UnlistedPages = domain.CurrentPages - Math.Min(domain.CurrentPages, listed),
        };
    }

    /// <summary>Checks a P2M as Linux keeps it: entry i is the mfn of pfn i, or marked foreign, identity or invalid.</summary>
    public static P2MAudit OfList(SimulatedXen xen, SimulatedDomain domain, ReadOnlySpan<ulong> p2m)
    {
        List<FrameRun> runs = [];
        for (int i = 0; i < p2m.Length; i++)
        {
            if ((p2m[i] & (ForeignFrameBit | IdentityFrameBit)) != 0)
                continue;
            ulong pfn = (ulong)i;
            if (runs.Count > 0 && runs[^1].Pfn.Value + runs[^1].Count == pfn && runs[^1].Mfn.Value + runs[^1].Count == p2m[i])
                runs[^1] = new FrameRun(runs[^1].Pfn, runs[^1].Mfn, runs[^1].Count + 1);
            else
                runs.Add(new FrameRun(new Pfn(pfn), new Mfn(p2m[i]), 1));
        }

        return Of(xen, domain, runs);
    }

    private static void FindTwice(List<FrameRun> runs, ImmutableArray<AuditFinding>.Builder findings)
    {
        runs.Sort(static (left, right) => left.Pfn.CompareTo(right.Pfn));
        ulong end = 0;
        foreach (FrameRun run in runs)
        {
            if (run.Pfn.Value < end)
                findings.Add(new AuditFinding(default, $"pfn 0x{run.Pfn.Value:x} is in the P2M twice"));
            end = Math.Max(end, run.Pfn.Value + run.Count);
        }

        runs.Sort(static (left, right) => left.Mfn.CompareTo(right.Mfn));
        end = 0;
        foreach (FrameRun run in runs)
        {
            if (run.Mfn.Value < end)
                findings.Add(new AuditFinding(Piece(run.Mfn.Value, Math.Min(end - run.Mfn.Value, run.Count)),
                    $"twice in the P2M, again from pfn 0x{run.Pfn.Value:x} on"));
            end = Math.Max(end, run.Mfn.Value + run.Count);
        }
    }

    /// <summary>Returns the run's pages that are the domain's own.</summary>
    private static ulong CheckRun(SimulatedXen xen, SimulatedDomain domain, FrameRun run, ImmutableArray<AuditFinding>.Builder findings)
    {
        ulong owned = 0;
        ulong length = xen.FrameTable.Length;
        ulong inside = run.Mfn.Value >= length ? 0 : Math.Min(run.Count, length - run.Mfn.Value);
        if (inside < run.Count)
            findings.Add(new AuditFinding(Piece(run.Mfn.Value + inside, run.Count - inside), "in the P2M, but beyond the machine's RAM"));
        xen.FrameTable.Visit(run.Mfn.Value, inside, (start, count, in frame) =>
        {
            ulong pfn = run.Pfn.Value + (start - run.Mfn.Value);
            if (frame.Owner != domain.Owner)
            {
                string whose = frame.Owner != 0 ? $"domain {xen.DomainsByOwner[frame.Owner - 1].Id.Value}'s" : frame.IsRam ? "free" : "no RAM";
                findings.Add(new AuditFinding(Piece(start, count), $"in the P2M at pfn 0x{pfn:x}, but {whose}"));
                return;
            }

            owned += count;
            if (frame.M2P == FrameState.InvalidM2P)
                findings.Add(new AuditFinding(Piece(start, count), $"in the P2M at pfn 0x{pfn:x}, but M2P names no pfn"));
            else if (frame.M2P != pfn)
                findings.Add(new AuditFinding(Piece(start, count), $"in the P2M at pfn 0x{pfn:x}, but M2P says pfn 0x{frame.M2P:x}"));
        });
        return owned;
    }

    private static MfnRange Piece(ulong start, ulong count) => MfnRange.FromCount(new Mfn(start), count);
}
