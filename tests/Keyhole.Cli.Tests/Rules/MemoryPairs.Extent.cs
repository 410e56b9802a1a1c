// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.IO;
using static Keyhole.Cli.Tests.Rules.MemoryInputs;

namespace Keyhole.Cli.Tests.Rules;

/// <content>What a comparison takes for granted, and how far it goes.</content>
internal static partial class MemoryPairs
{
    private const string AssumedXen = "Neither the log nor the host's source names the release of Xen: 4.17 is assumed.";

    private const string AssumedFirmware = "The log names no release of the guest's firmware (\"DMI: … BIOS …\"): seabios 1.16.1 is assumed";

    private const string AssumedGap = "The log names no kernel version: for the gap for PCI devices linux-6.1 is assumed.";

    private const string OtherXens = "The host's source does not name the release of Xen: one from 4.2 to 4.19 is assumed.";

    private const string HvmloadersMap = """
        (d1) E820 table:
        (d1)  [00]: 00000000:00000000 - 00000000:000a0000: RAM
        (d1)  HOLE: 00000000:000a0000 - 00000000:000f0000
        (d1)  [01]: 00000000:000f0000 - 00000000:00100000: RESERVED
        (d1)  [02]: 00000000:00100000 - 00000000:1f800000: RAM
        (d1)  HOLE: 00000000:1f800000 - 00000000:fc000000
        (d1)  [03]: 00000000:fc000000 - 00000000:fc00b000: NVS
        (d1)  [04]: 00000000:fc00b000 - 00000001:00000000: RESERVED
        (XEN) Domain 1 (vcpu#0) crashed on cpu#8:

        """;

    private const string KernelsMap = """
        [    0.000000] Linux version 6.1.90 (x@y) #1
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000000f0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000001f7fefff] usable
        [    0.000000] BIOS-e820: [mem 0x000000001f7ff000-0x000000001f7fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000fc00afff] ACPI NVS
        [    0.000000] BIOS-e820: [mem 0x00000000fc00b000-0x00000000ffffffff] reserved

        """;

    private const string Dump = """
        (XEN) ----[ Xen-4.14.0  x86_64  debug=n   Not tainted ]----
        (XEN) CPU:    0
        (XEN) RIP:    e008:[<00000000775e0d21>] 00000000775e0d21
        (XEN) RFLAGS: 0000000000010046   CONTEXT: hypervisor

        """;

    private const string PvhDom0 = """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Command line: placeholder dom0=pvh dom0_mem=1024M,max:1024M
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 000000000009ffff] (reserved)
        (XEN)  [0000000000100000, 0000000003ffffff] (usable)
        (XEN)  [0000000004000000, 0000000004045fff] (ACPI NVS)
        (XEN)  [0000000004046000, 00000000bfffffff] (usable)
        (XEN)  [0000000100000000, 000000013fffffff] (usable)
        (XEN) System RAM: 4095MB (4193912kB)
        (XEN) *** Building a PVH Dom0 ***
        [    0.000000] Linux version 6.1.69 (a@b)
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x0000000003ffffff] usable
        [    0.000000] BIOS-e820: [mem 0x0000000004000000-0x0000000004045fff] ACPI NVS

        """;

    private const string PvhDom0Runs = "[    0.146501] [mem 0xc0000000-0xffffffff] available for PCI devices\n";

    /// <summary>A PVH guest of which xl's own lines are in the log.</summary>
    private static CommandRun Pvh(string xen) => CommandRun.Of("verify",
    "--host", RulePair.Written("xen", $"(XEN) Xen version {xen} (a@b)\n{SeedXen}"),
        "--guest", RulePair.Written("g.cfg", "name=\"g\"\ntype=\"pvh\"\nkernel=\"/x\"\nmemory=512\n"), "--dmesg", RulePair.Written("dmesg",
            "domainbuilder: detail: range: start=0x0 end=0x20000000\n(d1) [    0.0] Linux version 6.1.0 (a@b)\n"
            + "(d1) [    0.0] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n"));

