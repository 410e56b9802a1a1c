// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Cli.Tests.Rules;

/// <content>RAM in a window that was not there when the kernel started.</content>
internal static partial class DevicePairs
{
    private const string LastEntry = "Xen: [mem 0x00000000fee00000-0x00000000feefffff] reserved";
    private const string Hole = "Xen: [mem 0x0000000078edc000-0x000000008fffffff] reserved";

    private static string WithMost => RulePair.Written("most.cfg", DeviceInputs.TextOf("field", "xen", "bar-hotplug.cfg") + "maxmem = 2048\n");

    private static string LogWithMost => LogWith($"{Claimed}: {Met}", LastEntry,
        $"{LastEntry}\nXen: [mem 0x0000000100000000-0x000000013fffffff] usable");

    private static string Unchanged => LogWith($"{Claimed}: {Met}");

    private static string Garbled =>
        DeviceInputs.Changed(Unchanged, "Xen: [mem 0x00000000fec00000-0x00000000fec00fff] reserved", "Xen: [mem 0x00000000fec00000-0x0000");

    private static RulePair[] HotPlugs =>
    [
        RulePair.Of("That memory was not given but hot-plugged later:", "the map has it",
            static () => Reported(Unchanged, Own), static () => Reported(LogWith(InRam), Own)),
        RulePair.Of("That memory was not given but hot-plugged later:", "the map in the log ends before it",
            static () => Reported(Unchanged, Own),
            static () => Reported(DeviceInputs.Changed(DeviceInputs.Without(Unchanged, LastEntry, "available for PCI"),
                "Xen: [mem 0x00000000fec00000-0x00000000fec00fff] reserved", "..."), Own)),
        RulePair.Of("That memory was not given but hot-plugged later:", "a line of the map is garbled there, and no gap is told",
            static () => Reported(Garbled, Own), static () => Reported(DeviceInputs.Without(Garbled, "available for PCI"), Own)),
        RulePair.Of("That memory was not given but hot-plugged later:", "lines of the map are left out there, and no gap is told",
            static () => Reported(LogWith($"{Claimed}: {Met}", Hole, $"{Hole}\n..."), Own),
            static () => Reported(DeviceInputs.Without(LogWith($"{Claimed}: {Met}", Hole, $"{Hole}\n..."), "available for PCI"), Own)),
        RulePair.Of("That memory was not given but hot-plugged later:", "the kernel's command line makes RAM there",
            static () => Reported(Unchanged, Own),
            static () => Reported(LogWith($"{Claimed}: {Met}", "ACPI in unprivileged domain disabled",
                "Command line: root=/dev/xvda1 memmap=1G@0x80000000"), Own)),
        RulePair.Of("by the forecast the kernel's map has no RAM there", "the log has the kernel's map",
            static () => Reported(DeviceInputs.Without(Unchanged, "Xen: ", "RAM map"), Own), static () => Reported(Unchanged, Own)),
        RulePair.Of("of whole 128 MiB sections, as Linux adds memory at the lowest free address", "it is a part of one",
            static () => Reported(Unchanged, Own),
            static () => Reported(LogWith($"{Claimed}: {Met.Replace("97ff", "93ff", StringComparison.Ordinal)}"), Own)),
        RulePair.Of(", so it was not its balloon that grew: kernels add such memory for other domains' pages (grants), too.",
            "its maxmem is more than its memory", static () => Reported(LogWithMost, Own), static () => Reported(LogWithMost, WithMost)),
        RulePair.Of("The map in the log has no RAM for more than", "it has RAM for maxmem",
            static () => Reported(Unchanged, WithMost), static () => Reported(LogWithMost, WithMost)),
        RulePair.Of("so the guest that ran had no higher", "its map in the log may have been cut",
            static () => Reported(Unchanged, WithMost),
            static () => Reported(DeviceInputs.Changed(Unchanged, LastEntry, "..."), WithMost)),
        RulePair.Of("and it was not its balloon that grew: kernels add such memory for other domains' pages (grants), too.",
            "the map in the log has RAM for maxmem", static () => Reported(Unchanged, WithMost), static () => Reported(LogWithMost, WithMost)),
        RulePair.Of("that the balloon has nothing to add; or", "maxmem is memory already",
            static () => Reported(LogWithMost, WithMost), static () => Reported(LogWithMost, Own)),
        RulePair.Of("that the balloon has nothing to add; or", "the guest that ran had no balloon to fill",
            static () => Reported(LogWithMost, WithMost), static () => Reported(Unchanged, WithMost)),
        RulePair.Of("build the driver of its bus (xen-pcifront) into the kernel", "the guest has no device at its start",
            static () => Reported(Unchanged, Own), static () => Reported(Unchanged, WithoutDevice)),
        RulePair.Of("give it to the domain before it starts, with the driver of its bus (xen-pcifront) built into the kernel",
            "the guest has it at its start already", static () => Reported(Unchanged, WithoutDevice), static () => Reported(Unchanged, Own)),
        RulePair.Of("let the kernel claim the device before it adds", "the RAM was there from the start",
            static () => Reported(Unchanged, Own), static () => Reported(LogWith(InRam), Own)),
        RulePair.Of(". What to change: a map in which", "the RAM is not the map's",
            static () => Reported(LogWith(InRam), Own), static () => Reported(Unchanged, Own)),
    ];

