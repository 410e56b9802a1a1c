// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Logs;

namespace Keyhole.Platforms;

/// <summary>A guest with a device on a host whose IOMMU Xen does not use ("I/O virtualisation disabled"): libxl refuses it.</summary>
/// <remarks>Source: libxl__domain_config_setdefault in libxl_create.c, since Xen 4.13 for every kind of guest; before,
/// libxl__device_pci_add in libxl_pci.c for HVM guests alone.</remarks>
internal static class UnusedIommu
{
    /// <summary>What libxl says since Xen 4.13.</summary>
    public const string Words = "passthrough not supported on this platform";

    /// <summary>The same up to Xen 4.12, behind the device's address.</summary>
    private const string OldWords = "cannot be assigned - no IOMMU?";

    /// <summary>libxl's words, where it refuses the guest for that; else null.</summary>
    public static string? RefusalOf(Scenario scenario)
    {
        if (scenario.Guest.Pci.IsEmpty || scenario.Host.Traits.UsesIommu != false)
            return null;
        bool isOld = scenario.Host.Traits.XenVersion is { } xen && xen.IsUpTo(4, 12);
        return !isOld ? Words : scenario.Guest.Type == GuestType.Hvm ? OldWords : null;
    }

    /// <summary>The problem of such a guest.</summary>
    /// <param name="words">libxl's.</param>
    /// <param name="host">The host.</param>
    public static Problem ProblemOf(string words, Hosts.Host host) => new(
        Severity.Error,
        ProblemCodes.GuestDoesNotStart,
        $"the guest is not created: {words} (Xen uses no IOMMU on this host: its log says "
            + $"{(host.Traits.IommuFailure is { } why ? $"{InputError.Quote(why)} and " : "")}\"I/O virtualisation disabled\")",
        Remedy: host.Traits.IommuFailure is { } failure ? RemedyOf(failure)
            : "switch on VT-d or AMD-Vi (IOMMU) in the host's firmware, see that Xen's command line has no iommu=off, and start the host again");

    /// <remarks>Source: Xen's drivers/passthrough/amd/iommu_acpi.c (parse_ivrs_table): it looks for that IO-APIC for interrupt remapping
    /// alone.</remarks>
    private static string RemedyOf(string failure) =>
        failure.StartsWith(Vocabulary.NoSouthbridge, StringComparison.Ordinal)
            ? "Xen gives the IOMMU up for interrupt remapping alone: with iommu=no-intremap on Xen's command line it uses it without that (a guest "
                + "with a device can then send any interrupt: for guests that are trusted)"
            : "Xen found the IOMMU, and the firmware's tables on it are wrong: update the host's firmware"
                + (failure.Contains("IO-APIC", StringComparison.Ordinal)
                    ? "; a wrong IO-APIC ivrs_ioapic[…]= on Xen's command line corrects" : "");
}
