// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// What libxl means to do with <c>e820_host</c>: RAM up to the first address where the host has no memory, the host's map from there on, and the
/// rest of the RAM behind the whole of it.
/// </summary>
/// <remarks>
/// Mended: the high RAM lies behind the machine's map and not always at 4 GiB; the hole starts at a gap, too, where devices are; entries at 1 MiB
/// count; the map is sorted, without empty or overlapping entries, and checked to fit. Not mended, since it is meant: all low memory behind the first
/// hole is lost, and on a host with a region where the kernel must lie no guest starts.
/// </remarks>
public sealed class LibxlFixedPolicy : IHolePolicy
{
    /// <inheritdoc/>
    public string Name => "libxl-fixed";

    /// <inheritdoc/>
    public PolicyTraits Traits { get; } = new(PolicyNeeds.InstalledMap, 3);

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        List<KeptRange> kept = [.. HostHoles.Of(input.MachineMap)];
        ulong start = kept.Count == 0 ? Frames.FourGiB : kept[0].Start;
        foreach (E820Entry entry in SortedMap.Of(input.MachineMap.AsSpan()))
        {
            if (!SortedMap.IsMemory(entry) || entry.End <= start)
                continue;
            ulong from = Math.Max(entry.Address, start);
            if (from < Frames.FourGiB)
            {
                kept.Add(new(
                    from,
                    Math.Min(entry.End, Frames.FourGiB),
                    E820Type.Unusable,
                    "the host has memory here that is not the guest's; unusable, so that Linux does not take it for PCI space"));
            }

            if (entry.End > Frames.FourGiB)
                kept.Add(new(Math.Max(from, Frames.FourGiB), entry.End, null,
                    $"the host's: {E820TypeNames.Describe(entry.Type)}; the guest's comes after the host's map"));
        }

        kept.AddRange(HostHoles.BarsBehind(input));
        return MapAllocator.Allocate(kept, input);
    }
}
