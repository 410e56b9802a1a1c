// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>--html FILE</c>: one page that needs nothing else, with nothing foreign unescaped in it.</summary>
[TestClass]
public sealed class HtmlOptionTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("keyhole-html-").FullName;

    [TestCleanup]
    public void Remove_the_folder() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("show", "RAM: ")]
    [DataRow("plan", "No error, but a warning: only 512 MiB of 3 GiB lie below 4 GiB", "--memory", "3072", "--e820-host")]
    [DataRow("boot", "The guest&#39;s outcome: boots", "--memory", "3072", "--e820-host")]
    [DataRow("boot", "The guest&#39;s outcome: boots", "--memory", "512", "--type", "pvh")]
    [DataRow("compare", "punch: ", "--memory", "3072", "--e820-host")]
    [DataRow("verify", "The boot was as forecast.", "--dom0")]
    public void The_page_has_the_verdict_first_then_the_picture_the_text_and_the_json(string verb, string verdict, params string[] options)
    {
        string[] args = [verb, "--host", CommandRun.Golden("seed8g.log"), .. options];
        string page = Page(args);
        CommandRun run = CommandRun.Of(args);

        Assert.Contains($"<p class=\"verdict yes\">{verdict}", page);
        Assert.IsLessThan(page.IndexOf("<img alt=", StringComparison.Ordinal), page.IndexOf("verdict yes", StringComparison.Ordinal));
        Assert.IsLessThan(page.IndexOf("<pre", StringComparison.Ordinal), page.IndexOf("<img alt=", StringComparison.Ordinal));
        Assert.Contains(Escaped(run.Output), page);
        Assert.Contains(Escaped(CommandRun.Of([.. args, "--json"]).Output), page);
        AssertNeedsNothing(page);
    }

    [TestMethod]
    public void Of_a_plan_each_problem_is_there_with_its_range_and_remedy()
    {
        string page = Page("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host");

        Assert.MatchesRegex(
            "<tr><td class=\"warning\">warning</td><td><code>low-memory-lost</code>: .*<br>Remedy: <strong class=\"copy\">.*</strong></td><td "
                + "class=\"range\">\\[0x20000000, 0x20200000\\)</td></tr>", page);
    }

    [TestMethod]
    public void Each_table_of_the_text_is_a_table_of_the_page()
    {
        string page = Page("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host");

        Assert.Contains("<summary>The policies side by side</summary>", page);
        Assert.Contains("<th scope=\"col\">policy</th><th scope=\"col\">low RAM</th>", page);
        Assert.MatchesRegex("<tr><td>punch \\*</td><td class=\"number\">2.92 GiB</td>", page);
    }

    [TestMethod]
    public void A_fleet_has_a_page_too()
    {
        string page = Page("fleet", CommandRun.Golden("seed8g.log"), CommandRun.Golden("plain4g.log"), "--memory", "1024");

        Assert.Contains("<title>keyhole fleet: 2 hosts</title>", page);
        AssertNeedsNothing(page);
    }

    [TestMethod]
    public void What_a_stranger_wrote_stays_text()
    {
        string guest = Path.Combine(_folder, "guest.cfg");
        File.WriteAllText(guest, "name=\"</pre><script>alert(1)</script>&\"\ntype=\"pv\"\nmemory=512\ne820_host=1\n");

        string page = Page("plan", "--host", CommandRun.Golden("seed8g.log"), "--guest", guest);

        Assert.DoesNotContain("<script", page);
        Assert.Contains("&lt;script&gt;alert(1)", page);
        Assert.HasCount(2, Regex.Matches(page, "<pre "));
        AssertNeedsNothing(page);
    }

    private string Page(params string[] args)
    {
        string path = Path.Combine(_folder, "page.html");
        File.Delete(path);
        CommandRun run = CommandRun.Of([.. args, "--html", path]);
        Assert.IsTrue(File.Exists(path), run.Errors);
        return File.ReadAllText(path, Encoding.UTF8);
    }

    private static string Escaped(string text) =>
        text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace(">", "&gt;", StringComparison.Ordinal)
            .Replace("\"", "&quot;", StringComparison.Ordinal).Replace("'", "&#39;", StringComparison.Ordinal);

    /// <summary>No script, and nothing that a browser would fetch.</summary>
    private static void AssertNeedsNothing(string page)
    {
        Assert.DoesNotContain("<script", page);
        Assert.DoesNotMatchRegex("(src|href)=\"(?!data:)", page);
        Assert.DoesNotContain("@import", page);
        Assert.Contains("default-src 'none'", page);
    }
}
