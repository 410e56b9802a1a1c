// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenHvm;

/// <summary>What differs between Xen's releases that no record is of: from their sources, and from guests' logs in public mails.</summary>
[TestClass]
public sealed class HvmReleaseTests
{
    /// <summary>xen-devel, November 2019: a guest of 4.13.0-rc has "fc000000 - 00000001:00000000: RESERVED".</summary>
    [TestMethod]
    [DataRow("4.11.4", false)]
    [DataRow("4.12.3", false)]
    [DataRow("4.12.4", true)]
    [DataRow("4.13.0", false)]
    [DataRow("4.13.1", false)]
    [DataRow("4.13.2", true)]
    [DataRow("4.13", true)]
    [DataRow("4.14.0", false)]
    [DataRow("4.14.1", true)]
    [DataRow("4.17", true)]
    public void ACPIs_tables_are_an_entry_since_they_are(string xen, bool isEntry)
    {
        E820Entry[] last = [.. Planner.Plan(On(xen)).Map.Where(static entry => entry.Address is >= 0xfc00_0000 and < 1UL << 32)];

        if (isEntry)
            Assert.AreEqual("0xfc000000 Nvs, 0xfc00b000 Reserved", Text(last));
        else
            Assert.AreEqual("0xfc000000 Reserved", Text(last));
        Assert.AreEqual(1UL << 32, last[^1].End);
    }

    /// <summary>Commit 57acad12a0 and its backports: a BAR of 16 GiB and the hole of a guest that has it.</summary>
    [TestMethod]
    [DataRow("4.16.7", true)]
    [DataRow("4.17.0", true)]
    [DataRow("4.17.3", true)]
    [DataRow("4.17.4", false)]
    [DataRow("4.18.0", true)]
    [DataRow("4.18.1", false)]
    [DataRow("4.19.0", false)]
    public void Huge_BARs_count_for_the_hole_up_to_417_3_and_418_0(string xen, bool counts)
    {
        Plan plan = Planner.Plan(With16GiB(On(xen)));

        Assert.AreEqual(counts ? 0x8000_0000UL : 0xf000_0000UL, plan.Firmware!.Placement!.Windows[0].Range.Start);
        Assert.DoesNotContain(ProblemCodes.Assumed, plan.Problems.Select(static problem => problem.Code).ToArray());
    }

    [TestMethod]
    [DataRow("4.17")]
    [DataRow("4.18")]
    public void Where_the_stable_release_decides_and_is_not_told_that_is_said(string xen)
    {
        Plan plan = Planner.Plan(With16GiB(On(xen)));

        Problem assumed = plan.Problems.Single(static problem => problem.Code == ProblemCodes.Assumed);
        Assert.StartsWith($"which {xen} the host has is not told", assumed.Message.ToString());
        Assert.DoesNotContain(ProblemCodes.Assumed, Planner.Plan(On(xen)).Problems.Select(static problem => problem.Code).ToArray());
    }

    /// <summary>Commit 22650d6054: only where the key is set, and only from 4.21 on.</summary>
    [TestMethod]
    [DataRow("4.21.0", "0", 0xfb00_0000UL, 0xf200_0000UL)]
    [DataRow("4.21.0", "1", 0xf200_0000UL, 0xf300_0000UL)]
    [DataRow("4.20.0", "0", 0xf200_0000UL, 0xf300_0000UL)]
    public void The_platform_devices_memory_has_the_end_of_the_hole_where_that_is_asked_for(string xen, string key, ulong platform, ulong rom)
    {
        Scenario scenario = On(xen);
        scenario = scenario with { Guest = scenario.Guest with { Hvm = HvmKeys.Of("xen_platform_pci_bar_uc", key) } };

        Plan plan = Planner.Plan(scenario);

        Assert.AreEqual(platform, AddressOf(plan, "xen-platform", 1));
        Assert.AreEqual(rom, AddressOf(plan, "cirrus-vga", 6));
    }

    [TestMethod]
    public void Guests_of_Xen_44_are_not_modelled()
    {
        Plan plan = Planner.Plan(On("4.4.3"));

        Assert.IsFalse(plan.IsMapKnown);
        Assert.Contains("the memory of HVM guests of Xen 4.4 is not modelled", plan.Problems.Single().Message.ToString());
        Assert.IsTrue(Planner.Plan(On("4.5.0")).IsMapKnown);
    }

    [TestMethod]
    [DataRow("4.16.0", "PCI device assignment for HVM guest failed due to PoD enabled")]
    [DataRow("4.15.2", "PCI device assignment for HVM guest failed due to PoD enabled")]
    [DataRow("4.13.5", "PCI device assignment for HVM guest failed due to PoD enabled")]
    [DataRow("4.16.1", "IOMMU required for device passthrough but not supported together with PoD")]
    [DataRow("4.17.0", "IOMMU required for device passthrough but not supported together with PoD")]
    public void A_device_with_maxmem_above_memory_is_refused_in_the_releases_words(string xen, string words)
    {
        Scenario scenario = On(xen);
        Assert.IsTrue(PciAddress.TryParse("01:00.0", out PciAddress card));
        scenario = scenario with { Guest = scenario.Guest with { Pci = [new PciAssignment(card)], MaxmemKiB = scenario.Guest.MemoryKiB * 2 } };

        Problem problem = Planner.Plan(scenario).Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);

        Assert.AreEqual($"the guest is not created: {words}", problem.Message.ToString());
    }

    /// <summary>Commit d6dab805f1.</summary>
    [TestMethod]
    [DataRow("4.20.0", E820Type.Acpi)]
    [DataRow("4.21.0", E820Type.Nvs)]
    public void A_PVH_guests_ACPI_tables_are_NVS_from_421_on(string xen, E820Type type)
    {
        Scenario scenario = On(xen);
        scenario = scenario with { Guest = scenario.Guest with { Type = GuestType.Pvh } };

        Assert.AreEqual(3, Planner.Plan(scenario).Map.Count(entry => entry.Type == type));
    }

    private static Scenario On(string xen)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        return new()
        {
            Host = Host.Unknown with { Traits = Host.Unknown.Traits with { XenVersion = version } },
            Guest = new GuestSpec { Type = GuestType.Hvm, MemoryKiB = 2 << 20, MaxmemKiB = 2 << 20 },
        };
    }

    private static Scenario With16GiB(Scenario scenario) =>
        scenario with { Bars = [new(0, BarKind.Memory, 0x40_0000_0000, 0x44_0000_0000, true, true)] };

    private static ulong? AddressOf(Plan plan, string model, int bar)
    {
        foreach (BarPlacement placed in plan.Firmware!.Placement!.Bars)
        {
            if (placed.Bar.Index == bar && plan.Firmware.Placement.Tree.Functions[placed.Function].Node.Model == model)
                return placed.Address;
        }

        return null;
    }

    private static string Text(E820Entry[] entries) =>
        string.Join(", ", entries.Select(static entry => FormattableString.Invariant($"0x{entry.Address:x} {entry.Type}")));
}
