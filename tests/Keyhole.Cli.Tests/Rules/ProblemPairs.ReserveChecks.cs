// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Whether a host keeps RAM aside as planned, and where lines of its map are lost.</summary>
internal static partial class ProblemPairs
{
    private const string Kept = "100000000-13fffffff : Reserved";
    private const string Rest = "140000000-27fffffff : System RAM";

    /// <summary>A check of 4 GiB to 5 GiB by the host's /proc/iomem.</summary>
    private static CommandRun Check(string kept = Kept, string rest = Rest, string low = "00100000-7fffffff : System RAM", string options = "") =>
        Reserve("--range 4G-5G --check --iomem " + RulePair.Written("iomem", "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n"
            + $"0009fc00-0009ffff : Reserved\n000f0000-000fffff : Reserved\n{low}\n80000000-800fffff : Reserved\nfec00000-fec003ff : IOAPIC 0\n"
            + $"{kept}\n{rest}\n"), Linux(map: Eight, options: options));

    /// <summary>The same by the log of the host's boot.</summary>
    private static CommandRun CheckLog(string lines, string options = " memmap=1G$4G", string kept = "100000000-140000000 reserved, ",
        string range = "4G-5G", string map = Eight) => Reserve($"--range {range} --check", Linux(map: map, options: options,
            lines: "user-defined physical RAM map:\n" + string.Concat(map.Replace("100000000-280000000 usable",
            kept + "140000000-280000000 usable", System.StringComparison.Ordinal).Split(", ")
            .Select(static entry => $"user: {Mem(entry)}\n")) + lines));

    private static IEnumerable<RulePair> ReserveChecks() =>
    [
        Pair("not-kept", "it is reserved", static kept => Check(kept), "100000000-13fffffff : System RAM", Kept),
        Pair("that should be kept are the kernel's System RAM", "a kernel could be as large, amid what is kept", static end => Check(
            $"100000000-10fffffff : Reserved\n110000000-{end}fffffff : System RAM\n{Next(end)}0000000-13fffffff : Reserved"), "12", "11"),
        Pair("the host's kernel is in the kept RAM", "it begins where what is kept does", static first => Check(
            $"{first}110000000-11fffffff : System RAM\n120000000-13fffffff : Reserved"), "100000000-10fffffff : Reserved\n",
            "100000000-10fffffff : System RAM\n"),
        Pair("are not reserved: ", "they are", static kept => Check(kept), "", Kept),
        Pair("(line 2) takes it out of the map", "the option is about other memory, and a line may be missing", static at => CheckLog("",
            $" memmap=1G%{at}-1", ""), "4G", "6G"),
        Pair("host-ram-missing", "it is the host's", static rest => Check(Kept, rest), "140000000-1ffffffff : System RAM", Rest),
        Pair("of RAM that the plan leaves to it", "it is less than what Linux keeps for itself", static end => Check(Kept,
            $"140000000-{end}ffff : System RAM"), "27fdf", "27fff"),
        Pair("the host's kernel makes persistent memory of", "it is reserved", static kept => Check(kept),
            "100000000-13fffffff : Persistent Memory (legacy)", Kept),
        Pair("kept-not-known", "what is not saved shows all of it", static range => CheckLog(Nosave("80000000", "ffffffff") + Nosave("100000000",
            range)),
            "11fffffff", "13fffffff"),
        Pair("so a line of the log is missing or the kernel is there", "another entry's range is left out", static start => CheckLog(
            Nosave(start, "13fffffff")), "120000000", "100000000"),
        Pair("the log has no line from behind the place where a kernel says so", "it has one", static line => CheckLog(line), "",
            "Memory: 7000000K/8000000K available (14343K kernel code, 2338K rwdata)\n"),
        Pair("it is in RAM that it was told to leave alone, of which that is a part", "that is all of it", static range => CheckLog(
            ".text .data .bss are not marked as E820_TYPE_RAM!\n", range: range), "4G-4608M", "4G-5G"),
        Pair("and takes that place back", "what is to be kept is elsewhere", static range => CheckLog(
            ".text .data .bss are not marked as E820_TYPE_RAM!\n", " memmap=1G$4G memmap=1G$8G", range: range), "4G-5G", "8G-9G"),

        Pair("what is kept, and by which parameters", "the lost lines are elsewhere", static start => Reserve($"--start {start}", Lost("...\n")),
            "2G", "512M"),
        Pair("it is not known how much RAM the host has, and what is where", "no line is lost", static line => Reserve("--start 512M", Lost(line)),
            "...\n", ""),
        Pair("the lines of the host's map that are there have no RAM", "one of them has", static type => Reserve("--start 2M",
            Linux(map: $"0-40000000 {type}")), "reserved", "usable"),
        Pair("it is not known whether 1 GiB of what is to be kept are", "the lost lines are elsewhere", static kept => Check(kept),
            "...", Kept + "\n..."),
    ];

    private static string Nosave(string start, string last) => $"PM: hibernation: Registered nosave memory: [mem 0x{start}-0x{last}]\n";

    private static string Next(string number) => $"{Hex(number) + 1:x}";
}
