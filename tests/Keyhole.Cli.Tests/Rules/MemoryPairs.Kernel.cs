// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.IO;
using static Keyhole.Cli.Tests.Rules.MemoryInputs;

namespace Keyhole.Cli.Tests.Rules;

/// <content>Which kernel, and which Xen, a log is of.</content>
internal static partial class MemoryPairs
{
    private const string MarksAsOnlySome = "The log shows what only some releases do (4.16 to 4.19, of stable series 4.14.74 on, 4.19.0 to "
        + "4.19.8): this "
        + "kernel marks RAM beyond the limit UNUSABLE instead of leaving it out.";

    private const string AnotherXen = "The log does not name Xen's release, and one from 4.2 to 4.19 is taken, as most of them are: everything in it "
        + "agrees with Xen 4.18.5, 4.19.2, 4.20.1 and later; or 4.2.3, 4.3.0 and older, which keeps another window of the APIC from dom0.";

    private const string NoneAgrees = "With the machine map and the memory that are taken here, no kernel version that is known does everything "
        + "that the "
        + "log shows (what differs: map entry, remapped pages, remapped non-RAM pages, gap for PCI devices). Either they are not those of this "
            + "boot, or its kernel does something that is not known.";

    private const string ElsewhereOrLarger = "its kernel is larger or is elsewhere than the one that is taken (the log does not show where it was "
        + "put), "
        + "or it does something that is not known.";

    private const string ImageConflict = "[    0.000000] Linux version 6.1.90 (x@y) #1\nXen hypervisor allocated kernel memory conflicts with "
        + "E820 map\n";

    private const string MadeFromHosts = "The map in the log is made from a host's, the forecast's is not: the guest was started with e820_host=1 "
        + "or a "
        + "pci= entry. Say so with --e820-host or --pci, or give its configuration with --guest.";

    private const string NotMadeFromHosts = "The map in the log is not made from a host's, the forecast's is: the guest was started without "
        + "e820_host=1 "
        + "and without a pci= entry.";

    private const string OldPiece = "Linux before 2.6.32 marks the list of its frames and its start info, which lie behind its kernel, as "
        + "reserved itself:";

    private static string NewestXens => File.ReadAllText(RulePair.Fixture("matrix", "xen-4.20-linux-6.12", "seed8g.log"));

    private static string Linux612 => File.ReadAllText(RulePair.Fixture("linux612", "seed8g.log"));

    /// <summary>A guest of 512 MiB whose map has a piece behind its kernel that is no RAM.</summary>
    private static CommandRun OfGuestOf(string release, string next = "000000000087f000") => CommandRun.Of("verify", "--host", Seed, "--memory",
    "512",
        "--dmesg", RulePair.Written("dmesg", $"""
            Linux version {release} (a@b) (gcc version 4.3.2) #1 SMP
            Xen: 0000000000000000 - 00000000000a0000 (usable)
            Xen: 0000000000100000 - 000000000086e000 (usable)
            Xen: 000000000086e000 - 000000000087f000 (reserved)
            Xen: {next} - 0000000020800000 (usable)

            """));

    private static CommandRun NoMap(string more) => OfDom0($"{XenOf(Plain)}{more}");

