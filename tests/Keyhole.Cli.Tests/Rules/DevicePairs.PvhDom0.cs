// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Cli.Tests.Rules;

/// <content>PVH dom0: its map, its ACPI tables, its devices.</content>
internal static partial class DevicePairs
{
    /// <summary>Xen's lines of the dom0 of <see cref="PvhLog"/>.</summary>
    private const int XensLines = 13;

    private const string Unusable = "0x0000000140081fff] usable\n[    0.000000] BIOS-e820: [mem 0x0000000140082000-0x00000001ffffffff] unusable";
    private const string LeftOutThere = "0x0000000140081fff] usable\n...";
    private const string TwoOfTheHosts =
        "(XEN)  [000000007ffdf000, 000000007fffffff] (reserved)\n(XEN)  [00000000b0000000, 00000000bfffffff] (reserved)";

    private const string MadeRam = "0x00000001ffffffff] usable";
    private const string TablesInMap = "[mem 0x000000007ffdef26-0x000000007ffdef9f] ACPI data";

    private const string Unreserved = """
        [    6.520701] ahci 0000:07:00.1: BAR 5: can't reserve [mem 0xf0e00000-0xf0e007ff]
        [   17.137025] ccp 0000:06:00.5: BAR 2 [mem 0xf0b00000-0xf0bfffff]: can't reserve
        [   17.145210] ccp 0000:06:00.5: pcim_iomap_regions failed (-16)

        """;

    private static string PvhLog => DeviceInputs.TextOf("hvm", "dom0-pvh-3g.log").Split("=== ")[0];

    /// <summary>The log without the lines that Linux prints behind a number of lines, and with another one.</summary>
    private static string PvhLogTo(int lines, string more) => DeviceInputs.Lines(PvhLog, 1, lines) + more;

