// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>PVH guests of Xen, and a dom0 that is one.</summary>
internal static partial class ProblemPairs
{
    private static CommandRun Dom0(string host, params string[] options) => CommandRun.Of(["boot", "--dom0", "--host",
        RulePair.Written("host.log", host), "--json", .. options]);

    private static IEnumerable<RulePair> PvhGuests() =>
    [
        Pair("not-pv", "e820_host is off", static use => Plan($"{Pvh}memory=800\ne820_host={use}\n"), "1", "0"),
        Pair("the guest is PVH, and libxl gives the host's map to PV guests alone", "this xl has no type=, and makes a PV guest",
            static xen => Plan($"{Pvh}memory=800\ne820_host=1\n", Xen(xen)), "4.10.0", "4.9.4"),
        Pair("guest-does-not-start", "the guest has no device", static pci => Plan($"{Pvh}memory=800\n{pci}"), Device, ""),
        Pair("passthrough not yet supported for x86 PVH guests", "this xl has no type=, and makes a PV guest",
            static xen => Plan($"{Pvh}memory=800\n{Device}", Xen(xen)), "4.10.0", "4.9.4"),
        Pair("has no PVH guests: type= came with 4.10", "it has", static xen => Plan($"{Pvh}memory=800\n", Xen(xen)), "4.9.4", "4.10.0"),
        Pair("and an older xl passes over it and makes a PV guest", "libvirt, which has no type=, makes it", static guest => Plan(guest,
            Xen("4.9.4")),
            $"{Pvh}memory=800\n", Libvirt("xenpvh", "xenpvh")),
        Pair("populate-on-demand", "maxmem is no more than memory", static most => Plan($"{Pvh}memory=800\nmaxmem={most}\n"), "900", "800"),
        Pair("with pvshim=1 it is Xen's shim that gets libxl's map", "the shim is off", static shim => Plan($"{Pvh}memory=800\npvshim={shim}\n"),
            "1", "0"),
        Pair("videoram= is as much as the guest's memory", "it is less", static video => Plan($"{Pvh}memory=800\nvideoram={video}\n"), "800", "799"),
        Pair("a PVH guest has no video card: videoram=", "it is 0", static video => Plan($"{Pvh}memory=800\nvideoram={video}\n"), "16", "0"),
        Pair("may take a page more than is shown", "a record has as many processors", static count => Plan($"{Pvh}memory=800\nvcpus={count}\n"),
            "16", "8"),
        Pair("map-not-settled", "the patch level is told", static xen => Plan($"{Pvh}memory=800\n", Xen(xen)), "4.14", "4.14.4"),
        Pair("RAM is 1 KiB larger, and which", "every patch level of the release has it so", static xen => Plan($"{Pvh}memory=800\n", Xen(xen)),
            "4.14", "4.13"),
        Pair("a Linux kernel is at 16 MiB and needs about 60 MiB", "it has what a kernel needs", static memory => Plan($"{Pvh}memory={memory}\n"),
            "75", "76"),

        Pair("Xen gives dom0 what it has left, not more", "it has as many pages", static pages => Dom0(Xen(), "--nr-pages", pages),
            "2097152", "2096000"),
        Pair("give dom0 76 MiB or more", "it has what a kernel needs", static pages => Dom0(Xen(), "--nr-pages", pages), "19455", "19456"),
        Pair("the sizes of the ACPI tables that Xen makes for dom0 are not told", "dom0 is a PV one",
            static how => Dom0(PvhDom0(options: how), "--nr-pages", "262144"), "dom0=pvh", "dom0=pv"),
        Pair("it could not: reserved memory at", "the region is behind the kernel", static at => Dom0(PvhDom0(at), "--nr-pages", "262144"),
            "4900000", "4a00000"),
        Pair("Xen cannot load dom0's kernel to", "Xen loads this Linux elsewhere", static kernel => Dom0(PvhDom0("4900000", "4.19.0"),
            "--nr-pages", "262144", "--kernel-span", "1000000-4900001", "--kernel", kernel), "6.1", "6.12"),
        Pair("Xen cannot load dom0's kernel to", "Xen loads a Linux of 6.12 elsewhere", static xen => Dom0(PvhDom0("4900000", xen),
            "--nr-pages", "262144", "--kernel-span", "1000000-4900001", "--kernel", "6.12"), "4.18.2", "4.19.0"),
        Pair("boot a Linux from 6.12 on, which Xen may load elsewhere", "there is no RAM in one piece for it elsewhere", static end => Dom0(
            PvhDom0("4900000", "4.19.0", end: end), "--nr-pages", "262144", "--kernel-span", "1000000-4900001", "--kernel", "6.1"),
            "bff00000", "5000000"),
        Pair("Presently, iommu must be enabled for PVH hardware domain", "Xen uses the IOMMU", static use => Dom0(
            PvhDom0(lines: $"I/O virtualisation {use}\n"), "--nr-pages", "262144"), "disabled", "enabled"),
        Pair("Presently, iommu must be enabled for PVH hardware domain", "dom0 is a PV one", static how => Dom0(
            PvhDom0(options: how, lines: "I/O virtualisation disabled\n"), "--nr-pages", "262144"), "dom0=pvh", "dom0=pv"),
    ];

    /// <summary>The log of a Xen that is told to make a PVH dom0.</summary>
    /// <param name="reserved">Where the firmware keeps 4 KiB amid RAM.</param>
    /// <param name="end">Where RAM ends.</param>
    private static string PvhDom0(string reserved = "b0000000", string xen = "4.17.3", string options = "dom0=pvh", string lines = "",
        string end = "bff00000") => Xen(xen,
            $"{Low}, 100000-{reserved} usable, {reserved}-{reserved[..^3]}fff reserved, {reserved[..^4]}1000-{end} usable, "
                + $"bff00000-c0000000 reserved, 100000000-240000000 usable", $"Command line: {options}\n{lines}");
}
