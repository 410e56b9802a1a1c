// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Cli.Terminal;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Options that do not go together, and output that goes nowhere: said, never passed over.</summary>
[TestClass]
public sealed class UsageTests
{
    [TestMethod]
    public void Host_and_guest_from_standard_input_are_refused_before_either_is_read() => Assert.Contains(
        "standard input can be read once only",
        CommandRun.WithInput(System.IO.File.ReadAllBytes(CommandRun.Golden("seed8g.log")), "plan", "--host", "-", "--guest", "-").Errors);

    [TestMethod]
    public void An_unknown_verb_is_named_and_the_known_ones_listed()
    {
        CommandRun run = CommandRun.Of("shwo");

        Assert.AreEqual(2, run.Status);
        Assert.StartsWith("keyhole: \"shwo\" is not a verb; take one of show plan boot ", run.Errors);
    }

    /// <summary>A verb that is called is built without the others.</summary>
    [TestMethod]
    public void A_verb_is_the_same_alone_and_among_the_others()
    {
        using var console = new CommandConsole(StreamWriter.Null, TextWriter.Null, static () => Stream.Null, hasColours: false);
        foreach (Command verb in Program.BuildRoot(console).Subcommands)
        {
            Command alone = Program.BuildRoot(console, verb.Name).Subcommands.Single();

            Assert.AreEqual(verb.Name, alone.Name);
            CollectionAssert.AreEqual(verb.Options.Select(static option => option.Name).ToArray(),
                alone.Options.Select(static option => option.Name).ToArray());
        }
    }

    [TestMethod]
    [DataRow("show", "--to", "lines")]
    [DataRow("plan", "--emit", "xl")]
    public void Json_is_alone_on_standard_output_or_refused(string verb, string option, string value)
    {
        CommandRun run = CommandRun.Of(verb, "--host", CommandRun.Golden("plain4g.log"), option, value, "--json");

        Assert.AreEqual(2, run.Status);
        Assert.IsEmpty(run.Output);
        Assert.Contains($"--json and {option}", run.Errors);
    }

    [TestMethod]
    [DataRow("boot", "--memory", "512")]
    [DataRow("boot", "--guest", "guest.cfg")]
    [DataRow("boot", "--bar", "febc0000-febe0000")]
    [DataRow("verify", "--pci", "00:03.0")]
    [DataRow("boot", "--type", "hvm")]
    [DataRow("boot", "--bits", "32")]
    [DataRow("boot", "--policy", "punch")]
    [DataRow("verify", "--hole", "40000000")]
    public void A_guests_option_is_refused_beside_dom0(string verb, string option, string value)
    {
        CommandRun run = CommandRun.Of(verb, "--host", CommandRun.Golden("plain4g.log"), "--dom0", option, value);

        Assert.AreEqual(2, run.Status);
        Assert.IsEmpty(run.Output);
        Assert.StartsWith($"keyhole: {option}: ", run.Errors);
    }

    [TestMethod]
    [DataRow("memory=4096\n", 1024UL << 10)]
    [DataRow("memory=2048\nmaxmem=4096\n", 4096UL << 10)]
    public void Memory_against_a_file_leaves_it_the_maxmem_that_it_has(string file, ulong maxmemKiB)
    {
        CommandRun run = CommandRun.WithInput(
            Encoding.ASCII.GetBytes("name=\"a\"\ntype=\"pv\"\n" + file),
            "plan", "--host", CommandRun.Golden("plain4g.log"), "--guest", "-", "--memory", "1024", "--json");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.AreEqual(maxmemKiB, run.Json().GetProperty("guest").GetProperty("maxmemKiB").GetUInt64());
    }

    [TestMethod]
    [DataRow(4)]
    [DataRow(1 << 20)]
    public void Output_that_cannot_be_written_is_one_line_and_no_success(int bufferSize)
    {
        using var errors = new StringWriter();
        using var output = new StreamWriter(new FullDisk(), new UTF8Encoding(false), bufferSize, leaveOpen: true);
        using var console = new CommandConsole(output, errors, () => Stream.Null, hasColours: false);

        int status = Program.Run(["show", "--host", CommandRun.Golden("plain4g.log"), "--json"], console);

        Assert.AreEqual(2, status);
        Assert.Contains("keyhole: standard output: No space left on device", errors.ToString());
    }

    [TestMethod]
    public void Output_to_a_closed_stream_is_one_line_and_no_success()
    {
        using var errors = new StringWriter();
        using var output = new StreamWriter(new Closed(), new UTF8Encoding(false), leaveOpen: true);
        using var console = new CommandConsole(output, errors, () => Stream.Null, hasColours: false);

        int status = Program.Run(["show", "--host", CommandRun.Golden("plain4g.log"), "--json"], console);

        Assert.AreEqual(2, status);
        Assert.Contains("keyhole: standard output: it is closed; send it where it can be read", errors.ToString());
    }

