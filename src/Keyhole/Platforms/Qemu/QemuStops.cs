// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms.Qemu;

/// <summary>What keeps QEMU from starting a guest whatever is set of the guest's machine: a host whose IOMMU is off, and what a log of the guest's
/// start ends with.</summary>
internal static class QemuStops
{
    private const string OffOnCommandLine = "its log says \"IOMMU disabled\", as with intel_iommu=off or amd_iommu=off on its command line";

    /// <summary>Sources: hw/vfio/pci.c (vfio_device_groupid), libvirt's qemu_hostdev.c, qemu-server's PCI.pm.</summary>
    private static string NoGroup(QemuDialect dialect) => dialect switch
    {
        QemuDialect.Libvirt => "host doesn't support passthrough of host PCI devices",
        QemuDialect.Proxmox => "cannot prepare PCI pass-through, IOMMU not present",
        QemuDialect.CommandLine or QemuDialect.Options => "no iommu_group found: No such file or directory",
    };

    /// <summary>The words of whoever does not start the guest; null where nothing of the kind is known.</summary>
    public static string? WordsOf(Scenario scenario, QemuGuest guest, QemuMachine machine) => LacksIommu(scenario, machine) ? NoGroup(guest.Dialect)
        : QemuRepeatedDevice.WordsOf(guest, machine) ?? (guest.LastWords.Length > 0 ? guest.LastWords : null);

    /// <summary>Why no setting of the machine was tried, with what is to be done instead.</summary>
    public static string WhyOf(Scenario scenario, QemuGuest guest, QemuMachine machine)
    {
        if (LacksIommu(scenario, machine))
        {
            Problem problem = ProblemOf(scenario.Host.Traits, guest.Dialect);
            return $"{problem.Message}; {problem.Remedy}";
        }

        if (QemuRepeatedDevice.WordsOf(guest, machine) is { } twice)
            return $"{QemuRepeatedDevice.ProblemOf(twice).Message}; {QemuRepeatedDevice.ProblemOf(twice).Remedy}";
        Problem last = QemuHostWords.LastWordsOf(guest, scenario.Host.Traits);
        return last.Remedy is { } remedy ? $"{last.Message}; {remedy}"
            : $"{last.Message}; no setting was tried, for what brought it about is not told";
    }

    /// <summary>Tells of an IOMMU that is off.</summary>
    public static void ReportIommu(Scenario scenario, QemuGuest guest, QemuMachine machine, List<Problem> problems)
    {
        if (LacksIommu(scenario, machine))
            problems.Add(ProblemOf(scenario.Host.Traits, guest.Dialect));
        else if (scenario.Host.Traits is { LinuxUsesIommu: null, IommuNotShown: true } && NeedsIommu(machine))
            problems.Add(SilenceOf(guest.Dialect));
    }

    private static Problem SilenceOf(QemuDialect dialect) => new(
        Severity.Warning,
        ProblemCodes.GuestDoesNotStart,
        "nothing in the host's log, which is there from Linux's first line to its first process, shows an IOMMU in use (\"Adding to iommu group\", "
            + "\"AMD-Vi: Found IOMMU\", \"Intel(R) Virtualization Technology for Directed I/O\"): without one the guest is not started "
            + $"({InputError.Quote(NoGroup(dialect))})",
        Remedy: "look whether /sys/kernel/iommu_groups has entries on the host: where it has none, switch VT-d or AMD-Vi (IOMMU) on in the host's "
            + "firmware, put intel_iommu=on on its command line (Intel), and start it again");

    private static Problem ProblemOf(HostTraits traits, QemuDialect dialect) => new(
        Severity.Error,
        ProblemCodes.GuestDoesNotStart,
        $"the guest is not started: {InputError.Quote(NoGroup(dialect))}, for the host's Linux "
            + (traits.LinuxIommuFailure is { } words ? $"gave its IOMMU up (its log says \"{words}\")"
                : $"does not use its IOMMU ({OffOnCommandLine})"),
        Remedy: traits.LinuxIommuFailure is not null
            ? "take another release of the host's firmware, or of its Linux, and look for the reason in the lines before that one"
                + (traits.LinuxRelease?.StartsWith("5.5", System.StringComparison.Ordinal) == true
                    ? ": 5.5 stops at an RMRR that the firmware has not reserved, with which 5.4 and 5.6 go on" : "")
            : "take such an option off the host's command line (intel_iommu=on for Intel), see that VT-d or AMD-Vi (IOMMU) is on in the host's "
            + "firmware, and start the host again");

    private static bool LacksIommu(Scenario scenario, QemuMachine machine) =>
        scenario.Host.Traits.LinuxUsesIommu == false && NeedsIommu(machine);

    /// <summary>Whether a problem keeps QEMU from starting the guest whatever is set of its machine.</summary>
    public static bool IsStop(Problem problem) => problem is { Severity: Severity.Error, Code: ProblemCodes.ReservedDeviceMemory };

    /// <summary>A mediated device, which has no address, needs no IOMMU, and pins what it uses alone.</summary>
    public static bool NeedsIommu(QemuMachine machine) => machine.Devices.Any(static device => HostFunctions.IsOne(device)
        && (HostFunctions.TryGetSlot(device, out _) || HostFunctions.TryGetAddress(device, out _)));

    /// <summary>Whether the host's IOMMU maps the guest's addresses for a device: not for a mediated one.</summary>
    public static bool IsMapped(QemuDevice device) => HostFunctions.IsOne(device)
        && (device["sysfsdev"] is null || HostFunctions.TryGetAddress(device, out _));
}
