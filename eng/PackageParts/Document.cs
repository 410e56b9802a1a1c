// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;

namespace Keyhole.PackageParts;

/// <summary>A page of docs/: a title, a lead, for a verb a block with its use, and sections.</summary>
/// <param name="Synopsis">The first block of code where it stands before any section, not indented: for a verb how it is called.</param>
/// <param name="Lead">The lines before the first section, without title and synopsis.</param>
internal sealed record Document(string[] Synopsis, string[] Lead, (string Title, string[] Lines)[] Sections)
{
    public string Title { get; private init; } = "";

    /// <summary>Pages that this one links to.</summary>
    public string[] Links { get; private init; } = [];

    public static Document Parse(string text)
    {
        string[] lines = [.. text.Split('\n').Select(static line => line.TrimEnd('\r'))];
        string title = lines[0].TrimStart('#', ' ');
        int[] heads = [.. Enumerable.Range(1, lines.Length - 1).Where(i => lines[i].StartsWith("## ", StringComparison.Ordinal)), lines.Length];
        List<string> lead = [.. lines[1..heads[0]]];
        int first = lead.FindIndex(static line => line.StartsWith("    keyhole ", StringComparison.Ordinal));
        string[] synopsis = [];
        if (first >= 0)
        {
            int count = lead.Skip(first).TakeWhile(static line => line.StartsWith("    ", StringComparison.Ordinal)).Count();
            synopsis = [.. lead.GetRange(first, count).Select(static line => line[4..])];
            lead.RemoveRange(first, count);
        }

        (string, string[])[] sections = [.. heads.Zip(heads.Skip(1), (start, end) => (lines[start][3..].Trim(), lines[(start + 1)..end]))];
        string[] links = [.. Regex.Matches(text, @"\]\(([a-z-]+)\.md").Select(static match => match.Groups[1].Value).Distinct()
            .Order(StringComparer.Ordinal)];
        return new(synopsis, [.. lead], sections) { Title = title, Links = links };
    }
}
