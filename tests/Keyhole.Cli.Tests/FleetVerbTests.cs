// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class FleetVerbTests
{
    private const string Low =
        """{"name":"low","entries":[{"start":"0x0","end":"0x80000000","type":"ram"},{"start":"0x100000000","end":"0x300000000","type":"ram"}]}""";
    private const string High =
        """{"name":"high","entries":[{"start":"0x0","end":"0xc0000000","type":"ram"},{"start":"0x100000000","end":"0x300000000","type":"ram"}]}""";
    private const string Impossible =
        """{"name":"deep","entries":[{"start":"0x0","end":"0x80000000","type":"ram"}],"devices":[{"address":"00:02.0","bars":[{"start":"0x2000000","end":"0x3000000"}]}]}""";

    private const string Gpu = "qemu-system-x86_64 -name gpu -machine pc-q35-6.2,accel=kvm -cpu host -m 8G "
        + "-drive if=pflash,format=raw,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=r1 -device vfio-pci,host=0000:41:00.0,bus=r1\n";
    private const string Server =
        """{"name":"server","entries":[{"start":"0x0","end":"0x80000000","type":"ram"},{"start":"0x100000000","end":"0x1000000000","type":"ram"}],"traits":{"cpuVendor":"GenuineIntel","physicalAddressBits":46,"gibPages":true},"devices":[{"address":"41:00.0","bars":[{"index":0,"start":"0x200000000000","end":"0x202000000000","is64Bit":true,"prefetchable":true}]}]}""";
    private static readonly string s_desktop = Server.Replace("server", "desktop", StringComparison.Ordinal)
        .Replace("0x202000000000", "0x200100000000", StringComparison.Ordinal);

    [TestMethod]
    public void The_answer_names_the_hole_and_who_forces_it()
    {
        JsonElement json = Lines($"{Low}\n{High}\n", "fleet", "-", "--memory", "3072", "--json").Json();

        Assert.AreEqual("0x80000000", json.GetProperty("holeStart").GetString());
        Assert.AreEqual("--policy hole-at:0x80000000", json.GetProperty("policy").GetString());
        Assert.AreEqual("low", json.GetProperty("forcedBy").GetProperty("first")[0].GetProperty("name").GetString());
        Assert.AreEqual("0xc0000000", json.GetProperty("holeStartWithout").GetString());
        Assert.IsTrue(json.GetProperty("suitsAll").GetBoolean());
        CollectionAssert.AreEqual(
            new[] { "high>low fleet-hole", "low>high as-it-is" },
            json.GetProperty("moves").EnumerateArray()
                .Select(move => $"{move.GetProperty("from")}>{move.GetProperty("to")} {move.GetProperty("how")}").ToArray());
    }

    [TestMethod]
    public void The_policy_to_take_starts_at_a_multiple_of_2_MiB_and_the_answer_where_it_is()
    {
        JsonElement json = Lines(Low.Replace("0x80000000", "0x801ff000", StringComparison.Ordinal) + "\n", "fleet", "-", "--json").Json();

        Assert.AreEqual("0x801ff000", json.GetProperty("holeStart").GetString());
        Assert.AreEqual("--policy hole-at:0x80000000", json.GetProperty("policy").GetString());
    }

    [TestMethod]
    [DataRow("--e820-host")]
    [DataRow("-x")]
    public void A_mistyped_option_is_not_taken_for_a_file(string option)
    {
        CommandRun run = Lines($"{Low}\n", "fleet", "-", option);

        Assert.AreEqual(2, run.Status);
        Assert.Contains($"{option} is no option of fleet", run.Errors);
    }

    [TestMethod]
    public void People_get_the_same_in_words()
    {
        CommandRun run = Lines($"{Low}\n{High}\n", "fleet", "-", "--memory", "3072");

        Assert.AreEqual(0, run.Status);
        Assert.Contains("The hole [0x80000000, 0x100000000) suits all: guests keep 2 GiB of memory below it (--policy hole-at:0x80000000).",
            run.Output);
        Assert.Contains("Forced by 1 host: low; without them it could start at 0xc0000000.", run.Output);
        Assert.Contains("  1  high     ○", run.Output);
        Assert.Contains("  2  low   ●", run.Output);
        Assert.IsEmpty(run.Errors);
    }

    [TestMethod]
    [DataRow(Impossible, 1, "No hole suits 1 host: deep")]
    [DataRow("{}", 1, "1 host could not be read")]
    public void A_host_that_does_not_suit_is_status_1(string line, int status, string words)
    {
        CommandRun run = Lines($"{Low}\n{line}\n", "fleet", "-");

        Assert.AreEqual(status, run.Status);
        Assert.Contains(words, run.Output);
    }

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void A_pipe_in_a_folder_of_hosts_is_not_waited_for()
    {
        string folder = Directory.CreateTempSubdirectory("keyhole-fleet").FullName;
        File.WriteAllText(Path.Combine(folder, "a.json"), Low);
        var make = new ProcessStartInfo("mkfifo") { ArgumentList = { Path.Combine(folder, "b") } };
        using (Process? made = Process.Start(make))
            made!.WaitForExit();

        CommandRun run = CommandRun.Of("fleet", folder);
        Directory.Delete(folder, recursive: true);

        Assert.AreEqual(1, run.Status);
        Assert.Contains("b: there is nothing in it", run.Errors);
        Assert.Contains("1 host, ", run.Output);
    }

    [TestMethod]
    public void KVM_s_guests_are_judged_host_by_host_and_no_hole_is_spoken_of()
    {
        string guest = GuestFile();
        CommandRun run = Lines($"{Server}\n{s_desktop}\n{Low}\n", "fleet", "-", "--guest", guest);

        Assert.AreEqual(1, run.Status);
        Assert.Contains("gpu (8 GiB): every BAR has its place on 1 of 3 hosts", Joined(run));
        Assert.Contains("guest-does-not-start on 1 host (server): ", Joined(run));
        Assert.Contains("remedy on server: X-PciMmio64Mb=131072", Joined(run));
        Assert.Contains("not-known on 1 host (low): ", Joined(run));
        Assert.DoesNotContain("hole", run.Output);
    }

    [TestMethod]
    public void KVM_s_guests_have_their_verdicts_in_JSON_and_a_column_each_in_CSV()
    {
        string guest = GuestFile();
        JsonElement json = Lines($"{Server}\n{s_desktop}\n{Low}\n", "fleet", "-", "--guest", guest, "--json").Json();
        string[] csv = Lines($"{Server}\n{s_desktop}\n", "fleet", "-", "--guest", guest, "--csv").Output.TrimEnd('\n').Split('\n');

        JsonElement placement = json.GetProperty("guests")[0].GetProperty("placement");
        Assert.AreEqual(1, placement.GetProperty("placesAll").GetInt32());
        Assert.AreEqual(1, placement.GetProperty("fails").GetInt32());
        Assert.AreEqual(1, placement.GetProperty("notKnown").GetInt32());
        Assert.Contains("X-PciMmio64Mb", placement.GetProperty("reasons")[0].GetProperty("remedy").GetString()!);
        CollectionAssert.AreEqual(
            new[] { "gpu desktop places-all", "gpu low not-known", "gpu server guest-does-not-start" },
            json.GetProperty("placements").EnumerateArray()
                .Select(one => $"{one.GetProperty("guest")} {one.GetProperty("host")} {one.GetProperty("verdict")}").ToArray());
        Assert.AreEqual(0, json.GetProperty("moves").GetArrayLength());
        CollectionAssert.AreEqual(new[] { "gpu", "guest-does-not-start", "places-all" }, csv.Select(line => line.Split(',')[^1]).ToArray());
    }

    [TestMethod]
    public void Guests_of_both_kinds_have_each_its_answer()
    {
        CommandRun run = Lines($"{s_desktop}\n{High}\n", "fleet", "-", "--guest", GuestFile(), "--memory", "3072");

        Assert.Contains("gpu (8 GiB): every BAR has its place on 1 of 2 hosts", Joined(run));
        Assert.Contains("The hole [", run.Output);
        Assert.Contains("3 GiB: from a row's host to a column's", Joined(run));
        Assert.DoesNotContain("gpu: from a row's host", run.Output);
    }

    [TestMethod]
    public void A_guest_larger_than_a_host_is_status_1()
    {
        CommandRun run = Lines($"{Low}\n", "fleet", "-", "--memory", "20000");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("too little memory", run.Output);
    }

    [TestMethod]
    public void A_host_whose_RAM_is_not_shown_is_not_called_too_small()
    {
        CommandRun run = Lines($"{Low.Replace("\"entries\"", "\"ramShown\":\"part\",\"entries\"", StringComparison.Ordinal)}\n", "fleet", "-",
            "--memory", "20000", "--json");

        Assert.AreEqual(0, run.Status);
        Assert.AreEqual(0, run.Json().GetProperty("guests")[0].GetProperty("tooLittleMemory").GetInt32());
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("{}\n[]\n")]
    [DataRow("noise")]
    public void Nothing_that_can_be_read_is_status_2(string input)
    {
        CommandRun run = Lines(input, "fleet", "-", "--json");

        Assert.AreEqual(2, run.Status);
        Assert.IsEmpty(run.Output);
        Assert.StartsWith("keyhole: ", run.Errors);
    }

    [TestMethod]
    [DataRow("""{"name":"cut","lostRanges":["0x0-0x90000000"],"entries":[{"start":"0x90000000","end":"0xc0000000","type":"ram"},{"start":"0x100000000","end":"0x300000000","type":"ram"}]}""")]
    [DataRow("""{"name":"cut","lostRanges":["0x80000000-0xe0000000"],"entries":[{"start":"0x0","end":"0x80000000","type":"ram"},{"start":"0x100000000","end":"0x300000000","type":"ram"}]}""")]
    public void A_host_whose_hole_is_in_lost_lines_is_not_judged(string cut)
    {
        CommandRun run = Lines($"{cut}\n{High}\n", "fleet", "-", "--memory", "3G", "--json");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("keyhole: standard input:1: lines of its map are lost: what it needs is not known", run.Errors);
        JsonElement json = run.Json();
        Assert.AreEqual("0xc0000000 0 1 False", $"{json.GetProperty("holeStart")} {json.GetProperty("impossible")} "
            + $"{json.GetProperty("unreadable").GetProperty("count")} {json.GetProperty("suitsAll")}");
        Assert.Contains("lines of its map are lost", json.GetProperty("unreadable").GetProperty("first")[0].GetString()!);
        Assert.Contains("1 host could not be read, or what it needs is not known",
            Lines($"{cut}\n{High}\n", "fleet", "-", "--memory", "3G").Output.ReplaceLineEndings("").Replace("  ", " ", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_file_whose_hole_is_in_lost_lines_is_not_judged()
    {
        CommandRun run = CommandRun.WithInput("""
            BIOS-e820: [mem 0x00000000dee2f000-0x00000000df5d6fff] usable
            BIOS-e820: [mem 0x00000000ff000000-0x00000000ffffffff] reserved
            BIOS-e820: [mem 0x0000000100000000-0x000000021effffff] usable

            """u8.ToArray(), "fleet", "-", "--memory", "3G");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("keyhole: standard input: lines of its map are lost: what it needs is not known", run.Errors);
        Assert.Contains("No host could be judged", run.Output);
        Assert.DoesNotContain("76 MiB", run.Output);
    }

    /// <summary>Read from its log, and from the capture of it.</summary>
    [TestMethod]
    public void The_map_of_a_kernel_started_after_a_crash_says_nothing_of_its_host()
    {
        byte[] log = """
            [    0.000000] Linux version 5.14.0 (a@b)
            [    0.000000] BIOS-provided physical RAM map:
            [    0.000000] BIOS-e820: [mem 0x0000000000001000-0x000000000009ffff] usable
            [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x0000000000ffffff] reserved
            [    0.000000] BIOS-e820: [mem 0x0000000029000000-0x0000000038ffffff] usable
            [    0.000000] BIOS-e820: [mem 0x00000000fec00000-0x00000000fec00fff] reserved
            [    0.000000] last_pfn = 0x39000 max_arch_pfn = 0x400000000

            """u8.ToArray();
        string capture = string.Join(' ', CommandRun.WithInput(log, "show", "--json", "--host", "-").Output.Split('\n'));

        foreach (CommandRun run in new[] { CommandRun.WithInput(log, "fleet", "-", "--memory", "3G"), Lines($"{capture}\n", "fleet", "-", "--memory", "3G") })
        {
            Assert.AreEqual(1, run.Status, run.Errors);
            Assert.Contains("its map is that of a kernel started after a crash (kexec)", run.Errors);
            Assert.Contains("No host could be judged", run.Output);
        }
    }

    [TestMethod]
    public void Lost_lines_that_decide_nothing_leave_a_host_judged()
    {
        string cut = High.Replace("\"entries\"", "\"lostRanges\":[\"0x300000000-0x400000000\"],\"entries\"", StringComparison.Ordinal);

        Assert.AreEqual(0, Lines($"{cut}\n", "fleet", "-", "--memory", "3G").Status);
        Assert.AreEqual(1, Lines($"{cut}\n", "fleet", "-", "--memory", "12G").Status, "its RAM may not be enough");
    }

    [TestMethod]
    public void Where_the_only_host_cannot_be_judged_the_json_says_so()
    {
        string cut = High.Replace("\"entries\"", "\"lostRanges\":[\"0x300000000-0x400000000\"],\"entries\"", StringComparison.Ordinal);
        JsonElement json = Lines($"{cut}\n", "fleet", "-", "--memory", "12G", "--json").Json();

        Assert.AreEqual("0 1 0 False False", $"{json.GetProperty("hosts")} {json.GetProperty("notJudged")} {json.GetProperty("impossible")} "
            + $"{json.GetProperty("guests")[0].GetProperty("fitsAll")} {json.GetProperty("suitsAll")}");
    }

    [TestMethod]
    public void For_guests_of_KVM_alone_a_host_whose_hole_is_in_lost_lines_is_not_one_that_no_hole_suits()
    {
        const string cut = """{"name":"cut","lostRanges":["0x0-0x90000000"],"entries":[{"start":"0x90000000","end":"0xc0000000","type":"ram"}]}""";
        JsonElement json = Lines($"{cut}\n", "fleet", "-", "--guest", GuestFile(), "--json").Json();

        Assert.AreEqual("1 0 1 0", $"{json.GetProperty("hosts")} {json.GetProperty("impossible")} {json.GetProperty("holeNotKnown")} "
            + $"{json.GetProperty("groups").GetArrayLength()}");
    }

    [TestMethod]
    public void Unreadable_hosts_are_named_and_counted()
    {
        CommandRun run = Lines(Low + "\n" + string.Concat(Enumerable.Repeat("{\n", 50)) + $"{High}\n", "fleet", "-", "--json");

        Assert.AreEqual(1, run.Status);
        Assert.AreEqual(50, run.Json().GetProperty("unreadable").GetProperty("count").GetInt32());
        JsonElement first = run.Json().GetProperty("unreadable").GetProperty("errors")[0];
        Assert.AreEqual("malformed standard input 2", $"{first.GetProperty("code")} {first.GetProperty("source")} {first.GetProperty("line")}");
        Assert.Contains("keyhole: standard input:2: ", run.Errors);
        Assert.Contains("and 30 more hosts could not be read or judged", run.Errors);
        Assert.HasCount(21, run.Errors.TrimEnd('\n').Split('\n'));
    }

    [TestMethod]
    public void Files_folders_and_captures_are_hosts()
    {
        string folder = Directory.CreateTempSubdirectory("keyhole").FullName;
        try
        {
            File.Copy(CommandRun.Golden("seed8g.log"), Path.Combine(folder, "seed.log"));
            File.Copy(CommandRun.Golden("iommu.log"), Path.Combine(folder, "iommu.log"));
            File.WriteAllText(Path.Combine(folder, "more.ndjson"), $"{Low}\n{High}\n");
            File.WriteAllText(Path.Combine(folder, ".hidden"), "not a host");
            JsonElement json = CommandRun.Of("fleet", folder, CommandRun.Golden("plain4g.log"), "--json").Json();

            Assert.AreEqual(5, json.GetProperty("hosts").GetInt32());
            Assert.AreEqual(0, json.GetProperty("unreadable").GetProperty("count").GetInt32());
            CollectionAssert.Contains(json.GetProperty("hostList").EnumerateArray().Select(host => host.GetProperty("name").GetString()).ToArray(),
                Path.Combine(folder, "seed.log"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void The_files_of_a_folder_are_read_by_name()
    {
        string folder = Directory.CreateTempSubdirectory("keyhole").FullName;
        try
        {
            foreach (char name in "hcafjbigdekl")
                File.WriteAllText(Path.Combine(folder, $"{name}.json"), Low);
            string[] rows = CommandRun.Of("fleet", folder, "--csv").Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

            Assert.AreEqual("abcdefghijkl", string.Concat(rows.Skip(1).Select(row => row[folder.Length + 1])));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Standard_input_may_be_one_log()
    {
        CommandRun run = CommandRun.WithInput(File.ReadAllBytes(CommandRun.Golden("seed8g.log")), "fleet", "-", "--json");

        Assert.AreEqual("0xbb000000", run.Json().GetProperty("holeStart").GetString());
    }

    [TestMethod]
    public void Csv_has_a_line_for_each_host_and_no_formula()
    {
        CommandRun run = Lines($"{Low.Replace("low", "=1+1,\\\"x", StringComparison.Ordinal)}\n{Impossible}\n", "fleet", "-", "--csv");

        Assert.AreEqual(
            "name,hole_start,evidence,ram_kib,lowest_window_above_4gib\n\"'=1+1,\"\"x\",0x80000000,map,10485760,\ndeep,0x2000000,windows,2097152,\n",
            run.Output);
    }

    [TestMethod]
    public void The_fleets_hole_is_a_policy_that_plan_takes()
    {
        string policy = Lines($"{Low}\n{High}\n", "fleet", "-", "--json").Json().GetProperty("policy").GetString()!["--policy ".Length..];

        CommandRun run = CommandRun.WithInput(Encoding.UTF8.GetBytes(High), "plan", "--host", "-", "--memory", "3072", "--e820-host", "--policy",
            policy, "--json");

        Assert.AreEqual("0x80000000", run.Json().GetProperty("e820")[0].GetProperty("end").GetString());
    }

    [TestMethod]
    [DataRow("fleet")]
    [DataRow("fleet", "-", "-")]
    [DataRow("fleet", "-", "--json", "--csv")]
    [DataRow("fleet", "-", "--memory", "0")]
    [DataRow("fleet", "-", "--maxmem", "5")]
    [DataRow("fleet", "-", "--guest", "/nowhere")]
    public void Bad_usage_is_one_line_and_status_2(params string[] args)
    {
        CommandRun run = Lines(Low, args);

        Assert.AreEqual(2, run.Status);
        Assert.IsEmpty(run.Output);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n'));
    }

    [TestMethod]
    public void Progress_is_shown_to_nobody_in_a_pipe() =>
        Assert.IsEmpty(Lines(string.Concat(Enumerable.Repeat(Low + "\n", 50_000)), "fleet", "-").Errors);

    private static CommandRun Lines(string text, params string[] args) => CommandRun.WithInput(Encoding.UTF8.GetBytes(text), args);

    /// <summary>Sentences as they are where no line ends.</summary>
    private static string Joined(CommandRun run) => string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private static string GuestFile()
    {
        string path = Path.Combine(Path.GetTempPath(), "keyhole-fleet-gpu.cmd");
        if (!File.Exists(path) || File.ReadAllText(path) != Gpu)
            File.WriteAllText(path, Gpu);
        return path;
    }
}
