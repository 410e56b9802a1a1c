// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What samples/README.md says makes the pictures beside it does so today. Alone: the commands name files by their place in the source
/// tree.</summary>
[TestClass]
[DoNotParallelize]
public sealed class SamplesTests
{
    private const string Prompt = "    ./keyhole ";

    private static readonly string s_samples = Path.Combine(AppContext.BaseDirectory, "samples");

    private readonly string _before = Environment.CurrentDirectory;
    private string _tree = "";

    [TestInitialize]
    public void Enter_a_tree_with_the_fixtures_and_no_pictures()
    {
        _tree = Directory.CreateTempSubdirectory("keyhole-samples-").FullName;
        Directory.CreateDirectory(Path.Combine(_tree, "samples"));
        Directory.CreateDirectory(Path.Combine(_tree, "tests"));
        Directory.CreateSymbolicLink(Path.Combine(_tree, "tests", "fixtures"), Path.Combine(AppContext.BaseDirectory, "fixtures"));
        Environment.CurrentDirectory = _tree;
    }

    [TestCleanup]
    public void Leave_it()
    {
        Environment.CurrentDirectory = _before;
        Directory.Delete(_tree, recursive: true);
    }

    [TestMethod]
    public void Each_sample_is_what_its_command_draws()
    {
        string[] commands = [.. File.ReadLines(Path.Combine(s_samples, "README.md"))
            .Where(line => line.StartsWith(Prompt, StringComparison.Ordinal))];
        foreach (string command in commands)
        {
            CommandRun run = CommandRun.Of(command[Prompt.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries));
            Assert.AreEqual(0, run.Status, command + run.Errors);
        }

        string[] kept = [.. Directory.GetFiles(s_samples, "*.svg").Select(Path.GetFileName).Order(StringComparer.Ordinal)!];
        string[] drawn = [.. Directory.GetFiles(Path.Combine(_tree, "samples")).Select(Path.GetFileName).Order(StringComparer.Ordinal)!];
        Assert.IsNotEmpty(kept);
        CollectionAssert.AreEqual(kept, drawn, "a picture that no command makes, or a command whose picture is not kept");
        foreach (string name in kept)
        {
            Assert.AreEqual(
                File.ReadAllText(Path.Combine(s_samples, name)),
                File.ReadAllText(Path.Combine(_tree, "samples", name)),
                $"samples/{name} is out of date: make it again with the command in samples/README.md");
        }
    }
}
