// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.PvGuest;

/// <summary>
/// What some releases of Linux do in setting up a PV guest's memory, and others do not. When each began and ended: <see cref="BehaviourSpan.Of"/>.
/// </summary>
public enum KernelBehaviour
{
    /// <summary>Pages under holes are given back, and as many populated in RAM of the map behind the initial pages.</summary>
    PopulatesElsewhere,

    /// <summary>Populating goes on where it stopped, through holes as well, and rounds RAM outward to pages.</summary>
    PopulatesThroughHoles,

    /// <summary>Pages under holes move with their machine frames, at once and in aligned blocks of 512.</summary>
    RemapsInBlocks,

    /// <summary>Pages under holes move with their machine frames, listed first and moved when memory can be allocated.</summary>
    RemapsByList,

    /// <summary>The first page that Xen does not take back ends the release of its hole; before, it cost that page alone.</summary>
    StopsReleaseAtRefusal,

    /// <summary>The old virtual address of a page under a hole is made to lead to the device, or nowhere.</summary>
    UpdatesOldMapping,

    /// <summary>It leads nowhere, but for the ISA area, which leads to the device.</summary>
    ZapsOldMappingButIsa,

    /// <summary>It leads nowhere.</summary>
    ZapsOldMapping,

    /// <summary>In dom0, UNUSABLE entries of the machine map are RAM.</summary>
    TakesUnusableForRam,

    /// <summary>A hole that reaches 512 GiB is identity like any other; before, the whole of it was not.</summary>
    IdentityReaches512GiB,

    /// <summary>All that lies behind the map is identity.</summary>
    IdentityBehindMap,

    /// <summary>Frames that are extra memory and part of a hole's page keep their identity.</summary>
    ExtraSparesIdentity,

    /// <summary>The frames from the end of the initial pages to the next multiple of 512 have no machine frame unless something else says
    /// so.</summary>
    LeavesTailInvalid,

    /// <summary>The sanitiser never merges persistent memory of type 12.</summary>
    KeepsPramApart,

    /// <summary>Where kernel and page tables lie is checked; p2m list and initrd move.</summary>
    ChecksConflicts,

    /// <summary>The pages to remap are counted first and added to the limit.</summary>
    CountsBeforehand,

    /// <summary>That count goes entry by entry, and counts pages that two entries share twice.</summary>
    CountsSharedPagesTwice,

    /// <summary>Extra memory is kept in bytes as the map has them, not in whole pages.</summary>
    ExtraInBytes,

    /// <summary>No more than 500 GiB are managed.</summary>
    LimitedTo500GiB,

    /// <summary>The result of maximum_reservation is taken for an int: no limit (2^32 − 1) then reads as an error.</summary>
    ReadsReservationAsInt,

    /// <summary>The sanitiser is told that Xen's map has no more room than the entries it came with.</summary>
    SanitizesWithinItsCount,

    /// <summary>RAM beyond what the guest may have is left in the map as UNUSABLE; later it is left out.</summary>
    MarksSurplusUnusable,

    /// <summary>The same again, for a while.</summary>
    MarksSurplusUnusableAgain,

    /// <summary>A RAM range that ends just where the next page is to go ends the search for room instead of being passed over.</summary>
    StopsAtRangeEndingAtTarget,

    /// <summary>Xen's map may have more than 128 entries.</summary>
    TakesLargeMaps,

    /// <summary>The kernel's image and its initrd are reserved before memory is set up.</summary>
    ReservesKernelEarly,

    /// <summary>The first page is reserved before memory is set up.</summary>
    ReservesFirstPage,

    /// <summary>The first 64 KiB are reserved before memory is set up.</summary>
    ReservesFirst64KiB,

    /// <summary>Only one vm_assist is asked for.</summary>
    AsksForOneAssist,

    /// <summary>32-bit programs get one fast way into the kernel only.</summary>
    RegistersOneFastCall,

    /// <summary>cpuidle and cpufreq are off.</summary>
    LeavesPowerToXen,

    /// <summary>Dom0 keeps 512 KiB to 1 MiB for an iBFT.</summary>
    KeepsIbftArea,

    /// <summary>All extra memory goes into a pool that grows by hotplug; the balloon starts empty.</summary>
    HasScratchPool,

    /// <summary>The kernel's image is checked to its very end (_end); before, to the end of its bss.</summary>
    ChecksToEnd,

    /// <summary>The check comes first and covers start_info; ACPI NVS in the way is moved elsewhere.</summary>
    MovesNvs,

    /// <summary>ACPI NVS that does not begin at a page's start comes to lie as far before its new page as it lay behind its old one.</summary>
    MisplacesUnalignedNvs,

    /// <summary>The search for NVS begins again after each that was moved, so that none is overlooked.</summary>
    SearchesNvsAnew,

