// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What the toolstacks of Xen 4.1 and 4.2 did otherwise than later ones, and what a log of Xen says of its IOMMU.</summary>
[TestClass]
public sealed class XensOfOldTests
{
    private const string Map = """
        (XEN) Xen-e820 RAM map:
        (XEN)  0000000000000000 - 000000000009d800 (usable)
        (XEN)  000000000009d800 - 00000000000a0000 (reserved)
        (XEN)  00000000000e0000 - 0000000000100000 (reserved)
        (XEN)  0000000000100000 - 00000000de19f000 (usable)
        (XEN)  00000000de19f000 - 00000000df800000 (reserved)
        (XEN)  00000000f8000000 - 00000000fc000000 (reserved)
        (XEN)  00000000ff000000 - 0000000100000000 (reserved)
        (XEN)  0000000100000000 - 000000021f000000 (usable)
        (XEN) System RAM: 8136MB (8332140kB)

        """;

    private const string CutOff = "the toolstack of Xen 4.2 puts the 542 MiB of 4 GiB that it cuts off nowhere";

    [TestMethod]
    [DataRow("4.1.2", 1)]
    [DataRow("4.2.3", 11)]
    [DataRow("4.3.0", 11)]
    public void A_PV_guest_with_a_device_has_the_hosts_map_since_Xen_4_2(string xen, int atLeast)
    {
        JsonElement plan = Plan(xen, "1024", "1024");

        int entries = plan.GetProperty("e820").GetArrayLength();
        bool isPlain = entries == 1;
        Assert.AreEqual(atLeast == 1, isPlain, plan.ToString());
        Assert.AreEqual(isPlain, HasProblem(plan, "e820-host-unused"));
    }

    /// <summary>xen-devel, 12 January 2009: a guest of Xen 3.3.1 without any of the host's map.</summary>
    [TestMethod]
    [DataRow("3.3.1", "2.6.29-rc1", true, false)]
    [DataRow("4.4.1", "2.6.29-rc1", true, false)]
    // It reserves the piece where no map shows it.
    [DataRow("4.4.1", "2.6.32.5", false, true)]
    [DataRow("3.3.1", "2.6.32.5", false, false)]
    public void What_an_old_Linux_reserves_itself_is_no_hosts(string xen, string linux, bool isOwn, bool isHosts)
    {
        string log = $"""
            Linux version {linux} (root@teppei) (gcc version 4.3.2 (Debian 4.3.2-1) ) #6 SMP Sun Jan 11 23:31:59 UTC 2009
            BIOS-provided physical RAM map:
            Xen: 0000000000000000 - 00000000000a0000 (usable)
            Xen: 00000000000a0000 - 0000000000100000 (reserved)
            Xen: 0000000000100000 - 0000000000813000 (usable)
            Xen: 0000000000813000 - 0000000000870000 (reserved)
            Xen: 0000000000870000 - 0000000016800000 (usable)
            DMI not present or invalid.
            Allocating PCI resources starting at 20000000 (gap: 16800000:e9800000)
            Memory: 356192k/368640k available (5065k kernel code, 11464k reserved, 1486k data, 376k init, 0k highmem)

            """;
        string path = System.IO.Path.GetTempFileName();
        System.IO.File.WriteAllText(path, log);
        string output = With(Log(xen), "verify", "--host", "-", "--memory", "360", "--dmesg", path).Output
            .Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.AreEqual(isOwn, output.Contains("[0x813000, 0x870000) (line 6) is that, and no region of a host's", StringComparison.Ordinal), output);
        Assert.AreEqual(isHosts, output.Contains("the guest was started with", StringComparison.Ordinal), output);
    }

    [TestMethod]
    [DataRow("3.3.1", false)]
    [DataRow("4.1.2", false)]
    [DataRow("4.2.3", true)]
    public void Nobody_is_told_to_set_e820_host_whose_toolstack_has_none(string xen, bool isTold)
    {
        string output = With(Log(xen), "plan", "--host", "-", "--memory", "4096", "--bar", "d0000000-d0100000").Output
            .Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.AreEqual(isTold, output.Contains("e820_host=1", StringComparison.Ordinal), output);
        Assert.AreEqual(!isTold, output.Contains("take Xen 4.3 or later if a device will be passed through later", StringComparison.Ordinal), output);
        Assert.AreEqual(!isTold, output.Contains("take Xen 4.3 or later, whose toolstack gives it the host's map",
            StringComparison.Ordinal), output);
    }

    /// <summary>By the source, and a guest's log on the Ubuntu Forums (Xen 4.1.2, memory=2048, RAM to 0x80800000).</summary>
    [TestMethod]
    [DataRow("4.0.1", "0x80800000")]
    [DataRow("4.1.2", "0x80800000")]
    [DataRow("4.2.0", "0x80000000")]
    [DataRow("4.17.3", "0x80000000")]
    public void The_plain_map_of_a_PV_guest_has_8_MiB_more_up_to_Xen_4_1(string xen, string end)
    {
        string output = With(Log(xen), "plan", "--json", "--host", "-", "--memory", "2048").Output;

        using JsonDocument plan = JsonDocument.Parse(output);
        Assert.AreEqual(end, plan.RootElement.GetProperty("e820")[0].GetProperty("end").GetString());
    }

