// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.PvGuest;

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
/// How one release of Linux sets up its memory: the behaviours that the table of <see cref="BehaviourSpan.Of"/> gives it, read by one algorithm.
/// The default has none of them and is no kernel: make one with <see cref="Of"/>.
/// </summary>
public readonly struct KernelProfile
{
    private const ulong PagesOf1GiB = 1UL << (30 - Frames.Shift);
    private const int SmallTable = 128;

    /// <summary>Entries of a table since it grew: 128, and 3 for each of 64 NUMA nodes.</summary>
    private const int LargeTable = 128 + (3 * 64);

    private readonly ulong _behaviours;

    private KernelProfile(KernelRelease release, ulong behaviours)
    {
        Release = release;
        _behaviours = behaviours;
    }

    /// <summary>The release that the profile was made from.</summary>
    public KernelRelease Release { get; }

    /// <summary>What becomes of the pages that lie where the map has no RAM.</summary>
    public DisplacedPages Displaced =>
        Has(KernelBehaviour.RemapsInBlocks) || Has(KernelBehaviour.RemapsByList) ? DisplacedPages.Remap :
        Has(KernelBehaviour.PopulatesElsewhere) ? DisplacedPages.ReleaseAndPopulate :
        DisplacedPages.Release;

    /// <summary>RAM beyond what the guest may have is left in the map as UNUSABLE; otherwise it is left out.</summary>
    public bool MarksSurplusUnusable => Has(KernelBehaviour.MarksSurplusUnusable) || Has(KernelBehaviour.MarksSurplusUnusableAgain);

    /// <summary>Bytes at the start of memory that are kept from use before memory is set up.</summary>
    public ulong ReservedLowBytes
    {
        get
        {
            if (!Has(KernelBehaviour.ReservesKernelEarly))
                return 0;
            return Has(KernelBehaviour.ReservesFirst64KiB) ? 64UL << 10 : Has(KernelBehaviour.ReservesFirstPage) ? Frames.SizeBytes : 0;
        }
    }

    /// <summary>Entries that its table for Xen's map holds.</summary>
    public int XenMapEntries => Has(KernelBehaviour.TakesLargeMaps) ? LargeTable : SmallTable;

    /// <summary>Entries that its own map holds (with CONFIG_EFI, as distributions have it).</summary>
    public int KernelMapEntries => LargeTable;

    /// <summary>What a release does, by the table of behaviours (docs/kernels.md).</summary>
    public static KernelProfile Of(KernelRelease release)
    {
        ulong behaviours = 0;
        for (int i = 0; i <= (int)KernelBehaviour.SaysSystemRam; i++)
        {
            if (Does(release, (KernelBehaviour)i))
                behaviours |= 1UL << i;
        }

        return new(release, behaviours);
    }

    /// <summary>The same release with one behaviour turned: gone where it has it, there where it has it not.</summary>
    public KernelProfile Unlike(KernelBehaviour behaviour) => new(Release, _behaviours ^ (1UL << (int)behaviour));

    /// <summary>Whether the kernel behaves so.</summary>
    public bool Has(KernelBehaviour behaviour) => ((_behaviours >> (int)behaviour) & 1) != 0;

    /// <summary>
    /// Pages that the kernel can manage. The state of July 2015 has no bound of its own in 64 bits, so that its sum of pages can wrap; 4.3 is
    /// bound to 64 TiB.
    /// </summary>
    /// <param name="is32Bit">A 32-bit kernel: 64 GiB.</param>
    /// <param name="isDom0">The 512 GiB limit is for domUs.</param>
    /// <param name="limitedTo512GiB">CONFIG_XEN_512GB with the command line's xen_512gb_limit applied.</param>
    public ulong PageLimit(bool is32Bit, bool isDom0, bool limitedTo512GiB)
    {
        if (is32Bit)
            return 64 * PagesOf1GiB;
        if (Has(KernelBehaviour.LimitedTo500GiB))
            return 500 * PagesOf1GiB;
        if (!isDom0 && limitedTo512GiB)
            return 512 * PagesOf1GiB;
        return Release == KernelRelease.July2015 ? ulong.MaxValue : 64 * 1024 * PagesOf1GiB;
    }

    /// <summary>Pages that the kernel maps directly: 64 TiB, in 32 bits 896 MiB of low memory.</summary>
    public static ulong MaxLowPages(bool is32Bit) => is32Bit ? 896UL << (20 - Frames.Shift) : 64 * 1024 * PagesOf1GiB;

    /// <summary>The table's answer, and for the states between releases what they had already.</summary>
    private static bool Does(KernelRelease release, KernelBehaviour behaviour)
    {
        if (release == KernelRelease.April2012 && behaviour is KernelBehaviour.PopulatesElsewhere or KernelBehaviour.StopsReleaseAtRefusal
            or KernelBehaviour.UpdatesOldMapping)
            return true;
        if (release == KernelRelease.July2015)
        {
            if (behaviour is KernelBehaviour.ChecksConflicts or KernelBehaviour.CountsBeforehand)
                return true;
            if (behaviour == KernelBehaviour.LimitedTo500GiB)
                return false;
        }

        return BehaviourSpan.Of(behaviour).Includes(release);
    }
}
