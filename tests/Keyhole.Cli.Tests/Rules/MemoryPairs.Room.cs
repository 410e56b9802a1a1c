// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using static Keyhole.Cli.Tests.Rules.MemoryInputs;

namespace Keyhole.Cli.Tests.Rules;

/// <content>RAM of the map that the domain does not have.</content>
internal static partial class MemoryPairs
{
    private const string Limited = "dom0_mem=1G,max:1G";

    private static string SeedXen => XenOf(Seed);

    /// <summary>dom0 has all that Xen leaves it.</summary>
    private static string WholeXen => SeedXen.With(Limited, "").With("0000008000000000->0000008000200000", "0000008000000000->0000008000f80000");

    private static ImmutableArray<RulePair> Room =>
    [
        RulePair.Of("of the RAM in the map are room for the balloon: the guest gets them with xl mem-set", "it starts with all that it may have",
            static () => Pv(Balloons), static () => Pv(Host)),
        RulePair.Of("of the RAM in the map are room for the balloon: the guest gets them with", "its kernel keeps them from the balloon",
            static () => Pv(Balloons), static () => Pv(Balloons, "6.12.20")),
        RulePair.Of(", which Linux from 6.10 on keeps for itself: xl mem-set gives the guest memory at other addresses, by hotplug", "it is 6.9",
            static () => Pv(Balloons, "6.10.3"), static () => Pv(Balloons, "6.9.3")),
        RulePair.Of(", as far as Xen has them free (free_memory in 'xl info')", "it is a guest, for which maxmem is the limit",
            static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G")), static () => Pv(Balloons)),
        RulePair.Of("of the RAM in the map are room", "dom0 may have no more",
            static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G")), static () => PvDom0(SeedXen)),
        RulePair.Of(". Without dom0_mem= on its command line Xen gives dom0 all that it has left but for 128 MiB at most: about so much can be had",
            "dom0_mem= is on it", static () => PvDom0(WholeXen),
            static () => PvDom0(WholeXen.With("Command line: ", "Command line: dom0_mem=7936M "))),
        RulePair.Of(". Without dom0_mem= on its command line Xen gives dom0 all that it has left but for 128 MiB at most: about so much can be had",
            "the command line is not in the log", static () => PvDom0(WholeXen), static () => PvDom0(WholeXen.Without("Command line:"))),
        RulePair.Of(". Without dom0_mem= on its command line Xen gives dom0 all that it has left but for 128 MiB at most: about so much can be had",
            "dom0 has so little that a dom0_mem= must be built into Xen",
            static () => PvDom0(WholeXen), static () => PvDom0(SeedXen.With(Limited, ""))),
        RulePair.Of("The kernel's structures for the pages of that room (64 bytes each) take about", "the room is small beside what it has",
            static () => Pv("memory=512\nmaxmem=3000\n"), static () => Pv("memory=2512\nmaxmem=3000\n")),
        RulePair.Of("What to change: set maxmem to memory (512), or start the guest with more.",
            "the map is given: no setting of the guest's is told",
            static () => Pv("memory=512\nmaxmem=3000\n"), static () => OnMap("0 bb800000 ram\n", both: Pages512MiB)),
        RulePair.Of("What to change: dom0_mem=1024M,max:1024M on Xen's command line, or more to start with.", "it is a guest",
            static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G")), static () => Pv("memory=1024\nmaxmem=7000\n")),
        RulePair.Of("are not dom0's: dom0 may have 1 GiB (dom0_mem=max: on Xen's command line)", "it has no limit",
            static () => PvDom0(SeedXen), static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G"))),
        RulePair.Of("(dom0_mem=max: on Xen's command line)", "the limit is told, and the command line has none",
            static () => PvDom0(SeedXen), static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G"), both: "--max 1G")),
        RulePair.Of("(dom0_mem=max: on Xen's command line)", "the limit is told, and the command line is not in the log",
            static () => PvDom0(SeedXen), static () => PvDom0(SeedXen.Without("Command line:"), both: "--max 1G")),
        RulePair.Of("as was told, for Xen's command line has no dom0_mem=", "it has one",
            static () => PvDom0(SeedXen.With(Limited, ""), both: "--max 1G"), static () => PvDom0(SeedXen, both: "--max 1G")),
        RulePair.Of("dom0 starts with 256 MiB, and Linux keeps room for ten times that at most (dom0_mem= on Xen's command line gives it more)",
            "that reaches all of its RAM",
            static () => PvDom0(SeedXen.With(Limited, "dom0_mem=256M").With("8000200000", "8000080000")),
                static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G"))),
        RulePair.Of("are out of the balloon's room", "it starts with a tenth of them",
            static () => Pv("memory=300\nmaxmem=4000\n"), static () => Pv("memory=400\nmaxmem=4000\n")),
        RulePair.Of("The kernel leaves them out of its map.", "the release marks them",
            static () => Pv("memory=300\nmaxmem=4000\n"), static () => Pv("memory=300\nmaxmem=4000\n", "4.18.1")),
        RulePair.Of("of the map are unusable: RAM of the host that the guest was not given, marked so that no device is put there.",
            "the kernel marked them itself", static () => Pv(Host), static () => Pv("memory=300\nmaxmem=4000\n", "4.18.1")),
        RulePair.Of("dom0 may have 1 GiB (by the RAM of its own map: Xen's command line is not in the log)", "it is in the log",
            static () => PvDom0(SeedXen.Without("Command line:"), both: "--max 1G"), static () => PvDom0(SeedXen)),
        RulePair.Of("dom0 may have 1 GiB (as was told)", "Xen's command line has the same limit",
            static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G,max:2G"), both: "--max 1G"), static () => PvDom0(SeedXen, both: "--max 1G")),
        RulePair.Of("dom0 may have 1 GiB (dom0_mem=max: on Xen's command line, or as was told)", "Xen's log is of one start",
            static () => PvDom0($"{SeedXen}{SeedXen}"), static () => PvDom0(SeedXen)),
        RulePair.Of("of the map are unusable: RAM of the host that the guest was not given",
            "it is a map that is given, and of the host nothing is known",
            static () => Pv(Host), static () => OnMap("0 20000000 ram\n40000000 50000000 unusable\n", both: Pages512MiB)),
        RulePair.Of("of the map are unusable: RAM of the host that the guest was not given", "the host has no RAM there",
            static () => Pv(Host), static () => CommandRun.Of("verify", "--host", Seed, "--guest-map",
                RulePair.Written("map", "0 20000000 ram\nc0000000 d0000000 unusable\n"), "--nr-pages", "131072", "--dmesg", RulePair.Written("dmesg",
                    LogOf("6.1.90", Count, "--guest-map", RulePair.Written("map", "0 20000000 ram\nc0000000 d0000000 unusable\n"), "--nr-pages",
                    "131072")))),
        RulePair.Of(", and the domain may not have more than it starts with", "its maxmem is larger",
            static () => OnMap(RoomyMap, both: "--memory 512"), static () => OnMap(RoomyMap, both: "--memory 512 --maxmem 640")),
        RulePair.Of("pages (85.9 GiB) of those that it starts with are beyond what this kernel can manage: nothing uses them. What to change: boot a "
            + "kernel of 4.3 and later; or start it with that much less.", "the release manages them",
            static () => Pv("memory=600000\n", "3.12.1"), static () => Pv("memory=600000\n", "4.3.1")),
        // What it starts with is no room for the balloon.
        RulePair.Of("of RAM in the map are out of the balloon's room", "it is what the guest starts with",
            static () => Pv("memory=300\nmaxmem=600000\n", "3.12.1"), static () => Pv("memory=600000\n", "3.12.1")),
        RulePair.Of("beyond what this kernel can manage − 4 the first page", "the guest has no more than that",
            static () => Pv("memory=600000\n", "3.12.1"), static () => Pv("memory=500000\n", "3.12.1")),
    ];
}
