// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>A domain of a <see cref="SimulatedXen"/>, as the toolstack and the tests see it.</summary>
internal sealed class SimulatedDomain
{
    /// <summary>48-bit addresses have 2^36 pages.</summary>
    internal const int PageNumberLevels = 6;

    internal SimulatedDomain(DomainSpec spec, ushort owner)
    {
        Spec = spec;
        Owner = owner;
        MaxPages = spec.MaxPages;
        MemoryMap = spec.MemoryMap.IsDefaultOrEmpty ? [] : [.. spec.MemoryMap];
        IoRanges = [.. spec.IoRanges ?? []];
        MapsAllIo = spec.Privileged && spec.IoRanges is null;
    }

    public DomainId Id => Spec.Id;

    public bool Privileged => Spec.Privileged;

    public bool Translated => Spec.Translated;

    /// <summary>Pages that the domain owns, those given back but still mapped included.</summary>
    public ulong CurrentPages { get; internal set; }

    /// <summary>Pages that it may own. The toolstack sets it; a value below <see cref="CurrentPages"/> takes nothing away.</summary>
    public ulong MaxPages { get; set; }

    /// <summary>The P2M that the builder left: pfns 0 to nr_pages − 1 in runs.</summary>
    public ImmutableArray<FrameRun> InitialP2M { get; internal set; } = [];

    /// <summary>The enabled assists, bit n for type n.</summary>
    public ulong Assists { get; internal set; }

    /// <summary>Calls made, by their names in Xen's headers; those never made are left out. A call within a multicall counts as itself too.</summary>
    public ImmutableSortedDictionary<string, long> HypercallCounts
    {
        get
        {
            var counts = ImmutableSortedDictionary.CreateBuilder<string, long>(StringComparer.Ordinal);
            for (int i = 0; i < Calls.Length; i++)
            {
                if (Calls[i] != 0)
                    counts[HypercallKinds.NameOf((HypercallKind)i)] = Calls[i];
            }

            return counts.ToImmutable();
        }
    }

    internal DomainSpec Spec { get; }

    /// <summary>What <see cref="FrameState.Owner"/> says of this domain's frames.</summary>
    internal ushort Owner { get; }

    internal E820Entry[] MemoryMap { get; set; }

    internal AffineTree<L1Entry> L1 { get; } = new(PageNumberLevels);

    /// <summary>First page number of the addresses that an L1 table maps, by the table's mfn.</summary>
    internal SortedDictionary<ulong, ulong> L1Tables { get; } = [];

    /// <summary>pfn to mfn, where Xen translates; null for a PV domain.</summary>
    internal AffineTree<TranslatedEntry>? Physmap { get; set; }

    internal SortedDictionary<ushort, CallbackRegister> Callbacks { get; } = [];

    internal long[] Calls { get; } = new long[HypercallKinds.All.Length];

    private MfnRange[] IoRanges { get; }

    private bool MapsAllIo { get; }

    internal bool HasDevices => MapsAllIo || IoRanges.Length > 0;

    /// <summary>The largest extents that Xen gives this caller (memop-max-order's defaults).</summary>
    internal int MaxExtentOrder => Privileged ? 18 : HasDevices ? 12 : 9;

    /// <summary>The callback registered last for a type.</summary>
    public bool TryGetCallback(ushort type, out CallbackRegister callback) => Callbacks.TryGetValue(type, out callback);

    /// <summary>
    /// The machine address of the page-table entry that maps <paramref name="virtualAddress"/>, for mmu_update. False where the L1 table is none of
    /// <see cref="DomainSpec.L1Tables"/>.
    /// </summary>
    public bool TryGetL1Entry(ulong virtualAddress, out ulong machineAddress)
    {
        ulong page = PageNumber(virtualAddress);
        foreach ((ulong mfn, ulong firstPage) in L1Tables)
        {
            if (firstPage == (page & ~511UL))
            {
                machineAddress = (mfn << Frames.Shift) + ((page & 511) * sizeof(ulong));
                return true;
            }
        }

        machineAddress = 0;
        return false;
    }

    /// <summary>The page-table entry at an address; false where there is no L1 table.</summary>
    public bool TryReadL1Entry(ulong virtualAddress, out ulong pageTableEntry)
    {
        L1Entry entry = IsCanonical(virtualAddress) ? L1.Get(PageNumber(virtualAddress)) : default;
        pageTableEntry = entry.Pte;
        return entry.HasTable;
    }

    internal static bool IsCanonical(ulong virtualAddress) => unchecked((long)(virtualAddress << 16) >> 16 == (long)virtualAddress);

    internal static ulong PageNumber(ulong virtualAddress) => (virtualAddress << 16) >> (16 + Frames.Shift);

    internal bool MayMapIo(ulong mfn)
    {
        if (MapsAllIo)
            return mfn != L1Entry.InvalidMfn;
        foreach (MfnRange range in IoRanges)
        {
            if (range.Contains(new Mfn(mfn)))
                return true;
        }

        return false;
    }
}

/// <summary>A page of a translated domain's physical address space: its mfn, or by default none.</summary>
internal struct TranslatedEntry : IAffine<TranslatedEntry>
{
    private ulong _mfnPlusOne;

    public TranslatedEntry(ulong mfn) => _mfnPlusOne = mfn + 1;

    public readonly bool IsHole => _mfnPlusOne == 0;

    public readonly ulong Mfn => _mfnPlusOne - 1;

    public readonly TranslatedEntry Advance(ulong distance) =>
        IsHole ? this : new TranslatedEntry { _mfnPlusOne = unchecked(_mfnPlusOne + distance) };

    public readonly bool Same(in TranslatedEntry other) => _mfnPlusOne == other._mfnPlusOne;
}
