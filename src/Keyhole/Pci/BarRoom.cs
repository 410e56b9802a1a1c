// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Numerics;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Pci;

/// <summary>How much room windows need where they are placed again (an HVM guest, a virtual machine of QEMU, a hole that a filter fills), in
/// bytes.</summary>
/// <remarks>PCI aligns a window to its size, a power of two. Placed by falling size from an address aligned to the largest, they leave no
/// gaps.</remarks>
public sealed record BarRoom
{
    /// <summary>Windows that must lie below 4 GiB: those of 32 bits.</summary>
    public required ulong LowBytes { get; init; }

    /// <summary>Alignment of the largest of them; 0 when there are none.</summary>
    public required ulong LowAlignment { get; init; }

    /// <summary>Windows of 64 bits, which may lie above.</summary>
    public required ulong HighBytes { get; init; }

    /// <summary>What the start of the room above 4 GiB is a multiple of, in bytes.</summary>
    public required ulong HighAlignment { get; init; }

    /// <summary>The smallest hole that ends at the I/O APIC and holds all windows of 32 bits; a multiple of 1 MiB, what a bridge can
    /// forward.</summary>
    public required ulong SmallestLowHoleBytes { get; init; }

    /// <summary>The same with the windows of 64 bits in it too: for guests whose firmware places nothing above 4 GiB. Null where they cannot fit
    /// below 4 GiB.</summary>
    public required ulong? SmallestHoleForAllBytes { get; init; }

    /// <summary>Bits of an address that reach the end of the highest window where it lies now.</summary>
    public required int AddressBitsNow { get; init; }

    /// <summary>Bits that are needed when the 64-bit windows are placed behind <paramref name="ramEnd"/>.</summary>
    /// <param name="ramEnd">Where the guest's RAM ends, in bytes.</param>
    public int AddressBitsBehind(ulong ramEnd)
    {
        if (HighBytes == 0)
            return BitsOf(Math.Max(ramEnd, Frames.FourGiB));
        ulong start = Align.Up(Math.Max(ramEnd, Frames.FourGiB), HighAlignment);
        return BitsOf(start + HighBytes);
    }

    /// <summary>Bridge windows hold other windows and do not count.</summary>
    public static BarRoom Of(ImmutableArray<Bar> bars)
    {
        Given.Array(bars, nameof(bars));
        List<ulong> low = [];
        List<ulong> high = [];
        ulong end = 0;
        foreach (Bar bar in bars)
        {
            if (bar.Kind == BarKind.BridgeWindow)
                continue;
            // Those of virtual functions cover all functions, and are aligned to one of them at least; a power of two is the safe side.
            ulong size = BitOperations.RoundUpToPowerOf2(Math.Max(bar.SizeBytes, Frames.SizeBytes));
            (bar.Is64Bit ? high : low).Add(size);
            end = Math.Max(end, bar.End);
        }

        ulong lowSum = Sum(low, out ulong lowAlignment);
        ulong highSum = Sum(high, out ulong highAlignment);
        return new()
        {
            LowBytes = lowSum,
            LowAlignment = lowAlignment,
            HighBytes = highSum,
            HighAlignment = highAlignment,
            SmallestLowHoleBytes = HoleFor(lowSum, lowAlignment) ?? X86Layout.UsualIoApic,
            SmallestHoleForAllBytes = HoleFor(lowSum + highSum, Math.Max(lowAlignment, highAlignment)),
            AddressBitsNow = end == 0 ? 0 : BitsOf(end),
        };
    }

    private static ulong Sum(List<ulong> sizes, out ulong alignment)
    {
        ulong sum = 0;
        alignment = 0;
        foreach (ulong size in sizes)
        {
            sum += size;
            alignment = Math.Max(alignment, size);
        }

        return sum;
    }

    /// <summary>From the highest start that is aligned to the largest window and leaves room for all, up to 4 GiB. Bridges forward whole MiB, and
    /// nothing starts at 0.</summary>
    private static ulong? HoleFor(ulong sum, ulong alignment)
    {
        if (sum == 0)
            return Frames.FourGiB - X86Layout.UsualIoApic;
        ByteRange window = ByteRange.FromBounds(X86Layout.OneMiB, X86Layout.UsualIoApic);
        return FirstFit.Highest(window, sum, Math.Max(alignment, X86Layout.OneMiB)) is { } start ? Frames.FourGiB - start : null;
    }

    private static int BitsOf(ulong end) => 64 - BitOperations.LeadingZeroCount(end - 1);
}
