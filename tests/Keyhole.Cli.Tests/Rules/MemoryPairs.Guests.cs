// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using static Keyhole.Cli.Tests.Rules.MemoryInputs;

namespace Keyhole.Cli.Tests.Rules;

/// <content>The guest, or the limit of dom0, that a log is of.</content>
internal static partial class MemoryPairs
{
    private const string GuestThatHas = "All of the memory setup in the log agrees with a guest that has ";

    private const string OtherLimit = "All of the memory setup in the log agrees with a dom0 that may have 1 GiB (";

    private const string WithoutHostsMap = "is what a guest without the host's map has there: e820_host was not in force in this boot, and the "
        + "device's "
        + "windows lie in the guest's RAM.";

    private const string StubDomainsLog = """
        [    0.000000] Linux version 6.6.77-xen-stubdom (user@build) (gcc 12) #1 Tue Oct 2 03:34:17 UTC 2018
        [    0.000000] Command line: console=hvc0
        [    0.000000] Released 0 page(s)
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000087fffff] usable
        [    0.000000] [mem 0x08800000-0xffffffff] available for PCI devices
        [    0.000000] Booting paravirtualized kernel on Xen PV

        """;

    /// <summary>What guest and dom0 say of the same machine's map, but for what dom0 alone does.</summary>
    private static string GuestsOwn(string owner) => $"""
        [    0.000000] Linux version 6.1.90 (a@b) #1 SMP
        [    0.000000] {owner}
        [    0.000000] Released 0 page(s)
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x0000000078da2fff] usable
        [    0.000000] Xen: [mem 0x0000000078da3000-0x00000000795bbfff] reserved
        [    0.000000] Xen: [mem 0x0000000100000000-0x000000017fffffff] usable
        [    0.000000] Remapped 553565 page(s)

        """;

    /// <summary>A guest whose log has nothing but a window that cannot be claimed.</summary>
    private static CommandRun Claims(string options, string end = "0xf9ffffff", string obstacle = "System "
        + "RAM", string window = "0xb2100000-0xb2100fff") => CommandRun.Of(["verify", "--host",
        Seed, "--dmesg", RulePair.Written("dmesg", "pcifront pci-0: claiming resource 0000:00:00.0/0\npci 0000:00:00.0: can't claim BAR 2 [mem "
            + $"{window} 64bit]: address conflict with {obstacle} [mem 0x00100000-{end}]\n"), .. options.Split(' ')]);

    private static CommandRun OnGuestsMap(string owner) => CommandRun.Of("verify", "--host", RulePair.Written("host", GuestsOwn(owner)), "--dmesg",
        RulePair.Written("dmesg", GuestsOwn("ACPI in unprivileged domain disabled")), "--memory", "4096", "--e820-host");

    private static CommandRun StubDomain(string key, string end = "0x00000000087fffff") => CommandRun.Of("verify", "--host",
        RulePair.Fixture("hosts", "dell-xps-8500", "boot.log"), "--guest", RulePair.Written("g.cfg", "name=\"gpu\"\ntype=\"hvm\"\nmemory=4096\n"
            + $"device_model_version=\"qemu-xen\"\ndevice_model_stubdomain_override=1\n{key}"), "--dmesg",
        RulePair.Written("dmesg", StubDomainsLog.With("0x00000000087fffff", end)));

    private static string LibvirtOf(string features) => RulePair.Written("g.xml",
        $"<domain type='xen'><name>g</name><memory unit='MiB'>512</memory><os><type>xen</type><kernel>/x</kernel></os>{features}</domain>");

    private static CommandRun UnderLibvirt(string features) => CommandRun.Of("verify", "--host", Seed, "--guest", LibvirtOf(features), "--dmesg",
        RulePair.Written("dmesg", LogOf("6.1.90", Count, "--host", Seed, "--guest", Config(Host))));

