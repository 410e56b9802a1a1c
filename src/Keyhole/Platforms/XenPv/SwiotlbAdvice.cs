// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.PvGuest;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// Whether a PV Linux sets up what translates a device's DMA (xen-swiotlb). Up to 6.5 pcifront did when the first device came. Since 6.6 the kernel
/// does at boot or never: where the map that Xen gives has a reserved entry, or the command line says iommu=soft.
/// </summary>
/// <remarks>Source: xen_swiotlb_enabled() in arch/x86/kernel/pci-dma.c, and xen_pv_pci_possible in arch/x86/xen/setup.c.</remarks>
internal static class SwiotlbAdvice
{
    /// <summary>The first that has it so.</summary>
    private static readonly KernelRelease s_first = new(6, 6);

    /// <param name="scenario">The guest with its devices.</param>
    /// <param name="entries">The map that it is given.</param>
    /// <param name="machineMap">The host's, with Xen's additions.</param>
    public static Problem? For(Scenario scenario, ImmutableArray<PlannedEntry> entries, ImmutableArray<E820Entry> machineMap)
    {
        GuestSpec guest = scenario.Guest;
        // There is no 32-bit kernel so late.
        if (guest.Pci.IsEmpty || guest.Is32Bit || entries.IsEmpty
            || entries.Any(static planned => planned.Entry is { Type: E820Type.Reserved, Size: > 0 })
            || HasSoftIommu(guest.CommandLine))
            return null;
        bool isAffected = scenario.Kernel.CompareTo(s_first) >= 0;
        bool hostHelps = !guest.UsesHostMap && LibxlPolicy.IsKnownTo(scenario.Host.Traits.XenVersion)
            && machineMap.Any(static entry => entry.Type == E820Type.Reserved && entry.Address > X86Layout.OneMiB);
        // The guest's own boot loader has its kernel's command line.
        bool isLineKnown = !guest.HasBootloader && guest.Kernel?.Contains("grub", StringComparison.Ordinal) != true;
        string unless = isLineKnown ? ""
            : ". Its kernel's own command line, which the guest's boot loader has, is not told: with iommu=soft on it this is not so";
        return new(
            isAffected && isLineKnown ? Severity.Error : Severity.Warning,
            ProblemCodes.DmaNotTranslated,
            $"the guest's map has no reserved entry, and {(isAffected ? "this kernel" : "a kernel of Linux 6.6 or later")} then sets up no "
                + "xen-swiotlb: a device can be claimed, but its DMA goes to other memory than the guest's" + unless,
            Remedy: "put iommu=soft on the command line of the guest's kernel"
                + (hostHelps ? $", or give it the host's map ({OwnWords.HostMap(guest.Toolstack)})" : ""));
    }

    /// <summary>As Linux searches its own option: words of "iommu=", apart by commas, that begin with "soft".</summary>
    private static bool HasSoftIommu(string? commandLine)
    {
        const string option = "iommu=";
        return (commandLine ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Where(static word => word.StartsWith(option, StringComparison.Ordinal))
            .Any(static word => word[option.Length..].Split(',').Any(static part => part.StartsWith("soft", StringComparison.Ordinal)));
    }
}
