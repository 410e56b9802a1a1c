// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.IO;
using System.Linq;
using Keyhole.Cli.Verbs;
using Keyhole.Reading;

namespace Keyhole.Cli;

/// <summary>The command line: <c>keyhole VERB … [--json]</c>.</summary>
internal static class Program
{
    public static int Main(string[] args)
    {
        using var console = CommandConsole.ForProcess();
        return Run(args, console);
    }

    /// <summary>Runs one command. Every failure is one line on standard error.</summary>
    public static int Run(string[] args, CommandConsole console)
    {
        RootCommand root = BuildRoot(console);
        ParseResult parsed = root.Parse(args);
        if (parsed.Errors.Count > 0 && parsed.Action is not (HelpAction or VersionOptionAction))
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
            return console.Fail(new("standard output", null, exception.Message.ReplaceLineEndings(" ").TrimEnd('.'), "send it where there is room"));
        }
    }

    /// <summary>What is wrong with the arguments, in words for people: the parser's own name .NET's types.</summary>
    private static string Describe(ParseResult parsed)
    {
        if (parsed.CommandResult.Command is RootCommand root && parsed.UnmatchedTokens.Count > 0)
            return $"{InputError.Quote(parsed.UnmatchedTokens[0])} is no verb; take one of {string.Join(' ', root.Subcommands.Select(static verb => verb.Name))}";
        ParseError error = parsed.Errors[0];
        return error.SymbolResult is OptionResult { Tokens: [{ Value: var text }], Option: var option } && IsNumber(option)
            ? $"{option.Name}: {InputError.Quote(text)} is no number that fits; give a whole one"
            : error.Message.TrimEnd('.');
    }

    private static bool IsNumber(Option option) => Nullable.GetUnderlyingType(option.ValueType) is { IsPrimitive: true } type && type != typeof(bool);

    private static RootCommand BuildRoot(CommandConsole console)
    {
        var root = new RootCommand("Tells which physical memory map a Xen guest gets, what its kernel makes of it, and whether it reaches its device.")
        {
            ShowVerb.Build(console),
            PlanVerb.Build(console),
            BootVerb.Build(console),
            CompareVerb.Build(console),
            FleetVerb.Build(console),
            VerifyVerb.Build(console),
            ReserveVerb.Build(console),
            CaptureVerb.Build(console),
            InspectVerb.Build(console),
            ApplyVerb.Build(console),
            StartVerb.Build(console),
            ProbeVerb.Build(console),
            CompletionVerb.Build(console),
        };
        root.Options.OfType<VersionOption>().Single().Action = new VersionOptionAction(console);
        Examples.AddTo(root, console);
        return root;
    }

    /// <summary>EPIPE is 32 on every Unix.</summary>
    private static bool IsBrokenPipe(IOException exception) => (exception.HResult & 0xffff) == 32;
}
