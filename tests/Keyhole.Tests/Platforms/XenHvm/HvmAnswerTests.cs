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

    private static string[] CodesOf(Scenario scenario) => [.. Planner.Plan(scenario).Problems.Select(static problem => problem.Code)];

    private static Scenario Of(GuestType type) => new()
    {
        Host = Host.Unknown,
        Guest = new() { Type = type, MemoryKiB = 512 << 10, MaxmemKiB = 512 << 10 },
    };
}