    [TestMethod]
    public void Errors_that_nobody_can_read_stop_nothing()
    {
        using var errors = new StreamWriter(new ErrorStream(new Closed())) { AutoFlush = true };
        using var output = new MemoryStream();
        int status;
        using (var console = new CommandConsole(new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true), errors, () => Stream.Null,
            hasColours: false))
            status = Program.Run(["show", "--host", CommandRun.Golden("plain4g.log"), "--json"], console);

        Assert.AreEqual(0, status);
        Assert.IsGreaterThan(0, output.Length);
    }

    [TestMethod]
    [DataRow("plan", "--host", "-", "--guest", "-")]
    [DataRow("plan", "--host", "-", "--memory", "64", "--devices", "-")]
    [DataRow("compare", "--host", "-", "--memory", "512", "--migrate-to", "-")]
    [DataRow("reserve", "--host", "-", "--start", "512M", "--check", "--iomem", "-")]
    [DataRow("fleet", "-", "-")]
    [DataRow("fleet", "-", "--guest", "-")]
    public void Standard_input_is_read_once(params string[] args)
    {
        // What the first reader takes for what it wants, whichever that is.
        foreach (string input in (string[])["0 80000000 1\n", "memory=512\n", "00:02.0 VGA compatible controller: x\n"])
        {
            CommandRun run = CommandRun.WithInput(Encoding.ASCII.GetBytes(input), args);

            Assert.AreEqual(2, run.Status);
            if (run.Errors.Contains("keyhole: -: standard input can be read once only; give - once", StringComparison.Ordinal))
                return;
        }

        Assert.Fail("no input led to the second reader");
    }

    [TestMethod]
    [DataRow("--from", "xen")]
    [DataRow("--map", "2")]
    public void How_to_read_a_source_goes_with_a_source(string option, string value)
    {
        CommandRun run = CommandRun.Of("plan", "--memory", "512", option, value);

        Assert.AreEqual(2, run.Status);
        Assert.StartsWith($"keyhole: {option}: this says how to read a source, and none is named", run.Errors);
    }

    [TestMethod]
    [DataRow("pvh", "outcome: boots")]
    [DataRow("hvm", "firmware: hvmloader 4.17: boots")]
    public void The_boot_of_a_guest_whose_map_Xen_makes_is_its_plan(string type, string verdict)
    {
        CommandRun run = CommandRun.Of("boot", "--host", CommandRun.Golden("plain4g.log"), "--memory", "512", "--type", type);

        Assert.AreEqual(0, run.Status);
        Assert.Contains(verdict, run.Output);
        Assert.Contains("0xfc000000", run.Output);
    }

    [TestMethod]
    [DataRow("no verb is given; take one of show plan boot ", "")]
    [DataRow("--host: it is given 2 times; give it once; see keyhole plan --help", "plan", "--host", "a", "--host", "b")]
    [DataRow("--memory: it is given 2 times; give it once", "plan", "--memory", "1", "--memory", "2")]
    [DataRow("--memory: nothing follows it; give SIZE", "plan", "--memory")]
    [DataRow("\"yes\" is nothing that plan takes; see keyhole plan --help", "plan", "--memory", "512", "--json=yes")]
    [DataRow("\"a?b\" is nothing that plan takes", "plan", "a\nb")]
    [DataRow("--seed: \"x\" is not a number that fits", "fleet", "--seed", "x")]
    [DataRow("--maxmem: 10 MiB is below --memory (100 MiB)", "fleet", "x", "--memory", "100", "--maxmem", "10")]
    [DataRow("--mem-set: \"0\" is not a size that fits; give 1M to 4096T; a bare number is MiB", "boot", "--memory", "100", "--mem-set", "0")]
    [DataRow("--pci: 0000:00:02.0 is there already; give each device once", "plan", "--memory", "100", "--pci", "00:02.0", "--pci", "0000:00:02.0")]
    [DataRow("--emit: \"xml\" is not a toolstack", "plan", "--memory", "100", "--emit", "xml")]
    [DataRow("completion: \"tcsh\" is not a shell that it is made for; take one of bash zsh fish", "completion", "tcsh")]
    [DataRow("--to: \"nope\" is not a dialect", "show", "--to", "nope")]
    [DataRow("--output: there is nothing to write without --to", "show", "--output", "x")]
    public void Bad_usage_says_what_where_and_the_remedy(string words, params string[] args)
    {
        CommandRun run = CommandRun.Of(args is [""] ? [] : args);

        Assert.AreEqual(2, run.Status);
        Assert.IsEmpty(run.Output);
        Assert.StartsWith($"keyhole: {words}", run.Errors);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n'));
        Assert.DoesNotContain("System.", run.Errors);
    }

    [TestMethod]
    [DataRow("keyhole pl", "plan\tPlan the memory map")]
    [DataRow("./keyhole plan --policy pu", "punch\t")]
    [DataRow("keyhole completion f", "fish\t")]
    [DataRow("keyhole plan --denie", "--denied\t")]
    [DataRow("keyhole plan --type h", "hvm\t")]
    [DataRow("keyhole plan --firmware s", "seabios\t")]
    [DataRow("keyhole compare --machine q", "q35\t")]
    [DataRow("keyhole boot --bits 6", "64\t")]
    [DataRow("keyhole verify --dom0 --hos", "--host\t")]
    [DataRow("keyhole plan --json --pol", "--policy\t")]
    [DataRow("keyhole install guest.cfg --undo --dr", "--dry-run\t")]
    [DataRow("keyhole capture --anonymise --out", "--output\t")]
    public void Shells_are_told_what_fits_and_what_it_is(string line, string first)
    {
        CommandRun run = CommandRun.Of($"[describe:{line.Length}]", line);

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.StartsWith(first, run.Output);
        Assert.HasCount(1, run.Output.TrimEnd('\n').Split('\n'));
    }

    [TestMethod]
    public void The_completion_of_no_verb_is_every_verb_and_nothing_of_Windows()
    {
        string[] names = [.. CommandRun.Of("[describe:8]", "keyhole ").Output.TrimEnd('\n').Split('\n').Select(static line => line.Split('\t')[0])];

        CollectionAssert.IsSubsetOf((string[])["show", "plan", "boot", "verify", "--help"], names);
        CollectionAssert.DoesNotContain(names, "/?");
    }

    [TestMethod]
    [DataRow("", "_keyhole keyhole ./keyhole")]
    [DataRow("bash", "_keyhole keyhole ./keyhole")]
    [DataRow("zsh", "#compdef keyhole")]
    [DataRow("fish", "complete -c keyhole")]
    public void Completion_is_printed_for_three_shells_and_for_bash_without_a_name(string shell, string words)
    {
        CommandRun run = shell.Length > 0 ? CommandRun.Of("completion", shell) : CommandRun.Of("completion");

        Assert.AreEqual(0, run.Status);
        Assert.Contains(words, run.Output);
    }

    [TestMethod]
    [DataRow("", "\"\": this is not a valid file name; name a file that can be written")]
    [DataRow("/nowhere/x", "/nowhere/x: there is no such folder; name a file that can be written")]
    [DataRow("/", "/: this is a folder; name a file that can be written")]
    public void An_output_that_cannot_be_written_is_one_line(string path, string words)
    {
        CommandRun run = CommandRun.Of("show", "--host", CommandRun.Golden("plain4g.log"), "--to", "lines", "--output", path);

        Assert.AreEqual(2, run.Status);
        Assert.Contains($"keyhole: {words}", run.Errors);
    }

    [TestMethod]
    public void A_dash_is_standard_output_for_the_answer_and_nothing_for_the_picture_beside_it()
    {
        CommandRun lines = CommandRun.Of("show", "--host", CommandRun.Golden("plain4g.log"), "--to", "lines", "--output", "-");
        CommandRun picture = CommandRun.Of("show", "--host", CommandRun.Golden("plain4g.log"), "--svg", "-");

        Assert.AreEqual(CommandRun.Of("show", "--host", CommandRun.Golden("plain4g.log"), "--to", "lines").Output, lines.Output);
        Assert.AreEqual(2, picture.Status);
        Assert.Contains("keyhole: -: standard output has the answer in words", picture.Errors);
    }

    [TestMethod]
    [DataRow(20)]
    [DataRow(80)]
    public void A_narrow_terminal_gets_whole_numbers_in_whole_tables(int width)
    {
        string plan = On(width, "plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host");
        string compare = On(width, "compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--bar", "febc0000-febe0000",
            "--migrate-to", CommandRun.Golden("hole1g.log"));

        // Without room for columns each row's cells stand below each other.
        Assert.Contains(width < 60 ? "start: 0x20000000\n  end: 0x20200000\n" : "0x20000000    0x20200000", plan);
        Assert.IsTrue(plan.Split('\n').Where(static line => line.StartsWith('─')).All(static line => line.TrimEnd().Length <= 80));
        Assert.Contains("1,313,307", compare);
        Assert.Contains("guest-merge", compare);
    }

    private static string On(int width, params string[] args)
    {
        using var output = new MemoryStream();
        using (var console = new CommandConsole(new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true), TextWriter.Null,
            () => Stream.Null, hasColours: false) { Width = width })
            Program.Run(args, console);
        return Encoding.UTF8.GetString(output.ToArray());
    }

    private sealed class Closed : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new UnauthorizedAccessException("Access to the path is denied.");

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
    }

    private sealed class FullDisk : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("No space left on device");

        public override void Write(byte[] buffer, int offset, int count) => throw new IOException("No space left on device");
    }

    [TestMethod]
    public void A_defect_is_one_line_that_says_what_to_send_and_status_70()
    {
        CommandRun run = CommandRun.InDom0(new() { OpenXen = static () => throw new InvalidOperationException("first\nsecond") }, "inspect", "g1");

        Assert.AreEqual(70, run.Status);
        Assert.StartsWith("keyhole: a defect in Keyhole (InvalidOperationException: first?second at ", run.Errors);
        Assert.EndsWith("; report it with this line, the command and its input", run.Errors.TrimEnd());
        Assert.AreEqual(1, run.Errors.TrimEnd().Split('\n').Length);
    }

    [TestMethod]
    [DataRow("[suggest:3]", "[suggest:3]")]
    [DataRow("[suggest:99999999999999999999]")]
    [DataRow("[x]", "[y]")]
    public void A_directive_that_is_none_is_bad_usage(params string[] args)
    {
        CommandRun run = CommandRun.Of(args);

        Assert.AreEqual(2, run.Status, run.Errors);
        Assert.AreEqual(1, run.Errors.TrimEnd().Split('\n').Length);
    }

    [TestMethod]
    public void A_word_that_begins_with_an_at_sign_is_not_a_file_of_further_words()
    {
        string file = Path.GetTempFileName();
        File.WriteAllText(file, "--version");

        CommandRun run = CommandRun.Of($"@{file}");

        Assert.AreEqual(2, run.Status);
        Assert.Contains("is not a verb", run.Errors);
        File.Delete(file);
    }

    [TestMethod]
    [DataRow("boot")]
    [DataRow("compare")]
    public void A_kernels_release_may_be_written_like_the_names_of_the_others(string verb)
    {
        CommandRun run = CommandRun.Of(verb, "--host", CommandRun.Golden("seed8g.log"), "--memory", "1024", "--e820-host", "--kernel", "linux-5.15");

        Assert.AreNotEqual(2, run.Status, run.Errors);
    }

    [TestMethod]
    [DataRow("3G")]
    [DataRow("3072M")]
    [DataRow("3GiB")]
    [DataRow("3072mib")]
    [DataRow("3145728K")]
    [DataRow("0xc0000000")]
    [DataRow("3072")]
    public void A_size_is_told_in_any_unit_and_a_bare_number_is_MiB(string size)
    {
        string host = CommandRun.Golden("seed8g.log");

        CommandRun run = CommandRun.Of("plan", "--host", host, "--memory", size, "--maxmem", "4G", "--json");

        Assert.AreEqual(3145728, run.Json().GetProperty("guest").GetProperty("memoryKiB").GetInt32(), run.Errors);
        Assert.AreEqual(4194304, run.Json().GetProperty("guest").GetProperty("maxmemKiB").GetInt32());
    }

    [TestMethod]
    [DataRow("3X", "is not a size")]
    [DataRow("3GB", "has a unit that is not understood: K, M, G and T are, and KiB to TiB, all of 1024")]
    [DataRow("1.5G", "has a fraction, and sizes are whole numbers; write 1536M")]
    [DataRow("65T", "is not a size that fits")]
    [DataRow("4K", "is not a size that fits")]
    [DataRow("1025K", "is not a whole number of pages")]
    public void What_is_not_a_size_is_refused(string size, string because)
    {
        CommandRun run = CommandRun.Of("plan", "--memory", size);

        Assert.AreEqual(2, run.Status);
        Assert.Contains($"--memory: \"{size}\" {because}", run.Errors);
    }

    [TestMethod]
    [DataRow("start", "g.cfg", "--guest", "g.cfg")]
    [DataRow("probe", "g.cfg", "--guest", "g.cfg", "--image", "/dev/null")]
    public void A_guests_file_is_named_in_one_way(params string[] command)
    {
        CommandRun run = CommandRun.Of(command);

        Assert.AreEqual(2, run.Status);
        Assert.Contains("the guest's file is named twice", run.Errors);
    }
}