    /// <summary>Of equal gaps the highest is for PCI; before, the lowest.</summary>
    PrefersHighPciGap,

    /// <summary>Messages speak of "[mem 0x…-0x…]", behind "e820: "; before, of "start - end".</summary>
    SaysMem,

    /// <summary>"available gap", "32-bit".</summary>
    SaysAvailableGap,

    /// <summary>No "e820: " before messages.</summary>
    SaysNoPrefix,

    /// <summary>"System RAM", "device reserved" and "[gap …]".</summary>
    SaysSystemRam,
}

/// <summary>Releases of one stable series that do something: from one patch on, up to another, whatever the mainline did.</summary>
internal readonly struct StableSpan
{
    public StableSpan(byte major, byte minor, ushort from, ushort until = ushort.MaxValue)
    {
        Major = major;
        Minor = minor;
        From = from;
        Until = until;
    }

    public byte Major { get; }

    public byte Minor { get; }

    /// <summary>The first patch that does it.</summary>
    public ushort From { get; }

    /// <summary>The first patch that does it no more; 65535 where none ended it. The default is a span of no release.</summary>
    public ushort Until { get; }
}

/// <summary>When a behaviour began and ended.</summary>
/// <remarks>
/// Sources: the setup code of 63 releases, of which 30 have vectors in tests/fixtures/kernels; Debian's changelogs and the announcements of stable
/// releases for what these took over. Where only some releases of a stable series were seen, the span begins with the first that was.
/// </remarks>
internal readonly struct BehaviourSpan
{
    /// <summary>Stable series that a span can speak of.</summary>
    public const int MaxStable = 8;

    private readonly StableSpan _first;
    private readonly StableSpan _second;
    private readonly StableSpan _third;
    private readonly StableSpan _fourth;
    private readonly StableSpan _fifth;
    private readonly StableSpan _sixth;
    private readonly StableSpan _seventh;
    private readonly StableSpan _eighth;

    private BehaviourSpan(
        KernelRelease since,
        KernelRelease until,
        StableSpan first = default,
        StableSpan second = default,
        StableSpan third = default,
        StableSpan fourth = default,
        StableSpan fifth = default,
        StableSpan sixth = default,
        StableSpan seventh = default,
        StableSpan eighth = default)
    {
        Since = since;
        Until = until;
        _first = first;
        _second = second;
        _third = third;
        _fourth = fourth;
        _fifth = fifth;
        _sixth = sixth;
        _seventh = seventh;
        _eighth = eighth;
    }

    /// <summary>Behind every release.</summary>
    public static KernelRelease Never => new(byte.MaxValue, byte.MaxValue);

    /// <summary>The first mainline release that does it; <see cref="KernelRelease.First"/> where none is known that does not.</summary>
    public KernelRelease Since { get; }

    /// <summary>The first mainline release that does it no more; <see cref="Never"/> where there is none.</summary>
    public KernelRelease Until { get; }

    /// <summary>A stable series that differs from the mainline; one of patch 0 to 0 stands for none.</summary>
    /// <param name="index">0 to <see cref="MaxStable"/> − 1.</param>
    public StableSpan Stable(int index) =>
        index == 0 ? _first : index == 1 ? _second
            : index == 2 ? _third : index == 3 ? _fourth : index == 4 ? _fifth : index == 5 ? _sixth : index == 6 ? _seventh : _eighth;

    /// <summary>Whether a release does it. A stable series that is named goes by its own patches, every other by the mainline.</summary>
    public bool Includes(KernelRelease release)
    {
        for (int i = 0; i < MaxStable; i++)
        {
            StableSpan stable = Stable(i);
            if (stable.Until != 0 && release.IsOfSeries(stable.Major, stable.Minor))
                return release.Patch >= stable.From && release.Patch < stable.Until;
        }

        return release >= Since && release < Until;
    }

    /// <summary>The table: what began and ended when.</summary>
    public static BehaviourSpan Of(KernelBehaviour behaviour)
    {
        // A statement, not an expression: that would throw for a number outside the enum.
        switch (behaviour)
        {
            case KernelBehaviour.PopulatesElsewhere:
                return new(new(3, 5), new(3, 18));
            case KernelBehaviour.PopulatesThroughHoles:
                return new(new(3, 5), new(3, 6));
            case KernelBehaviour.RemapsInBlocks:
                return new(new(3, 18), new(3, 19));
            case KernelBehaviour.RemapsByList:
                return new(new(3, 19), Never);
            case KernelBehaviour.StopsReleaseAtRefusal:
            case KernelBehaviour.UpdatesOldMapping:
                return new(new(3, 5), Never);
            case KernelBehaviour.ZapsOldMappingButIsa:
                return new(new(3, 13), new(3, 18));
            case KernelBehaviour.ZapsOldMapping:
                return new(new(5, 17), Never);
            case KernelBehaviour.TakesUnusableForRam:
                return new(new(3, 11), Never, new StableSpan(3, 10, 17));
            case KernelBehaviour.IdentityReaches512GiB:
                return new(new(3, 14), Never);
            case KernelBehaviour.IdentityBehindMap:
                return new(new(3, 16), Never);
            case KernelBehaviour.ExtraSparesIdentity:
                return new(new(3, 6), new(3, 19));
            case KernelBehaviour.LeavesTailInvalid:
                return new(new(3, 19), Never);
            case KernelBehaviour.KeepsPramApart:
                return new(new(4, 1), Never);
            case KernelBehaviour.ChecksConflicts:
            case KernelBehaviour.CountsBeforehand:
                return new(new(4, 3), Never);
            case KernelBehaviour.CountsSharedPagesTwice:
                return new(new(4, 3), new(4, 7), new StableSpan(4, 4, 0, 13), new StableSpan(4, 5, 0, 7), new StableSpan(4, 6, 0, 2));
            case KernelBehaviour.ExtraInBytes:
            case KernelBehaviour.LimitedTo500GiB:
            case KernelBehaviour.ReadsReservationAsInt:
            case KernelBehaviour.SanitizesWithinItsCount:
                return new(KernelRelease.First, new(4, 3));
            case KernelBehaviour.MarksSurplusUnusable:
                return new(KernelRelease.First, new(4, 4));
            case KernelBehaviour.MarksSurplusUnusableAgain:
                return new(new(4, 16), new(4, 20), new StableSpan(4, 14, 74), new StableSpan(4, 19, 0, 9));
            case KernelBehaviour.StopsAtRangeEndingAtTarget:
                return new(new(3, 18), new(4, 4));
            case KernelBehaviour.TakesLargeMaps:
                return new(new(4, 12), Never, new StableSpan(4, 9, 76, 77));
            case KernelBehaviour.ReservesKernelEarly:
                return new(KernelRelease.First, Never, new StableSpan(5, 13, ushort.MaxValue), new StableSpan(5, 14, 9));
            case KernelBehaviour.ReservesFirstPage:
                return new(
                    new(4, 19),
                    Never,
                    new StableSpan(4, 4, 148),
                    new StableSpan(4, 9, 120),
                    new StableSpan(4, 14, 63),
                    new StableSpan(4, 15, 18),
                    new StableSpan(4, 17, 15),
                    new StableSpan(4, 18, 1));
            case KernelBehaviour.ReservesFirst64KiB:
                return new(new(5, 15), Never, new StableSpan(5, 14, 9));
            case KernelBehaviour.AsksForOneAssist:
                return new(new(6, 4), Never);
            case KernelBehaviour.RegistersOneFastCall:
                return new(new(7, 0), Never);
            case KernelBehaviour.LeavesPowerToXen:
                return new(new(3, 4), Never);
            case KernelBehaviour.KeepsIbftArea:
                return new(new(6, 5), Never);
            case KernelBehaviour.HasScratchPool:
                return new(new(6, 10), Never);
            case KernelBehaviour.ChecksToEnd:
                return new(
                    new(6, 12),
                    Never,
                    new StableSpan(4, 19, 323),
                    new StableSpan(5, 4, 285),
                    new StableSpan(5, 10, 227),
                    new StableSpan(5, 15, 168),
                    new StableSpan(6, 1, 113),
                    new StableSpan(6, 6, 54),
                    new StableSpan(6, 10, 13),
                    new StableSpan(6, 11, 2));
            case KernelBehaviour.MovesNvs:
                return new(new(6, 12), Never, new StableSpan(6, 6, 54), new StableSpan(6, 10, 13), new StableSpan(6, 11, 2));
            case KernelBehaviour.MisplacesUnalignedNvs:
                return new(
                    new(6, 12),
                    new(7, 1),
                    new StableSpan(6, 6, 54, 142),
                    new StableSpan(6, 10, 13),
                    new StableSpan(6, 11, 2),
                    new StableSpan(6, 12, 0, 92),
                    new StableSpan(6, 18, 0, 34),
                    new StableSpan(7, 0, 0, 11));
            case KernelBehaviour.SearchesNvsAnew:
                return new(new(7, 1), Never);
            case KernelBehaviour.PrefersHighPciGap:
            case KernelBehaviour.SaysSystemRam:
                return new(new(7, 0), Never);
            case KernelBehaviour.SaysMem:
                return new(new(3, 5), Never);
            case KernelBehaviour.SaysAvailableGap:
                return new(new(4, 12), Never);
            case KernelBehaviour.SaysNoPrefix:
                return new(new(4, 18), Never);
        }

        return default;
    }
}
