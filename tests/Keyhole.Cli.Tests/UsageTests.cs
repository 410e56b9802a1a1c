// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Options that do not go together, and output that goes nowhere: said, never passed over.</summary>
[TestClass]
public sealed class UsageTests
{
    [TestMethod]
    public void An_unknown_verb_is_named_and_the_known_ones_listed()
    {
        CommandRun run = CommandRun.Of("shwo");

        Assert.AreEqual(2, run.Status);
        Assert.StartsWith("keyhole: \"shwo\" is no verb; take one of show plan boot ", run.Errors);
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

    private sealed class FullDisk : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer) => throw new IOException("No space left on device");

        public override void Write(byte[] buffer, int offset, int count) => throw new IOException("No space left on device");
    }
}
