// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Whether mem= and memmap= of a kernel's command line took effect.</summary>
internal static partial class EndPairs
{
    private const string Title = "[    0.000000] e820: user-defined physical RAM map:\n";

    /// <summary>The map of 512 MiB as no option has changed it.</summary>
    private const string SameMap = User + "0x0000000000000000-0x000000000009ffff] usable\n"
        + User + "0x00000000000a0000-0x00000000000fffff] reserved\n" + User + "0x0000000000100000-0x000000001fffffff] usable\n";

    private const string User = "[    0.000000] user: [mem ";

    private const string Variable = "Boot loaders take '$' for the start of a variable: GRUB needs it as \\$ in its own file, as \\\\\\$ in "
        + "/etc/default/grub";

    /// <summary>1 MiB is kept at 256 MiB.</summary>
    private static string KeptMap => SameMap.With("0x000000001fffffff] usable\n", "0x000000000fffffff] usable\n"
        + User + "0x0000000010000000-0x00000000100fffff] reserved\n" + User + "0x0000000010100000-0x000000001fffffff] usable\n");

    private static string CutMap => SameMap.With("0x000000001fffffff", "0x000000000fffffff");

    private static RulePair[] OfOptions =>
    [
        RulePair.Of("memmap=1M$256M (line 2) took effect: [0x10000000, 0x10100000) is reserved in the map of line 9.", "the range is RAM in that map",
            static () => Optioned("memmap=1M$256M", KeptMap),
            static () => Optioned("memmap=1M$256M", SameMap)),
        RulePair.Of("memmap=1M$256M (line 2) did not take effect as written: in the map of line 9 [0x10000000, 0x10100000) (ram) is not reserved.",
            "it is reserved",
            static () => Optioned("memmap=1M$256M", SameMap),
            static () => Optioned("memmap=1M$256M", KeptMap)),
        RulePair.Of("memmap=1M$1G (line 2) changed nothing that is used: this kernel has no RAM at [0x40000000, 0x40100000).", "it has RAM there",
            static () => Optioned("memmap=1M$1G", SameMap),
            static () => Optioned("memmap=1M$1G", SameMap.With("0x000000001fffffff", "0x000000007fffffff"), "0x000000007fffffff")),
        RulePair.Of("changed nothing that is used: this kernel has no RAM at [0x40000000, 0x40100000).", "memmap=exactmap has made RAM there",
            static () => Optioned("memmap=1M$1G", SameMap),
            static () => Optioned("memmap=exactmap memmap=2G@0 memmap=1M$1G", User + "0x0000000000000000-0x000000007fffffff] usable\n")),
        RulePair.Of("memmap=1M$256M (line 2) is not seen to take effect: the map of line 9 has nothing at [0x10000000, 0x10100000), so a line of it "
                + "may be missing.", "the map has RAM there",
            static () => Optioned("memmap=1M$256M", KeptMap.Without("0x0000000010000000")),
            static () => Optioned("memmap=1M$256M", SameMap)),
        RulePair.Of("memmap=128K@640K (line 2) did not take effect: [0xa0000, 0xc0000) (reserved) stays what the map has there: of types that "
                + "overlap Linux takes the higher number.", "a part of it is RAM",
            static () => Optioned("memmap=128K@640K", SameMap),
            static () => Optioned("memmap=128K@576K", SameMap)),
        RulePair.Of(", but for [0xa0000, 0xb0000) (reserved): of types that overlap Linux takes the higher number.", "nothing of it overlaps",
            static () => Optioned("memmap=128K@576K", SameMap),
            static () => Optioned("memmap=64K@576K", SameMap)),
        RulePair.Of("did not take effect as far as the log shows it: the kernel prints no \"user-defined physical RAM map\", which it does where it "
                + "takes one.", "the log ends where that map would stand",
            static () => EndInputs.Pv(WithOption("memmap=1M$256M") + EndInputs.PvMemory),
            static () => EndInputs.Pv(WithOption("memmap=1M$256M"))),
        RulePair.Of("did not take effect as far as the log shows it", "the title of that map is there, and its lines are not",
            static () => EndInputs.Pv(WithOption("memmap=1M$256M") + "[    0.000000] last_pfn = 0x20000 max_arch_pfn = 0x400000000\n"),
            static () => EndInputs.Pv(WithOption("memmap=1M$256M") + Title + "[    0.000000] last_pfn = 0x20000 max_arch_pfn = 0x400000000\n")),
        RulePair.Of("mem=256M (line 2) is in force: the map of line 9 has no RAM beyond 0x10000000.", "it has",
            static () => Optioned("mem=256M", CutMap),
            static () => Optioned("mem=256M", SameMap)),
        RulePair.Of("(line 2) is in force: the map of line 9 has no RAM beyond", "there was none before, either",
            static () => Optioned("mem=256M", CutMap),
            static () => Optioned("mem=512M", SameMap)),
        RulePair.Of("mem=256M (line 2) did not take effect: the map of line 9 has RAM beyond 0x10000000.", "it has none",
            static () => Optioned("mem=256M", SameMap),
            static () => Optioned("mem=256M", CutMap)),
        RulePair.Of("mem=256M (line 2) did not take effect", "an option behind it makes the RAM there",
            static () => Optioned("memmap=256M@256M mem=256M", SameMap),
            static () => Optioned("mem=256M memmap=256M@256M", SameMap)),
        RulePair.Of("mem=512M (line 2) takes nothing away: this kernel has no RAM beyond 0x20000000.", "it has",
            static () => EndInputs.Pv(WithOption("mem=512M") + EndInputs.PvMemory),
            static () => EndInputs.Pv(WithOption("mem=511M") + EndInputs.PvMemory)),
        RulePair.Of("mem=256M (line 2) took effect (line 8): no RAM from 0x10000000 on.", "the kernel takes out what lies beyond another address",
            static () => EndInputs.Pv(WithOption("mem=256M") + Removed),
            static () => EndInputs.Pv(WithOption("mem=257M") + Removed)),
        RulePair.Of("memmap=256M (line 2) is in force: the map of line 9 has no RAM beyond 0x10000000. If memmap=256M$START was written: "
                + $"{Variable}.", "it is mem=, which has no sign",
            static () => Optioned("memmap=256M", CutMap),
            static () => Optioned("mem=256M", CutMap)),
        RulePair.Of("memmap=1M\\$256M (line 2) is not a range to Linux: it reads 1 MiB and stops, which makes it a limit of all RAM. The backslash "
                + "reached the kernel: it is for GRUB's own file or /etc/default/grub, which take it away; elsewhere write '$' as it is.",
            "there is none",
            static () => Optioned("memmap=1M\\$256M", SameMap),
            static () => Optioned("memmap=1M$256M", SameMap)),
        RulePair.Of($"memmap=1M56M (line 2) is not a range to Linux: it reads 1 MiB and stops, which makes it a limit of all RAM. {Variable}.",
            "no variable was taken out: the sign is another one",
            static () => Optioned("memmap=1M56M", SameMap),
            static () => Optioned("memmap=1M&256M", SameMap)),
        RulePair.Of("is not a range to Linux: it reads 1 MiB and stops", "there is a sign, behind which Linux reads what is no number as 0",
            static () => Optioned("memmap=1M&x", SameMap),
            static () => Optioned("memmap=1M@x", SameMap)),
        RulePair.Of("memmap=1M$256M (line 2) has no effect: memmap=exactmap, which comes after it, drops what came before.", "it comes after that",
            static () => Optioned("memmap=1M$256M memmap=exactmap memmap=512M@0", SameMap),
            static () => Optioned("memmap=exactmap memmap=512M@0 memmap=1M$256M", SameMap)),
        RulePair.Of("memmap=exactmap (line 2) took effect: the kernel's map is the one of line 9.", "the log has no such map",
            static () => Optioned("memmap=exactmap memmap=512M@0", SameMap),
            static () => EndInputs.Pv(WithOption("memmap=exactmap memmap=512M@0") + EndInputs.PvMemory)),
        RulePair.Of("memmap=1M%256M-3 (line 2) changed nothing: the map before it has no acpi at [0x10000000, 0x10100000).", "it has that type there",
            static () => Optioned("memmap=1M%256M-3", SameMap),
            static () => Optioned("memmap=1M%256M-1", SameMap)),
        RulePair.Of("memmap=1M%256M-1+2 (line 2) took effect: the ram at [0x10000000, 0x10100000) is reserved in the map of line 9.",
            "it is RAM still",
            static () => Optioned("memmap=1M%256M-1+2", KeptMap),
            static () => Optioned("memmap=1M%256M-1+2", SameMap)),
        RulePair.Of("the kernel's own image is where its map has no RAM (a memmap= may have taken it away), so it made RAM of that place again: "
                + "[0x1000000, 0x2e2e000).", "the kernel does not say so",
            static () => Shown("memmap=64M$16M", Image),
            static () => Shown("memmap=64M$16M", Image.Without("not marked"))),
        RulePair.Of("The lines of the map as the kernel's options changed it are left out; its title is line 4.", "they follow",
            static () => Shown("memmap=512M$1G", Title),
            static () => Shown("memmap=512M$1G", Title + User + "0x0000000000000000-0x000000003fffffff] usable\n")),
        RulePair.Of("memmap=1M$256M (line 1) stands on Xen's command line, and Xen knows no memmap=: it has no effect there.", "it stands on dom0's",
            static () => EndInputs.Dom0(OfXensOptions(" memmap=1M$256M", "")),
            static () => EndInputs.Dom0(OfXensOptions("", " memmap=1M$256M"))),
        RulePair.Of("stands on Xen's command line", "it is Xen's own mem=",
            static () => EndInputs.Dom0(OfXensOptions(" memmap=1M$256M", "")),
            static () => EndInputs.Dom0(OfXensOptions(" mem=2G", ""))),
        RulePair.Of("stands on Xen's command line", "the boot is a guest's, to which that is nothing",
            static () => EndInputs.Dom0(OfXensOptions(" memmap=1M$256M", "")),
            static () => EndInputs.Guest(EndInputs.PvBoot + EndInputs.PvMemory, RulePair.Written("host.log", OfXensOptions(" memmap=1M$256M", "")),
                "--memory", "512")),
    ];

