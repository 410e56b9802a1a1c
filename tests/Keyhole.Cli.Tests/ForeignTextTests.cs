// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What others wrote, in names, logs and captures, on its way to a terminal or a file: it steers nothing, hides nothing and begins no
/// line.</summary>
[TestClass]
public sealed class ForeignTextTests
{
    private const string Forged = "keyhole: forged";

    /// <summary>One of each kind: C0, DEL, C1, direction, no width, line ends.</summary>
    private static readonly string[] s_marks = ["\u001b[31m", "\u0007", "\u007f", "\u009b31m", "\u202e", "\u2066", "\u200b", "\ufeff", "\u00ad",
        "\u2028", "\u2029", "\u0085", "\r", "\n", "\u061c"];

    private static string Field(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "hostile", name);

    private static IEnumerable<object[]> Files() =>
        Directory.EnumerateFiles(Field(".")).Select(static path => new object[] { Path.GetFileName(path) });

    [TestMethod]
    [DynamicData(nameof(Files))]
    public void Hostile_files_are_answered_or_refused_in_plain_text_by_every_verb(string name)
    {
        string file = Field(name);
        string host = CommandRun.Golden("iommu.log");
        string[][] commands = Path.GetExtension(name) is ".cfg" or ".xml"
            ? [
                ["plan", "--host", host, "--guest", file], ["boot", "--host", host, "--guest", file], ["compare", "--host", host, "--guest", file],
                ["plan", "--host", host, "--guest", file, "--bits", "32"], ["plan", "--host", host, "--guest", file, "--emit", "xl"],
                ["plan", "--host", host, "--guest", file, "--emit", "libvirt"],
                ["verify", "--host", host, "--guest", file, "--dmesg", Field("evildmesg.txt")], ["fleet", host, "--guest", file],
                ["show", "--host", file],
                ["plan", "--host", host, "--guest", file, "--json"], ["boot", "--host", host, "--guest", file, "--json"],
                ["compare", "--host", host, "--guest", file, "--json"],
            ]
            : [
                ["show", "--host", file], ["show", "--host", file, "--json"], ["plan", "--host", file, "--memory", "512", "--pci", "03:00.0"],
                ["boot", "--host", file, "--memory", "512", "--json"],
                ["verify", "--host", host, "--memory", "512", "--dmesg", file], ["verify", "--dom0", "--host", file],
                ["fleet", file, "--memory", "512"], ["fleet", file, "--memory", "512", "--csv"],
                ["reserve", "--host", file, "--start", "512M"], ["compare", "--host", file, "--memory", "512", "--json"],
                ["plan", "--host", host, "--memory", "512", "--pci", "03:00.0", "--devices", file],
            ];
        foreach (string[] command in commands)
            AssertPlain(CommandRun.Of(command), string.Join(' ', command));
    }

    [TestMethod]
    public void A_guests_name_forges_nothing_in_any_answer()
    {
        foreach (string mark in s_marks)
        {
            string escaped = mark is "\n" or "\r"
                ? mark.Replace("\n", "\\n", StringComparison.Ordinal).Replace("\r", "\\r", StringComparison.Ordinal) : mark;
            byte[] config =
                Encoding.UTF8.GetBytes($"name=\"a{escaped}{Forged}\"\nmemory=512\ntype=\"pv\"\ne820_host=1\ncmdline=\"x{escaped}{Forged}\"\n");
            foreach (string verb in new[] { "plan", "boot", "compare" })
            {
                AssertPlain(CommandRun.WithInput(config, verb, "--host", CommandRun.Golden("iommu.log"), "--guest", "-"), verb);
                AssertPlain(CommandRun.WithInput(config, verb, "--host", CommandRun.Golden("iommu.log"), "--guest", "-", "--json"), verb);
            }

            foreach (string toolstack in new[] { "xl", "libvirt" })
                AssertPlain(CommandRun.WithInput(config, "plan", "--host", CommandRun.Golden("iommu.log"), "--guest", "-", "--emit", toolstack),
                    toolstack);
        }
    }

    [TestMethod]
    [DataRow("déc. 11 17:39:08 vm0 kernel: ", "\"déc. 11 17:39:08 vm0 kernel: BIOS")]
    [DataRow("12月 11 17:39:08 vm0 kernel: ", "\"12月 11 17:39:08 vm0 kernel: BIOS")]
    public void A_logs_line_is_quoted_in_its_own_letters(string stamp, string quoted)
    {
        string log = $"{stamp}Linux version 6.5.0-5-amd64 (debian-kernel>\n{stamp}BIOS-provided physical RAM map:\n"
            + $"{stamp}BIOS-e820: [mem 0x0000000000000000-0x00000>\n{stamp}BIOS-e820: [mem 0x0000000000030000-0x00000>\n";

        Assert.Contains(quoted, CommandRun.WithInput(Encoding.UTF8.GetBytes(log), "show", "--host", "-").Errors);
        Assert.Contains("\"d?c. 11", CommandRun.WithInput(Encoding.Latin1.GetBytes(log.Replace(stamp, "d\u0085c. 11 17:39:08 vm0 kernel: ",
            StringComparison.Ordinal)), "show", "--host", "-").Errors);
    }

