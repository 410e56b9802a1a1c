// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Concurrent;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Logs of boots and of their ends, and the runs of <c>keyhole verify</c> that read them.</summary>
internal static class EndInputs
{
    /// <summary>What Xen says of a machine up to where it builds dom0.</summary>
    public const string XensStart = """
        (XEN) Xen version 4.14.0 (a@b) debug=n
        (XEN) Command line: dom0_mem=1024M,max:1024M
        (XEN) EFI RAM map:
        (XEN)  [0000000000000000, 000000000009ffff] (usable)
        (XEN)  [0000000000100000, 00000000775dffff] (usable)
        (XEN)  [00000000775e0000, 00000000775fffff] (reserved)
        (XEN)  [00000000ff900000, 00000000ffffffff] (reserved)
        (XEN) System RAM: 1909MB (1955712kB)

        """;

    /// <summary>A PV guest of 512 MiB, without the line that says what memory it has: its setup is not over yet.</summary>
    public const string PvBoot = """
        [    0.000000] Linux version 6.1.0 (a@b) #1 SMP
        [    0.000000] Released 0 page(s)
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x000000001fffffff] usable

        """;

    /// <summary>What its kernel counts, behind <see cref="PvBoot"/>.</summary>
    public const string PvMemory = "[    0.200000] Memory: 455800K/523900K available\n";

    public const string Crashed = "(XEN) Domain 1 (vcpu#0) crashed on cpu#3:\n";

    private static readonly ConcurrentDictionary<string, string> s_logs = new();

    public static string Plain => RulePair.Fixture("golden", "plain4g.log");

    /// <summary>A host that reserves memory from 512 MiB on.</summary>
    public static string Seed => RulePair.Fixture("golden", "seed8g.log");

    public static string FieldLog(string name) => File.ReadAllText(RulePair.Fixture("field", "xen", name));

    /// <summary>dom0's boot in a log of Xen's.</summary>
    public static CommandRun Dom0(string log, params string[] options) =>
        CommandRun.WithInput(Encoding.UTF8.GetBytes(log), ["verify", "--dom0", "--host", "-", .. options]);

    /// <summary>A PV guest of 512 MiB on a plain host.</summary>
    public static CommandRun Pv(string log, params string[] options) => Guest(log, Plain, ["--memory", "512", .. options]);

    /// <summary>An HVM guest of 512 MiB.</summary>
    public static CommandRun Hvm(string log, params string[] options) => Guest(log, Plain, ["--memory", "512", "--type", "hvm", .. options]);

    public static CommandRun Guest(string log, string host, params string[] options) =>
        CommandRun.WithInput(Encoding.UTF8.GetBytes(log), ["verify", "--host", host, "--dmesg", "-", .. options]);

    /// <summary>A guest of QEMU's with OVMF, of the fixtures' command line.</summary>
    public static CommandRun Kvm(string name, string log) => CommandRun.WithInput(Encoding.UTF8.GetBytes(log), "verify", "--guest",
        RulePair.Fixture("kvm", "verify", $"{name}.cmd"), "--dmesg", "-", "--firmware", "ovmf-2022.11", "--qemu", "7.2");

    /// <summary>A guest of QEMU's with SeaBIOS whose own command line has an option more.</summary>
    public static CommandRun KvmPorts(string option, string old = "", string by = "")
    {
        string log = File.ReadAllText(RulePair.Fixture("kvm", "verify", "sea-ports.log"));
        string[] lines = [.. log.Split('\n').Select(line => line.Contains("] Command line: ", StringComparison.Ordinal)
            ? $"{line.TrimEnd()} {option}" : line)];
        log = string.Join('\n', lines);
        return CommandRun.WithInput(Encoding.UTF8.GetBytes(old.Length == 0 ? log : log.With(old, by)), "verify", "--guest",
            RulePair.Fixture("kvm", "verify", "sea-ports.cmd"), "--dmesg", "-", "--qemu", "7.2");
    }

    /// <summary>The log of a boot that goes as is forecast, from "boot" itself.</summary>
    public static string Forecast(string release, params string[] boot) =>
        s_logs.GetOrAdd($"{release} {string.Join(' ', boot)}", _ => Made(release, boot));

    private static string Made(string release, string[] boot)
    {
        using var answer = JsonDocument.Parse(CommandRun.Of(["boot", .. boot, "--json"]).Output);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"[    0.000000] Linux version {release} (x@y) (gcc) #1 SMP\n");
        foreach (JsonElement line in answer.RootElement.GetProperty("log").EnumerateArray())
            text.Append(CultureInfo.InvariantCulture, $"[    0.000000] {line.GetString()}\n");
        return text.ToString();
    }
}
