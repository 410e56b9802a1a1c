// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>HVM guests of Xen.</summary>
internal static partial class ProblemPairs
{
    private const string Stub = "device_model_version=\"qemu-xen\"\ndevice_model_stubdomain_override=1\n";

    /// <summary>A guest with a device that asks for so much.</summary>
    private static CommandRun PlanSized(string keys, string size, string? host = null) => Plan($"{Hvm}{keys}{Device}", host, "--bar-size", size);

    private static IEnumerable<RulePair> HvmGuests() =>
    [
        Pair("the guest is HVM, and libxl gives the host's map to PV guests alone", "e820_host is off",
            static use => Plan($"{Hvm}memory=800\ne820_host={use}\n"), "1", "0"),
        Pair("Xen fills the 900 MiB of maxmem as the guest touches them", "it is a PV guest, which starts with less",
            static guest => Plan($"{guest}memory=800\nmaxmem=900\n"), Hvm, Pv),
        Pair("IOMMU required for device passthrough but not supported together with PoD", "the guest has no device",
            static pci => Plan($"{Hvm}memory=800\nmaxmem=900\n{pci}"), Device, ""),
        Pair("IOMMU required for device passthrough but not supported together with PoD", "this libxl has other words",
            static xen => Plan($"{Hvm}memory=800\nmaxmem=900\n{Device}", Xen(xen)), "4.14.5", "4.14.4"),
        Pair("invalid value 4000", "it is one that xl takes", static hole => Plan($"{Hvm}memory=800\nmmio_hole={hole}\n"), "4000", "3840"),
        Pair("less than 2 MiB of RAM are left below 4 GiB", "more are", static memory => Plan($"{Hvm}memory={memory}\n"), "9", "10"),
        Pair("device model did not start", "their ROMs fit", static cards => Plan(
            $"{Hvm}memory=800\ndevice_model_args=[{string.Join(',', System.Linq.Enumerable.Repeat("'-device','e1000'", int.Parse(cards,
                System.Globalization.CultureInfo.InvariantCulture)))}]\n"), "5", "1"),

        Pair("the source does not tell Xen's release", "it does", static xen => PlanSized("memory=800\n", "2G,64bit", Xen(xen)), "", "4.17.3"),
        Pair("the source does not tell Xen's release", "no BAR is so large that it matters", static size => PlanSized("memory=800\n", size, Xen("")),
            "2G,64bit", "1G,64bit"),
        Pair("the source does not tell Xen's release", "nor is rdm= there, which it matters to",
            static rdm => Plan($"{Hvm}memory=800\n{rdm}", Xen("")), "rdm=\"strategy=host\"\n", ""),
        Pair("has is not told: the last one is taken", "it is", static xen => PlanSized("memory=800\n", "2G,64bit", Xen(xen)), "4.17", "4.17.3"),
        Pair("has is not told: the last one is taken", "every patch level of the release does the same",
            static xen => PlanSized("memory=800\n", "2G,64bit", Xen(xen)), "4.18", "4.19"),
        Pair("QEMU runs in a PV domain of its own", "it runs in dom0", static stub => Plan($"{Hvm}memory=800\n{stub}"), Stub, ""),
        Pair("bars-not-known", "the device's BARs are told", static told => Plan($"{Hvm}memory=800\n{Device}", null, [.. told.Split(' ',
            System.StringSplitOptions.RemoveEmptyEntries)]), "", "--bar-size 16M"),
        Pair("the map does not depend on them", "hvmloader moves RAM where they need the room",
            static stub => Plan($"{Hvm}memory=4096\n{Device}{stub}", Xen("4.17.3")), "", Stub),

        Pair("the E820 map that OVMF hands over is not modelled", "the firmware is SeaBIOS", static bios =>
            Plan($"{Hvm}memory=800\nbios=\"{bios}\"\n"),
            "ovmf", "seabios"),
        Pair("gfx_passthru= is not modelled", "it is off", static use => Plan($"{Hvm}memory=800\ngfx_passthru={use}\n"), "1", "0"),
        Pair("its stubdomain runs qemu-xen-traditional", "a later xl takes the other", static xen => Plan(
            $"{Hvm}memory=800\ndevice_model_stubdomain_override=1\n", Xen(xen)), "4.20.0", "4.21.0"),
        Pair("its stubdomain runs qemu-xen-traditional", "the other is named", static key => Plan($"{Hvm}memory=800\n{key}", Xen("4.20.0")),
            "device_model_stubdomain_override=1\n", Stub),
        Pair("the memory of HVM guests of Xen 4.4", "that of 4.5 is", static xen => Plan($"{Hvm}builder=\"hvm\"\nmemory=800\n", Xen(xen)), "4.4",
            "4.5"),
        Pair("for a guest with a stubdomain, hvmloader moves 1.75 GiB of RAM", "the patch level is told",
            static xen => PlanSized("memory=4096\n" + Stub, "1G,32bit", Xen(xen)), "4.17", "4.17.4"),
        Pair("hvmloader moves RAM above 4 GiB where BARs need the room", "libxl forbids it",
            static xen => Plan($"{Hvm}memory=4096\n{Device}{Stub}", Xen(xen)), "4.17.3", "4.17.4"),
        Pair("hvmloader moves RAM above 4 GiB where BARs need the room", "all RAM is below the largest hole",
            static memory => Plan($"{Hvm}memory={memory}\n{Device}{Stub}", Xen("4.17.3")), "2057", "2056"),
        Pair("hvmloader moves RAM above 4 GiB where BARs need the room", "the hole is set",
            static hole => Plan($"{Hvm}memory=4096\n{Device}{Stub}{hole}", Xen("4.17.3")), "", "mmio_hole=1024\n"),
        Pair("to make room for BARs, and QEMU in the stubdomain does not", "libxl forbids it",
            static xen => PlanSized("memory=4096\n" + Stub, "1G,32bit", Xen(xen)), "4.17.3", "4.17.4"),
        Pair("to make room for BARs, and QEMU in the stubdomain does not", "QEMU runs in dom0, and libxl forbids it",
            static stub => PlanSized($"memory=4096\n{stub}", "1G,32bit", Xen("4.17.3")), Stub, ""),
        Pair("to make room for BARs, and QEMU in the stubdomain does not", "the hole is set, and RAM is laid around it",
            static hole => PlanSized($"memory=4096\n{Stub}{hole}", "1G,32bit", Xen("4.17.3")), "", "mmio_hole=2048\n"),

        Pair("bar-unplaced", "the hole has room for it", static hole => PlanSized($"memory=6144\nmmio_hole={hole}\n", "512M,32bit"), "512", "1024"),
        Pair("then every BAR has its place", "no hole has room for it", static size => PlanSized("memory=6144\n", size), "512M,32bit", "2G,32bit"),
        Pair("below 4 GiB there is no place for 2 GiB, whatever else the guest has", "there is one", static size => PlanSized("memory=6144\n", size),
            "2G,32bit", "1G,32bit"),
        Pair("the firmware gives nothing behind a bridge an address", "it is in front of the bridge", static bus => Plan($"{Hvm}memory=800\n"
            + $"device_model_args=['-device','pci-bridge,chassis_nr=1,id=b','-device','e1000,bus={bus},addr=9']\n"), "b", "pci.0"),
        Pair("the I/O ports do not suffice", "they do", static size => PlanSized("memory=800\n", size), "16K,io", "4K,io"),
        Pair("bridge-overwritten", "the device is no bridge", static device => Plan($"{Hvm}memory=800\ndevice_model_args=['-device','{device}']\n"),
            "pci-bridge,chassis_nr=1", "e1000"),
        Pair("mmio-hole", "hvmloader sizes it itself", static hole => Plan($"{Hvm}memory=4096\n{hole}"), "mmio_hole=1024\n", ""),
        Pair("of RAM below 4 GiB; another", "nothing of the guest's RAM is above", static memory => Plan($"{Hvm}memory={memory}\nmmio_hole=1024\n"),
            "4096", "2000"),
        Pair("above 4 GiB: drivers and operating systems of 32 bits do not reach it", "it has its place below",
            static size => PlanSized("memory=6144\n", size), "512M,64bit", "64M,64bit"),

        Pair("rdm-ignored", "the device has a policy of its own", static policy => Plan(
            $"{Hvm}memory=800\nrdm=\"strategy=host,policy=relaxed\"\npci=['00:03.0{policy}']\n"), "", ",rdm_policy=relaxed"),
        Pair("xl passes over rdm= where it names a policy", "an older xl reads it", static xen => Plan(
            $"{Hvm}memory=800\nrdm=\"strategy=host,policy=relaxed\"\n{Device}", Xen(xen)), "4.15.0", "4.14.5"),
        Pair("xl passes over the whole of rdm=", "it is what xl knows", static rdm => Plan($"{Hvm}memory=800\nrdm=\"{rdm}\"\n{Device}"),
            "strategy=none", "strategy=host"),
        Pair("leaves the policy to what is in its memory by chance", "an older xl takes relaxed",
            static xen => Plan($"{Hvm}memory=800\nrdm=\"strategy=host\"\n{Device}", Xen(xen)), "4.15.0", "4.14.5"),
        Pair("reserved-device-memory", "the guest's RAM ends below", static memory => Plan($"{Hvm}memory={memory}\n{Device}", Rmrr()), "1985",
            "1984"),
        Pair("libxl gives way or refuses it", "the source tells whose it is", static owner => Plan($"{Hvm}memory=2100\n{Device}", Rmrr(owner)),
            "", "[VT-D] endpoint: 0000:00:1d.0\n"),
        Pair("libxl gives way or refuses it", "the device has a policy of its own", static policy => Plan(
            $"{Hvm}memory=2100\npci=['00:03.0{policy}']\n", Rmrr()), "", ",rdm_policy=relaxed"),
        Pair("and with the relaxed policy is not told", "RAM ends below the boundary, and the region is told", static boundary => Plan(
            $"{Hvm}memory=2100\nrdm_mem_boundary={boundary}\npci=['00:1d.0,rdm_policy=relaxed']\n", Rmrr("[VT-D] endpoint: 0000:00:1d.0\n")),
            "2048", "1024"),
        Pair("RDM conflict at 0x7b800000.", "the device does without it", static policy => Plan(
            $"{Hvm}memory=2100\npci=['00:1d.0{policy}']\n", Rmrr("[VT-D] endpoint: 0000:00:1d.0\n")), "", ",rdm_policy=relaxed"),
        Pair("RDM conflict at 0x7b800000.", "it is another's", static device => Plan($"{Hvm}memory=2100\npci=['{device}']\n",
            Rmrr("[VT-D] endpoint: 0000:00:1d.0\n")), "00:1d.0", "00:1c.0"),
        Pair("for up to Xen 4.15 libxl is not told of it", "it is", static xen => Plan($"{Hvm}memory=2100\n{Device}", Rmrr(xen: xen) + "(XEN) "
            + Amd),
            "4.15.5", "4.16.0"),

        Pair("hvmloader stops: Fail to setup memory map", "the region is in front of what hvmloader allocates from", static at => Plan(
            $"{Hvm}memory=800\npci=['00:1d.0']\n", Rmrr("[VT-D] endpoint: 0000:00:1d.0\n", at: at)), "fc8", "fb8"),
        Pair("and the log does not tell where it is", "it does", static region => Plan($"{Hvm}memory=800\npci=['00:1d.0']\n", Xen(lines:
            $"[VT-D]found ACPI_DMAR_RMRR:\n[VT-D] endpoint: 0000:00:1d.0\n{region}")), "",
            "[VT-D]dmar.c:608:   RMRR region: base_addr 7b800000 end_address 7b8fffff\n"),
        Pair("and the log does not tell where it is", "the guest has another device", static device => Plan($"{Hvm}memory=800\npci=['{device}']\n",
            Xen(lines: "[VT-D]found ACPI_DMAR_RMRR:\n[VT-D] endpoint: 0000:00:1d.0\n")), "00:1d.0", "00:1c.0"),
        Pair("and the log does not tell where that ends", "it does", static region => Plan($"{Hvm}memory=800\npci=['00:14.0,rdm_policy=relaxed']\n",
            Xen(lines: $"[VT-D] It's risky to assign 0000:00:14.0 with shared RMRR at 7b800000 for d1.\n{region}")), "",
            "[VT-D]dmar.c:608:   RMRR region: base_addr 7b800000 end_address 7b8fffff\n"),
        Pair("which slots the functions of", "the device has one function", static function => Plan($"{Hvm}memory=800\npci=['00:03.*']\n", null,
            "--devices", RulePair.Written("lspci.txt", $"{Card()}\n{Card(address: function)}")), "00:03.1", "00:04.0"),
        Pair("vnuma= is not modelled", "it has no nodes", static nodes => Plan($"{Hvm}memory=4096\n{nodes}"), Numa,
            "maxmem=4096\nvcpus=2\nvnuma=[]\n"),
        Pair("what usbctrl= adds is not modelled", "it adds nothing", static list => Plan($"{Hvm}memory=800\nusbctrl={list}\n"),
            "['type=devicemodel,version=3']", "[]"),
        Pair("come to one page of the guest", "the guest has one of them", static pci => PlanSmall(pci, "4.17.0"), "'05:00.0','00:17.0'",
            "'05:00.0'"),
        Pair("Xen ends the guest at the second (", "this Xen does not look", static xen => PlanSmall("'05:00.0','00:17.0'", xen), "4.14.3", "4.14.2"),
        Pair("begins amid a page, and QEMU maps whole pages", "it has a page of its own", static pci => PlanSmall(pci, "4.17.0"),
            "'00:17.0'", "'05:00.0'"),
    ];

    /// <summary>A drive and a disk controller, each with a register of less than a page.</summary>
    private static CommandRun PlanSmall(string pci, string xen) => Plan($"{Hvm}memory=512\npci=[{pci}]\n", Xen(xen), "--devices",
        RulePair.Written("lspci.txt", Card(address: "05:00.0", regions: "\tRegion 0: Memory at a2610000 (64-bit, non-prefetchable) [size=16K]\n"
            + "\tRegion 4: Memory at a2614000 (64-bit, non-prefetchable) [size=256]\n")
            + "\n" + Card(address: "00:17.0", regions: "\tRegion 0: Memory at a2612000 (32-bit, non-prefetchable) [size=8K]\n"
            + "\tRegion 1: Memory at a2616000 (32-bit, non-prefetchable) [size=256]\n"
            + "\tRegion 5: Memory at a2615000 (32-bit, non-prefetchable) [size=2K]\n")));

    /// <summary>A host of which a device uses 1 MiB by itself.</summary>
    private static string Rmrr(string owner = "", string xen = "4.17.3", string at = "7b8") => Xen(xen, lines:
        $"[VT-D]found ACPI_DMAR_RMRR:\n{owner}[VT-D]dmar.c:608:   RMRR region: base_addr {at}00000 end_address {at}fffff\n");
}
