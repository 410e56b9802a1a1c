// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Logs;

/// <summary>
/// Whether a Linux says nothing of an IOMMU in use although its log is there from its first line to its first process: where it uses one, it says so
/// for every device.
/// </summary>
internal static class IommuSilence
{
    /// <summary>A boot of any machine with PCI devices has more lines than that: with fewer somebody has left some out.</summary>
    private const int FewestLines = 200;

    /// <summary>What Linux says where it sets IOMMUs up, also where there is none.</summary>
    private static readonly string[] s_setUp = ["iommu: Default domain type: ", "PCI-DMA: Using software bounce buffering for IO"];

    /// <summary>What it says of each device up to 5.2.</summary>
    private const string AddingOfOld = "iommu: Adding device ";

    /// <summary>Words of which one stands in every line that is looked at.</summary>
    public static string[] Words => [.. s_setUp, AddingOfOld];

    /// <summary>Whether a line is one of those.</summary>
    public static bool IsMeant(ReadOnlySpan<char> line)
    {
        foreach (string words in s_setUp)
        {
            if (line.Contains(words, StringComparison.Ordinal))
                return true;
        }

        return line.Contains(AddingOfOld, StringComparison.Ordinal);
    }

    /// <param name="scan">The log.</param>
    /// <param name="machine">The lines that are of the host.</param>
    /// <param name="map">The host's map.</param>
    /// <param name="linux">The boot that printed it.</param>
    public static bool Of(LogScan scan, MachineLines machine, LogMap map, LinuxStretch? linux)
    {
        if (map is not { Kind: LogMapKind.LinuxFirmware, Domain: null } || linux is not { } stretch || scan.TraitLines is not { } kept)
            return false;
        ImmutableArray<ObservedBoot> boots = BootLog.Of(scan);
        ObservedBoot? boot = boots.FirstOrDefault(boot => boot.Release is { } release && stretch.Holds(release.Line) && release.Line < map.Line);
        if (boot is not { Release.Line: var first, Facts.FirstProgramLine: { } last } || !stretch.Holds(last) || last - first < FewestLines
            || scan.Omissions.Any(line => line > first && line < last))
            return false;
        bool isSetUp = false;
        foreach ((string line, int number) in kept.LinesOf(machine))
        {
            if (number <= first || number >= last)
                continue;
            if (line.Contains(AddingOfOld, StringComparison.Ordinal) || WidthTraits.UseIn(line) is not null)
                return false;
            isSetUp |= IsMeant(line);
        }

        return isSetUp;
    }
}
