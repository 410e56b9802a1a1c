// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class BootVerbTests
{
    [TestMethod]
    [DataRow(true, "boot a kernel from 6.12 on, which moves ACPI NVS out of its way")]
    // In libxl's map of a guest what is behind the NVS is unusable, where a kernel from 6.12 on halts, too.
    [DataRow(false, "install a map that keeps RAM there")]
    public void Nobody_is_told_to_give_dom0_another_map(bool isDom0, string remedy)
    {
        string[] whose = isDom0 ? ["--dom0"] : ["--memory", "256", "--e820-host"];
        JsonElement halt = CommandRun.Of(["boot", .. whose, "--host", CommandRun.Golden("nvskernel.log"), "--kernel", "6.1.100", "--json"]).Json()
            .GetProperty("problems").EnumerateArray().Single(static problem => problem.GetProperty("code").GetString() == "kernel-halts");

        Assert.AreEqual(remedy, halt.GetProperty("remedy").GetString());
    }

    /// <summary>xen-devel, June 2024 (a Threadripper): what lies behind ACPI NVS is unusable in libxl's map.</summary>
    [TestMethod]
    [DataRow("6.1.90", "overlaps nvs memory at [0x4000000, 0x4021000)")]
    [DataRow("6.12.20", "overlaps unusable memory at [0x4021000, 0x9df2000)")]
    public void A_kernel_that_moves_NVS_is_no_remedy_where_it_halts_over_what_is_behind(string kernel, string obstacle)
    {
        const string host = "0 a0000 ram\n100000 4000000 ram\n4000000 4021000 nvs\n4021000 9df2000 ram\n9df2000 a000000 reserved\na000000 "
            + "b0000000 ram\n100000000 200000000 ram\n";
        JsonElement halt = CommandRun.WithInput(Encoding.ASCII.GetBytes(host), "boot", "--host", "-", "--memory", "4096", "--e820-host", "--kernel", kernel, "--json").Json()
            .GetProperty("problems").EnumerateArray().Single(static problem => problem.GetProperty("code").GetString() == "kernel-halts");

        Assert.EndsWith(obstacle, halt.GetProperty("message").GetString()!);
        Assert.AreEqual("install a map that keeps RAM there", halt.GetProperty("remedy").GetString());
    }

    [TestMethod]
    public void A_window_that_cannot_be_claimed_is_one_problem_in_the_kernels_words()
    {
        string[] guest = ["--host", CommandRun.Golden("passthrough.log"), "--memory", "3072", "--e820-host", "--bar", "20000000-20100000", "--json"];
        string[] Conflicts(string verb) =>
        [
            .. CommandRun.Of([verb, .. guest]).Json().GetProperty("problems").EnumerateArray()
                .Where(problem => problem.GetProperty("code").GetString() == "bar-conflict")
                .Select(problem => problem.GetProperty("message").GetString()!),
        ];

        Assert.HasCount(1, Conflicts("plan"));
        Assert.Contains("can't claim; address conflict with System RAM", Conflicts("boot").Single());
    }

    [TestMethod]
    [DataRow("--memory", "512", "--nr-pages", "5")]
    [DataRow("--dom0", "--nr-pages", "5")]
    public void A_domain_of_a_few_pages_does_not_boot(params string[] options)
    {
        CommandRun run = CommandRun.Of(["boot", "--host", CommandRun.Golden("seed8g.log"), "--json", .. options]);

        Assert.AreEqual(1, run.Status);
        Assert.IsTrue(run.Json().GetProperty("problems").EnumerateArray()
            .Any(static problem => problem.GetProperty("code").GetString() == "memory-too-small"));
    }

    [TestMethod]
    [DataRow("--memory", "65536")]
    [DataRow("--memory", "512", "--nr-pages", "16777216")]
    [DataRow("--dom0", "--nr-pages", "16777216")]
    public void A_domain_larger_than_its_host_is_told_once_and_gives_status_1(params string[] options)
    {
        CommandRun run = CommandRun.Of(["boot", "--host", CommandRun.Golden("seed8g.log"), "--json", .. options]);

        Assert.AreEqual(1, run.Status);
        JsonElement problem = run.Json().GetProperty("problems").EnumerateArray()
            .Single(static problem => problem.GetProperty("code").GetString() == "larger-than-host");
        Assert.StartsWith("64 GiB of memory are ", problem.GetProperty("message").GetString()!);
    }

    [TestMethod]
    [DataRow("linux-5.15", "linux-5.15")]
    [DataRow("5.15.0-91-generic", "linux-5.15.168")]
    [DataRow("linux-6.6.12", "linux-6.6.12")]
    [DataRow("4.19.304", "linux-4.19.304")]
    [DataRow("linux-4.3.0", "linux-4.3.0")]
    [DataRow("linux-4.3", "linux-4.3")]
    [DataRow("linux-2015-07", "linux-4.3")]
    [DataRow("Linux version 6.1.0-50-amd64 (a@b) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP Debian 6.1.192-2 (2026-11-01)", "linux-6.1.192")]
    public void A_kernel_is_named_by_its_release_with_or_without_linux_before_it(string name, string kernel) =>
        Assert.AreEqual(kernel, CommandRun.Of("boot", "--host", CommandRun.Golden("seed8g.log"), "--memory", "512", "--kernel", name, "--json").Json()
            .GetProperty("kernel").GetString());

    [TestMethod]
    [DataRow("2.6.32", "the memory setup of Linux \"2.6.32\" is not known; give a release from 3.2 to 7.3")]
    [DataRow("7.4", "the memory setup of Linux \"7.4\" is not known; give a release from 3.2 to 7.3")]
    [DataRow("six", "\"six\" is not a release of Linux; write it as 6.1.192, linux-4.19.304 or 6.1.0-50-amd64")]
    public void A_kernel_that_is_not_known_is_refused(string name, string error)
    {
        CommandRun run = CommandRun.Of("boot", "--host", CommandRun.Golden("seed8g.log"), "--memory", "512", "--kernel", name);

        Assert.AreEqual(2, run.Status);
        Assert.EndsWith($"keyhole: --kernel: {error}\n", run.Errors);
    }

    [TestMethod]
    public void A_guessed_patch_is_said_to_be_one()
    {
        CommandRun run = CommandRun.Of("boot", "--host", CommandRun.Golden("seed8g.log"), "--memory", "512", "--kernel", "4.4.0-210-generic");

        Assert.Contains("note: --kernel: a guess: 4.4.0-210-generic does not say which patch of 4.4 it carries: it is taken for linux-4.4.148",
            run.Errors);
    }

    [TestMethod]
    public void Dom0_is_forecast_from_one_log_alone()
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", CommandRun.Golden("seed8g.log"), "--json");

        JsonElement json = run.Json();
        Assert.AreEqual(0, run.Status);
        Assert.AreEqual("boots", json.GetProperty("outcome").GetString());
        Assert.AreEqual(262144u, json.GetProperty("nrPages").GetUInt32());
        Assert.AreEqual(610u, json.GetProperty("remappedPages").GetUInt32());
        Assert.AreEqual("0x40462000", json.GetProperty("pciGap").GetProperty("start").GetString());
        CollectionAssert.Contains(json.GetProperty("log").EnumerateArray().Select(line => line.GetString()).ToArray(), "Remapped 610 page(s)");
    }

    [TestMethod]
    [DataRow("linux-6.1", true, "NUMA cpuidle cpufreq")]
    [DataRow("linux-6.1", false, "ACPI NUMA cpuidle cpufreq")]
    [DataRow("linux-3.3", false, "ACPI NUMA")]
    public void What_the_kernel_does_without_under_Xen_is_told(string kernel, bool isDom0, string off)
    {
        CommandRun run = CommandRun.Of(["boot", "--host", CommandRun.Golden("plain4g.log"), "--kernel", kernel, "--json", .. isDom0
            ? new[] { "--dom0" } : ["--memory", "512"]]);

        Assert.AreEqual(off, string.Join(' ', run.Json().GetProperty("switchedOff").EnumerateArray().Select(what => what.GetString())));
    }

    [TestMethod]
    public void A_limit_that_the_log_does_not_tell_for_sure_is_remarked()
    {
        string[] log = [.. File.ReadLines(CommandRun.Golden("seed8g.log"))
            .TakeWhile(static line => !line.StartsWith("===", StringComparison.Ordinal))];
        Assert.DoesNotContain("limit", Errors(log));
        Assert.Contains("note: Xen's command line is not in the log: dom0 is taken to have no limit", Errors(log[1..]));
        Assert.Contains("note: dom0_mem= on Xen's command line cannot be read (is the log wrapped or garbled there?): dom0 is taken to have no limit",
            Errors([.. log[0].Replace("1G,max", "1G\n,max", StringComparison.Ordinal).Split('\n'), .. log[1..]]));
        Assert.DoesNotContain("limit", Errors(log[1..], "--max", "1024"));
        log[0] = "(XEN) Command line: dom0_mem=1G,max:50%";
        Assert.Contains("note: dom0_mem=max: on Xen's command line is relative", Errors(log));

        static string Errors(string[] log, params string[] options) =>
            CommandRun.WithInput(Encoding.ASCII.GetBytes(string.Join('\n', log)), ["boot", "--dom0", "--host", "-", .. options]).Errors;
    }

    [TestMethod]
    public void An_initrd_that_moves_is_told_with_the_addresses_that_the_real_kernel_printed()
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", CommandRun.Golden("dom0-relocate.log"), "--json");

        JsonElement moved = run.Json().GetProperty("moved").EnumerateArray().Single(range => range.GetProperty("what").GetString() == "initrd");
        Assert.AreEqual("0x8000000", moved.GetProperty("from").GetString());
        Assert.AreEqual("0x28000000", moved.GetProperty("to").GetString());
    }

    [TestMethod]
    public void A_dom0_that_halts_gives_status_1_and_the_kernels_last_words()
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", CommandRun.Golden("nvskernel.log"), "--json");

        JsonElement json = run.Json();
        Assert.AreEqual(1, run.Status);
        Assert.AreEqual("halts", json.GetProperty("outcome").GetString());
        Assert.AreEqual("Xen hypervisor allocated kernel memory conflicts with E820 map", json.GetProperty("message").GetString());
    }

    [TestMethod]
    public void A_kernel_that_moves_NVS_boots_where_the_older_one_halts()
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", CommandRun.Golden("nvskernel.log"), "--kernel", "6.12.3", "--json");

        Assert.AreEqual(0, run.Status);
        JsonElement moved = run.Json().GetProperty("moved").EnumerateArray().Single(row => row.GetProperty("what").GetString() == "ACPI NVS");
        Assert.AreEqual("0x1800000", moved.GetProperty("from").GetString());
        Assert.AreEqual(512u, run.Json().GetProperty("nonRamPages").GetUInt32());
    }

    [TestMethod]
    public void The_hosts_pages_and_maximum_can_be_given()
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", CommandRun.Golden("seed8g.log"), "--nr-pages", "1755989", "--kernel", "linux-3.4",
            "--json");

        Assert.AreEqual(283999u, run.Json().GetProperty("releasedPages").GetUInt32());
        Assert.AreEqual(283999u, run.Json().GetProperty("populatedPages").GetUInt32());
    }

    [TestMethod]
    [DataRow("plain4g.log", "boots", JsonValueKind.Object)]
    [DataRow("nvskernel.log", "halts", JsonValueKind.Null)]
    public void Json_has_every_member_of_the_contract_whether_the_kernel_boots_or_not(string host, string outcome, JsonValueKind gap)
    {
        JsonElement json = CommandRun.Of("boot", "--host", CommandRun.Golden(host), "--dom0", "--json").Json();

        Assert.AreEqual(outcome, json.GetProperty("outcome").GetString());
        Assert.AreEqual(gap, json.GetProperty("pciGap").ValueKind);
        foreach (string member in (string[])["policy", "guest", "e820", "problems", "kernel", "kernelE820", "nrPages", "releasedPages",
            "remappedPages", "populatedPages", "nonRamPages", "extra", "p2m", "hypercalls", "moved", "log"])
            Assert.IsTrue(json.TryGetProperty(member, out _), member);
    }

    [TestMethod]
    public void Mem_set_tells_where_grown_memory_will_lie()
    {
        string[] args = ["boot", "--host", CommandRun.Golden("plain4g.log"), "--memory", "512", "--maxmem", "1024", "--e820-host", "--kernel",
            "linux-7.2", "--mem-set", "768"];
        JsonElement balloon = CommandRun.Of([.. args, "--json"]).Json().GetProperty("balloon");

        Assert.AreEqual(768u << 8, balloon.GetProperty("targetPages").GetUInt32());
        Assert.AreEqual(256u << 8, balloon.GetProperty("hotplugPages").GetUInt32());
        Assert.AreEqual(0u, balloon.GetProperty("extraPages").GetUInt32());
        Assert.AreNotEqual(0u, balloon.GetProperty("scratchPages").GetUInt32());
        string start = balloon.GetProperty("hotplug").GetProperty("start").GetString()!;
        Assert.Contains($"by hotplug, at [{start}", CommandRun.Of(args).Output);
    }

    [TestMethod]
    [DataRow("0")]
    [DataRow("99999999999")]
    public void Mem_set_to_no_size_for_a_guest_is_refused(string size)
    {
        CommandRun run = CommandRun.Of("boot", "--host", CommandRun.Golden("plain4g.log"), "--memory", "512", "--mem-set", size);

        Assert.AreEqual(2, run.Status);
        Assert.Contains("--mem-set", run.Errors);
    }

    [TestMethod]
    public void A_maximum_below_what_dom0_starts_with_is_refused()
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", CommandRun.Golden("seed8g.log"), "--max", "256M");

        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains("--max: dom0 starts with 262,144 pages (1 GiB)", run.Errors);
    }

    [TestMethod]
    public void A_maximum_without_dom0_is_refused()
    {
        CommandRun run = CommandRun.Of("boot", "--host", CommandRun.Golden("plain4g.log"), "--memory", "512", "--max", "600");

        Assert.AreEqual(2, run.Status);
        Assert.Contains("give --dom0", run.Errors);
    }

    [TestMethod]
    [DataRow("32", true)]
    [DataRow("64", false)]
    public void Only_a_32_bit_kernel_notes_in_its_vDSO_that_negative_segments_are_off(string bits, bool isNoted)
    {
        CommandRun run = CommandRun.Of("boot", "--host", CommandRun.Golden("plain4g.log"), "--memory", "512", "--e820-host", "--bits", bits,
            "--json");

        string[] off = [.. run.Json().GetProperty("switchedOff").EnumerateArray().Select(what => what.GetString()!)];
        Assert.AreEqual(isNoted, off.Contains("negative segments (vDSO note nosegneg)"));
    }

    private static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", name);

    [TestMethod]
    public void A_map_given_by_hand_is_forecast_without_a_host_and_its_RAM_is_the_guests_memory()
    {
        CommandRun run = CommandRun.WithInput("0 8000000 ram\n8000000 9000000 reserved\n9000000 11000000 ram\n"u8.ToArray(), "boot", "--guest-map",
            "-", "--json");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.AreEqual("boots", run.Json().GetProperty("outcome").GetString());
        Assert.AreEqual(65536UL, run.Json().GetProperty("nrPages").GetUInt64());
        Assert.AreEqual(4096UL, run.Json().GetProperty("remappedPages").GetUInt64());
        Assert.AreEqual("map", run.Json().GetProperty("policy").GetString());
        Assert.HasCount(0, run.Json().GetProperty("problems").EnumerateArray());
    }

    [TestMethod]
    public void What_plan_answers_can_be_given_as_the_guests_map()
    {
        string[] guest = ["--host", CommandRun.Golden("seed8g.log"), "--memory", "2048", "--e820-host", "--json"];
        CommandRun plan = CommandRun.Of(["plan", .. guest]);
        JsonElement whole = CommandRun.Of(["boot", .. guest]).Json();

        JsonElement given = CommandRun.WithInput(Encoding.UTF8.GetBytes(plan.Output), "boot", "--guest-map", "-", "--memory", "2048", "--json")
            .Json();

        foreach (string member in new[] { "outcome", "kernelE820", "remappedPages", "p2m", "hypercalls", "pciGap" })
            Assert.AreEqual(whole.GetProperty(member).GetRawText(), given.GetProperty(member).GetRawText(), member);
    }

    [TestMethod]
    [DataRow("--guest-map: dom0 gets the machine's map", "--dom0")]
    [DataRow("--policy: a map is given", "--policy", "punch")]
    [DataRow("--guest-map: the guest is not a PV guest", "--type", "hvm", "--memory", "512")]
    public void A_map_given_by_hand_goes_with_nothing_that_lays_another(string words, params string[] options)
    {
        CommandRun run = CommandRun.WithInput("0 8000000 ram\n"u8.ToArray(), ["boot", "--guest-map", "-", .. options]);

        Assert.AreEqual(2, run.Status);
        Assert.StartsWith($"keyhole: {words}", run.Errors);
    }

    [TestMethod]
    [DataRow("0 80000000 2\n", "there is less than 1 MiB of RAM in this map")]
    [DataRow("{}", "neither \"e820\" nor \"entries\" in the JSON; give the file as keyhole plan, 'keyhole boot' or")]
    [DataRow("nothing of a map\n", "give lines of START END TYPE, those of 'xl -vvv create'")]
    public void A_map_that_is_none_blames_the_map_and_names_what_a_guests_map_is_read_from(string map, string words)
    {
        CommandRun run = CommandRun.WithInput(Encoding.ASCII.GetBytes(map), "boot", "--guest-map", "-");

        Assert.AreEqual(2, run.Status);
        Assert.StartsWith("keyhole: standard input", run.Errors);
        Assert.Contains(words, run.Errors);
    }

    /// <summary>What is said of one thing reads as said of each.</summary>
    [TestMethod]
    [DataRow("remedy for these 3: install a map with unusable memory there")]
    [DataRow("remedy for each of these 2: the BAR must be in a gap or in a reserved region of the guest's map: check its address against the host's")]
    public void A_remedy_for_several_problems_reads_as_one_for_several(string words)
    {
        string host = Path.Combine(Path.GetTempPath(), $"keyhole-{Guid.NewGuid():N}.map");
        File.WriteAllText(host, "0 a0000 ram\n100000 c0000000 ram\n");
        try
        {
            CommandRun run = CommandRun.WithInput("0 10000000 ram\n60000000 70000000 ram\n80000000 90000000 ram\na0000000 100000000 reserved\n"u8
                .ToArray(), "boot", "--host", host, "--guest-map", "-", "--bar", "8000000-9000000", "--bar", "9000000-a000000");

            Assert.Contains(words, string.Join(' ', run.Output.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries)));
        }
        finally
        {
            File.Delete(host);
        }
    }

    [TestMethod]
    [DataRow("", "memory-released", "install a map with as much RAM as the guest has pages")]
    [DataRow("[...]\n", "memory-released", "")]
    [DataRow("[...]\n", "map-not-known", "give the guest's whole map: all lines of it")]
    public void No_remedy_is_made_of_a_map_of_which_lines_are_missing_but_to_give_it_whole(string omission, string code, string remedy)
    {
        string map = $"""
            [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
            [    0.000000] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
            {omission}[    0.000000] Xen: [mem 0x0000000050000000-0x000000005fffffff] reserved
            [    0.000000] last_pfn = 0x40000 max_arch_pfn = 0x400000000

            """;

        CommandRun run = CommandRun.WithInput(Encoding.ASCII.GetBytes(map), "boot", "--guest-map", "-", "--nr-pages", "400000", "--json");

        JsonElement problem = run.Json().GetProperty("problems").EnumerateArray().Single(problem => problem.GetProperty("code").GetString() == code);
        Assert.AreEqual(remedy, problem.TryGetProperty("remedy", out JsonElement said) ? said.GetString() : "");
    }

    [TestMethod]
    [DataRow("6.1")]
    [DataRow("3.4")]
    public void Pages_behind_the_end_of_a_map_of_ones_own_are_told_to_be_lost_and_not_to_lie_above_4_GiB(string kernel)
    {
        CommandRun run = WithHost("0 8000000 ram\n", "--nr-pages", "65536", "--kernel", kernel, "--json");

        JsonElement[] told = [.. run.Json().GetProperty("problems").EnumerateArray()];
        JsonElement shortMap = told.Single(static problem => problem.GetProperty("code").GetString() == "map-too-short");
        Assert.AreEqual("the map ends before 32768 of the guest's pages (128 MiB): the kernel does not use them, nor does it give them back to Xen",
            shortMap.GetProperty("message").GetString());
        Assert.AreEqual("install a map with as much RAM as the guest has pages", shortMap.GetProperty("remedy").GetString());
        Assert.IsFalse(told.Any(static problem => problem.GetProperty("code").GetString() == "low-memory-lost"));
        Assert.IsTrue(run.Json().GetProperty("account").EnumerateArray().Any(static line => line.GetProperty("pages").GetUInt64() == 32768
            && line.GetProperty("what").GetString()!.StartsWith("lost: the map ends before them", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_map_of_ones_own_whose_RAM_is_above_4_GiB_without_need_is_told_so_as_a_map_and_not_as_a_policy()
    {
        CommandRun run = WithHost("0 8000000 ram\n100000000 108000000 ram\n", "--nr-pages", "65536", "--json");

        JsonElement lost = Single(run, "low-memory-lost");
        Assert.StartsWith("only 128 MiB of 256 MiB are below 4 GiB: RAM ends at 0x8000000 in this map, where the host has 128 MiB more",
            lost.GetProperty("message").GetString());
        Assert.AreEqual("put more of its RAM there, as the policies punch and minimal do", lost.GetProperty("remedy").GetString());
    }

    [TestMethod]
    public void Entries_of_a_map_of_ones_own_that_overlap_are_the_maps_and_not_the_hosts()
    {
        CommandRun run = WithHost("0 10000000 ram\n8000000 9000000 reserved\n", "--json");

        JsonElement overlap = Single(run, "high-ram-overlap");
        Assert.AreEqual("RAM at 0x0 overlaps the reserved entry at 0x8000000 of the same map: the guest's kernel takes 16 MiB of it for reserved",
            overlap.GetProperty("message").GetString());
        Assert.AreEqual("give each address one type, and RAM that this cuts off a place behind the rest", overlap.GetProperty("remedy").GetString());
    }

    private static JsonElement Single(CommandRun run, string code) => run.Json().GetProperty("problems").EnumerateArray()
        .Single(problem => problem.GetProperty("code").GetString() == code);

    /// <summary>On a host with RAM up to 2.75 GiB.</summary>
    private static CommandRun WithHost(string map, params string[] options)
    {
        string host = Path.Combine(Path.GetTempPath(), $"keyhole-{Guid.NewGuid():N}.map");
        File.WriteAllText(host, "0 9fc00 ram\n100000 b0000000 ram\nfec00000 fec01000 reserved\n");
        try
        {
            return CommandRun.WithInput(Encoding.ASCII.GetBytes(map), ["boot", "--host", host, "--guest-map", "-", .. options]);
        }
        finally
        {
            File.Delete(host);
        }
    }

    [TestMethod]
    public void Types_may_be_written_as_kernels_and_xl_write_them()
    {
        CommandRun run =
            CommandRun.WithInput("0 20000000 RAM\n20000000 20001000 ACPI NVS\n20001000 20002000 ACPI data\n30000000 30001000 usable\n"u8.ToArray(),
                "boot", "--guest-map", "-", "--json");

        string[] types = [.. run.Json().GetProperty("e820").EnumerateArray().Select(static entry => entry.GetProperty("type").GetString()!)];
        CollectionAssert.AreEqual(new[] { "ram", "nvs", "acpi", "ram" }, types);
    }

    [TestMethod]
    [DataRow("3.18", "without a message")]
    [DataRow("4.2", "without a message")]
    [DataRow("6.1", "saying \"Xen hypervisor allocated page table memory conflicts with E820 map\"")]
    public void A_kernel_that_dies_of_its_page_tables_place_says_so_whether_it_looks_or_not(string kernel, string words)
    {
        CommandRun run = CommandRun.WithInput("0 a0000 1\n100000 4a10000 1\n4a10000 4b00000 2\n4b00000 80000000 1\n"u8.ToArray(), "boot",
            "--guest-map", "-", "--kernel", kernel);

        Assert.AreEqual(1, run.Status);
        Assert.Contains(
            $"the kernel halts{(words[0] == 'w' ? " " : ", ")}{words}: its page tables at [0x4a03000, 0x4a2c000) overlap "
                + $"reserved memory at [0x4a10000, 0x4b00000)", run.Output);
    }

    [TestMethod]
    public void Of_the_kernels_place_one_source_speaks()
    {
        string[] boot = ["boot", "--dom0", "--host", Fixture("edges61/k-edge61.log"), "--kernel-span", "1000000-2000000"];

        CommandRun both = CommandRun.Of([.. boot, "--kernel-image", Fixture("guests/vmlinuz-6.1.192")]);

        Assert.AreEqual(2, both.Status);
        Assert.StartsWith("keyhole: --kernel-span: the kernel's image says where it is", both.Errors);
    }

    [TestMethod]
    [DataRow("6.1", true)]
    [DataRow("6.1.192", false)]
    public void An_image_of_another_release_than_the_one_that_is_named_is_remarked_on(string kernel, bool isOther)
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", Fixture("edges61/k-edge61.log"), "--kernel", kernel, "--kernel-image",
            Fixture("guests/vmlinuz-6.1.192"));

        Assert.AreEqual(isOther, run.Errors.Contains("it is Linux 6.1.192-1-test, but linux-6.1 is asked for", StringComparison.Ordinal), run.Errors);
    }

    [TestMethod]
    [DataRow("6.1.x")]
    [DataRow("6.1.-3")]
    [DataRow("6.1.")]
    [DataRow("v6.1x")]
    public void What_only_begins_as_a_release_is_none(string kernel)
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", Fixture("edges61/k-edge61.log"), "--kernel", kernel);

        Assert.AreEqual(2, run.Status, run.Errors);
        Assert.Contains("is not a release of Linux", run.Errors);
    }

    [TestMethod]
    public void A_program_is_no_kernel()
    {
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", Fixture("edges61/k-edge61.log"), "--kernel-image", "/bin/sh");

        Assert.AreEqual(2, run.Status);
        Assert.Contains("/bin/sh: is an ELF file, but not one of a Linux kernel", run.Errors);
    }

    [TestMethod]
    [DataRow("k-edge61", "boots", 0)]
    [DataRow("k-below-edge61", "halts", 1)]
    public void The_kernels_image_says_to_the_page_where_it_must_have_RAM(string name, string outcome, int status)
    {
        string[] record = ["boot", "--dom0", "--host", Fixture($"edges61/{name}.log"), "--json"];
        CommandRun without = CommandRun.Of(record);
        CommandRun with = CommandRun.Of([.. record, "--kernel-image", Fixture("guests/vmlinuz-6.1.192")]);

        Assert.AreEqual(status, with.Status, with.Errors);
        Assert.AreEqual(outcome, with.Json().GetProperty("outcome").GetString());
        Assert.AreEqual("linux-6.1.192", with.Json().GetProperty("kernel").GetString());
        Assert.AreEqual("0x4430000", with.Json().GetProperty("kernelImage").GetProperty("end").GetString());
        Assert.IsFalse(with.Json().TryGetProperty("ifKernelEndsBy", out _));
        Assert.AreEqual(1, without.Status);
        Assert.AreEqual("halts", without.Json().GetProperty("outcome").GetString());
        Assert.AreEqual("boots", without.Json().GetProperty("ifKernelEndsBy").GetProperty("outcome").GetString());
        Assert.Contains("which is not known", CommandRun.Of(record[..^1]).Output);
    }

    [TestMethod]
    public void What_is_told_of_the_kernels_span_moves_what_lies_behind_it()
    {
        // A hole where a kernel of the usual size has its page tables, and another where a smaller one's p2m list would be.
        CommandRun Of(string holeStart, string holeEnd, string span) => CommandRun.WithInput(
            Encoding.ASCII.GetBytes($"0 {holeStart} ram\n{holeStart} {holeEnd} reserved\n{holeEnd} 20000000 ram\n"), "boot", "--guest-map", "-",
            "--memory", "256", "--kernel-span", span, "--json");

        Assert.AreEqual("halts", Of("4a10000", "4a20000", "1000000-4a00000").Json().GetProperty("outcome").GetString());
        Assert.AreEqual("boots", Of("4a10000", "4a20000", "1000000-3000000").Json().GetProperty("outcome").GetString());
        Assert.AreEqual("halts", Of("3010000", "3020000", "1000000-3000000").Json().GetProperty("outcome").GetString());
        Assert.AreEqual("p2m list", Of("3200000", "3800000", "1000000-3000000").Json().GetProperty("moved")[0].GetProperty("what").GetString());
    }

    [TestMethod]
    public void The_kernel_that_a_guests_configuration_names_is_read_where_it_is_here()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, $"name=\"g\"\ntype=\"pv\"\nmemory=512\ne820_host=1\nkernel=\"{Fixture("guests/vmlinuz-6.1.192")}\"\n");
            string[] guest = ["--host", CommandRun.Golden("plain4g.log"), "--guest", path, "--json"];
            CommandRun boot = CommandRun.Of(["boot", .. guest]);
            CommandRun text = CommandRun.Of(["boot", .. guest[..^1]]);
            CommandRun named = CommandRun.Of(["boot", .. guest, "--kernel", "6.12"]);
            File.WriteAllText(path, "name=\"g\"\ntype=\"pv\"\nmemory=512\ne820_host=1\nkernel=\"/nowhere/vmlinuz\"\n");
            CommandRun missing = CommandRun.Of(["boot", .. guest]);
            File.WriteAllText(path, "name=\"g\"\ntype=\"pv\"\nmemory=512\ne820_host=1\nkernel=\"/dev/zero\"\n");
            CommandRun device = CommandRun.Of(["boot", .. guest]);
            File.WriteAllText(path, "name=\"g\"\ntype=\"pv\"\nmemory=512\ne820_host=1\nkernel=\"/tmp\"\n");
            CommandRun folder = CommandRun.Of(["boot", .. guest]);
            File.WriteAllText(path, "name=\"g\"\ntype=\"pv\"\nmemory=512\ne820_host=1\nbootloader=\"pygrub\"\n");
            CommandRun bootloader = CommandRun.Of(["boot", .. guest]);

            Assert.AreEqual("linux-6.1.192", boot.Json().GetProperty("kernel").GetString());
            Assert.Contains("by its image", text.Output);
            Assert.DoesNotContain("kernel=", text.Errors);
            Assert.AreEqual("linux-6.12", named.Json().GetProperty("kernel").GetString());
            Assert.AreEqual("linux-6.1", missing.Json().GetProperty("kernel").GetString());
            Assert.Contains("kernel=/nowhere/vmlinuz is not on this machine", missing.Errors);
            Assert.Contains("kernel=/dev/zero is a pipe, a device or an empty file", device.Errors);
            Assert.Contains("kernel=/tmp is a folder", folder.Errors);
            Assert.Contains("bootloader takes the kernel out of its disk", bootloader.Errors);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    [DataRow("plan")]
    [DataRow("compare")]
    public void Plan_and_compare_take_an_image_too(string verb)
    {
        string[] options = [verb, "--host", CommandRun.Golden("nvskernel.log"), "--memory", "256", "--e820-host", "--json", "--kernel-image"];

        Assert.Contains("kernel-halts", CommandRun.Of([.. options, Fixture("guests/vmlinuz-6.1.192")]).Output);
        Assert.StartsWith("keyhole: ", CommandRun.Of([.. options, CommandRun.Golden("nvskernel.log")]).Errors.Split('\n')
            .First(static line => !line.StartsWith("note: ", StringComparison.Ordinal)));
    }
}
