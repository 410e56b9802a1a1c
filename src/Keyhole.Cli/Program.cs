// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.IO;
using System.Linq;
using Keyhole.Cli.Help;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Verbs;
using Keyhole.Diagnostics;

namespace Keyhole.Cli;

/// <summary>The command line: <c>keyhole VERB … [--json]</c>.</summary>
internal static class Program
{
    private const int MaxMessageLength = 300;

    /// <summary>How the completion script asks for what fits.</summary>
    private const string Suggest = "[suggest:";

    private static readonly (string Name, Func<CommandConsole, Command> Build)[] s_verbs =
    [
        ("show", ShowVerb.Build),
        ("plan", PlanVerb.Build),
        ("boot", BootVerb.Build),
        ("compare", CompareVerb.Build),
        ("fleet", FleetVerb.Build),
        ("verify", VerifyVerb.Build),
        ("reserve", ReserveVerb.Build),
        ("capture", CaptureVerb.Build),
        ("inspect", InspectVerb.Build),
        ("apply", ApplyVerb.Build),
        ("start", StartVerb.Build),
        ("install", InstallVerb.Build),
        ("probe", ProbeVerb.Build),
        ("completion", CompletionVerb.Build),
    ];

    /// <summary>All verbs, in the order of the help.</summary>
    internal static IEnumerable<string> VerbNames => s_verbs.Select(static verb => verb.Name);

    public static int Main(string[] args)
    {
        using var console = CommandConsole.ForProcess();
        return Run(args, console);
    }

    /// <summary>Runs one command. Every failure is one line on standard error.</summary>
    public static int Run(string[] args, CommandConsole console)
    {
        try
        {
            return RunParsed(args, console);
        }
        catch (Exception exception)
        {
            // Nothing else is between the user and a stack trace.
            string where = (exception.StackTrace ?? "").Split('\n')[0].Trim();
            string what = InputError.OneLine($"{exception.GetType().Name}: {exception.Message} {where}", MaxMessageLength);
            console.Error($"a defect in Keyhole ({what}); report it with this line, the command and its input");
            return ExitStatus.Defect;
        }
    }

    private static int RunParsed(string[] args, CommandConsole console)
    {
        // The parser cannot take a directive twice.
        if (args.Length > 1 && IsDirective(args[0]) && IsDirective(args[1]))
        {
            console.Error($"{InputError.Quote(args[1])} is nothing that may follow {InputError.Quote(args[0])}; see keyhole --help");
            return ExitStatus.BadUsage;
        }

        if (args is [var first, ..] && first.StartsWith(Suggest, StringComparison.Ordinal)
            && !int.TryParse(first.AsSpan(Suggest.Length).TrimEnd(']'), out _))
        {
            console.Error($"{InputError.Quote(first)} has no position that fits; write it as {Suggest}3]");
            return ExitStatus.BadUsage;
        }

        RootCommand root = BuildRoot(console, args.FirstOrDefault());
        // A word that begins with @ is itself, not a file of further words.
        ParseResult parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0 && parsed.Action is not VersionOptionAction && !Examples.IsHelp(parsed.Action)
            && !CompletionDirective.IsOne(parsed.Action))
        {
            string verb = parsed.CommandResult.Command is RootCommand ? "" : $" {parsed.CommandResult.Command.Name}";
            console.Error($"{Describe(parsed)}; see keyhole{verb} --help");
            return ExitStatus.BadUsage;
        }

        try
        {
            int status = parsed.Invoke(new() { Output = console.Out, Error = console.ErrorWriter, EnableDefaultExceptionHandler = false });
            // What is still buffered may meet a full disk: an answer that nobody can read is not given.
            console.Out.Flush();
            return status;
        }
        catch (IOException exception) when (IsBrokenPipe(exception))
        {
            // The reader of our output has seen enough (keyhole … | head).
            return ExitStatus.Yes;
        }
        catch (IOException exception)
        {
            // Files are opened, and their failures told, by the verbs: what is left is standard input and output.
            return console.Fail(InputError.Unwritable("standard output", null, $"{exception.Message.ReplaceLineEndings(" ").TrimEnd('.')}",
                "send it where there is room"));
        }
        catch (UnauthorizedAccessException)
        {
            // What .NET makes of EBADF.
            return console.Fail(InputError.Unwritable("standard output", null, "it is closed", "send it where it can be read"));
        }
    }

    private static bool IsDirective(string arg) => arg is ['[', .., ']'];

    /// <summary>What is wrong with the arguments, in words for people: the parser's own name .NET's types.</summary>
    private static string Describe(ParseResult parsed)
    {
        if (parsed.CommandResult.Command is RootCommand root && parsed.UnmatchedTokens.Count > 0)
            return $"{InputError.Quote(parsed.UnmatchedTokens[0])} is not a verb; take one of {Names(root.Subcommands)}";
        if (parsed.CommandResult.Command is RootCommand { Subcommands: var verbs })
            return $"no verb is given; take one of {Names(verbs)}";
        if (parsed.UnmatchedTokens.Count > 0)
            return $"{InputError.Quote(parsed.UnmatchedTokens[0])} is nothing that {parsed.CommandResult.Command.Name} takes";
        ParseError error = parsed.Errors[0];
        return error.SymbolResult switch
        {
            OptionResult { Tokens: [{ Value: var text }], Option: var option } when IsNumber(option) =>
                $"{option.Name}: {InputError.Quote(text)} is not a number that fits; give a whole one",
            OptionResult { Implicit: false, Tokens.Count: 0, Option: { HelpName: var what } option } =>
                $"{option.Name}: nothing follows it; give {what ?? "its value"}",
            OptionResult { Tokens.Count: > 1 and var count, Option: { Arity.MaximumNumberOfValues: 1 } option } =>
                $"{option.Name}: it is given {count} times; give it once",
            _ => InputError.OneLine(error.Message, MaxMessageLength).TrimEnd('.'),
        };
    }

    private static string Names(IEnumerable<Command> verbs) => string.Join(' ', verbs.Select(static verb => verb.Name));

    private static bool IsNumber(Option option) => (Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType) is { IsPrimitive: true } type
        && type != typeof(bool);

    /// <param name="verb">The verb that is called: when it is one, it is all that is built, for a third of a short command's time goes into the verbs
    /// and their options.</param>
    internal static RootCommand BuildRoot(CommandConsole console, string? verb = null)
    {
        var root = new RootCommand(
            "Tells which physical memory map a guest of Xen or KVM gets, where its devices are in it, whether it boots, "
                + "and which map or setting is better.");
        bool isOne = s_verbs.Any(known => known.Name == verb);
        foreach ((string name, Func<CommandConsole, Command> build) in s_verbs)
        {
            if (!isOne || name == verb)
                root.Subcommands.Add(build(console));
        }

        root.Options.OfType<VersionOption>().Single().Action = new VersionOptionAction(console);
        root.Directives.Add(CompletionDirective.Build(root, console));
        Examples.AddTo(root, console);
        return root;
    }

    /// <summary>EPIPE is 32 on every Unix.</summary>
    private static bool IsBrokenPipe(IOException exception) => (exception.HResult & 0xffff) == 32;
}
