// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Threading;
using Keyhole.Answers;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Guests;
using Keyhole.Migration;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole fleet</c>: which hole suits all machines that guests move between.</summary>
internal static class FleetVerb
{
    public static Command Build(CommandConsole console)
    {
        var hosts = new Argument<string[]>("HOSTS")
        {
            Description = "Files with one host each, files of captures (JSON, one a line), folders of such files, or - for standard input.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        hosts.Validators.Add(static result =>
        {
            // As many files as are given: what looks like an option would be one of them.
            if (result.Tokens.FirstOrDefault(static token => token.Value.Length > 1 && token.Value[0] == '-') is { } option)
                result.AddError($"{option.Value} is no option of fleet; a file of that name is given as ./{option.Value}");
        });
        Option<string[]> guests = GuestFileOption.Guests();
        var memory = SizeOption.Memory("A guest with a passed-through device and this memory, instead of --guest:");
        SizeOption maxmem = SizeOption.Maxmem();
        Option<bool> json = JsonOption.Create();
        var csv = new Option<bool>("--csv") { Description = "A line for each host as it is read: where its hole starts, and why." };
        var generate = new Option<long?>("--generate") { Hidden = true };
        var seed = new Option<ulong>("--seed") { Hidden = true };
        var command = new Command("fleet",
            "Find the hole that suits all hosts that guests move between; of KVM and HVM guests, the hosts where every BAR has its place.")
        {
            hosts,
            guests,
            memory,
            maxmem,
            json,
            csv,
            generate,
            seed,
        };
        var svg = new SvgOption(console);
        svg.AddTo(command);
        var html = new HtmlOption(console);
        html.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole fleet a.log b.log c.log --guest guest.cfg     three hosts: who can move where?
              keyhole fleet hosts/ --memory 4096                    each file of a folder is a host
              keyhole fleet hosts/ --guest gpu.xml --guest nic.xml  KVM: on which hosts does each guest's firmware place every BAR?
              keyhole fleet - --json < captures.ndjson              one capture a line: {"name":…,"entries":[…],"devices":[…]}
              keyhole fleet hosts/ --csv > fleet.csv                a line for each host
              keyhole fleet hosts/ --memory 4G --svg fleet.svg      and as a picture

            Exit status: 0 every host suits every guest, 1 some do not, or could not be read or judged, 2 bad usage, or no host could be read.
            """);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(generate) is { } count)
            {
                const long most = 100_000_000;
                if (count is < 0 or > most)
                    return console.Fail(InputError.OutOfRange(generate.Name, null, $"{count} hosts are not made up", $"ask for {most} at most"));
                FleetGenerator.Write(console.OutBytes, count, parsed.GetValue(seed));
                return ExitStatus.Yes;
            }

            string[] paths = parsed.GetValue(hosts)!;
            if (paths.Length == 0)
                return console.Fail(InputError.Missing("fleet", null, "no host is named",
                    "name files, folders or - for standard input; see keyhole fleet --help"));
            if (paths.Count(static path => path == "-") + (parsed.GetValue(guests) ?? []).Count(static path => path == "-") > 1)
                return console.Fail(Files.InputReadTwice);
            if (parsed.GetValue(json) && parsed.GetValue(csv))
                return console.Fail(InputError.Conflict("--csv", null, "--json is given, too", "take one of the two"));
            if (memory.Read(parsed, out ulong? memoryBytes) is { } memoryError)
                return console.Fail(memoryError);
            if (maxmem.Read(parsed, out ulong? maxmemBytes) is { } maxmemError)
                return console.Fail(maxmemError);
            if (!ReadGuests(console, parsed.GetValue(guests) ?? [], memoryBytes, maxmemBytes).TryGet(out GuestList? list, out InputError? error))
                return console.Fail(error);
            return Run(console, parsed, svg, html, paths, list.Guests, parsed.GetValue(json), parsed.GetValue(csv));
        });
        return command;
    }

    private static int Run(CommandConsole console, ParseResult parsed, SvgOption svg, HtmlOption html, string[] paths,
        ImmutableArray<FleetGuest> guests, bool isJson, bool isCsv)
    {
        var tally = new FleetTally(guests);
        long hosts = 0;
        console.Progress.Tell(() => Counted.Of(Volatile.Read(ref hosts), "host"));
        if (isCsv)
        {
            IEnumerable<string> placed = guests.Where(static guest => guest.Forecast is not null).Select(static guest => $",{Field(guest.Name)}");
            console.Out.WriteLine($"name,hole_start,evidence,ram_kib,lowest_window_above_4gib{string.Concat(placed)}");
        }

        var reader = new FleetReader(
            tally, Environment.ProcessorCount, isCsv ? host => WriteCsv(console, host) : null, count => Volatile.Write(ref hosts, count));
        FleetHosts.Read(console, paths, reader, tally);
        console.Progress.Tell(null);
        Fleet fleet = tally.ToFleet();
        foreach (InputError unreadable in fleet.Unreadable)
            console.Error(unreadable.ToPhrase());
        if (fleet.UnreadableCount > fleet.Unreadable.Length)
            console.Error($"and {Counted.Of(fleet.UnreadableCount - fleet.Unreadable.Length, "more host")} could not be read or judged");
        if (fleet.HostCount == 0 && fleet.NotJudgedCount == 0)
        {
            if (fleet.UnreadableCount == 0)
                console.Error("there is no host in the input; give one capture a line, or name files");
            return ExitStatus.BadUsage;
        }

        var answer = FleetAnswer.Of(fleet, static policy => $"--policy {policy}", OptionWords.Of);
        InputError? unpainted = svg.Write(parsed, () => Pictures.OfFleet(fleet)) ?? html.Write(
            parsed, $"keyhole fleet: {Counted.Of(answer.Hosts, "host")}", Verdicts.Of(answer), answer.IsYes, () => Pictures.OfFleet(fleet), [],
            to => FleetText.Write(to, answer),
            to => answer.WriteJson(to.OutBytes), FleetText.LowMemoryLost(answer));
        if (unpainted is not null)
            return console.Fail(unpainted);
        if (isJson)
            answer.WriteJson(console.OutBytes);
        else if (!isCsv)
            FleetText.Write(console, answer);
        return ExitStatus.Of(answer);
    }

    private static Parsed<GuestList> ReadGuests(CommandConsole console, string[] paths, ulong? memoryBytes, ulong? maxmemBytes)
    {
        List<FleetGuest> guests = [];
        foreach (string path in paths)
        {
            if (!Files.Read(console, path, "an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf", GuestReader.Read)
                .TryGet(out GuestDocument? guest, out InputError? error))
                return error;
            guests.Add(FleetGuest.Of(guest.Guest, Files.Shown(path)));
        }

        if (maxmemBytes < memoryBytes)
            return InputError.Conflict("--maxmem", null, $"{maxmemBytes >> 20} MiB is below --memory ({memoryBytes >> 20} MiB)",
                "give --memory or more, or leave it out");
        if (memoryBytes is { } memory)
            guests.Add(new(ByteSize.ToText(memory), memory >> 10, (maxmemBytes ?? memory) >> 10, NeedsHole: true));
        else if (maxmemBytes is not null)
            return InputError.Missing("--maxmem", null, "--memory is not given", "give both, or neither");
        return new GuestList([.. guests]);
    }

    private static void WriteCsv(CommandConsole console, FleetHost added)
    {
        var host = HostDemandAnswer.Of(added.Demand);
        IEnumerable<string> placed = added.Placements.Where(static placement => placement != default)
            .Select(static placement => $",{placement.Verdict}");
        string hole = host.HoleNotKnown == true ? "not known" : $"{host.HoleStart}";
        console.Out.WriteLine(
            $"{Field(host.Name)},{hole},{host.Evidence},{host.RamKiB.ToString(CultureInfo.InvariantCulture)},{host.HighWindow}"
                + string.Concat(placed));
    }

    /// <summary>Quoted where it must be; what a spreadsheet would take for a formula gets an apostrophe before it.</summary>
    private static string Field(string text)
    {
        text = Diagnostics.ForeignText.OneLine(text);
        if (text.TrimStart() is ['=' or '+' or '-' or '@', ..])
            text = $"'{text}";
        return text.AsSpan().ContainsAny(",\"\r\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }

    private sealed record GuestList(ImmutableArray<FleetGuest> Guests);
}
