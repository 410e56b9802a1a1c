// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>
/// A machine under Xen 4.17, as far as its memory goes: finite RAM of which every frame is free or has one owner, domains, and the calls of
/// <see cref="IHypercalls"/> with Xen's own results. docs/simulated-xen.md says what it leaves out.
/// </summary>
/// <remarks>
/// Ownership, M2P and page tables are kept in runs with deviations: a domain of terabytes costs no more than a small one until its pages differ.
/// Not to be used by two threads at once.
/// </remarks>
internal sealed class SimulatedXen
{
    private readonly SortedDictionary<ushort, SimulatedDomain> _domains = [];
    private readonly Dictionary<ulong, ulong[]> _contents = [];

    public SimulatedXen(MachineSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        Spec = spec;
        MaximumRamPage = EndOfRam(spec.MachineMap);
        FrameTable = new AffineTree<FrameState>(AffineTree<FrameState>.LevelsFor(MaximumRamPage));
        Free = new FreeFrames(MaximumRamPage);
        PlaceRam(spec.MachineMap);
        TotalFrames = Free.Count;
    }

    public MachineSpec Spec { get; }

    /// <summary>Frames of RAM that Xen hands out, free or owned.</summary>
    public ulong TotalFrames { get; }

    public ulong FreeFrameCount => Free.Count;

    /// <summary>One above the highest frame of RAM (XENMEM_maximum_ram_page).</summary>
    public ulong MaximumRamPage { get; }

    /// <summary>The domains in the order of their numbers.</summary>
    public IEnumerable<SimulatedDomain> Domains => _domains.Values;

    internal AffineTree<FrameState> FrameTable { get; }

    internal FreeFrames Free { get; }

    internal FaultPlan Faults { get; } = new();

    internal List<SimulatedDomain> DomainsByOwner { get; } = [];

    /// <summary>Makes a domain as the domain builder does: pages, M2P, page tables.</summary>
    /// <returns>
    /// None; EINVAL for a reserved number, a window or table outside the pages, or more mapped pages than there are addresses; EEXIST; ENOMEM where
    /// not as many frames are free. Nothing is changed then.
    /// </returns>
    public XenError CreateDomain(DomainSpec spec, out SimulatedDomain? domain)
    {
        ArgumentNullException.ThrowIfNull(spec);
        domain = null;
        XenError refused = Check(spec);
        if (refused != XenError.None)
            return refused;
        domain = new SimulatedDomain(spec, (ushort)(DomainsByOwner.Count + 1));
        DomainsByOwner.Add(domain);
        _domains.Add(spec.Id.Value, domain);
        GivePages(domain);
        if (!spec.Translated)
            BuildPageTables(domain);
        return XenError.None;
    }

    /// <summary>The hypervisor and the mapped memory as a domain of this machine sees them.</summary>
    public SimulatedHypercalls HypercallsOf(SimulatedDomain domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        if (DomainsByOwner.Count < domain.Owner || DomainsByOwner[domain.Owner - 1] != domain)
            throw new ArgumentException("The domain is one of another machine", nameof(domain));
        return new SimulatedHypercalls(new DomainCalls(this, domain));
    }

    /// <summary>
    /// Gives a PV domain page tables for its frames below <paramref name="frameCount"/>, mapping nothing yet: a kernel builds them for all the RAM of
    /// its map before it maps what it moved or got there. Linux has made them out of its own pages by then; here they are nobody's.
    /// </summary>
    /// <returns>None; EINVAL for a translated domain, or where the addresses end before the frames do.</returns>
    public XenError ExtendLinearMapping(SimulatedDomain domain, ulong frameCount)
    {
        ArgumentNullException.ThrowIfNull(domain);
        ulong firstPage = SimulatedDomain.PageNumber(domain.Spec.LinearBase);
        if (domain.Translated || frameCount > domain.L1.Length - firstPage)
            return XenError.EINVAL;
        AddTables(domain, firstPage, frameCount);
        return XenError.None;
    }

    public SimulatedDomain? Find(DomainId id) => _domains.GetValueOrDefault(id.Value);

