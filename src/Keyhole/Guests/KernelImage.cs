// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.Guests;

/// <summary>
/// What a Linux kernel image says of itself: its release, and the physical addresses that it takes when it is loaded where it was linked. Read by
/// <see cref="KernelImageReader"/>.
/// </summary>
/// <param name="Version">The version line as the image has it ("6.1.0-50-amd64 (…) … Debian 6.1.176-1 …"), at most 256 characters; null where it has
/// none.</param>
/// <param name="Start"><c>_text</c>, in bytes: 0x1000000 in every kernel of a distribution.</param>
/// <param name="BssStop"><c>__bss_stop</c>, in bytes: up to there kernels before 6.12 look for conflicts with their map.</param>
/// <param name="End"><c>_end</c>, in bytes: up to there newer ones look. What loaders load goes on behind it (<c>.init.scratch</c>).</param>
/// <param name="LoadedEnd">The end of what a loader gives the image, in bytes: the end that Xen and xl print.</param>
public sealed record KernelImage(string? Version, ulong Start, ulong BssStop, ulong End, ulong LoadedEnd)
{
    /// <summary>What the kernel looks at when it checks its map.</summary>
    /// <param name="checksToEnd">Whether its release looks up to <c>_end</c>.</param>
    public ByteRange Checked(bool checksToEnd) => ByteRange.FromBounds(Start, checksToEnd ? End : BssStop);

    /// <summary>What a loader gives it.</summary>
    public ByteRange Loaded => ByteRange.FromBounds(Start, LoadedEnd);
}
