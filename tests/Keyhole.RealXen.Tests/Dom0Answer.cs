// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Text.Json;
using Keyhole.RealMachine;

namespace Keyhole.RealXen.Tests;

/// <summary>What a command in dom0 said, and its exit status.</summary>
internal sealed record Dom0Answer(string Output, int Status)
{
    /// <summary>The answer of a run's step of that name.</summary>
    public static Dom0Answer Of(XenRun run, string name)
    {
        string begin = $"=== RUN {name}\n";
        int at = run.Answers.IndexOf(begin, StringComparison.Ordinal);
        if (at < 0)
            throw new HarnessException($"{run.Scenario.Name}: no step {name} in the answers");
        string text = run.Answers[(at + begin.Length)..];
        int end = text.IndexOf("=== STATUS ", StringComparison.Ordinal);
        string status = text[(end + "=== STATUS ".Length)..];
        return new(text[..end], int.Parse(status[..status.IndexOf('\n', StringComparison.Ordinal)], CultureInfo.InvariantCulture));
    }

    /// <summary>The JSON document in the output; messages may stand before and behind it.</summary>
    public JsonElement Json()
    {
        int start = Output.IndexOf("{\n", StringComparison.Ordinal);
        int end = Output.LastIndexOf("\n}", StringComparison.Ordinal);
        using JsonDocument document = JsonDocument.Parse(Output[start..(end + 2)]);
        return document.RootElement.Clone();
    }
}
