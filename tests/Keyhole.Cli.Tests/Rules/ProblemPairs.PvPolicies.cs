// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>A PV guest of Xen on a map of another policy, its devices' windows, and 32-bit ones.</summary>
internal static partial class ProblemPairs
{
    private static CommandRun PlanBy(string policy, string memory, string? host = null, params string[] options) =>
        Plan($"{Pv}memory={memory}\ne820_host=1\n", host, ["--policy", policy, .. options]);

    private static IEnumerable<RulePair> PvPolicies() =>
    [
        Pair("with this policy's hole", "the hole begins where the host's RAM ends", static hole => PlanBy($"hole-at:{hole}", "4096"),
            "0x80000000", "0xbff00000"),
        Pair("no layout helps", "no device of the guest is there", static bar => PlanBy("punch", "800", Holed("3000000-3100000"), "--bar", bar),
            "3000000-3001000", "e0000000-e0001000"),
        Pair("hole-covered", "a device of the guest is there", static bar => PlanBy("punch", "800", Holed("3000000-3100000"), "--bar", bar),
            "e0000000-e0001000", "3000000-3001000"),
        Pair("hole-covered", "the hole is behind what a kernel needs", static hole => PlanBy("punch", "800", Holed(hole)),
            "4bff000-4c00000", "4c00000-4c01000"),
        Pair("bar-outside-hole", "the hole begins at the window", static hole => PlanBy($"hole-at:{hole}", "800", null, "--bar", "d0000000-d0100000"),
            "0xd0001000", "0xd0000000"),
        Pair("filter-needed", "the window is in the hole", static bar => PlanBy("hole-3g", "800", null, "--bar", bar),
            "b0000000-b0100000", "d0000000-d0100000"),
        Pair("reads of its register must be filtered", "it has no place in the hole either", static bar => PlanBy("hole-3g", "800", null, "--bar",
            bar),
            "b0000000-b0100000", "4000000000-4040000000"),
        Pair("find no room in it", "a window of that size has a place", static bar => PlanBy("hole-3g", "800", null, "--bar", bar),
            "4000000000-4040000000", "4000000000-4010000000"),
        Pair("xen-refuses", "the toolstack makes the holes", static policy => PlanBy(policy, "800"), "guest-merge", "punch"),
        Pair("does-not-fit", "the kernel is a 64-bit one", static bits => PlanBy("punch", "65536",
            Xen(map: $"{Low}, 100000-bff00000 usable, bff00000-c0000000 reserved, 100000000-2000000000 usable"), "--bits", bits), "32", "64"),
        Pair("and with the holes", "it has less memory", static memory => PlanBy("punch", memory,
            Xen(map: $"{Low}, 100000-bff00000 usable, bff00000-c0000000 reserved, 100000000-2000000000 usable"), "--bits", "32"), "65536", "60000"),
        Pair("too-many-entries", "the host has fewer regions", static count => PlanBy("punch", "4096", Xen(map: Striped(count))), "300", "120"),
        Pair("gap-over-host-ram", "the host has none there", static type => PlanBy("hole-at:0x80000000", "800",
            Xen(map: $"{Low}, 100000-80000000 usable, 80000000-bff00000 {type}, bff00000-c0000000 reserved")), "usable", "reserved"),
        Pair("gap-over-host-ram", "a larger gap is above, from which on devices are placed", static end => Plan($"{Pv}memory=700\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-30000000 usable, 30000000-30010000 reserved, 30010000-40000000 usable, 40000000-48000000 unusable, "
                + $"48000000-bff00000 usable, bff00000-{end} reserved, fec00000-100000000 reserved")), "fe000000", "c0000000"),
        Pair("gap-over-host-ram", "the policy marks what the host has there", static policy => PlanBy(policy, "800"), "hole-at:0x80000000", "punch"),

