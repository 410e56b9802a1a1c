// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>The page of each verb begins with a command and what comes out of it: it is run, as into a pipe, and compared word by word. What works in
/// a dom0 is run in one on the simulated hypervisor, where a guest's console says what was forecast.</summary>
[TestClass]
public sealed class ExamplesTests : IDisposable
{
    private const string Prompt = "    $ keyhole ";
    private const string Indent = "      ";
    private const string LeftOut = "…";

    private static readonly string s_shown = Path.Combine(AppContext.BaseDirectory, "fixtures", "shown");

    private readonly FakeDom0 _dom0 = new();

    private static IEnumerable<object[]> Verbs => Program.VerbNames.Except(["completion", "probe"]).Select(static verb => new object[] { verb });

    public void Dispose() => _dom0.Dispose();

    [TestMethod]
    [DynamicData(nameof(Verbs))]
    [OSCondition(OperatingSystems.Linux)]
    [SupportedOSPlatform("linux")]
    public void The_page_of_a_verb_begins_with_an_example_and_that_is_what_comes_out(string verb)
    {
        string[] page = File.ReadAllLines(Path.Combine(s_shown, $"{verb}.md"));
        int at = Array.FindIndex(page, static line => line.StartsWith("    ", StringComparison.Ordinal));
        Assert.IsTrue(page[at].StartsWith($"{Prompt}{verb} ", StringComparison.Ordinal), $"{verb}.md begins with {page[at]}");
        Assert.IsFalse(page[..at].Any(static line => line.StartsWith("##", StringComparison.Ordinal)), "the example comes before the first section");
        string[] shown = [.. page.Skip(at + 1).TakeWhile(static line => line.Length == 0 || line.StartsWith(Indent, StringComparison.Ordinal))
            .Select(static line => line.Length == 0 ? "" : line[Indent.Length..])];

        CommandRun run = Run(page[at][Prompt.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries));

        Assert.IsLessThan(2, run.Status, run.Errors);
        // capture says on standard error what it keeps, and its file is JSON.
        string output = (run.Output.Length > 0 ? run.Output : run.Errors).Replace(_dom0.Root + "/hosts", "hosts", StringComparison.Ordinal)
            .Replace(_dom0.Root, "", StringComparison.Ordinal)
            .Replace(CommandRun.Golden("") + "/", "", StringComparison.Ordinal);
        AssertShown(shown, output, verb);
    }

    private CommandRun Run(string[] args)
    {
        foreach (string host in (string[])["seed8g.log", "plain4g.log", "nvskernel.log"])
            _dom0.Write($"hosts/{host}", File.ReadAllText(CommandRun.Golden(host)));
        string[] words = [.. args.Select(PathOf)];
        if (args[0] is not ("inspect" or "apply" or "start" or "install"))
            return CommandRun.In80Columns(words);
        _dom0.Write("sys/hypervisor/type", "xen\n");
        foreach (string script in (string[])["vif-bridge", "block"])
            _dom0.Write("etc/xen/scripts/" + script, "#!/bin/sh\n");
        const string guest = "name=\"g1\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/boot/vmlinuz\"\nvif=['bridge=xenbr0']\n";
        _dom0.Write("etc/xen/g1.cfg", guest);
        _dom0.Write("etc/xen/g2.cfg", guest.Replace("g1", "g2", StringComparison.Ordinal));
        if (args[0] == "inspect")
            CommandRun.InDom0(_dom0.Machine, "apply", "g1");
        if (args[0] != "start")
            return CommandRun.InDom0In80Columns(_dom0.Machine, words);
        string[] log = [.. CommandRun.InDom0(_dom0.Machine, "boot", "--guest", PathOf("/etc/xen/g2.cfg"), "--policy", "punch", "--json").Json()
            .GetProperty("log").EnumerateArray().Select(static line => line.GetString()!)];
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Unpausing = () =>
        {
            console.Say(string.Concat(log.Select(static line => $"[    0.000000] {line}\n")));
            console.Say("[    1.000000] Freeing unused kernel image (initmem) memory: 2600K\n");
            _dom0.Info = _dom0.Info with { IsPaused = false };
        };
        return CommandRun.InDom0In80Columns(_dom0.Machine, [.. words, "--timeout", "5"]);
    }

    /// <summary>A record by its name, a file of the dom0 by its place.</summary>
    private string PathOf(string word) => word.EndsWith(".log", StringComparison.Ordinal) ? CommandRun.Golden(word)
        : word.StartsWith("/etc/", StringComparison.Ordinal) ? _dom0.Root + word
        : word is "host.json" or "hosts" ? Path.Combine(_dom0.Root, word) : word;

    /// <summary>Each piece between marks for what was left out stands in the output, in this order; without a mark at its start or end, also at the
    /// output's. Where a line breaks hangs on the length of a path.</summary>
    private static void AssertShown(string[] shown, string output, string verb)
    {
        string said = Words(output);
        string[] pieces = Words(string.Join('\n', shown)).Split($" {LeftOut} ");
        pieces[^1] = pieces[^1].TrimEnd();
        bool goesOn = pieces[^1].EndsWith($" {LeftOut}", StringComparison.Ordinal);
        if (goesOn)
            pieces[^1] = pieces[^1][..^LeftOut.Length].TrimEnd();
        int next = 0;
        foreach (string piece in pieces)
        {
            int at = said.IndexOf(piece, next, StringComparison.Ordinal);
            Assert.IsTrue(at >= 0, $"{verb}.md shows\n{piece}\nand there comes\n{output}");
            Assert.IsTrue(next > 0 || at == 0, $"{verb}.md begins behind the output's start:\n{output}");
            next = at + piece.Length;
        }

        Assert.IsTrue(goesOn || next == said.Length, $"{verb}.md ends before the output does:\n{output}");
    }

    private static string Words(string text) => Regex.Replace(text.Replace("─", "", StringComparison.Ordinal), @"\s+", " ").Trim();
}
