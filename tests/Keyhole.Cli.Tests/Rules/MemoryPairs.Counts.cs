// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.IO;
using static Keyhole.Cli.Tests.Rules.MemoryInputs;

namespace Keyhole.Cli.Tests.Rules;

/// <content>What a kernel counts, lines that a log lacks, and RAM that hvmloader moved.</content>
internal static partial class MemoryPairs
{
    private const string SameBoot = "gives it 1,048,188 KiB. A kernel counts the whole pages of RAM of its map, and the log shows nothing that "
        + "changed it: "
        + "whether this line is of the same boot as the map is the first thing to look at.";

    private const string NoMapInLog = "the forecast's map gives it 1,048,188 KiB. The kernel's own map, which would tell why, is not in the log.";

    private const string MapIsWhole = "The map in the log is whole: its RAM is what the kernel counts behind it (line ";

    private const string NoCommandLine = "The kernel's command line, which can change that (mem=, memmap=), is not in the log.";

    private const string CommandLine = "[    0.000000] Command line: root=/dev/xvda ro";

    private const string MayBeLost = "may have got lost on the way into the log (a serial line, a buffer, somebody who copied it)";

    private const string Moved = "hvmloader moved the RAM at [0x80000000, 0xf0000000), 458,752 pages (1.75 GiB), above 4 GiB to make room for "
        + "BARs (lines ";

    private static string KvmLog => File.ReadAllText(RulePair.Fixture("kvm", "verify", "sea-ports.log"));

    private static string KvmCommand => File.ReadAllText(RulePair.Fixture("kvm", "verify", "sea-ports.cmd"));

    private static CommandRun Kvm(string log, string? command = null, params string[] options) => CommandRun.Of(["verify", "--guest",
        RulePair.Written("guest.cmd", command ?? KvmCommand), "--qemu", "7.2", "--dmesg", RulePair.Written("dmesg", log), .. options]);

    /// <summary>A guest whose kernel counts another total than its map gives.</summary>
    private static CommandRun Counts(string options = "", string total = "1048192K") =>
        Pv(Host, log: log => log.With("/1048188K", $"/{total}").With("[    0.000000] Released", $"{CommandLine}{options}\n[    0.000000] Released"));

    /// <summary>The record of a guest whose RAM hvmloader moved, with its map under a kernel that names itself.</summary>
    private static CommandRun OfMoved(string part = "HVM Loader", string by = "HVM Loader", string config = "", bool withBars = true)
    {
        string text = File.ReadAllText(RulePair.Fixture("hvm", "moved-linux.log"));
        string guest = text.Split("=== GUEST moved\n")[1];
        string kernel = guest.Split("=== KERNEL\n")[1].Split("===")[0];
        string folder = Directory.CreateTempSubdirectory("keyhole-rules-").FullName;
        foreach (string device in (string[])["00:04.0", "00:06.0"])
        {
            Directory.CreateDirectory(Path.Combine(folder, $"0000:{device}"));
            File.WriteAllText(Path.Combine(folder, $"0000:{device}", "resource"), text.Split($"=== BARS {device}\n")[1].Split("===")[0]);
        }

        string log = $"{guest.Split("=== HVMLOADER\n")[1].Split("===")[0]}[    0.000000] Linux version 6.1.0 (x@y) #1\n{kernel}".With(part, by);
        return CommandRun.Of(["verify", "--host", RulePair.Written("xen.log", text.Split("=== DOM0-IOMEM")[0]), "--guest",
            RulePair.Written("g.cfg", guest.Split("===")[0] + config), "--dmesg", RulePair.Written("dmesg", log),
            .. withBars ? (string[])["--devices", folder] : []]);
    }