    private static ImmutableArray<RulePair> Guests =>
    [
        RulePair.Of($"{GuestThatHas}memory=1024, which is not the guest that was told. Give its configuration with --guest.", "it is the one",
            static () => Pv(Host, told: "memory=2048\ne820_host=1\n"), static () => Pv(Host)),
        RulePair.Of(GuestThatHas, "another line of the log differs, too", static () => Pv(Host, told: "memory=2048\ne820_host=1\n"),
            static () => Pv(Host, told: "memory=2048\ne820_host=1\n", log: static log => log.With("] Remapped 131072", "] Remapped 131073"))),
        RulePair.Of(GuestThatHas, "lines of its map are left out", static () => Pv(Host, told: "memory=2048\ne820_host=1\n"),
            static () => Pv(Host, told: "memory=2048\ne820_host=1\n",
                log: static log => log.With("[    0.000000] Xen: [mem 0x0000000100000000", "[...]\n[    0.000000] Xen: [mem 0x0000000100000000"))),
        RulePair.Of(GuestThatHas, "it is the host that is another", static () => Pv(Host, told: "memory=2048\ne820_host=1\n"),
            static () => CommandRun.Of("verify", "--host", Plain, "--guest", Config(Host), "--dmesg",
                RulePair.Written("dmesg", LogOf("6.1.90", Count, "--host", Seed, "--guest", Config(Host))))),
        RulePair.Of($"{GuestThatHas}a map that is not the host's (no e820_host=1, no pci= entry), which", "it is larger, and has the host's map",
            static () => Pv("memory=1024\n", told: Host), static () => Pv("memory=1500\ne820_host=1\n", told: Host)),
        RulePair.Of($"{GuestThatHas}the host's map (e820_host=1 or a pci= entry), which", "it has another size alone",
            static () => Pv(Host, told: "memory=1024\n"), static () => Pv("memory=512\n", told: "memory=1024\n")),
        RulePair.Of("(e820_host=1 or a pci= entry)", "the guest that was told is libvirt's, where a device gives none",
            static () => Pv(Host, told: "memory=512\n"), static () => UnderLibvirt("")),
        RulePair.Of($"{OtherLimit}dom0_mem=max:1024M on Xen's command line). That is not what was taken: say so with --max.",
            "its command line has none",
            static () => PvDom0(SeedXen, told: SeedXen.Without("Command line:")), static () => PvDom0(SeedXen, told: SeedXen.With(",max:1G", ""))),
        RulePair.Of(OtherLimit, "the map in the log is of a larger dom0",
            static () => PvDom0(SeedXen, told: SeedXen.Without("Command line:")),
            static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G,max:2G"), told: SeedXen.Without("Command line:"))),
        RulePair.Of(OtherLimit, "another line of the log differs, too", static () => PvDom0(SeedXen, told: SeedXen.Without("Command line:")),
            static () => PvDom0(SeedXen, told: SeedXen.Without("Command line:"), log: static log => log.With("] Remapped 610", "] Remapped 611"))),
        RulePair.Of("(max:1024M in the dom0_mem= that is built into this Xen, whose command line has none)", "it has one",
            static () => PvDom0(SeedXen, told: SeedXen.With(Limited, "")), static () => PvDom0(SeedXen, told: SeedXen.With(",max:1G", ""))),
        RulePair.Of("in the dom0_mem= that is built into this Xen, whose command line has none)", "that Xen has none built in",
            static () => PvDom0(SeedXen, told: SeedXen.With(Limited, "")),
            static () => PvDom0($"(XEN) Xen version 4.11.4 (a@b)\n{SeedXen}", told: $"(XEN) Xen version 4.11.4 (a@b)\n{SeedXen.With(Limited, "")}")),
        RulePair.Of(WithoutHostsMap, "no guest of that size has that there",
            static () => Claims("--memory 4000 --e820-host"), static () => Claims("--memory 4000 --e820-host", "0xf8ffffff")),
        RulePair.Of(WithoutHostsMap, "the guest that was told has no such map either",
            static () => Claims("--memory 4000 --e820-host"), static () => Claims("--memory 4000")),
        RulePair.Of(WithoutHostsMap, "the host's map has the same there", static () => Claims("--memory 4000 --e820-host"),
            static () => Claims("--memory 512 --e820-host", "0x1fffffff", window: "0x1f000000-0x1f000fff")),
        RulePair.Of(WithoutHostsMap, "it is another map of Keyhole's that it was told to have",
            static () => Claims("--memory 4000 --e820-host"), static () => Claims("--memory 4000 --e820-host --policy punch")),
        RulePair.Of(WithoutHostsMap, "what is in the way is a bridge, and none of the map",
            static () => Claims("--memory 4000 --e820-host"), static () => Claims("--memory 4000 --e820-host", obstacle: "PCI Bus 0000:01")),
        RulePair.Of("The guest that was told has it (e820_host=1): this one was started without, or the device was attached later. What to "
            + "change: start "
            + "it anew with that in its configuration.", "it has it by its device",
            static () => Claims("--memory 4000 --e820-host"), static () => Claims("--memory 4000 --pci 01:00.0")),
        RulePair.Of("By the forecast it started with 364 MiB or more: with 300 MiB Linux takes less of maxmem into its map.", "it started with 400",
            static () => Claims("--memory 300 --maxmem 4000M --e820-host"), static () => Claims("--memory 400 --maxmem 4000M --e820-host")),
        RulePair.Of("The map that is taken for the host's (line 4) is a guest's own: what is forecast from it holds for no host. Give what 'xl "
            + "dmesg' "
            + "says on the host with --host.", "it is dom0's",
            static () => OnGuestsMap("ACPI in unprivileged domain disabled"), static () => OnGuestsMap("Booting paravirtualized kernel on Xen dom0")),
        RulePair.Of("All of the memory setup in the log agrees with a stubdomain of 136 MiB.", "it has the size that was told",
            static () => StubDomain("stubdomain_memory=160\n"), static () => StubDomain("stubdomain_memory=128\n")),
    ];
}
