// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Guests of Xen that the toolstack does not create.</summary>
internal static partial class ProblemPairs
{
    private const string OnDemand = "memory=2048\nmaxmem=4096\n";
    private const string Off = "I/O virtualisation disabled\n";

    private static IEnumerable<RulePair> XenRefusals() =>
    [
        Pair("passthrough not supported on this platform", "Xen uses the IOMMU", static use => Plan($"{Pv}memory=800\n{Device}",
            Xen(lines: $"I/O virtualisation {use}\n")), "disabled", "enabled"),
        Pair("passthrough not supported on this platform", "the guest has no device", static pci => Plan($"{Pv}memory=800\n{pci}", Xen(lines: Off)),
            Device, ""),
        Pair("passthrough not supported on this platform", "up to 4.12 libxl gives a PV guest devices without", static xen =>
            Plan($"{Pv}memory=800\n{Device}", Xen(xen, lines: Off)), "4.13.0", "4.12.4"),
        Pair("cannot be assigned - no IOMMU?", "it is a PV guest", static guest => Plan($"{guest}memory=800\n{Device}", Xen("4.12.4", lines: Off)),
            Hvm, Pv),
        Pair("Xen found the IOMMU, and the firmware's tables on it are wrong", "Xen's log tells of no fault", static line =>
            Plan($"{Hvm}memory=800\n{Device}", Xen(lines: line + Off)), "Failed to parse ACPI DMAR.  Disabling VT-d.\n", ""),
        Pair("a wrong IO-APIC ivrs_ioapic", "it is another table that is wrong", static line => Plan($"{Hvm}memory=800\n{Device}",
            Xen(lines: line + Off)), "IVHD Error: Invalid IO-APIC 0xff\nAMD-Vi: Error initialization\n",
            "Failed to parse ACPI DMAR.  Disabling VT-d.\n"),

        Pair("is not assignable", "the devices are two", static device => Plan($"{Pv}memory=800\npci=['00:03.0','{device}']\n"), "00:03.0",
            "00:04.0"),
        Pair("is not assignable", "each gives another function", static device => Plan($"{Pv}memory=800\npci=['00:03.0','{device}']\n"),
            "00:03.*", "00:03.1"),
        Pair("already assigned to a different guest?", "it is a PV guest", static guest => Plan($"{guest}memory=800\npci=['00:03.0','00:03.0']\n",
            Xen("4.12.4")), Hvm, Pv),
        Pair("is already in use", "xl makes the guest", static guest => Plan(guest), Libvirt("xenpv", "linux", twice: true),
            $"{Pv}memory=800\npci=['00:03.0','00:03.0']\n"),

        Pair("shares its reserved memory (RMRR) with 0000:08:00.1", "it is said to be relaxed", static policy => Plan(
            $"{Pv}memory=800\npci=['08:00.0{policy}']\n", Shared()), "", ",rdm_policy=relaxed"),
        Pair("shares its reserved memory (RMRR) with 0000:08:00.1", "the memory is its own", static line => Plan(
            $"{Pv}memory=800\npci=['08:00.0']\n", Shared(line)), "[VT-D] endpoint: 0000:08:00.1\n", ""),
        Pair("shares its reserved memory (RMRR) with 0000:08:00.1", "up to 4.5 Xen does not look", static xen => Plan(
            $"{Pv}memory=800\npci=['08:00.0']\n", Shared(xen: xen)), "4.6.0", "4.5.5"),
        Pair("shares its reserved memory (RMRR) with 0000:08:00.1", "AMD's IOMMU has no such check", static maker => Plan(
            $"{Pv}memory=800\npci=['08:00.0']\n", Shared() + "(XEN) " + maker), Intel, Amd),

        Refused("Neither kernel nor bootloader specified", "this xl has type=", Hvm, "memory=800\n", "4.9.4", "4.10.0"),
        RefusedWith("Neither kernel nor bootloader specified", "builder= is beside it", Hvm, "4.9.4", "memory=800\n",
            "memory=800\nbuilder=\"hvm\"\n"),
        RefusedWith("passthrough disabled but devices are specified", "the guest has none", Pv, "4.17.0",
            "memory=800\npassthrough=\"disabled\"\n" + Device, "memory=800\npassthrough=\"disabled\"\n"),
        Refused("passthrough disabled but devices are specified", "this libxl does not look", Hvm,
            "memory=800\npassthrough=\"disabled\"\n" + Device, "4.13.0", "4.12.4"),
        Pair("and passthrough= asks for one", "Xen uses the IOMMU", static use => Plan($"{Pv}memory=800\npassthrough=\"enabled\"\n",
            Xen(lines: $"I/O virtualisation {use}\n")), "disabled", "enabled"),
        RefusedWith("passthrough not yet supported for x86 PVH guests", "libxl chooses", Pvh, "4.17.0", "memory=800\npassthrough=\"enabled\"\n",
            "memory=800\npassthrough=\"default\"\n"),
        RefusedWith("not valid for PV domain", "the tables are not shared", Pv, "4.17.0", "memory=800\npassthrough=\"share_pt\"\n",
            "memory=800\npassthrough=\"sync_pt\"\n"),
        RefusedWith("only valid for HAP guests", "HAP is on", Hvm, "4.17.0", "memory=800\npassthrough=\"share_pt\"\nhap=0\n",
            "memory=800\npassthrough=\"share_pt\"\nhap=1\n"),
        RefusedWith("Cannot enable PoD and vNUMA at the same time", "maxmem is no more than memory", Hvm, "4.17.0",
            Numa + "memory=1024\n", Numa + "memory=4096\n"),
        Refused("PV vNUMA is not yet supported", "this libxl does not look", Pv, Numa + "memory=4096\n", "4.6.0", "4.5.0"),
        RefusedWith("direct boot parameters specified but kernel missing", "there is one", Hvm, "4.17.0", "memory=800\nextra=\"quiet\"\n",
            "memory=800\nextra=\"quiet\"\nkernel=\"/k\"\n"),
        RefusedWith("avail_vcpus bitmap contains too many VCPUS", "they are as many as it holds", Pv, "4.17.0", "memory=800\nvcpus=1025\n",
            "memory=800\nvcpus=1024\n"),
        RefusedWith("nestedhvm and altp2mhvm cannot be used together", "altp2m is off", Hvm, "4.17.0", "memory=800\nnestedhvm=1\naltp2m=1\n",
            "memory=800\nnestedhvm=1\naltp2m=0\n"),
        Refused("nestedhvm and altp2mhvm cannot be used together", "this libxl looks elsewhere", Hvm, "memory=800\nnestedhvm=1\naltp2mhvm=1\n",
            "4.11.0", "4.10.0"),
        RefusedWith("Cannot enable PoD and ALTP2M at the same time", "altp2m is off", Hvm, "4.17.0", OnDemand + "altp2m=1\n", OnDemand
            + "altp2m=0\n"),
        Refused("since 4.15 Xen gives no nested virtualisation without HAP", "it does", Hvm, "memory=800\nhap=0\nnestedhvm=1\n", "4.15.0", "4.14.5"),
        Refused("since 4.19 Xen gives altp2m to guests with HAP alone", "libxl does not ask for it", Pv, "memory=800\naltp2m=1\n", "4.19.0",
            "4.18.0"),
        RefusedWith("altp2m_count= is set, and altp2m= is not", "it is 0", Pv, "4.21.0", "memory=800\naltp2m_count=4\n",
            "memory=800\naltp2m_count=0\n"),
        RefusedWith("altp2m needs an altp2m_count= from 1 to 512", "it is one of those", Hvm, "4.21.0", "memory=800\naltp2m=1\naltp2m_count=513\n",
            "memory=800\naltp2m=1\naltp2m_count=512\n"),
        RefusedWith("HVM and PVH guests have at most 128 virtual processors", "it has 128", Hvm, "4.17.0", "memory=800\nvcpus=129\n",
            "memory=800\nvcpus=128\n"),
        Pair("HVM and PVH guests have at most 128 virtual processors", "it is a PV guest", static guest => Plan($"{guest}memory=800\nvcpus=129\n"),
            Pvh, Pv),
        RefusedWith("xl: maxvcpus < vcpus", "maxvcpus is 0, which counts as not set", Pv, "4.17.0", "memory=800\nvcpus=4\nmaxvcpus=2\n",
            "memory=800\nvcpus=4\nmaxvcpus=0\n"),
        Pair("xl: maxvcpus < vcpus", "this xl does not look", static xen => Plan($"{Hvm}builder=\"hvm\"\nmemory=800\nvcpus=4\nmaxvcpus=2\n",
            Xen(xen)),
            "4.17.0", "4.5.0"),
    ];