    /// <summary>Puts a failure in.</summary>
    public void Inject(Fault fault)
    {
        ArgumentNullException.ThrowIfNull(fault);
        Faults.Add(fault);
    }

    /// <summary>Whether any fault put in has not happened yet.</summary>
    public bool HasPendingFaults => !Faults.IsEmpty;

    public void ClearFaults() => Faults.Clear();

    /// <summary>The owner of a frame; null where it is free or no RAM.</summary>
    public DomainId? OwnerOf(Mfn mfn)
    {
        ushort owner = FrameTable.Get(mfn.Value).Owner;
        return owner == 0 ? null : DomainsByOwner[owner - 1].Id;
    }

    /// <summary>Whether a frame is RAM that Xen hands out.</summary>
    public bool IsRam(Mfn mfn) => FrameTable.Get(mfn.Value).IsRam;

    /// <summary>The machine-to-physical entry of a frame; all ones where it is nobody's.</summary>
    public ulong MachineToPhysical(Mfn mfn) => FrameTable.Get(mfn.Value).VisibleM2P;

    /// <summary>L1 entries that map the frame, and one more while it is a page table itself.</summary>
    public uint ReferencesTo(Mfn mfn) => FrameTable.Get(mfn.Value).References;

    /// <summary>The 512 words of a frame, wherever it is mapped; empty where it is no RAM. Words never written are zero.</summary>
    public Span<ulong> Contents(Mfn mfn) => IsRam(mfn) ? ContentsOf(mfn.Value) : [];

    /// <summary>What is wrong with the machine's books; empty when all is well. Whatever domains do, it stays empty: otherwise the simulator is at
    /// fault.</summary>
    public ImmutableArray<AuditFinding> Audit() => MachineAudit.Of(this);

    internal ulong[] ContentsOf(ulong mfn)
    {
        if (!_contents.TryGetValue(mfn, out ulong[]? page))
        {
            page = new ulong[Frames.SizeBytes / sizeof(ulong)];
            _contents.Add(mfn, page);
        }

        return page;
    }

    /// <summary>Takes an extent of free RAM for a domain, its reservation not asked. False, and nothing changed, where there is none.</summary>
    internal bool TryTake(int order, out ulong mfn) => Free.TryTake(order, !Spec.AllocateLowestFirst, out mfn);

    /// <summary>Gives frames that were taken to a domain, at the pfns from <paramref name="firstPfn"/> on, or at none. Its page count is the caller's
    /// business.</summary>
    internal void Assign(SimulatedDomain domain, ulong mfn, ulong count, ulong? firstPfn)
    {
        // As in Xen, numbers go on past the last; the last itself reads as no page, which no run may go through.
        ulong belowLast = firstPfn is { } first ? Math.Min(count, FrameState.InvalidM2P - first) : 0;
        if (belowLast > 0)
            Fill(mfn, belowLast, firstPfn.GetValueOrDefault());
        if (belowLast == count)
            return;
        ulong unnumbered = firstPfn is null ? count : 1;
        Fill(mfn + belowLast, unnumbered, FrameState.InvalidM2P);
        if (belowLast + unnumbered < count)
            Fill(mfn + belowLast + unnumbered, count - belowLast - unnumbered, 0);

        void Fill(ulong from, ulong frames, ulong pfn) =>
            FrameTable.SetRange(from, frames, new FrameState { M2P = pfn, Owner = domain.Owner, Flags = FrameFlags.Ram | FrameFlags.Allocated });
    }

    /// <summary>Frames that nobody owns or maps any more are free again, and what was in them is gone.</summary>
    internal void GiveBack(ulong mfn, ulong count)
    {
        FrameTable.SetRange(mfn, count, FrameState.FreeRam);
        Free.Release(mfn, count);
        if (_contents.Count == 0)
            return;
        if (count <= (ulong)_contents.Count)
        {
            for (ulong i = 0; i < count; i++)
                _contents.Remove(mfn + i);
            return;
        }

        foreach (ulong written in _contents.Keys)
        {
            if (written >= mfn && written - mfn < count)
                _contents.Remove(written);
        }
    }

