// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Platforms.XenHvm;

/// <summary>Host memory that a device uses by itself (RMRR), as libxl treats it for a guest.</summary>
/// <param name="IsStrict">Whether a conflict with RAM refuses the guest; else the region is then not told to hvmloader.</param>
internal readonly record struct GuestDeviceMemory(ByteRange Range, bool IsStrict);

/// <summary>How libxl splits an HVM guest's RAM.</summary>
/// <param name="LowEnd">The end of RAM below 4 GiB, in bytes.</param>
/// <param name="HighEnd">The end of RAM above 4 GiB; 0 for none.</param>
/// <param name="Told">Reserved device memory that hvmloader is told of, in libxl's order.</param>
/// <param name="Conflict">Strict reserved device memory that lies in RAM: libxl refuses the guest.</param>
/// <param name="Dropped">Relaxed reserved device memory that lies in RAM: it is left out.</param>
/// <remarks>Source: libxl_dom.c (libxl__build_hvm), libxl_dm.c (libxl__domain_device_construct_rdm).</remarks>
internal sealed record HvmMemory(ulong LowEnd, ulong HighEnd, ImmutableArray<ByteRange> Told, ByteRange? Conflict, ImmutableArray<ByteRange> Dropped)
{
    private const ulong LargePage = X86Layout.LargePageBytes;

    /// <param name="bytes">RAM without what the video card has of it.</param>
    /// <param name="holeStart">Where RAM ends below 4 GiB at the latest.</param>
    /// <param name="boundary">RAM gives way to reserved device memory that starts above.</param>
    /// <param name="isHap">Whether the guest's memory is translated by the processor: RAM then ends on large pages.</param>
    public static HvmMemory LayOut(ulong bytes, ulong holeStart, ulong boundary, bool isHap, ImmutableArray<GuestDeviceMemory> regions)
    {
        ulong low = bytes, high = 0;
        if (low > holeStart)
        {
            high = Frames.FourGiB + (low - holeStart);
            low = holeStart;
        }

        foreach (GuestDeviceMemory region in regions)
        {
            ulong start = region.Range.Start;
            if (!ByteRange.FromBounds(0, low).Overlaps(region.Range) || start <= boundary)
                continue;
            if (isHap && start > LargePage)
                start = Align.Down(start, LargePage);
            high = (high == 0 ? Frames.FourGiB : high) + (low - start);
            low = start;
        }

        var told = ImmutableArray.CreateBuilder<ByteRange>();
        var dropped = ImmutableArray.CreateBuilder<ByteRange>();
        foreach (GuestDeviceMemory region in regions)
        {
            bool isInRam = ByteRange.FromBounds(0, low).Overlaps(region.Range) || ByteRange.FromBounds(Frames.FourGiB, high).Overlaps(region.Range);
            if (isInRam && region.IsStrict)
                return new(low, high, told.ToImmutable(), region.Range, dropped.ToImmutable());
            (isInRam ? dropped : told).Add(region.Range);
        }

        return new(low, high, told.ToImmutable(), null, dropped.ToImmutable());
    }
}
