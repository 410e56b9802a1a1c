// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenHvm;

/// <summary>What of logs and configurations reaches the forecast of an HVM guest.</summary>
[TestClass]
public sealed class HvmInputTests
{
    private const string Map = "(XEN) Xen version 4.14.3 (x)\n(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n"
        + "(XEN)  [0000000000100000, 000000006965efff] (usable)\n(XEN)  [000000006965f000, 000000006ed16fff] (reserved)\n"
        + "(XEN)  [0000000100000000, 000000047fffffff] (usable)\n";

    private const string Entry = "(XEN) [VT-D]found ACPI_DMAR_RMRR:\n(XEN) [VT-D] endpoint: 0000:00:14.0\n";

    private const string Range = "(XEN) [VT-D]dmar.c:615:   RMRR region: base_addr 6a000000 end_addr 6a0fffff\n";

    /// <summary>Xen names the devices in every build, the ranges in a debug build alone.</summary>
    [TestMethod]
    [DataRow(Entry, "00:14.0", true)]
    [DataRow(Entry + "(XEN) [VT-D]found ACPI_DMAR_ATSR:\n", "00:14.0", true)]
    [DataRow(Entry, "00:02.0", false)]
    [DataRow(Entry + Range, "00:14.0", false)]
    [DataRow("", "00:14.0", false)]
    public void Reserved_memory_whose_place_is_not_told_leaves_the_map_unknown(string lines, string device, bool isUnknown)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Map + lines)).Host;
        Assert.IsTrue(PciAddress.TryParse(device, out PciAddress address));
        Plan plan = Planner.Plan(new Scenario
        {
            Host = host,
            Guest = new() { Type = GuestType.Hvm, MemoryKiB = 4 << 20, MaxmemKiB = 4 << 20, Pci = [new PciAssignment(address)] },
        });

        Assert.AreEqual(isUnknown, plan.Problems.Any(static problem => problem.Code == ProblemCodes.MapNotKnown
            && problem.Message.ToString().Contains("0000:00:14.0 has reserved memory (RMRR)", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_capture_keeps_the_devices_whose_reserved_memory_is_not_told()
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(Map + Entry));
        Assert.IsTrue(PciAddress.TryParse("00:14.0", out PciAddress usb));

        Assert.AreEqual(usb, map.Host.Traits.DeviceMemoryNotTold.Single());
    }

    /// <summary>libvirt gives libxl what the same xl.cfg does (libxl_conf.c).</summary>
    [TestMethod]
    [DataRow("<input type='tablet' bus='usb'/>", "usbdevice='tablet'")]
    [DataRow("<input type='mouse' bus='usb'/>", "usbdevice='mouse'")]
    [DataRow("<input type='mouse' bus='ps2'/>", "")]
    [DataRow("<sound model='es1370'/>", "soundhw='es1370'")]
    [DataRow("<sound model='ac97'/>", "soundhw='ac97'")]
    [DataRow("<sound model='sb16'/>", "")]
    public void A_guest_has_the_same_BARs_by_libvirt_and_by_xl(string element, string line)
    {
        string xml = "<domain type='xen'><name>x</name><memory unit='MiB'>400</memory><os><type>hvm</type></os><features><acpi/></features>"
            + $"<devices>{element}<video><model type='vga'/></video></devices></domain>";
        string config = $"name='x'\ntype='hvm'\nmemory=400\nvga='stdvga'\n{line}\n";

        CollectionAssert.AreEqual(Bars(config), Bars(xml));
    }

    [TestMethod]
    [DataRow("<input type='keyboard' bus='usb'/>", "Unknown input device type")]
    [DataRow("<sound model='ich6'/>", "Unknown soundhw option 'ich6'")]
    public void What_libvirt_or_libxl_does_not_know_is_refused_in_its_words(string element, string words)
    {
        string xml = "<domain type='xen'><name>x</name><memory unit='MiB'>400</memory><os><type>hvm</type></os>"
            + $"<devices>{element}</devices></domain>";

        Assert.Contains(words, PlanOf(xml).Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart).Message.ToString());
    }

    private static string[] Bars(string guest) =>
    [
        .. PlanOf(guest).Firmware!.Placement!.Bars
            .Select(static bar => FormattableString.Invariant($"{bar.Function} {bar.Bar.Index} 0x{bar.Address:x}")),
    ];

    private static Plan PlanOf(string guest)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(guest)), "guest").TryGet(out GuestDocument? read, out InputError? error),
            error?.ToString());
        return Planner.Plan(new Scenario { Host = Host.Unknown, Guest = read.Guest });
    }
}
