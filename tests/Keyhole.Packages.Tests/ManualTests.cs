// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.PackageParts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Packages.Tests;

/// <summary>The manual pages that are made from the help and docs/.</summary>
[TestClass]
public sealed class ManualTests
{
    private static readonly string s_docs = Path.Combine(AppContext.BaseDirectory, "fixtures", "docs");
    private static readonly Dictionary<string, string> s_pages = Manual.Pages(s_docs, new(2026, 11, 28))
        .ToDictionary(static page => page.Name, static page => page.Text);

    [TestMethod]
    public void Every_verb_has_a_page_and_every_document_for_users_has_one()
    {
        CollectionAssert.IsSubsetOf((string[])["keyhole.1", "keyhole-plan.1", "keyhole-show.1", "keyhole-completion.1", "keyhole-policies.7",
            "keyhole-glossary.7"], s_pages.Keys);
        CollectionAssert.DoesNotContain(s_pages.Keys, "keyhole-real-xen-tests.7");
    }

    [TestMethod]
    public void The_page_of_plan_has_what_the_help_and_the_document_say()
    {
        string page = s_pages["keyhole-plan.1"];

        Assert.Contains("keyhole-plan \\- Plan the memory map of a guest", page);
        Assert.Contains("\n\\fB\\-\\-host\\fR \\fI", page);
        Assert.Contains("\n.SH PROBLEMS\n", page);
        Assert.Contains("low\\-memory\\-lost", page);
        Assert.Contains("\\fBkeyhole\\-show\\fR(1)", page);
        Assert.Contains("\n.SH EXAMPLES\n", page);
        CollectionAssert.AreEqual((string[])["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"], Sections(page)[..4]);
    }

    [TestMethod]
    public void The_overview_names_the_exit_statuses_and_every_verb()
    {
        string page = s_pages["keyhole.1"];

        Assert.Contains(".TP\n\\fB3\\fR\nthe hypervisor refused\n", page);
        foreach (string verb in (string[])["show", "plan", "boot", "verify", "start"])
            Assert.Contains($"\\fBkeyhole\\-{verb}\\fR(1)", page);
    }

    [TestMethod]
    public void Every_name_of_an_option_stands_in_a_page()
    {
        Assert.Contains("\\fB\\-\\-anonymize\\fR", s_pages["keyhole-capture.1"]);
        Assert.Contains("\\fB\\-o\\fR, ", s_pages["keyhole-capture.1"]);
        foreach (string option in (string[])["version", "help"])
            Assert.Contains($"\\fB\\-\\-{option}\\fR", s_pages["keyhole.1"]);
    }

    [TestMethod]
    public void What_roff_would_take_for_a_request_or_an_escape_stays_text()
    {
        var roff = new RoffWriter(static _ => null);
        roff.Begin("x", 1, new(2026, 1, 1), "1");
        roff.Markdown([".so /etc/passwd", "", "'quoted' \\fBx `.a\\b` [text](other.md) ~^`"]);
        roff.Code([".RE", "'x \\n"]);
        string page = roff.End();

        Assert.Contains("\n\\&.so /etc/passwd\n", page);
        Assert.Contains("\n\\(aqquoted\\(aq \\efBx \\fB.a\\eb\\fR text \\(ti\\(ha\\(ga\n", page);
        Assert.Contains("\n\\&.RE\n\\(aqx \\en\n", page);
    }

    [TestMethod]
    public void A_table_keeps_its_rows_and_cells_and_fills_its_last_column()
    {
        var roff = new RoffWriter(static _ => null);
        roff.Begin("x", 1, new(2026, 1, 1), "1");
        roff.Markdown(["| a | b |", "|---|---|", "| `one` | two \\| three |", "| .four | |"]);
        string page = roff.End();

        Assert.Contains(".TS\ntab(\t);\nlb lbx\nl lx.\na\tT{\n.nh\nb\nT}\n\\fBone\\fR\tT{\n.nh\ntwo | three\nT}\n\\&.four\tT{\n.nh\n\nT}\n.TE\n",
            page);
    }

    /// <summary>Also that none of the pages' lines is lost in a terminal of 80 columns: man says so among its warnings.</summary>
    [TestMethod]
    [TestCategory("Packages")]
    public void Man_shows_every_page_without_a_warning()
    {
        string folder = Directory.CreateTempSubdirectory("keyhole-man-").FullName;
        try
        {
            foreach ((string name, string text) in s_pages)
            {
                string path = Path.Combine(folder, name);
                File.WriteAllText(path, text);

                Tools.Result shown = Tools.Run(new Dictionary<string, string> { ["MANWIDTH"] = "100", ["MAN_KEEP_FORMATTING"] = "" }, "man",
                    "--warnings=w", "-E", "UTF-8", "-l", path);

                Assert.AreEqual(0, shown.Status, name + shown.Errors);
                Assert.IsEmpty(shown.Errors, name);
                Assert.Contains("NAME\n", shown.Output);
                // What a macro did not understand stays in the text.
                Assert.DoesNotMatchRegex(new Regex(@"\\f[BIR]|^\.[A-Z]{2} |T[{}]", RegexOptions.Multiline), shown.Output, name);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string[] Sections(string page) =>
        [.. Regex.Matches(page, "^\\.SH (?<title>.*)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)
            .Select(static match => match.Groups["title"].Value)];
}
