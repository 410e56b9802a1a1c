// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Logs of guests with devices, and one thing changed in them.</summary>
internal static class DeviceInputs
{
    /// <summary>A fixture's text.</summary>
    public static string TextOf(params string[] parts) => File.ReadAllText(RulePair.Fixture(parts));

    /// <summary>A text with each first of two strings, which it must have, replaced by the second.</summary>
    public static string Changed(string text, params string[] changes)
    {
        for (int i = 0; i < changes.Length; i += 2)
        {
            Assert.Contains(changes[i], text);
            text = text.Replace(changes[i], changes[i + 1], StringComparison.Ordinal);
        }

        return text;
    }

    /// <summary>A text without the lines that have one of these words.</summary>
    public static string Without(string text, params string[] words)
    {
        foreach (string word in words)
            Assert.Contains(word, text);
        return string.Join('\n', text.Split('\n').Where(line => !words.Any(word => line.Contains(word, StringComparison.Ordinal))));
    }

    /// <summary>The lines of a text, from the first to the last of two numbers.</summary>
    public static string Lines(string text, int from, int to) => string.Join('\n', text.Split('\n')[(from - 1)..to]) + "\n";

    /// <summary>The log of a guest that boots as is forecast.</summary>
    public static string LogOf(string release, params string[] boot)
    {
        using var answer = JsonDocument.Parse(CommandRun.Of([.. boot, "--json"]).Output);
        return string.Concat(answer.RootElement.GetProperty("log").EnumerateArray().Select(static line => $"[    0.000000] {line.GetString()}\n"))
            .Insert(0, $"[    0.000000] Linux version {release} (x@y) (gcc) #1 SMP\n");
    }

    public static CommandRun Run(string log, params string[] options) => CommandRun.WithInput(Encoding.UTF8.GetBytes(log), options);

    /// <summary>A guest's log beside what was told of it.</summary>
    public static CommandRun Verify(string log, params string[] options) => Run(log, ["verify", "--dmesg", "-", .. options]);

    /// <summary>The log of a dom0, which has its host's map.</summary>
    public static CommandRun VerifyDom0(string log, params string[] options) => Run(log, ["verify", "--dom0", "--host", "-", .. options]);

    /// <summary>The log of a guest of QEMU's.</summary>
    /// <param name="name">Of a guest in the fixtures kvm/verify: its command line.</param>
    public static CommandRun VerifyKvm(string name, string log, params string[] options) =>
        Verify(log, ["--guest", RulePair.Fixture("kvm", "verify", $"{name}.cmd"), "--qemu", "7.2", .. options]);
}
