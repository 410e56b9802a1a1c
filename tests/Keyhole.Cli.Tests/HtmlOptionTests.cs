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
    [DataRow("show", "yes", "RAM: ")]
    [DataRow("plan", "warning", "No error, but a warning: only 512 MiB of 3 GiB are below 4 GiB", "--memory", "3072", "--e820-host")]
    [DataRow("boot", "warning", "The guest&#39;s outcome: boots", "--memory", "3072", "--e820-host")]
    [DataRow("boot", "yes", "The guest&#39;s outcome: boots", "--memory", "512", "--type", "pvh")]
    [DataRow("compare", "yes", "punch: ", "--memory", "3072", "--e820-host")]
    [DataRow("verify", "yes", "The boot was as forecast.", "--dom0")]
    public void The_page_has_the_verdict_first_then_the_picture_the_text_and_the_json(string verb, string look, string verdict,
        params string[] options)
    {
        string[] args = [verb, "--host", CommandRun.Golden("seed8g.log"), .. options];
        string page = Page(args);
        CommandRun run = CommandRun.Of(args);

        Assert.Contains($"<p class=\"verdict {look}\">{verdict}", page);
        Assert.IsLessThan(page.IndexOf("<img alt=", StringComparison.Ordinal), page.IndexOf("class=\"verdict", StringComparison.Ordinal));
        Assert.IsLessThan(page.IndexOf("<pre", StringComparison.Ordinal), page.IndexOf("<img alt=", StringComparison.Ordinal));
        Assert.Contains(Escaped(WithoutFolder(run.Output)), page);
        Assert.Contains(Escaped(WithoutFolder(CommandRun.Of([.. args, "--json"]).Output)), page);
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
        Assert.Contains("<p class=\"verdict yes\">A hole from 0xbb000000 suits all 2 hosts.</p>", page);
        Assert.Contains("""<text class="right" x="182" y="110">from 2.75 GiB</text>""", PictureIn(page));
        AssertNeedsNothing(page);
    }

    [TestMethod]
    public void A_fleet_that_no_hole_suits_is_told_how_many_one_suits()
    {
        string low = Path.Combine(_folder, "low.map");
        File.WriteAllText(low, """
            (XEN) Xen-e820 RAM map:
            (XEN)  [0000000000000000, 000000000009efff] (usable)
            (XEN)  [0000000000100000, 0000000000ffffff] (usable)
            (XEN)  [0000000001000000, 00000000ffffffff] (reserved)
            (XEN)  [0000000100000000, 000000017fffffff] (usable)

            """);

        string page = Page("fleet", CommandRun.Golden("seed8g.log"), low);

        Assert.Contains("<p class=\"verdict error\">No hole suits all 2 hosts: one from 0xbb000000 suits all but 1.</p>", page);
        Assert.Contains("1 (50.0%)", PictureIn(page));
    }

    [TestMethod]
    public void A_fleet_of_which_a_host_could_not_be_read_says_so_in_the_verdict()
    {
        string empty = Path.Combine(_folder, "empty.log");
        File.WriteAllText(empty, "");

        string page = Page("fleet", CommandRun.Golden("seed8g.log"), empty);

        Assert.Contains("<p class=\"verdict error\">A hole from 0xbb000000 suits the one host that could be read (1 could not).</p>", page);
    }

    [TestMethod]
    public void No_folder_of_a_file_that_was_named_is_in_the_page()
    {
        string folder = Directory.CreateDirectory(Path.Combine(_folder, "home of alice", "hosts")).FullName;
        File.Copy(CommandRun.Golden("seed8g.log"), Path.Combine(folder, "seed8g.log"));
        File.WriteAllText(Path.Combine(folder, "kvm.cmd"), "qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 4G\n");

        foreach (string[] args in (string[][])[["fleet", folder], ["plan", "--host", Path.Combine(folder, "seed8g.log"), "--memory", "512"],
            ["fleet", Path.Combine(folder, "seed8g.log"), CommandRun.Golden("plain4g.log"), "--guest", Path.Combine(folder, "kvm.cmd")],
            ["show", $"--host={Path.Combine(folder, "seed8g.log")}"]])
        {
            string page = Page(args);

            Assert.DoesNotContain("alice", page);
            Assert.DoesNotContain("alice", PictureIn(page));
            Assert.Contains("seed8g.log", page);
        }
    }

    [TestMethod]
    public void What_is_worst_comes_first_places_have_a_column_where_there_are_any_and_nothing_is_said_twice()
    {
        string kvm = Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm");
        string page = Page("plan", "--guest", Path.Combine(kvm, "libvirt-gpu.xml"), "--host", Path.Combine(kvm, "h39.json"));

        Assert.StartsWith("<p class=\"verdict error\">The guest&#39;s outcome: refused. QEMU refuses to start the guest: Address space limit",
            page[page.IndexOf("<p class=\"verdict", StringComparison.Ordinal)..]);
        Assert.IsLessThan(
            page.IndexOf("<td class=\"info\">", StringComparison.Ordinal), page.IndexOf("<td class=\"error\">", StringComparison.Ordinal));
        Assert.DoesNotContain(">where</th>", page);
        Assert.Contains("pci-hole64-size=32G, with which QEMU starts the guest (what the devices that are passed through ask for is not told", page);
        Assert.Contains(">where</th>", Page("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host"));
    }

    [TestMethod]
    public void The_heading_names_files_without_their_folders()
    {
        string page = Page("show", "--host", CommandRun.Golden("seed8g.log"));

        Assert.Contains("<h1>keyhole show: Xen&#39;s firmware map (Multiboot-e820 RAM map), line 3 of seed8g.log</h1>", page);
        Assert.Contains("line 3 of seed8g.log</text>", PictureIn(page));
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

    private static string PictureIn(string page) =>
        Encoding.UTF8.GetString(Convert.FromBase64String(Regex.Match(page, "base64,(?<svg>[^\"]+)").Groups["svg"].Value));

    /// <summary>As the page has it, which is made to be passed on.</summary>
    private static string WithoutFolder(string text) => text.Replace($"{Path.GetDirectoryName(CommandRun.Golden("seed8g.log"))}/", "",
        StringComparison.Ordinal);

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
