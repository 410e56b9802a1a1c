// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>One page of kernel memory that the domain's page tables map at an address outside the linear mapping, as Linux's remap_buf is.</summary>
/// <param name="VirtualAddress">Page-aligned.</param>
/// <param name="Pfn">One of the domain's first pages.</param>
internal readonly record struct WindowMapping(ulong VirtualAddress, Pfn Pfn);

/// <summary>One of the domain's pages in use as the L1 table of 2 MiB of addresses: its entries can be written through mmu_update.</summary>
/// <param name="Pfn">One of the domain's first pages.</param>
/// <param name="VirtualAddress">The first address it maps, aligned to 2 MiB.</param>
internal readonly record struct L1Table(Pfn Pfn, ulong VirtualAddress);

/// <summary>What the domain builder makes a domain of.</summary>
internal sealed record DomainSpec
{
    /// <summary>Linux's page offset without KASLR (before 4.20): __va(x) = x + this.</summary>
    public const ulong LinuxPageOffset = X86Layout.LinuxDirectMap;

    /// <summary>What Xen reports as the maximum of a domain without one; its counters are 32 bits wide.</summary>
    public const ulong NoMaximum = uint.MaxValue;

    public required DomainId Id { get; init; }

    /// <summary>Pages at the start: pfns 0 to NrPages − 1. The builder does not look at the maximum.</summary>
    public required ulong NrPages { get; init; }

    /// <summary>Pages that the domain may own at most.</summary>
    public ulong MaxPages { get; init; } = NoMaximum;

    /// <summary>A control domain, as dom0.</summary>
    public bool Privileged { get; init; }

    /// <summary>Xen translates its frame numbers (HVM, PVH): lists carry pfns only, the page-table calls do not exist, and all its pages are seen at
    /// LinearBase.</summary>
    public bool Translated { get; init; }

    /// <summary>The one other domain that this one may control, as a stub domain does.</summary>
    public DomainId? Target { get; init; }

    /// <summary>What XENMEM_memory_map tells; default where nobody set one (dom0).</summary>
    public ImmutableArray<E820Entry> MemoryMap { get; init; }

    public FramePlacement Placement { get; init; }

    /// <summary>Where the kernel sees its pages: pfn p at this + p · 4096.</summary>
    public ulong LinearBase { get; init; } = LinuxPageOffset;

    /// <summary>Pages that are mapped there at the start (Linux: max_pfn_mapped); null for all.</summary>
    public ulong? MappedPages { get; init; }

    public ImmutableArray<WindowMapping> Windows { get; init => field = Given.Array(value); } = [];

    /// <summary>Page tables that can be written by machine address. Others exist for every mapped address but are nobody's page.</summary>
    public ImmutableArray<L1Table> L1Tables { get; init => field = Given.Array(value); } = [];

    /// <summary>Machine frames that are no RAM and that the domain may map. Null: all for a privileged domain, none for another.</summary>
    public ImmutableArray<MfnRange>? IoRanges { get; init => field = value is { } ranges ? Given.Array(ranges) : null; }
}
