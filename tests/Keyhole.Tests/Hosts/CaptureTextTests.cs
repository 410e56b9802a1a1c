// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

[TestClass]
public sealed class CaptureTextTests
{
    [TestMethod]
    public void Reserved_regions_come_sorted_and_once()
    {
        Assert.IsTrue(ReservedRegion.Read(Text("0xfee00000 0xfeefffff msi\n\n0x1000 0x1fff direct\n0xfee00000 0xfeefffff msi\n"), "r")
            .TryGet(out ReservedRegionList? list, out _));

        Assert.AreEqual("1000-2000 direct, fee00000-fef00000 msi",
            string.Join(", ", list.Regions.Select(region => $"{region.Start:x}-{region.End:x} {region.Type}")));
    }

    [TestMethod]
    public void A_region_beyond_all_addresses_ends_where_they_do_or_is_passed_over()
    {
        Assert.IsTrue(ReservedRegion.Read(Text("0xfd00000000 0xffffffffffffffff reserved\n0xffffffff00000000 0xffffffffffffffff reserved\n"), "r")
            .TryGet(out ReservedRegionList? list, out _));

        Assert.AreEqual(1UL << 52, list.Regions.Single().End);
    }

    [TestMethod]
    [DataRow("0x2000 0x1fff direct")]
    [DataRow("0x2000 direct")]
    [DataRow("0x2000 0x2fff ")]
    [DataRow("12 14 direct")]
    [DataRow("0x11111111111111111 0x2 direct")]
    public void What_is_no_region_is_an_error_with_its_line(string row)
    {
        Assert.IsFalse(ReservedRegion.Read(Text("0x0 0xfff direct\n" + row + "\n"), "r").TryGet(out _, out InputError? error));
        Assert.StartsWith("r:2: ", error.ToString());
    }

    [TestMethod]
    public void The_processor_is_told_by_vendor_family_and_address_bits()
    {
        HostTraits traits = CpuInfo.AddTo(HostTraits.Unknown,
            Text("processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\naddress sizes : 39 bits physical, 48 bits "
                + "virtual\n\nprocessor : 1\ncpu family : 7\n"));

        Assert.AreEqual(("GenuineIntel", 6, 39), (traits.CpuVendor, traits.CpuFamily, traits.PhysicalAddressBits));
    }

    [TestMethod]
    public void What_is_known_already_stays_and_nonsense_is_passed_over()
    {
        HostTraits traits = CpuInfo.AddTo(new() { CpuFamily = 23 }, Text("cpu family : 6\naddress sizes : 99 bits physical\nvendor_id :\n"));

        Assert.AreEqual((null, 23, null), (traits.CpuVendor, traits.CpuFamily, traits.PhysicalAddressBits));
    }

    private static MemoryStream Text(string text) => new(Encoding.ASCII.GetBytes(text));
}
