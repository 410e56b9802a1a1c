// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Text;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

[TestClass]
public sealed class Dom0LogTests
{
    /// <summary>1 GiB of 8 GiB.</summary>
    private const string Builder = """
        (XEN) System RAM: 8192MB (8388608kB)
        (XEN)  Dom0 alloc.:   0000000228000000->0000000230000000 (219623 pages to be allocated)
        (XEN)  Init. ramdisk: 000000023d7e7000->000000023fdff750
        (XEN)  Loaded kernel: ffffffff81000000->ffffffff84a00000
        (XEN)  Phys-Mach map: 0000008000000000->0000008000200000
        (XEN)  Start info:    ffffffff84a00000->ffffffff84a004b8
        (XEN)  Page tables:   ffffffff84a01000->ffffffff84a2a000

        """;

    [TestMethod]
    [DataRow("", null)]
    [DataRow("dom0_mem=1G", null)]
    [DataRow("dom0_mem=1G,max:1G", 1024UL)]
    [DataRow("dom0_mem=max:2048M,1G", 2048UL)]
    [DataRow("dom0_mem=1048576,max:2097152", 2048UL)]
    [DataRow("dom0_mem=0x400M,max:0x800M", 2048UL)]
    [DataRow("dom0_mem=min:1g,max:3g loglvl=all", 3072UL)]
    [DataRow("dom0_mem=max:2G dom0_mem=1G", 2048UL)]
    [DataRow("dom0_mem=max:2G dom0_max_vcpus=2 dom0_mem=max:4G", 4096UL)]
    [DataRow("dom0-mem=1G,max:2G", 2048UL)]
    [DataRow("dom0_mem=1G,max:1T", 1024UL * 1024)]
    [DataRow("dom0_mem=max:12%", 1024UL)]
    [DataRow("dom0_mem=max:-7G", 1024UL)]
    [DataRow("dom0_mem=12%,max:12%", 1024UL)]
    [DataRow("dom0_mem=1G,max:nonsense", null)]
    public void The_most_that_dom0_may_have_stands_on_Xen_s_command_line(string option, ulong? maxMiB)
    {
        Dom0Log log = Of($"(XEN) Command line: console=com1 {option}\n{Builder}");
        Assert.AreEqual(maxMiB << 8, log.MaxPages);
        Assert.IsFalse(log.IsMaxReckoned);
    }

    [TestMethod]
    [DataRow("dom0_mem=1G,max:50%", 4096UL)]
    [DataRow("dom0_mem=1G,max:1G+25%", 3072UL)]
    [DataRow("dom0_mem=1G,max:-2G", 6144UL)]
    public void A_limit_relative_to_what_Xen_has_left_is_reckoned_from_all_RAM(string option, ulong maxMiB)
    {
        Dom0Log log = Of($"(XEN) Command line: {option}\n{Builder}");
        Assert.AreEqual(maxMiB << 8, log.MaxPages);
        Assert.IsTrue(log.IsMaxReckoned);
    }

    [TestMethod]
    public void What_a_kernel_takes_unmapped_lies_behind_the_first_chunk()
    {
        GuestLayout layout = Of(Builder).Layout;
        Assert.AreEqual(ByteRange.FromSize(0x800_0000, 0x2618750), layout.Initrd);
        Assert.AreEqual(ByteRange.FromSize(0xa61_9000, 0x20_0000), layout.P2mList);
    }

    [TestMethod]
    public void A_log_saved_from_a_web_page_reads_the_same() =>
        Assert.AreEqual(Of(Builder), Of(Builder.Replace(">", "&gt;", System.StringComparison.Ordinal)));

    [TestMethod]
    public void What_an_older_kernel_gets_mapped_lies_where_it_sees_it()
    {
        Dom0Log log = Of("""
            (XEN)  Dom0 alloc.:   0000000234000000->0000000238000000 (241941 pages to be allocated)
            (XEN)  Init. ramdisk: 000000023d1a1000->000000023fdff000
            (XEN)  Loaded kernel: ffffffff81000000->ffffffff81eb1000
            (XEN)  Init. ramdisk: ffffffff81eb1000->ffffffff84b0f000
            (XEN)  Phys-Mach map: ffffffff84b0f000->ffffffff84d0f000
            (XEN)  Start info:    ffffffff84d0f000->ffffffff84d0f4b4
            (XEN)  Page tables:   ffffffff84d10000->ffffffff84d3b000
            """);
        Assert.AreEqual(0x40000UL, log.PageCount);
        Assert.IsFalse(log.Is32Bit);
        Assert.AreEqual(ByteRange.FromBounds(0x1eb_1000, 0x4b0_f000), log.Layout.Initrd);
        Assert.AreEqual(ByteRange.FromBounds(0x4b0_f000, 0x4d0_f000), log.Layout.P2mList);
    }

    [TestMethod]
    public void A_32_bit_dom0_has_4_bytes_a_page_and_a_map_of_its_own()
    {
        Dom0Log log = Of("""
            (XEN)  Dom0 kernel: 32-bit, PAE, lsb, paddr 0x1000000 -> 0x1d4a000
            (XEN)  Dom0 alloc.:   0000000234000000->0000000238000000 (241941 pages to be allocated)
            (XEN)  Init. ramdisk: 000000023d1a1000->000000023fdff000
            (XEN)  Loaded kernel: 00000000c1000000->00000000c1d4a000
            (XEN)  Init. ramdisk: 00000000c1d4a000->00000000c49a8000
            (XEN)  Phys-Mach map: 00000000c49a8000->00000000c4aa8000
            (XEN)  Start info:    00000000c4aa8000->00000000c4aa84b4
            (XEN)  Page tables:   00000000c4aa9000->00000000c4ad6000
            """);
        Assert.IsTrue(log.Is32Bit);
        Assert.AreEqual(0x40000UL, log.PageCount);
        Assert.AreEqual(ByteRange.FromBounds(0x100_0000, 0x1d4_a000), log.Layout.Kernel);
        Assert.AreEqual(ByteRange.FromBounds(0x1d4_a000, 0x49a_8000), log.Layout.Initrd);
        Assert.AreEqual(ByteRange.FromBounds(0x49a_8000, 0x4aa_8000), log.Layout.P2mList);
        Assert.AreEqual(ByteRange.FromBounds(0x4aa_9000, 0x4ad_6000), log.Layout.PageTables);
    }

    private static Dom0Log Of(string log) => Dom0Log.Of(LogScanner.Scan(new MemoryStream(Encoding.Latin1.GetBytes(log)), "log"))!;
}
