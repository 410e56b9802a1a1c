// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Every verb's text keeps to the terminal's columns from 60 upwards, and breaks no number on the way.</summary>
[TestClass]
public sealed partial class WidthTests
{
    private static readonly string[] s_hosts =
        ["golden/seed8g.log", "field/xen/initrd-moved.txt", "field/xen/pvh-dom0.txt", "reserve/efi/memmap-boot.log"];

    /// <summary>Options of a verb; HOST stands for the host's file.</summary>
    private static readonly string[] s_commands =
    [
        "show --host HOST", "show --host HOST --with-xen", "plan --host HOST --memory 3G --e820-host --bar 90004000-90008000",
        "boot --host HOST --memory 3G --e820-host", "boot --dom0 --host HOST", "verify --dom0 --host HOST",
        "compare --host HOST --memory 3G --e820-host --bar 90004000-90008000 --migrate-to HOST", "reserve --host HOST --start 512M",
        "plan --host HOST --memory 8G --type hvm --pci 01:00.0 --devices BARS",
        "plan --host HOST --memory 8G --type kvm --pci 01:00.0 --devices BARS",
        "compare --host HOST --memory 8G --type kvm --pci 01:00.0 --devices BARS", "boot --host HOST --memory 8G --type pvh",
        "fleet HOST HOST --memory 8G",
    ];

    private static readonly int[] s_widths = [60, 80, 120];

    public static IEnumerable<object[]> Commands() =>
        s_commands.SelectMany(static command => s_widths.Select(width => new object[] { command, width }));

    private static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", name);

    private static string[] Arguments(string command, string host) =>
        [.. command.Split(' ').Select(word => word == "HOST" ? PathOf(host) : word == "BARS" ? PathOf("kvm/bar32.lspci") : word)];

    [TestMethod]
    [DynamicData(nameof(Commands))]
    public void Every_line_has_room_in_the_columns_there_are_and_no_figure_is_lost(string command, int width)
    {
        foreach (string host in s_hosts)
        {
            CommandRun narrow = CommandRun.InColumns(width, Arguments(command, host));
            CommandRun wide = CommandRun.Of(Arguments(command, host));

            string told = $"{command}, {host}\n{narrow.Output}{narrow.Errors}";
            Assert.AreEqual(wide.Status, narrow.Status, told);
            Assert.IsTrue(narrow.Status != 2 || command.Contains("dom0", StringComparison.Ordinal), told);
            // A word that is longer than a line, such as a path, stands on a line of its own, and what is to be copied is not broken.
            string[] over = [.. narrow.Output.Split('\n')
                .Where(line => line.Length > width && line.Trim().Contains(' ', StringComparison.Ordinal)
                    && !line.Contains("fixtures", StringComparison.Ordinal) && !IsToCopy(line))];
            Assert.IsEmpty(over, $"{told}\n{string.Join('\n', over)}");
            string[] lost = [.. Numbers().Matches(wide.Output).Select(static number => number.Value)
                .Except(Numbers().Matches(narrow.Output).Select(static number => number.Value))];
            Assert.IsEmpty(lost, $"{told}\n{string.Join(' ', lost)}");
        }
    }

    public static IEnumerable<object[]> Verbs() =>
        Program.VerbNames.Prepend("").SelectMany(static verb => s_widths.Skip(1).Select(width => new object[] { verb, width }));

    private static bool IsToCopy(string line) => line.StartsWith("    GRUB_CMDLINE_LINUX=", StringComparison.Ordinal)
        || line.StartsWith("  <qemu:commandline ", StringComparison.Ordinal);

    [TestMethod]
    [DynamicData(nameof(Verbs))]
    public void No_line_of_the_help_is_longer_than_the_terminal_and_no_word_is_lost(string verb, int width)
    {
        string[] arguments = [.. verb.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"];
        CommandRun narrow = CommandRun.InColumns(width, arguments);
        CommandRun wide = CommandRun.Of(arguments);

        Assert.AreEqual(0, narrow.Status);
        string[] over = [.. narrow.Output.Split('\n').Select(static line => line.TrimEnd('\r')).Where(line => line.TrimEnd().Length > width)];
        Assert.IsEmpty(over, string.Join('\n', over));
        Assert.AreEqual(Words(wide.Output), Words(narrow.Output));

        static string Words(string text) => string.Join(' ', text.Split((char[])[' ', '\n', '\r'], StringSplitOptions.RemoveEmptyEntries)
            .Where(static word => word != "\\").Order(StringComparer.Ordinal));
    }

    [TestMethod]
    [DataRow("reserve --host HOST --start 512M", 60)]
    [DataRow("reserve --host HOST --start 512M", 80)]
    [DataRow("plan --host HOST --memory 3G --e820-host", 60)]
    [DataRow("plan --host HOST --memory 3G --e820-host", 80)]
    [DataRow("boot --host HOST --memory 3G --e820-host", 60)]
    [DataRow("boot --host HOST --memory 3G --e820-host", 80)]
    public void No_label_of_a_drawing_is_broken(string command, int width)
    {
        string[] lines = CommandRun.InColumns(width, Arguments(command, "golden/seed8g.log")).Output.Split('\n');

        string[] drawn = [.. lines.SkipWhile(static line => !line.Contains("██", StringComparison.Ordinal)).TakeWhile(static line => line.Length > 0)];
        Assert.IsGreaterThan(10, drawn.Length);
        Assert.IsTrue(drawn.All(line => line.Length <= width));
        Assert.IsTrue(drawn[..^1].All(static line => line.Any(static letter => "█▒▓░·~".Contains(letter, StringComparison.Ordinal))), string.Join('\n', drawn));
    }

    [GeneratedRegex("0x[0-9a-f]+|[0-9]+(?:,[0-9]{3})*", RegexOptions.NonBacktracking)]
    private static partial Regex Numbers();
}