    /// <summary>One reference less; a frame that its owner gave back goes with the last.</summary>
    internal void DropReference(ulong mfn)
    {
        ref FrameState frame = ref FrameTable.Edit(mfn);
        frame.References--;
        if (frame.References > 0 || frame.IsAllocated || frame.Owner == 0)
            return;
        DomainsByOwner[frame.Owner - 1].CurrentPages--;
        GiveBack(mfn, 1);
    }

    private static ulong EndOfRam(ImmutableArray<E820Entry> map)
    {
        ulong end = MachineSpec.FirstRamFrame;
        foreach (E820Entry entry in map)
        {
            if (entry.IsRam && !entry.Wraps)
                end = Math.Max(end, Math.Min(entry.End >> Frames.Shift, Frames.MaxCount));
        }

        return end;
    }

    private void PlaceRam(ImmutableArray<E820Entry> map)
    {
        foreach (E820Entry entry in map)
        {
            if (entry.IsRam && !entry.Wraps)
                SetWithinRam(Math.Max(Mfn.AtOrAbove(entry.Address).Value, MachineSpec.FirstRamFrame), entry.End >> Frames.Shift, FrameState.FreeRam);
        }

        foreach (E820Entry entry in map)
        {
            if (!entry.IsRam && entry.Size > 0)
                SetWithinRam(entry.Address >> Frames.Shift, entry.Wraps ? Frames.MaxCount : Mfn.AtOrAbove(entry.End).Value, default);
        }

        FrameTable.Visit(0, MaximumRamPage, (start, count, in first) =>
        {
            if (first.IsRam)
                Free.Release(start, count);
        });
    }

    private void SetWithinRam(ulong start, ulong end, in FrameState state)
    {
        end = Math.Min(end, MaximumRamPage);
        if (start < end)
            FrameTable.SetRange(start, end - start, state);
    }

    private XenError Check(DomainSpec spec)
    {
        ulong mapped = spec.MappedPages ?? spec.NrPages;
        if (spec.Id.Value >= DomainId.FirstReserved || mapped > spec.NrPages)
            return XenError.EINVAL;
        if (!spec.Translated && mapped > 0)
        {
            ulong last = unchecked(spec.LinearBase + ((mapped - 1) << Frames.Shift));
            if (mapped > AffineTree<L1Entry>.KeysAt(SimulatedDomain.PageNumberLevels) || last < spec.LinearBase || !IsPage(spec.LinearBase)
                || !IsPage(last)
                || SimulatedDomain.PageNumber(last) < SimulatedDomain.PageNumber(spec.LinearBase))
            {
                return XenError.EINVAL;
            }
        }

        foreach (WindowMapping window in spec.Windows)
        {
            if (!IsPage(window.VirtualAddress) || window.Pfn.Value >= spec.NrPages)
                return XenError.EINVAL;
        }

        foreach (L1Table table in spec.L1Tables)
        {
            if (!IsPage(table.VirtualAddress) || (SimulatedDomain.PageNumber(table.VirtualAddress) & 511) != 0 || table.Pfn.Value >= spec.NrPages)
                return XenError.EINVAL;
        }

        if (_domains.ContainsKey(spec.Id.Value))
            return XenError.EEXIST;
        return spec.NrPages > Free.Count ? XenError.ENOMEM : XenError.None;
    }

    private static bool IsPage(ulong virtualAddress) => (virtualAddress & Frames.OffsetMask) == 0 && SimulatedDomain.IsCanonical(virtualAddress);

    private void GivePages(SimulatedDomain domain)
    {
        var runs = ImmutableArray.CreateBuilder<FrameRun>();
        ulong pfn = 0;
        foreach (MfnRange taken in domain.Spec.Placement.Choose(Free.Runs(), domain.Spec.NrPages))
        {
            Free.TakeRange(taken.Start.Value, taken.Count);
            Assign(domain, taken.Start.Value, taken.Count, pfn);
            if (runs.Count > 0 && runs[^1].Mfn.Value + runs[^1].Count == taken.Start.Value)
                runs[^1] = new FrameRun(runs[^1].Pfn, runs[^1].Mfn, runs[^1].Count + taken.Count);
            else
                runs.Add(new FrameRun(new Pfn(pfn), taken.Start, taken.Count));
            pfn += taken.Count;
        }

        domain.InitialP2M = runs.ToImmutable();
        domain.CurrentPages = domain.Spec.NrPages;
        if (!domain.Translated)
            return;
        domain.Physmap = new AffineTree<TranslatedEntry>(AffineTree<TranslatedEntry>.LevelsFor(Frames.MaxCount));
        foreach (FrameRun run in domain.InitialP2M)
            domain.Physmap.SetRange(run.Pfn.Value, run.Count, new TranslatedEntry(run.Mfn.Value));
    }

