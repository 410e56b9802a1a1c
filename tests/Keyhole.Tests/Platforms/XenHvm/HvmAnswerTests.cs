// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenHvm;

/// <summary>What a plan of an HVM or PVH guest says besides its map.</summary>
[TestClass]
public sealed class HvmAnswerTests
{
    [TestMethod]
    [DataRow(GuestType.Hvm)]
    [DataRow(GuestType.Pvh)]
    public void That_e820_host_does_nothing_is_said_where_it_is_set_and_nowhere_else(GuestType type)
    {
        Scenario scenario = Of(type);

        Assert.DoesNotContain(ProblemCodes.NotPv, CodesOf(scenario));
        Assert.DoesNotContain(ProblemCodes.NotPv, CodesOf(scenario with { Guest = scenario.Guest with { E820Host = false } }));
        Assert.Contains(ProblemCodes.NotPv, CodesOf(scenario with { Guest = scenario.Guest with { E820Host = true } }));
    }

    [TestMethod]
    public void Each_BAR_says_whose_it_is()
    {
        Assert.IsTrue(PciAddress.TryParse("01:00.0", out PciAddress card));
        Scenario scenario = Of(GuestType.Hvm);
        scenario = scenario with
        {
            Guest = scenario.Guest with { Pci = [new PciAssignment(card)] },
            Bars = [new(0, BarKind.Memory, 0xe000_0000, 0xe100_0000, false, false)],
        };

        ImmutableArray<BarAnswer> bars = PlanAnswer.Of(Planner.Plan(scenario)).Bars!.Value;

        CollectionAssert.AreEqual(
            new[] { "00:01.1 ", "00:02.0 xen-platform", "00:02.0 xen-platform", "00:03.0 cirrus-vga", "00:03.0 cirrus-vga", "00:03.0 cirrus-vga",
                "00:04.0 host 01:00.0" },
            bars.Cast<PlacedBarAnswer>().Select(static bar => $"{bar.Bdf} {bar.Device}").ToArray());
    }

    [TestMethod]
    public void A_device_is_named_without_what_is_asked_of_it()
    {
        Assert.IsTrue(PciAddress.TryParse("01:00.0", out PciAddress card));
        Scenario untold = Of(GuestType.Hvm);
        untold = untold with { Guest = untold.Guest with { Pci = [new PciAssignment(card) { Seize = true, RdmPolicy = "relaxed" }] } };
        Scenario told = untold with { Bars = [new(0, BarKind.Memory, 0xe000_0000, 0xe100_0000, false, false)] };

        PlacedBarAnswer bar = PlanAnswer.Of(Planner.Plan(told)).Bars!.Value.Cast<PlacedBarAnswer>().Last();

        Assert.AreEqual("host 01:00.0", bar.Device);
        Assert.Contains("the BARs of 0000:01:00.0 are not told;",
            Planner.Plan(untold).Problems.Single(static problem => problem.Code == ProblemCodes.BarsNotKnown).Message.ToString()!);
    }

    [TestMethod]
    [DataRow(Toolstack.Xl, "put mmio_hole=512 into the xl.cfg: then every BAR has its place")]
    [DataRow(Toolstack.Libvirt, "put mmio_hole=512 into the xl.cfg: then every BAR has its place; libvirt has no element for it: xl does")]
    public void A_hole_that_libvirt_cannot_set_is_said_to_be_xls(Toolstack toolstack, string remedy)
    {
        Scenario scenario = Of(GuestType.Hvm);
        scenario = scenario with
        {
            Guest = scenario.Guest with { Toolstack = toolstack, MemoryKiB = 4096 << 10, MaxmemKiB = 4096 << 10 },
            Bars = [new(0, BarKind.Memory, 0xe000_0000, 0xf000_0000, false, false)],
            SeeksRemedies = true,
        };

        Problem problem = Planner.Plan(scenario).Problems.Single(static problem => problem.Code == ProblemCodes.BarUnplaced);

        Assert.AreEqual(remedy, problem.Remedy!.ToString());
    }

    [TestMethod]
    [DataRow("gfx_passthru", "1", "gfx_passthru= is not modelled")]
    [DataRow("usbctrl", "['type=devicemodel,version=3']", "what usbctrl= adds is not modelled")]
    [DataRow("vnuma", "[['pnode=0']]", "vnuma= is not modelled")]
    [DataRow("device_model_version", "'qemu-xen-traditional'", "the device model \"qemu-xen-traditional\" is not modelled")]
    public void What_is_not_modelled_gives_no_map_one_line_that_says_so_and_no_setting_to_take(string key, string value, string words)
    {
        Scenario scenario = Of(GuestType.Hvm);
        scenario = scenario with { Guest = scenario.Guest with { Hvm = HvmKeys.Of(key, value) } };

        Plan plan = Planner.Plan(scenario);
        PolicyComparison comparison = PolicyComparer.Compare(new() { Scenario = scenario });

        Assert.IsFalse(plan.IsMapKnown);
        Problem problem = plan.Problems.Single();
        Assert.AreEqual(ProblemCodes.MapNotKnown, problem.Code);
        Assert.Contains(words, problem.Message.ToString());
        Assert.IsNull(comparison.Best);
        Assert.AreEqual("no setting was tried: the guest's map is not known; its problems say why", comparison.Why.ToString());
    }

