// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.IO;
using System.Linq;
using Keyhole.Cli.Terminal;

namespace Keyhole.Cli.Help;

/// <summary>Examples under a verb's help: people copy before they read.</summary>
internal static class Examples
{
    private const string Text = """

        Examples:
          keyhole show --host xen.log
              The firmware's map in a boot log, as a table and a drawing.
          keyhole plan --host xen.log --guest guest.cfg
              The map that libxl would give the guest, why, and what is wrong with it.
          keyhole plan --host xen.log --memory 3072 --e820-host --json
              The same for scripts, for a guest that has no configuration yet.
          keyhole verify --dom0 --host xen.log
              Why dom0 does not boot or lacks memory, from one pasted log.
          keyhole reserve --start 512M
              RAM of this host kept aside for a guest with a device, without an IOMMU.
          keyhole compare --host xen.log --guest guest.cfg
              Every way to make the hole, side by side, and which to take.
          keyhole fleet hosts/ --guest guest.cfg
              The hole that suits every host of a folder, and who forces it.
          keyhole compare --host host.json --guest 102.conf --devices lspci.txt
              The setting with which all devices of a KVM guest get their place (libvirt's XML, a command line of QEMU, Proxmox).

        Exit status: 0 yes or answered, 1 the answer is no, 2 bad usage or unreadable input, 3 the hypervisor refused, 70 a defect in Keyhole.
        """;

    public static void AddTo(RootCommand root, CommandConsole console) => AddTo(root, console, Text);

    public static void AddTo(Command command, CommandConsole console, string text)
    {
        HelpOption? help = command.Options.OfType<HelpOption>().SingleOrDefault();
        if (help is null)
        {
            help = new();
            command.Options.Add(help);
        }

        help.Action = new HelpWithExamples((HelpAction)help.Action!, console, text);
    }

    /// <summary>The examples that were added to a command: the manual shows them too. Null without any.</summary>
    public static string? TextOf(Command command) => (command.Options.OfType<HelpOption>().SingleOrDefault()?.Action as HelpWithExamples)?.Text;

    /// <summary>Whether help is asked for: then nothing that is missing is an error.</summary>
    public static bool IsHelp(CommandLineAction? action) => action is HelpAction or HelpWithExamples;

    private sealed class HelpWithExamples(HelpAction help, CommandConsole console, string text) : SynchronousCommandLineAction
    {
        private const int NarrowestHelp = 80;

        public string Text => text;

        public override int Invoke(ParseResult parseResult)
        {
            // Below that the library breaks words of options.
            int width = int.Max(console.Ansi.Width, NarrowestHelp);
            // The library calls the program by its assembly; people call it by its name.
            using var written = new StringWriter();
            TextWriter output = parseResult.InvocationConfiguration.Output;
            parseResult.InvocationConfiguration.Output = written;
            help.MaxWidth = width;
            int status = help.Invoke(parseResult);
            parseResult.InvocationConfiguration.Output = output;
            console.Out.WriteLine(written.ToString().Replace(RootCommand.ExecutableName, "keyhole", System.StringComparison.Ordinal).TrimEnd());
            console.Out.WriteLine();
            console.Out.WriteLine(ExampleLayout.In(text, width));
            return status;
        }
    }
}
