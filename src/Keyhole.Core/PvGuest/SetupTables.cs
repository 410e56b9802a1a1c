// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.PvGuest;

/// <summary>The tables that a memory setup works on, over spans of the caller's. See <see cref="MemorySetup"/>.</summary>
internal ref struct SetupTables
{
    /// <summary>Entries that each of the two maps must have room for: twice what any kernel keeps, for the sanitiser's splits.</summary>
    public const int MapCapacity = 640;

    /// <summary>Areas that must have room.</summary>
    public const int ReservedCapacity = 512;

    public SetupTables(Span<E820Entry> xenMap, Span<E820Entry> kernelMap, Span<ByteRange> extra, Span<ByteRange> reserved)
    {
        XenMap = new(xenMap);
        KernelMap = new(kernelMap);
        Extra = new(extra);
        Reserved = new(reserved);
    }

    /// <summary>The map as Xen gave it, sanitised: what the kernel decides by.</summary>
    public E820Table XenMap;

    /// <summary>The map that the kernel makes for itself.</summary>
    public E820Table KernelMap;

    public ExtraMemory Extra;

    public ReservedAreas Reserved;

    /// <summary>ACPI NVS that was moved away; its P2M entries follow when memory can be allocated.</summary>
    public MovedNonRam NonRam;
}

/// <summary>The up to four pieces of ACPI NVS that kernels from 6.12 on move.</summary>
internal struct MovedNonRam
{
    /// <summary>NR_NONRAM_REMAP.</summary>
    public const int Capacity = 4;

    private P2mRun _first;
    private P2mRun _second;
    private P2mRun _third;
    private P2mRun _fourth;

    public int Count { get; private set; }

    /// <summary>Adds one. There must be room.</summary>
    public void Add(P2mRun run)
    {
        if (Count == 0)
            _first = run;
        else if (Count == 1)
            _second = run;
        else if (Count == 2)
            _third = run;
        else
            _fourth = run;
        Count++;
    }

    public readonly P2mRun Get(int index) => index == 0 ? _first : index == 1 ? _second : index == 2 ? _third : _fourth;
}

/// <summary>What came of a memory setup, in pages.</summary>
internal struct SetupResult
{
    public HaltReason Halt;

    /// <summary>The pages that the kernel reckons with: start_info's, cut at its limit.</summary>
    public ulong PageCount;

    public ulong ReleasedPages;
    public ulong PopulatedPages;
    public ulong RemappedPages;

    /// <summary>Since 6.12: pages of ACPI NVS that lie elsewhere now.</summary>
    public ulong NonRamPages;

    /// <summary>Entries that found no room in the kernel's own map. The first three are reported as they are lost.</summary>
    public ulong IgnoredEntries;

    /// <summary>The first frame behind extra memory, or behind the initial pages when there is none (xen_max_p2m_pfn).</summary>
    public Pfn MaxP2mPfn;

    /// <summary>The frame that the end of the map lies in: since 3.16 all is identity from here on.</summary>
    public Pfn IdentityFrom;

    /// <summary>Where initrd and p2m list lie now.</summary>
    public ByteRange Initrd;

    public ByteRange P2mList;

    /// <summary>The gap that the kernel gives to PCI devices; empty when there is none.</summary>
    public ByteRange PciGap;
}
