// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>
/// Where the EFI stub of Linux puts the kernel. It does not go by memmap=. Since 6.6 it unpacks the kernel itself, into a place by chance, or with
/// nokaslr into the first that the firmware left free (efi_decompress_kernel, efi_random_alloc with a seed of 0); since 6.10 into the first with any
/// mem= or memmap=, too. Before 6.6 a kernel that the firmware loaded stays where it is, wherever that be.
/// </summary>
internal static class EfiPlacement
{
    private static readonly Version s_first = new(6, 6);
    private static readonly Version s_low = new(6, 10);

    /// <summary>Whether a host's Linux is known to be put low with memmap=.</summary>
    public static bool IsLow(Host host) => ReleaseOf(host) is { } release && (release >= s_low || (release >= s_first && HasLowRoom(host)
        && host.Traits.KernelOptions?.Contains(HostOptions.NoKaslr, StringComparer.Ordinal) == true));

    /// <summary>How a host's Linux is put low although it is before 6.10, as advice; null where that does not keep it out of a range, or is not known
    /// of its release.</summary>
    public static string? ByNoKaslr(Host host, ByteRange kept)
    {
        bool isOutside = kept.Start >= Frames.FourGiB && HasLowRoom(host);
        return isOutside && ReleaseOf(host) is { } release && release >= s_first && release < s_low
            ? "boot with nokaslr, with which the EFI stub of Linux 6.6 to 6.9 puts the kernel low, and look again" : null;
    }

    /// <summary>The same for RAM that is yet to be kept, as what goes on behind a release to boot; empty where it does not help.</summary>
    public static string OrByNoKaslr(Host host, ImmutableArray<ByteRange> kept) => kept.All(static range => range.Start >= Frames.FourGiB)
        && HasLowRoom(host) ? ", or Linux 6.6 to 6.9 with nokaslr, which puts the kernel low, too" : "";

    private static bool HasLowRoom(Host host)
    {
        ImmutableArray<ByteRange> low = ByteRanges.Intersect(LinuxIomem.RamOf(host.Entries),
            [ByteRange.FromBounds(X86Layout.LinuxStart, Frames.FourGiB)]);
        return ByteRanges.Largest(low, ReservePlanner.StartAlignment).SizeBytes >= ReservePlanner.KernelBytes;
    }

    private static Version? ReleaseOf(Host host) => Version.TryParse(host.Traits.LinuxRelease, out Version? release) ? release : null;
}
