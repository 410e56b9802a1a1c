// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Cli.Text;

/// <summary>Maps as people look at them: tables and drawings, in the same colours.</summary>
internal static class MapView
{
    /// <summary>Rows that a drawing aims at: it fits a screen.</summary>
    private const int DrawingRows = 40;

    public static string Hex(ulong address) => string.Create(CultureInfo.InvariantCulture, $"0x{address:x}");

    public static TextColour ColourOf(E820Type? type) => type switch
    {
        null => TextColour.Grey,
        E820Type.Ram => TextColour.Green,
        E820Type.Unusable => TextColour.Grey,
        E820Type.Acpi or E820Type.Nvs => TextColour.Yellow,
        _ => TextColour.Red,
    };

    public static TextCell Cell(string text, TextColour colour = TextColour.None) => new(text, colour);

    public static TextCell TypeName(E820Type type) => Cell(E820TypeNames.NameOf(type), ColourOf(type));

    public static TextTable NewTable(string caption, params string[] columns) =>
        new(caption, columns, static column => column is "why" or "remedy" or "such as");

    /// <summary>A planned map as a table, with the reason for each entry.</summary>
    public static void WriteEntries(CommandConsole console, ImmutableArray<PlannedEntryAnswer> entries)
    {
        TextTable table = NewTable("The guest's map", "start", "end", "size", "type", "why");
        table.AlignRight(2);
        foreach (PlannedEntryAnswer entry in entries)
            table.AddRow(Cell($"{entry.Start}"), Cell($"{entry.End}"), Cell(SizeOf(entry.Start, entry.End)), TypeName(entry.Type), Cell(entry.Why));
        WriteTable(console, table);
    }

    /// <summary>A map as a table of start, end, size and type.</summary>
    public static void WriteMap(CommandConsole console, ImmutableArray<EntryAnswer> map)
    {
        TextTable table = NewTable("The map", "start", "end", "size", "type");
        table.AlignRight(2);
        foreach (EntryAnswer entry in map)
            table.AddRow(Cell($"{entry.Start}"), Cell($"{entry.End}"), Cell(SizeOf(entry.Start, entry.End)), TypeName(entry.Type));
        WriteTable(console, table);
    }

    /// <summary>An entry that runs past 2^64 ends below its start.</summary>
    private static string SizeOf(Hex start, Hex end) => ByteSize.ToText(unchecked(end.Value - start.Value));

    public static void WriteTable(CommandConsole console, TextTable table) => console.Ansi.Write(table);

    /// <summary>Maps side by side, as many as there is room for; the others below.</summary>
    public static void Draw(CommandConsole console, ImmutableArray<DrawnMap> maps)
    {
        int width = console.Ansi.Width;
        for (int first = 0, count; first < maps.Length; first += count)
        {
            for (count = maps.Length - first; count > 1 && !HaveRoom(maps.Slice(first, count), width); count--)
            {
            }

            if (first > 0)
                console.Ansi.WriteLine();
            DrawInARow(console, maps.Slice(first, count));
        }
    }

    private static bool HaveRoom(ImmutableArray<DrawnMap> maps, int width) => TextPainter.Paint(MapDrawing.LayOut(maps, DrawingRows), width)
        .All(line => line.Sum(static run => run.Text.Length) <= width);

    private static void DrawInARow(CommandConsole console, ImmutableArray<DrawnMap> maps)
    {
        foreach (ImmutableArray<TextRun> line in TextPainter.Paint(MapDrawing.LayOut(maps, DrawingRows), console.Ansi.Width))
        {
            foreach (TextRun run in line)
            {
                console.Ansi.Write(run.Text, run.Type is { } type && console.HasColours ? ColourOf(type) : TextColour.None);
            }

            console.Ansi.WriteLine();
        }
    }

    public static void WriteProblems(CommandConsole console, ImmutableArray<ProblemAnswer> problems)
    {
        int sharing = 0;
        for (int i = 0; i < problems.Length; i++)
        {
            ProblemAnswer problem = problems[i];
            (string word, TextColour colour) = problem.Severity switch
            {
                Severity.Info => ("info", TextColour.Blue),
                Severity.Warning => ("warning", TextColour.Yellow),
                Severity.Error => ("error", TextColour.Red),
            };
            string range = problem is { Start: { } start, End: { } end } ? $" [{start}, {end})" : problem.Start is { } at ? $" {at}" : "";
            console.Ansi.Write(word, colour);
            console.Ansi.WriteLine($" {problem.Code}{range}: {problem.Message}");
            // One remedy for several problems in a row stands behind the last of them.
            sharing = problem.Remedy is null ? 0 : sharing + 1;
            if (problem.Remedy is { } remedy && (i + 1 == problems.Length || problems[i + 1].Remedy != remedy))
            {
                string each = sharing > 1 && remedy.Split(' ', ',', ';', ':', '.').Any(static word => word is "it" or "its") ? "each of " : "";
                console.Ansi.WriteLine(sharing == 1 ? $"  remedy: {remedy}" : $"  remedy for {each}these {sharing}: {remedy}");
                sharing = 0;
            }
        }
    }
}