    private static RulePair[] PvhDom0 =>
    [
        RulePair.Of("This dom0 is a PVH one: Xen makes its map from the machine's", "Xen builds a PV one",
            static () => DeviceInputs.VerifyDom0(PvhLog), static () => Pvh("dom0=pvh ", "")),
        RulePair.Of("and marks the host's other RAM unusable.", "its Xen leaves that out", static () => Pvh(),
            static () => DeviceInputs.VerifyDom0("(XEN) Xen version 4.11.4 (a@b) debug=n\n" + PvhLog)),
        RulePair.Of("and leaves out the host's other RAM (so up to Xen 4.11): Linux may take that gap for devices.", "it is a newer Xen",
            static () => DeviceInputs.VerifyDom0("(XEN) Xen version 4.11.4 (a@b) debug=n\n" + PvhLog),
            static () => DeviceInputs.VerifyDom0("(XEN) Xen version 4.12.4 (a@b) debug=n\n" + PvhLog)),
        RulePair.Of("Linux takes it over as it is.", "that line of Linux' map is left out",
            static () => Pvh(), static () => Pvh(Unusable, LeftOutThere)),
        RulePair.Of("Linux takes it over as it is.", "Linux makes RAM of it",
            static () => Pvh(), static () => Pvh(Unusable, MadeRam)),
        RulePair.Of("Linux takes it over as it is.", "the map is Xen's, and Linux' own is not in the log",
            static () => Pvh(), static () => DeviceInputs.VerifyDom0(XensMapOfDom0)),
        RulePair.Of("Linux makes RAM of that in its own map, as room for its balloon: it is not memory that dom0 has.", "Linux leaves it as it is",
            static () => Pvh(Unusable, MadeRam), static () => Pvh()),
        RulePair.Of("The log names no kernel version; it is taken for", "it names one", static () => Pvh(),
            static () => Pvh("[    0.000000] Command line", "[    0.000000] Linux version 6.1.69 (a@b)\n[    0.000000] Command line")),
        RulePair.Of("The log names no kernel version; it is taken for", "it is told", static () => Pvh(),
            static () => DeviceInputs.VerifyDom0(PvhLog, "--kernel", "6.1.69")),
        RulePair.Of("map entry: lines of the host's map are lost", "the lines are of the boot's own map",
            static () => Pvh(TwoOfTheHosts, "[...]"),
            static () => Pvh("[    0.000000] BIOS-e820: [mem 0x00000000b0000000-0x00000000bfffffff] reserved", "[...]")),
        RulePair.Of("gap for PCI devices: lines of the host's map are lost", "what is lost decides nothing of the gap",
            static () => Pvh(TwoOfTheHosts, "[...]"),
            static () => Pvh("(XEN)  [00000000000f0000, 00000000000fffff] (reserved)", "[...]")),
        RulePair.Of("The last bytes of RAM below 4 GiB hold ACPI tables whose sizes the log does not show.", "the map shows them",
            static () => Pvh(TablesInMap, "[mem 0x000000007ffdef26-0x000000007ffdef9f] reserved"),
            static () => Pvh("0x0000000140081fff] usable", "0x0000000140071fff] usable")),
        RulePair.Of("ACPI tables that Xen makes for dom0", "it is a PV dom0, which has the machine's",
            static () => DeviceInputs.Run(PvhLog, "boot", "--dom0", "--host", "-"),
            static () => DeviceInputs.Run(PvhLog.Replace("dom0=pvh ", "", StringComparison.Ordinal), "boot", "--dom0", "--host", "-")),
        RulePair.Of("the outcome: it is not known where the kernel is", "the log shows that it runs",
            static () => DeviceInputs.VerifyDom0(PlaceNotKnown), static () => DeviceInputs.VerifyDom0(PlaceNotKnown
                + "[    0.408613] Memory: 627636K/1048568K available (22589K kernel code, 4588K rwdata)\n")),
        RulePair.Of("the outcome: the log ends before it shows", "it goes on until the kernel counts its memory",
            static () => DeviceInputs.VerifyDom0(PvhLogTo(27, "")), static () => DeviceInputs.VerifyDom0(PvhLogTo(30, ""))),
        RulePair.Of("The log has nothing of dom0's map: its end is all that could be looked at.", "a line of the map is there",
            static () => DeviceInputs.VerifyDom0(PvhLogTo(XensLines + 1, "(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\n")),
            static () => DeviceInputs.VerifyDom0(PvhLogTo(XensLines + 12, "(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\n"))),
        RulePair.Of("Its words are about memory; what led to them the log's other lines do not show.", "they only name a file that sounds like it",
            static () => DeviceInputs.VerifyDom0(PvhLogTo(26, OutOfMemory)),
            static () => DeviceInputs.VerifyDom0(PvhLogTo(26, "[    4.0] kernel BUG at lib/alloc_tag.c:35!\n"))),
        RulePair.Of("what led to them the log's other lines do not show.", "a line before them tells of a want of memory",
            static () => DeviceInputs.VerifyDom0(PvhLogTo(26, OutOfMemory)),
            static () => DeviceInputs.VerifyDom0(PvhLogTo(26, Failure + OutOfMemory))),
        RulePair.Of("Its words are about memory.", "no line before them tells what led to them",
            static () => DeviceInputs.VerifyDom0(PvhLogTo(26, Failure + OutOfMemory)),
            static () => DeviceInputs.VerifyDom0(PvhLogTo(26, OutOfMemory))),
    ];

    private const string Failure = "[    3.9] swapper/0: page allocation failure: order:10, mode:0xcc0\n";
    private const string OutOfMemory = "[    4.0] Kernel panic - not syncing: Out of memory and no killable processes...\n";

