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

    /// <summary>What Xen said when the device was to be given, and where nothing else names the memory.</summary>
    private static Scenario OfWords(GuestType type, string device, string words) => Of(type, device) with
    {
        Host = MapFixtures.Expect(MapFixtures.ReadText($"""
            (XEN) Xen-e820 RAM map:
            (XEN)  0000000000000000 - 0000000000099c00 (usable)
            (XEN)  0000000000100000 - 00000000c0000000 (usable)
            (XEN)  00000000c0000000 - 00000000d0000000 (reserved)
            (XEN)  0000000100000000 - 0000000880000000 (usable)
            (XEN) {words}

            """)).Host,
    };

    [TestMethod]
    [DataRow("[VT-D] It's disallowed to assign 0000:00:14.0 with shared RMRR at c1000000 for d1.")]
    [DataRow("[VT-D] It's disallowed to assign 0000:00:14.0 with shared RMRR at c1000000 for Dom1.")]
    [DataRow("[VT-D] It's risky to assign 0000:00:14.0 with shared RMRR at c1000000 for d1.")]
    public void A_device_that_Xen_says_shares_its_memory_is_refused_unless_the_policy_is_relaxed(string words)
    {
        foreach (GuestType type in (GuestType[])[GuestType.Hvm, GuestType.Pv])
        {
            var strict = Boot.Of(OfWords(type, "00:14.0", words));
            Problem refused = strict.Problems.Single(static problem => problem.Severity == Severity.Error);

            Assert.AreEqual(GuestOutcome.Refused, strict.Outcome);
            Assert.Contains("0000:00:14.0 shares its reserved memory (RMRR) with another device (Xen's log: "
                + "\"0000:00:14.0 with shared RMRR at c1000000\")", refused.Message);
            Assert.Contains("00:14.0,rdm_policy=relaxed", $"{refused.Remedy}");
            Assert.AreNotEqual(GuestOutcome.Refused, Boot.Of(OfWords(type, "00:14.0,rdm_policy=relaxed", words)).Outcome);
            Assert.AreNotEqual(GuestOutcome.Refused, Boot.Of(OfWords(type, "00:15.0", words)).Outcome);
        }
    }

    [TestMethod]
    public void Where_that_memory_ends_is_not_told_and_so_the_map_of_an_HVM_guest_that_gets_it_is_not_known()
    {
        var boot = Boot.Of(OfWords(GuestType.Hvm, "00:14.0,rdm_policy=relaxed",
            "[VT-D] It's risky to assign 0000:00:14.0 with shared RMRR at c1000000 for d1."));

        Assert.Contains("from 0xc1000000 on", boot.Problems.Single(static problem => problem.Code == ProblemCodes.MapNotKnown).Message);
    }

    [TestMethod]
    [DataRow("(d1) It's disallowed to assign 0000:00:14.0 with shared RMRR at c1000000 for d1.")]
    [DataRow("[VT-D] It's disallowed to assign nonsense with shared RMRR at c1000000 for d1.")]
    [DataRow("[VT-D] It's disallowed to assign 0000:00:14.0 with shared RMRR at 10000000000000 for d1.")]
    [DataRow("[VT-D] It's fine to assign 0000:00:14.0 with shared RMRR at c1000000 for d1.")]
    public void Other_words_say_nothing_of_shared_memory(string words) =>
        Assert.IsEmpty(OfWords(GuestType.Pv, "00:14.0", words).Host.Traits.Complaints.Sharing);

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
