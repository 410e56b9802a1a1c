// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.Logs;

namespace Keyhole.Cli.Text;

/// <summary><c>compare</c>'s answer in words.</summary>
internal static class ComparisonText
{
    /// <summary>Registers of a filter that are printed.</summary>
    private const int MaxRules = 6;

    public static void Write(CommandConsole console, ComparisonAnswer answer)
    {
        ComparisonRequest request = answer.Request;
        ImmutableArray<ComparedAnswer> policies = answer.Policies ?? [];
        console.Ansi.WriteLine($"host:   {request.Scenario.HostName}");
        if (answer.Settings is { } settings)
        {
            console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"guest:  {request.Scenario.Guest.VisibleName ?? "(no name)"}, {request.Scenario.Guest.MemoryKiB >> 10} MiB"));
            WriteSettings(console, answer, settings);
            return;
        }

        console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"guest:  {request.Scenario.Guest.VisibleName ?? "(no name)"}, {request.Scenario.Guest.MemoryKiB >> 10} MiB, figures for "
                + $"{KernelReleases.NameOf(request.Scenario.Kernel)}{(request.Scenario.IsKernelAssumed ? KernelOption.Assumed : "")}"));
        if (answer.BarRoom is { } room)
            console.Ansi.WriteLine($"room:   {Describe(room)}");
        if (!answer.Comparison.IsChoice)
        {
            console.Ansi.WriteLine(answer.Why);
            MapView.WriteProblems(console, policies[0].Problems);
            return;
        }

        List<string> columns = ["policy", "low RAM", "lost", "moved", "hypercalls", "boots"];
        bool hasWindows = policies.Any(static row => !row.Plan.Bars.IsEmpty);
        if (hasWindows)
            columns.Add("windows");
        if (!request.MigrateTo.IsEmpty)
            columns.Add("moves to");
        columns.Add("needs");
        TextTable table = MapView.NewTable("The policies side by side", [.. columns]);
        for (int i = 1; i <= 4; i++)
            table.AlignRight(i);
        foreach (ComparedAnswer row in policies)
        {
            List<string> cells =
            [
                row.Policy + (row.Policy == answer.Best ? " *" : ""),
                row.Plan.Entries.IsEmpty ? "no map" : Known(row, row.RamBelow4GiBKiB is { } low ? ByteSize.ToText(low << 10) : null),
                Known(row, row.LostPages is { } lost ? ByteSize.ToText(lost << Frames.Shift) : null),
                Known(row, row.RemappedPages is { } moved ? ByteSize.ToText(moved << Frames.Shift) : null),
                Known(row, row.HypercallCount?.ToString("#,0", CultureInfo.InvariantCulture)),
                Boots(row),
            ];
            if (hasWindows)
            {
                int claimed = (row.Bars ?? []).Count(static bar => bar is ComparedBarAnswer { Claimed: true });
                cells.Add(row.Bars is null ? "not known" : string.Create(CultureInfo.InvariantCulture, $"{claimed} of {row.Plan.Bars.Length}"));
            }

            if (!request.MigrateTo.IsEmpty)
                cells.Add(string.Create(CultureInfo.InvariantCulture,
                    $"{row.Migrations.Count(static migration => migration.Succeeds)} of {row.Migrations.Length}"));
            cells.Add(row.Needs switch
            {
                "nothing" => "",
                "installed-map" => "installed map",
                "changed-xen" => "another Xen",
                _ => "a filter",
            });
            table.AddRow([.. cells.Select(static cell => MapView.Cell(cell))]);
        }

        MapView.WriteTable(console, table);
        foreach (ComparedAnswer row in policies.Where(static row => row.Against is not null))
            console.Ansi.WriteLine($"against {row.Policy}: {row.Against}");
        if (policies.FirstOrDefault(static row => row.FilterPlaces is not null) is { } filtered)
            WriteFilter(console, filtered);
        if (policies.FirstOrDefault(row => row.Policy == answer.Best) is { } taken)
            WriteMigrations(console, taken);
        console.Ansi.WriteLine();
        // An error stands against every policy above; a doubt stands against none, and is the same for all.
        MapView.WriteProblems(console,
            [.. policies[0].Problems.Where(static problem => problem is { Code: ProblemCodes.LargerThanHost, Severity: Severity.Warning })]);
        console.Ansi.WriteLine($"{(answer.Best is { } best ? $"take {best}" : "no policy")}: {answer.Why}");
    }

    /// <summary>Settings of a machine that were tried, and the best one in the forms that the guest has.</summary>
    private static void WriteSettings(CommandConsole console, ComparisonAnswer answer, ImmutableArray<SettingAnswer> settings)
    {
        bool tellsMemory = settings.Any(static setting => setting.RamBelow4GiBKiB is not null);
        List<string> columns = ["setting", "outcome", "BARs without a place"];
        if (tellsMemory)
            columns.AddRange(["above 4 GiB", "RAM below 4 GiB"]);
        TextTable table = MapView.NewTable("The settings that were tried", [.. columns]);
        for (int i = 2; i < columns.Count; i++)
            table.AlignRight(i);
        foreach (SettingAnswer setting in settings)
        {
            List<string> cells = [setting.Setting + (setting.Setting == answer.Best ? " *" : ""), setting.Outcome,
                setting.Unplaced is not { } unplaced ? "not known" : setting.Outcome == "refused" ? "all"
                    : unplaced.ToString(CultureInfo.InvariantCulture)];
            if (tellsMemory)
            {
                cells.Add(setting.Above4GiB is { } above ? above.ToString(CultureInfo.InvariantCulture) : "");
                cells.Add(setting.RamBelow4GiBKiB is { } lowKiB ? ByteSize.ToText(lowKiB << 10) : "");
            }

            table.AddRow([.. cells.Select(static cell => MapView.Cell(cell))]);
        }

        MapView.WriteTable(console, table);
        console.Ansi.WriteLine();
        MapView.WriteProblems(console,
            [.. (answer.Policies ?? [])[0].Problems.Where(static problem => problem.Code is not (ProblemCodes.BarUnplaced
                or ProblemCodes.BarConflict or ProblemCodes.GuestDoesNotStart or ProblemCodes.NoSettingHelps))]);
        console.Ansi.WriteLine($"{(answer.Best is { } best ? $"take {best}" : "no setting")}: {answer.Why}");
        if (answer.Paste is not { } paste)
            return;
        WritePaste(console, "QEMU's arguments", paste.Qemu);
        WritePaste(console, "libvirt's XML", paste.Libvirt);
        WritePaste(console, "Proxmox VE's conf", paste.Proxmox);
        WritePaste(console, "the xl.cfg", paste.Xl);
        WritePaste(console, "XCP-ng's dom0", paste.XcpNg);
        if (paste.Beside is not { } beside)
            return;
        console.Ansi.WriteLine();
        console.Ansi.WriteLine($"with it: {beside}");
    }

    private static void WritePaste(CommandConsole console, string what, string? text)
    {
        if (text is null)
            return;
        console.Ansi.WriteLine();
        console.Ansi.WriteToCopy($"in {what}", text.Split('\n'));
    }

    /// <summary>What the windows need where they are placed again, and what they take where they lie.</summary>
    private static string Describe(BarRoomAnswer room)
    {
        List<string> parts = [];
        if (room.LowBytes != 0)
        {
            parts.Add(
                $"windows of 32 bits take {Size(room.LowBytes)}, aligned to {Size(room.LowAlignment)}: a hole of "
                    + $"{Size(room.SmallestLowHoleBytes)} below 4 GiB at least");
        }

        if (room.HighBytes != 0)
        {
            string hole = room.SmallestHoleForAllBytes is { } all ? $"all in one hole below 4 GiB would need {Size(all)}"
                : "no hole below 4 GiB holds them";
            parts.Add($"windows of 64 bits take {Size(room.HighBytes)}, aligned to {Size(room.HighAlignment)}: {hole}");
        }

        parts.Add(string.Create(CultureInfo.InvariantCulture, $"where they are now they reach up to {room.AddressBits} address bits"));
        return string.Join("; ", parts);
    }

    private static string Size(Hex bytes) => ByteSize.ToText(bytes.Value);

    /// <summary>What somebody who wants the policy would have to write, and what it would cost.</summary>
    private static void WriteFilter(CommandConsole console, ComparedAnswer row)
    {
        ImmutableArray<FilterRuleAnswer> rules = row.Filter ?? [];
        console.Ansi.WriteLine();
        console.Ansi.WriteLine($"{row.Policy} needs a filter of configuration-space reads, which nobody has written:");
        foreach (FilterRuleAnswer rule in rules.Take(MaxRules))
            console.Ansi.WriteLine(
                $"  {(rule.Register is { } offset ? $"register {offset}" : "virtual functions")}: {rule.Old} is to read "
                    + $"{rule.New}; without it: {rule.WithoutIt}");
        if (rules.Length > MaxRules)
            console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {rules.Length - MaxRules} more registers (--json has them)"));
        foreach (RangeAnswer window in (row.FilterHasNoRoomFor ?? []).Take(MaxRules))
            console.Ansi.WriteLine($"  no room in the hole for the window [{window.Start}, {window.End})");
        foreach (string place in row.FilterPlaces ?? [])
            console.Ansi.WriteLine($"  where: {place}");
        foreach (string cost in row.FilterCosts ?? [])
            console.Ansi.WriteLine($"  costs: {cost}");
    }

    /// <summary>Step by step for the policy that is recommended; where none is, the others' failures stand in the lines above.</summary>
    private static void WriteMigrations(CommandConsole console, ComparedAnswer row)
    {
        foreach (MigrationAnswer migration in row.Migrations)
        {
            console.Ansi.WriteLine();
            console.Ansi.WriteLine($"{row.Policy} to {migration.To}:");
            foreach (MigrationStepAnswer step in migration.Steps)
                console.Ansi.WriteLine($"  {step.Step,-8} {(step.Succeeded ? "" : "BREAKS: ")}{step.What}");
        }
    }

    private const string NotKnown = "not known";

    /// <summary>Nothing where there is no map to have figures of.</summary>
    private static string Known(ComparedAnswer row, string? figure) => figure ?? (row.Plan.Entries.IsEmpty ? "" : NotKnown);

    private static string Boots(ComparedAnswer row)
    {
        int count = row.Kernels.Count(static kernel => kernel.Value);
        bool areAllTold = row.Kernels.Count == KernelReleases.Named.Count || row.Plan.Entries.IsEmpty;
        if (count == row.Kernels.Count && (areAllTold || count == 0))
            return row.Plan.Entries.IsEmpty ? "" : areAllTold ? count == 0 ? "" : "all" : NotKnown;
        return count == 0 ? "none" : string.Join(' ',
            row.Kernels.Where(static kernel => kernel.Value).Select(static kernel => kernel.Key["linux-".Length..]));
    }
}
