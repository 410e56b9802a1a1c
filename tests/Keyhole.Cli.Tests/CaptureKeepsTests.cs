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
    }

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