    [TestMethod]
    public void The_value_in_JSON_is_the_guests_own()
    {
        byte[] config = Encoding.UTF8.GetBytes("name=\"a\u202e\u009b\u200bü'<>\"\nmemory=512\n");

        CommandRun run = CommandRun.WithInput(config, "plan", "--host", CommandRun.Golden("iommu.log"), "--guest", "-", "--json");

        Assert.AreEqual("a\u202e\u009b\u200bü'<>", run.Json().GetProperty("guest").GetProperty("name").GetString());
        Assert.Contains("\\u202e", run.Output);
        Assert.Contains("ü'<>", run.Output);
    }

    [TestMethod]
    public void What_libvirt_is_given_keeps_the_name()
    {
        byte[] config = Encoding.UTF8.GetBytes("name=\"a\u202eb\"\nmemory=512\n");

        CommandRun run = CommandRun.WithInput(config, "plan", "--host", CommandRun.Golden("iommu.log"), "--guest", "-", "--emit", "libvirt");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("<name>a&#x202e;b</name>", run.Output);
        Assert.AreEqual(2, CommandRun.WithInput(config, "plan", "--host", CommandRun.Golden("iommu.log"), "--guest", "-", "--emit", "xl").Status);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void A_file_and_its_name_are_plain_too()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            string path = Path.Combine(folder.FullName, $"a\n{Forged}\u202e.lines");
            File.WriteAllText(path, "0 a0000 1\n100000 80000000 1\n");
            AssertPlain(CommandRun.Of("show", "--host", path), "show");
            AssertPlain(CommandRun.Of("fleet", folder.FullName, "--memory", "512"), "fleet");
            AssertPlain(CommandRun.Of("fleet", folder.FullName, "--memory", "512", "--csv"), "fleet");
            AssertPlain(CommandRun.Of("show", "--host", path + "x"), "no such file");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void A_pipe_to_which_nobody_writes_is_given_up()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            string pipe = Path.Combine(folder.FullName, "pipe");
            MakePipe(pipe);
            foreach (string[] command in new string[][] { ["show", "--host", pipe],
                ["plan", "--host", CommandRun.Golden("iommu.log"), "--guest", pipe], ["fleet", pipe, "--memory", "512"] })
            {
                (int status, string errors) = Impatient(command);
                Assert.AreNotEqual(0, status);
                Assert.Contains("nothing came from it within 0.2 seconds", errors);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void A_pipe_is_read_once_and_whole()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            string pipe = Path.Combine(folder.FullName, "pipe");
            MakePipe(pipe);
            string log = CommandRun.Golden("frag.log");
            string expected = CommandRun.Of("fleet", log, "--memory", "512").Output.Replace(log, "LOG", StringComparison.Ordinal);
            Task writer = Task.Run(() => File.WriteAllBytes(pipe, File.ReadAllBytes(log)));
            using var output = new MemoryStream();
            using (var console = new CommandConsole(new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true), TextWriter.Null,
                static () => Stream.Null, hasColours: false))
                Program.Run(["fleet", pipe, "--memory", "512"], console);
            writer.Wait();

            Assert.Contains(Lines(expected)[1], Encoding.UTF8.GetString(output.ToArray()));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    [DataRow("hvm")]
    [DataRow("pvh")]
    [DataRow("kvm")]
    public void A_hostile_log_of_a_guest_with_firmware_steers_no_terminal(string type)
    {
        CommandRun run = CommandRun.Of("verify", "--host", CommandRun.Golden("iommu.log"), "--memory", "1024", "--type", type, "--dmesg",
            Field("evildmesg.txt"));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.DoesNotContain("\u001b", run.Output);
        Assert.AreEqual(2, CommandRun.Of("verify", "--host", CommandRun.Golden("iommu.log"), "--memory", "1024", "--type", type).Status);
    }

    [TestMethod]
    public void A_hole_is_given_with_a_unit()
    {
        string hex = CommandRun.Of("plan", "--host", CommandRun.Golden("iommu.log"), "--memory", "3G", "--policy", "hole-at", "--hole",
            "0x60000000").Output;

        Assert.AreEqual(hex, CommandRun.Of("plan", "--host", CommandRun.Golden("iommu.log"), "--memory", "3G", "--policy", "hole-at", "--hole",
            "1536M").Output);
        Assert.AreEqual(hex, CommandRun.Of("plan", "--host", CommandRun.Golden("iommu.log"), "--memory", "3G", "--policy", "hole-at:1536M").Output);
    }

    private static string[] Lines(string text) => text.Split('\n');

    private static (int Status, string Errors) Impatient(string[] command)
    {
        using var errors = new StringWriter();
        using var console = new CommandConsole(new StreamWriter(Stream.Null), errors, static () => Stream.Null,
            hasColours: false) { Patience = TimeSpan.FromSeconds(0.2) };
        return (Program.Run(command, console), errors.ToString());
    }

    private static void MakePipe(string path)
    {
        using var made = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("mkfifo") { ArgumentList = { path } })!;
        made.WaitForExit();
        Assert.AreEqual(0, made.ExitCode);
    }

    private static void AssertPlain(CommandRun run, string command)
    {
        Assert.IsTrue(run.Status is 0 or 1 or 2, $"{command}: {run.Status} {run.Errors}");
        foreach (string text in new[] { run.Output, run.Errors })
        {
            foreach (string line in Lines(text))
            {
                Assert.IsFalse(line.EnumerateRunes().Any(ForeignText.IsHidden),
                    $"{command}: {Encoding.UTF8.GetByteCount(line)} bytes: {ForeignText.OneLine(line)}");
                Assert.DoesNotStartWith(Forged, line, command);
            }
        }
    }
}
