// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// Holes only for the windows of the devices that are passed through and for what no RAM may cover: the pages of local and I/O APICs, and host memory
/// that devices use by themselves. The most RAM in the least pieces; no room for a device that comes later, or for one that the host's kernel moves.
/// </summary>
public sealed class MinimalPolicy : IHolePolicy
{
    /// <inheritdoc/>
    public string Name => "minimal";

    /// <inheritdoc/>
    public PolicyTraits Traits { get; } = new(PolicyNeeds.InstalledMap, 4) { HasRoomForLaterDevices = false };

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        List<KeptRange> kept = [.. Interrupts(input)];
        foreach (Bar bar in input.Bars)
        {
            // A bridge is not passed through; what is behind it has windows of its own.
            if (bar.Kind != BarKind.BridgeWindow)
                kept.Add(new(Pfn.Containing(bar.Start).ToAddress(), Pfn.AtOrAbove(bar.End).ToAddress(), null, "a window of the guest's device"));
        }

        foreach (ByteRange range in input.DeviceMemory)
            kept.Add(new(Pfn.Containing(range.Start).ToAddress(), Pfn.AtOrAbove(range.End).ToAddress(), E820Type.Reserved,
                "memory of the host's that devices use by themselves (RMRR)"));
        return MapAllocator.Allocate(kept, input);
    }

    /// <summary>Interrupt messages go to the local APICs' window whatever a guest has there; the I/O APICs' pages, as far as the host's map shows
    /// them.</summary>
    internal static IEnumerable<KeptRange> Interrupts(PolicyInput input)
    {
        yield return new(X86Layout.LocalApicStart, X86Layout.LocalApicEnd, E820Type.Reserved, "the local APICs: interrupt messages are written here");
        foreach (E820Entry entry in SortedMap.Of(input.MachineMap.AsSpan()))
        {
            ulong start = Math.Max(entry.Address, X86Layout.UsualIoApic);
            ulong end = Math.Min(entry.End, X86Layout.IoApicAreaEnd);
            if (start < end && !SortedMap.IsMemory(entry))
                yield return new(start, end, E820Type.Reserved, "I/O APICs");
        }
    }
}
