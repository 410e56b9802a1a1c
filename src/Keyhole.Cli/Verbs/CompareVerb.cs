// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole compare</c>: every policy for one host and guest, side by side, and which to take.</summary>
internal static class CompareVerb
{
    /// <summary>Registers of a filter that are printed.</summary>
    private const int MaxRules = 6;

    public static Command Build(CommandConsole console)
    {
        var host = new HostSource();
        var guest = new GuestSource();
        var kernel = new Option<string?>("--kernel")
        {
            Description = $"The kernel that the figures are for: {string.Join(", ", KernelVersions.All.Select(KernelVersions.NameOf))}, or a release (default {KernelVersions.NameOf(KernelVersions.Default)}).",
            HelpName = "VERSION",
        };
        var hole = new Option<string?>("--hole") { Description = "Where the hole of hole-at starts (hex); the host's own hole if not given.", HelpName = "ADDR" };
        var migrateTo = new Option<string[]>("--migrate-to")
        {
            Description = "Another host that the guest is to move to: a source of a memory map, as --host takes it. May be given again.",
            HelpName = "FILE",
        };
        var migrateBar = new Option<string[]>("--migrate-bar")
        {
            Description = "A window of the device on the other hosts, as A-B; without it the whole hole there has to be free. May be given again.",
            HelpName = "A-B",
        };
        var ballooned = new Option<ulong?>("--ballooned") { Description = "Memory that the guest has given back before it moves to the other hosts.", HelpName = "MiB" };
        var consultMap = new Option<bool>("--consult-map") { Description = "The guest asks for its map again on the other host; Linux keeps that of its first boot." };
        var svg = new SvgOption();
        var json = new Option<bool>("--json") { Description = "One JSON document on standard output." };
        var command = new Command("compare", "Compare all policies for one host and guest, and recommend one.") { kernel, hole, migrateTo, migrateBar, ballooned, consultMap, json };
        svg.AddTo(command);
        host.AddTo(command);
        guest.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole compare --host xen.log --guest guest.cfg
              keyhole compare --host xen.log --memory 3072 --bar febc0000-febe0000
              keyhole compare --host xen.log --guest guest.cfg --svg policies.svg              all maps side by side, as a picture
              keyhole compare --host a.log --memory 3072 --migrate-to b.log                   with a hole that suits both?
              keyhole compare --host a.log --memory 3072 --hole 40000000 --migrate-to b.log
            """);
        command.SetAction(parsed =>
        {
            if (!Read(parsed, console, host, guest, parsed.GetValue(kernel), parsed.GetValue(hole), parsed.GetValue(migrateTo) ?? [], parsed.GetValue(migrateBar) ?? [])
                .TryGet(out ComparisonRequest? request, out InputError? error))
            {
                return console.Fail(error);
            }

            if (Move(parsed.GetValue(ballooned), parsed.GetValue(consultMap), request).TryGet(out ComparisonRequest? moving, out error))
                request = moving;
            else
                return console.Fail(error);
            PolicyComparison comparison = PolicyComparer.Compare(request);
            if (svg.Write(parsed, () => Pictures.OfComparison(request.Scenario.Host, comparison)) is { } unwritten)
                return console.Fail(unwritten);
            if (parsed.GetValue(json))
                JsonText.Write(console, writer => WriteJson(writer, comparison));
            else
                Print(console, request, comparison);
            bool isNo = comparison.IsChoice ? comparison.Best is null : comparison.Policies[0].Plan.HasErrors;
            return isNo ? ExitStatus.No : ExitStatus.Yes;
        });
        return command;
    }

    public static void WriteJson(Utf8JsonWriter writer, PolicyComparison comparison)
    {
        writer.WriteStartArray("policies");
        foreach (ComparedPolicy row in comparison.Policies)
        {
            writer.WriteStartObject();
            PlanVerb.WriteJson(writer, row.Forecast is { } boot ? row.Plan with { Problems = boot.ProblemsWith(row.Plan) } : row.Plan);
            writer.WriteString("needs", NameOf(row.Policy.Traits.Needs));
            if (row.Forecast is { } forecast)
            {
                writer.WriteString("kernel", KernelVersions.NameOf(forecast.Request.Kernel));
                writer.WriteString("outcome", GuestOutcomes.NameOf(forecast.Outcome));
                if (forecast.Message is { } message)
                    writer.WriteString("message", message);
                writer.WriteNumber("releasedPages", forecast.ReleasedPages);
                writer.WriteNumber("remappedPages", forecast.RemappedPages);
                writer.WriteNumber("populatedPages", forecast.PopulatedPages);
                writer.WriteNumber("lostPages", row.LostPages);
                writer.WriteNumber("hypercallCount", row.HypercallCount);
            }

            writer.WriteStartObject("kernels");
            foreach ((KernelVersion kernel, bool boots) in row.Kernels)
                writer.WriteBoolean(KernelVersions.NameOf(kernel), boots);
            writer.WriteEndObject();
            WriteBars(writer, row);
            writer.WriteStartArray("migrations");
            foreach (MigrationResult migration in row.Migrations)
                WriteMigration(writer, migration);
            writer.WriteEndArray();
            if (row.Against is { } against)
                writer.WriteString("against", against);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (comparison.Room is { } room)
            WriteRoom(writer, room);
        if (comparison.Best is { } best)
            writer.WriteString("best", best.Policy.Name);
        else
            writer.WriteNull("best");
        writer.WriteString("why", comparison.Why);
    }

    private static void WriteRoom(Utf8JsonWriter writer, BarRoom room)
    {
        writer.WriteStartObject("barRoom");
        writer.WriteAddress("lowBytes", room.LowBytes);
        writer.WriteAddress("lowAlignment", room.LowAlignment);
        writer.WriteAddress("highBytes", room.HighBytes);
        writer.WriteAddress("highAlignment", room.HighAlignment);
        writer.WriteAddress("smallestLowHoleBytes", room.SmallestLowHoleBytes);
        if (room.SmallestHoleForAllBytes is { } all)
            writer.WriteAddress("smallestHoleForAllBytes", all);
        else
            writer.WriteNull("smallestHoleForAllBytes");
        writer.WriteNumber("addressBits", room.AddressBitsNow);
        writer.WriteEndObject();
    }

    private static void WriteBars(Utf8JsonWriter writer, ComparedPolicy row)
    {
        writer.WriteStartArray("bars");
        foreach (BarVerdict verdict in row.Forecast is { } forecast ? forecast.Bars : [])
        {
            writer.WriteStartObject();
            writer.WriteRange(verdict.Bar.Start, verdict.Bar.End);
            writer.WriteBoolean("identity", verdict.IsIdentity);
            writer.WriteBoolean("claimed", verdict.CanBeClaimed);
            if (verdict.Conflict is { } conflict)
            {
                writer.WriteStartObject("conflict");
                writer.WriteEntry(conflict);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (!row.Policy.Traits.NeedsFilter)
            return;
        ConfigurationFilter filter = FilterFor(row);
        writer.WriteStartArray("filter");
        foreach (FilterRule rule in filter.Rules)
        {
            writer.WriteStartObject();
            if (rule.RegisterOffset is { } offset)
                writer.WriteString("register", string.Create(CultureInfo.InvariantCulture, $"0x{offset:x}"));
            writer.WriteAddress("old", rule.Old);
            writer.WriteAddress("new", rule.New);
            writer.WriteString("withoutIt", rule.WithoutIt);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (filter.Rules.IsEmpty && filter.Homeless.IsEmpty)
            return;
        writer.WriteStartArray("filterHasNoRoomFor");
        foreach (Bar bar in filter.Homeless)
        {
            writer.WriteStartObject();
            writer.WriteRange(bar.Start, bar.End);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        WriteTexts(writer, "filterPlaces", ConfigurationFilter.Places);
        WriteTexts(writer, "filterBurdens", ConfigurationFilter.Burdens);
    }

    private static ConfigurationFilter FilterFor(ComparedPolicy row) => ConfigurationFilter.Of(row.Plan.Bars, [.. row.Plan.Entries.Select(static planned => planned.Entry)]);

    private static void WriteTexts(Utf8JsonWriter writer, string name, ImmutableArray<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (string text in texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
    }

    private static void WriteMigration(Utf8JsonWriter writer, MigrationResult migration)
    {
        writer.WriteStartObject();
        writer.WriteString("to", migration.Request.To.Name);
        writer.WriteBoolean("succeeds", migration.Succeeded);
        writer.WriteNumber("movedPages", migration.MovedPages);
        writer.WriteStartArray("steps");
        foreach (MigrationStep step in migration.Steps)
        {
            writer.WriteStartObject();
            writer.WriteString("step", step.Name);
            writer.WriteBoolean("succeeded", step.Succeeded);
            writer.WriteString("what", step.What);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static string NameOf(PolicyNeeds needs) => needs switch
    {
        PolicyNeeds.Nothing => "nothing",
        PolicyNeeds.InstalledMap => "installed-map",
        PolicyNeeds.ChangedXen => "changed-xen",
        PolicyNeeds.ConfigurationFilter => "configuration-filter",
    };

    private static Parsed<ComparisonRequest> Move(ulong? balloonedMiB, bool consultsMap, ComparisonRequest request)
    {
        if (request.MigrateTo.IsEmpty && (balloonedMiB is not null || consultsMap))
            return new InputError(consultsMap ? "--consult-map" : "--ballooned", null, "there is no other host", "name it with --migrate-to");
        ulong memoryMiB = request.Scenario.Guest.MemoryKiB >> 10;
        if (balloonedMiB >= memoryMiB)
            return new InputError("--ballooned", null, $"{balloonedMiB} MiB are all that the guest has", $"give less than {memoryMiB}");
        return request with { BalloonedPages = (balloonedMiB ?? 0) << (20 - Frames.Shift), Resume = consultsMap ? ResumeMode.ConsultsMap : ResumeMode.KeepsP2m };
    }

    private static Parsed<ComparisonRequest> Read(
        ParseResult parsed,
        CommandConsole console,
        HostSource hostSource,
        GuestSource guestSource,
        string? kernelName,
        string? hole,
        string[] migrateTo,
        string[] migrateBars)
    {
        KernelVersion kernel = KernelVersions.Default;
        if (kernelName is not null && !KernelVersions.TryParse(kernelName, out kernel) && !KernelVersions.TryFromRelease(kernelName, out kernel))
            return new InputError("--kernel", null, $"{InputError.Quote(kernelName)} is no Linux that is known", $"take one of {string.Join(' ', KernelVersions.All.Select(KernelVersions.NameOf))}, or a release such as 6.12.3");
        ImmutableArray<IHolePolicy> policies = Policies.All;
        if (hole is not null)
        {
            if (Policies.WithHoleAt(hole, out policies) is { } bad)
                return bad;
        }

        if (!guestSource.Read(parsed, console).TryGet(out Guests.GuestSpec? guest, out InputError? error))
            return error;
        if (!guestSource.ReadBars(parsed, console, guest).TryGet(out BarList? bars, out error))
            return error;
        List<Bar> otherBars = [];
        foreach (string range in migrateBars)
        {
            if (!Bar.ParseRange(range, "--migrate-bar").TryGet(out Bar? bar, out error))
                return error;
            otherBars.Add(bar);
        }

        if (otherBars.Count > 0 && migrateTo.Length == 0)
            return new InputError("--migrate-bar", null, "there is no other host", "name it with --migrate-to");
        if (!hostSource.Read(parsed, console).TryGet(out HostMemoryMap? host, out error))
            return error;
        List<MigrationHost> others = [];
        foreach (string path in migrateTo)
        {
            if (!HostSource.ReadOther(path, console).TryGet(out HostMemoryMap? other, out error))
                return error;
            if (other.RamShown != RamShown.All)
                console.Remark($"{Files.Shown(path)} may not show all of that host's RAM: a move there is judged by what it shows");
            others.Add(new(Files.Shown(path), other, [.. otherBars]));
        }

        return new ComparisonRequest
        {
            Scenario = new() { Host = host, Guest = guest, Bars = bars.Bars, Kernel = kernel },
            MigrateTo = [.. others],
            Policies = policies,
        };
    }

    private static void Print(CommandConsole console, ComparisonRequest request, PolicyComparison comparison)
    {
        console.Ansi.WriteLine($"host:   {request.Scenario.Host.Description}");
        console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"guest:  {request.Scenario.Guest.Name ?? "(no name)"}, {request.Scenario.Guest.MemoryKiB >> 10} MiB, figures for {KernelVersions.NameOf(request.Scenario.Kernel)}"));
        if (comparison.Room is { } room)
            console.Ansi.WriteLine($"room:   {Describe(room)}");
        if (!comparison.IsChoice)
        {
            console.Ansi.WriteLine(comparison.Why);
            MapView.WriteProblems(console, comparison.Policies[0].Plan.Problems);
            return;
        }

        List<string> columns = ["policy", "low RAM", "lost", "moved", "hypercalls", "boots"];
        bool hasWindows = comparison.Policies.Any(static row => !row.Plan.Bars.IsEmpty);
        if (hasWindows)
            columns.Add("windows");
        if (!request.MigrateTo.IsEmpty)
            columns.Add("moves to");
        columns.Add("needs");
        Table table = MapView.NewTable([.. columns]);
        for (int i = 1; i <= 4; i++)
            table.Columns[i].Alignment = Justify.Right;
        foreach (ComparedPolicy row in comparison.Policies)
        {
            List<Text> cells =
            [
                new(row.Policy.Name + (row == comparison.Best ? " *" : "")),
                new(row.Plan.Entries.IsEmpty ? "no map" : ByteSize.ToText(row.LowMemoryKiB << 10)),
                new(ByteSize.ToText(row.LostPages << Frames.Shift)),
                new(ByteSize.ToText((row.Forecast?.RemappedPages ?? 0) << Frames.Shift)),
                new(row.HypercallCount.ToString("#,0", CultureInfo.InvariantCulture)),
                new(Boots(row)),
            ];
            if (hasWindows)
                cells.Add(new(string.Create(CultureInfo.InvariantCulture, $"{row.ClaimedBars} of {row.Plan.Bars.Length}")));
            if (!request.MigrateTo.IsEmpty)
                cells.Add(new(string.Create(CultureInfo.InvariantCulture, $"{row.Migrations.Count(static migration => migration.Succeeded)} of {row.Migrations.Length}")));
            cells.Add(new(row.Policy.Traits.Needs switch
            {
                PolicyNeeds.Nothing => "",
                PolicyNeeds.InstalledMap => "installed map",
                PolicyNeeds.ChangedXen => "another Xen",
                PolicyNeeds.ConfigurationFilter => "a filter",
            }));
            table.AddRow(cells);
        }

        MapView.WriteTable(console, table);
        foreach (ComparedPolicy row in comparison.Policies.Where(static row => row.Against is not null))
            console.Ansi.WriteLine($"against {row.Policy.Name}: {row.Against}");
        PrintFilter(console, comparison);
        PrintMigrations(console, comparison);
        console.Ansi.WriteLine();
        // An error stands against every policy above; a doubt stands against none, and is the same for all.
        MapView.WriteProblems(console, [.. comparison.Policies[0].Plan.Problems.Where(static problem => problem is { Code: ProblemCodes.LargerThanHost, Severity: Severity.Warning })]);
        console.Ansi.WriteLine($"{(comparison.Best is { } best ? $"take {best.Policy.Name}" : "no policy")}: {comparison.Why}");
    }

    /// <summary>What the windows need where they are placed anew, and what they take where they lie.</summary>
    private static string Describe(BarRoom room)
    {
        List<string> parts = [];
        if (room.LowBytes != 0)
            parts.Add($"windows of 32 bits take {ByteSize.ToText(room.LowBytes)}, aligned to {ByteSize.ToText(room.LowAlignment)}: a hole of {ByteSize.ToText(room.SmallestLowHoleBytes)} below 4 GiB at least");
        if (room.HighBytes != 0)
        {
            string hole = room.SmallestHoleForAllBytes is { } all ? $"all in one hole below 4 GiB would need {ByteSize.ToText(all)}" : "no hole below 4 GiB holds them";
            parts.Add($"windows of 64 bits take {ByteSize.ToText(room.HighBytes)}, aligned to {ByteSize.ToText(room.HighAlignment)}: {hole}");
        }

        parts.Add(string.Create(CultureInfo.InvariantCulture, $"where they lie now they reach up to {room.AddressBitsNow} address bits"));
        return string.Join("; ", parts);
    }

    /// <summary>What somebody who wants hole-3g would have to write, and what it would cost.</summary>
    private static void PrintFilter(CommandConsole console, PolicyComparison comparison)
    {
        if (comparison.Policies.FirstOrDefault(static row => row.Policy.Traits.NeedsFilter) is not { } row)
            return;
        ConfigurationFilter filter = FilterFor(row);
        if (filter.Rules.IsEmpty && filter.Homeless.IsEmpty)
            return;
        console.Ansi.WriteLine();
        console.Ansi.WriteLine($"{row.Policy.Name} needs a filter of configuration-space reads, which nobody has written:");
        foreach (FilterRule rule in filter.Rules.Take(MaxRules))
        {
            string register = rule.RegisterOffset is { } offset ? string.Create(CultureInfo.InvariantCulture, $"register 0x{offset:x}") : "virtual functions";
            console.Ansi.WriteLine($"  {register}: {MapView.Hex(rule.Old)} is to read {MapView.Hex(rule.New)}; without it: {rule.WithoutIt}");
        }

        if (filter.Rules.Length > MaxRules)
            console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {filter.Rules.Length - MaxRules} more registers (--json has them)"));
        foreach (Bar bar in filter.Homeless.Take(MaxRules))
            console.Ansi.WriteLine($"  no room in the hole for the window [{MapView.Hex(bar.Start)}, {MapView.Hex(bar.End)})");
        foreach (string place in ConfigurationFilter.Places)
            console.Ansi.WriteLine($"  where: {place}");
        foreach (string burden in ConfigurationFilter.Burdens)
            console.Ansi.WriteLine($"  burden: {burden}");
    }

    /// <summary>Step by step for the policy that is recommended; where none is, the others' failures stand in the lines above.</summary>
    private static void PrintMigrations(CommandConsole console, PolicyComparison comparison)
    {
        if (comparison.Best is not { } best)
            return;
        foreach (MigrationResult migration in best.Migrations)
        {
            console.Ansi.WriteLine();
            console.Ansi.WriteLine($"{best.Policy.Name} to {migration.Request.To.Name}:");
            foreach (MigrationStep step in migration.Steps)
                console.Ansi.WriteLine($"  {step.Name,-8} {(step.Succeeded ? "" : "BREAKS: ")}{step.What}");
        }
    }

    private static string Boots(ComparedPolicy row)
    {
        int count = row.Kernels.Count(static kernel => kernel.Boots);
        if (count == row.Kernels.Length)
            return count == 0 ? "" : "all";
        return count == 0 ? "none" : string.Join(' ', row.Kernels.Where(static kernel => kernel.Boots).Select(static kernel => KernelVersions.NameOf(kernel.Kernel)["linux-".Length..]));
    }
}