    private static string Golden8G => File.ReadAllText(Seed).Split("=== ")[0];

    private static string Edge => File.ReadAllText(RulePair.Fixture("edges61", "k-edge61.log")).Split("=== ")[0];

    /// <summary>dom0 on a machine with NVS under a kernel of the usual size, of which the log does not show where Xen put it.</summary>
    private static string Unplaced => Edge.Without("Loaded kernel:").Without("Start info:").Without("Page tables:")
        .With("(XEN)  [0000000000100000, 000000000442ffff] (usable)\n(XEN)  [0000000004430000, 000000000443ffff] (reserved)",
            "(XEN)  [0000000000100000, 0000000003ffffff] (usable)\n(XEN)  [0000000004000000, 000000000443ffff] (reserved)");

    private static CommandRun Hvm(string log, string config = "", params string[] options) => CommandRun.Of(["verify", "--host",
        RulePair.Fixture("hosts", "dell-xps-8500", "boot.log"),
            "--guest", RulePair.Written("g.cfg", $"name=\"g\"\ntype=\"hvm\"\nmemory=512\n{config}"),
        "--dmesg", RulePair.Written("dmesg", log), .. options]);

    /// <summary>Two gaps of the same size, or not.</summary>
    private static CommandRun Gaps(string memory, string release = "") => Kvm(release
        + "[    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014\n"
        + "[    0.000000] [mem 0xc0000000-0xfed1bfff] available for PCI devices\n",
        $"qemu-system-x86_64 -machine q35 -m {memory} -cpu EPYC,phys-bits=40 -accel tcg -nodefaults -net none\n");

    private static CommandRun Ovmf(string device) => CommandRun.Of("verify", "--guest", RulePair.Written("guest.cmd",
            File.ReadAllText(RulePair.Fixture("kvm", "verify", "ovmf-unplaced.cmd")).Trim() + $" -device {device}\n"), "--dmesg",
        RulePair.Fixture("kvm", "verify", "ovmf-unplaced.log"), "--firmware", "ovmf-2022.11", "--qemu", "7.2");

    private static ImmutableArray<RulePair> Assumed =>
    [
        RulePair.Of(AssumedFirmware, "it is told", static () => Kvm(KvmLog.Without("DMI: ")),
            static () => Kvm(KvmLog.Without("DMI: "), null, "--firmware", "seabios-1.16.2")),
        RulePair.Of(AssumedFirmware, "the line that names it stands before all that the kernel says of its memory, whose name is lost",
            static () => Kvm(KvmLog.Without("DMI: ")), static () => Gaps("1854352K")),
        RulePair.Of(AssumedFirmware, "it is told by its file", static () => Kvm(KvmLog.Without("DMI: ")),
            static () => Kvm(KvmLog.Without("DMI: "), KvmCommand.Trim() + " -bios /usr/share/seabios/bios-256k.bin\n", "--firmware",
                "seabios-1.16.1")),
        RulePair.Of("the firmware's release is not told", "it is",
            static () => CommandRun.Of("plan", "--guest", RulePair.Fixture("kvm", "verify", "sea-ports.cmd"), "--qemu", "7.2"),
            static () => CommandRun.Of("plan", "--guest", RulePair.Fixture("kvm", "verify", "sea-ports.cmd"), "--qemu", "7.2", "--firmware",
                "seabios-1.16.1")),
        RulePair.Of(AssumedXen, "the log names it", static () => Hvm(KernelsMap),
            static () => Hvm($"{KernelsMap}[    0.000000] Xen version 4.18.\n")),
        RulePair.Of(AssumedXen, "hvmloader names it", static () => Hvm(HvmloadersMap),
            static () => Hvm($"(d1) Detected Xen v4.18.1\n{HvmloadersMap}")),
        RulePair.Of(AssumedXen, "it is another kind of guest that the log is of", static () => Hvm(KernelsMap),
            static () => Hvm($"{KernelsMap}[    0.000000] Booting paravirtualized kernel on Xen PV\n")),
        RulePair.Of(AssumedGap, "no two gaps are alike", static () => Gaps("1854352K"), static () => Gaps("1850000K")),
        RulePair.Of(AssumedGap, "it names it", static () => Gaps("1854352K"),
            static () => Gaps("1854352K", "[    0.000000] Linux version 6.1.90 (x@y)\n")),
        RulePair.Of(OtherXens, "the log names it", static () => OfDom0(Golden8G), static () => OfDom0($"(XEN) Xen version 4.17.2 (a@b)\n{Golden8G}")),
        RulePair.Of(OtherXens, "what Xen made of the map is in it", static () => OfDom0(Golden8G), static () => OfDom0(Golden8G, "--machine-map")),
    ];

