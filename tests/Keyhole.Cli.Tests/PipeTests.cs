// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using Keyhole.Cli.Terminal;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Pipes at whose other end nobody is, behind every option and argument that names a file, to read or to write: one line, and no
/// waiting.</summary>
[TestClass]
[OSCondition(OperatingSystems.Linux)]
public sealed class PipeTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("keyhole-pipes-");
    private readonly FakeDom0 _dom0 = new();

    /// <summary>Commands that succeed as they are or with the file that their option names.</summary>
    private static readonly string[] s_commands =
    [
        "show --host LOG", "plan --host LOG --memory 1024 --e820-host", "plan --host LOG --memory 1024 --type kvm --pci 01:00.0",
        "boot --host LOG --memory 1024 --e820-host", "boot --guest-map LOG --memory 512", "compare --host LOG --memory 1024 --e820-host",
        "verify --dom0 --host LOG", "reserve --host LOG --start 512M --check", "fleet LOG --memory 512", "capture --host LOG", "apply g1",
        "inspect g1", "start CFG", "probe CFG", "install CFG --dry-run",
    ];

    private readonly List<string> _pipes = [];

    [TestInitialize]
    public void MakeGuest() => _dom0.Write("g.cfg", "name='g'\nmemory=256\nkernel='k'\n");

    /// <summary>Each its own: who still waits for one would be the other end of it.</summary>
    private string NewPipe()
    {
        string path = Path.Combine(_folder.FullName, $"pipe{_pipes.Count}");
        using var made = Process.Start(new ProcessStartInfo("mkfifo") { ArgumentList = { path } })!;
        made.WaitForExit();
        Assert.AreEqual(0, made.ExitCode);
        _pipes.Add(path);
        return path;
    }

    public void Dispose()
    {
        // Whoever still waits for it is let go.
        foreach (string pipe in _pipes)
            new FileStream(pipe, FileMode.Open, FileAccess.ReadWrite).Dispose();
        _folder.Delete(recursive: true);
        _dom0.Dispose();
    }

    [TestMethod]
    public void No_option_waits_for_a_pipe_without_end()
    {
        int tried = 0;
        foreach ((List<string> arguments, _) in WithEachFileOption(NewPipe))
        {
            AssertSoon(arguments);
            tried++;
        }

        foreach (string command in (string[])["fleet PIPE --memory 512", "start PIPE", "probe PIPE", "install PIPE", "install PIPE --undo"])
            AssertSoon([.. command.Split(' ').Select(word => word == "PIPE" ? NewPipe() : word)]);
        Assert.IsGreaterThan(40, tried);
    }

    /// <summary>What is there and is no file with something in it, or has more in it than any: the long one once an option, since it is read up to its
    /// bound.</summary>
    [TestMethod]
    public void Any_kind_of_file_of_any_option_is_answered_or_refused_soon()
    {
        string empty = Path.Combine(_folder.FullName, "empty");
        File.WriteAllBytes(empty, []);
        string unreadable = Path.Combine(_folder.FullName, "unreadable");
        File.WriteAllText(unreadable, "memory=1\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(unreadable, UnixFileMode.None);
        string inside = Path.Combine(_folder.FullName, "inside");
        Directory.CreateDirectory(inside);
        string holes = Path.Combine(_folder.FullName, "holes");
        using (FileStream file = File.Create(holes))
            file.SetLength(10L << 30);
        foreach (string path in (string[])[empty, unreadable, inside])
        {
            foreach ((List<string> arguments, _) in WithEachFileOption(() => path))
                AssertSoon(arguments);
        }

        var tried = new HashSet<string>(StringComparer.Ordinal);
        foreach ((List<string> arguments, string option) in WithEachFileOption(() => holes))
        {
            if (tried.Add(option))
                AssertSoon(arguments);
        }
    }

    [TestMethod]
    public void A_link_to_a_pipe_is_given_up_as_the_pipe_is()
    {
        string link = Path.Combine(_folder.FullName, "link");
        File.CreateSymbolicLink(link, NewPipe());

        Assert.Contains("nothing came from it within 0.1 seconds", AssertSoon(["show", "--host", link]));
    }

    [TestMethod]
    public void A_pipe_in_a_folder_of_memmap_is_not_waited_for()
    {
        string entry = Path.Combine(_folder.FullName, "memmap", "0");
        Directory.CreateDirectory(entry);
        File.WriteAllText(Path.Combine(entry, "start"), "0x0\n");
        File.WriteAllText(Path.Combine(entry, "end"), "0x9ffff\n");
        File.CreateSymbolicLink(Path.Combine(entry, "type"), NewPipe());

        string errors = AssertSoon(["show", "--host", Path.Combine(_folder.FullName, "memmap")]);

        Assert.Contains("empty, a pipe or a device", errors);
    }

    /// <summary>Each command, once with each of its verb's options that name a file.</summary>
    private IEnumerable<(List<string> Arguments, string Option)> WithEachFileOption(Func<string> path)
    {
        foreach (string command in s_commands)
        {
            string[] words = [.. command.Split(' ').Select(word => word switch
            {
                "LOG" => CommandRun.Golden("plain4g.log"),
                "CFG" => Path.Combine(_dom0.Root, "g.cfg"),
                _ => word,
            })];
            foreach (string option in FileOptions(words[0]))
            {
                List<string> arguments = [.. words];
                int known = arguments.IndexOf(option);
                if (known >= 0)
                    arguments[known + 1] = path();
                else
                    arguments.AddRange([option, path()]);
                yield return (arguments, option);
            }
        }
    }

    private string AssertSoon(List<string> arguments)
    {
        string told = string.Join(' ', arguments);
        long start = Stopwatch.GetTimestamp();
        using var output = new StringWriter();
        using var errors = new StringWriter();
        using var console = new CommandConsole(new StreamWriter(Stream.Null), errors, static () => Stream.Null, hasColours: false)
        {
            Patience = TimeSpan.FromSeconds(0.1), Dom0 = _dom0.Machine,
        };
        int status = Program.Run([.. arguments], console);
        Assert.IsLessThan(30, Stopwatch.GetElapsedTime(start).TotalSeconds, told);
        // An option that has nothing to decide is not read.
        Assert.IsTrue(status is 0 or 1 or 2 or 3, $"{told}: {status}\n{errors}");
        if (status != 2)
            return errors.ToString();
        Assert.HasCount(1, errors.ToString().Split('\n').Where(static line => line.StartsWith("keyhole: ", StringComparison.Ordinal)),
            $"{told}\n{errors}");
        return errors.ToString();
    }

    private static string[] FileOptions(string verb)
    {
        using var console = new CommandConsole(new StreamWriter(Stream.Null), TextWriter.Null, static () => Stream.Null, hasColours: false);
        return [.. Program.BuildRoot(console).Subcommands.Single(command => command.Name == verb).Options
            .Where(static option => option.HelpName is { } name
                && (name.Contains("FILE", StringComparison.Ordinal) || name.Contains("cfg", StringComparison.Ordinal)))
            .Select(static option => option.Name)];
    }
}
