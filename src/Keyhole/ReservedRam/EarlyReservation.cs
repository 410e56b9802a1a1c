// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.ReservedRam;

/// <summary>Memory below the start that the host's kernel or its firmware touches all the same. Where it meets RAM, that RAM is "failed".</summary>
/// <param name="Range">Bytes; need not be whole pages.</param>
/// <param name="Why">Who uses it, for people.</param>
public sealed record EarlyReservation(ByteRange Range, string Why);

/// <summary>The early reservations that every host has.</summary>
internal static class EarlyReservations
{
    /// <summary>Where the scheme moves the SMP trampoline: as high as it goes, so that low memory stays in one piece.</summary>
    public const ulong TrampolineStart = 0x9_0000;

    private const ulong TrampolineOf2008End = 0x9_2000;

    private static readonly EarlyReservation s_pageZero = new(ByteRange.FromBounds(0, 0x1000), "page 0: the BIOS's vectors and data");
    private static readonly EarlyReservation s_biosArea = new(ByteRange.FromBounds(X86Layout.IsaStart, X86Layout.IsaEnd), "display memory and ROMs");

    /// <summary>Those of the kernel of 2008: page 0, two pages for the SMP trampoline, the BIOS area.</summary>
    public static ImmutableArray<EarlyReservation> Of2008 { get; } =
        [s_pageZero, new(ByteRange.FromBounds(TrampolineStart, TrampolineOf2008End), "SMP trampoline"), s_biosArea];

    /// <summary>
    /// Those of Linux today: its real-mode code (28 KiB in 6.1) is allocated from the highest RAM below 640 KiB that is left to it, and it does not
    /// boot without. 64 KiB are left.
    /// </summary>
    public static ImmutableArray<EarlyReservation> OfToday { get; } =
        [s_pageZero, new(ByteRange.FromBounds(TrampolineStart, X86Layout.IsaStart), "the kernel's real-mode code"), s_biosArea];
}
