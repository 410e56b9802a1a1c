// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Formats.Tar;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Cli.Terminal;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What README, docs/ and the help show as command and output is what there is.</summary>
[TestClass]
public sealed class DocumentsTests
{
    private static readonly string s_shown = Path.Combine(AppContext.BaseDirectory, "fixtures", "shown");

    private static IEnumerable<object[]> Commands =>
        Directory.GetFiles(s_shown, "*.md")
            .SelectMany(static file => File.ReadLines(file).Select(line => (File: Path.GetFileName(file), Line: line)))
            .Where(static shown => Regex.IsMatch(shown.Line, @"^ {4}[^#]*\bkeyhole [a-z]+( |$)"))
            .Select(static shown => (shown.File, Command: WithoutRemark(shown.Line)))
            // The rest are patterns such as "[--json]", and lines of git.
            .Where(static shown => shown.Command.AsSpan().IndexOfAny("[(…&") < 0)
            .Select(static shown => new object[] { shown.File, shown.Command });

    [TestMethod]
    [DynamicData(nameof(Commands))]
    public void Every_command_that_a_document_shows_is_understood(string file, string command) => AssertUnderstood(file, command);

    [TestMethod]
    public void Every_verb_has_help_and_its_examples_are_understood()
    {
        foreach (Command verb in Root().Subcommands)
        {
            CommandRun help = CommandRun.Of(verb.Name, "--help");
            Assert.AreEqual(0, help.Status, help.Errors);
            Assert.Contains($"keyhole {verb.Name}", help.Output[help.Output.IndexOf("Examples:", StringComparison.Ordinal)..]);
            string[] lines = help.Output.Split('\n');
            foreach (string line in lines.Where(static line => Regex.IsMatch(line, @"^ {2}[^\s\[].*\bkeyhole [a-z]|^ {2}keyhole [a-z]")
                && !line.Contains("[options]", StringComparison.Ordinal)))
                AssertUnderstood(verb.Name, WithoutRemark(line));
        }
    }

    [TestMethod]
    [DataRow("README.md", "warning low-memory-lost", "that the host has there", "plan", "--host", "seed8g.log", "--memory", "3072", "--e820-host")]
    [DataRow("README.md", "it halts: \"Xen", "conflicts with E820 map\"", "boot", "--host", "nvskernel.log", "--dom0")]
    [DataRow("README.md", "take punch: punch boots", "only 512 MiB below 4 GiB", "compare", "--host", "seed8g.log", "--memory", "3G", "--bar",
        "febc0000-febe0000")]
    [DataRow("README.md", "error bar-unplaced", "then every BAR has its place", "plan", "--host", "seed8g.log", "--type", "hvm", "--memory", "4G",
        "--bar", "e0000000-f0000000")]
    [DataRow("README.md", "take X-PciMmio64Mb", "every BAR has its\n    place", "compare", "--host", "plain4g.log", "--type", "kvm", "--machine",
        "q35", "--firmware", "ovmf-2022.11", "--qemu", "7.2",
        "--phys-bits", "40", "--memory", "64G", "--bar-size", "128G,64bit")]
    public void The_output_that_a_document_shows_is_what_comes_out(string file, string first, string last, params string[] args)
    {
        string document = File.ReadAllText(Path.Combine(s_shown, file));
        int start = document.IndexOf(first, StringComparison.Ordinal);
        string shown = document[start..(document.IndexOf(last, start, StringComparison.Ordinal) + last.Length)];

        CommandRun run = CommandRun.Of([.. args.Select(static arg => arg.EndsWith(".log", StringComparison.Ordinal) ? CommandRun.Golden(arg) : arg)]);

        Assert.Contains(Words(shown), Words(run.Output));
    }

    [TestMethod]
    public void What_README_says_of_150_real_machines_is_what_fleet_counts()
    {
        string readme = File.ReadAllText(Path.Combine(s_shown, "README.md"));
        string folder = Directory.CreateTempSubdirectory("keyhole-maps-").FullName;
        try
        {
            using (var packed = new GZipStream(File.OpenRead(Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "maps.tar.gz")),
                CompressionMode.Decompress))
                TarFile.ExtractToDirectory(packed, folder, overwriteFiles: false);

            CommandRun run = CommandRun.Of("fleet", folder, "--memory", "3G");

            Assert.HasCount(150, Directory.GetFiles(folder));
            string line = run.Output.Split('\n').Single(static line => line.StartsWith("3 GiB: on ", StringComparison.Ordinal));
            Assert.Contains(Words(line.Trim()), Words(readme));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Every_page_that_a_document_leads_to_is_there()
    {
        foreach (string file in Directory.GetFiles(s_shown, "*.md"))
        {
            // README lies beside docs/, the pages in it.
            string folder = Path.GetFileName(file) == "README.md" ? "" : "docs/";
            foreach (Match link in Regex.Matches(File.ReadAllText(file), @"\]\((?<to>[^)#:\s]+\.md)"))
            {
                string to = folder + link.Groups["to"].Value;
                if (to.StartsWith("docs/", StringComparison.Ordinal) && !to.Contains("..", StringComparison.Ordinal))
                    Assert.IsTrue(to != "docs/README.md" && File.Exists(Path.Combine(s_shown, to["docs/".Length..])),
                        $"{Path.GetFileName(file)} leads to {to}");
            }
        }
    }

    /// <summary>The words behind the program's name, up to a remark, a redirection or a pipe.</summary>
    private static string WithoutRemark(string line) =>
        Regex.Split(line[(line.LastIndexOf("keyhole ", StringComparison.Ordinal) + 8)..].Trim(), " {3,}|[<>|&#]")[0];

    private static void AssertUnderstood(string where, string command)
    {
        string[] args = command.Split(' ', StringSplitOptions.RemoveEmptyEntries);

        ParseResult parsed = Root().Parse(args);

        Assert.IsEmpty(parsed.Errors, $"{where}: keyhole {command}: {string.Join("; ", parsed.Errors.Select(static error => error.Message))}");
    }

    private static RootCommand Root() =>
        Program.BuildRoot(new CommandConsole(StreamWriter.Null, TextWriter.Null, static () => Stream.Null, hasColours: false));

    /// <summary>Without lines, rules and the width of tables.</summary>
    private static string Words(string text) => Regex.Replace(text.Replace("─", "", StringComparison.Ordinal), @"\s+", " ");
}
