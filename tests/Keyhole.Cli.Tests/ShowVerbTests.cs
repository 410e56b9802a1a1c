// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class ShowVerbTests
{
    [TestMethod]
    [DataRow("lines", true)]
    [DataRow("iomem", true)]
    [DataRow("json", false)]
    public void A_form_that_cannot_say_that_lines_are_lost_is_told_to(string form, bool isTold)
    {
        byte[] cut = "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n[...]\n(XEN)  [0000000100000000, 00000001ffffffff] (usable)\n"u8
            .ToArray();

        CommandRun run = CommandRun.WithInput(cut, "show", "--host", "-", "--to", form);

        Assert.AreEqual(isTold, run.Errors.Contains("this form cannot say that lines of the map are lost", System.StringComparison.Ordinal));
    }

    [TestMethod]
    public void Json_is_one_document_and_says_source_entries_and_totals()
    {
        JsonElement json = CommandRun.Of("show", "--host", CommandRun.Golden("plain4g.log"), "--json").Json();

        Assert.AreEqual("xen", json.GetProperty("source").GetProperty("dialect").GetString());
        JsonElement first = json.GetProperty("entries")[0];
        Assert.AreEqual("0x0", first.GetProperty("start").GetString());
        Assert.AreEqual("0x9fc00", first.GetProperty("end").GetString());
        Assert.AreEqual("ram", first.GetProperty("type").GetString());
        Assert.AreEqual("0xfff7fc00", json.GetProperty("totals").GetProperty("ram").GetString());
    }

    [TestMethod]
    public void What_it_writes_it_reads_back()
    {
        CommandRun lines = CommandRun.Of("show", "--host", CommandRun.Golden("seed8g.log"), "--to", "lines");

        CommandRun again = CommandRun.WithInput(Encoding.UTF8.GetBytes(lines.Output), "show", "--host", "-", "--to", "lines");

        Assert.AreEqual(0, again.Status);
        Assert.AreEqual(lines.Output, again.Output);
    }

    [TestMethod]
    public void The_machine_map_has_what_Xen_adds()
    {
        JsonElement json = CommandRun.Of("show", "--host", CommandRun.Golden("iommu.log"), "--with-xen", "--json").Json();

        // dom0's own map in the same log is the witness for the IOMMU's page.
        CollectionAssert.Contains(json.GetProperty("entries").EnumerateArray().Select(entry => entry.GetProperty("start").GetString()).ToArray(),
            "0xfed90000");
    }

    [TestMethod]
    [DataRow("Lines", "--with-xen alone")]
    [DataRow("Lines", null, "--with-xen")]
    [DataRow("Lines", null, "--json")]
    [DataRow("Lines", null, "--to", "json")]
    [DataRow("Lines", "is in the map already", "--with-xen", "--machine-map")]
    [DataRow("Capture", "has the map that Xen itself gave", "--with-xen")]
    [DataRow("Full", "none is left there", "--with-xen")]
    public void A_denied_range_that_changes_nothing_is_told_on_standard_error(string source, string? why, params string[] options)
    {
        const string entries = """[{"start":"0x0","end":"0x80000000","type":"ram"}]""";
        string host = source switch
        {
            "Capture" => $$"""{"entries":{{entries}},"machineEntries":{{entries}}}""",
            "Full" => "0 100000000 1\n",
            _ => "0 80000000 1\n",
        };

        CommandRun run = CommandRun.WithInput(Encoding.ASCII.GetBytes(host), ["show", "--host", "-", "--denied", "fed90000-fed91000", .. options]);

        Assert.AreEqual(0, run.Status);
        Assert.AreEqual(why is null ? 0 : 1,
            run.Errors.Split('\n')
                .Count(static line => line.StartsWith("note: --denied fed90000-fed91000 has no effect: ", System.StringComparison.Ordinal)));
        Assert.Contains(why ?? "", run.Errors);
    }

    [TestMethod]
    public void Other_maps_of_a_log_are_named_on_standard_error_only()
    {
        string log = CommandRun.Golden("plain4g.log");
        CommandRun all = CommandRun.Of("show", "--host", log, "--verbose");
        Assert.Contains("--map 2", all.Errors);
        Assert.DoesNotContain("--map 2", all.Output);

        CommandRun run = CommandRun.Of("show", "--host", log);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n'));
        Assert.Contains("other maps: --verbose lists them, --map N takes one", run.Errors);
        Assert.IsEmpty(CommandRun.Of("show", "--host", log, "--map", "1").Errors);
    }

    [TestMethod]
    public void A_missing_file_is_one_line_and_status_2()
    {
        CommandRun run = CommandRun.Of("show", "--host", "/nowhere/at-all");

        Assert.AreEqual(2, run.Status);
        Assert.AreEqual("keyhole: /nowhere/at-all: no such file; name a boot log or another source of a memory map\n", run.Errors);
        Assert.IsEmpty(run.Output);
    }

    [TestMethod]
    public void An_unknown_dialect_names_those_that_there_are()
    {
        CommandRun run = CommandRun.Of("show", "--host", CommandRun.Golden("plain4g.log"), "--to", "bios");

        Assert.AreEqual(2, run.Status);
        Assert.Contains("linux linux-3 linux-7.2 xen", run.Errors);
    }

    [TestMethod]
    public void The_drawing_shows_every_entry_and_the_broken_axis()
    {
        CommandRun run = CommandRun.Of("show", "--host", CommandRun.Golden("plain4g.log"));

        Assert.Contains("0xfd00000000  ", run.Output);
        Assert.Contains("~~~~", run.Output);
    }

    [TestMethod]
    public void An_entry_that_a_map_has_twice_counts_once_in_the_sums()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "mails", "mmio-type.txt");
        CommandRun text = CommandRun.Of("show", "--host", path);
        CommandRun json = CommandRun.Of("show", "--host", path, "--json");

        Assert.Contains("reserved 43.1 MiB", text.Output);
        Assert.IsLessThan(44UL << 20, Convert.ToUInt64(json.Json().GetProperty("totals").GetProperty("reserved").GetString(), 16));
    }

    [TestMethod]
    public void What_Xen_adds_where_lines_of_the_map_are_lost_is_said_to_be_not_known()
    {
        byte[] log = Encoding.ASCII.GetBytes("""
            (XEN) Xen-e820 RAM map:
            (XEN)  0000000000000000 - 000000000009fc00 (usable)
            (XEN)  0000000000100000 - 00000000c0000000 (usable)
            (XEN) [...]
            (XEN)  0000000100000000 - 0000000880000000 (usable)
            (XEN) System RAM: 33000MB (33792000kB)

            """);

        CommandRun run = CommandRun.WithInput(log, "show", "--host", "-", "--with-xen");

        Assert.Contains("what Xen adds for dom0 is not known where lines of the map are lost", run.Errors);
        Assert.DoesNotContain("0xfec00000", run.Output.Split("not known, for")[0]);
        Assert.Contains("not known, for lines of the map are lost: [0xc0000000, 0x100000000)", run.Output);
    }
}
