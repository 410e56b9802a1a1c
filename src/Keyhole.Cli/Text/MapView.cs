// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.E820;
using Keyhole.Hosts;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Keyhole.Cli.Text;

/// <summary>Maps as people look at them: tables and drawings, in the same colours.</summary>
internal static class MapView
{
    /// <summary>Rows that a drawing aims at: it fits a screen.</summary>
    private const int DrawingRows = 40;

    public static string Hex(ulong address) => string.Create(CultureInfo.InvariantCulture, $"0x{address:x}");

    public static Color ColourOf(E820Type? type) => type switch
    {
        null => Color.Grey,
        E820Type.Ram => Color.Green,
        E820Type.Unusable => Color.Grey,
        E820Type.Acpi or E820Type.Nvs => Color.Yellow,
        _ => Color.Red,
    };

    /// <summary>A piece of text as it stands: Spectre's markup is not looked for in it, and it has gone through <see cref="ForeignText"/>.</summary>
    public static IRenderable Cell(string text, Color? colour = null) => new Spectre.Console.Text(ForeignText.OneLine(text), colour is { } known ? new Style(known) : null);

    public static IRenderable TypeName(E820Type type) => Cell(E820TypeNames.NameOf(type), ColourOf(type));

    public static Table NewTable(params string[] columns)
    {
        var table = new Table { Border = TableBorder.Simple };
        foreach (string column in columns)
            table.AddColumn(new TableColumn(Cell(column)) { NoWrap = column is not ("why" or "remedy" or "such as") });
        return table;
    }

    /// <summary>A planned map as a table, with the reason for each entry.</summary>
    public static void WriteEntries(CommandConsole console, ImmutableArray<PlannedEntryAnswer> entries)
    {
        Table table = NewTable("start", "end", "size", "type", "why");
        table.Columns[2].Alignment = Justify.Right;
        foreach (PlannedEntryAnswer entry in entries)
            table.AddRow(Cell($"{entry.Start}"), Cell($"{entry.End}"), Cell(SizeOf(entry.Start, entry.End)), TypeName(entry.Type), Cell(entry.Why));
        WriteTable(console, table);
    }

    /// <summary>A map as a table of start, end, size and type.</summary>
    public static void WriteMap(CommandConsole console, ImmutableArray<EntryAnswer> map)
    {
        Table table = NewTable("start", "end", "size", "type");
        table.Columns[2].Alignment = Justify.Right;
        foreach (EntryAnswer entry in map)
            table.AddRow(Cell($"{entry.Start}"), Cell($"{entry.End}"), Cell(SizeOf(entry.Start, entry.End)), TypeName(entry.Type));
        WriteTable(console, table);
    }

    /// <summary>An entry that runs past 2^64 ends below its start.</summary>
    private static string SizeOf(Hex start, Hex end) => ByteSize.ToText(unchecked(end.Value - start.Value));

    public static void WriteTable(CommandConsole console, Table table) => console.Ansi.Write(table);

    public static void Draw(CommandConsole console, ImmutableArray<DrawnMap> maps)
    {
        foreach (ImmutableArray<TextRun> line in TextPainter.Paint(MapDrawing.LayOut(maps, DrawingRows), console.Ansi.Width))
        {
            foreach (TextRun run in line)
            {
                console.Ansi.Write(run.Text, run.Type is { } type && console.HasColours ? ColourOf(type) : null);
            }

            console.Ansi.WriteLine();
        }
    }

    public static void WriteProblems(CommandConsole console, ImmutableArray<ProblemAnswer> problems)
    {
        for (int i = 0; i < problems.Length; i++)
        {
            ProblemAnswer problem = problems[i];
            (string word, Color colour) = problem.Severity switch
            {
                Severity.Info => ("info", Color.Blue),
                Severity.Warning => ("warning", Color.Yellow),
                Severity.Error => ("error", Color.Red),
            };
            string range = problem is { Start: { } start, End: { } end } ? $" [{start}, {end})" : problem.Start is { } at ? $" {at}" : "";
            console.Ansi.Write(word, colour);
            console.Ansi.WriteLine($" {problem.Code}{range}: {problem.Message}");
            // One remedy for several problems in a row stands behind the last of them.
            if (problem.Remedy is { } remedy && (i + 1 == problems.Length || problems[i + 1].Remedy != remedy))
                console.Ansi.WriteLine($"  remedy: {remedy}");
        }
    }
}
