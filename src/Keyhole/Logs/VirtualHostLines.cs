// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>Lines of a boot log that tell that the machine is virtual itself, and has the address width that it is told.</summary>
/// <remarks>Source: the names that hypervisors write into their ACPI tables and into SMBIOS, as public logs have them; OVMF's own map.</remarks>
internal static class VirtualHostLines
{
    /// <summary>What a Linux says that runs in a virtual machine.</summary>
    public const string Detected = "Hypervisor detected: ";

    /// <summary>Who made an ACPI table.</summary>
    private static readonly string[] s_acpi = ["BOCHS ", " BXPC", "VMWARE", "VRTUAL", "VBOX  ", "BHYVE ", "FIRECK", "CLOUDH", "ACRNSH"];

    /// <summary>Words of which one stands in every line that is looked at.</summary>
    public static readonly string[] Words = [Detected, MachineLine.Mark, .. s_acpi, OvmfStart];

    private static readonly string[] s_makers =
    [
        "QEMU ", "Red Hat KVM", "oVirt ", "OpenStack ", "KubeVirt ", "VMware", "innotek GmbH VirtualBox", "Microsoft Corporation Virtual Machine",
        "Google Google Compute Engine", "Alibaba Cloud Alibaba Cloud ECS", "DigitalOcean Droplet", "Parallels ", "BHYVE", "FreeBSD BHYVE",
        "Xen HVM domU", "Bochs", "Cloud Hypervisor ", "ChromiumOS crosvm",
    ];

    /// <summary>OVMF alone keeps memory there for a resume, 8 MiB up: no machine's own firmware does.</summary>
    private const string OvmfStart = "0000000000800000";
    private const string OvmfEnd = "0000000000807fff";

    /// <summary>Whether a line tells so. Under Xen dom0 has the machine's own processor.</summary>
    public static bool IsOne(ReadOnlySpan<char> line)
    {
        if (line.IndexOf(MachineLine.Mark) is >= 0 and int dmi)
            return StartsWithAny(line[(dmi + MachineLine.Mark.Length)..].TrimStart(), s_makers);
        if (line.IndexOf(Detected) is >= 0 and int detected)
            return !line[(detected + Detected.Length)..].StartsWith("Xen PV");
        if (line.Contains("ACPI: ", StringComparison.Ordinal))
            return HasAny(line, s_acpi);
        return line.Contains(OvmfStart, StringComparison.Ordinal) && line.Contains(OvmfEnd, StringComparison.Ordinal)
            && line.Contains("NVS", StringComparison.Ordinal);
    }

    private static bool StartsWithAny(ReadOnlySpan<char> text, string[] words)
    {
        foreach (string word in words)
        {
            if (text.StartsWith(word))
                return true;
        }

        return false;
    }

    private static bool HasAny(ReadOnlySpan<char> text, string[] words)
    {
        foreach (string word in words)
        {
            if (text.Contains(word, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}