    private static ImmutableArray<RulePair> Totals =>
    [
        RulePair.Of($"{MapIsWhole}27: 1,048,188 KiB).", "the kernel counts another total", static () => Pv(Host, told: "memory=2048\n"),
            static () => Pv(Host, told: "memory=2048\n", log: static log => log.With("/1048188K", "/1048192K"))),
        RulePair.Of(MapIsWhole, "a line of it is garbled", static () => Pv(Host, told: "memory=2048\n"),
            static () => Pv(Host, told: "memory=2048\n",
                log: static log => log.With("mem 0x00000000badc9000-0x00000000badd0fff]", "mem 0x00000000badc9000-0x"))),
        RulePair.Of($"the map, which is as forecast, {SameBoot}", "the kernel's command line limits it",
            static () => Counts(), static () => Counts(" mem=900M")),
        RulePair.Of($"the map, which is as forecast, {SameBoot}", "the kernel says that it took that much out of it",
            static () => Counts(total: "1044092K"),
            static () => Pv(Host, log: static log => log.With("/1048188K", "/1044092K")
                .With("[    0.100000]", "[    0.000000] e820: update [mem 0x10000000-0x103fffff] usable ==> reserved\n[    0.100000]"))),
        RulePair.Of($"the map, which is as forecast, {SameBoot}", "the log has no map", static () => Counts(),
            static () => Pv(Host, log: static log => log.Without("Xen: [mem").With("/1048188K", "/1048192K"))),
        RulePair.Of(NoMapInLog, "it has it", static () => Pv(Host, log: static log => log.Without("Xen: [mem").With("/1048188K", "/1048192K")),
            static () => Counts()),
        RulePair.Of("neither the forecast's map (1,048,188 KiB) nor the lines of the log's give that.", "all lines are as forecast",
            static () => Pv(Host, log: static log => log.With("/1048188K", "/1048192K").With("badd0fff] ACPI data", "badd0fff] ACPI NVS")),
            static () => Counts()),
        RulePair.Of(NoCommandLine, "it is in the log", static () => Pv(Host, log: static log => log.With("/1048188K", "/1048192K")),
            static () => Counts()),
    ];

    private static ImmutableArray<RulePair> Lost =>
    [
        RulePair.Of("Everything of this that the log shows is as forecast; it lacks 1 line of it (map entry [0xb0000000, 0xc0000000) reserved "
            + "before line ",
            "the line says otherwise", static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x00000000b0000000")),
            static () => Kvm(KvmLog.With("[mem 0x00000000b0000000-0x00000000bfffffff] reserved",
                "[mem 0x00000000b0000000-0x00000000bfffffff] ACPI NVS"))),
        RulePair.Of($"It {MayBeLost}: look at the whole log before anything else.", "nothing is missing",
            static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x00000000b0000000")), static () => Kvm(KvmLog)),
        RulePair.Of(MayBeLost, "the place of what is missing is told to be left out",
            static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x00000000b0000000")),
            static () => Kvm(KvmLog.With("[    0.000000] BIOS-e820: [mem 0x00000000b0000000-0x00000000bfffffff] reserved", "[...]"))),
        RulePair.Of(", or the guest has less memory than was told (\"last_pfn\" and \"Memory:\" tell)", "its kernel counts as much as was forecast",
            static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x0000000100000000-").Without("] Memory: ")),
            static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x0000000100000000-"))),
        RulePair.Of(", or the guest has less memory than was told", "what is missing is no RAM",
            static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x0000000100000000-").Without("] Memory: ")),
            static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x00000000b0000000").Without("] Memory: "))),
        RulePair.Of("Either the guest has no such device, or they may have got lost", "a line that is no device's is missing, too",
            static () => Kvm(KvmLog.Without("0000:02:00.0")),
            static () => Kvm(KvmLog.Without("0000:02:00.0").Without("BIOS-e820: [mem 0x00000000b0000000"))),
        RulePair.Of(", or the guest has no such device: look at the whole log before anything else.", "every line of its functions is there",
            static () => Kvm(KvmLog.Without("0000:02:00.0").Without("BIOS-e820: [mem 0x00000000b0000000")),
            static () => Kvm(KvmLog.Without("BIOS-e820: [mem 0x00000000b0000000"))),
    ];

    private static ImmutableArray<RulePair> MovedPages =>
    [
        RulePair.Of(Moved, "a line tells of a page more than the map lacks", static () => OfMoved(),
            static () => OfMoved("Relocating 0x7 pages", "Relocating 0x8 pages")),
        RulePair.Of(Moved, "there is a gap between what they tell", static () => OfMoved(), static () => OfMoved("from 0a0005000", "from 0a0006000")),
        RulePair.Of("the map comes of that. libxl forbids it (hvmloader/allow-memory-relocate in xenstore) but for a QEMU in a stubdomain before "
            + "Xen 4.17.4 "
            + "and 4.18.1; QEMU does not learn of it, so that BARs in that range are not reached (a network card passed through reads as ones "
                + "only), and the "
            + "guest may crash.", "it is hvmloader's hole that is told to be so large, and nothing differs",
            static () => OfMoved(), static () => OfMoved(config: "mmio_hole=2048\n")),
        RulePair.Of(Moved, "another line of the map differs, too", static () => OfMoved(),
            static () => OfMoved("fc00afff] ACPI NVS", "fc00bfff] ACPI NVS")),
    ];
}