    private static ImmutableArray<RulePair> Extent =>
    [
        RulePair.Of("RAM that libxl builds: where it lies is not known by the forecast", "the toolstack is one that is modelled",
            static () => Pvh("4.8.1"), static () => Pvh("4.17.3")),
        RulePair.Of("the outcome: it is not known where the kernel is", "the log shows that it runs", static () => OfDom0(PvhDom0),
            static () => OfDom0(PvhDom0 + PvhDom0Runs)),
        RulePair.Of("the outcome: it is not known where the kernel is", "nothing lies where kernels lie",
            static () => OfDom0(PvhDom0),
                static () => OfDom0(PvhDom0.Without("NVS").With("0000000003ffffff] (usable)\n(XEN)  [0000000004046000, ", "")
                .With("0x0000000003ffffff]", "0x00000000400a6f25]"))),
        RulePair.Of("map entry: lines of the host's map are lost", "no line is lost, and where the kernel lies is what is not known",
            static () => OfDom0((PvhDom0 + PvhDom0Runs).With("(XEN)  [0000000004000000, 0000000004045fff] (ACPI NVS)", "[...]")),
            static () => OfDom0(PvhDom0 + PvhDom0Runs)),
        RulePair.Of("functions, BARs and the host bridge's windows: where the BARs end up is not known, for those of a passed-through device are "
            + "not told",
            "they are told", static () => OfMoved(withBars: false), static () => OfMoved()),
        RulePair.Of("option ROMs: this firmware leaves none mapped", "the device has none", static () => Ovmf("e1000"),
            static () => Ovmf("e1000,romfile=")),
        RulePair.Of("the host bridges' windows: an expander has windows of its own", "there is none",
            static () => Kvm(KvmLog, KvmCommand.Trim() + " -device pxb-pcie,id=p9,bus_nr=9\n"), static () => Kvm(KvmLog)),
        RulePair.Of("the map below 1 MiB and at the end of RAM below 4 GiB: the log has hvmloader's map, and the BIOS changes it there",
            "the log has the kernel's", static () => Hvm(HvmloadersMap), static () => Hvm(KernelsMap)),
        RulePair.Of("the map: what this firmware hands over is not modelled", "it is SeaBIOS",
            static () => Hvm(HvmloadersMap, "bios=\"ovmf\"\n"), static () => Hvm(HvmloadersMap)),
        RulePair.Of("it lacks a part) agrees with", "the log goes to its end",
            static () => Kvm(Until(KvmLog.Without("DMI: "), "pci 0000:01:00.0"), null, "--firmware", "seabios-1.16.3"),
            static () => Kvm(KvmLog.Without("DMI: "), null, "--firmware", "seabios-1.16.3")),
        RulePair.Of("entries of the map: the log is cut there", "it goes on behind its map",
            static () => OfDom0(Until(Golden8G, "Xen: [mem 0x00000000e0000000")), static () => OfDom0(Golden8G)),
        RulePair.Of("of the map: the log is cut there", "its head is there",
            static () => OfDom0(Golden8G.Without("Command line: console=").Without("Released").Without("Xen: [mem 0x0000000000000000")),
            static () => OfDom0(Golden8G)),
        RulePair.Of("the outcome: the log ends before it shows", "the kernel says something behind its setup",
            static () => OfDom0(Until(Golden8G, "RAMDISK")), static () => OfDom0(Until(Golden8G, "] Remapped"))),
        RulePair.Of("everything after the outcome", "it is the end that was forecast",
            static () => OfDom0(XenOf(Plain) + ImageConflict), static () => OfDom0(NvsXen + ImageConflict)),
        RulePair.Of("everything after the outcome", "it died behind its memory setup", static () => OfDom0(XenOf(Plain) + ImageConflict),
            static () => OfDom0($"{Golden8G}[    1.100000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n")),
        RulePair.Of("everything: there is no forecast", "how much dom0 gets is known",
            static () => OfDom0(XenOf(Plain).Without("Phys-Mach map:").Without("Dom0 alloc.").With(Limited, "dom0_mem=100G") + XenPanic, "--json"),
            static () => OfDom0(XenOf(Plain).Without("Phys-Mach map:").Without("Dom0 alloc.") + XenPanic, "--json")),
        RulePair.Of("Xen shows its own registers, and nothing follows", "Xen goes on", static () => OfDom0(XenOf(Plain) + Dump),
            static () => OfDom0($"{XenOf(Plain)}{Dump}(XEN) *** Building a PV Dom0 ***\n{Golden8G.Without("(XEN)")}")),
        RulePair.Of("Where the kernel itself ends the log does not say; its boot shows that it ends by 0x4430000, before the end that its builder "
            + "gave it, "
            + "and it is forecast so.", "it is told", static () => OfDom0(Edge), static () => OfDom0(Edge, "--kernel-span", "1000000-4400000")),
        RulePair.Of("its boot shows that it ends by", "nothing lies where it may end",
            static () => OfDom0(Edge), static () => OfDom0(Golden8G)),
        RulePair.Of("remapped pages: lines of the host's map are lost", "no line of it is lost",
            static () => OfDom0(Seed3G.With("(XEN)  [0000000020000000, 00000000201fffff] (reserved)", "[...]")), static () => OfDom0(Seed3G)),
        RulePair.Of("pages set to 1-1 mapping", "the release does not say it", static () => Pv(Host, "3.2.1"), static () => Pv(Host, "4.20.1")),
        RulePair.Of("window that cannot be claimed", "what is in its way is a bridge", static () => Claims("--memory 4000 --e820-host"),
            static () => Pv(Host, more: Count + "[    1.1] pci 0000:00:00.0: can't claim BAR 2 [mem 0xb2100000-0xb2100fff]: address conflict with "
                + "PCI Bus "
                + "0000:01 [mem 0xb2000000-0xb2ffffff]\n")),
        RulePair.Of("its kernel is smaller or is elsewhere than the one that is taken (the log does not show where it was put), or it does something",
            "the log shows it", static () => OfDom0(Unplaced), static () => OfDom0(Unplaced
                .With("(XEN)  Phys-Mach map:", "(XEN)  Loaded kernel: ffffffff81000000->ffffffff84a00000\n(XEN)  Phys-Mach map:"))),
        RulePair.Of(ElsewhereOrLarger, "the host's log, apart from its own, shows where Xen put it",
            static () => CommandRun.Of("verify", "--dom0", "--host", RulePair.Written("xen", XenOf(Plain).Without("Loaded kernel:")), "--dmesg",
                RulePair.Written("dmesg", ImageConflict)),
            static () => CommandRun.Of("verify", "--dom0", "--host", RulePair.Written("xen", XenOf(Plain)), "--dmesg",
                RulePair.Written("dmesg", ImageConflict))),
    ];

    /// <summary>A log up to the first line that has a word, that line not.</summary>
    private static string Until(string log, string word) => log[..(log.LastIndexOf('\n', log.IndexOf(word, StringComparison.Ordinal)) + 1)];
}
