// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Migration;
using Keyhole.Platforms.XenPv;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole fleet</c>: which hole suits all machines that guests move between.</summary>
internal static class FleetVerb
{
    /// <summary>Groups and hosts that a person reads.</summary>
    private const int MaxRows = 12;

    /// <summary>Hosts up to which the matrix of moves fits a screen.</summary>
    private const int MaxMatrix = 32;

    private const int ProgressMilliseconds = 200;
    private const ulong MaxMemoryMiB = 64UL << 20;

    public static Command Build(CommandConsole console)
    {
        var hosts = new Argument<string[]>("HOSTS")
        {
            Description = "Files with one host each, files of captures (JSON, one a line), folders of such files, or - for standard input.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var guests = new Option<string[]>("--guest") { Description = "A guest that is to move: an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf. May be given again.", HelpName = "FILE" };
        var memory = new Option<ulong?>("--memory") { Description = "A guest with a passed-through device and this memory, instead of --guest.", HelpName = "MiB" };
        var maxmem = new Option<ulong?>("--maxmem") { Description = "Up to where the guest of --memory can balloon.", HelpName = "MiB" };
        var json = new Option<bool>("--json") { Description = "One JSON document on standard output." };
        var csv = new Option<bool>("--csv") { Description = "A line for each host as it is read: where its hole starts, and why." };
        var generate = new Option<long?>("--generate") { Hidden = true };
        var seed = new Option<ulong>("--seed") { Hidden = true };
        var command = new Command("fleet", "Find the hole that suits all hosts that guests move between, and the hosts that force it.") { hosts, guests, memory, maxmem, json, csv, generate, seed };
        Examples.AddTo(command, console, """

            Examples:
              keyhole fleet a.log b.log c.log --guest guest.cfg     three hosts: who can move where?
              keyhole fleet hosts/ --memory 4096                    each file of a folder is a host
              keyhole fleet - --json < captures.ndjson              one capture a line: {"name":…,"entries":[…],"devices":[…]}
              keyhole fleet hosts/ --csv > fleet.csv                a line for each host

            Exit status: 0 every host suits every guest, 1 some do not or could not be read, 2 bad usage or no host could be read.
            """);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(generate) is { } count)
            {
                FleetGenerator.Write(console.OutBytes, count, parsed.GetValue(seed));
                return ExitStatus.Yes;
            }

            string[] paths = parsed.GetValue(hosts)!;
            if (paths.Length == 0)
                return console.Fail(new("fleet", null, "no host is named", "name files, folders or - for standard input; see keyhole fleet --help"));
            if (paths.Count(static path => path == "-") + (parsed.GetValue(guests) ?? []).Count(static path => path == "-") > 1)
                return console.Fail(Files.InputReadTwice);
            if (parsed.GetValue(json) && parsed.GetValue(csv))
                return console.Fail(new("--csv", null, "--json is given, too", "take one of the two"));
            if (!ReadGuests(console, parsed.GetValue(guests) ?? [], parsed.GetValue(memory), parsed.GetValue(maxmem)).TryGet(out GuestList? list, out InputError? error))
                return console.Fail(error);
            return Run(console, paths, list.Guests, parsed.GetValue(json), parsed.GetValue(csv));
        });
        return command;
    }

    private static int Run(CommandConsole console, string[] paths, ImmutableArray<FleetGuest> guests, bool isJson, bool isCsv)
    {
        var tally = new FleetTally(guests);
        var progress = new Progress(console);
        if (isCsv)
            console.Out.WriteLine("name,hole_start,evidence,ram_kib,lowest_window_above_4gib");
        var reader = new FleetReader(tally, Environment.ProcessorCount, isCsv ? host => WriteCsv(console, host) : null, progress.Report);
        FleetHosts.Read(console, paths, reader, tally);
        progress.Clear();
        Fleet fleet = tally.ToFleet();
        foreach (InputError unreadable in fleet.Unreadable)
            console.Error(unreadable.ToString());
        if (fleet.UnreadableCount > fleet.Unreadable.Length)
            console.Error($"and {Number(fleet.UnreadableCount - fleet.Unreadable.Length)} more hosts could not be read");
        if (fleet.HostCount == 0)
        {
            if (fleet.UnreadableCount == 0)
                console.Error("there is no host in the input; give one capture a line, or name files");
            return ExitStatus.BadUsage;
        }

        if (isJson)
            JsonText.Write(console, writer => WriteJson(writer, fleet));
        else if (!isCsv)
            Print(console, fleet);
        return fleet.SuitsAll ? ExitStatus.Yes : ExitStatus.No;
    }

    private static Parsed<GuestList> ReadGuests(CommandConsole console, string[] paths, ulong? memoryMiB, ulong? maxmemMiB)
    {
        List<FleetGuest> guests = [];
        foreach (string path in paths)
        {
            if (!Files.Read(console, path, "an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf", GuestReader.Read).TryGet(out GuestSpec? guest, out InputError? error))
                return error;
            guests.Add(FleetGuest.Of(guest, Files.Shown(path)));
        }

        foreach ((string option, ulong? sizeMiB) in new[] { ("--memory", memoryMiB), ("--maxmem", maxmemMiB) })
        {
            if (sizeMiB is 0 or > MaxMemoryMiB)
                return new InputError(option, null, string.Create(CultureInfo.InvariantCulture, $"{sizeMiB} MiB is no size for a guest"), $"give 1 to {MaxMemoryMiB} MiB");
        }

        if (maxmemMiB < memoryMiB)
            return new InputError("--maxmem", null, string.Create(CultureInfo.InvariantCulture, $"{maxmemMiB} MiB is below --memory ({memoryMiB} MiB)"), "give --memory or more, or leave it out");
        if (memoryMiB is { } memory)
            guests.Add(new(ByteSize.ToText(memory << 20), memory << 10, (maxmemMiB ?? memory) << 10, NeedsHole: true));
        else if (maxmemMiB is not null)
            return new InputError("--maxmem", null, "--memory is not given", "give both, or neither");
        return new GuestList([.. guests]);
    }

    private static void WriteCsv(CommandConsole console, HostDemand host)
    {
        string window = host.HighWindow < Frames.AddressLimit ? MapView.Hex(host.HighWindow) : "";
        console.Out.WriteLine($"{Field(host.Name)},{MapView.Hex(host.HoleStart)},{NameOf(host.Evidence)},{host.RamKiB.ToString(CultureInfo.InvariantCulture)},{window}");
    }

    /// <summary>Quoted where it must be; what a spreadsheet would take for a formula gets an apostrophe before it.</summary>
    private static string Field(string text)
    {
        if (text.Length > 0 && text[0] is '=' or '+' or '-' or '@')
            text = $"'{text}";
        return text.AsSpan().ContainsAny(",\"\r\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
    }

    private static void WriteJson(Utf8JsonWriter writer, Fleet fleet)
    {
        writer.WriteNumber("hosts", fleet.HostCount);
        writer.WriteNumber("withWindows", fleet.WithWindowsCount);
        writer.WriteStartObject("unreadable");
        writer.WriteNumber("count", fleet.UnreadableCount);
        writer.WriteStartArray("first");
        foreach (InputError error in fleet.Unreadable)
            writer.WriteStringValue(error.ToString());
        writer.WriteEndArray();
        writer.WriteEndObject();
        WriteStart(writer, "holeStart", fleet.HoleStart);
        if (fleet.HoleStart is { } start and < Frames.FourGiB)
            writer.WriteString("policy", PolicyOf(start));
        writer.WriteStartObject("forcedBy");
        writer.WriteNumber("count", fleet.ForcedByCount);
        WriteHosts(writer, "first", fleet.ForcedBy);
        writer.WriteEndObject();
        WriteStart(writer, "holeStartWithout", fleet.HoleStartWithout);
        writer.WriteNumber("impossible", fleet.ImpossibleCount);
        writer.WriteNumber("groupCount", fleet.GroupCount);
        writer.WriteStartArray("groups");
        foreach (FleetGroup group in fleet.Groups)
        {
            writer.WriteStartObject();
            writer.WriteAddress("holeStart", group.HoleStart);
            writer.WriteNumber("hosts", group.HostCount);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        WriteHosts(writer, "worst", fleet.Worst);
        writer.WriteStartArray("guests");
        foreach (FleetGuestFit fit in fleet.Guests)
            WriteGuest(writer, fleet, fit);
        writer.WriteEndArray();
        writer.WriteNumber("shareOfMovesAsTheyAre", fleet.ShareOfMovesAsTheyAre);
        if (fleet.Hosts is { } hosts)
        {
            WriteHosts(writer, "hostList", hosts);
            WriteMoves(writer, fleet, hosts);
        }

        writer.WriteBoolean("suitsAll", fleet.SuitsAll);
    }

    private static void WriteGuest(Utf8JsonWriter writer, Fleet fleet, FleetGuestFit fit)
    {
        writer.WriteStartObject();
        writer.WriteString("name", fit.Guest.Name);
        writer.WriteNumber("memoryKiB", fit.Guest.MemoryKiB);
        writer.WriteNumber("maxmemKiB", fit.Guest.MaxmemKiB);
        writer.WriteBoolean("needsHole", fit.Guest.NeedsHole);
        if (fleet.HoleStart is { } start)
            writer.WriteAddress("endOfMemory", fit.Guest.EndOfMemory(start));
        writer.WriteBoolean("fitsAll", fit.FitsAll);
        writer.WriteNumber("tooLittleMemory", fit.TooLittleMemory);
        writer.WriteNumber("holeTooLow", fit.HoleTooLow);
        writer.WriteNumber("meetsHighWindow", fit.MeetsHighWindow);
        WriteHosts(writer, "offenders", fit.Offenders);
        writer.WriteEndObject();
    }

    private static void WriteMoves(Utf8JsonWriter writer, Fleet fleet, ImmutableArray<HostDemand> hosts)
    {
        writer.WriteStartArray("moves");
        foreach (FleetGuest guest in Movers(fleet))
        {
            foreach (HostDemand from in hosts)
            {
                foreach (HostDemand to in hosts)
                {
                    if (from == to)
                        continue;
                    writer.WriteStartObject();
                    writer.WriteString("guest", guest.Name);
                    writer.WriteString("from", from.Name);
                    writer.WriteString("to", to.Name);
                    writer.WriteString("how", guest.JudgeMove(from, to, fleet.HoleStart) switch
                    {
                        MoveVerdict.Never => "never",
                        MoveVerdict.WithTheFleetsHole => "fleet-hole",
                        MoveVerdict.AsItIs => "as-it-is",
                    });
                    writer.WriteEndObject();
                }
            }
        }

        writer.WriteEndArray();
    }

    private static void WriteHosts(Utf8JsonWriter writer, string name, IEnumerable<HostDemand> hosts)
    {
        writer.WriteStartArray(name);
        foreach (HostDemand host in hosts)
        {
            writer.WriteStartObject();
            writer.WriteString("name", host.Name);
            writer.WriteAddress("holeStart", host.HoleStart);
            writer.WriteString("evidence", NameOf(host.Evidence));
            writer.WriteNumber("ramKiB", host.RamKiB);
            if (host.HighWindow < Frames.AddressLimit)
                writer.WriteAddress("highWindow", host.HighWindow);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteStart(Utf8JsonWriter writer, string name, ulong? start)
    {
        if (start is { } address)
            writer.WriteAddress(name, address);
        else
            writer.WriteNull(name);
    }

    private static void Print(CommandConsole console, Fleet fleet)
    {
        string unreadable = fleet.UnreadableCount == 0 ? "" : $"; {Hosts(fleet.UnreadableCount)} could not be read";
        console.Ansi.WriteLine($"{Hosts(fleet.HostCount)}, {(fleet.WithWindowsCount == fleet.HostCount ? "all" : Number(fleet.WithWindowsCount))} with known device windows{unreadable}");
        PrintAnswer(console, fleet);
        PrintGroups(console, fleet);
        if (!fleet.Guests.IsEmpty)
            PrintGuests(console, fleet);
        if (fleet.Hosts is { Length: > 1 and <= MaxMatrix } hosts)
        {
            foreach (FleetGuest guest in Movers(fleet))
                PrintMatrix(console, fleet, hosts, guest);
        }
        else if (fleet.HostCount > 1)
        {
            console.Ansi.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"With the hole of the host that a guest started on it can take {fleet.ShareOfMovesAsTheyAre:0.0%} of the ways from one host to another; with the fleet's hole, all between hosts that it suits."));
        }
    }

    private static void PrintAnswer(CommandConsole console, Fleet fleet)
    {
        if (fleet.HoleStart is not { } start)
        {
            console.Ansi.WriteLine($"No hole suits any of them: each has a device below {ByteSize.ToText(FleetGuest.LowestHole)}, where a guest's kernel must lie.");
        }
        else if (start == Frames.FourGiB)
        {
            console.Ansi.WriteLine("No host asks for a hole below 4 GiB.");
        }
        else
        {
            console.Ansi.Write(new Text($"The hole [{MapView.Hex(start)}, 0x100000000) suits {(fleet.ImpossibleCount == 0 ? "all" : "the others")}", new Style(Color.Green)));
            console.Ansi.WriteLine($": guests keep {ByteSize.ToText(start)} of memory below it ({PolicyOf(start)}).");
            string without = fleet.HoleStartWithout is { } next ? $"; without them it could start at {MapView.Hex(next)}" : "";
            console.Ansi.WriteLine($"Forced by {Hosts(fleet.ForcedByCount)}: {Names(fleet.ForcedBy, fleet.ForcedByCount)}{without}.");
        }

        if (fleet.ImpossibleCount > 0)
            console.Ansi.WriteLine($"No hole suits {Hosts(fleet.ImpossibleCount)}: {Names(fleet.Worst.Where(static host => host.HoleStart < FleetGuest.LowestHole), fleet.ImpossibleCount)}; a device lies below {ByteSize.ToText(FleetGuest.LowestHole)}, where a guest's kernel must lie.");
    }

    private static void PrintGroups(CommandConsole console, Fleet fleet)
    {
        Table table = MapView.NewTable("hole from", "hosts", "of all", "such as");
        table.Columns[1].Alignment = Justify.Right;
        table.Columns[2].Alignment = Justify.Right;
        foreach (FleetGroup group in fleet.Groups.Take(MaxRows))
        {
            IEnumerable<HostDemand> known = (fleet.Hosts ?? fleet.Worst).Where(host => host.HoleStart == group.HoleStart);
            string start = group.HoleStart == Frames.FourGiB ? "none needed" : MapView.Hex(group.HoleStart);
            table.AddRow(
                new Text(start),
                new Text(Number(group.HostCount)),
                new Text(((double)group.HostCount / fleet.HostCount).ToString("0.0%", CultureInfo.InvariantCulture)),
                new Text(known.Any() ? Names(known, group.HostCount) : ""));
        }

        MapView.WriteTable(console, table);
        if (fleet.GroupCount > MaxRows)
            console.Ansi.WriteLine($"{Number(fleet.GroupCount - MaxRows)} more groups start higher{(fleet.GroupCount <= FleetTally.MaxGroups ? " (--json has them)" : "")}.");
    }

    private static void PrintGuests(CommandConsole console, Fleet fleet)
    {
        Table table = MapView.NewTable("guest", "memory", "ends at", "too little memory", "no hole suits", "meets a window above 4 GiB", "such as");
        foreach (FleetGuestFit fit in fleet.Guests)
        {
            string end = fleet.HoleStart is { } start ? MapView.Hex(fit.Guest.EndOfMemory(start)) : "";
            table.AddRow(
                new Text(fit.Guest.Name),
                new Text(ByteSize.ToText(fit.Guest.MemoryKiB << 10)),
                new Text(end),
                new Text(Number(fit.TooLittleMemory)),
                new Text(fit.Guest.NeedsHole ? Number(fit.HoleTooLow) : "needs none"),
                new Text(Number(fit.MeetsHighWindow)),
                new Text(fit.FitsAll ? "fits every host" : Names(fit.Offenders, fit.Offenders.Length)));
        }

        MapView.WriteTable(console, table);
    }

    /// <summary>Rows are where the guest comes from, columns where it goes.</summary>
    private static void PrintMatrix(CommandConsole console, Fleet fleet, ImmutableArray<HostDemand> hosts, FleetGuest guest)
    {
        console.Ansi.WriteLine($"{guest.Name}: from a row's host to a column's: ● as it is, ○ with the fleet's hole, · never");
        int width = Math.Min(40, hosts.Max(static host => host.Name.Length));
        console.Ansi.WriteLine($"{new string(' ', width + 5)}{string.Concat(Enumerable.Range(1, hosts.Length).Select(static i => string.Create(CultureInfo.InvariantCulture, $"{i,3}")))}");
        for (int i = 0; i < hosts.Length; i++)
        {
            string cells = string.Concat(hosts.Select((to, k) => k == i ? "   " : guest.JudgeMove(hosts[i], to, fleet.HoleStart) switch
            {
                MoveVerdict.Never => "  ·",
                MoveVerdict.WithTheFleetsHole => "  ○",
                MoveVerdict.AsItIs => "  ●",
            }));
            string name = hosts[i].Name.Length > width ? $"…{hosts[i].Name[^(width - 1)..]}" : hosts[i].Name;
            console.Ansi.WriteLine($"{string.Create(CultureInfo.InvariantCulture, $"{i + 1,3}")}  {name.PadRight(width)}{cells}".TrimEnd());
        }

        console.Ansi.WriteLine();
    }

    /// <summary>The guests whose moves are judged; without any, one that needs a hole and fits everywhere.</summary>
    private static IEnumerable<FleetGuest> Movers(Fleet fleet) =>
        fleet.Guests.IsEmpty ? [new("any guest with a device", 0, 0, NeedsHole: true)] : fleet.Guests.Select(static fit => fit.Guest);

    private static string Names(IEnumerable<HostDemand> hosts, long count)
    {
        const int shown = 4;
        string[] first = [.. hosts.Take(shown).Select(static host => host.Name)];
        return string.Join(", ", first) + (count > first.Length ? $" and {Number(count - first.Length)} more" : "");
    }

    private static string PolicyOf(ulong start) => $"--policy hole-at:{MapView.Hex(HostHoles.RecommendedStart(start))}";

    private static string NameOf(DemandEvidence evidence) => evidence switch
    {
        DemandEvidence.Map => "map",
        DemandEvidence.Windows => "windows",
    };

    private static string Hosts(long count) => count == 1 ? "1 host" : $"{Number(count)} hosts";

    private static string Number(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    private sealed record GuestList(ImmutableArray<FleetGuest> Guests);

    /// <summary>One line on standard error, written over and over, and gone at the end. Only where somebody watches.</summary>
    private sealed class Progress(CommandConsole console)
    {
        private long _last = Stopwatch.GetTimestamp();
        private bool _isShown;

        public void Report(long hosts)
        {
            if (!console.IsErrorWatched || Stopwatch.GetElapsedTime(_last).TotalMilliseconds < ProgressMilliseconds)
                return;
            _last = Stopwatch.GetTimestamp();
            _isShown = true;
            console.ErrorWriter.Write($"\r{Number(hosts)} hosts…");
        }

        public void Clear()
        {
            if (_isShown)
                console.ErrorWriter.Write("\r\u001b[K");
        }
    }
}
