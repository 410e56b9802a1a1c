// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>What somebody wishes to keep aside on a host.</summary>
public sealed record ReserveRequest
{
    /// <summary>The host, with its firmware's map.</summary>
    public required Host Host { get; init; }

    /// <summary>What the host is called, in one line.</summary>
    public string HostName { get; init; } = "";

    /// <summary>
    /// The lowest address that the host's kernel shall use, in bytes. With <see cref="LowestStart"/> an upper bound of it: the address below which
    /// the device can reach.
    /// </summary>
    public required ulong Start { get; init; }

    /// <summary>RAM to keep anywhere instead of below a start, in bytes; empty: everything below <see cref="Start"/>.</summary>
    public ImmutableArray<ByteRange> Ranges { get; init => field = Given.Array(value); } = [];

    /// <summary>Take the lowest start that keeps <see cref="GuestBytes"/>, at most <see cref="Start"/>. Without a size for the guest it is
    /// <see cref="Start"/> itself.</summary>
    public bool LowestStart { get; init; }

    /// <summary>The guest's memory, or null: all that is kept.</summary>
    public ulong? GuestBytes { get; init; }

    /// <summary>What else is not left alone below the start: the boot loader's, firmware's.</summary>
    public ImmutableArray<EarlyReservation> Reserved { get; init => field = Given.Array(value); } = [];

    /// <summary>Where the host's kernel lies, if it cannot move (nokaslr, no CONFIG_RELOCATABLE); else empty.</summary>
    public ByteRange Kernel { get; init; }

    /// <summary>Size of the crash kernel's memory (crashkernel=), or 0.</summary>
    public ulong CrashKernelBytes { get; init; }

}

/// <summary>The answer. Data only.</summary>
public sealed record ReservePlan
{
    /// <summary>The host.</summary>
    public required Host Host { get; init; }

    /// <summary>What the host is called, in one line.</summary>
    public string HostName { get; init; } = "";

    /// <summary>The start that was taken; 0 where ranges are kept instead.</summary>
    public required ulong Start { get; init; }

    /// <summary>The ranges that are kept, sorted and joined; empty where a start is.</summary>
    public ImmutableArray<ByteRange> Ranges { get; init => field = Given.Array(value); } = [];

    /// <summary>The scheme of 2008; null where the start is impossible.</summary>
    public ReservedRamMap? Map { get; init; }

    /// <summary>The guest on it.</summary>
    public GuestRam? Guest { get; init; }

    /// <summary>The same with Linux of today.</summary>
    public TodaysHost? Today { get; init; }

    /// <summary>
    /// Whether lines of the host's map that are lost decide what is kept, and by which parameters. <see cref="Map"/>, <see cref="Guest"/> and
    /// <see cref="Today"/> are null then.
    /// </summary>
    public bool IsKeptNotKnown { get; init; }

    /// <summary>Whether lost lines decide where the start is, too.</summary>
    public bool IsStartNotKnown { get; init; }

    /// <summary>Where lost lines decide what is kept: what Linux keeps whatever they said.</summary>
    public ImmutableArray<ByteRange> SurelyKept { get; init => field = Given.Array(value); } = [];

    /// <summary>What of the parameters stands on the host's command line already; null where that is not known.</summary>
    public StandingOptions? Standing { get; init; }

    /// <summary>What was asked for; a check plans it again with what the running host shows.</summary>
    internal ReserveRequest? Request { get; init; }

    /// <summary>What is wrong, or worth knowing.</summary>
    public required ImmutableArray<Problem> Problems { get; init => field = Given.Array(value); }

    /// <summary>Whether a problem is an error.</summary>
    public bool HasErrors => Problems.Any(static problem => problem.Severity == Severity.Error);
}

/// <summary>The codes of the problems that keeping RAM aside has. They are part of the JSON contract: never renamed.</summary>
public static class ReserveProblemCodes
{
    /// <summary>The start is no multiple of 2 MiB, where a kernel can lie.</summary>
    public const string StartUnaligned = "start-unaligned";

    /// <summary>The start lies above all RAM: nothing is left to the host.</summary>
    public const string StartAboveRam = "start-above-ram";

    /// <summary>Only memory below 1 MiB would be kept, on which no guest lives.</summary>
    public const string BelowOneMiB = "below-1mib";

    /// <summary>There is no RAM to keep there, or all of it is in use.</summary>
    public const string NothingKept = "nothing-kept";

    /// <summary>The host's kernel lies in what shall be kept and does not move.</summary>
    public const string KernelOverlap = "kernel-overlap";

    /// <summary>The host keeps no piece that is large enough for its kernel.</summary>
    public const string KernelDoesNotFit = "kernel-does-not-fit";

    /// <summary>The kernel has to choose its own place (KASLR): with nokaslr it would lie in the kept RAM.</summary>
    public const string KernelMustMove = "kernel-must-move";

    /// <summary>The crash kernel finds no place in what the host keeps, or wants memory below 4 GiB besides.</summary>
    public const string CrashKernelDoesNotFit = "crash-kernel-does-not-fit";

    /// <summary>The guest wants more than is kept.</summary>
    public const string GuestTooLarge = "guest-too-large";

    /// <summary>The host keeps too little below 4 GiB for its own devices of 32 address bits.</summary>
    public const string LowMemoryGone = "low-memory-gone";

    /// <summary>More <c>memmap=</c> than the kernel minds when it chooses its place.</summary>
    public const string TooManyRanges = "too-many-ranges";

    /// <summary>The host has an IOMMU: RAM at its own addresses is not needed.</summary>
    public const string IommuPresent = "iommu-present";

    /// <summary>Without an IOMMU the guest's device reads and overwrites all of the host's RAM.</summary>
    public const string DeviceReachesAll = "device-reaches-all";

    /// <summary>Kept RAM becomes a busy resource; the parameters say <c>iomem=relaxed</c>, so that it can be mapped.</summary>
    public const string IomemRelaxed = "iomem-relaxed";

    /// <summary>The map is a kernel's: what was kept at its boot is missing from it.</summary>
    public const string NotFirmwareMap = "not-the-firmware-map";

    /// <summary>The host boots by EFI, where its kernel does not steer clear of <c>memmap=</c>.</summary>
    public const string EfiKernelPlace = "efi-kernel-place";

    /// <summary>Part of what shall be kept is no RAM of this host.</summary>
    public const string RangeWithoutRam = "range-without-ram";

    /// <summary>Lines of the host's map are lost that decide what is kept, or whether a running host keeps it.</summary>
    public const string KeptNotKnown = "kept-not-known";

    /// <summary>Pages of the guest's map are not kept, or the host's kernel takes them back.</summary>
    public const string NotKept = "not-kept";

    /// <summary>An option that the host is booted with is against the plan.</summary>
    public const string CommandLineConflict = "command-line-conflict";

    /// <summary>What is to be kept is persistent memory (memmap=SIZE!START): no RAM of the kernel's, but a device of the host's.</summary>
    public const string KeptAsPersistentMemory = "kept-as-persistent-memory";

    /// <summary>The running host lacks RAM that the plan leaves to it.</summary>
    public const string HostRamMissing = "host-ram-missing";
}
