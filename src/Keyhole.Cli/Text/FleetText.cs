// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Migration;

namespace Keyhole.Cli.Text;

/// <summary><c>fleet</c>'s answer in words.</summary>
internal static class FleetText
{
    /// <summary>Groups and hosts that a person reads.</summary>
    private const int MaxRows = 12;

    /// <summary>Hosts up to which the matrix of moves fits a screen.</summary>
    private const int MaxMatrix = 32;

    public static void Write(CommandConsole console, FleetAnswer answer)
    {
        Fleet fleet = answer.Fleet;
        string unreadable = fleet.UnreadableCount == 0 ? "" : $"; {Hosts(fleet.UnreadableCount)} could not be read, "
            + $"or what {(fleet.UnreadableCount == 1 ? "it needs" : "they need")} is not known";
        if (fleet.HostCount == 0)
        {
            console.Ansi.WriteLine($"No host could be judged: {Hosts(fleet.UnreadableCount)} could not be read, or lost lines of the map decide "
                + $"what {(fleet.UnreadableCount == 1 ? "it needs" : "they need")}.");
            foreach (string reason in answer.Unreadable.First)
                console.Ansi.WriteLine($"  {reason}");
            return;
        }

        console.Ansi.WriteLine(
            $"{Hosts(fleet.HostCount)}, {(fleet.WithWindowsCount == fleet.HostCount ? "all" : Number(fleet.WithWindowsCount))} "
                + $"with known device windows{unreadable}");
        foreach (FleetGuestAnswer guest in answer.Guests)
            WritePlacement(console, answer, guest);
        if (fleet.NeedsNoHole)
        {
            WritePlacements(console, answer);
            return;
        }

        WriteHole(console, answer);
        WriteRefusals(console, "A PV guest with a device", answer.NoDevices, answer.Hosts);
        foreach (FleetGuestAnswer guest in answer.Guests)
            WriteRefusals(console, $"{guest.Name} ({ByteSize.ToText(guest.MemoryKiB << 10)})", guest.Refused, answer.Hosts);
        WriteGroups(console, answer);
        if (!fleet.Guests.IsEmpty)
        {
            WriteGuests(console, answer.Guests, answer.NotJudged > 0);
            foreach (string lost in LowMemoryLost(answer))
                console.Ansi.WriteLine(lost);
        }

        MapView.WriteProblems(console, [.. answer.Guests.SelectMany(static guest => (guest.Problems ?? []).Select(
            problem => problem with { Message = $"{guest.Name}, on every host: {problem.Message}" }))]);
        WritePlacements(console, answer);
        if (fleet.Hosts is { Length: > 1 and <= MaxMatrix } hosts)
        {
            foreach (FleetGuest guest in FleetAnswer.Movers(fleet))
                WriteMatrix(console, fleet, hosts, guest);
        }
        else if (fleet.HostCount > 1)
        {
            console.Ansi.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"With the hole of the host that a guest started on it can take {fleet.ShareOfMovesAsTheyAre:0.0%} of the ways from one host to "
                    + $"another; with the fleet's hole, all between hosts that it suits."));
        }
    }

    /// <summary>On how many hosts a guest's firmware places all BARs, and why not on the others.</summary>
    private static void WritePlacement(CommandConsole console, FleetAnswer answer, FleetGuestAnswer guest)
    {
        if (guest.Placement is not { } placement)
            return;
        bool fitsAll = placement is { Fails: 0, NotKnown: 0 };
        console.Ansi.Write($"{guest.Name} ({ByteSize.ToText(guest.MemoryKiB << 10)}): ");
        console.Ansi.Write(
            fitsAll ? "every BAR has its place on every host" : $"every BAR has its place on {Number(placement.PlacesAll)} of {Hosts(answer.Hosts)}",
            fitsAll ? TextColour.Green : TextColour.Red);
        console.Ansi.WriteLine($"{(placement.NotKnown > 0 ? $", of {Number(placement.NotKnown)} it is not known" : "")}.");
        foreach (PlacementReasonAnswer reason in placement.Reasons.Take(MaxRows))
        {
            console.Ansi.WriteLine($"  {reason.Verdict} on {Hosts(reason.Hosts)} ({Names(reason.First, reason.Hosts)}): {reason.Why}");
            if (reason.Remedy is { } remedy)
                console.Ansi.WriteLine($"    remedy on {reason.First[0]}: {remedy}");
        }

        long more = placement.Reasons.Skip(MaxRows).Sum(static reason => reason.Hosts) + placement.OtherReasons;
        if (more > 0)
            console.Ansi.WriteLine($"  other reasons on {Hosts(more)}{(placement.OtherReasons == 0 ? " (--json has them)" : "")}");
        if (placement.WidthAssumed > 0)
        {
            console.Ansi.WriteLine(
                $"  {Hosts(placement.WidthAssumed)} {(placement.WidthAssumed == 1 ? "does" : "do")} not tell the width of physical addresses, which "
                    + $"this guest takes over: a usual one was assumed; a capture tells it");
        }
    }

    /// <summary>On how many hosts a guest is not even created, and why.</summary>
    private static void WriteRefusals(CommandConsole console, string guest, FleetRefusalsAnswer? refused, long hosts)
    {
        if (refused is null)
            return;
        console.Ansi.Write($"{guest} is not created on {Number(refused.Hosts)} of {Hosts(hosts)}", TextColour.Red);
        console.Ansi.WriteLine(".");
        foreach (PlacementReasonAnswer reason in refused.Reasons.Take(MaxRows))
        {
            console.Ansi.WriteLine($"  {reason.Verdict} on {Hosts(reason.Hosts)} ({Names(reason.First, reason.Hosts)}): {reason.Why}");
            if (reason.Remedy is { } remedy)
                console.Ansi.WriteLine($"    remedy on {reason.First[0]}: {remedy}");
        }

        long more = refused.Hosts - refused.Reasons.Take(MaxRows).Sum(static reason => reason.Hosts);
        if (more > 0)
            console.Ansi.WriteLine($"  other reasons on {Hosts(more)} (--json has them)");
    }

    /// <summary>A line for each host, a column for each guest whose firmware places BARs.</summary>
    private static void WritePlacements(CommandConsole console, FleetAnswer answer)
    {
        if (answer is not { Placements: { } placements, HostList: { Length: > 1 and <= MaxMatrix } hosts })
            return;
        FleetGuestAnswer[] guests = [.. answer.Guests.Where(static guest => guest.Placement is not null)];
        TextTable table = MapView.NewTable("Where every BAR has its place", ["host", .. guests.Select(static guest => guest.Name)]);
        for (int i = 0; i < hosts.Length; i++)
        {
            // Guest after guest, each with all hosts in their order.
            HostPlacementAnswer[] row = [.. placements.Where((_, at) => at % hosts.Length == i)];
            table.AddRow([MapView.Cell(hosts[i].Name), .. row.Select(static placement => Cell(placement.Verdict))]);
        }

        MapView.WriteTable(console, table);
    }

    private static TextCell Cell(string verdict) => verdict switch
    {
        HostPlacement.PlacesAll => MapView.Cell("yes", TextColour.Green),
        HostPlacement.NotKnown => MapView.Cell("not known", TextColour.Yellow),
        _ => MapView.Cell(verdict, TextColour.Red),
    };

    private static void WriteHole(CommandConsole console, FleetAnswer answer)
    {
        string lowest = ByteSize.ToText(FleetGuest.LowestHole);
        if (answer.HoleStart is not { } start)
        {
            console.Ansi.WriteLine($"No hole suits any of them: each has a device below {lowest}, where a guest's kernel must be.");
        }
        else if (answer.Policy is null)
        {
            console.Ansi.WriteLine("No host asks for a hole below 4 GiB.");
        }
        else
        {
            console.Ansi.Write($"The hole [{start}, 0x100000000) suits {(answer.Impossible == 0 ? "all" : "the others")}"
                + (answer.NotJudged == 0 ? "" : " that could be judged"), TextColour.Green);
            console.Ansi.WriteLine($": guests keep {ByteSize.ToText(start.Value)} of memory below it ({answer.Policy}).");
            string without = answer.HoleStartWithout is { } next ? $"; without them it could start at {next}" : "";
            console.Ansi.WriteLine($"Forced by {Hosts(answer.ForcedBy.Count)}: {Names(answer.ForcedBy.First, answer.ForcedBy.Count)}{without}.");
        }

        if (answer.Impossible > 0)
        {
            IEnumerable<HostDemandAnswer> hosts = answer.Worst.Where(static host => host.HoleStart.Value < FleetGuest.LowestHole);
            console.Ansi.WriteLine(
                $"No hole suits {Hosts(answer.Impossible)}: {Names(hosts, answer.Impossible)}; a device is below "
                    + $"{lowest}, where a guest's kernel must be.");
        }
    }

    private static void WriteGroups(CommandConsole console, FleetAnswer answer)
    {
        TextTable table = MapView.NewTable("Hosts by the hole they ask for", "hole from", "hosts", "of all", "such as");
        table.AlignRight(1);
        table.AlignRight(2);
        foreach (FleetGroupAnswer group in answer.Groups.Take(MaxRows))
        {
            HostDemandAnswer[] known = [.. (answer.HostList ?? answer.Worst).Where(host => host.HoleStart == group.HoleStart)];
            table.AddRow(
                MapView.Cell(group.HoleStart == Frames.FourGiB ? "none needed" : $"{group.HoleStart}"),
                MapView.Cell(Number(group.Hosts)),
                MapView.Cell(((double)group.Hosts / answer.Hosts).ToString("0.0%", CultureInfo.InvariantCulture)),
                MapView.Cell(known.Length > 0 ? Names(known, group.Hosts) : ""));
        }

        MapView.WriteTable(console, table);
        if (answer.GroupCount > MaxRows)
            console.Ansi.WriteLine(
                $"{Counted.Of(answer.GroupCount - MaxRows, "more group")} {(answer.GroupCount - MaxRows == 1 ? "starts" : "start")} higher"
                    + $"{(answer.GroupCount <= FleetTally.MaxGroups ? " (--json has them)" : "")}.");
    }

    private static void WriteGuests(CommandConsole console, ImmutableArray<FleetGuestAnswer> guests, bool hasNotJudged)
    {
        TextTable table = MapView.NewTable("Guests", "guest", "memory", "ends at", "too little memory", "no hole suits",
            "overlaps a window above 4 GiB", "such as");
        foreach (FleetGuestAnswer guest in guests)
        {
            table.AddRow(
                MapView.Cell(guest.Name),
                MapView.Cell(ByteSize.ToText(guest.MemoryKiB << 10)),
                MapView.Cell($"{guest.EndOfMemory}"),
                MapView.Cell(Number(guest.TooLittleMemory)),
                MapView.Cell(guest.NeedsHole ? Number(guest.HoleTooLow) : "needs none"),
                MapView.Cell(Number(guest.MeetsHighWindow)),
                MapView.Cell(guest.FitsAll ? hasNotJudged ? "fits every host judged" : "fits every host" : guest.Offenders.IsEmpty ? "see above"
                    : Names(guest.Offenders, guest.Offenders.Length)));
        }

        MapView.WriteTable(console, table);
    }

    /// <summary>For each guest that libxl's own map costs much on some hosts, a sentence.</summary>
    public static ImmutableArray<string> LowMemoryLost(FleetAnswer answer) =>
    [
        .. answer.Guests.Where(static guest => guest.LosesHalfOfLowMemory > 0).Select(static guest => string.Create(
            CultureInfo.InvariantCulture,
            $"{guest.Name}: on {Number(guest.LosesHalfOfLowMemory)} of {Hosts(guest.KnownToHaveMemory)} with its memory ("
                + $"{(double)guest.LosesHalfOfLowMemory / guest.KnownToHaveMemory:0%}) libxl's own map leaves it less than half of the low RAM "
                + $"that the host has for it (plan --policy punch keeps it).")),
    ];

    /// <summary>Rows are where the guest comes from, columns where it goes.</summary>
    private static void WriteMatrix(CommandConsole console, Fleet fleet, ImmutableArray<HostDemand> hosts, FleetGuest guest)
    {
        console.Ansi.WriteLine($"{guest.Name}: from a row's host to a column's: ● as it is, ○ with the fleet's hole, · never");
        int width = Math.Min(40, hosts.Max(static host => host.Name.Length));
        const int cellWidth = 3;
        int columns = Math.Max(1, (console.Ansi.Width - width - 5) / cellWidth);
        for (int first = 0; first < hosts.Length; first += columns)
        {
            int behind = Math.Min(hosts.Length, first + columns);
            IEnumerable<string> numbers = Enumerable.Range(first + 1, behind - first)
                .Select(static i => string.Create(CultureInfo.InvariantCulture, $"{i,3}"));
            console.Ansi.WriteLine($"{new string(' ', width + 5)}{string.Concat(numbers)}");
            for (int i = 0; i < hosts.Length; i++)
            {
                string cells = string.Concat(hosts[first..behind]
                .Select((to, k) => first + k == i ? "   " : guest.JudgeMove(hosts[i], to, fleet.HoleStart) switch
                {
                    MoveVerdict.Never => "  ·",
                    MoveVerdict.WithTheFleetsHole => "  ○",
                    MoveVerdict.AsItIs => "  ●",
                }));
                string name = hosts[i].Name.Length > width ? $"…{FileName(hosts[i].Name, width - 1)}" : hosts[i].Name;
                console.Ansi.WriteLine($"{string.Create(CultureInfo.InvariantCulture, $"{i + 1,3}")}  {name.PadRight(width)}{cells}".TrimEnd());
            }
        }

        console.Ansi.WriteLine();
    }

    /// <summary>Of a name that is too long: the file's, without its folders, or its end.</summary>
    private static string FileName(string name, int width)
    {
        string file = name[(name.LastIndexOf('/') + 1)..];
        return file.Length > width ? file[^width..] : file.Length == 0 ? name[^width..] : file;
    }

    private static string Names(IEnumerable<HostDemandAnswer> hosts, long count) => Names(hosts.Select(static host => host.Name), count);

    private static string Names(IEnumerable<string> hosts, long count)
    {
        const int shown = 4;
        string[] first = [.. hosts.Take(shown)];
        return string.Join(", ", first) + (count > first.Length ? $" and {Number(count - first.Length)} more" : "");
    }

    private static string Hosts(long count) => Counted.Of(count, "host");

    private static string Number(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);
}
