// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;

namespace Keyhole.Cli.Tests.Rules;

/// <content>What became of one BAR: what the firmware did, and what Linux.</content>
internal static partial class DevicePairs
{
    private const string Empty = "pci 0000:02:00.0: BAR 2 [mem 0x00000000-0x0fffffff 64bit pref]\n";
    private const string Found = LargeBar + "\n";
    private const string Assigned = "pci 0000:02:00.0: BAR 2 [mem 0x900000000-0x90fffffff 64bit pref]: assigned\n";
    private const string NoSpace = "pci 0000:02:00.0: BAR 2 [mem size 0x10000000 64bit pref]: can't assign; no space\n";
    private const string NoClaim = ": can't claim; no compatible bridge window\n";
    private const string Released = "pci 0000:02:00.0: BAR 2 [mem 0x800000000-0x80fffffff 64bit pref]: releasing\n";
    private const string AllOnes = "pci 0000:02:00.0: BAR 0 [mem 0xfffff000-0xffffffff]";
    private const string Nvidia = "NVRM: BAR2 is 0M @ 0x0 (PCI:0000:02:00.0)\n";
    private const string Unplug = "platform_pci_unplug: Blkfront";

    private static RulePair[] Stories =>
    [
        RulePair.Of("got no address from the firmware", "it has one", static () => Bar(Empty), static () => Bar(Found)),
        RulePair.Of("got no address from the firmware", "the log has nothing of the register", static () => Bar(Empty + Assigned),
            static () => Bar(Assigned)),
        RulePair.Of(") got no address from the firmware", "Linux' claim shows that it has one",
            static () => Bar(AllOnes + NoClaim), static () => Bar("pci 0000:02:00.0: BAR 0 [mem 0xfe600000-0xfe600fff]" + NoClaim)),
        RulePair.Of(". Linux then placed it itself at 0x", "it had one from the firmware", static () => Bar(Empty + Assigned),
            static () => Bar(Found + Assigned)),
        RulePair.Of("where the firmware had put it the log does not show.", "the log shows it", static () => Bar(Assigned),
            static () => Bar(Found + Assigned)),
        RulePair.Of(". Linux found no room for it either", "the log has nothing of the register", static () => Bar(Empty + NoSpace),
            static () => Bar(NoSpace)),
        RulePair.Of(") has no address in the end", "Linux places it after all", static () => Bar(NoSpace), static () => Bar(NoSpace + Assigned)),
        RulePair.Of(": Linux found no room for it", "it was the firmware that found none", static () => Bar(NoSpace), static () => Bar(Empty)),
        RulePair.Of(": neither the firmware nor Linux has placed it", "the firmware has", static () => Bar(Empty + Nvidia),
            static () => Bar(Found + Nvidia)),
        RulePair.Of(": neither the firmware nor Linux has placed it", "the log has nothing of the register", static () => Bar(Empty + Nvidia),
            static () => Bar(Nvidia)),
        RulePair.Of(", though the firmware had put it at 0x800000000", "the firmware had not", static () => Bar(Found + Nvidia),
            static () => Bar(Empty + Nvidia)),
        RulePair.Of(", though the firmware had put it at 0x800000000", "lines before that one are left out, in which Linux may have",
            static () => Bar(Released + Nvidia), static () => Bar("...\n" + Released + Nvidia)),
        RulePair.Of("has no address when NVIDIA's driver looks", "the driver finds it", static () => Bar(Empty + Nvidia),
            static () => Bar(Empty + Nvidia.Replace("0M @ 0x0", "256M @ 0x900000000", StringComparison.Ordinal))),
        RulePair.Of("; what came of it is left out", "nothing is left out", static () => Bar($"{Empty}{NoSpace}...\n[    9.0] end of it\n"),
            static () => Bar($"{Empty}{NoSpace}[    9.0] end of it\n")),
        RulePair.Of("up, which the firmware had put at 0x", "the firmware had not",
            static () => Bar(Found + NoSpace), static () => Bar(Empty + NoSpace)),
        RulePair.Of("have the place that the firmware gave it", "the firmware gave it none",
            static () => Bar("pci 0000:02:00.0: BAR 0 [mem 0xfe600000-0xfe600fff]\npci 0000:02:00.0: BAR 0 [mem 0xfe600000-0xfe600fff]" + NoClaim),
            static () => Bar($"{AllOnes}\n{AllOnes}{NoClaim}")),
        RulePair.Of("from the place that the firmware gave it", "the firmware gave it none",
            static () => Bar(Found + Released), static () => Bar($"{AllOnes}\n{AllOnes}: releasing\n")),
        RulePair.Of(": the first address is the firmware's.", "it is the same one", static () => Bar(Found + Assigned),
            static () => Bar(Found + Assigned.Replace("0x9", "0x8", StringComparison.Ordinal))),
        RulePair.Of("lost its address when Linux had the emulated disks taken away, before it looked.", "it had them kept",
            static () => RecordedHvm(HvmLog), static () => RecordedHvm(DeviceInputs.Changed(HvmLog, Unplug, "platform_pci: Blkfront"))),
        RulePair.Of("lost its address when Linux had the emulated disks taken away, before it looked.", "it had network cards taken away alone",
            static () => RecordedHvm(HvmLog),
            static () => RecordedHvm(DeviceInputs.Changed(HvmLog, "unplug emulated disks", "keep emulated disks"))),
        RulePair.Of("): that is not the firmware's doing.", "it is the window that the firmware gave",
            static () => OfPorts(Ports + "pci 0000:00:01.0: bridge window [mem 0xfea10000-0xfeafffff]: assigned\n"),
            static () => OfPorts(Ports + "pci 0000:00:01.0: bridge window [mem 0xfe800000-0xfe9fffff]: assigned\n")),
        RulePair.Of("on its command line (line", "another option takes it back", static () => Realloc("pci=realloc", Found + Assigned),
            static () => Realloc("pci=realloc,realloc=off", Found + Assigned)),
        RulePair.Of(") Linux places BARs and bridges' windows anew where it sees", "Linux tells nothing of that",
            static () => Realloc("pci=realloc", Found + Assigned), static () => Realloc("pci=realloc", Found)),
        RulePair.Of("fit: what it tells of that is none of the firmware's doing.", "the option is the first process's",
            static () => Realloc("pci=realloc", Found + Assigned), static () => Realloc("-- pci=realloc", Found + Assigned)),
        RulePair.Of("The log tells as much of", "they are no more than are told", static () => Bar(Many(13)), static () => Bar(Many(12))),
        RulePair.Of(": it does not fit into the window above 4 GiB", "Linux numbers buses itself, and another function may have that address",
            static () => Renumbered("quiet"), static () => Renumbered("pci=assign-busses")),
    ];