    private const string Numa = "maxmem=4096\nvcpus=2\nvnuma=[ [\"pnode=0\",\"size=2048\",\"vcpus=0\"], [\"pnode=1\",\"size=2048\",\"vcpus=1\"] ]\n";

    private static RulePair Refused(string words, string unless, string guest, string keys, string said, string silent,
        [System.Runtime.CompilerServices.CallerFilePath] string file = "", [System.Runtime.CompilerServices.CallerLineNumber] int line = 0) =>
        Pair(words, unless, xen => Plan($"{guest}{keys}", Xen(xen)), said, silent, file, line);

    private static RulePair RefusedWith(string words, string unless, string guest, string xen, string said, string silent,
        [System.Runtime.CompilerServices.CallerFilePath] string file = "", [System.Runtime.CompilerServices.CallerLineNumber] int line = 0) =>
        Pair(words, unless, keys => Plan($"{guest}{keys}", Xen(xen)), said, silent, file, line);

    /// <summary>Devices that share reserved memory, above the guest's RAM.</summary>
    private static string Shared(string other = "[VT-D] endpoint: 0000:08:00.1\n", string xen = "4.17.3") => Xen(xen, lines:
        $"[VT-D]found ACPI_DMAR_RMRR:\n[VT-D] endpoint: 0000:08:00.0\n{other}"
            + "[VT-D]dmar.c:608:   RMRR region: base_addr bff77000 end_address bff78fff\n");
}
