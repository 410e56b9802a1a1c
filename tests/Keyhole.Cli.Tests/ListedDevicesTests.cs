// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Most listings are of the whole host: a guest gets of it what it names.</summary>
[TestClass]
public sealed class ListedDevicesTests
{
    private const string Bridges = """
        00:00.0 Host bridge: Intel Corporation Device 4660 (rev 02)
        00:01.0 PCI bridge: Intel Corporation 12th Gen Core Processor PCI Express x16 Controller #1 (rev 02) (prog-if 00 [Normal decode])
        	Memory behind bridge: 81000000-820fffff
        	Prefetchable memory behind bridge: 6000000000-6811ffffff

        """;

    private const string Card = """
        01:00.0 VGA compatible controller: NVIDIA Corporation GB202 (rev a1) (prog-if 00 [VGA controller])
        	Region 0: Memory at 81000000 (32-bit, non-prefetchable) [size=16M]
        	Region 1: Memory at 6000000000 (64-bit, prefetchable) [size=64G]

        """;

    private const string Disk = """
        02:00.0 Non-Volatile memory controller: Samsung Electronics Co Ltd NVMe SSD Controller (prog-if 02 [NVM Express])
        	Region 0: Memory at 82300000 (64-bit, non-prefetchable) [size=16K]

        """;

    private static CommandRun Plan(string listing, params string[] guest) => CommandRun.WithInput(
        Encoding.ASCII.GetBytes(listing.Replace("\\t", "\t", StringComparison.Ordinal)),
        ["plan", "--host", CommandRun.Golden("plain4g.log"), "--devices", "-", "--json", .. guest]);

    private const string Lshw = """
          *-display
               description: VGA compatible controller
               bus info: pci@0000:01:00.0
               resources: irq:149 memory:81000000-81ffffff memory:6000000000-6fffffffff ioport:e000(size=128)

        """;

    [TestMethod]
    public void Ranges_of_lshw_are_enough_for_a_guest_that_sees_windows_where_the_host_has_them()
    {
        using JsonDocument plan = JsonDocument.Parse(Plan(Lshw, "--memory", "1024", "--pci", "01:00.0").Output);
        Assert.Contains("0x81000000", plan.RootElement.GetProperty("problems").GetRawText());
    }

    [TestMethod]
    public void Ranges_of_lshw_are_refused_for_a_guest_whose_firmware_places_BARs()
    {
        CommandRun run = Plan(Lshw, "--type", "kvm", "--memory", "1024", "--pci", "01:00.0");
        Assert.AreEqual(2, run.Status);
        Assert.Contains("a list of lshw, which does not tell", run.Errors);
        Assert.Contains("lspci -vv", run.Errors);
    }

    [TestMethod]
    public void A_listing_that_names_a_device_without_its_windows_is_not_called_another_machine_s()
    {
        CommandRun run = Plan("01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP106 [10de:1c03] (rev a1)\n\tKernel modules: nouveau\n",
            "--type", "kvm", "--machine", "q35", "--memory", "4096", "--pci", "01:00.0");

        Assert.Contains("--devices names 0000:01:00.0 and tells no window of it", string.Join(' ', run.Errors.Split(default(char[]),
            StringSplitOptions.RemoveEmptyEntries)));
        Assert.DoesNotContain("another machine's listing", run.Errors);
    }

    [TestMethod]
    public void A_kernel_s_line_that_a_mail_has_broken_before_an_address_is_no_device_of_lspci_s()
    {
        const string log = """
            [    0.471780] pci 0000:01:00.0: [10de:2204] type 00 class 0x030000
            [    0.471816] pci 0000:01:00.0: BAR 0 [mem 0x81000000-0x81ffffff]
            [    0.612345] pnp 00:03: disabling [io  0x002e-0x002f] because it overlaps
            0000:01:00.0 BAR 5 [io  0x0000-0x007f]
            [    0.612346] pnp 00:03: disabling [io  0x004e-0x004f] because it overlaps
            0000:01:00.0 BAR 5 [io  0x0000-0x007f]

            """;
        CommandRun run = Plan(log, "--type", "kvm", "--machine", "q35", "--firmware", "seabios", "--memory", "4096", "--pci", "01:00.0");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("\"size\": \"0x1000000\"", run.Output);
    }

    private static CommandRun PlanOf(string configuration, string listing)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, configuration);
        try
        {
            return Plan(listing, "--guest", path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string[] HostsOwn(CommandRun run) =>
        run.Json().TryGetProperty("hostWindows", out JsonElement windows)
            ? [.. windows.EnumerateArray().Select(static window => window.GetProperty("bdf").GetString()!).Distinct()] : [];

    [TestMethod]
    [DataRow("name = \"a\"\ntype = \"pv\"\nmemory = 1024\n")]
    [DataRow("name = \"a\"\ntype = \"hvm\"\nmemory = 1024\n")]
    [DataRow("bios: ovmf\nmachine: q35\nmemory: 1024\nname: a\nostype: l26\n")]
    [DataRow("qemu-system-x86_64 -accel kvm -M q35 -m 1G\n")]
    public void A_guest_whose_configuration_passes_no_device_through_gets_none_of_a_listing(string configuration)
    {
        foreach (string listing in new[] { Card, Bridges + Card + Disk })
        {
            CommandRun run = PlanOf(configuration, listing);

            Assert.AreEqual(0, run.Status, run.Output + run.Errors);
            Assert.IsEmpty(HostsOwn(run));
            Assert.Contains("passes no device through, so what --devices lists does not count", run.Errors);
        }
    }

    [TestMethod]
    public void A_guest_without_a_configuration_is_asked_about_the_one_card_that_is_listed_and_that_is_said()
    {
        CommandRun run = Plan(Bridges + Card, "--type", "kvm", "--memory", "1024");

        CollectionAssert.AreEqual(new[] { "01:00.0" }, HostsOwn(run));
        Assert.Contains("the guest is taken to get the one that --devices lists (0000:01:00.0)", run.Errors);
    }

    [TestMethod]
    [DataRow("kvm")]
    [DataRow("hvm")]
    [DataRow("pv")]
    public void Of_several_cards_a_guest_that_names_none_gets_none(string type)
    {
        CommandRun run = Plan(Bridges + Card + Disk, "--type", type, "--memory", "1024");

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.IsEmpty(HostsOwn(run));
        Assert.Contains("--devices lists several (0000:01:00.0, 0000:02:00.0): none of them counts", run.Errors);
    }

    [TestMethod]
    public void Bridges_alone_are_nothing_that_a_guest_gets()
    {
        CommandRun run = Plan(Bridges, "--type", "kvm", "--memory", "1024");

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("--devices lists bridges only", run.Errors);
    }
}