    private static ImmutableArray<RulePair> Kernels =>
    [
        RulePair.Of("The log names no kernel version; it is compared with linux-6.1: --kernel names another.", "the log names it",
            static () => OfDom0(SeedXen + Linux("")), static () => OfDom0(SeedXen + Linux("[    0.000000] Linux version 6.1.90 (x@y) #1\n"))),
        RulePair.Of(", whose memory setup is not known (known are 3.2 to 7.3); it is compared with linux-6.1: --kernel names another.", "it is 3.2",
            static () => OfDom0(SeedXen + Linux("[    0.000000] Linux version 3.1.9 (x@y) #1\n")),
            static () => OfDom0(SeedXen + Linux("[    0.000000] Linux version 3.2.1 (x@y) #1\n"))),
        RulePair.Of(", whose memory setup is not known (known are 3.2 to 7.3)", "it is 7.3",
            static () => OfDom0(SeedXen + Linux("[    0.000000] Linux version 7.4.1 (x@y) #1\n")),
            static () => OfDom0(SeedXen + Linux("[    0.000000] Linux version 7.3.1 (x@y) #1\n"))),
        RulePair.Of(AnotherXen, "the log names it", static () => OfDom0(NewestXens, "--kernel", "6.12.117"),
            static () => OfDom0($"(XEN) Xen version 4.20.0 (a@b)\n{NewestXens}", "--kernel", "6.12.117")),
        RulePair.Of(AnotherXen, "another line differs, too", static () => OfDom0(NewestXens, "--kernel", "6.12.117"),
            static () => OfDom0(NewestXens.With("] Remapped ", "] Remapped 1"), "--kernel", "6.12.117")),
        RulePair.Of("everything in it agrees with Xen 4.18.5", "what is taken agrees",
            static () => OfDom0(NewestXens, "--kernel", "6.12.117"), static () => OfDom0(File.ReadAllText(Seed))),
        RulePair.Of("All of the memory setup in the log agrees with 6.12 and later: name it with --kernel if that is the kernel.", "it is named",
            static () => OfDom0(Linux612), static () => OfDom0(Linux612, "--kernel", "6.12.20")),
        RulePair.Of("All of the memory setup in the log agrees with 6.12 and later", "no release's map is the log's",
            static () => OfDom0(Linux612), static () => OfDom0(Linux612.With("mem 0x0000000020000000-", "mem 0x0000000020001000-"))),
        RulePair.Of(NoneAgrees, "another release agrees",
            static () => OfDom0(Linux612.With("mem 0x0000000020000000-", "mem 0x0000000020001000-")), static () => OfDom0(Linux612)),
        RulePair.Of("With the machine map and the memory that are taken here, no kernel version", "it is a window alone that differs",
            static () => OfDom0(Linux612.With("mem 0x0000000020000000-", "mem 0x0000000020001000-")),
            static () => OfDom0($"{File.ReadAllText(Seed).Split("=== ")[0]}[    1.1] pci 0000:00:00.0: BAR 0 [mem 0x90000000-0x9000ffff]: can't "
                + "claim; "
                + "address conflict with System RAM [mem 0x00100000-0xce3fffff]\n")),
        RulePair.Of(ElsewhereOrLarger, "the log shows where Xen put it",
            static () => OfDom0(XenOf(Plain).Without("Loaded kernel:").Without("Phys-Mach map:") + ImageConflict),
            static () => NoMap(ImageConflict)),
        RulePair.Of(ElsewhereOrLarger, "the kernel did not stop at something in its way",
            static () => OfDom0(XenOf(Plain).Without("Loaded kernel:").Without("Phys-Mach map:") + ImageConflict),
            static () => OfDom0(Linux612.With("mem 0x0000000020000000-", "mem 0x0000000020001000-"))),
        RulePair.Of(MarksAsOnlySome, "nothing is beyond a limit", static () => PvDom0(SeedXen, "4.18.1"),
            static () => PvDom0(SeedXen.With(Limited, "dom0_mem=1G"), "4.18.1")),
        RulePair.Of(MarksAsOnlySome, "the release does not mark it", static () => PvDom0(SeedXen, "4.18.1"), static () => PvDom0(SeedXen, "4.20.1")),
        RulePair.Of("All of it agrees with a kernel that does one thing as other releases do (3.2 to 4.3; 4.16 to 4.19", "it is named as what it is",
            static () => PvDom0(SeedXen, "4.18.1", log: static log => log.With("4.18.1", "4.15.1")), static () => PvDom0(SeedXen, "4.18.1")),
        RulePair.Of(": marks RAM beyond the limit UNUSABLE instead of leaving it out. This one may carry it as a patch.", "it is one that lacks it",
            static () => PvDom0(SeedXen, "4.18.1", log: static log => log.With("4.18.1", "4.15.1")),
            static () => PvDom0(SeedXen, "4.15.1", log: static log => log.With("4.15.1", "4.18.1"))),
        RulePair.Of("All of it agrees with a kernel that does not do one thing that this release does (", "it does what this release does not",
            static () => PvDom0(SeedXen, "4.15.1", log: static log => log.With("4.15.1", "4.18.1")),
            static () => PvDom0(SeedXen, "4.18.1", log: static log => log.With("4.18.1", "4.15.1"))),
        RulePair.Of("this kernel ends its search for room at RAM that ends just where the next page is to go", "the search ends elsewhere",
            static () => PvDom0(SeedXen, "4.3.1"), static () => Pv(Host, "4.3.1")),
        RulePair.Of(MadeFromHosts, "its map is as forecast", static () => Pv(Host, told: "memory=1024\n"), static () => Pv(Host)),
        RulePair.Of(MadeFromHosts, "what is no RAM in it the kernel has marked itself",
            static () => Pv(Host, told: "memory=1024\n"), static () => Pv("memory=300\nmaxmem=4000\n", "4.18.1", told: "memory=512\nmaxmem=6000\n")),
        RulePair.Of("The map in the log is made from a host's", "its toolstack is one that is not known",
            static () => Pv(Host, told: "memory=1024\n"),
            static () => Pv(Host, told: "memory=1024\n", host: RulePair.Written("x", $"(XEN) Xen version 4.0.1\n{XenOf(Seed)}"))),
        RulePair.Of(NotMadeFromHosts, "lines of it are left out", static () => Pv("memory=1024\n", told: Host),
            static () => Pv("memory=1024\n", told: Host, log: static log => log.With("reserved\n", "reserved\n[...]\n"))),
        RulePair.Of("e820_host=1 and without a pci= entry.", "it is the host's all the same, and another size",
            static () => Pv("memory=1024\n", told: Host), static () => Pv("memory=512\ne820_host=1\n", told: Host)),
        RulePair.Of($"{OldPiece} [0x86e000, 0x87f000) (line 4) is that, and no region of a host's.", "the release does not",
            static () => OfGuestOf("2.6.29"), static () => OfGuestOf("2.6.32")),
        RulePair.Of(OldPiece, "what follows is no RAM: it is a host's hole",
            static () => OfGuestOf("2.6.29"), static () => OfGuestOf("2.6.29", "0000000000890000")),
        RulePair.Of("The kernel of the log got past that.", "it is one that moves what is in the way",
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("linux612", "nvskernel.log"))),
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("linux612", "nvskernel.log")), "--kernel", "6.12.20")),
        RulePair.Of("By the forecast, which is for linux-6.1, the kernel halts", "it halted, as forecast",
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("linux612", "nvskernel.log"))),
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("golden", "nvskernel.log")))),
    ];

    /// <summary>What dom0's kernel says in the record, behind a line that names it.</summary>
    private static string Linux(string version) => version
        + File.ReadAllText(Seed).Split("=== ")[0].Without("(XEN)");
}
