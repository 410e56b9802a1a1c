// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Guests;
using Keyhole.Logs;
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
    [DataRow("", "")]
    [DataRow("> ", "> ")]
    [DataRow("Nov 20 19:09:40 host kernel: ", "")]
    public void A_log_that_is_wrapped_hard_tells_the_limit_wherever_it_was_wrapped(string prefix, string furtherPrefix)
    {
        string line =
            $"{prefix}(XEN) Command line: placeholder console=vga,com1 com1=115200,8n1 dom0_mem=1024M,max:2048M "
                + $"loglvl=all guest_loglvl=all e820-verbose";
        int unknown = 0;
        for (int width = 62; width <= line.Length; width++)
        {
            Dom0Log log = Of($"{string.Join($"\n{furtherPrefix}", line.Chunk(width).Select(static part => new string(part)))}\n{Builder}");
            unknown += log.IsMaxUnclear ? 1 : 0;
            Assert.AreEqual(log.IsMaxUnclear ? null : 2048UL << 8, log.MaxPages, $"{width}");
        }

        // Where "1024" or "2048" or what stands behind it is on the next line: what is left could be a size as well.
        Assert.IsLessThanOrEqualTo(9, unknown);
    }

    [TestMethod]
    public void A_log_that_is_wrapped_between_words_tells_the_limit()
    {
        string line =
            "(XEN) Command line: placeholder console=vga,com1 com1=115200,8n1 dom0_mem=1024M,max:2048M loglvl=all guest_loglvl=all ucode=scan";
        for (int at = line.IndexOf(' ', 60); at > 0; at = line.IndexOf(' ', at + 1))
            Assert.AreEqual(2048UL << 8, Of($"{line[..at]}\n{line[(at + 1)..]}\n{Builder}").MaxPages, $"{at}");
    }

    [TestMethod]
    [DataRow("(XEN) dom0_mem=1G,max:1G is in use")]
    [DataRow("[    0.000000] Command line: dom0_mem=1G,max:1G")]
    [DataRow("00000000-0009fbff : System RAM dom0_mem=1G,max:1G ")]
    [DataRow("\ndom0_mem=1G,max:1G")]
    public void What_somebody_else_says_behind_Xen_s_command_line_is_none_of_it(string next)
    {
        Dom0Log log = Of($"(XEN) Command line: placeholder console=vga,com1 com1=115200,8n1 loglvl=all guest_loglvl=all\n{next}\n{Builder}");
        Assert.IsNull(log.MaxPages);
        Assert.IsFalse(log.IsMaxUnclear);
    }

    [TestMethod]
    [DataRow("dom0_mem=3D1G,max:1G loglvl=all", true)]
    [DataRow("dom0_mem=1G,max:1?", true)]
    [DataRow("dom0_mem=1G", false)]
    [DataRow("dom0_mem=max:1G,x", false)]
    public void A_limit_that_is_garbled_is_no_missing_one(string option, bool isUnclear) =>
        Assert.AreEqual(isUnclear, Of($"(XEN) Command line: {option}\n{Builder}").IsMaxUnclear);

    [TestMethod]
    public void A_command_line_as_long_as_Xen_takes_it_is_read_to_its_end() =>
        Assert.AreEqual(2048UL << 8, Of($"(XEN) Command line: {new string('x', 990)} dom0_mem=1G,max:2G\n{Builder}").MaxPages);

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
        Assert.AreEqual(ByteRange.FromSize(0xa61_9000, 0x20_2000), layout.P2mList);
    }

    /// <summary>Posts end there, and the sum is to the page what the list of the whole log has.</summary>
    [TestMethod]
    [DataRow("", 1024UL)]
    [DataRow("dom0_mem=2G,max:2G", 1024UL)]
    [DataRow("dom0_mem=60G", 1024UL)]
    public void Where_the_log_ends_behind_what_Xen_allocates_that_tells_dom0s_pages(string option, ulong mib)
    {
        string cut = Builder[..Builder.IndexOf("(XEN)  Loaded", System.StringComparison.Ordinal)];
        Dom0Log log = Of($"(XEN) Command line: placeholder {option}\n{cut}");

        Assert.AreEqual(mib << 8, log.PageCount);
        Assert.AreEqual(Of(Builder).PageCount, log.PageCount);
        Assert.IsFalse(log.IsBuildShown);
        Assert.AreEqual(log, log.On(new() { Entries = [E820.E820Entry.FromSize(0, 8UL << 30, E820.E820Type.Ram)] }));
        string longer = $"{cut}(XEN)  Init. ramdisk: 0000000000000000->0000000000000000\n";
        Assert.AreEqual(log.PageCount, Of($"(XEN) Command line: placeholder {option}\n{longer}").PageCount);
    }

    /// <summary>Without the machine's address of the ramdisk nobody knows how many pages it has.</summary>
    [TestMethod]
    [DataRow("(XEN)  Dom0 alloc.:   0000000228000000->0000000230000000 (219623 pages to be allocated)")]
    [DataRow("(XEN)  Dom0 alloc.:   0000000228000000->0000000230000000 (219623 pages to be allocated)\n"
        + "(XEN)  Init. ramdisk: ffffffff84a00000->ffffffff86000000\n(XEN)  Init. ramdisk: 0000000000000000->0000000000000000")]
    [DataRow("(XEN)  Dom0 alloc.:   0000000228000000->0000000230000000\n(XEN)  Init. ramdisk: 000000023d7e7000->000000023fdff750")]
    public void A_part_of_what_Xen_allocates_tells_no_pages(string lines) =>
        Assert.IsNull(Of($"(XEN) Command line: placeholder\n{lines}\n")?.PageCount);

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

    private const string SmallHost = """
        (XEN) Command line: dom0_mem=$ placeholder
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [0000000000100000, 000000007fffffff] (usable)

        """;

    /// <summary>Xen takes dom0_mem= for the most it may give, dom0_compute_nr_pages() in its dom0_build.c: what is left decides.</summary>
    [TestMethod]
    [DataRow("1G", 1UL << 18)]
    [DataRow("8G", null)]
    [DataRow("2047M", null)]
    public void Without_System_RAM_a_dom0_mem_beyond_what_the_map_has_is_no_size(string amount, ulong? pages)
    {
        Keyhole.Captures.HostDocument host =
            Keyhole.Tests.Hosts.MapFixtures.Expect(Keyhole.Tests.Hosts.MapFixtures.ReadText(SmallHost.Replace("$", amount, System.StringComparison.Ordinal)));

        Dom0Log log = Dom0Log.Of(host.Log!, host.LogMap)!.On(host.Host);

        Assert.AreEqual(pages, log.PageCount);
        Assert.AreEqual(pages is null, log.IsMoreThanLeft);
    }

    /// <summary>A size that the other two parts bound, and bounds alone: where what Xen surely has left and all of the RAM give the same. The host
    /// has 2 GiB.</summary>
    [TestMethod]
    [DataRow("max:1G", 1024UL, 1024UL)]
    [DataRow("min:1024M dom0_mem=max:1536M", 1536UL, 1536UL)]
    [DataRow("min:512M,max:1G", 1024UL, 1024UL)]
    [DataRow("min:1G,max:1G", 1024UL, 1024UL)]
    [DataRow("1G,max:512M", 512UL, 512UL)]
    [DataRow("512M,min:1G", 1024UL, null)]
    [DataRow("512M,min:1G,max:768M", 768UL, 768UL)]
    [DataRow("-512M,max:1G", 1024UL, 1024UL)]
    [DataRow("90%,max:1G", 1024UL, 1024UL)]
    [DataRow("50%,max:1G", null, 1024UL)]
    [DataRow("max:1900M", null, 1900UL)]
    [DataRow("-512M", null, null)]
    [DataRow("min:1G", null, null)]
    [DataRow("max:50%", null, null)]
    public void What_dom0_starts_with_lies_within_dom0_mem_min_and_max(string amounts, ulong? mib, ulong? mostMiB)
    {
        foreach (string systemRam in (string[])["", "(XEN) System RAM: 2047MB (2096764kB)\n"])
        {
            string text = SmallHost.Replace("$", amounts, System.StringComparison.Ordinal) + systemRam;
            Keyhole.Captures.HostDocument host = Keyhole.Tests.Hosts.MapFixtures.Expect(Keyhole.Tests.Hosts.MapFixtures.ReadText(text));

            Dom0Log? log = Dom0Log.Of(host.Log!, host.LogMap)?.On(host.Host);

            Assert.AreEqual(mib << 8, log?.PageCount, systemRam);
            if (mostMiB is not null)
                Assert.AreEqual(mostMiB << 8, log?.MaxPages, systemRam);
        }
    }

    [TestMethod]
    public void What_Xen_says_of_a_dom0_before_the_map_of_another_boot_is_not_of_that_boot()
    {
        const string before = "(XEN)  Dom0 alloc.:   0000000414000000->0000000418000000 (1014568 pages to be allocated)\n"
            + "(XEN)  Phys-Mach map: 0000008000000000->0000008000800000\n(XEN) Xen version 4.17.3 (a@b) debug=n\n";
        string text = before + SmallHost.Replace("$", "512M", System.StringComparison.Ordinal);
        Keyhole.Captures.HostDocument host = Keyhole.Tests.Hosts.MapFixtures.Expect(Keyhole.Tests.Hosts.MapFixtures.ReadText(text));

        Assert.AreEqual(512UL << 8, Dom0Log.Of(host.Log!, host.LogMap)!.PageCount);
    }

    /// <summary>What a map shows of which lines are missing may be enough.</summary>
    [TestMethod]
    public void A_limit_that_the_RAM_of_a_cut_map_reaches_is_what_dom0_starts_with()
    {
        string text = SmallHost.Replace("$", "max:1G", System.StringComparison.Ordinal) + "[...]\n(XEN)  [0000000100000000, 000000013fffffff] (usable)\n";
        Keyhole.Captures.HostDocument host = Keyhole.Tests.Hosts.MapFixtures.Expect(Keyhole.Tests.Hosts.MapFixtures.ReadText(text));

        Assert.AreEqual(1024UL << 8, Dom0Log.Of(host.Log!, host.LogMap)!.On(host.Host).PageCount);
    }
}
