// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Pci;

[TestClass]
public sealed class PciAddressTests
{
    [TestMethod]
    [DataRow("03:00.0", "0000:03:00.0")]
    [DataRow("0:2.7", "0000:00:02.7")]
    [DataRow("ffff:ff:1f.7", "ffff:ff:1f.7")]
    [DataRow("AB:1F.1", "0000:ab:1f.1")]
    [DataRow("1:ab:cd", null)]
    [DataRow("03:20.0", null)]
    [DataRow("03:00.8", null)]
    [DataRow("100:00.0", null)]
    [DataRow("10000:00:00.0", null)]
    [DataRow("0:0:0:0.0", null)]
    [DataRow("03:00", null)]
    [DataRow("03:00.", null)]
    [DataRow("03:.0", null)]
    [DataRow(":00.0", null)]
    [DataRow("+3:00.0", null)]
    [DataRow(" 3:00.0", null)]
    [DataRow("03:00.0 ", null)]
    [DataRow("0x3:00.0", null)]
    [DataRow("", null)]
    public void An_address_reads_in_hex_and_in_its_bounds(string text, string? expected)
    {
        Assert.AreEqual(expected is not null, PciAddress.TryParse(text, out PciAddress address));
        Assert.AreEqual(expected ?? "0000:00:00.0", address.ToString());
    }

    [TestMethod]
    public void Addresses_are_ordered_by_domain_bus_device_and_function()
    {
        string[] ordered = ["0000:00:00.0", "0000:00:00.7", "0000:00:1f.0", "0000:ff:00.0", "0001:00:00.0"];
        for (int i = 1; i < ordered.Length; i++)
        {
            Assert.IsTrue(PciAddress.TryParse(ordered[i - 1], out PciAddress lower) && PciAddress.TryParse(ordered[i], out PciAddress higher)
                && lower.CompareTo(higher) < 0 && higher.CompareTo(lower) > 0, ordered[i]);
        }
    }
}
