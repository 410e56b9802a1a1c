// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;

namespace Keyhole.Cli.Help;

/// <summary>
/// Examples in as many columns as there are. Each is written as a command and, behind two blanks or more, what it is for; where one of a text has no
/// room in a line, each of them stands above what it is for. A command goes on behind a backslash, as a shell reads it.
/// </summary>
internal static class ExampleLayout
{
    private const string CommandIndent = "  ";
    private const string WordsIndent = "      ";
    private const string GoesOn = " \\";

    public static string In(string text, int width)
    {
        string[] lines = [.. text.Trim('\n', '\r').ReplaceLineEndings("\n").Split('\n')];
        bool areApart = lines.Any(line => line.Length > width && Gap(line) > 0);
        return string.Join('\n', lines.SelectMany(line => Gap(line) is > 0 and int gap && areApart
            ? [.. Command(line[..gap], width), .. Words($"{WordsIndent}{line[gap..].TrimStart()}", width)]
            : line.Length <= width ? [line]
            : IsCommand(line) ? Command(line, width)
            : Words(line, width)));
    }

    private static bool IsCommand(string line) =>
        line.StartsWith(CommandIndent, StringComparison.Ordinal) && line.Length > CommandIndent.Length && line[CommandIndent.Length] != ' ';

    /// <summary>Where a command ends that has words behind it; 0 without any.</summary>
    private static int Gap(string line) =>
        IsCommand(line) ? int.Max(0, line.IndexOf("  ", CommandIndent.Length, StringComparison.Ordinal)) : 0;

    private static IEnumerable<string> Command(string line, int width) => Wrap(line, width - GoesOn.Length, WordsIndent, GoesOn);

    private static IEnumerable<string> Words(string line, int width) => Wrap(line, width, line[..^line.TrimStart().Length], "");

    private static IEnumerable<string> Wrap(string line, int width, string indent, string goesOn)
    {
        var made = new StringBuilder(line[..^line.TrimStart().Length]);
        int start = made.Length;
        foreach (string word in line.TrimStart().Split(' '))
        {
            if (made.Length > start && made.Length + 1 + word.Length > width)
            {
                yield return made.Append(goesOn).ToString();
                made.Clear().Append(indent);
                start = indent.Length;
            }

            made.Append(made.Length > start ? " " : "").Append(word);
        }

        yield return made.ToString();
    }
}
