// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Platforms;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms;

/// <summary>Devices that share reserved memory: Xen gives none of them to a guest, unless its policy is relaxed.</summary>
[TestClass]
public sealed class SharedDeviceMemoryTests
{
    private const string Log = """
        (XEN) [VT-D]found ACPI_DMAR_RMRR:
        (XEN) [VT-D] endpoint: 0000:08:00.0
        (XEN) [VT-D] endpoint: 0000:08:00.1
        (XEN) [VT-D]dmar.c:608:   RMRR region: base_addr 7ba77000 end_address 7ba78fff
        (XEN) Xen-e820 RAM map:
        (XEN)  0000000000000000 - 0000000000099c00 (usable)
        (XEN)  0000000000100000 - 000000007ba70000 (usable)
        (XEN)  000000007ba70000 - 000000007bb00000 (reserved)
        (XEN)  0000000100000000 - 0000000880000000 (usable)

        """;

    /// <summary>Below the region, so that nothing else stands against the guest.</summary>
    private static Scenario Of(GuestType type, string device) => new()
    {
        Host = MapFixtures.Expect(MapFixtures.ReadText(Log)).Host,
        Guest = new() { Type = type, MemoryKiB = 1UL << 20, MaxmemKiB = 1UL << 20, Pci = [Assignment(device)] },
    };

    private static PciAssignment Assignment(string text)
    {
        Assert.IsTrue(PciAssignment.Parse(text, "test", null, out _).TryGet(out PciAssignment? assignment, out _));
        return assignment!;
    }

    [TestMethod]
    [DataRow(GuestType.Hvm, "08:00.0", true)]
    [DataRow(GuestType.Pv, "08:00.0", true)]
    [DataRow(GuestType.Hvm, "08:00.0,rdm_policy=relaxed", false)]
    [DataRow(GuestType.Pv, "08:00.1,rdm_policy=relaxed", false)]
    [DataRow(GuestType.Hvm, "09:00.0", false)]
    [DataRow(GuestType.Pv, "09:00.0", false)]
    public void A_device_that_shares_its_reserved_memory_is_refused_unless_the_policy_is_relaxed(GuestType type, string device, bool isRefused)
    {
        var boot = Boot.Of(Of(type, device));

        Assert.AreEqual(isRefused, boot.Outcome == GuestOutcome.Refused, string.Join('\n', boot.Problems));
        Assert.AreEqual(isRefused, boot.Problems.Any(static problem => problem is { Code: ProblemCodes.GuestDoesNotStart, Severity: Severity.Error }
            && problem.Message.Contains("shares its reserved memory", System.StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow(4, 5, "GenuineIntel", false)]
    [DataRow(4, 6, "GenuineIntel", true)]
    [DataRow(4, 20, "AuthenticAMD", false)]
    public void Only_Xen_since_4_6_with_VT_d_looks(int major, int minor, string vendor, bool isRefused)
    {
        Scenario scenario = Of(GuestType.Pv, "08:00.0");
        scenario = scenario with
        {
            Host = scenario.Host with { Traits = scenario.Host.Traits with { XenVersion = new XenVersion(major, minor), CpuVendor = vendor } },
        };

        Assert.AreEqual(isRefused, Boot.Of(scenario).Outcome == GuestOutcome.Refused);
    }

    [TestMethod]
    public void A_device_that_has_its_reserved_memory_for_itself_is_not_refused()
    {
        Scenario scenario = Of(GuestType.Pv, "08:00.0");
        HostTraits traits = scenario.Host.Traits with
        {
            DeviceMemoryOwners = [new(PfnRange.FromCount(new Pfn(0x7ba77), 2), scenario.Host.Traits.DeviceMemoryOwners[0].Device)],
        };

        Assert.AreEqual(GuestOutcome.Boots, Boot.Of(scenario with { Host = scenario.Host with { Traits = traits } }).Outcome);
    }
}