    private static string HvmLog => DeviceInputs.TextOf("hvm", "boots", "hvm.dmesg");

    private static string Many(int count) => string.Concat(Enumerable.Range(0, count).Select(static i =>
        $"pci 0000:02:{i:x2}.0: BAR 2 [mem 0x00000000-0x0fffffff 64bit pref]\n"));

    /// <summary>A guest of which nothing but lines of one BAR was kept.</summary>
    private static CommandRun Bar(string lines) => OfPorts($"[    0.000000] Linux version 6.1.0\n{lines}");

    private static CommandRun Realloc(string option, string lines) =>
        OfPorts($"[    0.000000] Linux version 6.1.0\n[    0.000000] Command line: quiet {option}\n{lines}");

    private static CommandRun Renumbered(string option) => DeviceInputs.VerifyKvm("ovmf-unplaced",
        $"[    0.000000] Linux version 6.1.0\n[    0.000000] Command line: {option}\npci 0000:00:00.0: [8086:29c0] type 00 class 0x060000\n"
            + "pci 0000:01:00.0: BAR 2 [mem 0x00000000-0xfffffffff 64bit pref]\n");

    /// <summary>A recorded guest of Xen's.</summary>
    private static CommandRun RecordedHvm(string log) => DeviceInputs.Verify(log, "--guest", RulePair.Fixture("hvm", "boots", "hvm.cfg"),
        "--devices", RulePair.Fixture("hvm", "boots", "devices.lspci"));
}
