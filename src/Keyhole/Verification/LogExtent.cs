// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;

namespace Keyhole.Verification;

/// <summary>How far a log goes: what it does not show is not claimed.</summary>
public static class LogExtent
{
    internal const string NotModelled = "the map: what this firmware hands over is not modelled";
    internal const string PartOfMap = "the map's part ";
    internal const string BarsNotKnown = "functions, BARs and the host bridge's windows: where the BARs end up is not known";
    internal const string ChangedByBios =
        "the map below 1 MiB and at the end of RAM below 4 GiB: the log has hvmloader's map, and the BIOS changes it there";
    internal const string Expander = "the host bridges' windows: an expander has windows of its own";
    internal const string NoRoms = "option ROMs: this firmware leaves none mapped";
    internal const string BuilderNotKnown = ": where it lies is not known by the forecast";
    internal const string LostLines = ": lines of the host's map are lost";
    internal const string KernelNotKnown = "it is not known where the kernel is";
    internal const string ByLinux = ") Linux ";
    internal const string NoForecast = "everything";

    /// <summary>What is not compared because there is no forecast of it, however much the log has.</summary>
    private static readonly ImmutableArray<string> s_limitsOfForecasts =
        [NotModelled, PartOfMap, BarsNotKnown, ChangedByBios, Expander, NoRoms, BuilderNotKnown, LostLines, KernelNotKnown, ByLinux, NoForecast];

    /// <summary>The last line that was compared, where the log lacks something that is forecast; null where it lacks nothing.</summary>
    public static int? LastLineOfPart(BootVerification verification)
    {
        ArgumentNullException.ThrowIfNull(verification);
        return verification.NotCompared.All(static what => s_limitsOfForecasts.Any(limit => what.Contains(limit, StringComparison.Ordinal))) ? null
            : verification.Findings.Where(static finding => finding.Observed is not null).Select(static finding => finding.Line ?? 0)
                .DefaultIfEmpty(0).Max();
    }

    /// <summary>What a sentence about all of a log begins with.</summary>
    internal static string Everything(BootVerification verification) => LastLineOfPart(verification) is { } line
        ? string.Create(CultureInfo.InvariantCulture, $"Everything that the log shows (to line {line}; it lacks a part)") : "Everything";
}
