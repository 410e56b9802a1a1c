// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.IO;
using System.Text;
using Keyhole.Captures;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole capture</c>: this machine as one JSON that every verb takes as its host.</summary>
internal static class CaptureVerb
{
    public static Command Build(CommandConsole console)
    {
        Option<string?> output = OutputOption.Create("Write to this file instead of standard output.");
        Option<bool> json = JsonOption.Create();
        json.Description = "As always: a capture is JSON.";
        var anonymise = new Option<bool>("--anonymise", "--anonymize")
        {
            Description =
                "Keep maps and devices, and leave out what could name the machine's owner: names, serial numbers, network addresses, texts.",
        };
        var source = new HostSource();
        var command = new Command("capture", "Capture this machine: its memory map, PCI devices and IOMMU, as one JSON for --host.") { output,
            anonymise, json };
        source.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole capture -o host.json                              as root, to have it all
              keyhole capture --anonymise -o host.json                  to attach to a report
              keyhole capture --anonymise --host xen.log -o host.json   the same from a log, of which nothing else is kept
              keyhole plan --host host.json --guest guest.cfg           anywhere else
            """);
        command.SetAction(parsed =>
        {
            if (!source.Read(parsed, console, isWhole: true).TryGet(out HostDocument? host, out InputError? error))
                return console.Fail(error);
            if (parsed.GetValue(anonymise))
            {
                AnonymousHost anonymous = Anonymiser.Of(host);
                host = anonymous.Document;
                foreach (Phrase note in anonymous.Notes)
                    console.Remark(note);
            }

            var bytes = new MemoryStream();
            if (HostMapWriter.Write(host, HostMapDialect.Json, bytes) is { } refusal)
                return console.Fail(refusal);
            if (parsed.GetValue(output) is not { } path)
            {
                console.Out.Write(Encoding.UTF8.GetString(bytes.ToArray()));
                return ExitStatus.Yes;
            }

            return Files.WriteAnswer(console, path, bytes.ToArray()) is { } unwritten ? console.Fail(unwritten) : ExitStatus.Yes;
        });
        return command;
    }
}
