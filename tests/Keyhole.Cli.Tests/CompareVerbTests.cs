// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class CompareVerbTests
{
    /// <summary>A gap had been taken for the hole that the guest needs there, and a map with the gap for the guest's own.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Whether_a_guest_can_move_is_not_known_where_lines_of_a_host_are_lost(bool isOther)
    {
        byte[] cut = System.Text.Encoding.ASCII.GetBytes(System.IO.File.ReadAllText(CommandRun.Golden("seed8g.log"))
            .Replace("(XEN)  [0000000000100000, 000000001fffffff] (usable)", "[...]", System.StringComparison.Ordinal));
        string whole = CommandRun.Golden("plain4g.log");

        CommandRun run = CommandRun.WithInput(cut, "compare", "--memory", "1024", "--e820-host", "--host", isOther ? whole : "-", "--migrate-to",
            isOther ? "-" : whole);

        Assert.AreEqual(2, run.Status);
        Assert.Contains("lines of its map are lost: whether the guest can move is not known", run.Errors);
    }

    [TestMethod]
    public void Every_policy_is_in_the_JSON_with_plan_boot_and_recommendation()
    {
        CommandRun run = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--bar", "febc0000-febe0000",
            "--json");

        JsonElement json = run.Json();
        Assert.AreEqual(0, run.Status);
        Assert.AreEqual("punch", json.GetProperty("best").GetString());
        Assert.AreEqual(
            "libxl libxl-fixed punch minimal hole-at guest-merge hole-3g",
            string.Join(' ', json.GetProperty("policies").EnumerateArray().Select(row => row.GetProperty("policy").GetString())));
        foreach (JsonElement row in json.GetProperty("policies").EnumerateArray())
        {
            foreach (string member in (string[])["e820", "problems", "kernel", "outcome", "kernels", "bars", "migrations", "hypercallCount"])
                Assert.IsTrue(row.TryGetProperty(member, out _), member);
        }
    }

    [TestMethod]
    public void The_table_marks_the_recommended_policy_and_says_why()
    {
        CommandRun run = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072");

        Assert.Contains("punch *", run.Output);
        Assert.Contains("take punch: ", run.Output);
    }

    [TestMethod]
    public void No_policy_makes_a_guest_fit_a_host_that_is_smaller()
    {
        CommandRun run = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "65536", "--json");

        Assert.AreEqual(1, run.Status);
        Assert.AreEqual(JsonValueKind.Null, run.Json().GetProperty("best").ValueKind);
        Assert.Contains("more than all RAM of the host (7.91 GiB)", run.Json().GetProperty("why").GetString()!);
    }

    [TestMethod]
    public void A_host_of_which_only_a_kernels_share_is_shown_is_doubted_aloud()
    {
        string iomem = Path.GetTempFileName();
        File.WriteAllText(iomem, "00001000-0009ffff : System RAM\n00100000-bfffffff : System RAM\n100000000-1ffffffff : System RAM\n");

        CommandRun run = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "512", "--migrate-to", iomem);
        CommandRun larger = CommandRun.Of("compare", "--host", iomem, "--memory", "65536");
        File.Delete(iomem);

        Assert.Contains("may not show all of that host's RAM", run.Errors);
        Assert.AreEqual(0, larger.Status);
        Assert.Contains("warning larger-than-host: 64 GiB of memory are 57 GiB more than all RAM of the host", larger.Output);
    }

    [TestMethod]
    public void The_room_that_the_devices_take_stands_above_the_table_and_in_the_JSON()
    {
        string[] args = ["compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--bar", "e0000000-f0000000", "--bar",
            "f0000000-f2000000", "--bar", "2000000000-2400000000"];

        string text = CommandRun.Of(args).Output.ReplaceLineEndings(" ");
        JsonElement room = CommandRun.Of([.. args, "--json"]).Json().GetProperty("barRoom");

        Assert.Contains("windows of 32 bits take 288 MiB, aligned to 256 MiB: a hole of 512 MiB below 4 GiB at least", text);
        Assert.Contains("windows of 64 bits take 16 GiB, aligned to 16 GiB: no hole below 4 GiB holds them", text);
        Assert.Contains("reach up to 38 address bits", text);
        Assert.AreEqual(
            "lowBytes 0x12000000, lowAlignment 0x10000000, highBytes 0x400000000, highAlignment 0x400000000, smallestLowHoleBytes 0x20000000, "
                + "smallestHoleForAllBytes , addressBits 38",
            string.Join(", ", room.EnumerateObject().Select(member => $"{member.Name} {member.Value}")));
        CommandRun none = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072");
        Assert.DoesNotContain("room:", none.Output);
    }

    [TestMethod]
    public void A_migration_is_told_step_by_step()
    {
        CommandRun run = CommandRun.Of(
            "compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--bar", "febc0000-febe0000", "--migrate-to",
            CommandRun.Golden("hole1g.log"));

        Assert.AreEqual(0, run.Status);
        Assert.Contains("take hole-at:0x40000000", run.Output);
        foreach (string step in (string[])["boot", "plug", "unplug", "save", "restore", "resume", "replug"])
            Assert.Contains($"  {step,-8} ", run.Output);
    }

    [TestMethod]
    public void The_filter_that_the_hole_at_3_GiB_needs_is_told_register_by_register_with_its_cost()
    {
        CommandRun run = CommandRun.Of("compare", "--host", CommandRun.Golden("hole1g.log"), "--memory", "3072", "--bar", "50000000-50100000",
            "--bar", "4000000000-4200000000");
        CommandRun none = CommandRun.Of("compare", "--host", CommandRun.Golden("hole1g.log"), "--memory", "3072", "--bar", "febc0000-febe0000");

        Assert.Contains("register 0x10: 0x50000000 is to read 0xc0000000; without it: the guest's map says RAM", run.Output);
        Assert.Contains("no room in the hole for the window [0x4000000000, 0x4200000000)", run.Output);
        Assert.Contains("where: in the hypervisor", run.Output);
        Assert.Contains("costs: state for each register", run.Output);
        Assert.DoesNotContain("burden", none.Output);
    }

    [TestMethod]
    public void What_a_ballooned_guest_and_one_that_consults_the_map_again_come_to_on_the_other_side_is_told()
    {
        string[] move = ["compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--bar", "febc0000-febe0000", "--migrate-to",
            CommandRun.Golden("hole1g.log")];

        CommandRun ballooned = CommandRun.Of([.. move, "--ballooned", "1024"]);
        CommandRun both = CommandRun.Of([.. move, "--ballooned", "1024", "--consult-map"]);

        Assert.Contains("262144 pages given back", ballooned.Output);
        Assert.Contains("524288 pages with their pfns", ballooned.Output);
        Assert.Contains("262144 pages that were ballooned away", both.Output);
        Assert.Contains("against punch: cannot move to", both.Output);
        Assert.Contains("pages of the guest are in use", both.Output);
    }

    [TestMethod]
    public void A_guest_cannot_balloon_all_of_its_memory_away()
    {
        CommandRun run = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "512", "--migrate-to",
            CommandRun.Golden("hole1g.log"), "--ballooned", "512");

        Assert.AreEqual(2, run.Status);
        Assert.Contains("--ballooned: 512 MiB are all that the guest has; give less than 512", run.Errors);
    }

    [TestMethod]
    public void A_policy_of_hole_at_takes_its_address_in_its_name_or_beside_it()
    {
        string named = CommandRun.Of("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host", "--policy",
            "hole-at:40000000", "--json").Output;
        string beside = CommandRun.Of("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host", "--policy", "hole-at",
            "--hole", "0x40000000", "--json").Output;

        Assert.AreEqual(named, beside);
        Assert.Contains("\"end\": \"0x40000000\"", named);
    }

    [TestMethod]
    [DataRow("--hole: \"zz\" is not a start", "plan", "--memory", "512", "--policy", "hole-at:zz")]
    [DataRow("--hole: the policy punch places its holes itself", "plan", "--memory", "512", "--policy", "punch", "--hole", "40000000")]
    [DataRow("--bits: there is no kernel of 16 bits", "plan", "--memory", "512", "--bits", "16")]
    [DataRow("--type: \"lxc\" is not a type", "plan", "--memory", "512", "--type", "lxc")]
    [DataRow("--migrate-bar: there is no other host", "compare", "--memory", "512", "--migrate-bar", "c0000000-c0001000")]
    [DataRow("--ballooned: there is no other host", "compare", "--memory", "512", "--ballooned", "100")]
    [DataRow("--consult-map: there is no other host", "compare", "--memory", "512", "--consult-map")]
    [DataRow("no such file", "compare", "--memory", "512", "--migrate-to", "nowhere.log")]
    public void Bad_usage_is_one_line_and_status_2(string expected, params string[] args)
    {
        CommandRun run = CommandRun.Of([.. args, "--host", CommandRun.Golden("plain4g.log")]);

        Assert.AreEqual(2, run.Status);
        Assert.Contains(expected, run.Errors);
    }

    [TestMethod]
    public void A_32_bit_guest_that_does_not_fit_64_GiB_is_told_so()
    {
        CommandRun run = CommandRun.Of("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "65536", "--e820-host", "--policy", "punch",
            "--bits", "32");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("a 32-bit kernel sees 64 GiB", run.Output);
    }

    [TestMethod]
    public void An_HVM_guest_gets_its_holes_side_by_side_and_the_smallest_that_places_all()
    {
        CommandRun run = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "6000", "--type", "hvm", "--bar",
            "c0000000-e0000000");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("take mmio_hole=1024: the smallest hole that gives every BAR its place; it costs 768 MiB of RAM below 4 GiB", run.Output);
        Assert.DoesNotContain("hypercalls", run.Output);
        JsonElement json = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "6000", "--type", "hvm", "--bar",
            "c0000000-e0000000", "--json").Json();
        CollectionAssert.AreEqual(
            new[]
            {
                "as it is 1 3932160", "mmio_hole=256 1 3932160", "mmio_hole=512 1 3670016", "mmio_hole=1024 0 3145728", "mmio_hole=2048 0 2097152",
                "mmio_hole=3072 0 1048576",
                "mmio_hole=3840 0 262144", "XCP-ng's own hole (1024 MiB; by its documentation) 0 3145728",
            },
            json.GetProperty("settings").EnumerateArray()
                .Select(static row => $"{row.GetProperty("setting")} {row.GetProperty("unplaced")} {row.GetProperty("ramBelow4GiBKiB")}").ToArray());
        Assert.AreEqual("mmio_hole=1024", json.GetProperty("best").GetString());
        Assert.AreEqual("mmio_hole=1024", json.GetProperty("paste").GetProperty("xl").GetString());
    }

    [TestMethod]
    [DataRow("hvm")]
    [DataRow("kvm")]
    public void Where_nothing_is_to_change_there_is_a_paste_with_nothing_in_it(string type)
    {
        JsonElement json = CommandRun.Of("compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3G", "--type", type, "--pci", "01:00.0",
            "--bar-size", "16M", "--json").Json();

        Assert.AreEqual("as it is", json.GetProperty("best").GetString());
        Assert.AreEqual("{}", json.GetProperty("paste").GetRawText());
    }

    /// <summary>Host memory that a device uses by itself is a hole of the map of minimal: in the row, and in the boot that its migration starts
    /// with.</summary>
    [TestMethod]
    public void A_policys_row_and_its_own_migration_start_from_the_same_map()
    {
        JsonElement row = CommandRun.Of(
            "compare", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--bar", "febc0000-febe0000", "--rmrr", "50000000-50100000",
            "--migrate-to", CommandRun.Golden("seed8g.log"),
            "--json").Json().GetProperty("policies").EnumerateArray().Single(static row => row.GetProperty("policy").GetString() == "minimal");

        JsonElement boot = row.GetProperty("migrations")[0].GetProperty("steps").EnumerateArray()
            .Single(static step => step.GetProperty("step").GetString() == "boot");
        ulong remapped = row.GetProperty("remappedPages").GetUInt64();
        Assert.IsGreaterThanOrEqualTo(256UL, remapped);
        Assert.Contains($" {remapped} pages moved from under holes", boot.GetProperty("what").GetString()!);
    }
}
