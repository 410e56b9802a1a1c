// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Linq;
using Keyhole.Cli.Terminal;

namespace Keyhole.Cli.Help;

/// <summary>
/// <c>[describe:POSITION] "LINE"</c>: what fits at a place in a command line, each with a tab and what it is, for shells that show that. The
/// library's own [suggest] tells the names alone, and among them some that only Windows has.
/// </summary>
internal static class CompletionDirective
{
    public static Directive Build(RootCommand root, CommandConsole console)
    {
        var directive = new Directive("describe");
        directive.Action = new Describe(directive, root, console);
        return directive;
    }

    /// <summary>Whether a line to complete was given: what stands in it is no usage of ours.</summary>
    public static bool IsOne(CommandLineAction? action) => action is Describe;

    private sealed class Describe(Directive directive, RootCommand root, CommandConsole console) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            string line = parseResult.Tokens.LastOrDefault(static token => token.Type != TokenType.Directive)?.Value ?? "";
            string typed = parseResult.GetResult(directive)?.Values is [var value, ..] ? value : "";
            int position = int.TryParse(typed, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? Math.Min(number, line.Length)
                : line.Length;
            string word = line[(line.LastIndexOf(' ', Math.Max(position - 1, 0)) + 1)..position];
            foreach (Option option in root.Subcommands.SelectMany(static verb => verb.Options))
            {
                AddChoices(option);
                // A flag may be given "true" or "false"; nobody does, and what follows it is the next word.
                if (option.ValueType == typeof(bool))
                    option.Arity = ArgumentArity.Zero;
            }

            foreach (CompletionItem item in root.Parse(line).GetCompletions(position))
            {
                if (item.Label.StartsWith(word, StringComparison.Ordinal) && item.Label is not ("-?" or "/?" or "/h"))
                    console.Out.WriteLine($"{item.Label}\t{item.Detail?.Split('\n')[0].Trim()}");
            }

            return ExitStatus.Yes;
        }

        /// <summary>What the help lists as an option's values ("pv|pvh|hvm|kvm", "seabios[-1.16.3]|…") is what fits there.</summary>
        private static void AddChoices(Option option)
        {
            if (option.CompletionSources.Count > 0 || option.HelpName is not { } values || !values.Contains('|'))
                return;
            string[] choices =
                [.. values.Split('|').Select(static value => value.Split('[')[0]).Where(static value => value.All(static letter =>
                    char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter)))];
            option.CompletionSources.Add(_ => choices.Select(static choice => new CompletionItem(choice)));
        }
    }
}