    private static RulePair[] OfPciOptions =>
    [
        RulePair.Of("the host bridge's windows: with pci=nocrs (line 2) Linux passes over what ACPI tells of them", "it is told to use them",
            static () => EndInputs.KvmPorts("pci=nocrs"),
            static () => EndInputs.KvmPorts("pci=use_crs")),
        RulePair.Of("Linux passes over what ACPI tells of them", "the option is init's",
            static () => EndInputs.KvmPorts("pci=use_crs,nocrs"),
            static () => EndInputs.KvmPorts("-- pci=use_crs,nocrs")),
        RulePair.Of("Linux passes over what ACPI tells of them", "use_crs alone stands there",
            static () => EndInputs.KvmPorts("pci=nocrs,use_crs"),
            static () => EndInputs.KvmPorts("pci=use_crs")),
        RulePair.Of("Linux passes over what ACPI tells of them", "ACPI is not off",
            static () => EndInputs.KvmPorts("acpi=off pci=use_crs"),
            static () => EndInputs.KvmPorts("acpi=on pci=use_crs")),
        RulePair.Of("functions behind bridges: with pci=assign-busses (line 2) Linux numbers buses itself", "another option stands there",
            static () => EndInputs.KvmPorts("pci=assign-busses", "0000:02:00.0", "0000:05:00.0"),
            static () => EndInputs.KvmPorts("pci=nobar", "0000:02:00.0", "0000:05:00.0")),
    ];

