// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Pci;

/// <summary>What a <see cref="Bar"/> is: which of a function's address windows.</summary>
public enum BarKind
{
    /// <summary>One of the six base address registers, as memory.</summary>
    Memory,

    /// <summary>The expansion ROM.</summary>
    Rom,

    /// <summary>A base address register of an SR-IOV virtual function; covers all of them.</summary>
    VirtualFunction,

    /// <summary>A window that a bridge forwards.</summary>
    BridgeWindow,
}

/// <summary>A memory window of a PCI function at host addresses [Start, End) in bytes. I/O port windows are not kept: they take no part in a memory map.</summary>
/// <param name="Index">0–5 the base address registers, 6 the ROM, 7–12 SR-IOV, 13–16 bridge windows: the row of sysfs' <c>resource</c>.</param>
public sealed record Bar(int Index, BarKind Kind, ulong Start, ulong End, bool Is64Bit, bool IsPrefetchable)
{
    public ulong SizeBytes => End - Start;
}

/// <summary>A PCI function as far as its memory windows go.</summary>
/// <param name="Description">What a person calls it ("Ethernet controller: Intel …"); empty when unknown.</param>
public sealed record PciDevice(PciAddress Address, string Description, ImmutableArray<Bar> Bars);
