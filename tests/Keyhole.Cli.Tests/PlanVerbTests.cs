// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class PlanVerbTests
{
    [TestMethod]
    [DataRow(true, "--policy", "punch")]
    [DataRow(true, "--policy", "hole-at", "--hole", "40000000")]
    [DataRow(true, "--policy", "punch", "--type", "hvm")]
    [DataRow(false, "--policy", "libxl")]
    [DataRow(false, "--policy", "punch", "--e820-host")]
    [DataRow(false, "--policy", "guest-merge")]
    public void A_policy_that_does_not_come_into_play_is_remarked(bool isRemarked, params string[] options)
    {
        CommandRun run = CommandRun.Of(["plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "1024", .. options]);

        Assert.AreEqual(isRemarked, run.Errors.Contains($"note: --policy {options[1]}", StringComparison.Ordinal), run.Errors);
    }

    [TestMethod]
    public void The_seeds_machine_leaves_a_guest_of_3_GiB_with_512_MiB_of_low_memory()
    {
        CommandRun run = CommandRun.Of("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host", "--json");

        JsonElement json = run.Json();
        Assert.AreEqual(524288u, json.GetProperty("ramBelow4GiBKiB").GetUInt32());
        JsonElement lost = json.GetProperty("problems").EnumerateArray()
            .Single(problem => problem.GetProperty("code").GetString() == "low-memory-lost");
        Assert.AreEqual("0x20000000", lost.GetProperty("start").GetString());
        Assert.Contains("512 MiB of 3 GiB", lost.GetProperty("message").GetString()!);
        Assert.AreEqual(0, run.Status);
    }

    [TestMethod]
    public void Punch_keeps_the_low_memory_that_libxl_loses()
    {
        JsonElement json = CommandRun.Of("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "3072", "--e820-host", "--policy", "punch",
            "--json").Json();

        Assert.IsGreaterThan(2900u << 10, json.GetProperty("ramBelow4GiBKiB").GetUInt32());
    }

    [TestMethod]
    public void A_guest_that_cannot_start_gives_status_1()
    {
        CommandRun run = CommandRun.WithInput(
            Encoding.ASCII.GetBytes("0 a0000 1\n100000 800000 1\n800000 900000 4\n900000 c0000000 1\nfec00000 100000000 2\n"),
            "plan", "--host", "-", "--memory", "1024", "--e820-host");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("error kernel-not-on-ram", run.Output);
        Assert.Contains("RAM ends at 0x800000, below the kernel", run.Output);
    }

    [TestMethod]
    [DataRow("03:00.0", false)]
    [DataRow("03:00.*", false)]
    [DataRow("04:00.0", true)]
    [DataRow("03:00.1", true)]
    public void A_device_of_which_the_listing_tells_nothing_is_remarked(string device, bool isRemarked)
    {
        byte[] listing =
            Encoding.ASCII.GetBytes(
                "03:00.0 Ethernet controller: x\n\tRegion 0: Memory at febc0000 (32-bit, non-prefetchable) "
                    + "[size=128K]\n03:00.1 Ethernet controller: y\n");

        CommandRun run = CommandRun.WithInput(listing, "plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "1024", "--pci", device,
            "--devices", "-");

        Assert.AreEqual(isRemarked, run.Errors.Contains($"tells no window of 0000:{device}: ", StringComparison.Ordinal)
            || run.Errors.Contains($"names 0000:{device} and tells no window of it", StringComparison.Ordinal), run.Errors);
    }

    [TestMethod]
    public void A_guest_larger_than_its_host_gives_status_1()
    {
        CommandRun run = CommandRun.Of("plan", "--host", CommandRun.Golden("seed8g.log"), "--memory", "65536", "--json");

        Assert.AreEqual(1, run.Status);
        JsonElement problem = run.Json().GetProperty("problems").EnumerateArray()
            .Single(static problem => problem.GetProperty("code").GetString() == "larger-than-host");
        Assert.AreEqual("error", problem.GetProperty("severity").GetString());
        Assert.Contains("64 GiB of memory are 56.1 GiB more than all RAM of the host", problem.GetProperty("message").GetString()!);
    }

    [TestMethod]
    public void A_guests_own_log_does_not_say_how_large_the_host_is()
    {
        CommandRun run = CommandRun.WithInput(
            Encoding.ASCII.GetBytes(
                "Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\nXen: [mem 0x00000000000a0000-0x00000000000fffff] reserved\nXen: [mem "
                    + "0x0000000000100000-0x000000001fffffff] usable\n"),
            "plan", "--host", "-", "--memory", "4096");

        Assert.AreEqual(0, run.Status, run.Output);
        Assert.DoesNotContain("larger-than-host", run.Output);
    }

    [TestMethod]
    public void A_window_that_meets_RAM_gives_status_1()
    {
        CommandRun run = CommandRun.Of("plan", "--host", CommandRun.Golden("plain4g.log"), "--memory", "512", "--e820-host", "--bar",
            "10000000-10100000");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("bar-conflict [0x10000000, 0x10100000)", run.Output);
    }

    [TestMethod]
    public void A_pci_entry_turns_the_hosts_map_on_against_the_file()
    {
        CommandRun run = CommandRun.WithInput(
            Encoding.ASCII.GetBytes("type=\"pv\"\nmemory=512\ne820_host=0\npci=['00:02.0']\n"),
            "plan", "--host", CommandRun.Golden("iommu.log"), "--guest", "-", "--json");

        JsonElement json = run.Json();
        Assert.AreEqual("libxl", json.GetProperty("policy").GetString());
        Assert.IsTrue(json.GetProperty("problems").EnumerateArray().Any(problem => problem.GetProperty("code").GetString() == "e820-host-forced"));
    }

    [TestMethod]
    public void A_guest_can_be_written_for_the_other_toolstack()
    {
        byte[] config = Encoding.ASCII.GetBytes("name=\"g\"\ntype=\"pv\"\nmemory=512\nkernel=\"/k/vmlinuz\"\ne820_host=1\n");

        CommandRun run = CommandRun.WithInput(config, "plan", "--host", CommandRun.Golden("plain4g.log"), "--guest", "-", "--emit", "libvirt");

        Assert.AreEqual(0, run.Status);
        Assert.Contains("<e820_host state=", run.Output);
    }

    /// <summary>libvirt has other names for what decides an HVM guest's map, and not all of it is carried over.</summary>
    [TestMethod]
    [DataRow("type=\"hvm\"\nvga=\"stdvga\"", "libvirt", true)]
    [DataRow("type=\"pv\"\ne820_host=1", "libvirt", false)]
    [DataRow("type=\"pvh\"", "libvirt", false)]
    [DataRow("type=\"hvm\"\nvga=\"stdvga\"", "xl", false)]
    public void Where_the_written_guest_gets_another_map_that_is_said(string lines, string toolstack, bool isSaid)
    {
        byte[] config = Encoding.ASCII.GetBytes($"name=\"g\"\nmemory=4096\nkernel=\"/k/vmlinuz\"\n{lines}\n");

        CommandRun run = CommandRun.WithInput(config, "plan", "--host", CommandRun.Golden("plain4g.log"), "--guest", "-", "--emit", toolstack);

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.AreEqual(isSaid, run.Errors.Contains("gets another map", System.StringComparison.Ordinal), run.Errors);
    }

    /// <summary>To libvirt memory is the maximum: it would start the guest with that.</summary>
    [TestMethod]
    [DataRow("pv")]
    [DataRow("pvh")]
    public void A_guest_that_another_toolstack_would_change_is_not_written_for_it(string type)
    {
        byte[] config = Encoding.ASCII.GetBytes($"name=\"g\"\ntype=\"{type}\"\nmemory=4096\nmaxmem=2048\n");

        CommandRun run = CommandRun.WithInput(config, "plan", "--host", CommandRun.Golden("plain4g.log"), "--guest", "-", "--emit", "libvirt");

        Assert.AreEqual(2, run.Status);
        Assert.AreEqual("", run.Output);
        Assert.Contains("maxmem (2 GiB) is below memory (4 GiB): libvirt would give the guest no more than maxmem", run.Errors);
    }

    [TestMethod]
    public void Without_a_guest_the_line_says_what_to_give()
    {
        CommandRun run = CommandRun.Of("plan", "--host", CommandRun.Golden("plain4g.log"));

        Assert.AreEqual(2, run.Status);
        Assert.Contains("neither --guest nor --memory", run.Errors);
    }

    [TestMethod]
    public void Bad_usage_is_one_line_that_points_to_the_help()
    {
        CommandRun run = CommandRun.Of("plan", "--memmory", "512");

        Assert.AreEqual(2, run.Status);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n'));
        Assert.Contains("see keyhole plan --help", run.Errors);
    }

    [TestMethod]
    public void Help_has_examples()
    {
        CommandRun run = CommandRun.Of("plan", "--help");

        Assert.AreEqual(0, run.Status);
        Assert.Contains("Examples:", run.Output);
        Assert.Contains("keyhole plan --host xen.log --guest guest.cfg", run.Output);
        Assert.Contains("keyhole plan [options]", run.Output);
    }

    [TestMethod]
    public void The_version_is_said_as_other_tools_say_it() => Assert.StartsWith("keyhole 0.", CommandRun.Of("--version").Output);

    [TestMethod]
    [DataRow("hvm")]
    [DataRow("pvh")]
    public void A_guest_that_is_filled_on_demand_needs_a_balloon_driver(string type)
    {
        string[] words = ["plan", "--host", CommandRun.Golden("plain4g.log"), "--type", type, "--memory", "400M"];
        CommandRun run = CommandRun.Of([.. words, "--maxmem", "3600M"]);

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("Xen fills the 3600 MiB of maxmem as the guest touches them, and ends a guest that touches more than memory (400 MiB)", run.Output);
        Assert.Contains("if the guest has no balloon driver: set maxmem to memory (400 MiB)", run.Output);
        Assert.DoesNotContain("balloon driver", CommandRun.Of(words).Output);
    }
}
