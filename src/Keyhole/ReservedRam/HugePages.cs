// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;

namespace Keyhole.ReservedRam;

/// <summary>Large pages that fit a guest's kept RAM, and the huge pages of the host that would serve the same guest behind an IOMMU.</summary>
/// <param name="Of1GiB">Aligned pages of 1 GiB that lie whole in one identity slot.</param>
/// <param name="Of2MiB">Aligned pages of 2 MiB besides those.</param>
/// <param name="Instead">Kernel parameters for as much memory in huge pages, rounded up. Their physical addresses are the kernel's choice: they need
/// an IOMMU.</param>
public sealed record HugePages(ulong Of1GiB, ulong Of2MiB, string Instead)
{
    private const int TwoMiBShift = 21;
    private const int OneGiBShift = 30;

    /// <summary>What fits the guest's kept RAM.</summary>
    public static HugePages In(GuestRam guest)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ulong gigabytes = 0;
        ulong small = 0;
        foreach (MemorySlot slot in guest.Slots.Where(static slot => slot.IsIdentity))
        {
            ulong here = Whole(slot.Guest, OneGiBShift);
            gigabytes += here;
            small += Whole(slot.Guest, TwoMiBShift) - (here << (OneGiBShift - TwoMiBShift));
        }

        bool isLarge = guest.MemoryBytes >> OneGiBShift != 0;
        int shift = isLarge ? OneGiBShift : TwoMiBShift;
        ulong count = Align.Up(guest.MemoryBytes, 1UL << shift) >> shift;
        string size = isLarge ? "1G" : "2M";
        return new(gigabytes, small, string.Create(CultureInfo.InvariantCulture, $"default_hugepagesz={size} hugepagesz={size} hugepages={count}"));
    }

    private static ulong Whole(ByteRange range, int shift)
    {
        ulong start = Align.Up(range.Start, 1UL << shift);
        ulong end = Align.Down(range.End, 1UL << shift);
        return end > start ? (end - start) >> shift : 0;
    }
}
