// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>One register that a filter would have to answer for.</summary>
/// <param name="RegisterOffset">Offset in configuration space of the (lower) register; null for virtual functions, whose registers lie in a
/// capability.</param>
/// <param name="Old">What the register holds: the host's address.</param>
/// <param name="New">What the guest has to read.</param>
/// <param name="WithoutIt">What happens when the guest reads the old address.</param>
public sealed record FilterRule(Bar Bar, int? RegisterOffset, ulong Old, ulong New, string WithoutIt)
{
    /// <summary>Whether the window has a second register for the upper half of its address.</summary>
    public bool HasUpperHalf => Bar.Is64Bit;
}

/// <summary>
/// The filter of configuration-space reads that <see cref="Hole3GPolicy"/> needs, as data and as text. Nobody has written it; this tells why nobody
/// should.
/// </summary>
internal sealed record ConfigurationFilter
{
    public required ImmutableArray<FilterRule> Rules { get; init => field = Given.Array(value); }

    /// <summary>Windows for which the hole has no room.</summary>
    public required ImmutableArray<Bar> Unplaced { get; init => field = Given.Array(value); }

    /// <summary>Where the filter has to sit; both, since both let the guest read.</summary>
    public static ImmutableArray<string> Places { get; } =
    [
        "in the hypervisor, for whoever reads through ports cf8/cfc or the memory-mapped configuration space: dom0",
        "in the front end (pcifront), for a guest that reads through the PCI back end; the back end can filter what it answers, but the guest then "
            + "lacks the machine frames for its P2M",
    ];

    public static ImmutableArray<string> Costs { get; } =
    [
        "state for each register: a guest sizes a window by writing all ones and reading back, then writes the address again, and the "
            + "filter must know which of these it sees",
        "64-bit windows have their address in two registers, read one at a time",
        "two filters to keep in step, in Xen and in Linux, each with the same table of old and new addresses",
        "the P2M entries are not identity: whoever makes a page-table entry from the new address must go through the P2M, and whoever "
            + "has a machine address must find back",
        "after a migration the old addresses are others and the table is a new one",
        "the hole holds 1 GiB less what is at its end: larger windows have no place at all",
    ];

    /// <param name="guestMap">The guest's map: what a read of the old address runs into.</param>
    public static ConfigurationFilter Of(ImmutableArray<Bar> bars, ImmutableArray<E820Entry> guestMap)
    {
        var rules = ImmutableArray.CreateBuilder<FilterRule>();
        var homeless = ImmutableArray.CreateBuilder<Bar>();
        foreach (BarPlace place in BarFilter.Place(bars))
        {
            if (place.GuestStart is not { } start)
                homeless.Add(place.Bar);
            else if (!place.IsIdentity)
                rules.Add(new(place.Bar, OffsetOf(place.Bar), place.Bar.Start, start, WithoutIt(place.Bar, guestMap)));
        }

        return new() { Rules = rules.ToImmutable(), Unplaced = homeless.ToImmutable() };
    }

    private static int? OffsetOf(Bar bar) => bar.Kind switch
    {
        BarKind.Memory => 0x10 + (4 * bar.Index),
        BarKind.Rom => 0x30,
        BarKind.VirtualFunction or BarKind.BridgeWindow => null,
    };

    private static string WithoutIt(Bar bar, ImmutableArray<E820Entry> guestMap)
    {
        if (SortedMap.Obstacle(guestMap.AsSpan(), bar.Range) is { } entry)
        {
            return entry.IsRam
                ? string.Create(
                    CultureInfo.InvariantCulture,
                    $"the guest's map says RAM at 0x{bar.Start:x}: the window is not claimed, and ioremap(0x{bar.Start:x}) finds page_is_ram, "
                        + $"warns and returns nothing; were it let through, the driver would write into pages of the guest's (pfn 0x"
                        + $"{Pfn.Containing(bar.Start).Value:x})")
                : string.Create(CultureInfo.InvariantCulture, $"the window conflicts with the map's entry at 0x{entry.Address:x} and is not claimed");
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"0x{bar.Start:x} is outside of the guest's map: the window is claimed there and works as identity, but the hole was made for nothing");
    }
}
