// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Keyhole.Cli.Terminal;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What standard error shows to who watches it: what is being done, gone without a trace before the answer, and lines that fit.</summary>
[TestClass]
public sealed class ProgressTests
{
    private const string Erase = "\r\e[K";

    /// <summary>What stands there in the end, as on a terminal.</summary>
    private static string Seen(string written) =>
        string.Join('\n', written.Split('\n').Select(static line => line[(line.LastIndexOf(Erase, StringComparison.Ordinal) is var at and >= 0
            ? at + Erase.Length : 0)..]));

    private static (string Output, string Errors) Run(string[] args, bool isWatched, int columns = 80, Stream? input = null)
    {
        using var output = new MemoryStream();
        using var errors = new StringWriter();
        using (var console = new CommandConsole(new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true), errors,
            () => input ?? Stream.Null, hasColours: false)
        {
            IsErrorWatched = isWatched, IsOutputWatched = isWatched, ProgressDelay = TimeSpan.Zero, ErrorWidth = columns, Width = columns,
        })
            Program.Run(args, console);
        return (Encoding.UTF8.GetString(output.ToArray()), errors.ToString());
    }

    [TestMethod]
    public void A_long_read_is_told_and_leaves_no_trace()
    {
        byte[] log = File.ReadAllBytes(CommandRun.Golden("plain4g.log"));

        (string output, string errors) = Run(["show", "--host", "-", "--json"], isWatched: true, input: new SlowStream(log));

        Assert.Contains("read 0 B: standard input…", errors);
        Assert.DoesNotContain("read", Seen(errors));
        Assert.StartsWith("{", output);
        Assert.EndsWith("}\n", output);
        Assert.AreEqual(output, Run(["show", "--host", "-", "--json"], isWatched: false, input: new MemoryStream(log)).Output);
    }

    /// <summary>A packed map is bytes: control characters for a terminal.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_packed_map_goes_to_no_terminal(bool isWatched)
    {
        (string output, string errors) = Run(["show", "--host", CommandRun.Golden("plain4g.log"), "--to", "packed"], isWatched);

        Assert.AreEqual(isWatched, output.Length == 0);
        Assert.AreEqual(isWatched, errors.Contains("its bytes are none for a terminal", StringComparison.Ordinal), errors);
    }

    [TestMethod]
    public void Nothing_of_it_is_written_where_nobody_watches()
    {
        byte[] log = File.ReadAllBytes(CommandRun.Golden("plain4g.log"));

        Assert.DoesNotContain("\r", Run(["show", "--host", "-"], isWatched: false, input: new SlowStream(log)).Errors);
    }

    [TestMethod]
    public void A_line_that_comes_between_stands_alone()
    {
        using var errors = new StringWriter();
        using (var progress = new Progress(errors, isWatched: true, TimeSpan.Zero))
        {
            progress.Tell(static () => "a\u001b[31m\nb");
            SpinWait.SpinUntil(() => Written(progress, errors).Contains('…', StringComparison.Ordinal), TimeSpan.FromSeconds(20));
            progress.Write(static to => to.WriteLine("note"));
        }

        Assert.AreEqual("note\n", Seen(errors.ToString()));
        Assert.DoesNotContain("\u001b[31m", errors.ToString());
    }

    /// <summary>An error stays one line for scripts; what people read is broken between words, as answers are.</summary>
    [TestMethod]
    public void Lines_on_standard_error_fit()
    {
        string[] error = ["plan", "--host", "/no/such/file", "--memory", "1G", "--maxmem", "512M", "--bar", "5000-4000", "--policy", "nonsense"];
        string[] remark = ["show", "--host", "-"];
        byte[] cut = Encoding.ASCII.GetBytes("BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n");

        Assert.HasCount(1, Run(error, isWatched: false).Errors.TrimEnd().Split('\n'));
        foreach (string errors in new[] { Run(error, isWatched: true).Errors, Run(remark, isWatched: true, input: new MemoryStream(cut)).Errors,
            Run(remark, isWatched: false, input: new MemoryStream(cut)).Errors })
        {
            string[] lines = Seen(errors).TrimEnd().Split('\n');
            Assert.IsGreaterThan(1, lines.Length, errors);
            foreach (string line in lines)
                Assert.IsLessThanOrEqualTo(80, line.Length, errors);
        }
    }

    private static string Written(Progress progress, StringWriter errors)
    {
        string text = "";
        // The writer is no thread's own: it is read under the same lock.
        progress.Write(_ => text = errors.ToString());
        return text;
    }

    /// <summary>A pipe whose writer takes its time.</summary>
    private sealed class SlowStream(byte[] content) : MemoryStream(content)
    {
        public override int Read(Span<byte> buffer)
        {
            if (Position == 0)
                Task.Delay(500).Wait();
            return base.Read(buffer);
        }
    }
}
