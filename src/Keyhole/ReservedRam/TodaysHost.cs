// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>The same wish with what Linux offers today: memmap= parameters, and the /proc/iomem that they give.</summary>
public sealed record TodaysHost
{
    /// <summary>What is kept and what failed; more fails than in 2008, because the kernel's real-mode code is larger and memmap= takes whole
    /// pages.</summary>
    public required ReservedRamMap Map { get; init; }

    /// <summary>The guest on what is kept.</summary>
    public required GuestRam Guest { get; init; }

    /// <summary>The ranges of the memmap= parameters, at most <see cref="MemmapParameters.MaxRanges"/>. Between kept RAM they may cover what is
    /// reserved anyway.</summary>
    public required ImmutableArray<ByteRange> Memmaps { get; init => field = Given.Array(value); }

    /// <summary>RAM below the start that the host keeps because KASLR minds no more than four ranges.</summary>
    public required ImmutableArray<ByteRange> LeftOver { get; init => field = Given.Array(value); }

    /// <summary>The forecast map of the kernel.</summary>
    public required ImmutableArray<E820Entry> Iomem { get; init => field = Given.Array(value); }

    /// <summary>
    /// Whether kept RAM above 1 MiB becomes one resource with reserved memory below it, as it does on every PC. Linux marks such a resource
    /// busy, and a kernel with CONFIG_IO_STRICT_DEVMEM (Debian's) then refuses to map it; iomem=relaxed allows it.
    /// </summary>
    public required bool NeedsRelaxedIomem { get; init; }

    /// <summary>What the kernel has to be given, as it shall read it.</summary>
    public string Parameters => MemmapParameters.Join(Memmaps, NeedsRelaxedIomem);

    /// <param name="kernel">Where a kernel lies that cannot move; else empty.</param>
    public static TodaysHost Of(ImmutableArray<E820Entry> firmware, ulong start, ImmutableArray<EarlyReservation> further, ByteRange kernel,
        ulong guestBytes)
    {
        Given.Array(firmware, nameof(firmware));
        Given.Array(further, nameof(further));
        return Of(firmware, reservations => ReservedRamMap.Of(firmware, start, reservations), further, kernel, guestBytes);
    }

    /// <summary>The same for ranges anywhere.</summary>
    /// <param name="kept">Sorted, without overlaps.</param>
    /// <param name="kernel">Where a kernel lies that cannot move; else empty.</param>
    public static TodaysHost OfRanges(
        ImmutableArray<E820Entry> firmware, ImmutableArray<ByteRange> kept, ImmutableArray<EarlyReservation> further, ByteRange kernel,
        ulong guestBytes)
    {
        Given.Array(firmware, nameof(firmware));
        Given.Array(kept, nameof(kept));
        Given.Array(further, nameof(further));
        return Of(firmware, reservations => ReservedRamMap.OfRanges(firmware, kept, reservations), further, kernel, guestBytes);
    }

    private static TodaysHost Of(
        ImmutableArray<E820Entry> firmware,
        Func<ImmutableArray<EarlyReservation>, ReservedRamMap> split,
        ImmutableArray<EarlyReservation> further,
        ByteRange kernel,
        ulong guestBytes)
    {
        ImmutableArray<EarlyReservation> early = [.. EarlyReservations.OfToday, .. further];
        ReservedRamMap wished = split(early);
        ImmutableArray<ByteRange> pages = ByteRanges.WholePages(wished.Kept);
        ImmutableArray<ByteRange> scraps = ByteRanges.Subtract(wished.Kept, pages);
        ImmutableArray<ByteRange> wanted = Joined(pages, ByteRanges.Union(NonRam(firmware).Concat(scraps)));
        ImmutableArray<ByteRange> memmaps = Largest(wanted);
        ImmutableArray<ByteRange> leftOver = ByteRanges.Subtract(pages, memmaps);
        IEnumerable<EarlyReservation> more = scraps.Select(static range => new EarlyReservation(range, "not a whole page"))
            .Concat(leftOver.Select(static range => new EarlyReservation(range, "more ranges than KASLR minds")));
        ReservedRamMap map = split([.. early, .. more]);
        ImmutableArray<E820Entry> iomem = LinuxIomem.Forecast(firmware, memmaps, kernel);
        return new()
        {
            Map = map,
            Guest = GuestRam.Of(map, guestBytes),
            Memmaps = memmaps,
            LeftOver = leftOver,
            Iomem = iomem,
            NeedsRelaxedIomem =
                iomem.Any(entry => entry.Type == E820Type.Reserved && IsBusy(entry) && memmaps.Any(LinuxIomem.RangeOf(entry).Overlaps)),
        };
    }

    private static bool IsBusy(E820Entry entry) => entry.Address < X86Layout.OneMiB && entry.End > X86Layout.OneMiB;

    private static IEnumerable<ByteRange> NonRam(ImmutableArray<E820Entry> firmware) =>
        firmware.Where(static entry => entry is { IsRam: false, Wraps: false } && entry.Type != E820Type.None).Select(LinuxIomem.RangeOf);

    /// <summary>Ranges between which nothing lies but what is no RAM anyway become one. A gap stays open: a device may be there.</summary>
    private static ImmutableArray<ByteRange> Joined(ImmutableArray<ByteRange> pages, ImmutableArray<ByteRange> harmless)
    {
        var joined = ImmutableArray.CreateBuilder<ByteRange>(pages.Length);
        foreach (ByteRange range in pages)
        {
            if (joined.Count > 0 && ByteRanges.Subtract([ByteRange.FromBounds(joined[^1].End, range.Start)], harmless).IsEmpty)
                joined[^1] = ByteRange.FromBounds(joined[^1].Start, range.End);
            else
                joined.Add(range);
        }

        return joined.ToImmutable();
    }

    private static ImmutableArray<ByteRange> Largest(ImmutableArray<ByteRange> ranges) =>
        [.. ranges.OrderByDescending(static range => range.SizeBytes).ThenBy(static range => range.Start).Take(MemmapParameters.MaxRanges)
            .OrderBy(static range => range.Start)];
}
