// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Completions;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole show</c>: a host's memory map, looked at or written in another dialect.</summary>
internal static class ShowVerb
{
    public static Command Build(CommandConsole console)
    {
        var host = new HostSource();
        var to = new Option<string?>("--to") { Description = "Write the map in this dialect and nothing else.", HelpName = "DIALECT" };
        to.CompletionSources.Add(static _ => HostMapDialects.All.Select(static dialect => new CompletionItem(HostMapDialects.NameOf(dialect))));
        Option<string?> output = OutputOption.Create("Write to this file (for memmap: folder) instead of standard output.");
        var withXen = new Option<bool>("--with-xen") { Description = "Add what Xen adds for dom0: the map that a toolstack starts from." };
        var svg = new SvgOption(console);
        var html = new HtmlOption(console);
        Option<bool> json = JsonOption.Create();
        var command = new Command("show", "Show a host's memory map, or convert it.") { to, output, withXen, json };
        JsonOption.KeepAlone(command, json, to);
        svg.AddTo(command);
        html.AddTo(command);
        host.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole show                                   this machine
              keyhole show --host xen.log                    the firmware's map in a boot log
              xl dmesg | keyhole show --host - --with-xen    and what Xen adds for dom0
              keyhole show --host xen.log --map 2            another map of the same log
              keyhole show --host iomem.txt --to lines       converted
              keyhole show --host xen.log --svg map.svg      and as a picture
            """);
        command.SetAction(parsed =>
        {
            HostMapDialect? dialect = null;
            if (parsed.GetValue(to) is { } name)
            {
                if (!HostMapDialects.TryParse(name, out HostMapDialect known))
                    return console.Fail(Dialects.Unknown("--to", name));
                dialect = known;
            }
            else if (parsed.GetValue(output) is not null)
            {
                return console.Fail(InputError.Missing("--output", null, "there is nothing to write without --to", "name a dialect with --to"));
            }

            // JSON carries the range for the verb that reads it.
            bool isUsed = parsed.GetValue(withXen) || parsed.GetValue(json) || dialect == HostMapDialect.Json;
            string? unusedDenied = isUsed ? null : "what Xen adds for dom0 is shown with --with-xen alone";
            if (!host.Read(parsed, console, unusedDenied).TryGet(out HostDocument? map, out InputError? error))
                return console.Fail(error);
            foreach (Phrase remark in map.RemarksOnDom0())
                console.Remark($"dom0: {remark.Worded(OptionWords.Of)}");
            if (parsed.GetValue(withXen))
            {
                Host machine = MachineMap.HostOn(map.Host);
                if (machine.HasLostEntries)
                    console.Remark("what Xen adds for dom0 is not known where lines of the map are lost: nothing of it is shown there");
                map = map with { Host = machine };
            }

            if (svg.Write(parsed, () => Pictures.OfHost(map.Host, map.Description)) is { } unwritten)
                return console.Fail(unwritten);
            string title = $"keyhole show: {map.Description}";
            ulong ramBytes = SortedMap.TotalsOf(map.Host.Entries.AsSpan()).GetValueOrDefault(E820Type.Ram);
            string verdict = $"RAM: {(map.Host.HasLostEntries ? "at least " : "")}{ByteSize.ToText(ramBytes)}";
            InputError? unpainted = html.Write(
                parsed, title, verdict, isYes: true, () => Pictures.OfHost(map.Host, map.Description), [], to => Print(to, map),
                to => Convert(to, map, HostMapDialect.Json, null));
            if (unpainted is not null)
                return console.Fail(unpainted);
            if (dialect is { } wanted)
                return Convert(console, map, wanted, parsed.GetValue(output));
            if (parsed.GetValue(json))
                return Convert(console, map, HostMapDialect.Json, null);
            Print(console, map);
            return ExitStatus.Yes;
        });
        return command;
    }

    private static int Convert(CommandConsole console, HostDocument map, HostMapDialect dialect, string? path)
    {
        if (dialect != HostMapDialect.Json && map.Host.HasLostEntries)
            console.Remark("this form cannot say that lines of the map are lost: what reads it sees gaps there; --json says so");
        if (dialect == HostMapDialect.Memmap)
        {
            if (path is null)
                return console.Fail(InputError.NotSupported("--to memmap", null, "a memmap is a folder", "name it with --output"));
            return HostMapWriter.ToMemmap(map).TryGet(out MemmapFolder? folder, out InputError? refusal) ? WriteFolder(console, folder, path)
                : console.Fail(refusal);
        }

        if (dialect == HostMapDialect.Packed && path is null && console.IsOutputWatched)
        {
            return console.Fail(InputError.NotSupported(
                "--to packed", null, "its bytes are none for a terminal", "name a file with --output, or redirect it"));
        }

        var bytes = new MemoryStream();
        if (HostMapWriter.Write(map, dialect, bytes) is { } error)
            return console.Fail(error);
        if (path is not null)
            return Files.WriteAnswer(console, path, bytes.ToArray()) is { } unwritten ? console.Fail(unwritten) : ExitStatus.Yes;
        if (dialect == HostMapDialect.Packed)
            bytes.WriteTo(console.OutBytes);
        else
            console.Out.Write(System.Text.Encoding.UTF8.GetString(bytes.ToArray()));
        return ExitStatus.Yes;
    }

    private static int WriteFolder(CommandConsole console, MemmapFolder folder, string path)
    {
        if (Path.Exists(path))
            return console.Fail(InputError.Unwritable(Files.Shown(path), null, "is there already", "name a folder that is not there yet"));
        try
        {
            foreach (MemmapEntry entry in folder.Entries)
            {
                string numbered = Directory.CreateDirectory(Path.Combine(path, entry.Name)).FullName;
                File.WriteAllText(Path.Combine(numbered, "start"), entry.Start);
                File.WriteAllText(Path.Combine(numbered, "end"), entry.End);
                File.WriteAllText(Path.Combine(numbered, "type"), entry.Type);
            }

            return ExitStatus.Yes;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return console.Fail(InputError.Unwritable(Files.Shown(path), null, $"{exception.Message.ReplaceLineEndings(" ").TrimEnd('.')}",
                "name a folder that can be made"));
        }
    }

    private static void Print(CommandConsole console, HostDocument map)
    {
        console.Ansi.WriteLine(map.Description);
        TextTable table = MapView.NewTable("The map", "start", "end", "size", "type");
        table.AlignRight(2);
        foreach (E820Entry entry in map.Host.Entries)
        {
            table.AddRow(MapView.Cell(MapView.Hex(entry.Address)), MapView.Cell(MapView.Hex(entry.End)), MapView.Cell(ByteSize.ToText(entry.Size)),
                MapView.TypeName(entry.Type));
        }

        MapView.WriteTable(console, table);
        SortedDictionary<E820Type, ulong> totals = SortedMap.TotalsOf(map.Host.Entries.AsSpan());
        console.Ansi.WriteLine(string.Join(", ", totals.Select(static total => $"{E820TypeNames.NameOf(total.Key)} {ByteSize.ToText(total.Value)}")));
        foreach (string range in map.Host.LostRangesInWords)
            console.Ansi.WriteLine($"not known, for lines of the map are lost: {range}");
        foreach (PfnRange pages in map.Host.DeviceMemory.OrderBy(static pages => pages.Start.Value))
            console.Ansi.WriteLine(
                $"devices use by themselves (RMRR, IVMD): [{MapView.Hex(pages.Start.ToAddress())}, {MapView.Hex(pages.End.ToAddress())})");
        foreach (PciAddress device in map.Host.Traits.DeviceMemoryNotTold)
            console.Ansi.WriteLine($"{device} uses memory by itself (RMRR), and the log does not tell where");
        foreach (SharedMemoryDevice said in map.Host.Traits.Complaints.Sharing)
            console.Ansi.WriteLine($"{said.Device} shares memory that it uses by itself (RMRR), at {MapView.Hex(said.Address)}, with another device: "
                + "so Xen says, and gives it to no guest without rdm_policy=relaxed");
        HostText.Write(console, map.Host);
        console.Ansi.WriteLine();
        MapView.Draw(console, [DrawnMaps.OfHost(map.Host)]);
    }
}