    [TestMethod]
    [DataRow("4.2.3", "4096", false)]
    // A balloon's room takes with it what was cut off.
    [DataRow("4.2.3", "4097", true)]
    [DataRow("4.3.0", "4096", true)]
    public void What_is_cut_off_lies_at_4_GiB_since_Xen_4_3(string xen, string maxmem, bool isThere)
    {
        JsonElement plan = Plan(xen, "4096", maxmem);

        Assert.AreEqual(isThere, plan.GetProperty("e820").EnumerateArray().Any(static entry =>
            entry.GetProperty("type").GetString() == "ram" && entry.GetProperty("start").GetString() == "0x100000000"));
        Assert.AreEqual(!isThere, plan.ToString().Contains(CutOff, StringComparison.Ordinal));
    }

    /// <summary>The remedy that is printed: no page is given back.</summary>
    [TestMethod]
    [DataRow("4096", 138849)]
    [DataRow("4097", 0)]
    public void The_memory_that_Xen_4_2_cuts_off_is_lost_without_a_balloons_room(string maxmem, int releasedPages)
    {
        string output = With(Log("4.2.3"), "boot", "--json", "--host", "-", "--memory", "4096", "--maxmem", maxmem, "--e820-host").Output;

        using JsonDocument boot = JsonDocument.Parse(output);
        Assert.AreEqual(releasedPages, boot.RootElement.GetProperty("releasedPages").GetInt32());
    }

    [TestMethod]
    public void Compare_takes_no_map_that_the_toolstack_does_not_make()
    {
        string output = With(Log("4.1.2"), "compare", "--host", "-", "--memory", "1024", "--e820-host").Output;

        Assert.DoesNotContain("libxl ", output);
        Assert.Contains("take punch", output);
    }

    [TestMethod]
    [DataRow("4.1.2")]
    [DataRow("4.4.1")]
    [DataRow("4.17.3")]
    public void An_HVM_guest_with_a_device_is_refused_where_Xen_uses_no_IOMMU_whatever_its_memory(string xen)
    {
        CommandRun run = With(
            Log(xen) + "(XEN) I/O virtualisation disabled\n", "plan", "--host", "-", "--type", "hvm", "--memory", "512", "--pci", "03:00.0");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("error guest-does-not-start", run.Output);
    }

    [TestMethod]
    [DataRow("(XEN) AMD-Vi: IOMMU 0 Enabled.", "AMD-Vi")]
    [DataRow("(XEN) Intel VT-d Snoop Control enabled.", "VT-d")]
    [DataRow("(XEN) AMD-Vi: IOMMU not found!", null)]
    [DataRow("[    2.0] AMD-Vi: AMD IOMMUv2 functionality not available on this system - This is not a bug.", null)]
    public void An_IOMMU_is_told_where_the_log_says_that_there_is_one(string line, string? told)
    {
        string output = With(Log("4.17.3") + line + "\n", "show", "--host", "-").Output;

        Assert.AreEqual(told is not null, output.Contains("IOMMU: ", StringComparison.Ordinal), output);
        Assert.Contains(told is null ? "" : $"IOMMU: {told}", output);
    }

    /// <summary>RAM kept for a guest without an IOMMU is of no use where Xen uses one.</summary>
    [TestMethod]
    [DataRow("enabled", true)]
    [DataRow("disabled", false)]
    public void Reserve_knows_from_Xens_log_whether_the_IOMMU_is_in_use(string word, bool isInUse)
    {
        string output = With(Log("4.17.3") + $"(XEN) I/O virtualisation {word}\n", "reserve", "--host", "-", "--start", "512M").Output;

        Assert.AreEqual(isInUse, output.Contains("iommu-present", StringComparison.Ordinal), output);
        Assert.AreEqual(!isInUse, output.Contains("without an IOMMU the guest's device reads", StringComparison.Ordinal)
            || output.Contains("device-reaches-all", StringComparison.Ordinal), output);
    }

    private static string Log(string xen) => $"(XEN) Xen version {xen} (a@b)\n{Map}";

    private static JsonElement Plan(string xen, string memory, string maxmem)
    {
        using JsonDocument document = JsonDocument.Parse(
            With(Log(xen), "plan", "--json", "--host", "-", "--memory", memory, "--maxmem", maxmem, "--e820-host").Output);
        return document.RootElement.Clone();
    }

    private static bool HasProblem(JsonElement plan, string code) =>
        plan.GetProperty("problems").EnumerateArray().Any(problem => problem.GetProperty("code").GetString() == code);

    private static CommandRun With(string host, params string[] options) => CommandRun.WithInput(Encoding.UTF8.GetBytes(host), options);
}
