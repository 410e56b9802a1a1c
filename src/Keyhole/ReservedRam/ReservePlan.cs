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
    public required Host Host { get; init; }

    /// <summary>What the host is called, in one line.</summary>
    public string HostName { get; init; } = "";

    /// <summary>
    /// The lowest address that the host's kernel shall use, in bytes. With <see cref="LowestStart"/> an upper bound of it: the address below which
    /// the device can reach.
    /// </summary>
    public required ulong Start { get; init; }

    /// <summary>RAM to keep anywhere instead of below a start, in bytes; empty: everything below <see cref="Start"/>.</summary>
    public ImmutableArray<ByteRange> Ranges { get; init; } = [];

    /// <summary>Take the lowest start that keeps <see cref="GuestBytes"/>, at most <see cref="Start"/>. Without a size for the guest it is
    /// <see cref="Start"/> itself.</summary>
    public bool LowestStart { get; init; }

    /// <summary>The guest's memory, or null: all that is kept.</summary>
    public ulong? GuestBytes { get; init; }

    /// <summary>What else is not left alone below the start: the boot loader's, firmware's.</summary>
    public ImmutableArray<EarlyReservation> Reserved { get; init; } = [];

    /// <summary>Where the host's kernel lies, if it cannot move (nokaslr, no CONFIG_RELOCATABLE); else empty.</summary>
    public ByteRange Kernel { get; init; }

    /// <summary>Size of the crash kernel's memory (crashkernel=), or 0.</summary>
    public ulong CrashKernelBytes { get; init; }
}

/// <summary>The answer. Data only.</summary>
public sealed record ReservePlan
{
    public required Host Host { get; init; }

    /// <summary>What the host is called, in one line.</summary>
    public string HostName { get; init; } = "";

    /// <summary>The start that was taken; 0 where ranges are kept instead.</summary>
    public required ulong Start { get; init; }

    /// <summary>The ranges that are kept, sorted and joined; empty where a start is.</summary>
    public ImmutableArray<ByteRange> Ranges { get; init; } = [];

    /// <summary>The scheme of 2008; null where the start is impossible.</summary>
    public ReservedRamMap? Map { get; init; }

    /// <summary>The guest on it.</summary>
    public GuestRam? Guest { get; init; }

    /// <summary>The same with Linux of today.</summary>
    public TodaysHost? Today { get; init; }

    public required ImmutableArray<Problem> Problems { get; init; }

    public bool HasErrors => Problems.Any(static problem => problem.Severity == Severity.Error);
}

/// <summary>The codes of the problems that keeping RAM aside has. They are part of the JSON contract: never renamed.</summary>
public static class ReserveProblemCodes
{
    public const string StartUnaligned = "start-unaligned";
    public const string StartAboveRam = "start-above-ram";
    public const string BelowOneMiB = "below-1mib";
    public const string NothingKept = "nothing-kept";
    public const string KernelOverlap = "kernel-overlap";
    public const string KernelDoesNotFit = "kernel-does-not-fit";
    public const string KernelMustMove = "kernel-must-move";
    public const string CrashKernelDoesNotFit = "crash-kernel-does-not-fit";
    public const string GuestTooLarge = "guest-too-large";
    public const string LowMemoryGone = "low-memory-gone";
    public const string TooManyRanges = "too-many-ranges";
    public const string IommuPresent = "iommu-present";
    public const string DeviceReachesAll = "device-reaches-all";
    public const string IomemRelaxed = "iomem-relaxed";
    public const string NotFirmwareMap = "not-the-firmware-map";
    public const string EfiKernelPlace = "efi-kernel-place";
    public const string RangeWithoutRam = "range-without-ram";
    public const string NotKept = "not-kept";
    public const string HostRamMissing = "host-ram-missing";
}
