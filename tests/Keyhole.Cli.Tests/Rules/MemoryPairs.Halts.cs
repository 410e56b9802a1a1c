// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.IO;
using static Keyhole.Cli.Tests.Rules.MemoryInputs;

namespace Keyhole.Cli.Tests.Rules;

/// <content>What lies in a kernel's way, and what it takes out of its memory by itself.</content>
internal static partial class MemoryPairs
{
    private const string XenPanic = "(XEN) Panic on CPU 0:\n(XEN) FATAL PAGE FAULT\n(XEN) ****************************************\n";

    private const string GuestsMap = "give the guest a map that has RAM there (keyhole plan --policy punch shows one, on which it boots by the "
        + "forecast)";

    private const string PageTableConflict =
        "[    0.000000] Linux version 6.1.90 (x@y) #1\nXen hypervisor allocated page table memory conflicts with E820 map\n";

    private const string Edit = "[    0.000000] e820: update [mem 0x10000000-0x10ffffff] usable ==> reserved\n";

    private static string Nvs => File.ReadAllText(RulePair.Fixture("golden", "nvskernel.log"));

    private static string Seed3G => File.ReadAllText(RulePair.Fixture("golden", "seed8g-3g.log"));

    private static string NvsXen => XenOf(RulePair.Fixture("golden", "nvskernel.log"));

    /// <summary>A guest of the host with NVS under every kernel.</summary>
    private static CommandRun OnNvs(string guest, params string[] options) => CommandRun.Of(["verify", "--host",
        RulePair.Fixture("golden", "nvskernel.log"), "--guest", Config(guest), "--dmesg", RulePair.Written("dmesg", ImageConflict), .. options]);

    private static CommandRun HaltsOnMap(string map) => CommandRun.Of("verify", "--guest-map", RulePair.Written("map", map), "--dmesg",
        RulePair.Written("dmesg", PageTableConflict));

    private static ImmutableArray<RulePair> Halts =>
    [
        RulePair.Of("Once Xen gets past that: by the forecast, which is for linux-6.1, the kernel halts", "by the forecast it boots",
            static () => OfDom0(NvsXen + XenPanic), static () => OfDom0(XenOf(Plain) + XenPanic)),
        RulePair.Of("Once Xen gets past that: by the forecast", "it is a kernel that moves what is in its way",
            static () => OfDom0(NvsXen + XenPanic), static () => OfDom0(NvsXen + XenPanic, "--kernel", "6.12.20")),
        RulePair.Of("In all, the kernel, its start info and its page tables overlap [0x1800000, 0x1a00000) nvs, [0x1a00000, ", "that is all there is",
            static () => OnNvs("memory=1024\ne820_host=1\n"), static () => OfDom0(Nvs)),
        RulePair.Of("What is in the way: the kernel halts", "the kernel of the log got past it", static () => OfDom0(Nvs),
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("linux612", "nvskernel.log")))),
        RulePair.Of("What to change: boot a kernel of 6.12 and later", "it is not NVS, which these move", static () => OfDom0(Nvs),
            static () => OfDom0(Nvs.With("ACPI NVS", "reserved"))),
        RulePair.Of("build this kernel with CONFIG_PHYSICAL_START=0x1a00000: there it is on RAM, and by the forecast it boots",
            "no RAM in one piece is large enough", static () => OfDom0(NvsXen + ImageConflict),
            static () => OfDom0(NvsXen.With("(XEN)  [0000000001a00000,", "(XEN)  [0000000001a00000, 0000000001ffffff] (usable)\n"
                + "(XEN)  [0000000002000000, 000000001fffffff] (reserved)\n(XEN)  [0000000020000000,") + ImageConflict)),
        RulePair.Of(GuestsMap, "it is dom0, which has the machine's", static () => OnNvs("memory=1024\ne820_host=1\n"),
            static () => OfDom0(Nvs)),
        RulePair.Of(GuestsMap, "a device of the guest's needs what is in the way", static () => OnNvs("memory=1024\ne820_host=1\n"),
            static () => OnNvs("memory=1024\ne820_host=1\n", "--bar", "1800000-1900000")),
        RulePair.Of("What to change: ", "nothing is known to help: the map is given and has no place for the kernel",
            static () => HaltsOnMap("0 a0000 1\n100000 4a10000 1\n4a10000 4b00000 2\n4b00000 80000000 1\n"),
            static () => HaltsOnMap("0 a0000 1\n100000 e00000 1\n1000000 4a10000 1\n4a10000 4b00000 2\n4b00000 8000000 1\n")),
        RulePair.Of(": the kernel itself takes 16 MiB of its RAM at [0x10000000, 0x11000000) out of use (its command line, or what the "
            + "processor's MTRRs "
            + "say).", "it was no RAM before", static () => Pv(Host, more: Edit + Count),
            static () => Pv(Host, more: Edit.With("usable", "reserved") + Count)),
        RulePair.Of("use (its command line, or what the processor's MTRRs say).", "it is less than 1 MiB",
            static () => Pv(Host, more: Edit + Count), static () => Pv(Host, more: Edit.With("0x10ffffff", "0x100fefff") + Count)),
        RulePair.Of(": the kernel itself takes", "the map has no RAM there",
            static () => Pv(Host, more: Edit + Count),
                static () => Pv(Host, more: Edit.With("0x10000000-0x10ffffff", "0x50000000-0x50ffffff") + Count)),
        RulePair.Of("Not verified: [0xfed90000, 0xfed91000) reserved in the machine map. The firmware does not name it; it was taken from dom0's own "
            + "lines, as what Xen keeps to itself (IOMMU registers and the like).", "Xen's log names it",
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("golden", "iommu.log"))),
            static () => CommandRun.Of("verify", "--dom0", "--host", RulePair.Fixture("golden", "iommu.log"), "--denied", "fed90000-fed91000")),
        RulePair.Of("Not verified: [0xfed90000, 0xfed91000) reserved in the machine map.", "lines of the map are lost there",
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("golden", "iommu.log"))),
            static () => OfDom0(File.ReadAllText(RulePair.Fixture("golden", "iommu.log")).With("(XEN)  [00000000fffc0000",
                "[...]\n(XEN)  [00000000fffc0000"))),
        RulePair.Of("boots with all its memory", "every kernel halts", static () => OfDom0(Nvs),
            static () => OfDom0(Nvs.With("ACPI NVS", "reserved"))),
        RulePair.Of("boots with all its memory", "every release gives pages back",
            static () => OnMap(RoomyMap, "3.2.1", both: Pages512MiB), static () => OnMap(ShortMap, "3.2.1", both: Pages512MiB)),
        RulePair.Of("Lines of the host's map are lost where [", "lines are left out elsewhere",
            static () => OfDom0(Seed3G.With("(XEN)  [0000000020000000, 00000000201fffff] (reserved)", "[...]")),
            static () => OfDom0(Seed3G.With("(XEN)  Dom0 alloc.:", "[...]\n(XEN)  Dom0 alloc.:"))),
        RulePair.Of("is: what the log shows there, and what depends on it, is not compared. The whole log, or another source of the host's map, "
            + "tells the rest.",
            "the map is whole", static () => OfDom0(Seed3G.With("(XEN)  [0000000020000000, 00000000201fffff] (reserved)", "[...]")),
            static () => OfDom0(Seed3G)),
    ];
}
