// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Hosts, guests and logs of their boots for the pairs: a log is made of a forecast: it agrees but for what a pair changes.</summary>
internal static class MemoryInputs
{
    /// <summary>What a kernel counts; TOTAL stands for what the map of its boot comes to.</summary>
    public const string Count = "[    0.100000] Memory: 250000K/TOTALK available (x)\n";

    public static string Seed => RulePair.Fixture("golden", "seed8g.log");

    public static string Plain => RulePair.Fixture("golden", "plain4g.log");

    /// <summary>Xen's own lines of a record: its map, and how it builds dom0.</summary>
    public static string XenOf(string path) => string.Concat(File.ReadLines(path)
        .Where(static line => line.StartsWith("(XEN)", StringComparison.Ordinal)).Select(static line => $"{line}\n"));

    public static CommandRun WithInput(string input, params string[] words) => CommandRun.WithInput(Encoding.UTF8.GetBytes(input), words);

    /// <summary>What a boot prints by its forecast, as <c>dmesg</c> shows it, with more lines behind.</summary>
    public static string LogOf(string release, string more, params string[] boot)
    {
        CommandRun run = CommandRun.Of(["boot", .. boot, "--kernel", release, "--json"]);
        using var answer = JsonDocument.Parse(run.Output.Length > 0 ? run.Output : throw new InvalidOperationException(run.Errors));
        ulong pages = 0;
        foreach (JsonElement entry in answer.RootElement.GetProperty("kernelE820").EnumerateArray()
            .Where(static entry => entry.GetProperty("type").GetString() == "ram"))
        {
            (ulong first, ulong end) = ((Address(entry, "start") + 0xfff) >> 12, Address(entry, "end") >> 12);
            pages += Within(first, end, 1, 0xa0) + Within(first, end, 0x100, ulong.MaxValue);
        }

        return $"[    0.000000] Linux version {release} (x@y) (gcc) #1 SMP\n"
            + string.Concat(answer.RootElement.GetProperty("log").EnumerateArray().Select(static line => $"[    0.000000] {line.GetString()}\n"))
            + more.Replace("TOTAL", (pages * 4).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
    }

    /// <summary>A PV guest's boot beside its forecast.</summary>
    /// <param name="guest">Its configuration, but for what all have.</param>
    /// <param name="kernel">Its release of Linux.</param>
    /// <param name="more">Lines behind those of its memory setup.</param>
    /// <param name="host">The file of the host's log; seed8g's if not given.</param>
    /// <param name="told">Another configuration that <c>verify</c> is told of.</param>
    /// <param name="log">Changes the log.</param>
    /// <param name="both">Options of <c>boot</c> and of <c>verify</c>, apart by blanks.</param>
    /// <param name="only">Options of <c>verify</c>, apart by blanks.</param>
    public static CommandRun Pv(string guest, string kernel = "6.1.90", string more = Count, string? host = null, string? told = null,
        Func<string, string>? log = null, string both = "", string only = "")
    {
        string[] on = ["--host", host ?? Seed, .. Words(both)];
        string config = Config(guest);
        string text = LogOf(kernel, more, [.. on, "--guest", config]);
        return CommandRun.Of(["verify", .. on, "--guest", told is null ? config : Config(told), "--dmesg",
            RulePair.Written("dmesg", log is null ? text : log(text)), .. Words(only)]);
    }

    /// <summary>A PV guest on a map that is given.</summary>
    public static CommandRun OnMap(string map, string kernel = "6.1.90", string more = Count, Func<string, string>? log = null, string both = "")
    {
        string[] on = ["--guest-map", RulePair.Written("map", map), .. Words(both)];
        string text = LogOf(kernel, more, on);
        return CommandRun.Of(["verify", .. on, "--dmesg", RulePair.Written("dmesg", log is null ? text : log(text))]);
    }

    /// <summary>dom0's boot beside its forecast.</summary>
    /// <param name="xen">What Xen says.</param>
    /// <param name="told">What Xen says by what <c>verify</c> is given; the same if not given.</param>
    public static CommandRun PvDom0(string xen, string kernel = "6.1.90", string more = Count, string? told = null, Func<string, string>? log = null,
        string both = "", string only = "")
    {
        string text = LogOf(kernel, more, ["--dom0", "--host", RulePair.Written("xen.log", xen), .. Words(both)]);
        return CommandRun.Of(["verify", "--dom0", "--host", RulePair.Written("xen.log", told ?? xen), "--dmesg",
            RulePair.Written("dmesg", log is null ? text : log(text)), .. Words(both), .. Words(only)]);
    }

    /// <summary>One log of Xen and of dom0.</summary>
    public static CommandRun OfDom0(string log, params string[] options) => WithInput(log, ["verify", "--dom0", "--host", "-", .. options]);

    public static string Config(string guest) => RulePair.Written("guest.cfg", $"name=\"g\"\ntype=\"pv\"\nkernel=\"/x\"\n{guest}");

    private static ulong Within(ulong first, ulong end, ulong from, ulong to) =>
        Math.Min(end, to) is var last && Math.Max(first, from) is var start && last > start ? last - start : 0;

    private static ulong Address(JsonElement entry, string name) =>
        ulong.Parse(entry.GetProperty(name).GetString()!.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static string[] Words(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
