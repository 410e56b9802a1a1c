// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using static Keyhole.Cli.Tests.Rules.MemoryInputs;

namespace Keyhole.Cli.Tests.Rules;

/// <content>Pages under holes of the map.</content>
internal static partial class MemoryPairs
{
    private const string Host = "memory=1024\ne820_host=1\n";

    private const string Balloons = "memory=1024\nmaxmem=2048\ne820_host=1\n";

    /// <summary>RAM for the pages under a hole right behind the guest's first ones.</summary>
    private const string RoomyMap = "0 10000000 ram\n10000000 18000000 reserved\n18000000 30000000 ram\n";

    /// <summary>Less RAM than pages.</summary>
    private const string ShortMap = "0 1c000000 ram\n1c000000 40000000 reserved\n";

    /// <summary>The same, with NVS under every kernel, which those from 6.12 on move away.</summary>
    private const string NvsMap = "0 1800000 ram\n1800000 1a00000 nvs\n1a00000 1c000000 ram\n1c000000 40000000 reserved\n40000000 40400000 ram\n";

    private const string Pages512MiB = "--nr-pages 131072";

    private const string Missing = "are missing: they are under holes of the map (";

    private const string GivesBack = "this kernel gives back what is there and gets nothing for it";

    private const string NoRam = "the map has no RAM after the guest's first pages that could take them";

    private const string DoesNotFind = "this kernel does not find the RAM after the guest's first pages that could take them";

    private const string NoKernel = "Which kernels cope: none; every known version gives pages back on this map.";

    /// <summary>The toolstack of Xen 4.2 puts what it cuts off nowhere.</summary>
    private static string Xen42 => RulePair.Written("xen42.log", $"(XEN) Xen version 4.2.3\n{XenOf(Plain)}");

