// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using System.Runtime.CompilerServices;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests.Rules;

internal static partial class ProblemPairs
{
    private const string Low = "0-9fc00 usable, 9fc00-a0000 reserved, f0000-100000 reserved";

    /// <summary>3 GiB below 4 GiB, 5 GiB above.</summary>
    private const string Map = Low + ", 100000-bff00000 usable, bff00000-c0000000 reserved, 100000000-240000000 usable";

    private const string Pv = "name=\"net\"\ntype=\"pv\"\nkernel=\"/boot/vmlinuz\"\n";
    private const string Hvm = "name=\"win\"\ntype=\"hvm\"\n";
    private const string Pvh = "name=\"web\"\ntype=\"pvh\"\nkernel=\"/boot/vmlinuz\"\n";

    /// <summary>The log of a Xen with the firmware's map.</summary>
    /// <param name="release">Xen's; empty for one that is not told.</param>
    /// <param name="map">Ranges in hex and their types, END exclusive.</param>
    /// <param name="lines">Besides, as Xen prints them.</param>
    private static string Xen(string release = "4.17.3", string map = Map, string lines = "") =>
        (release.Length == 0 ? "" : $"(XEN) Xen version {release} (a@b) (gcc) debug=n\n") + "(XEN) Xen-e820 RAM map:\n"
            + string.Concat(map.Split(", ").Select(static entry => $"(XEN)  {Inclusive(entry)}\n"))
            + string.Concat(lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => $"(XEN) {line}\n"));

    /// <summary>The log of a Linux on bare metal.</summary>
    private static string Linux(string release = "6.1.0", string map = Map, string lines = "", string options = "",
        string by = "BIOS-e820") =>
        $"[    0.0] Linux version {release} (a@b) (gcc) #1 SMP\n[    0.0] Command line: root=/dev/sda1 ro{options}\n"
            + "[    0.0] BIOS-provided physical RAM map:\n"
            + string.Concat(map.Split(", ").Select(entry => $"[    0.0] {by}: {Mem(entry)}\n"))
            + "[    0.0] DMI: Dell Inc. PowerEdge R640/0H28RR, BIOS 2.1.8 04/30/2019\n"
            + string.Concat(lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => $"[    0.1] {line}\n"));

    private static string Inclusive(string entry)
    {
        (ulong start, ulong end, string type) = Parts(entry);
        return $"[{start:x16}, {end - 1:x16}] ({type})";
    }

    private static string Mem(string entry)
    {
        (ulong start, ulong end, string type) = Parts(entry);
        return $"[mem 0x{start:x16}-0x{end - 1:x16}] {type}";
    }

    private static (ulong Start, ulong End, string Type) Parts(string entry)
    {
        string[] words = entry.Split(' ', 2);
        string[] ends = words[0].Split('-');
        return (Hex(ends[0]), Hex(ends[1]), words[1]);
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static CommandRun Run(string verb, string host, string guest, params string[] options) => CommandRun.Of([verb, "--host",
        RulePair.Written("host.log", host), "--guest", RulePair.Written("guest.cfg", guest), "--json", .. options]);

    private static CommandRun Plan(string guest, string? host = null, params string[] options) => Run("plan", host ?? Xen(), guest, options);

    private static CommandRun Boot(string guest, string? host = null, params string[] options) => Run("boot", host ?? Xen(), guest, options);

    /// <summary>Two runs that differ in what is put into one place.</summary>
    private static RulePair Pair(string rule, string unless, Func<string, CommandRun> run, string said, string silent,
        [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        RulePair.Of(rule, unless, () => Answered(run(said)), () => Answered(run(silent)), file, line);

    /// <summary>What could not be read is silent of everything.</summary>
    private static CommandRun Answered(CommandRun run)
    {
        Assert.IsTrue(run.Status is 0 or 1, run.Errors);
        return run;
    }
}
