// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using Keyhole.Answers;
using Keyhole.Diagnostics;

namespace Keyhole.Drawing;

/// <summary>
/// An answer as one self-contained HTML page: the verdict first, the problems with their remedies ready to copy, the picture, tables that fold, then
/// the whole answer as text to paste elsewhere and as JSON. No script, nothing from the network; light or dark as the reader's screen is, light on
/// paper. Everything foreign is escaped.
/// </summary>
public sealed record HtmlPage
{
    private const string Style = """
        :root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--soft:#f2f2f2;--rule:#767676;--bad:#a40000;--warn:#7a4b00;--good:#00602b}
        @media (prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#16181b;--soft:#24272b;--rule:#8f8f8f;--bad:#ff9d94;--warn:#ffc46b;--good:#7fd9a2}}
        @media print{:root{color-scheme:light;--ink:#000;--paper:#fff;--soft:#f2f2f2;--bad:#a40000;--warn:#7a4b00;--good:#00602b}details::details-content{content-visibility:visible;display:block}}
        body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:75rem;margin:0 auto;padding:1rem}
        h1{font-size:1.2rem}.verdict{font-size:1.4rem;overflow-wrap:anywhere;font-weight:bold;border-left:.4rem solid;padding:.3rem .8rem;margin:1rem 0}
        .error{color:var(--bad)}.warning{color:var(--warn)}.yes{color:var(--good)}
        img{background:var(--paper)}@media print{img{max-width:100%;height:auto}}pre{background:var(--soft);padding:.8rem;overflow-x:auto;font-size:.85rem}
        table{border-collapse:collapse;width:100%}th,td{border:1px solid var(--rule);padding:.3rem .6rem;text-align:left;vertical-align:top}.problems td:nth-child(2){overflow-wrap:anywhere}
        h2{font-size:1.05rem;margin:1.4rem 0 .4rem}h3{font-size:.95rem;margin:.6rem 0 .2rem}.wide{overflow-x:auto}.answer{width:auto;font-size:.9rem}.answer td,.answer th{padding:.15rem .6rem}.number{text-align:right;white-space:nowrap}.range{white-space:nowrap}
        @media (max-width:40rem){.problems .range{white-space:normal}.problems th,.problems td{padding:.2rem .35rem}}
        .copy{user-select:all}details{margin:.8rem 0}tr{break-inside:avoid}:focus-visible{outline:2px solid;outline-offset:2px}
        code,td.range{font-family:ui-monospace,monospace}summary{cursor:pointer;font-weight:bold;padding:.4rem 0}
        """;

    /// <summary>Folders, each with its last slash, that are left out wherever the page names a file in them: a page is passed on.</summary>
    public ImmutableArray<string> Folders { get; init => field = Given.Array(value); } = [];

    /// <summary>The verb and what it was asked about.</summary>
    public required string Title { get; init; }

    /// <summary>The answer in one line.</summary>
    public required string Verdict { get; init; }

    /// <summary>Whether the verdict is a yes, or an answer to no question.</summary>
    public required bool IsYes { get; init; }

    /// <summary>Whether a yes comes with a warning: it is told in the colour of one.</summary>
    public bool IsWarned { get; init; }

    /// <summary>A whole SVG document; null for an answer without a picture.</summary>
    public string? Picture { get; init; }

