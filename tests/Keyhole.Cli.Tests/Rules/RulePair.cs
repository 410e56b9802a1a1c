// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using Keyhole.Diagnostics;
using Keyhole.ReservedRam;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>
/// Two runs of the command line that differ in one thing: in the first a rule speaks, in the second, where what it needs is not proven, it must
/// stay silent. A rule is the code of a problem (<c>"hole-covered"</c>), looked for in the JSON answer, or a sentence as it is printed.
/// </summary>
internal sealed class RulePair
{
    private readonly Lazy<string> _said;
    private readonly Lazy<string> _silent;

    private RulePair(string rule, string unless, Func<CommandRun> said, Func<CommandRun> silent, string file, int line)
    {
        (Rule, Unless, Place) = (rule, unless, $"{Path.GetFileName(file)}:{line}");
        _said = new(() => Flat(said()));
        _silent = new(() => Flat(silent()));
    }

    /// <summary>The code or the sentence.</summary>
    public string Rule { get; }

    /// <summary>What is otherwise in the second run, in words: "the guest has no device".</summary>
    public string Unless { get; }

    /// <summary>File and line of the pair.</summary>
    public string Place { get; }

    /// <summary>The answer in which the rule speaks, in one line.</summary>
    public string Said => _said.Value;

    /// <summary>The answer in which it must not.</summary>
    public string Silent => _silent.Value;

    /// <summary>The codes of all problems.</summary>
    public static ImmutableArray<string> Codes { get; } = [.. new[] { typeof(ProblemCodes), typeof(ReserveProblemCodes) }
        .SelectMany(static type => type.GetFields(BindingFlags.Public | BindingFlags.Static))
        .Select(static field => (string)field.GetRawConstantValue()!)];

    /// <summary>Whether the rule is in an answer.</summary>
    public bool IsIn(string answer) => answer.Contains(Codes.Contains(Rule) ? $"\"code\": \"{Rule}\"" : Rule, StringComparison.Ordinal);

    public static RulePair Of(string rule, string unless, Func<CommandRun> said, Func<CommandRun> silent, [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) => new(rule, unless, said, silent, file, line);

    /// <summary>In one line: where it is broken does not matter.</summary>
    public static string Flat(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    public static string Fixture(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    /// <summary>A file of a test's making.</summary>
    public static string Written(string name, string text)
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("keyhole-rules-").FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    public override string ToString() => $"{Rule}, unless {Unless} ({Place})";

    private static string Flat(CommandRun run) => Flat(run.Output + run.Errors);
}
