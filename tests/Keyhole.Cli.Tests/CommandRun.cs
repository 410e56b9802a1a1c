// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using System.Text.Json;

namespace Keyhole.Cli.Tests;

/// <summary>One run of the command line within the test's process.</summary>
internal sealed record CommandRun(int Status, string Output, string Errors)
{
    public static string Golden(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", name);

    public static CommandRun Of(params string[] args) => WithInput([], args);

    public static CommandRun WithInput(byte[] input, params string[] args) => On(new(), input, args);

    /// <summary>A run on a machine of the test's making.</summary>
    public static CommandRun InDom0(Dom0 dom0, params string[] args) => On(dom0, [], args);

    private static CommandRun On(Dom0 dom0, byte[] input, string[] args)
    {
        using var output = new MemoryStream();
        using var errors = new StringWriter();
        int status;
        using (var console = new CommandConsole(new StreamWriter(output, new UTF8Encoding(false), leaveOpen: true), errors, () => new MemoryStream(input), hasColours: false) { Dom0 = dom0 })
            status = Program.Run(args, console);
        return new(status, Encoding.UTF8.GetString(output.ToArray()), errors.ToString());
    }

    /// <summary>The one JSON document on standard output.</summary>
    public JsonElement Json()
    {
        using JsonDocument document = JsonDocument.Parse(Output);
        return document.RootElement.Clone();
    }
}