    private void BuildPageTables(SimulatedDomain domain)
    {
        DomainSpec spec = domain.Spec;
        ulong mapped = spec.MappedPages ?? spec.NrPages;
        ulong firstPage = SimulatedDomain.PageNumber(spec.LinearBase);
        AddTables(domain, firstPage, mapped);
        foreach (FrameRun run in domain.InitialP2M)
        {
            if (run.Pfn.Value >= mapped)
                break;
            ulong count = Math.Min(run.Count, mapped - run.Pfn.Value);
            domain.L1.SetRange(firstPage + run.Pfn.Value, count, L1Entry.Mapping(run.Mfn.Value, L1Entry.KernelPage));
            FrameState frame = FrameTable.Get(run.Mfn.Value);
            frame.References++;
            FrameTable.SetRange(run.Mfn.Value, count, frame);
        }

        foreach (WindowMapping window in spec.Windows)
        {
            ulong page = SimulatedDomain.PageNumber(window.VirtualAddress);
            AddTables(domain, page, 1);
            ref L1Entry entry = ref domain.L1.Edit(page);
            if (entry.IsPresent)
                DropReference(entry.Mfn);
            ulong mfn = InitialMfn(domain, window.Pfn.Value);
            entry = L1Entry.Mapping(mfn, L1Entry.KernelPage);
            FrameTable.Edit(mfn).References++;
        }

        foreach (L1Table table in spec.L1Tables)
            AddL1Table(domain, table);
    }

    /// <summary>A page-table page is pinned, and mapped read-only wherever it is mapped.</summary>
    private void AddL1Table(SimulatedDomain domain, L1Table table)
    {
        ulong page = SimulatedDomain.PageNumber(table.VirtualAddress);
        ulong mfn = InitialMfn(domain, table.Pfn.Value);
        if (!domain.L1Tables.TryAdd(mfn, page))
            return;
        AddTables(domain, page, 1);
        ref FrameState frame = ref FrameTable.Edit(mfn);
        frame.References++;
        frame.Flags |= FrameFlags.PageTable;
        if (table.Pfn.Value < (domain.Spec.MappedPages ?? domain.Spec.NrPages))
            domain.L1.Edit(SimulatedDomain.PageNumber(domain.Spec.LinearBase) + table.Pfn.Value).Pte &= ~L1Entry.Writable;
        foreach (WindowMapping window in domain.Spec.Windows)
        {
            if (window.Pfn == table.Pfn)
                domain.L1.Edit(SimulatedDomain.PageNumber(window.VirtualAddress)).Pte &= ~L1Entry.Writable;
        }
    }

    /// <summary>L1 tables come whole: the 512 entries around a mapped address exist.</summary>
    private static void AddTables(SimulatedDomain domain, ulong firstPage, ulong count)
    {
        ulong start = firstPage & ~511UL;
        ulong end = (firstPage + count + 511) & ~511UL;
        List<(ulong Start, ulong Count)> missing = [];
        domain.L1.Visit(start, end - start, (from, length, in entry) =>
        {
            if (!entry.HasTable)
                missing.Add((from, length));
        });
        foreach ((ulong from, ulong length) in missing)
            domain.L1.SetRange(from, length, L1Entry.NotPresent);
    }

    private static ulong InitialMfn(SimulatedDomain domain, ulong pfn)
    {
        ImmutableArray<FrameRun> runs = domain.InitialP2M;
        int low = 0;
        int high = runs.Length - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            if (runs[middle].Pfn.Value <= pfn)
                low = middle;
            else
                high = middle - 1;
        }

        return runs[low].Mfn.Value + (pfn - runs[low].Pfn.Value);
    }
}
