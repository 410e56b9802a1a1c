// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Keyhole.Cli.Terminal;
using Keyhole.Dom0;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>
/// One run of the command line within the test's process. Where the environment names an executable (KEYHOLE_EXECUTABLE), that one runs as well, and
/// has to answer the same byte for byte: how eng/publish's native file is tested.
/// </summary>
internal sealed record CommandRun(int Status, string Output, string Errors)
{
    private static readonly string? s_executable = Environment.GetEnvironmentVariable("KEYHOLE_EXECUTABLE") is { Length: > 0 } path
        ? Path.GetFullPath(path) : null;

    public static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", name);

    public static CommandRun Of(params string[] args) => WithInput([], args);

    public static CommandRun WithInput(byte[] input, params string[] args)
    {
        // No process can be given an argument with a NUL in it.
        if (s_executable is null || args.Any(static arg => arg.Contains('\0')))
            return On(new(), input, args);

        using var made = new MadeFiles(args);
        CommandRun run = On(new(), input, args);
        made.PutAside();
        CommandRun other = ExecutableRun.Of(s_executable, input, args);
        string command = string.Join(' ', args);
        Assert.AreEqual(run.Errors, other.Errors, $"standard error of {s_executable}: {command}");
        Assert.AreEqual(run.Output, other.Output, $"standard output of {s_executable}: {command}");
        Assert.AreEqual(run.Status, other.Status, $"exit status of {s_executable}: {command}");
        made.AssertSame();
        return run;
    }

    /// <summary>A run on a machine of the test's making.</summary>
    public static CommandRun InDom0(LiveMachine dom0, params string[] args) => On(dom0, [], args);

    /// <inheritdoc cref="InDom0"/>
    public static CommandRun InDom0In80Columns(LiveMachine dom0, params string[] args) => On(dom0, [], args, width: 80);

    /// <summary>A run as for a terminal of 80 columns, or for a file.</summary>
    public static CommandRun In80Columns(params string[] args) => In80Columns([], args);

    /// <summary>A run as for a terminal of so many columns.</summary>
    public static CommandRun InColumns(int width, params string[] args) => On(new(), [], args, width);

    /// <inheritdoc cref="In80Columns(string[])"/>
    public static CommandRun In80Columns(byte[] input, string[] args) => On(new(), input, args, width: 80);

    private static CommandRun On(LiveMachine dom0, byte[] input, string[] args, int width = 4096)
    {
        using var output = new BoundedOutput();
        using var errors = new StringWriter();
        int status;
        using (var console = new CommandConsole(new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true), errors,
            () => new MemoryStream(input), hasColours: false) { Dom0 = dom0, Width = width })
            status = Program.Run(args, console);
        return new(status, Encoding.UTF8.GetString(output.ToArray()), errors.ToString());
    }

    /// <summary>No answer is so long that nobody can have wanted it.</summary>
    private sealed class BoundedOutput : MemoryStream
    {
        private const int MostBytes = 64 << 20;

        public override void Write(byte[] buffer, int offset, int count)
        {
            if (Length > MostBytes)
                throw new InvalidOperationException("an answer of more than 64 MiB");
            base.Write(buffer, offset, count);
        }
    }

    /// <summary>The one JSON document on standard output.</summary>
    public JsonElement Json()
    {
        using JsonDocument document = JsonDocument.Parse(Output);
        return document.RootElement.Clone();
    }
}
