// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>A capture keeps all that its log knew: what is answered from a log is answered from its own JSON.</summary>
[TestClass]
public sealed class CaptureKeepsTests
{
    private static readonly string[] s_questions =
    [
        "plan --memory 3G --e820-host", "plan --memory 3G --maxmem 4G --policy punch --pci 01:00.0", "boot --memory 3G --e820-host",
        "plan --memory 3G --type hvm --bar-size 1G", "plan --memory 3G --type kvm --bar-size 4G", "reserve --start 512M",
    ];

    /// <summary>Guests with devices that hosts in the fixtures have, or say something of.</summary>
    private static readonly string[] s_guests =
        [.. ((string[])["libvirt-gpu.xml", "102.conf", "qemu.cmd"]).Select(static name => Path.Combine(Root, "kvm", name))];

    private static string Root => Path.Combine(AppContext.BaseDirectory, "fixtures");

    public static IEnumerable<object[]> Hosts() =>
        ((string[])["golden", "hosts", "field/xen", "field/mails", "reserve", "hvm", "linux612", "kvm"])
            .SelectMany(static folder => Directory.GetFiles(Path.Combine(Root, folder), "*", SearchOption.AllDirectories))
            .Where(static path => Path.GetExtension(path) is ".log" or ".txt" or ".eml" or ".iomem" or ".json"
                && new FileInfo(path).Length < 2_000_000 && Path.GetFileName(path) != "expected.txt")
            .Order(StringComparer.Ordinal)
            .Select(static path => new object[] { Path.GetRelativePath(Root, path) });

    [TestMethod]
    [DynamicData(nameof(Hosts))]
    public void What_is_answered_from_a_log_is_answered_from_its_own_JSON(string name)
    {
        string path = Path.Combine(Root, name);
        CommandRun shown = CommandRun.In80Columns("show", "--host", path, "--json");
        if (shown.Status == 2)
            return;
        byte[] capture = Encoding.UTF8.GetBytes(shown.Output);

        Assert.AreEqual(Told(shown.Output), Told(FromInput(capture, "show --json")), name);
        foreach (string question in s_questions)
            Assert.AreEqual(Told(CommandRun.In80Columns([.. question.Split(' '), "--json", "--host", path]).Output),
                Told(FromInput(capture, $"{question} --json")), $"{question}, {name}");
        foreach (string guest in s_guests)
            Assert.AreEqual(Told(CommandRun.In80Columns("plan", "--guest", guest, "--json", "--host", path).Output),
                Told(CommandRun.In80Columns(capture, ["plan", "--guest", guest, "--json", "--host", "-"]).Output), $"{guest}, {name}");
    }

    [TestMethod]
    [DynamicData(nameof(Hosts))]
    public void What_a_fleet_makes_of_a_log_it_makes_of_its_JSON_as_a_file_and_as_a_line(string name)
    {
        string path = Path.Combine(Root, name);
        CommandRun shown = CommandRun.In80Columns("show", "--host", path, "--json");
        if (shown.Status == 2)
            return;
        string folder = Directory.CreateTempSubdirectory("keyhole-fleet-").FullName;
        try
        {
            AssertSameFleet(path, shown.Output, folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void AssertSameFleet(string path, string capture, string folder)
    {
        const string called = "called-so";
        string file = Path.Combine(folder, "capture.json");
        File.WriteAllText(file, capture);
        JsonNode named = JsonNode.Parse(capture)!;
        named["name"] = called;
        string line = Path.Combine(folder, "captures.ndjson");
        File.WriteAllText(line, named.ToJsonString());
        foreach (string guests in (string[])["--memory 3G", .. s_guests.Select(static guest => $"--guest {guest}")])
        {
            string told = Fleet(path, path, guests);

            Assert.AreEqual(told, Fleet(file, file, guests), $"{guests}, {path}");
            Assert.AreEqual(told, Fleet(line, called, guests), $"{guests}, {path}, as a line");
        }
    }

    /// <summary>With what the host is called taken out.</summary>
    private static string Fleet(string path, string called, string guests) =>
        CommandRun.In80Columns(["fleet", path, .. guests.Split(' '), "--json"]).Output.Replace(called, "it", StringComparison.Ordinal)
            .Replace(path, "it", StringComparison.Ordinal).Replace("        \"line\": 1,\n", "", StringComparison.Ordinal)
            .Replace("it:1", "it", StringComparison.Ordinal);

    private static string FromInput(byte[] capture, string question) =>
        CommandRun.In80Columns(capture, [.. question.Split(' '), "--host", "-"]).Output;

    /// <summary>All but the source's own name.</summary>
    private static string Told(string json)
    {
        if (json.Length == 0)
            return "nothing";
        JsonObject told = JsonNode.Parse(json)!.AsObject();
        told.Remove("source");
        return told.ToString();
    }
}
