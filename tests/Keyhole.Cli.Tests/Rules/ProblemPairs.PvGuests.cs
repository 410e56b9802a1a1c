// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>A PV guest of Xen on the toolstack's own map.</summary>
internal static partial class ProblemPairs
{
    private const string Device = "pci=['00:03.0']\n";

    /// <summary>What a kernel shows of the same RAM.</summary>
    private const string Iomem = """
        00000000-00000fff : Reserved
        00001000-0009fbff : System RAM
        0009fc00-000fffff : Reserved
        00100000-bfefffff : System RAM
        bff00000-bfffffff : Reserved
        fec00000-fec00fff : Reserved
        100000000-23fffffff : System RAM

        """;

    private static IEnumerable<RulePair> PvGuests() =>
    [
        Pair("maxmem-below-memory", "both are the same", static most => Plan($"{Pv}memory=800\nmaxmem={most}\n"), "700", "800"),
        Pair("libxl subtracts without checking", "the guest does not use the host's map",
            static use => Plan($"{Pv}memory=800\nmaxmem=700\ne820_host={use}\n"), "1", "0"),
        Pair("high-ram-overlap", "maxmem is no less than memory", static most => Plan($"{Pv}memory=800\nmaxmem={most}\ne820_host=1\n"), "700", "800"),
        Pair("memory-too-small", "it has what a kernel needs", static memory => Plan($"{Pv}memory={memory}\n"), "75", "76"),
        Pair("larger-than-host", "the host has as much RAM", static memory => Plan($"{Pv}memory={memory}\n"), "8191", "8190"),
        Pair("Xen cannot build it, unless the source shows no more than dom0's share", "the source is the firmware's map",
            static host => Plan($"{Pv}memory=9000\n", host), Iomem, Xen()),
        Pair("are 809 MiB more than all RAM of the host", "the source shows dom0's part of it",
            static by => Plan($"{Pv}memory=9000\n", Linux(by: by, lines: "tsc: Detected 2250.000 MHz processor\n")), "BIOS-e820", "Xen"),

        Pair("low-memory-lost", "the region is where the host's RAM ends", static at => Plan($"{Pv}memory=3000\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-{at}0000 usable, {at}0000-{at}1000 reserved, {at}1000-b8000000 usable, 100000000-240000000 usable")),
            "4000", "b7f0"),
        Pair("costs the other", "the guest has no more memory than what is below the region", static memory =>
            Plan($"{Pv}memory={memory}\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-40000000 usable, 40000000-40010000 reserved, 40010000-bff00000 usable, 100000000-240000000 usable")),
            "1026", "1024"),
        Pair("that it cuts off nowhere", "Xen puts it at 4 GiB", static xen => Plan($"{Pv}memory=4000\ne820_host=1\n", Xen(xen)), "4.2.5", "4.3.0"),
        Pair("that it cuts off nowhere", "maxmem is more than memory, which makes room there",
            static most => Plan($"{Pv}memory=4000\nmaxmem={most}\ne820_host=1\n", Xen("4.2.5")), "4000", "4001"),
        Pair("that it cuts off nowhere", "nothing is cut off", static memory => Plan($"{Pv}memory={memory}\ne820_host=1\n", Xen("4.2.5")),
            "4000", "3000"),

        Pair("kernel-not-on-ram", "the region is behind what a kernel needs", static at => Plan($"{Pv}memory=800\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-{at}0000 usable, {at}0000-{at}1000 ACPI NVS, {at}1000-bff00000 usable, bff00000-c0000000 reserved")),
            "4b0", "4c0"),
        Pair("is where the kernel must be", "the guest does not use the host's map", static use => Plan($"{Pv}memory=800\ne820_host={use}\n",
            Xen(map: $"{Low}, 100000-4000000 usable, 4000000-4001000 ACPI NVS, 4001000-bff00000 usable, bff00000-c0000000 reserved")), "1", "0"),
        Pair("high-ram-overlap", "the region begins where the guest's RAM ends", static start => Plan($"{Pv}memory=4096\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-bff00000 usable, bff00000-c0000000 reserved, 100000000-{start} usable, {start}-150000000 reserved")),
            "140000000", "140100000"),

        Pair("too-many-entries", "no memory is cut off, and libxl adds none at 4 GiB",
            static memory => Plan($"{Pv}memory={memory}\ne820_host=1\n", Xen(map: Striped("126"))), "17", "16"),
        Pair("libxl-fails", "the host's map has as many entries as libxl takes", static count => Plan($"{Pv}memory=512\ne820_host=1\n",
            Xen(map: Striped(count))), "127", "126"),

        Pair("e820-host-forced", "the guest has no device", static pci => Plan($"{Pv}memory=800\ne820_host=0\n{pci}"), Device, ""),
        Pair("e820-host-forced", "this xl reads e820_host= behind pci=", static xen => Plan($"{Pv}memory=800\ne820_host=0\n{Device}", Xen(xen)),
            "4.14.5", "4.14.4"),
        Pair("and which this host has is not told", "the patch level is told", static xen => Plan($"{Pv}memory=800\ne820_host=0\n{Device}", Xen(xen)),
            "4.14", "4.14.5"),
        Pair("e820_host=0 counts to the xl of this Xen", "this one reads it before pci=",
            static xen => Plan($"{Pv}memory=800\ne820_host=0\n{Device}", Xen(xen)), "4.16.0", "4.16.1"),
        Pair("e820-host-unused", "e820_host=1 is set", static use => Plan($"{Pv}memory=800\n{use}"), "", "e820_host=1\n"),
        Pair("the guest has neither e820_host nor", "a device has xl use the host's map", static pci => Plan($"{Pv}memory=800\n{pci}"), "", Device),
        Pair("whatever pci= says, the guest gets one RAM entry", "the toolstack knows e820_host",
            static xen => Plan($"{Pv}memory=800\ne820_host=1\n", Xen(xen)), "4.1.6", "4.2.0"),
        Pair("the guest gets one RAM entry and no room for devices", "the toolstack knows e820_host",
            static xen => Plan($"{Pv}memory=800\n{Device}", Xen(xen)), "4.1.6", "4.3.0"),
        Pair("but libvirt does not turn e820_host on for it", "its XML does", static features => Plan(Libvirt("xenpv", "linux", features)),
            "", "<features><xen><e820_host state='on'/></xen></features>"),

        Pair("pci-gap", "the gap is smaller than what Linux takes", static end => Plan($"{Pv}memory=800\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-bff00000 usable, bff00000-{end} reserved, fef00000-100000000 reserved")), "fe800000", "fe900000"),

        Pair("setting-ignored", "this xl has type=", static xen => Plan("name=\"net\"\ntype=\"hvm\"\nkernel=\"/k\"\nmemory=800\n", Xen(xen)),
            "4.9.4", "4.10.0"),
        Pair("passes over type=, which came with 4.10", "builder= is beside it",
            static builder => Plan($"name=\"net\"\ntype=\"hvm\"\n{builder}kernel=\"/k\"\nmemory=800\n", Xen("4.9.4")), "", "builder=\"hvm\"\n"),
        Pair("assumed", "Keyhole knows this Xen", static xen => Plan($"{Pv}memory=800\ne820_host=1\n", Xen(xen)), "4.90.0", "4.17.3"),
        Pair("is later than those that are known", "it is a guest of KVM", static guest => Plan(guest, Xen("4.90.0")),
            $"{Pv}memory=800\ne820_host=1\n", "qemu-system-x86_64 -M q35 -m 800\n"),

        Pair("dma-not-translated", "the map has a reserved entry", static use => Plan($"{Pv}memory=800\ne820_host={use}\n{Device}", Xen("4.14.4")),
            "0", "1"),
        Pair("sets up no xen-swiotlb", "its command line has iommu=soft",
            static more => Plan($"{Pv}memory=800\ne820_host=0\n{Device}{more}", Xen("4.14.4")), "extra=\"iommu=on\"\n",
            "extra=\"iommu=force,soft\"\n"),
        Pair("sets up no xen-swiotlb", "the kernel is a 32-bit one, of which there is none so late", static bits => Plan(
            $"{Pv}memory=800\ne820_host=0\n{Device}", Xen("4.14.4"), "--bits", bits), "64", "32"),
        Pair("sets up no xen-swiotlb", "the guest has no device", static pci => Plan($"{Pv}memory=800\n{pci}", Xen("4.14.4")),
            "e820_host=0\n" + Device, "e820_host=0\n"),
        Pair("a kernel of Linux 6.6 or later then sets up no", "the kernel is one of those",
            static kernel => Boot($"{Pv}memory=800\ne820_host=0\n{Device}", Xen("4.14.4"), "--kernel", kernel), "6.1", "6.6"),
    ];

    /// <summary>A guest of libvirt's Xen with a device.</summary>
    private static string Libvirt(string machine, string type, string features = "", bool twice = false)
    {
        const string device = "<hostdev mode='subsystem' type='pci' managed='yes'><source>"
            + "<address domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></source></hostdev>";
        return $"<domain type='xen'><name>net</name><memory unit='MiB'>800</memory><os><type arch='x86_64' machine='{machine}'>{type}</type>"
            + $"<kernel>/boot/vmlinuz</kernel></os>{features}<devices>{device}{(twice ? device : "")}</devices></domain>\n";
    }

    /// <summary>A map of so many entries, every other one reserved, from 1 MiB on.</summary>
    private static string Striped(string count)
    {
        string map = "0-9fc00 usable";
        for (ulong i = 1; i < ulong.Parse(count, CultureInfo.InvariantCulture); i++)
            map += $", {i << 24:x}-{(i << 24) + 0x100000:x} {(i % 2 == 0 ? "usable" : "reserved")}";
        return map;
    }
}
