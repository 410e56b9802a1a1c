// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>The forecast of a PV kernel's boot, and what becomes of its memory later.</summary>
internal static partial class ProblemPairs
{
    /// <summary>A guest or dom0 on a map that is given.</summary>
    private static CommandRun BootOn(string map, params string[] options) => CommandRun.Of(["boot", "--guest-map",
        RulePair.Written("map.txt", map.Replace(", ", "\n", System.StringComparison.Ordinal) + "\n"), "--json", .. options]);

    private static IEnumerable<RulePair> Boots() =>
    [
        Pair("kernel-halts", "the region is behind the kernel", static at => Boot($"{Pv}memory=800\ne820_host=1\n", Nvs(at), "--kernel", "6.1"),
            "4000", "5000"),
        Pair("its image at", "this kernel moves ACPI NVS away", static kernel => CommandRun.Of("boot", "--dom0", "--host",
            RulePair.Fixture("golden", "nvskernel.log"), "--json", "--kernel", kernel), "6.1.100", "6.12.117"),
        Pair("boot a kernel from 6.12 on, which moves ACPI NVS out of its way", "that one halts over what is behind", static type =>
            BootOn($"0 4000000 ram, 4000000 4010000 nvs, 4010000 5000000 {type}, 5000000 40000000 ram", "--memory", "800", "--kernel", "6.1"),
            "ram", "unusable"),
        Pair("boot a kernel from 6.12 on, which moves ACPI NVS out of its way", "the kernel is a 32-bit one, of which there are none so late",
            static bits => BootOn("0 4000000 ram, 4000000 4010000 nvs, 4010000 40000000 ram", "--memory", "800", "--kernel", "5.4", "--bits", bits),
            "64", "32"),
        Pair("install a map that keeps RAM there", "it is dom0, which has the machine's map", static who => CommandRun.Of(["boot", "--host",
            RulePair.Written("h.log", Nvs("4000")), "--json", "--kernel", "6.1", .. who.Split(' ')]), "--memory 800 --e820-host",
            "--dom0 --nr-pages 204800"),
        Pair("its page tables at", "they are in RAM", static at => BootOn("0 8000000 ram, 8000000 8001000 reserved, 8001000 40000000 ram", "--memory",
            "800", "--page-tables", at), "8000000-8010000", "8001000-8011000"),
        Pair("its start info at", "it is in RAM", static at => BootOn("0 8000000 ram, 8000000 8001000 reserved, 8001000 40000000 ram", "--memory",
            "800", "--kernel", "6.12", "--start-info", at), "8000000-8001000", "8001000-8002000"),
        Pair("its start info at", "this kernel does not look", static kernel =>
            BootOn("0 8000000 ram, 8000000 8001000 reserved, 8001000 40000000 ram",
            "--memory", "800", "--start-info", "8000000-8001000", "--kernel", kernel), "6.12", "6.1"),
        Pair("its p2m list at", "there is room elsewhere", static more => BootOn($"0 10000 ram, 1000000 4b00000 ram, 5000000 5001000 reserved{more}",
            "--memory", "800", "--page-tables", "4a10000-4a20000", "--start-info", "4a00000-4a01000", "--p2m-list", "5000000-5190000"),
            "", ", 10000000 20000000 ram"),
        Pair("it gets no memory map from Xen: the machine map has more entries", "this kernel's table holds them", static kernel =>
            CommandRun.Of("boot",
            "--dom0", "--host", RulePair.Written("h.log", Xen(map: Striped("160"))), "--nr-pages", "20000", "--json", "--kernel", kernel),
            "4.9.70", "4.12"),
        Pair("no-32-bit-kernel", "the kernel is a 64-bit one", static bits => Boot($"{Pv}memory=800\n", null, "--bits", bits, "--kernel", "6.1"),
            "32", "64"),
        Pair("Linux dropped them with 5.9", "the stable releases of 5.8 have them", static kernel => Boot($"{Pv}memory=800\n", null, "--bits", "32",
            "--kernel", kernel), "5.9", "5.8.18"),
        Pair("kernel-end-not-known", "the region is behind the builder's span", static at => BootOn(
            $"0 {at} ram, {at} 4b00000 reserved, 4b00000 40000000 ram", "--memory", "800", "--kernel", "6.1"), "49ff000", "4a00000"),
        Pair("kernel-end-not-known", "it is before all places where the kernel may end", static at => BootOn(
            $"0 {at} ram, {at} 4b00000 reserved, 4b00000 40000000 ram", "--memory", "800", "--kernel", "6.1"), "49ff000", "3000000"),

        Pair("memory-released", "this kernel moves them", static kernel => BootOn(Gap, "--memory", "800", "--kernel", kernel), "3.4", "6.1"),
        Pair("gets nothing for them", "the map has no hole in the guest's memory", static hole => BootOn(
            $"0 20000000 ram, 20000000 {hole} reserved, {hole} 60000000 ram", "--memory", "800", "--kernel", "3.4"), "21000000", "20000000"),
        Pair("finds no RAM in the map to move them to", "the map has as much RAM as the guest", static end => BootOn(
            $"0 20000000 ram, 20000000 21000000 reserved, 21000000 {end} ram", "--memory", "800", "--kernel", "6.1"), "32000000", "33000000"),
        Pair("boot a kernel from 3.19 on, which moves them", "the map has no RAM for it", static end => BootOn(
            $"0 20000000 ram, 20000000 21000000 reserved, 21000000 {end} ram", "--memory", "800", "--kernel", "3.4"), "33000000", "32000000"),
        Pair("balloon up again", "the map has no room for what is lost", static end => BootOn(
            $"0 20000000 ram, 20000000 21000000 reserved, 21000000 {end} ram", "--memory", "800", "--kernel", "3.4"), "40000000", "32000000"),
        Pair("give dom0 less memory", "it is a guest", static who => CommandRun.Of(["boot", "--host",
            RulePair.Written("h.log", Xen(map: $"{Low}, 100000-10000000 usable, 10000000-20000000 reserved, 20000000-30000000 usable")), "--json",
            "--kernel", "6.1", .. who.Split(' ')]), "--dom0 --nr-pages 196608", "--memory 768 --e820-host"),

        Pair("can't claim; address conflict with", "the window is in the reserved region", static type => BootOn(
            $"0 32000000 ram, e0000000 e0100000 {type}", "--memory", "800", "--bar", "e0000000-e0001000"), "acpi", "reserved"),
        Pair("leaves a hole that reaches 512 GiB without machine frames", "this kernel does not", static kernel => BootOn(
            "0 32000000 ram, 8000000000 8040000000 reserved", "--memory", "800", "--bar", "e0000000-e0001000", "--kernel", kernel), "3.13", "3.14"),
        Pair("leaves a hole that reaches 512 GiB without machine frames", "the map ends below", static at => BootOn(
            $"0 32000000 ram, 7ffe000000 {at} reserved", "--memory", "800", "--bar", "e0000000-e0001000", "--kernel", "3.13"),
            "8000001000", "7fff000000"),
        Pair("address conflict", "this kernel leaves out what is beyond the balloon's room", static kernel => Boot($"{Pv}memory=100\nmaxmem=2048\n",
            null, "--bar", "70000000-70001000", "--kernel", kernel), "4.3", "6.1"),
        Pair("leads to the device where a driver maps it for itself", "all behind the map is its own machine frames", static kernel => BootOn(
            "0 32000000 ram", "--memory", "800", "--bar", "e0000000-e0001000", "--kernel", kernel), "3.15", "3.16"),
        Pair("balloon-room-cut", "the map's RAM is within ten times the guest's memory", static end => BootOn($"0 {end} ram", "--memory", "100"),
            "80000000", "20000000"),
        Pair("are out of the balloon's room", "it is dom0, whose map is the machine's", static who => CommandRun.Of(["boot", "--host",
            RulePair.Written("h.log", Xen()), "--json", .. who.Split(' ')]), "--memory 100 --maxmem 4096", "--dom0 --nr-pages 25600"),
        Pair("balloon-beyond-maximum", "the target is maxmem", static target => Boot($"{Pv}memory=800\nmaxmem=900\n", null, "--mem-set", target),
            "901", "900"),
        Pair("of the target are beyond what dom0 may have", "Xen's command line lets it have more", static most => CommandRun.Of("boot", "--dom0",
            "--host", RulePair.Written("h.log", Xen()), "--nr-pages", "204800", "--max", most, "--mem-set", "900", "--json"), "850", "900"),
        Pair("balloon-beyond-room", "the target is within what Linux can address", static target => Boot($"{Pv}memory=800\nmaxmem=200000000\n", null,
            "--mem-set", target), "80000000", "900"),
        Pair("hotplug-in-pci-gap", "extra memory of the map is there first", static kernel => Boot($"{Pv}memory=800\nmaxmem=900\ne820_host=1\n", null,
            "--mem-set", "900", "--kernel", kernel), "6.10", "6.1"),
        Pair("hotplug-over-device", "the window is claimed, and hotplug keeps off it", static bar => Boot($"{Pv}memory=800\nmaxmem=900\n", null,
            "--mem-set", "900", "--kernel", "6.10", "--bar", bar), "38300000-40100000", "38400000-40100000"),
    ];

    private const string Gap = "0 20000000 ram, 20000000 21000000 reserved, 21000000 40000000 ram";

    private static string Nvs(string at) => Xen(map:
        $"{Low}, 100000-{at}000 usable, {at}000-{at[..^1]}1000 ACPI NVS, {at[..^1]}1000-bff00000 usable, bff00000-c0000000 reserved");
}