    /// <summary>Problems that are shown below the verdict.</summary>
    public ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); } = [];

    /// <summary>Sentences that explain the verdict.</summary>
    public ImmutableArray<string> Notes { get; init => field = Given.Array(value); } = [];

    /// <summary>Texts that can be copied with one click.</summary>
    public ImmutableArray<HtmlCopy> Copies { get; init => field = Given.Array(value); } = [];

    /// <summary>Tables, which fold.</summary>
    public ImmutableArray<HtmlTable> Tables { get; init => field = Given.Array(value); } = [];

    /// <summary>The answer as the terminal has it.</summary>
    public required string Text { get; init; }

    /// <summary>The answer as scripts have it.</summary>
    public required string Json { get; init; }

    /// <summary>The page, whole: it loads nothing. Text of others is escaped.</summary>
    public string ToHtml()
    {
        var page = new StringBuilder(Text.Length + Json.Length + ((Picture?.Length ?? 0) * 4 / 3) + 4096);
        page.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
            + "name=\"viewport\" content=\"width=device-width\">\n");
        // A second wall behind the escaping: a browser that minds it runs and fetches nothing.
        page.Append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
            + "'unsafe-inline'\">\n<link rel=\"icon\" href=\"data:,\">\n");
        string title = Shown(Title);
        page.Append(CultureInfo.InvariantCulture,
            $"<title>{title}</title>\n<style>\n{Style}\n</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n");
        page.Append(CultureInfo.InvariantCulture,
            $"<p class=\"verdict {(!IsYes ? "error" : IsWarned ? "warning" : "yes")}\">{Shown(Verdict)}</p>\n");
        foreach (string note in Notes)
            page.Append(CultureInfo.InvariantCulture, $"<p>{Shown(note)}</p>\n");
        WriteProblems(page);
        if (!Copies.IsEmpty)
            page.Append("<h2>Ready to copy</h2>\n");
        foreach (HtmlCopy copy in Copies)
            page.Append(CultureInfo.InvariantCulture,
                $"<h3>{Escape(copy.Where)}</h3>\n<pre class=\"copy\" tabindex=\"0\" role=\"region\" aria-label=\""
                    + $"{Escape(copy.Where)}\">{Escape(copy.Text)}</pre>\n");
        if (Picture is not null)
        {
            string picture = Convert.ToBase64String(Encoding.UTF8.GetBytes(FileNames.Without(Folders, Picture)));
            page.Append(CultureInfo.InvariantCulture,
                $"<section>\n<h2>Picture</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Picture\">\n"
                    + $"<img alt=\"The answer drawn; tables and text below say the same in words\" "
                    + $"src=\"data:image/svg+xml;base64,{picture}\">\n</div>\n</section>\n");
        }

        foreach (HtmlTable table in Tables)
            WriteTable(page, table);
        page.Append(CultureInfo.InvariantCulture,
            $"<details>\n<summary>Everything, as text to paste</summary>\n<pre tabindex=\"0\" role=\"region\" aria-label=\"The answer as "
                + $"text\">{Shown(Text)}</pre>\n</details>\n");
        page.Append(CultureInfo.InvariantCulture,
            $"<details>\n<summary>Everything, as JSON for scripts</summary>\n<pre tabindex=\"0\" role=\"region\" aria-label=\"The answer as "
                + $"JSON\">{Shown(Json)}</pre>\n</details>\n");
        return page.Append("</main>\n</body>\n</html>\n").ToString();
    }

    private void WriteProblems(StringBuilder page)
    {
        if (Problems.IsEmpty)
            return;
        bool hasPlaces = Problems.Any(static problem => problem.Start is not null);
        page.Append("<section>\n<h2>Problems and remedies</h2>\n<table class=\"problems\" aria-label=\"Problems and remedies\">\n<thead><tr><th "
            + "scope=\"col\">severity</th><th scope=\"col\">problem</th>");
        page.Append(hasPlaces ? "<th scope=\"col\">where</th></tr></thead>\n<tbody>\n" : "</tr></thead>\n<tbody>\n");
        // The worst first; the text has them as they were found.
        foreach (ProblemAnswer problem in Problems.OrderByDescending(static problem => problem.Severity))
        {
            string severity = problem.Severity switch
            {
                Severity.Error => "error",
                Severity.Warning => "warning",
                Severity.Info => "info",
            };
            page.Append(CultureInfo.InvariantCulture,
                $"<tr><td class=\"{severity}\">{severity}</td><td><code>{Escape(problem.Code)}</code>: {Shown(problem.Message)}");
            if (problem.Remedy is { } remedy)
                page.Append(CultureInfo.InvariantCulture, $"<br>Remedy: <strong class=\"copy\">{Escape(remedy)}</strong>");
            string where = problem is { Start: { } start, End: { } end } ? $"[{start}, {end})" : problem.Start is { } at ? $"{at}" : "";
            page.Append("</td>");
            if (hasPlaces)
                page.Append(CultureInfo.InvariantCulture, $"<td class=\"range\">{Escape(where)}</td>");
            page.Append("</tr>\n");
        }

        page.Append("</tbody>\n</table>\n</section>\n");
    }

    /// <summary>What is shown of a text.</summary>
    private string Shown(string text) => Escape(FileNames.Without(Folders, text));

    private void WriteTable(StringBuilder page, HtmlTable table)
    {
        string caption = Shown(table.Caption);
        page.Append(CultureInfo.InvariantCulture,
            $"<details open>\n<summary>{caption}</summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n<table "
                + $"class=\"answer\" aria-label=\"{caption}\">\n<thead><tr>");
        foreach (string column in table.Columns)
            page.Append(column.Length == 0 ? "<td></td>" : $"<th scope=\"col\">{Shown(column)}</th>");
        page.Append("</tr></thead>\n<tbody>\n");
        foreach (ImmutableArray<string> row in table.Rows)
        {
            page.Append("<tr>");
            for (int i = 0; i < row.Length; i++)
            {
                string look = table.IsNumber[i] ? " class=\"number\""
                    : row[i].StartsWith("0x", StringComparison.Ordinal) ? " class=\"range\"" : "";
                page.Append(CultureInfo.InvariantCulture, $"<td{look}>{Shown(row[i])}</td>");
            }

            page.Append("</tr>\n");
        }

        page.Append("</tbody>\n</table>\n</div>\n</details>\n");
    }

    /// <summary>Text for any place in the page. What <see cref="ForeignText"/> does not show is U+FFFD.</summary>
    internal static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length + 16);
        foreach (Rune rune in text.EnumerateRunes())
        {
            _ = rune.Value switch
            {
                '&' => escaped.Append("&amp;"),
                '<' => escaped.Append("&lt;"),
                '>' => escaped.Append("&gt;"),
                '"' => escaped.Append("&quot;"),
                '\'' => escaped.Append("&#39;"),
                '\n' or '\t' => escaped.Append((char)rune.Value),
                _ => escaped.Append(ForeignText.IsHidden(rune) ? Rune.ReplacementChar : rune),
            };
        }

        return escaped.ToString();
    }
}

/// <summary>A table of an answer.</summary>
/// <param name="Caption">What it is.</param>
/// <param name="Columns">Titles; one may be empty.</param>
/// <param name="IsNumber">For each column, whether it holds numbers.</param>
/// <param name="Rows">For each row, a text for each column.</param>
public sealed record HtmlTable(string Caption, ImmutableArray<string> Columns, ImmutableArray<bool> IsNumber,
    ImmutableArray<ImmutableArray<string>> Rows);

/// <summary>Text that is made to be copied, of any number of lines.</summary>
/// <param name="Where">Where it goes.</param>
/// <param name="Text">What goes there.</param>
public sealed record HtmlCopy(string Where, string Text);
