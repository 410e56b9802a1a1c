// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;

namespace Keyhole.Cli.Options;

/// <summary><c>--json</c>: one JSON document on standard output.</summary>
internal static class JsonOption
{
    public static Option<bool> Create() => new("--json") { Description = "One JSON document on standard output." };

    /// <summary>Gives an answer, as JSON where that is asked for, else in words.</summary>
    /// <returns>The exit status that the answer makes.</returns>
    public static int Give(this Option<bool> json, ParseResult parsed, CommandConsole console, Answer answer, Action<CommandConsole> words)
    {
        if (parsed.GetValue(json))
            answer.WriteJson(console.OutBytes);
        else
            words(console);
        return ExitStatus.Of(answer);
    }

    /// <summary>Refuses <c>--json</c> beside an option that writes something else on standard output.</summary>
    public static void KeepAlone(Command command, Option json, Option other) => command.Validators.Add(result =>
    {
        if (result.GetResult(json) is not null && result.GetResult(other) is not null)
            result.AddError($"{json.Name} and {other.Name} both want standard output for themselves; give one of them");
    });
}
