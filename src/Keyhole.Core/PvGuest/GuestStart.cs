// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.PvGuest;

/// <summary>What a PV kernel finds when it starts: start_info, and where the domain builder put things. All addresses are pseudo-physical.</summary>
/// <remarks>A range that is not known is left empty; it is then neither checked nor reserved.</remarks>
internal struct GuestStart
{
    public bool IsDom0;
    public bool Is32Bit;

    /// <summary>Whether the hypervisor translates frames (XENFEAT_auto_translated_physmap): the map is then taken as it is.</summary>
    public bool IsAutoTranslated;

    /// <summary>Whether a domU keeps to 512 GiB: CONFIG_XEN_512GB with xen_512gb_limit on the command line applied.</summary>
    public bool IsLimitedTo512GiB;

    /// <summary>start_info.nr_pages: the pages that the guest starts with, frames 0 to this.</summary>
    public ulong PageCount;

    /// <summary>The kernel's image with its bss.</summary>
    public ByteRange Kernel;

    public ByteRange StartInfo;

    public ByteRange PageTables;

    public ByteRange P2mList;

    public ByteRange Initrd;
}

/// <summary>Why a kernel stops while it sets its memory up, or what kills it. The words it dies with are the library's.</summary>
public enum HaltReason
{
    /// <summary>It does not halt.</summary>
    None,

    /// <summary>The hypercall for the map failed, or the map is empty: BUG without words.</summary>
    NoMemoryMap,

    /// <summary>The kernel lies where the map has no RAM.</summary>
    KernelConflict,

    /// <summary>The start info page lies where the map has no RAM.</summary>
    StartInfoConflict,

    /// <summary>The initial page tables lie where the map has no RAM.</summary>
    PageTableConflict,

    /// <summary>No RAM above the initial pages takes the ACPI NVS that lies where the kernel does.</summary>
    NoRoomForNvs,

    /// <summary>More than four pieces of NVS to move.</summary>
    TooManyNvs,

    /// <summary>The RAM that is to take the NVS does not end on a page: BUG, the NVS cannot keep its place within its page.</summary>
    NvsTargetUnaligned,

    /// <summary>32 bits: the p2m list cannot move.</summary>
    P2mListConflict,

    /// <summary>The p2m list has to move, and no RAM of the map has room for it.</summary>
    NoRoomForP2mList,

    /// <summary>The ramdisk has to move, and no RAM of the map has room for it.</summary>
    NoRoomForInitrd,

    /// <summary>Extra memory and remapped pages disagree: BUG.</summary>
    ExtraMemoryMismatch,

    /// <summary>A P2M, M2P or page-table update for a remapped page failed: BUG.</summary>
    RemapFailed,

    /// <summary>No check: the kernel gives away the pages that it runs in, and dies without a message.</summary>
    ReleasesItself,

    /// <summary>Xen takes no event or failsafe callback: BUG.</summary>
    CallbacksRefused,

    /// <summary>The map has more pieces than this forecast keeps account of: no statement.</summary>
    TooManyPieces,
}

/// <summary>What a kernel says or does while it sets its memory up, in its order.</summary>
internal enum BootEventKind
{
    /// <summary>An old kernel released pages of a run of frames: <c>Range</c> in pfns, <c>Count</c> of them released.</summary>
    Freed,

    /// <summary>An old kernel populated frames: <c>Range</c>, <c>Count</c>.</summary>
    Populated,

    /// <summary>Released in all: <c>Count</c>.</summary>
    Released,

    /// <summary>Frames set to identity in all, as old kernels count them: <c>Count</c>.</summary>
    IdentitySet,

    /// <summary>No RAM to remap a run to: <c>Range</c> is released instead.</summary>
    NoRangeToRemap,

    /// <summary>Moved: <c>From</c> and <c>To</c> in bytes.</summary>
    InitrdMoved,

    P2mListMoved,

    /// <summary>ACPI NVS moved away (since 6.12): <c>From</c> its place, <c>To</c> the RAM that took it.</summary>
    NvsMoved,

    /// <summary>Remapped in all: <c>Count</c>.</summary>
    Remapped,

    /// <summary>Pages that are no RAM, remapped in all (since 6.12): <c>Count</c>.</summary>
    NonRamRemapped,

    NotEnoughExtraRegions,

    /// <summary>Remapped in all, early: <c>Count</c>, and the frame behind the last target, the start of <c>Range</c> (3.18).</summary>
    RemappedAtOnce,

    /// <summary>The kernel's own map is full: the entry <c>From</c> is lost.</summary>
    EntryIgnored,
}

/// <summary>One thing that a kernel says or does; which members mean something, the kind tells.</summary>
internal struct BootEvent
{
    public BootEventKind Kind;
    public Addresses.PfnRange Range;
    public ulong Count;
    public ByteRange From;
    public ByteRange To;
}

/// <summary>Takes the events of a boot as they happen.</summary>
internal interface IBootLog
{
    void Report(in BootEvent bootEvent);
}