    private static string WithoutDevice => RulePair.Written("none.cfg", "name = \"g\"\nmemory = 1024\ne820_host = 1\n");

    private const string Dom0Options = "dom0_mem=512M,max:512M";

    private static string Dom0Log => DeviceInputs.TextOf("golden", "dom0-512.log");

    private static RulePair[] HotPlugsInDom0 =>
    [
        RulePair.Of(". What to change: the firmware's settings (above 4G decoding, memory", "the RAM is not the machine's",
            static () => Dom0Claim("conflict with System RAM [mem 0x30000000-0x40060fff]"), static () => Dom0Claim(Plugged)),
        RulePair.Of("in a gap or in reserved memory.", "the RAM is not the machine's",
            static () => Dom0Claim("conflict with System RAM [mem 0x30000000-0x40060fff]"), static () => Dom0Claim(Plugged)),
        RulePair.Of("What to change: keep dom0 from growing (dom0_mem=N,max:N on Xen's command line), or have the", "it is kept from that already",
            static () => Dom0Claim(Plugged, Dom0Options, "dom0_mem=512M,max:1G"), static () => Dom0Claim(Plugged)),
        RulePair.Of("dom0 may have no more than it starts with, so it was not its balloon that grew: "
            + "kernels add such memory for other domains' pages (grants), too.", "dom0 may have more",
            static () => Dom0Claim(Plugged), static () => Dom0Claim(Plugged, Dom0Options, "dom0_mem=512M,max:1G")),
        RulePair.Of("What to change: keep dom0 from growing (dom0_mem=N,max:N on Xen's command line), or have the", "its limit was told",
            static () => DeviceInputs.VerifyDom0(Dom0Claiming(Plugged, Dom0Options, "dom0_mem=512M"), "--max", "1G"),
            static () => DeviceInputs.VerifyDom0(Dom0Claiming(Plugged, Dom0Options, "dom0_mem=512M"), "--max", "512M")),
        RulePair.Of("device there when dom0 boots.", "the RAM is the machine's",
            static () => Dom0Claim(Plugged, Dom0Options, "dom0_mem=512M"),
            static () => Dom0Claim("conflict with System RAM [mem 0x30000000-0x40060fff]", Dom0Options, "dom0_mem=512M")),
        RulePair.Of("as room for pages of other domains: they are not the map's.", "they are hot-plugged RAM's",
            static () => Dom0Claim("conflict with Xen scratch [mem 0xe0000000-0xe7ffffff]"), static () => Dom0Claim(Plugged)),
        RulePair.Of("let the kernel claim the device before that:", "it is dom0, which claims its devices when it boots",
            static () => Reported(LogWith(Claimed + ": address conflict with Xen scratch [mem 0x90000000-0x97ffffff]"), Own),
            static () => Dom0Claim("conflict with Xen scratch [mem 0xe0000000-0xe7ffffff]")),
        RulePair.Of("devices out of what is behind the end of RAM in the map, up to the next multiple of 64 MiB.", "it is the map's own RAM",
            static () => Dom0Claim("conflict with RAM buffer [mem 0x40061000-0x43ffffff]"),
            static () => Dom0Claim("conflict with System RAM [mem 0x30000000-0x40060fff]")),
    ];

    private const string Plugged = "conflict with System RAM [mem 0xe0000000-0xe7ffffff]";

    private static CommandRun Dom0Claim(string conflict, params string[] changes) => DeviceInputs.VerifyDom0(Dom0Claiming(conflict, changes));

    private static string Dom0Claiming(string conflict, params string[] changes) =>
        $"{DeviceInputs.Changed(Dom0Log, changes)}[ 5000.0] pci 0000:06:00.0: BAR 0 [mem 0xe0000000-0xe000ffff]: can't claim; address {conflict}\n";
}