        Pair("beyond-32-bits", "the kernel is a 64-bit one", static bits => PlanBy("punch", "800", null, "--bits", bits, "--bar",
            "2000000000-2000100000"), "32", "64"),
        Pair("is beyond the 64 GiB that a 32-bit kernel sees", "the window ends there", static bar => PlanBy("punch", "800", null, "--bits", "32",
            "--bar", bar), "fffff0000-1000001000", "fffff0000-1000000000"),
        Pair("of the guest's RAM are beyond", "the guest has less", static memory => Plan($"{Pv}memory={memory}\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-80000000 usable, 80000000-c0000000 reserved, 100000000-2000000000 usable"), "--bits", "32"), "65000", "60000"),
        Pair("lowmem-32-bit", "the kernel is a 64-bit one", static bits => Plan($"{Pv}memory=2000\ne820_host=1\n", LowHole("20000000"), "--bits",
            bits),
            "32", "64"),
        Pair("keeps its own structures in the first", "the region is behind them", static at => Plan($"{Pv}memory=2000\ne820_host=1\n", LowHole(at),
            "--bits", "32"), "20000000", "40000000"),

        Pair("bar-conflict", "the region is reserved", static type => Plan($"{Pv}memory=800\ne820_host=1\n",
            Xen(map: $"{Low}, 100000-bff00000 usable, bff00000-c0000000 {type}"), "--bar", "bff10000-bff20000"), "ACPI data", "reserved"),
        Pair("conflicts with ram memory", "the window begins where the guest's RAM ends", static bar => Plan($"{Pv}memory=800\n", null, "--bar", bar),
            "31fff000-32001000", "32000000-32001000"),
        Pair("use the host's map", "it is used already", static use => Plan($"{Pv}memory=800\ne820_host={use}\n", null, "--bar",
            "31fff000-32001000"), "0", "1"),
        Pair("msix-read-only", "the device is not the guest's", static device => Plan($"{Pv}memory=800\npci=['{device}']\n", Captured("0x2000")),
            "03:00.1", "03:00.0"),
        Pair("keeps its page read-only for the guest", "the table is behind the window", static at => Plan($"{Pv}memory=800\npci=['03:00.1']\n",
            Captured(at)), "0x2000", "0x20000"),
        Pair("keeps its page read-only for the guest", "the register has no window", static at => Plan($"{Pv}memory=800\n{Device}", null, "--devices",
            RulePair.Written("lspci.txt",
            Card($"\tCapabilities: [70] MSI-X: Enable- Count=8 Masked-\n\t\tVector table: BAR={at} offset=00002000\n"))),
            "0", "4"),

        Pair("hyper-transport-hole", "the processor is Intel's", static maker => Plan($"{Pv}memory=800\ne820_host=1\n", Xen(lines: maker),
            "--bar", "fd00000000-fd00100000"), Amd, Intel),
        Pair("is in AMD's HyperTransport range: processors reach it", "the window ends below it", static bar => Plan($"{Pv}memory=800\ne820_host=1\n",
            Xen(lines: Amd), "--bar", bar), "fcfff00000-fd00100000", "fcfff00000-fd00000000"),
        Pair("a device cannot be mapped to RAM there", "the guest has no device",
            static pci => Plan($"{Hvm}memory=1040000\n{pci}", Xen(lines: Amd, map: Huge)), Device, ""),
        Pair("a device cannot be mapped to RAM there", "its RAM ends below the range",
            static memory => Plan($"{Hvm}memory={memory}\n{Device}", Xen(lines: Amd, map: Huge)), "1036041", "1036040"),
        Pair("a device cannot be mapped to RAM there", "the processor is Intel's",
            static maker => Plan($"{Hvm}memory=1040000\n{Device}", Xen(lines: maker, map: Huge)), Amd, Intel),

        Pair("map-not-known", "no line of the host's map is lost", static line => Plan($"{Pv}memory=4096\ne820_host=1\n", Lost(line)), "...\n", ""),
        Pair("how much RAM the guest has below 4 GiB", "the guest does not use the host's map",
            static use => Plan($"{Pv}memory=4096\ne820_host={use}\n", Lost("...\n")), "1", "0"),
    ];

    private const string Amd = "CPU Vendor: AMD, Family 25 (0x19), Model 1 (0x1), Stepping 1 (raw 00a00f11)\n";
    private const string Intel = "CPU Vendor: Intel, Family 6 (0x6), Model 85 (0x55), Stepping 7 (raw 00050657)\n";
    private const string Huge = Low
        + ", 100000-bff00000 usable, bff00000-c0000000 reserved, 100000000-fd00000000 usable, 10000000000-20000000000 usable";

    private static string Holed(string hole) => Xen(
        map: $"{Low}, 100000-{hole.Split('-')[0]} usable, {hole} reserved, {hole.Split('-')[1]}-bff00000 usable, bff00000-c0000000 reserved");

    private static string LowHole(string at) => Xen(map: $"{Low}, 100000-{at} usable, {at}-{at[..^5]}fffff reserved, 60000000-bff00000 usable");

    private static string Lost(string line) => Xen(map: $"{Low}, 100000-6ff00000 usable")
        + $"{line}(XEN)  [00000000e0000000, 00000000efffffff] (reserved)\n(XEN)  [0000000100000000, 000000023fffffff] (usable)\n";

    /// <summary>A capture of a host with a device.</summary>
    private static string Captured(string table) => $$"""
        {"entries": [{"start": "0x0", "end": "0xa0000", "type": "ram"}, {"start": "0x100000", "end": "0xbff00000", "type": "ram"}],
        "devices": [{"address": "0000:03:00.1", "msix": {"bar": 0, "offset": "{{table}}", "vectors": 64},
        "bars": [{"index": 0, "kind": "memory", "start": "0xfebc0000", "end": "0xfebe0000", "is64Bit": true, "prefetchable": true}]}]}
        """;

    /// <summary>What lspci -vv prints of a device.</summary>
    private static string Card(string more = "", string address = "00:03.0",
        string regions = "\tRegion 0: Memory at e0000000 (32-bit, non-prefetchable) "
        + "[size=16K]\n") => $"{address} Ethernet controller [0200]: Intel Corporation I210 [8086:1533] (rev 03)\n{regions}{more}";
}
