// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms;

/// <summary>What the log of a host with Xen tells of the devices of its guests.</summary>
[TestClass]
public sealed class LoggedDevicesTests
{
    private const string Card = """
        pci 0000:41:00.0: [10de:20b5] type 00 class 0x030200
        pci 0000:41:00.0: reg 0x10: [mem 0xd0000000-0xd0ffffff]
        pci 0000:41:00.0: reg 0x14: [mem 0x00000000-0x1fffffffff 64bit pref]
        pci 0000:41:00.0: BAR 1: no space for [mem size 0x2000000000 64bit pref]
        """;

    private static Scenario Scene(GuestType type) => new()
    {
        Host = MapFixtures.Expect(MapFixtures.ReadText($"""
            Linux version 5.19.0
            BIOS-provided physical RAM map:
            BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            BIOS-e820: [mem 0x0000000000100000-0x000000006fffffff] usable
            BIOS-e820: [mem 0x0000000100000000-0x000000087fffffff] usable
            DMAR: Host address width 46
            {Card}

            """)).Host,
        Guest = new() { Type = type, MemoryKiB = 4 << 20, MaxmemKiB = 4 << 20, Pci = [PciAssignment.Parse("41:00.0", "pci", null, out _).Value!] },
    };

    [TestMethod]
    public void The_BARs_of_an_HVM_guest_s_device_are_those_that_the_host_s_log_tells()
    {
        Plan plan = Planner.Plan(Scene(GuestType.Hvm));

        Assert.AreEqual("0 16777216, 1 137438953472", string.Join(", ", plan.Firmware!.Placement!.Bars
            .Where(bar => plan.Firmware.Placement.Tree.Functions[bar.Function].Node.IsPassedThrough)
            .Select(static bar => FormattableString.Invariant($"{bar.Bar.Index} {bar.Bar.SizeBytes}")).Order(StringComparer.Ordinal)));
        Assert.IsFalse(plan.Problems.Any(static problem => problem.Code == ProblemCodes.BarsNotKnown));
    }

    [TestMethod]
    public void The_BARs_of_a_PV_guest_s_device_are_where_the_host_s_log_has_them() =>
        Assert.AreEqual("0xd0000000", string.Join(", ", Planner.Plan(Scene(GuestType.Pv)).Bars
            .Select(static bar => FormattableString.Invariant($"0x{bar.Start:x}"))));

    [TestMethod]
    [DataRow(GuestType.Hvm, "the host gives the guest no such BAR until it has one")]
    [DataRow(GuestType.Pv, "it has none in the guest either")]
    public void A_BAR_for_which_the_host_has_no_space_is_told(GuestType type, string words) =>
        Assert.Contains(words, Planner.Plan(Scene(type)).Problems.Single(static problem => problem.Code == ProblemCodes.HostUnplaced).Message);

    [TestMethod]
    [DataRow(true, "(Above 4G Decoding is on)")]
    [DataRow(false, "switch on Above 4G Decoding")]
    public void Above_4G_decoding_is_on_where_the_firmware_has_placed_a_BAR_there(bool isThere, string remedy)
    {
        Scenario scene = Scene(GuestType.Hvm);
        var device = new PciDevice(PciAddress.Create(0x41, 0, 0), "",
            isThere ? [new(2, BarKind.Memory, 0xf800000000, 0xf810000000, true, true)] : [new(0, BarKind.Memory, 0xd0000000, 0xd1000000, false, false)])
        {
            Unplaced = [new(1, BarKind.Memory, 1UL << 37, true, true, "lspci shows <unassigned>")],
        };

        Plan plan = Planner.Plan(scene with { Host = scene.Host with { Devices = [device] } });

        Assert.Contains(remedy, plan.Problems.Single(static problem => problem.Code == ProblemCodes.HostUnplaced).Remedy!.ToString());
    }

    [TestMethod]
    public void What_the_user_says_of_the_windows_comes_before_the_log()
    {
        Scenario scene = Scene(GuestType.Pv) with { Bars = [new(0, BarKind.Memory, 0xe0000000, 0xe1000000, false, false)] };

        Assert.AreEqual(0xe0000000, Planner.Plan(scene).Bars.Single().Start);
    }
}
