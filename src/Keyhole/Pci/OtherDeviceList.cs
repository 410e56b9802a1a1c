// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>Lists of devices that people have at hand and that tell no BARs, or not what a BAR is: each is told for what it is.</summary>
internal static class OtherDeviceList
{
    /// <summary>What gives the BARs.</summary>
    public static Phrase Remedy =>
        $"give what lspci -vv prints, as root, or take a capture of that machine ({Setting.CaptureWriter}) as {Setting.Host}";

    private const string NoBars = "which tells no BARs";
    private const string NoKinds = "which does not tell what kind its BARs are of";

    /// <summary>What begins a line of it, which else no text has, what the list is, and what is wrong with it.</summary>
    private static readonly (string Start, string Name, string Lacks)[] s_starts =
    [
        ("IOMMU Group ", "a list of IOMMU groups", NoBars),
        ("IOMMU group ", "a list of IOMMU groups", NoBars),
        ("/sys/kernel/iommu_groups/", "a list of IOMMU groups", NoBars),
        ("<name>pci_", "what virsh nodedev-dumpxml prints", NoBars),
        ("<capability type='pci'>", "what virsh nodedev-dumpxml prints", NoBars),
        ("SysFS BusID: ", "a list of hwinfo", NoKinds),
        ("Hardware Class: ", "a list of hwinfo", NoKinds),
        ("bus info: pci@", "a list of lshw", NoBars),
        ("\"businfo\" : \"pci@", "a list of lshw in JSON", NoKinds),
        ("<businfo>pci@", "a list of lshw in XML", NoKinds),
        ("pci@0000:", "a list of lshw -businfo", NoBars),
        ("/0/100/", "a list of lshw -short", NoBars),
        ("H/W path ", "a list of lshw -short", NoBars),
        ("Slot:\t", "what lspci -vmm prints", NoBars),
        ("-[0000:", "the tree that lspci -t prints", NoBars),
        ("| NVIDIA-SMI ", "what nvidia-smi prints", NoBars),
    ];

    /// <summary>What a text is, and what it lacks; null for one that is not known to be such a list.</summary>
    public static (string Name, string Lacks)? Of(string text)
    {
        int addresses = 0;
        int others = 0;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            ReadOnlySpan<char> cited = CitedLine.Unmarked(raw).Trim();
            // Of marks in front, those are its own with which such a list begins its lines.
            ReadOnlySpan<char> line = cited is ['|' or '<', ..] ? cited : PastedText.WithoutMarkup(cited);
            foreach ((string start, string name, string lacks) in s_starts)
            {
                if (line.StartsWith(start, StringComparison.Ordinal))
                    return (name, lacks);
            }

            if (PciAddress.TryParse(line, out _))
                addresses++;
            else if (!line.IsEmpty)
                others++;
        }

        return addresses > 0 && others == 0 ? ("a list of devices' addresses", NoBars) : null;
    }

    /// <summary>What a text is that tells of devices and in which a memory map was looked for; null for one that is not known to be such.</summary>
    public static string? InPlaceOfMap(string text) => Of(text) is { } list ? list.Name
        : LspciReader.HasHeader(text) ? "what lspci prints"
        : ResourceReader.HasRow(text) ? "a device's resource file of sysfs" : null;
}
