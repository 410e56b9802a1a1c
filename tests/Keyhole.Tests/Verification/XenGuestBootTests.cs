// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>Logs of Linux in an HVM guest and in a PVH guest of the real Xen 4.17, whole, beside their forecast.</summary>
[TestClass]
public sealed class XenGuestBootTests
{
    private const string Unplug = "platform_pci_unplug: Blkfront";

    [TestMethod]
    public void An_HVM_guest_with_a_device_passed_through_agrees_line_for_line()
    {
        BootVerification verification = Verify("hvm", Fixture("hvm.dmesg"));

        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.HasCount(27, verification.Findings);
        Assert.AreEqual((GuestOutcome.Boots, GuestOutcome.Boots), verification.Outcomes);
        Assert.Contains("BAR 4 of 0000:00:01.1 lost its address when Linux had the emulated disks taken away", Words(verification));
    }

    [TestMethod]
    public void A_PVH_guest_whose_console_begins_late_agrees_and_is_seen_to_have_booted()
    {
        BootVerification verification = Verify("pvh", Fixture("pvh.dmesg"));

        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.HasCount(6, verification.Findings);
        Assert.AreEqual((GuestOutcome.Boots, GuestOutcome.Boots), verification.Outcomes);
    }

    [TestMethod]
    public void A_disk_controller_that_lost_its_address_for_no_reason_differs()
    {
        string log = Fixture("hvm.dmesg");
        Assert.Contains(Unplug, log);

        BootVerification verification = Verify("hvm", log.Replace(Unplug, "platform_pci: Blkfront", StringComparison.Ordinal));

        Finding finding = verification.Differences.Single();
        Assert.AreEqual("BAR 4 of 0000:00:01.1", finding.What);
        Assert.AreEqual("0xc200 (16 B, io)", finding.Forecast);
    }

    [TestMethod]
    public void An_emulated_network_card_is_gone_where_Linux_had_it_unplugged_and_missed_where_it_had_not()
    {
        // The card's slot is behind the display's; the device that is passed through moves on by one, and its ports by 256.
        string log = Fixture("hvm.dmesg").Replace("0000:00:04.0", "0000:00:05.0", StringComparison.Ordinal);
        Scenario scenario = ScenarioOf("hvm");
        scenario = scenario with { Guest = scenario.Guest with { Hvm = HvmKeys.Of("vif", "['bridge=xenbr0']") with { HoleBytes = 3072UL << 20 } } };

        BootVerification without = Verify(scenario, log);
        BootVerification with = Verify(scenario, log.Replace("unplug emulated NICs", "keep emulated NICs", StringComparison.Ordinal));

        Assert.DoesNotContain("0000:00:04.0", Differences(without));
        Assert.Contains("PCI function: 0000:00:04.0 [10ec:8139] / -", Differences(with));
    }

    private static string Fixture(string name) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "hvm", "boots", name));

    private static Scenario ScenarioOf(string name)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(Fixture($"{name}.cfg"))), $"{name}.cfg")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        Assert.IsTrue(BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(Fixture("devices.lspci"))), "devices.lspci")
            .TryGet(out PciListing? listing, out error), error?.ToString());
        return new() { Host = Host.Unknown, Guest = guest.Guest, Qemu = new() { Devices = listing.Devices } };
    }

    private static BootVerification Verify(string name, string log) => Verify(ScenarioOf(name), log);

    private static BootVerification Verify(Scenario scenario, string log)
    {
        LogScan scan = LogScanner.ScanWithPci(new MemoryStream(Encoding.UTF8.GetBytes(log)), "dmesg");
        ObservedBoot boot = FirmwareVerifier.BootsIn(scan)[0];
        return FirmwareVerifier.Compare(Planner.Plan(FirmwareVerifier.WithEvidence(scenario, boot, scan)), boot, scan);
    }

    private static string Differences(BootVerification verification) =>
        string.Join('\n', verification.Differences.Select(static finding => $"{finding.What}: {finding.Forecast ?? "-"} / {finding.Observed ?? "-"}"));

    private static string Words(BootVerification verification) =>
        string.Join('\n', verification.Explanations.Select(static phrase => phrase.ToString()));
}
