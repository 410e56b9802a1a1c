// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.PvGuest;

/// <summary>A Linux whose memory setup differs from its neighbours'. Those between behave like the next older one named here.</summary>
public enum KernelVersion
{
    Linux33,
    Linux34,
    Linux43,
    Linux44,
    Linux61,
    Linux66,
    Linux72,
}

/// <summary>What a kernel does with its pages that lie under holes of its map.</summary>
public enum DisplacedPages
{
    /// <summary>Given back to Xen and lost, but for the balloon.</summary>
    Release,

    /// <summary>Given back, and as many populated in RAM of the map behind the initial pages.</summary>
    ReleaseAndPopulate,

    /// <summary>Moved with their machine frames to RAM of the map behind the initial pages.</summary>
    Remap,
}

/// <summary>
/// How one Linux differs from the others in setting up its memory: named differences, read by one algorithm. The default is linux-3.3.
/// </summary>
public readonly struct KernelProfile
{
    private const ulong PagesOf1GiB = 1UL << (30 - Frames.Shift);
    private const int MapEntriesOfOld = 128;

    /// <summary>E820 entries since 4.4: 128, and 3 for each of 64 NUMA nodes.</summary>
    private const int MapEntriesOfNew = 128 + (3 * 64);

    private KernelProfile(KernelVersion version) => Version = version;

    public KernelVersion Version { get; }

    // No switch expression: for a number outside the enum the compiler makes it throw, and Core throws nothing.
    public DisplacedPages Displaced =>
        Version == KernelVersion.Linux33 ? DisplacedPages.Release :
        Version == KernelVersion.Linux34 ? DisplacedPages.ReleaseAndPopulate :
        DisplacedPages.Remap;

    /// <summary>RAM beyond what the guest may have is left in the map as UNUSABLE; later kernels leave it out.</summary>
    public bool MarksSurplusUnusable => Version <= KernelVersion.Linux43;

    /// <summary>Extra memory is kept in bytes as the map has them, not in whole pages.</summary>
    public bool ExtraMemoryInBytes => Version <= KernelVersion.Linux43;

    /// <summary>Pages to remap are counted entry by entry, without the gaps and with unaligned edges counted twice.</summary>
    public bool CountsRemapByEntry => Version == KernelVersion.Linux43;

    /// <summary>The sanitiser is told that the table has no more room than the entries it came with.</summary>
    public bool SanitizesWithinItsCount => Version <= KernelVersion.Linux43;

    /// <summary>A RAM range that ends just where the next target lies ends the search for room instead of being passed over.</summary>
    public bool StopsAtRangeEndingAtTarget => Version is KernelVersion.Linux43 or KernelVersion.Linux44;

    /// <summary>Whether it looks where kernel, page tables, p2m list and initrd lie.</summary>
    public bool ChecksConflicts => Version >= KernelVersion.Linux43;

    /// <summary>The check comes before anything else, covers start_info too, and moves ACPI NVS out of the way.</summary>
    public bool ChecksFirstAndSwapsNvs => Version == KernelVersion.Linux72;

    /// <summary>
    /// Dom0 reserves 512 KiB to 1 MiB so that an iBFT is found (since 6.5, Linux commit 9338c2233b97; with CONFIG_ISCSI_IBFT_FIND, as distributions
    /// have it).
    /// </summary>
    public bool ReservesIbftInDom0 => Version >= KernelVersion.Linux66;

    /// <summary>Of equal gaps it takes the highest for PCI; the others take the lowest.</summary>
    public bool PrefersHighPciGap => Version == KernelVersion.Linux72;

    /// <summary>An identity-mapped pfn keeps no mapping at its old virtual address.</summary>
    public bool ZapsOldMapping => Version == KernelVersion.Linux72;

    /// <summary>The result of maximum_reservation is taken for an int: no limit (2^32 − 1) then reads as an error.</summary>
    public bool TruncatesReservation => Version <= KernelVersion.Linux43;

    /// <summary>Bytes at the start of memory that are kept from use before memory is set up.</summary>
    public ulong ReservedLowBytes => Version >= KernelVersion.Linux61 ? 64UL << 10 : Frames.SizeBytes;

    /// <summary>Entries that its map tables hold.</summary>
    public int MapEntries => Version <= KernelVersion.Linux43 ? MapEntriesOfOld : MapEntriesOfNew;

    /// <summary>Whether all extra memory goes into a pool that grows by hotplug: the balloon then starts empty (Linux ≥ 6.10).</summary>
    public bool HasScratchPool => Version == KernelVersion.Linux72;

    public static KernelProfile Of(KernelVersion version) => new(version);

    /// <summary>
    /// Pages that the kernel can manage. 4.3 has no bound of its own in 64 bits, so that its sum of pages can wrap (mended in 4.4 by the
    /// bound of 64 TiB).
    /// </summary>
    /// <param name="is32Bit">A 32-bit kernel: 64 GiB.</param>
    /// <param name="isDom0">The 512 GiB limit is for domUs.</param>
    /// <param name="limitedTo512GiB">CONFIG_XEN_512GB with the command line's xen_512gb_limit applied.</param>
    public ulong PageLimit(bool is32Bit, bool isDom0, bool limitedTo512GiB)
    {
        if (is32Bit)
            return 64 * PagesOf1GiB;
        if (Version <= KernelVersion.Linux34)
            return 500 * PagesOf1GiB;
        if (!isDom0 && limitedTo512GiB)
            return 512 * PagesOf1GiB;
        return Version == KernelVersion.Linux43 ? ulong.MaxValue : 64 * 1024 * PagesOf1GiB;
    }

    /// <summary>Pages that the kernel maps directly: 64 TiB, in 32 bits 896 MiB of low memory.</summary>
    public static ulong MaxLowPages(bool is32Bit) => is32Bit ? 896UL << (20 - Frames.Shift) : 64 * 1024 * PagesOf1GiB;
}
