// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>RAM that a host keeps aside: the plan, and the check of a host that runs.</summary>
internal static partial class ProblemPairs
{
    /// <summary>2 GiB below 4 GiB, 6 GiB above; booted by BIOS, as far as the log of its start tells.</summary>
    private const string Eight = Low + ", 100000-80000000 usable, 80000000-80100000 reserved, 100000000-280000000 usable";

    private static CommandRun Reserve(string options, string? host = null) => CommandRun.Of(["reserve", "--host",
        RulePair.Written("host.log", host ?? Linux(map: Eight)), "--json", .. options.Split(' ')]);

    private static IEnumerable<RulePair> ReservePlans() =>
    [
        Pair("start-unaligned", "the start is a multiple of 2 MiB", static start => Reserve($"--start {start}"), "513M", "514M"),
        Pair("start-above-ram", "RAM ends above the start", static start => Reserve($"--start {start}"), "10G", "0x27fe00000"),
        Pair("the host's map has no RAM", "it has some", static type => Reserve("--start 2M", Capture($"0-40000000 {type}")), "reserved", "ram"),
        Pair("below-1mib", "the start is above", static start => Reserve($"--start {start}"), "1M", "2M"),
        Pair("nothing-kept", "RAM begins below the start", static start => Reserve($"--start {start}",
            Capture("40000000-80000000 ram, 100000000-280000000 ram")), "1G", "0x40200000"),
        Pair("is in use by the host's kernel or its firmware, or was given as such", "a page of it is not", static end => Reserve(
            $"--start 512M --reserved 0-{end}"), "20000000", "1ff00000"),
        Pair("the host has no RAM in", "the range has some", static range => Reserve($"--range {range}"), "3G-4G", "3G-5G"),
        Pair("kernel-overlap", "the kernel is from the start on", static start => Reserve($"--start {start} --kernel-span 1000000-4430000"),
            "512M", "16M"),
        Pair("guest-too-large", "what is kept is as much", static memory => Reserve($"--start 512M --guest-memory {memory}"), "512", "511"),
        Pair("what memmap= keeps is", "it keeps as much", static memory => Reserve($"--start 512M --guest-memory {memory} {Holes("9")}"), "400",
            "100"),
        Pair("too-many-ranges", "all of them can be named", static count => Reserve($"--start 512M {Holes(count)}"), "3", "2"),
        Pair("with those that stand there 5 memmap= are on the command line", "one of them is one of the plan's",
            static first => Reserve("--range 4G-5G", Linux(map: Eight, options: $" {first} memmap=1M$6G memmap=1M$7G memmap=1M!8G")),
            "memmap=1M#9G", "memmap=1G$4G"),
        Pair("with those that stand there 5 memmap= are on the command line", "the kernel does not choose its place",
            static more => Reserve("--range 4G-5G", Linux(map: Eight, options: $" memmap=1M#9G memmap=1M$6G memmap=1M$7G memmap=1M!8G{more}")),
            "", " nokaslr"),
        Pair("kernel-does-not-fit", "the host keeps as much in one piece", static start => Reserve($"--start {start}",
            Linux(map: $"{Low}, 100000-80000000 usable")), "1986M", "1984M"),
        Pair("kernel-must-move", "the start is below it", static start => Reserve($"--start {start}"), "512M", "16M"),
        Pair("booted by BIOS, a kernel starts at 16 MiB unless it chooses its place", "it is told where the kernel is",
            static kernel => Reserve($"--start 512M{kernel}"), "", " --kernel-span 20000000-24000000"),
        Pair("booted by BIOS, a kernel starts at 16 MiB unless it chooses its place", "the host boots by EFI", static line => Reserve("--start 512M",
            Linux(map: Eight, lines: line)), "", Efi),
        Pair("crash-kernel-does-not-fit", "there is a place for it", static size => Reserve($"--start 512M --crashkernel {size}"), "1500M", "1400M"),
        Pair("and the kernel find no place", "it has one above 4 GiB", static size => Reserve($"--start 512M --crashkernel {size}"), "7G", "5G"),
        Pair("low-memory-gone", "the host keeps enough", static start => Reserve($"--start {start}"), "0x7e000000", "0x7c000000"),
        Pair("Linux gets no bounce buffers", "it keeps some", static start => Reserve($"--start {start}"), "0x100000000", "0x7e000000"),
        Pair("a newer one takes fewer", "there is room for all", static start => Reserve($"--start {start}"), "0x7e000000", "0x7c000000"),
        Pair("where its IOMMU does not translate for them", "its log does not say that it uses one", static line => Reserve("--start 0x7e000000",
            Linux(map: Eight, lines: line)), "pci 0000:00:01.0: Adding to iommu group 0\n", "DMAR: Host address width 39\n"),
        Pair("iomem-relaxed", "it is not beside reserved memory below 1 MiB", static range => Reserve($"--range {range}"), "1M-512M", "2M-512M"),
        Pair("not-the-firmware-map", "it is the firmware's", static host => Reserve("--start 512M", host), Iomem, Xen()),
        Pair("not-the-firmware-map", "Xen's additions are still to be made", static option => Reserve($"--start 512M{option}"), " --machine-map", ""),

        Pair("efi-kernel-place", "the start is above what EFI's stub looks at", static range => Reserve($"--range {range}"), "1G-2G", "5G-6G"),
        Pair("there the EFI stub places its kernel and data", "the source does not say how it boots", static line => Reserve("--range 1G-2G",
            Linux(map: Eight, lines: line)), Efi, ""),
        Pair("if it does, its kernel does not avoid", "it boots by BIOS", static traits => Reserve("--range 1G-2G",
            Capture("0-9fc00 ram, 100000-80000000 ram, 100000000-280000000 ram", traits)), "", "\"efi\": false"),
        Pair("its Linux is placed low, which does not go by memmap=", "this Linux is not", static linux => Reserve("--range 5G-6G",
            Linux(linux, Eight, Efi)), "6.12.0", "6.1.0"),
        Pair("before Linux 6.10 its kernel may land in the kept RAM", "the option that puts it low is there", static option =>
            Reserve("--range 5G-6G",
            Linux("6.6.9", Eight, Efi, option)), "", " nokaslr"),
        Pair("its Linux is placed low, which does not go by memmap=", "this Linux stays where the firmware loaded it", static linux => Reserve(
            "--range 5G-6G", Linux(linux, Eight, Efi, " nokaslr")), "6.6.9", "6.5.9"),
        Pair("before Linux 6.10 its kernel may land in the kept RAM", "this Linux is placed low", static linux => Reserve("--range 5G-6G",
            Linux(linux, Eight, Efi)), "6.1.0", "6.12.0"),

        Pair("iommu-present", "the log tells of none", static line => Reserve("--start 512M", Linux(map: Eight, lines: line)),
            "DMAR: Host address width 39\n", ""),
        Pair("Xen uses this host's IOMMU", "Xen does not", static use => Reserve("--start 512M", Xen(lines: $"I/O virtualisation {use}\n")),
            "enabled", "disabled"),
        Pair("the host's Linux uses its IOMMU, as its log says", "it has switched it off", static line => Reserve("--start 512M",
            Linux(map: Eight, lines: line)), "AMD-Vi: Found IOMMU cap 0x40\n", "AMD-Vi: AMD IOMMU disabled\n"),
        Pair("this host has an IOMMU", "it is in use already", static line => Reserve("--start 512M", Linux(map: Eight, lines: line)),
            "DMAR: Host address width 39\n", "DMAR: Host address width 39\npci 0000:00:01.0: Adding to iommu group 0\n"),
        Pair("device-reaches-all", "Linux confines it", static line => Reserve("--start 512M", Linux(map: Eight, lines: line)),
            "", "pci 0000:00:01.0: Adding to iommu group 0\n"),
        Pair("range-without-ram", "all of the range is RAM", static range => Reserve($"--range {range}"), "1G-3G", "1G-2G"),
        Pair("of what is to be kept are not RAM of this host", "nothing of it is, which is said", static range => Reserve($"--range {range}"),
            "1G-3G", "3G-4G"),

        Pair("command-line-conflict", "the option leaves it alone", static limit => Reserve("--range 4G-5G", Linux(map: Eight,
            options: $" mem={limit}")), "4608M", "20G"),
        Pair("what is to be kept is out of the kernel's map then, not reserved", "the limit is behind it", static limit => Reserve("--range 4G-5G",
            Linux(map: Eight, options: $" mem={limit}")), "4608M", "6G"),
        Pair("the plan leaves it to the host", "the limit is behind all RAM", static limit => Reserve("--range 4G-5G",
            Linux(map: Eight, options: $" mem={limit}")), "6G", "10G"),
        Pair("nokaslr is among the host's options: booted by BIOS", "what is kept is elsewhere", static range => Reserve($"--range {range}",
            Linux(map: Eight, options: " nokaslr")), "1M-512M", "4G-5G"),
        Pair("its kernel then starts at 16 MiB, in the kept RAM", "what is kept is behind that", static range => Reserve($"--range {range}",
            Linux(map: Eight, options: " nokaslr")), "1M-512M", "70M-512M"),
        Pair("and may reach into the kept RAM", "no kernel is so large", static range => Reserve($"--range {range}",
            Linux(map: Eight, options: " nokaslr")), "70M-512M", "80M-512M"),
        Pair("drops the firmware's map and all that stands before it", "it is behind the kernel's own options", static option => Reserve(
            "--range 4G-5G", Linux(map: Eight, options: option)), " memmap=exactmap", " -- memmap=exactmap"),
        Pair("among the host's options lies in what the parameters keep", "it is the plan's own", static option => Reserve("--range 4G-5G",
            Linux(map: Eight, options: option)), " memmap=512M$4G", " memmap=1G$4G"),
        Pair("hugepages= among the host's options asks for", "the host has as much", static count => Reserve("--range 4G-5G", Linux(map: Eight,
            options: $" hugepagesz=1G hugepages={count}")), "8", "6"),
        Pair("kept-as-persistent-memory", "it is reserved", static sign => Reserve("--range 4G-5G", Linux(map: Eight,
            options: $" memmap=1G{sign}4G")),
            "!", "$"),
        Pair("makes persistent memory of", "it is other memory", static at => Reserve("--range 4G-5G", Linux(map: Eight,
            options: $" memmap=1G!{at}")), "4G", "6G"),
    ];

    private const string Efi = "efi: EFI v2.7 by American Megatrends\n";

    /// <summary>Reservations that cut RAM below 512 MiB into pieces.</summary>
    private static string Holes(string count) => string.Join(' ', Enumerable.Range(1, int.Parse(count, CultureInfo.InvariantCulture))
        .Select(static i => $"--reserved {i * 0x2000000:x}-{(i * 0x2000000) + 0x1000:x}"));

    /// <summary>A capture of a host.</summary>
    private static string Capture(string entries, string traits = "") => "{\"entries\": ["
        + string.Join(", ", entries.Split(", ").Select(static entry => Parts(entry)).Select(static parts =>
            $"{{\"start\": \"0x{parts.Start:x}\", \"end\": \"0x{parts.End:x}\", \"type\": \"{parts.Type}\"}}"))
        + $"], \"traits\": {{{traits}}}}}\n";
}
