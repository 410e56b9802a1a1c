// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.Firmware;

/// <summary>A register that hvmloader gave an address: its message <c>pci dev 04:0 bar 18 size …: …</c>, or that there was no space.</summary>
/// <param name="Function">Index in the tree.</param>
/// <param name="Register">Its offset: 10–24, 30 the ROM.</param>
/// <param name="Value">What was written, the type bits included; null: "no space for resource!".</param>
internal readonly record struct HvmloaderLine(int Function, int Register, ulong SizeBytes, ulong? Value);

/// <summary>What hvmloader makes of a guest.</summary>
/// <param name="PanicMessage">Its own words, where it stops; null where it hands over.</param>
/// <param name="Map">The E820 that it hands to the firmware, ends exclusive.</param>
/// <param name="Placement">Null where the tree is not known.</param>
/// <param name="Lines">One for each register, in hvmloader's order.</param>
/// <param name="MovedBytes">RAM moved from below 4 GiB above it.</param>
/// <param name="Overwritten">Bridges whose registers were taken for BARs.</param>
internal sealed record HvmloaderRun(
    string? PanicMessage,
    ImmutableArray<E820Entry> Map,
    PciPlacement? Placement,
    ImmutableArray<HvmloaderLine> Lines,
    ulong LowEnd,
    ulong HighEnd,
    ulong MovedBytes,
    ImmutableArray<int> Overwritten)
{
    /// <summary>From where BARs below 4 GiB are placed (pci_mem_start).</summary>
    public ulong PciStart { get; init; }

    /// <summary>What ACPI tells of the room above 4 GiB; empty where no BAR went there.</summary>
    public ByteRange High { get; init; }

    /// <summary>Whether it said "Low MMIO hole not large enough for all devices, relocating some BARs to 64-bit".</summary>
    public bool MovesBarsHigh { get; init; }
}