    private const string Removed = "[    0.000000] e820: remove [mem 0x10000000-0xfffffffffffffffe] usable\n"
        + "[    0.000000] last_pfn = 0x10000 max_arch_pfn = 0x400000000\n";

    private const string Image = "[    0.000000] .text .data .bss are not marked as E820_TYPE_RAM!\n"
        + "[    0.000000] e820: remove [mem 0x01000000-0x02e2dfff]\n" + EndInputs.PvMemory;

    /// <summary>The map of a host without Xen.</summary>
    private static CommandRun Shown(string option, string more) => CommandRun.WithInput(Encoding.UTF8.GetBytes(
        $"[    0.000000] Command line: ro {option} quiet\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
            + $"[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable\n{more}"
            + "[    0.000000] [mem 0x80000000-0xffffffff] available for PCI devices\n"), "show", "--host", "-");

    private static string WithOption(string option) =>
        EndInputs.PvBoot.Replace("#1 SMP\n", $"#1 SMP\n[    0.000000] Command line: root=/dev/xvda1 {option}\n", StringComparison.Ordinal);

    /// <summary>A boot with options, and the map that they made.</summary>
    private static CommandRun Optioned(string option, string changed, string end = "0x000000001fffffff") =>
        EndInputs.Pv(WithOption(option).With("0x000000001fffffff", end) + Title + changed + EndInputs.PvMemory);

    private static string OfXensOptions(string xens, string dom0s) => EndInputs.FieldLog("dom0-memparam.txt")
        .With("max:1024M", $"max:1024M{xens}").With(" mem=1024M", dom0s).Replace("(XEN) Domain 0 (vcpu#0) crashed on cpu#0:\n", "",
            StringComparison.Ordinal);
}