    /// <summary>xen-devel, July 2022: a solid state drive beside a disk controller.</summary>
    [TestMethod]
    [DataRow("4.17", ProblemCodes.GuestDoesNotStart, "Xen ends the guest at the second (\"GFN 0xf3018 … not permitted\")")]
    [DataRow("4.14.3", ProblemCodes.GuestDoesNotStart, "Xen ends the guest at the second (\"GFN 0xf3018 … not permitted\")")]
    [DataRow("4.14.2", ProblemCodes.BarConflict, "only the last one is reached")]
    [DataRow("4.14", ProblemCodes.BarConflict, "with the fixes of XSA-378 Xen ends the guest at the second, without them only the last one is "
        + "reached")]
    public void Two_small_BARs_that_come_to_one_page_end_the_guest(string xen, string code, string words)
    {
        Plan plan = Planner.Plan(WithSmallBars(xen, "05:00.0", "00:17.0"));

        Problem problem = plan.Problems.Single(one => one.Code == code);
        Assert.Contains($"BAR 4 of host 05:00.0 (256 B) and BAR 1 of host 00:17.0 (256 B) come to one page of the guest", problem.Message.ToString());
        Assert.EndsWith(words, problem.Message.ToString());
        Assert.StartsWith("give 0000:05:00.0 to a guest without the other devices: alone it has its BARs at pages of their own",
            problem.Remedy!.ToString());
        Assert.AreEqual(code == ProblemCodes.GuestDoesNotStart ? GuestOutcome.Refused : GuestOutcome.Boots, plan.Firmware!.Outcome);
    }

    /// <summary>Where Xen ends the guest by plan's word, compare keeps nothing; what no setting mends stands beside what is kept.</summary>
    [TestMethod]
    public void What_plan_says_of_small_BARs_compare_does_not_pass_over()
    {
        SettingComparison ended = Compare(WithSmallBars("4.17", "05:00.0", "00:17.0"));
        SettingComparison unreached = Compare(WithSmallBars("4.17", "00:17.0"));
        SettingComparison well = Compare(WithSmallBars("4.17", "05:00.0"));

        Assert.IsNull(ended.Best);
        Assert.IsTrue(ended.Settings.All(static row => row.Outcome == GuestOutcome.Refused));
        Assert.Contains("come to one page of the guest", ended.Why);
        Assert.AreEqual("as it is", unreached.Best);
        Assert.Contains("the guest does not reach its registers", unreached.Why);
        Assert.AreEqual(("as it is", "every BAR has its place below 4 GiB as it is"), (well.Best, well.Why));
    }

