// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// Always one hole, from 3 GiB to 4 GiB, whatever the host has (seed 001, option 3). A window that lies elsewhere gets a place in the hole that is
/// not its own: its P2M entries are then no identity, and something has to tell the guest the new address when it reads the register.
/// <see cref="BarFilter"/> says what.
/// </summary>
public sealed class Hole3GPolicy : IHolePolicy
{
    /// <summary>Where the hole starts, in bytes: 3 GiB.</summary>
    public const ulong HoleStart = 3UL << 30;

    /// <inheritdoc/>
    public string Name => "hole-3g";

    /// <inheritdoc/>
    public PolicyTraits Traits { get; } = new(PolicyNeeds.ConfigurationFilter, 6) { HoleStartOnEveryHost = HoleStart };

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        PolicyResult result = MapAllocator.Allocate(HoleAtPolicy.Hole(HoleStart, "the hole for PCI devices, from 3 GiB on every host"), input);
        List<Problem> problems = [];
        foreach (BarPlace place in BarFilter.Place(input.Bars))
        {
            Bar bar = place.Bar;
            if (place.GuestStart is null)
            {
                problems.Add(new(
                    Severity.Error,
                    ProblemCodes.FilterNeeded,
                    $"the window at [0x{bar.Start:x}, 0x{bar.End:x}) is outside of the hole, and "
                        + $"{ByteSize.ToText(bar.SizeBytes)} find no room in it",
                    bar.Start,
                    bar.End,
                    "take hole-at, punch or minimal"));
            }
            else if (!place.IsIdentity)
            {
                problems.Add(new(
                    Severity.Error,
                    ProblemCodes.FilterNeeded,
                    $"the window at [0x{bar.Start:x}, 0x{bar.End:x}) is outside of the hole: reads of its register must be filtered to say 0x"
                        + $"{place.GuestStart:x}, which neither Xen nor pcifront does",
                    bar.Start,
                    bar.End,
                    "take hole-at, punch or minimal, where the window is its own frames"));
            }
        }

        return result with { Problems = [.. problems, .. result.Problems] };
    }
}
