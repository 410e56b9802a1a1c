// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.E820;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

[TestClass]
public sealed class GoldenRecordTests
{
    [TestMethod]
    [DynamicData(nameof(Golden.Rows), typeof(Golden))]
    public void No_entry_section_or_guest_of_a_golden_log_is_lost(string name)
    {
        string[] lines = Golden.Text(name).Split('\n');
        GoldenRecord record = Golden.Record(name);

        Assert.HasCount(lines.Count(line => line.StartsWith("(XEN)  [", StringComparison.Ordinal)), record.FirmwareMap);
        Assert.HasCount(lines.Count(line => line.StartsWith("=== GUEST ", StringComparison.Ordinal)), record.Guests);
        Assert.AreEqual(
            lines.Count(line => line.Contains("Xen: [mem ", StringComparison.Ordinal)),
            record.Dom0Kernel.E820.Length + record.Guests.Sum(guest => guest.Kernel?.E820.Length ?? 0));
        Assert.AreEqual(lines.Count(line => line.Contains("e820_sanitize: ", StringComparison.Ordinal)),
            record.Guests.Sum(guest => guest.XlMap.Length));
        Assert.AreEqual(lines.Count(line => line.Contains("xc_dom_alloc_segment", StringComparison.Ordinal)),
            record.Guests.Sum(guest => guest.Segments.Count));
        Assert.AreEqual(lines.Count(line => line == "=== DONE"), record.Guests.Count(guest => guest.Done));
        Assert.AreEqual(
            lines.Count(line => line.Contains(" : ", StringComparison.Ordinal) && !line.Contains("domainbuilder", StringComparison.Ordinal)),
            record.Dom0Iomem.Length + record.Guests.Sum(guest => guest.Iomem.Length));
        Assert.HasCount(6, record.Dom0Spans);
        Assert.AreNotEqual(record.Halted, record.AllDone);
    }

    [TestMethod]
    public void The_numbers_that_forecasts_are_judged_by_come_out_as_printed()
    {
        GoldenRecord seed = Golden.Record("seed8g");
        Assert.AreEqual(610, seed.Dom0Kernel.RemappedPages);
        Assert.AreEqual(393216, seed.Guest("boot2048").Kernel!.RemappedPages);
        Assert.AreEqual((0xc0000000UL, 0xe0000000UL), seed.Guest("boot2048").Kernel!.PciGap);
        Assert.AreEqual("[100000 -> 160000] RAM", seed.Guest("boot2048").XlMap[^1]);
        Assert.AreEqual((0x4de5UL, 0x404UL), seed.Guest("boot2048").Segments["phys2mach"]);
        Assert.AreEqual(E820Entry.FromBounds(0xbad80000, 0xbadc9000, E820Type.Nvs), seed.FirmwareMap[8]);
        Assert.AreEqual(8299140, seed.SystemRamKiB);
        Assert.IsNull(seed.Guest("m256").Kernel);

        Assert.AreEqual((0x8000000UL, 0x28000000UL), Golden.Record("dom0-relocate").Dom0Kernel.InitrdMoved);
        Assert.IsTrue(Golden.Record("nvskernel").Halted);
        Assert.AreEqual("Xen hypervisor allocated kernel memory conflicts with E820 map", Golden.Record("nvskernel").Dom0Kernel.Complaints.Single());

        GoldenRecord passthrough = Golden.Record("passthrough");
        Assert.AreEqual("/sys/class/net/eth0 52:54:00:12:34:56", passthrough.Guest("a_pci").Net[0]);
        Assert.AreEqual(16384, passthrough.Guest("b_short").Kernel!.ReleasedPages);
        Assert.HasCount(4, passthrough.Guest("c_overbar").Kernel!.Complaints);
    }

    [TestMethod]
    public void A_line_that_is_no_part_of_a_record_is_refused()
    {
        Assert.ThrowsExactly<FormatException>(() => GoldenRecord.Parse("no log at all"));
        Assert.ThrowsExactly<FormatException>(() => GoldenRecord.Parse("(XEN) Command line: x\n=== XL\n"));
        Assert.ThrowsExactly<FormatException>(() => GoldenRecord.Parse("(XEN) Command line: x\n=== GUEST g\n=== SURPRISE\n"));
    }
}