    /// <summary>Xen's own lines of the map that it made, and none of Linux' own.</summary>
    private static string XensMapOfDom0 => DeviceInputs.Lines(PvhLog, 1, XensLines)
        + "(XEN) *** Building a PVH Dom0 ***\n(XEN) Dom0 memory map:\n"
        + "(XEN)  [0000000000000000, 000000000009efff] (usable)\n(XEN)  [000000000009fc00, 000000000009ffff] (reserved)\n"
        + "(XEN)  [00000000000f0000, 00000000000fffff] (reserved)\n(XEN)  [0000000000100000, 000000007ffdef25] (usable)\n"
        + "(XEN)  [000000007ffdef26, 000000007ffdef9f] (ACPI data)\n(XEN)  [000000007ffdf000, 000000007fffffff] (reserved)\n"
        + "(XEN)  [00000000b0000000, 00000000bfffffff] (reserved)\n(XEN)  [00000000fed1c000, 00000000fed1ffff] (reserved)\n"
        + "(XEN)  [00000000fffc0000, 00000000ffffffff] (reserved)\n(XEN)  [0000000100000000, 0000000140081fff] (usable)\n"
        + "(XEN)  [0000000140082000, 00000001ffffffff] (unusable)\n(XEN)  [000000fd00000000, 000000ffffffffff] (reserved)\n"
        + "[    0.000000] Linux version 6.12.20 (a@b)\n"
        + "[    3.773943] [mem 0xc0000000-0xfed1bfff] available for PCI devices\n";

    /// <summary>A usual kernel could not be where this machine has NVS: that one lies elsewhere.</summary>
    private const string PlaceNotKnown = """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Command line: placeholder dom0=pvh dom0_mem=1024M,max:1024M
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 0000000003ffffff] (usable)
        (XEN)  [0000000004000000, 0000000004045fff] (ACPI NVS)
        (XEN)  [0000000004046000, 00000000bfffffff] (usable)
        (XEN)  [0000000100000000, 000000013fffffff] (usable)
        (XEN) System RAM: 4095MB (4193912kB)
        (XEN) *** Building a PVH Dom0 ***
        [    0.000000] Linux version 6.1.69 (a@b)
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x00000000000fffff] reserved
        [    0.000000] last_pfn = 0x40061 max_arch_pfn = 0x400000000

        """;

    private static RulePair[] PvhDom0Bars =>
    [
        RulePair.Of("Drivers of dom0 do not get what they ask for:", "the lines are a guest's",
            static () => DeviceInputs.VerifyDom0(PvhLog + Unreserved),
            static () => DeviceInputs.VerifyDom0(PvhLog + "Linux version 5.10.0 (a@b)\n[    0.000000] Memory: 1000K/2000K available\n" + Unreserved)),
        RulePair.Of("\"Xen scratch\" is there in /proc/iomem: Linux has taken these addresses as room for pages of other domains.",
            "it is where one of two windows is", static () => DeviceInputs.VerifyDom0(PvhLog + Unreserved + "  f0000000-f0ffffff : Xen scratch\n"),
            static () => DeviceInputs.VerifyDom0(PvhLog + Unreserved + "  f0e00000-f0ffffff : Xen scratch\n")),
        RulePair.Of("Something else has these addresses, and what, the log does not tell: look for it in dom0's /proc/iomem. Where \"Xen scratch\" "
            + "is there, Linux has taken them as room for pages of other domains.", "the log tells",
            static () => DeviceInputs.VerifyDom0(PvhLog + Unreserved + "  f0e00000-f0ffffff : Xen scratch\n"),
            static () => DeviceInputs.VerifyDom0(PvhLog + Unreserved + "  f0000000-f0ffffff : Xen scratch\n")),
        RulePair.Of("; \"pcim_iomap_regions failed (-16)\", line", "another device's driver says so",
            static () => DeviceInputs.VerifyDom0(PvhLog + Unreserved),
            static () => DeviceInputs.VerifyDom0(PvhLog + DeviceInputs.Changed(Unreserved, "06:00.5: pcim", "05:00.5: pcim"))),
    ];

    private static CommandRun Pvh(params string[] changes) => DeviceInputs.VerifyDom0(DeviceInputs.Changed(PvhLog, changes));
}
