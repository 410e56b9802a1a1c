// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

[TestClass]
public sealed class DomainBuilderLogTests
{
    [TestMethod]
    public void The_layout_of_a_golden_guest_is_what_its_builder_said()
    {
        GoldenGuest guest = GoldenLog.Load("plain4g").Guests()
            .First(guest => guest.Xl.Any(line => line.Contains("phys2mach", StringComparison.Ordinal)));

        GuestLayout layout = DomainBuilderLog.LayoutOf(string.Join('\n', guest.Xl))!;

        Assert.AreEqual(ByteRange.FromBounds(0x1000000, 0x4a00000), layout.Kernel);
        Assert.AreEqual(ByteRange.FromBounds(0x4a00000, 0x4a01000), layout.StartInfo);
        Assert.AreEqual(ByteRange.FromBounds(0x4a03000, 0x4a2c000), layout.PageTables);
        Assert.AreEqual(0x4c00000UL, layout.Initrd.Start);
        Assert.IsFalse(layout.P2mList.IsEmpty);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("xc_dom_alloc_segment:   kernel       : (pfn 0x + 0x1 pages)")]
    [DataRow("xc_dom_alloc_segment:   kernel       : (pfn 0x10000000000 + 0x1 pages)")]
    [DataRow("xc_dom_alloc_segment:   kernel       : (pfn 0xffffffffff + 0x2 pages)")]
    [DataRow("xc_dom_alloc_segment:   page tables  : (pfn 0x1 + 0x2 pages)")]
    public void Without_a_kernel_there_is_no_layout(string text) => Assert.IsNull(DomainBuilderLog.LayoutOf(text));
}
