// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Captures;

/// <summary>A host with what is known about where it was read, and what else stood there.</summary>
public sealed record HostDocument
{
    /// <summary>No source at all: for guests whose map does not depend on the host.</summary>
    public static readonly HostDocument Unknown = new() { Host = Host.Unknown, Dialect = HostMapDialect.Lines, Description = "not known" };

    /// <summary>The host as a value.</summary>
    public required Host Host { get; init; }

    /// <summary>How the map was written.</summary>
    public required HostMapDialect Dialect { get; init; }

    /// <summary>One line for people: which map of which source this is ("Xen's firmware map (Xen-e820), line 3 of xen.log").</summary>
    public required string Description { get; init; }

    /// <summary>Linux's resources as <c>/proc/iomem</c> lists them, a line each; empty where nobody asked.</summary>
    public ImmutableArray<string> IomemLines { get; init => field = Given.Array(value); } = [];

    /// <summary>The log that the map was taken from, with what else it says of the boot; null where the source was none.</summary>
    public LogScan? Log { get; init; }

    /// <summary>Which of the log's maps this is.</summary>
    public LogMap? LogMap { get; init; }

    /// <summary>The log's other maps, each with the number to take it by; where the log has very many, the first of them.</summary>
    public ImmutableArray<Phrase> OtherMaps { get; init => field = Given.Array(value); } = [];

    /// <summary>How many other maps the log has.</summary>
    public long OtherMapCount { get; init; }

    /// <summary>What of the mail or archive that it came in could not be read, a sentence each; the remarks have them, too.</summary>
    internal ImmutableArray<string> Unread { get; init => field = Given.Array(value); } = [];

    /// <summary>Remarks for the user that are no errors: parts that are missing, lines passed over.</summary>
    public ImmutableArray<Phrase> Remarks { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether <c>mem=</c> and <c>memmap=</c> of dom0's kernel took effect, where the log shows it boot: that changes dom0's map, not the
    /// host's.</summary>
    public ImmutableArray<Phrase> RemarksOnDom0() => Log is { } scan && LogMap is { Kind: LogMapKind.XenFirmware } xens
        ? [.. CommandLineEffects.OnDom0(scan, xens).Concat(CommandLineEffects.OnXens(scan.Lines)).Select(static text => (Phrase)text)]
        : [];
}
