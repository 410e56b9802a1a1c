// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.Simulation;

/// <summary>A last-level page-table entry of a domain. The default is an address for which there is no L1 table.</summary>
internal struct L1Entry : IAffine<L1Entry>
{
    public const ulong Present = 1;
    public const ulong Writable = 2;
    public const ulong AccessedAndDirty = 0x60;

    /// <summary>PWT, PCD and PAT: only for domains with a device.</summary>
    public const ulong CacheAttributes = 0x98;

    /// <summary>What Linux's PAGE_KERNEL is without NX: present, writable, accessed, dirty.</summary>
    public const ulong KernelPage = Present | Writable | AccessedAndDirty;

    /// <summary>The mfn of an entry made from an invalid frame number: all 40 bits set.</summary>
    public const ulong InvalidMfn = Frames.MaxCount - 1;

    private const ulong TableExists = 1;

    public ulong Pte;

    private ulong _state;

    public static L1Entry NotPresent => new() { _state = TableExists };

    public readonly bool HasTable => _state != 0;

    public readonly bool IsPresent => (Pte & Present) != 0;

    public readonly ulong Mfn => MfnOf(Pte);

    public static ulong MfnOf(ulong pte) => (pte >> Frames.Shift) & (Frames.MaxCount - 1);

    public static L1Entry Mapping(ulong mfn, ulong flags) => new() { Pte = (mfn << Frames.Shift) | flags, _state = TableExists };

    public readonly L1Entry Advance(ulong distance)
    {
        L1Entry further = this;
        if (IsPresent)
            further.Pte = unchecked(Pte + (distance << Frames.Shift));
        return further;
    }

    public readonly bool Same(in L1Entry other) => Pte == other.Pte && _state == other._state;
}
