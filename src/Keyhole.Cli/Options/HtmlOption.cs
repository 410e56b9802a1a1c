// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Drawing;

namespace Keyhole.Cli.Options;

/// <summary><c>--html FILE</c>: the answer as one page that needs nothing else, besides the usual output.</summary>
internal sealed class HtmlOption(CommandConsole console)
{
    private readonly Option<string?> _file = new("--html")
    {
        Description = "Write the answer into this file as well, as one web page that needs nothing else: to read, to print, to attach to a report.",
        HelpName = "FILE",
    };

    public void AddTo(Command command) => command.Options.Add(_file);

    /// <summary>Writes the page if there is to be one. The error, or null.</summary>
    /// <param name="title">What was asked.</param>
    /// <param name="verdict">The answer in a sentence.</param>
    /// <param name="picture">Makes the SVG; null for an answer without one.</param>
    /// <param name="text">Writes the answer as the terminal would have it.</param>
    /// <param name="json">Writes the answer's JSON.</param>
    /// <param name="notes">Sentences that explain the verdict.</param>
    public InputError? Write(
        ParseResult parsed,
        string title,
        string verdict,
        bool isYes,
        Func<string>? picture,
        ImmutableArray<ProblemAnswer> problems,
        Action<CommandConsole> text,
        Action<CommandConsole> json,
        ImmutableArray<string> notes = default)
    {
        if (parsed.GetValue(_file) is not { } path)
            return null;
        var page = new HtmlPage
        {
            Folders = FoldersIn(parsed),
            Title = title,
            Verdict = verdict,
            IsYes = isYes,
            IsWarned = problems.Any(static problem => problem.Severity == Severity.Warning),
            Picture = picture?.Invoke(),
            Problems = problems,
            Notes = notes.IsDefault ? [] : notes,
            Text = Written(text, out AnswerWriter answer),
            Copies = [.. answer.Copies.Select(static copy => new HtmlCopy(copy.Where, string.Join('\n', copy.Lines)))],
            Tables = [.. answer.Tables.Select(static table => new HtmlTable(
                table.Caption, [.. table.Titles], [.. table.Titles.Select((_, column) => table.IsRight(column))],
                [.. table.Rows.Select(static row => row.Select(static cell => cell.Text).ToImmutableArray())]))],
            Json = Written(json, out _),
        };
        return Files.WriteWhole(path, Encoding.UTF8.GetBytes(page.ToHtml()), console.Patience);
    }

    /// <summary>The folders of files and folders that were named: they may name somebody, and a page is made to be passed on.</summary>
    private static ImmutableArray<string> FoldersIn(ParseResult parsed) =>
    [
        .. parsed.Tokens.Where(static token => token.Type == TokenType.Argument)
            .Select(static token => token.Value.TrimEnd('/'))
            .Where(static path => path.Contains('/', StringComparison.Ordinal) && (File.Exists(path) || Directory.Exists(path)))
            .Select(static path => path[..(path.LastIndexOf('/') + 1)])
            .Where(static folder => folder != "/" && !IsKnownToAll(folder))
            .Distinct()
            .OrderByDescending(static folder => folder.Length),
    ];

    /// <summary>What the kernel and the system have at a known place says nothing of anybody.</summary>
    private static bool IsKnownToAll(string folder) =>
        new[] { "/proc/", "/sys/", "/etc/", "/var/log/", "/boot/", "/usr/" }.Any(known => folder.StartsWith(known, StringComparison.Ordinal));

    private static string Written(Action<CommandConsole> write, out AnswerWriter answer)
    {
        using var bytes = new MemoryStream();
        using (var console = new CommandConsole(new(bytes, new UTF8Encoding(false), leaveOpen: true), TextWriter.Null, static () => Stream.Null,
            hasColours: false))
        {
            write(console);
            answer = console.Ansi;
        }

        return Encoding.UTF8.GetString(bytes.ToArray());
    }
}
