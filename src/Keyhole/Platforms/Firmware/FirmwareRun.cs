// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Firmware;

/// <summary>What a firmware finds when QEMU starts it.</summary>
internal sealed record FirmwareInput(QemuMachine Machine, QemuMemory Memory, NumberedTree Tree)
{
    public bool IsQ35 => Machine.Type.Chipset == QemuChipset.Q35;

    /// <summary>
    /// Whether the width that the processor tells is believed. QEMU tells 40 bits where nobody set it, whatever the host has: from SeaBIOS 1.16.3 and
    /// OVMF 2022.11 on a width up to 40 is believed only where real processors of that maker have it.
    /// </summary>
    public bool HasValidWidth => Machine.Cpu.PhysBits >= 41 || Machine.Cpu.Vendor switch
    {
        CpuVendor.Intel => Machine.Cpu.PhysBits is 36 or 39,
        CpuVendor.Amd => Machine.Cpu.PhysBits == 40,
        CpuVendor.Other => false,
    };
}

/// <summary>What is wrong with the place that a firmware gave a BAR.</summary>
internal enum BarFault
{
    /// <summary>The place is no multiple of the BAR's size: the register drops the low bits, and the BAR lies elsewhere than the firmware
    /// meant.</summary>
    Misaligned,

    /// <summary>It lies over RAM.</summary>
    OverRam,

    /// <summary>It lies over addresses that the machine keeps for something else.</summary>
    OverReserved,

    /// <summary>It ends beyond what the processor can address.</summary>
    BeyondAddressWidth,
}

/// <summary>A BAR that has an address and still does not work.</summary>
/// <param name="Function">Index in <see cref="NumberedTree.Functions"/>.</param>
/// <param name="Address">Where the firmware meant it to be.</param>
internal readonly record struct FaultyBar(int Function, BarRequest Bar, ulong Address, BarFault Fault);

/// <summary>What a firmware makes of a machine.</summary>
/// <param name="Message">In the firmware's own words; null where it says nothing.</param>
/// <param name="Placement">Null only where the firmware does not get as far as PCI.</param>
/// <param name="E820">The map as an operating system gets it; the default where it is not known.</param>
/// <param name="Misaligned">BARs whose registers dropped part of the address that they were given.</param>
internal sealed record FirmwareRun(
    GuestOutcome Outcome, string? Message, PciPlacement? Placement, ImmutableArray<E820Entry> E820, ImmutableArray<FaultyBar> Misaligned)
{
    /// <summary>Why it does not get further where it says nothing itself; null where it does, or nothing is wrong.</summary>
    public string? Cause { get; init; }

    /// <summary>The configuration space as it lies in memory (q35); empty where there is none.</summary>
    public ByteRange Mmconfig { get; init; }

    /// <summary>Parts of <see cref="E820"/> that are not settled before the firmware runs.</summary>
    public ImmutableArray<UnsettledRange> Unsettled { get; init => field = Given.Array(value); } = [];

    /// <summary>The tree with no BAR placed, and the reason of each.</summary>
    public static PciPlacement NothingPlaced(NumberedTree tree, ImmutableArray<PlacementWindow> windows, Func<int, BarRequest, Unplaced> why)
    {
        var bars = ImmutableArray.CreateBuilder<BarPlacement>();
        var bridges = ImmutableArray.CreateBuilder<BridgeWindows>();
        for (int i = 0; i < tree.Functions.Length; i++)
        {
            PciFunction node = tree.Functions[i].Node;
            foreach (BarRequest bar in node.Bars)
                bars.Add(BarPlacement.None(i, bar, why(i, bar)));
            if (node.Bridge is not null)
                bridges.Add(new BridgeWindows(i, null, null, null));
        }

        return new(tree, windows, bars.ToImmutable(), bridges.ToImmutable())
        {
            VirtualBars = VirtualBarPlacement.AllOf(tree, static (_, _) => null, "no BAR gets an address"),
        };
    }
}