    [TestMethod]
    [DataRow(3072UL, true)]
    [DataRow(1024UL, false)]
    public void A_guest_larger_than_its_host_is_told_what_it_gets_on_one_with_the_memory(ulong memoryMiB, bool isLarger)
    {
        Scenario scenario = Of(GuestType.Hvm);
        scenario = scenario with
        {
            Host = Host.Unknown with { RamShown = RamShown.All, Entries = [E820.E820Entry.FromBounds(0, 2UL << 30, E820.E820Type.Ram)] },
            Guest = scenario.Guest with { MemoryKiB = memoryMiB << 10, MaxmemKiB = memoryMiB << 10 },
        };

        SettingComparison comparison = Compare(scenario);

        Assert.AreEqual("as it is", comparison.Best);
        Assert.AreEqual(isLarger, Planner.Plan(scenario).HasErrors);
        Assert.AreEqual(isLarger, comparison.Why.Contains("on this one the guest is not started", System.StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_maxmem_below_memory_is_kept_by_no_setting()
    {
        Scenario scenario = Of(GuestType.Hvm);

        Assert.IsNull(Compare(scenario with { Guest = scenario.Guest with { MemoryKiB = 2 << 20, MaxmemKiB = 1 << 20 } }).Best);
        Assert.AreEqual("as it is", Compare(scenario with { Guest = scenario.Guest with { MemoryKiB = 2 << 20, MaxmemKiB = 2 << 20 } }).Best);
    }

    private static SettingComparison Compare(Scenario scenario) => PolicyComparer.Compare(new() { Scenario = scenario }).Settings!;

    [TestMethod]
    public void A_small_BAR_alone_has_a_page_of_its_own() =>
        Assert.DoesNotContain(ProblemCodes.BarConflict, CodesOf(WithSmallBars("4.17", "05:00.0")));

    /// <summary>The addresses that hvmloader of Xen 4.14.3 printed for such a guest (xen-devel, July 2022).</summary>
    [TestMethod]
    public void Every_BAR_of_a_real_guest_with_a_drive_that_was_passed_through_is_where_hvmloader_put_it()
    {
        Scenario scenario = WithSmallBars("4.14.3", "05:00.0");
        HvmSettings card = HvmKeys.Of("vif", "['model=e1000']");
        scenario = scenario with { Guest = scenario.Guest with { MemoryKiB = 2 << 20, MaxmemKiB = 2 << 20, Hvm = card } };

        string[] bars = [.. Planner.Plan(scenario).Firmware!.Placement!.Bars.Select(static bar => $"{bar.Bar.Index} 0x{bar.Address:x}")];

        CollectionAssert.AreEquivalent(
            new[]
            {
                "0 0xf0000000", "1 0xf2000000", "6 0xf3000000", "0 0xf3040000", "6 0xf3060000", "0 0xf3070000", "1 0xf3074000",
                "0 0xc000", "4 0xf3075000", "1 0xc100", "4 0xc140",
            },
            bars);
    }

    /// <summary>An old prefix of a disk says its format: the second word is its name (libxlu_disk_l.l).</summary>
    [TestMethod]
    [DataRow("phy:/dev/x,sda,w", true)]
    [DataRow("file:/x.img,sda:disk,w", true)]
    [DataRow("/dev/x,raw,sda,rw", true)]
    [DataRow("/dev/x,,sda", true)]
    [DataRow("vdev=sda,target=/dev/x", true)]
    [DataRow("file:/x.iso,sda:cdrom,r", false)]
    [DataRow("phy:/dev/x,hda,w", false)]
    public void A_SCSI_disk_has_its_controller(string disk, bool hasController)
    {
        Scenario scenario = WithSmallBars("4.14.3", "05:00.0");
        HvmSettings keys = HvmKeys.Of("disk", $"['{disk}']");
        scenario = scenario with { Guest = scenario.Guest with { Hvm = keys } };

        Assert.AreEqual(hasController, Planner.Plan(scenario).Firmware!.Placement!.Bars.Any(static bar => bar.Bar.SizeBytes == 0x2000));
    }

    [TestMethod]
    public void A_small_BAR_that_begins_amid_a_page_is_not_reached_and_its_driver_may_do_without_it()
    {
        Problem problem = Planner.Plan(WithSmallBars("4.17", "00:17.0")).Problems.Single(static one => one.Code == ProblemCodes.BarConflict);

        Assert.AreEqual(Severity.Warning, problem.Severity);
        Assert.StartsWith("BAR 1 of host 00:17.0 (256 B) begins amid a page", problem.Message.ToString());
        Assert.Contains("the guest does not reach its registers", problem.Message.ToString());
    }

    private static Scenario WithSmallBars(string xen, params string[] pci)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        Scenario scenario = Of(GuestType.Hvm);
        return scenario with
        {
            SeeksRemedies = true,
            Host = Host.Unknown with { Traits = Host.Unknown.Traits with { XenVersion = version } },
            Guest = scenario.Guest with
            {
                Pci = [.. pci.Select(static name => new PciAssignment(PciAddress.TryParse(name, out PciAddress at) ? at : default))],
            },
            Qemu = scenario.Qemu with
            {
                Devices =
                [
                    Device("05:00.0", new Bar(0, BarKind.Memory, 0xa261_0000, 0xa261_4000, true, false),
                        new Bar(4, BarKind.Memory, 0xa261_4000, 0xa261_4100, true, false)),
                    Device("00:17.0", new Bar(0, BarKind.Memory, 0xa261_2000, 0xa261_4000, false, false),
                        new Bar(1, BarKind.Memory, 0xa261_6000, 0xa261_6100, false, false),
                        new Bar(5, BarKind.Memory, 0xa261_5000, 0xa261_5800, false, false)),
                ],
            },
        };
    }

    private static PciDevice Device(string name, params Bar[] bars) =>
        new(PciAddress.TryParse(name, out PciAddress address) ? address : default, "", [.. bars]);

    private static string[] CodesOf(Scenario scenario) => [.. Planner.Plan(scenario).Problems.Select(static problem => problem.Code)];

    private static Scenario Of(GuestType type) => new()
    {
        Host = Host.Unknown,
        Guest = new() { Type = type, MemoryKiB = 512 << 10, MaxmemKiB = 512 << 10 },
    };
}