    private static ImmutableArray<RulePair> Pages =>
    [
        RulePair.Of("; the kernel moves them to RAM further up, so that they are not lost.", "the kernel gives them back and gets others",
            static () => Pv(Host), static () => Pv(Host, "3.12.1")),
        RulePair.Of("; the kernel moves them to RAM further up, so that they are not lost.", "nothing is under a hole of the map",
            static () => Pv(Host), static () => Pv("memory=1024\n")),
        RulePair.Of("; the kernel moves them to RAM further up, so that they are not lost.", "the map in the log is another",
            static () => Pv(Host),
                static () => Pv(Host, log: static log => log.With("0x0000000100000000-0x000000011fffffff", "0x0000000100000000-0x000000011ffffffe"))),
        RulePair.Of("are given back to Xen, and as many are got again further up: nothing is lost.", "the kernel gets none again",
            static () => Pv(Host, "3.12.1"), static () => Pv(Host, "3.2.1")),
        RulePair.Of("are given back to Xen, and as many are got again further up: nothing is lost.", "the map has no room for them",
            static () => OnMap(RoomyMap, "3.12.1", both: Pages512MiB), static () => OnMap(ShortMap, "3.12.1", both: Pages512MiB)),
        RulePair.Of(Missing, "the kernel gets as many again", static () => Pv(Host, "3.2.1"), static () => Pv(Host, "3.12.1")),
        RulePair.Of("They went back to Xen.", "the kernel moves them", static () => Pv(Host, "3.2.1"), static () => Pv(Host, "3.19.1")),
        RulePair.Of(GivesBack, "it would get some, had the map room",
            static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB), static () => OnMap(ShortMap, "3.12.1", both: Pages512MiB)),
        RulePair.Of(NoRam, "the map has such RAM, but the kernel does not find it",
            static () => OnMap(ShortMap, both: Pages512MiB), static () => PvDom0(XenOf(Seed), "4.3.1")),
        RulePair.Of(NoRam, "the kernel gives all back whatever the map has",
            static () => OnMap(ShortMap, "3.12.1", both: Pages512MiB), static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB)),
        RulePair.Of(DoesNotFind, "the release's search goes on", static () => PvDom0(XenOf(Seed), "4.3.1"),
            static () => PvDom0(XenOf(Seed), "4.4.1")),
        RulePair.Of(DoesNotFind, "there is none",
            static () => PvDom0(XenOf(Seed), "4.3.1"), static () => OnMap(ShortMap, "4.3.1", both: Pages512MiB)),
        RulePair.Of("What to change: boot a kernel of 3.5 and later", "none copes with the map",
            static () => Pv(Host, "3.2.1"), static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB)),
        RulePair.Of("; or balloon up again (xl mem-set)", "no kernel is advised, for none copes",
            static () => Pv(Host, "3.2.1"), static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB)),
        RulePair.Of(NoKernel, "later ones do", static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB),
            static () => OnMap(RoomyMap, "3.2.1", both: Pages512MiB)),
        RulePair.Of("What to change: install a map with as much RAM as the guest has pages, so that they can move", "a kernel copes with this one",
            static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB), static () => OnMap(RoomyMap, "3.2.1", both: Pages512MiB)),
        // dom0's map is the machine's.
        RulePair.Of("What to change: install a map with as much RAM as the guest has pages, so that they can move", "it is dom0's map",
            static () => OnMap(ShortMap, both: Pages512MiB), static () => PvDom0(SmallMachine)),
        RulePair.Of(NoRam, "it has some, which others have taken", static () => OnMap(ShortMap, "3.12.1", both: Pages512MiB),
            static () => OnMap($"{ShortMap}40000000 40200000 ram\n", "3.12.1", both: Pages512MiB)),
        RulePair.Of(NoKernel, "some do not boot on it", static () => OnMap(ShortMap, "6.12.20", both: Pages512MiB),
            static () => OnMap(NvsMap, "6.12.20", both: Pages512MiB)),
        RulePair.Of("every known version gives pages back on this map, or does not boot on it.", "all boot",
            static () => OnMap(NvsMap, "6.12.20", both: Pages512MiB), static () => OnMap(ShortMap, "6.12.20", both: Pages512MiB)),
        RulePair.Of("the guest can also balloon up again by 2 MiB (xl mem-set)", "the map has no room at all",
            static () => OnMap($"{ShortMap}40000000 40200000 ram\n", "3.2.1", both: Pages512MiB),
            static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB)),
        RulePair.Of($"{Missing}[0xbffe0000, 0xc0000000) reserved: 32, ", "the toolstack puts them behind the hole",
            static () => Pv("memory=4096\ne820_host=1\n", "3.2.1", host: Xen42),
            static () => Pv("memory=4096\nmaxmem=4097\ne820_host=1\n", "3.12.1", host: Xen42)),
        RulePair.Of("RAM, moved from under a hole", "nothing is under one",
            static () => CommandRun.Of("boot", "--host", Seed, "--guest", Config(Host)),
            static () => CommandRun.Of("boot", "--host", Seed, "--guest", Config("memory=1024\n"))),
        RulePair.Of("RAM that the kernel reserves (ISA range, edges of holes)", "the map has no RAM there",
            static () => CommandRun.Of("boot", "--host", Seed, "--guest", Config(Host)),
            static () => CommandRun.Of("boot", "--dom0", "--host", Plain)),
        RulePair.Of("given back to Xen − ", "the kernel moves them", static () => Pv(Host, "3.2.1"), static () => Pv(Host)),
        RulePair.Of("Of these the kernel had taken 798,188 KiB for itself and its ramdisk when it said so.", "the total is no sum of known parts",
            static () => Pv(Host), static () => Pv(Host, log: static log => log.With("/1048188K", "/1048192K"))),
        RulePair.Of("Of these the kernel had taken", "the kernel sets up most of its memory later by its own word",
            static () => Pv(Host), static () => Pv(Host, more: Deferred + Count)),
        RulePair.Of("of them for its structures of that room's pages.", "it has no room for the balloon",
            static () => Pv(Balloons), static () => Pv(Host)),
        RulePair.Of("of them for its structures of that room's pages.", "the kernel had taken less than they need",
            static () => Pv(Balloons), static () => Pv(Balloons, log: static log => log.With("250000K/2096764K", "2096760K/2096764K"))),
        RulePair.Of("the kernel sets up the rest later (deferred pages)", "the log does not say so",
            static () => Pv(Host, more: Deferred + Count), static () => Pv(Host)),
        RulePair.Of("kernels that set up most of their memory later count that as taken until then", "it had taken less than 2 GiB",
            static () => Pv("memory=4096\ne820_host=1\n"),
            static () => Pv("memory=4096\ne820_host=1\n", log: static log => log.With("Memory: 250000K", "Memory: 2250000K"))),
        RulePair.Of("KiB given − 384 reserved below 1 MiB and at the edges of holes", "dom0 has the machine's map there",
            static () => Pv(Host), static () => PvDom0(SeedXen)),
    ];

    private const string Deferred = "[    0.000000] node 0 deferred pages initialised in 12ms\n";

    /// <summary>All of its RAM is dom0's, but for what lies under the hole.</summary>
    private const string SmallMachine = """
        (XEN) Command line: x
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009ffff] (usable)
        (XEN)  [0000000000100000, 000000001bffffff] (usable)
        (XEN)  [000000001c000000, 000000003fffffff] (reserved)
        (XEN) IOAPIC[0]: apic_id 2, version 32, address 0xfec00000, GSI 0-23
        (XEN)  Dom0 alloc.:   0000000018000000->000000001a000000 (100000 pages to be allocated)
        (XEN)  Loaded kernel: ffffffff81000000->ffffffff82a2c000
        (XEN)  Phys-Mach map: 0000008000000000->0000008000100000
        (XEN)  Start info:    ffffffff82a2c000->ffffffff82a2c4b4
        (XEN)  Page tables:   ffffffff82a2d000->ffffffff82a46000

        """;
}
