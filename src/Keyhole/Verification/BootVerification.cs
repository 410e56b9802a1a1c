// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Verification;

/// <summary>One thing that a log says, beside what was forecast.</summary>
/// <param name="What">"map entry", "remapped pages" …; stable, for scripts.</param>
/// <param name="Forecast">Null where the forecast has nothing of the kind.</param>
/// <param name="Observed">Null where the log, though whole there, has nothing of the kind.</param>
/// <param name="Line">The log's line; of what it lacks the line before which it should stand.</param>
public sealed record Finding(string What, string? Forecast, string? Observed, int? Line, bool Agrees);

/// <summary>How a forecast and a real boot compare, and why the boot went as it did.</summary>
public sealed record BootVerification
{
    /// <summary>The kernel that the log was compared with.</summary>
    public required KernelRelease Profile { get; init; }

    /// <summary>The boot that was observed.</summary>
    public required ObservedBoot Boot { get; init; }

    /// <summary>How a guest with firmware of its own was forecast to fare and how it fared (null: the log does not show it); null for other
    /// guests.</summary>
    public (GuestOutcome Forecast, GuestOutcome? Observed)? Outcomes { get; init; }

    /// <summary>Everything that was compared, in the order of a boot.</summary>
    public required ImmutableArray<Finding> Findings { get; init => field = Given.Array(value); }

    /// <summary>What the log shows where lines of the host's map are lost that decide the forecast: neither agreement nor difference.</summary>
    public ImmutableArray<Finding> Undecided { get; init => field = Given.Array(value); } = [];

    /// <summary>The line that tells last of a device's window, where that has no address in the end; of several the first; null where none is
    /// told.</summary>
    public int? LineWithoutAddress { get; init; }

    /// <summary>Where the forecast's map is not known, for lines of the host's map are lost; empty where none are.</summary>
    public ImmutableArray<ByteRange> NotKnownRanges { get; init => field = Given.Array(value); } = [];

    /// <summary>What the forecast says and the log does not: neither agreement nor difference.</summary>
    public required ImmutableArray<string> NotCompared { get; init => field = Given.Array(value); }

    /// <summary>For people: what lies in the way, where memory went, which kernels cope, what to change.</summary>
    public required ImmutableArray<Phrase> Explanations { get; init => field = Given.Array(value); }

    /// <summary>Whether nothing differs from the forecast, as far as it is known.</summary>
    public bool Agrees => Findings.All(static finding => finding.Agrees);

    /// <summary>Whether the log says, behind the memory setup, that something got no memory: not where all such words are a driver's whose device
    /// has a window without a place.</summary>
    public bool HasNeeds => Boot.Facts.Needs.Any(need => NeedFindings.WindowBehind(need, Boot.Facts, Pci) is null);

    /// <summary>What the log says of BARs, where that was read.</summary>
    internal PciLog? Pci { get; init; }

    /// <summary>Whether all that differs is that something got no memory once the memory setup was over, which went as forecast.</summary>
    public bool AgreesButForNeeds => !Agrees && Findings.Any(static finding => finding.Agrees)
        && Findings.All(static finding => finding.Agrees || finding.What == NeedFindings.What);

    /// <summary>Whether all that differs is that what had booted as forecast ended later, once it had been put to sleep.</summary>
    public bool AgreesButForLaterEnd => !Agrees && Findings.Any(static finding => finding.Agrees)
        && Findings.All(static finding => finding.Agrees || finding.What == LaterEnd.What);

    /// <summary>The findings that differ.</summary>
    public ImmutableArray<Finding> Differences => [.. Findings.Where(static finding => !finding.Agrees)];
}
