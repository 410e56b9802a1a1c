// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>The maps that an HVM guest's firmware prints itself, where its kernel shows none: recorded from the real one.</summary>
[TestClass]
public sealed class VerifyFirmwareMapTests
{
    private static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    private static IEnumerable<object[]> Guests => Records().Select(static record => new object[] { record.Name });

    [TestMethod]
    [DynamicData(nameof(Guests))]
    public void SeaBIOS_own_map_is_compared_entry_by_entry(string name)
    {
        (_, string config, string log) = Records().Single(record => record.Name == name);
        CommandRun run = Verify(config, log);

        Assert.IsGreaterThan(5, run.Output.Split("map entry").Length - 1, run.Output + run.Errors);
        Assert.DoesNotContain("≠   map entry", run.Output);
        CommandRun other = Verify(config.Replace("memory=", "memory=1", StringComparison.Ordinal), log);
        Assert.Contains("≠   map entry", other.Output);
    }

    /// <summary>Of a guest whose operating system leaves no log they are all there is.</summary>
    [TestMethod]
    [DynamicData(nameof(Guests))]
    public void The_BARs_that_hvmloader_programs_are_compared_address_by_address(string name)
    {
        (_, string config, string log) = Records().Single(record => record.Name == name);
        CommandRun run = Verify(config, log);
        int told = log.Split('\n').Count(static line => line.Contains(" bar ", StringComparison.Ordinal));

        Assert.IsGreaterThan(4, told);
        Assert.HasCount(told, run.Output.Split('\n').Where(static line => line.StartsWith("  =   BAR", StringComparison.Ordinal)
            || line.StartsWith("  =   ROM", StringComparison.Ordinal)), run.Output);
        Assert.DoesNotContain("names no PCI functions", run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
        CommandRun other = Verify(config, log.Replace("size 001000000: 0", "size 001000000: 1", StringComparison.Ordinal));
        Assert.Contains("≠   BAR 1 of", other.Output);
    }

    [TestMethod]
    public void Of_a_device_whose_BARs_nobody_told_it_is_said_that_none_are_compared()
    {
        (_, string config, string log) = Records().First();
        string text = Verify($"{config}pci=[\"04:00.0\"]\n", log).Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("where the BARs end up is not known, for those of a passed-through device are not told", text);
    }

    [TestMethod]
    public void A_part_of_SeaBIOS_map_is_compared_so_far()
    {
        (_, string config, string log) = Records().First();
        string[] lines = [.. log.Split('\n').Where(static line => line.Contains(" = ", StringComparison.Ordinal))];
        CommandRun run = Verify(config, string.Join('\n', lines[3..].Select(static line => $"Nov 18 01:55:11.717768 {line}"))
            + "\nNov 18 01:55:18.657844 (XEN) Domain 1 (vcpu#0) crashed on cpu#8:\n");

        Assert.Contains("=   map entry", run.Output);
        Assert.DoesNotContain("≠   map entry", run.Output);
        Assert.Contains("3 entries of the map: the log is cut there", run.Output);
    }

    /// <summary>SeaBIOS changes it below 1 MiB and at the end of RAM.</summary>
    [TestMethod]
    public void Hvmloaders_map_is_compared_where_SeaBIOS_leaves_it()
    {
        const string log = """
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
        CommandRun run = Verify("type=\"hvm\"\nmemory=512\n", log);

        Assert.Contains("=   map entry", run.Output);
        Assert.DoesNotContain("≠   map entry", run.Output);
        Assert.Contains("the BIOS changes it there", run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
        CommandRun other = Verify("type=\"hvm\"\nmemory=512\n", log.Replace("fc00b000", "fc00c000", StringComparison.Ordinal));
        Assert.Contains("≠   map entry", other.Output);
    }

    private static CommandRun Verify(string config, string log) => CommandRun.Of(
        "verify", "--host", PathOf("hosts", "dell-xps-8500", "boot.log"), "--guest", Written(config), "--dmesg", Written(log));

    /// <summary>The guests of the record without devices of the host's: what they were started with, and what Xen's log says of them.</summary>
    private static IEnumerable<(string Name, string Config, string Log)> Records()
    {
        foreach (string part in File.ReadAllText(PathOf("hvm", "seabios.log")).Split("=== GUEST ").Skip(1))
        {
            string name = part[..part.IndexOf('\n', StringComparison.Ordinal)].Trim();
            string[] lines = part.Split('\n')[1..];
            string config = string.Join('\n', lines.TakeWhile(static line => line.Contains('=')
                && !line.StartsWith("===", StringComparison.Ordinal)));
            string log = string.Join('\n', lines.Where(static line => line.StartsWith("(d", StringComparison.Ordinal)));
            if (log.Contains("e820 map has", StringComparison.Ordinal) && !config.Contains("pci=", StringComparison.Ordinal))
                yield return (name, config + "\n", log + "\n");
        }
    }

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
