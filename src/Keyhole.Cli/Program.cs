// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.CommandLine.Help;
using System.IO;
using System.Linq;
using Keyhole.Cli.Verbs;

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
            console.Error($"{parsed.Errors[0].Message.TrimEnd('.')}; see keyhole{verb} --help");
            return ExitStatus.BadUsage;
        }

        try
        {
            return parsed.Invoke(new() { Output = console.Out, Error = console.ErrorWriter, EnableDefaultExceptionHandler = false });
        }
        catch (IOException exception) when (IsBrokenPipe(exception))
        {
            // The reader of our output has seen enough (keyhole … | head).
            return ExitStatus.Yes;
        }
    }

    private static RootCommand BuildRoot(CommandConsole console)
    {
        var root = new RootCommand("Tells which physical memory map a Xen guest gets, what its kernel makes of it, and whether it reaches its device.")
        {
            ShowVerb.Build(console),
            PlanVerb.Build(console),
            BootVerb.Build(console),
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
