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

    /// <summary>What it says of an IOMMU that it sets up, where it is not certain that devices go through it: AMD's driver of what its IOMMUs can,
    /// Intel's of how it speaks to them and of memory that it maps.</summary>
    private static readonly string[] s_shown =
    [
        "AMD-Vi: Interrupt remapping enabled", "AMD-Vi: Virtual APIC enabled", "AMD-Vi: X2APIC enabled", "AMD-Vi: Extended features",
        "AMD-Vi:  Extended features", "AMD-Vi: Lazy IO/TLB flushing enabled", "AMD-Vi: IO/TLB flush on unmap enabled",
        "AMD-Vi: Initialized for Passthrough Mode", "AMD-Vi: device isolation enabled", "Using Queued invalidation",
        "Using Register based invalidation", "etting identity map for device", "ardware identity mapping for device", "unity mapping for LPC",
        "virtio_iommu virtio",
    ];

    /// <summary>Words of which one stands in every line that is looked at.</summary>
    public static string[] Words => [.. s_setUp, .. s_shown, AddingOfOld];

    /// <summary>Whether a line is one of those.</summary>
    public static bool IsMeant(ReadOnlySpan<char> line) =>
        IsSetUp(line) || HasAny(line, s_shown) || line.Contains(AddingOfOld, StringComparison.Ordinal);

    private static bool IsSetUp(ReadOnlySpan<char> line) => HasAny(line, s_setUp);

    private static bool HasAny(ReadOnlySpan<char> line, string[] all)
    {
        foreach (string words in all)
        {
            if (line.Contains(words, StringComparison.Ordinal))
                return true;
        }

        return false;
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
            if (line.Contains(AddingOfOld, StringComparison.Ordinal) || HasAny(line, s_shown) || WidthTraits.UseIn(line) is not null)
                return false;
            isSetUp |= IsSetUp(line);
        }

        return isSetUp;
    }
}
