// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms;

/// <summary>One configuration, of which releases of xl make something else (by the source of each).</summary>
[TestClass]
public sealed class XlReleaseTests
{
    private const string Map = """
        (XEN) Xen-e820 RAM map:
        (XEN)  0000000000000000 - 0000000000099c00 (usable)
        (XEN)  0000000000100000 - 000000007ba70000 (usable)
        (XEN)  000000007ba70000 - 000000007bb00000 (reserved)
        (XEN)  0000000100000000 - 0000000880000000 (usable)

        """;

    private const string Words = "Neither kernel nor bootloader specified";

    [TestMethod]
    [DataRow("4.9.4", "", true)]
    [DataRow("4.5.0", "", true)]
    [DataRow("4.10.0", "", false)]
    [DataRow("4.9.4", "builder=\"hvm\"", false)]
    public void An_HVM_guest_by_type_alone_is_a_PV_one_without_a_kernel_to_an_xl_that_has_no_type(string xen, string more, bool isRefused)
    {
        Plan plan = PlanOf(xen, $"type=\"hvm\"\nmemory=2048\n{more}\n");

        Assert.AreEqual(isRefused ? GuestOutcome.Refused : GuestOutcome.Boots, plan.Firmware?.Outcome);
        Assert.AreEqual(isRefused ? Words : null, Boot.Of(plan.Scenario).Message);
        Problem? problem = plan.Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.AreEqual(isRefused ? "put builder=\"hvm\" beside type=" : null, problem?.Remedy?.ToString());
    }

    [TestMethod]
    [DataRow("4.9.4", "kernel=\"/k\"", true)]
    [DataRow("4.9.4", "bootloader=\"pygrub\"\npci=[\"01:00.0\"]", true)]
    [DataRow("4.10.0", "kernel=\"/k\"", false)]
    public void With_a_kernel_it_gets_the_map_of_a_PV_guest_and_that_is_said(string xen, string more, bool isPv)
    {
        Plan plan = PlanOf(xen, $"type=\"hvm\"\nmemory=2048\n{more}\n");

        Assert.AreEqual(isPv ? "xen-pv" : "xen-hvm", plan.Platform.Name);
        Assert.AreEqual(isPv ? GuestType.Pv : GuestType.Hvm, plan.Scenario.Guest.Type);
        Assert.AreEqual(isPv && more.Contains("pci", System.StringComparison.Ordinal), plan.Scenario.Guest.UsesHostMap);
        Problem? problem = plan.Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.SettingIgnored);
        Assert.AreEqual(isPv ? "put builder=\"hvm\" beside type=" : null, problem?.Remedy?.ToString());
    }

    /// <summary>Commit e45ad0b1b0.</summary>
    [TestMethod]
    [DataRow("4.12.4", true)]
    [DataRow("4.13.0", false)]
    [DataRow("4.13.5", false)]
    [DataRow("4.14.4", false)]
    [DataRow("4.14.5", true)]
    [DataRow("4.15.2", false)]
    [DataRow("4.15.3", true)]
    [DataRow("4.16.0", false)]
    [DataRow("4.16.1", true)]
    [DataRow("4.17.0", true)]
    public void Whether_a_device_or_e820_host_0_has_the_last_word_is_a_matter_of_the_release(string xen, bool usesHostMap)
    {
        Plan plan = PlanOf(xen, "type=\"pv\"\nmemory=4096\ne820_host=0\npci=[\"01:00.0\"]\n");

        Assert.AreEqual(usesHostMap, plan.Entries.Length > 1);
        Assert.AreEqual(usesHostMap, plan.Problems.Any(static problem => problem.Code == ProblemCodes.HostMapForced));
        Problem? unused = plan.Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.HostMapUnused);
        Assert.AreEqual(usesHostMap ? null : "set e820_host=1", unused?.Remedy?.ToString());
        Plan cured = PlanOf(xen, "type=\"pv\"\nmemory=4096\ne820_host=1\npci=[\"01:00.0\"]\n");
        Assert.IsGreaterThan(1, cured.Entries.Length);
    }

    [TestMethod]
    [DataRow("4.14", true)]
    [DataRow("4.17", false)]
    public void Where_the_patch_level_decides_and_is_not_told_that_is_said(string xen, bool isSaid)
    {
        Plan plan = PlanOf(xen, "type=\"pv\"\nmemory=4096\ne820_host=0\npci=[\"01:00.0\"]\n");

        Problem forced = plan.Problems.Single(static problem => problem.Code == ProblemCodes.HostMapForced);
        Assert.AreEqual(isSaid, forced.Message.Contains("which this host has is not told", System.StringComparison.Ordinal));
    }

    /// <summary>The device's memory is where the guest has RAM, so that the policy decides.</summary>
    [TestMethod]
    [DataRow("4.12.0", "relaxed")]
    [DataRow("4.13.0", null)]
    [DataRow("4.14.4", null)]
    [DataRow("4.14.5", "relaxed")]
    public void What_rdm_says_for_all_devices_reaches_none_where_xl_reads_those_first(string xen, string? policy)
    {
        Scenario scenario = ScenarioOf(xen, "builder=\"hvm\"\nmemory=2048\nrdm=\"strategy=host,policy=relaxed\"\npci=[\"01:00.0\"]\n");
        var range = PfnRange.FromBounds(new(0x2000), new(0x2010));
        scenario = scenario with
        {
            Host = scenario.Host with
            {
                Traits = scenario.Host.Traits with { DeviceMemoryOwners = [new(range, PciAddress.Create(1, 0, 0))] },
            },
        };

        Plan plan = Planner.Plan(scenario);

        Assert.AreEqual(policy is null ? "RDM conflict at 0x2000000." : null, plan.Firmware?.Message);
    }

    private static Plan PlanOf(string xen, string config) => Planner.Plan(ScenarioOf(xen, config));

    private static Scenario ScenarioOf(string xen, string config)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes($"name=\"a\"\n{config}")), "a.cfg")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Map)).Host;
        return new() { Host = host with { Traits = new() { XenVersion = version } }, Guest = guest.Guest };
    }
}
