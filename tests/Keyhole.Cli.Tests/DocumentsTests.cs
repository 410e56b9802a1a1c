// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What README, docs/, samples/ and the help show as command and output is what there is.</summary>
[TestClass]
public sealed class DocumentsTests
{
    private static readonly string s_shown = Path.Combine(AppContext.BaseDirectory, "fixtures", "shown");

    private static IEnumerable<object[]> Commands =>
        Directory.GetFiles(s_shown, "*.md")
            .SelectMany(static file => File.ReadLines(file).Select(line => (File: Path.GetFileName(file), Line: line)))
            .Where(static shown => Regex.IsMatch(shown.Line, @"^ {4}[^#]*\bkeyhole [a-z]+( |$)"))
            .Select(static shown => (shown.File, Command: shown.Line[(shown.Line.LastIndexOf("keyhole ", StringComparison.Ordinal) + 8)..].Split('#')[0].Trim()))
            // The rest are patterns such as "[--json]", and lines of git.
            .Where(static shown => shown.Command.AsSpan().IndexOfAny("[(…&") < 0)
            .Select(static shown => new object[] { shown.File, shown.Command });

    [TestMethod]
    [DynamicData(nameof(Commands))]
    public void Every_command_that_a_document_shows_is_understood(string file, string command) => AssertUnderstood(file, command);

    [TestMethod]
    public void Every_example_of_the_help_is_understood()
    {
        foreach (Command verb in Root().Subcommands)
        {
            string help = CommandRun.Of(verb.Name, "--help").Output;
            string[] lines = help.Contains("Examples:", StringComparison.Ordinal) ? help[help.IndexOf("Examples:", StringComparison.Ordinal)..].Split('\n') : [];
            foreach (string line in lines.Where(static line => Regex.IsMatch(line, @"^ {2}\S.*\bkeyhole [a-z]|^ {2}keyhole [a-z]")))
                AssertUnderstood(verb.Name, Regex.Split(line[(line.LastIndexOf("keyhole ", StringComparison.Ordinal) + 8)..].Trim(), " {3,}|[<>|#]")[0]);
        }
    }

    [TestMethod]
    [DataRow("README.md", "warning low-memory-lost", "that the host has there", "plan", "--host", "seed8g.log", "--memory", "3072", "--e820-host")]
    [DataRow("compare.md", "policy         low RAM", "a filter", "compare", "--host", "seed8g.log", "--memory", "3072", "--bar", "febc0000-febe0000")]
    [DataRow("verify.md", "guest:  dom0, 1 GiB", "by the forecast it boots.", "verify", "--dom0", "--host", "nvskernel.log")]
    public void The_output_that_a_document_shows_is_what_comes_out(string file, string first, string last, params string[] args)
    {
        string document = File.ReadAllText(Path.Combine(s_shown, file));
        int start = document.IndexOf(first, StringComparison.Ordinal);
        string shown = document[start..(document.IndexOf(last, start, StringComparison.Ordinal) + last.Length)];

        CommandRun run = CommandRun.Of([.. args.Select(static arg => arg.EndsWith(".log", StringComparison.Ordinal) ? CommandRun.Golden(arg) : arg)]);

        Assert.Contains(Words(shown), Words(run.Output));
    }

    [TestMethod]
    [DataRow("seed8g-boot.svg")]
    [DataRow("seed8g-plan.svg")]
    public void A_sample_is_what_its_command_draws(string sample)
    {
        string folder = Directory.CreateTempSubdirectory("keyhole-sample").FullName;
        string drawn = Path.Combine(folder, sample);
        string line = SampleReadme().Single(line => line.Contains($"--svg samples/{sample}", StringComparison.Ordinal));
        string[] args = line[(line.IndexOf("keyhole ", StringComparison.Ordinal) + 8)..].Split(' ');

        CommandRun.Of([.. args.Select(arg => arg.StartsWith("samples/", StringComparison.Ordinal) ? drawn : arg.EndsWith(".log", StringComparison.Ordinal) ? CommandRun.Golden(Path.GetFileName(arg)) : arg)]);
        string picture = File.ReadAllText(drawn);
        Directory.Delete(folder, recursive: true);

        Assert.AreEqual(WithoutPath(File.ReadAllText(Path.Combine(s_shown, "samples", sample))), WithoutPath(picture));
    }

    /// <summary>Where the log lies is no matter, and the picture cuts long paths.</summary>
    private static string WithoutPath(string svg) => Regex.Replace(svg, "( of )[^ <]*(seed8g[.]log|…)", "$1the log");

    private static IEnumerable<string> SampleReadme() => File.ReadLines(Path.Combine(s_shown, "samples", "README.md"));

    private static void AssertUnderstood(string where, string command)
    {
        string[] args = command.Split(' ', StringSplitOptions.RemoveEmptyEntries);

        ParseResult parsed = Root().Parse(args);

        Assert.IsEmpty(parsed.Errors, $"{where}: keyhole {command}: {string.Join("; ", parsed.Errors.Select(static error => error.Message))}");
    }

    private static RootCommand Root() => Program.BuildRoot(new CommandConsole(StreamWriter.Null, TextWriter.Null, static () => Stream.Null, hasColours: false));

    /// <summary>Without lines, rules and the width of tables.</summary>
    private static string Words(string text) => Regex.Replace(text.Replace("─", "", StringComparison.Ordinal), @"\s+", " ");
}
