// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>Host maps as people paste them: out of mails, cut, quoted, with what else the log says of the machine.</summary>
[TestClass]
public sealed class FieldHostTests
{
    private const string XenMap =
        "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [0000000000100000, 000000007fffffff] (usable)\n";

    private static HostDocument Read(string name)
    {
        using FileStream stream = File.OpenRead(Path.Combine(MapFixtures.Folder("field"), name));
        return MapFixtures.Expect(HostMapReader.Read(stream, Path.GetFileName(name), HostMapOptions.Default));
    }

    private static string Remarks(HostDocument map) => string.Join('\n', map.Remarks);

    [TestMethod]
    [DataRow("rmrr-oneline.txt")]
    [DataRow("rmrr-wrapped.txt")]
    [DataRow("rmrr-old.txt")]
    [DataRow("rmrr-v417.txt")]
    public void The_warning_that_an_RMRR_is_not_reserved_tells_where_it_lies(string name) =>
        Assert.AreEqual("[0x8d800000, 0x90000000)", Shown(Read($"xen/{name}").Host.Traits.ReservedDeviceMemory.Single()));

    [TestMethod]
    public void The_warning_of_an_IVMD_has_its_end_exclusive() =>
        Assert.AreEqual("[0x4f83f000, 0x4f880000)", Shown(Read("xen/ivmd.txt").Host.Traits.ReservedDeviceMemory.Single()));

    [TestMethod]
    [DataRow("(XEN) [VT-D]DMAR: RMRR region: base_addr 7b800000 end_addr 7f7fffff")]
    [DataRow("(XEN) [VT-D]dmar.c:587:   RMRR region: base_addr 7b800000 end_address 7f7fffff")]
    [DataRow("(XEN) [VT-D] RMRR: [7b800000,7f7fffff]")]
    [DataRow("(XEN) RMRR: [0x7b800000, 0x7f7ff000] is not (entirely) in reserved memory")]
    [DataRow("(XEN) IVMD: [0x7b800 ,0x7f7ff] is not (entirely) in reserved memory")]
    [DataRow("(XEN) AMD-Vi: IVMD: [7b800000,7f800000) is not (entirely) in reserved memory")]
    [DataRow("(XEN) AMD-Vi: IVMD Block: type 0x21 phys 0x7b800000 len 0x4000000")]
    [DataRow("(XEN) AMD-Vi: IVMD Block: Type 0x22\n(XEN) AMD-Vi:  Start_Addr_Phys 0x7b800000\n(XEN) AMD-Vi:  Mem_Length 0x4000000")]
    [DataRow("(XEN) [VT-D]  RMRR address range not in reserved memory base = 7b800000\nend = 7f7fffff; "
        + "iommu_inclusive_mapping=1 parameter may be needed.")]
    [DataRow("> (XEN) [VT-D]  RMRR address range not in reserved memory base = 7b800000\n> end = 7f7fffff; "
        + "iommu_inclusive_mapping=1 parameter may be needed.")]
    [DataRow("[    0.012345] DMAR: RMRR base: 0x0000007b800000 end: 0x0000007f7fffff")]
    [DataRow("[    0.033] DMAR: [Firmware Bug]: No firmware reserved region can cover this RMRR "
        + "[0x000000007b800000-0x000000007f7fffff], contact BIOS vendor for fixes")]
    [DataRow("[    0.033] DMAR: [Firmware Bug]: Your BIOS is broken; bad RMRR [0x000000007b800000-0x000000007f7fffff]")]
    [DataRow("[    0.536] IOMMU: Setting identity map for device 0000:00:02.0 [0x7b800000 - 0x7f7fffff]")]
    [DataRow("[    0.536] DMAR: Ignoring identity map for HW passthrough device 0000:00:02.0 [0x7b800000 - 0x7f7fffff]")]
    [DataRow("[    0.5] AMD-Vi: IVMD_TYPE_ALL\t\t devid_start: 00:00.0 devid_end: ff:1f.7 range_start: 000000007b800000 "
        + "range_end: 000000007f800000 flags: 8")]
    public void Every_form_in_which_memory_of_devices_is_printed_is_read(string line) =>
        Assert.AreEqual("[0x7b800000, 0x7f800000)",
            Shown(MapFixtures.Expect(MapFixtures.ReadText($"{XenMap}{line}\n(XEN) next\n")).Host.Traits.ReservedDeviceMemory.Single()));

    [TestMethod]
    [DataRow("[    0.537] IOMMU: Setting identity map for device 0000:00:1f.0 [0x0 - 0xffffff]")]
    [DataRow("(XEN) AMD-Vi: Error: IVMD: page at c9f1c000 can't be converted")]
    [DataRow("(XEN) AMD-Vi:  Mem_Length 0x4000000")]
    [DataRow("(XEN) RMRR: [0x8000000000000000 ,0x8fffffffffffffff] is not (entirely) in reserved memory")]
    [DataRow("(XEN) RMRR: [0x7f7ff ,0x7b800] is not (entirely) in reserved memory")]
    [DataRow("(XEN) AMD-Vi: IVMD Block: type 0x21 phys 0xffffffffff000 len 0xffffffffffffffff")]
    [DataRow("[    0.145] DMAR: No RMRR found")]
    public void What_is_no_such_memory_is_not_taken_for_it(string line) =>
        Assert.IsEmpty(MapFixtures.Expect(MapFixtures.ReadText($"{XenMap}{line}\n")).Host.Traits.ReservedDeviceMemory);

    [TestMethod]
    [DataRow("[    0.1] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap c0000020660462 ecap f0101a", 39)]
    [DataRow("[    0.1] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2078c106f0466 ecap f020df\n[    0.1] DMAR: dmar1: reg_base_addr fed91000 "
        + "ver 1:0 cap c0000020660462 ecap f0101a", 39)]
    [DataRow("[    0.1] DMAR: Host address width 39", 39)]
    [DataRow("[    0.1] DMAR: Host address width 46\n[    0.1] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 7e3ff0505e", 39)]
    [DataRow("[    0.1] nothing", null)]
    public void The_width_of_the_IOMMU_is_that_of_its_narrowest_unit(string lines, int? bits) =>
        Assert.AreEqual(bits, MapFixtures.Expect(MapFixtures.ReadText($"{XenMap}{lines}\n")).Host.Traits.IommuAddressBits);

    [TestMethod]
    [DataRow("4.1.2_14-0.5.5", "fee00000 fee01000 2")]
    [DataRow("3.4.4", "fee00000 fee01000 2")]
    [DataRow("4.2.4", "fee00000 fef00000 2")]
    [DataRow("4.17.3 (Debian 4.17.3)", "fee00000 fef00000 2")]
    public void Up_to_4_1_Xen_keeps_the_APICs_page_alone(string version, string expected) =>
        Assert.EndsWith(expected,
            MapFixtures.Show(MachineMap.Of(MapFixtures.Expect(MapFixtures.ReadText($"(XEN) Xen version {version} (gcc)\n{XenMap}")).Host)));

    [TestMethod]
    public void What_a_log_knows_of_its_host_stands_in_its_JSON()
    {
        string log = $"(XEN) Xen version 4.1.2 (x)\n{XenMap}[    0.1] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap c0000020660462 ecap f0101a\n";
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log));
        map = map with { Host = map.Host with { Traits =
            map.Host.Traits with { ReservedInDom0 = [PfnRange.FromBounds(new(0xfed91), new(0xfed92))] } } };
        using var json = new MemoryStream();
        HostMapWriter.Write(map, HostMapDialect.Json, json);

        HostDocument again = MapFixtures.Expect(MapFixtures.ReadBytes(json.ToArray()));

        Assert.AreEqual("4.1", again.Host.Traits.XenVersion?.ToString());
        Assert.AreEqual(2, again.Host.Traits.XenVersion?.Patch);
        Assert.AreEqual(39, again.Host.Traits.IommuAddressBits);
        Assert.AreEqual(MapFixtures.Show(MachineMap.Of(map.Host)), MapFixtures.Show(MachineMap.Of(again.Host)));
    }

    [TestMethod]
    public void Addresses_with_underscores_are_read()
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText("""
            BIOS-e820: [mem 0x0000_0000_0010_0000-0x0000_0000_7f49_efff] usable
            BIOS-e820: [mem 0x7f49_f000-0x7fff_ffff] reserved

            """));

        Assert.AreEqual("0x7f49f000", $"0x{map.Host.Entries[1].Address:x}");
        Assert.IsTrue(Keyhole.Pci.Bar.TryHex("0x7f49_f000", out ulong address));
        Assert.AreEqual(0x7f49_f000UL, address);
        Assert.IsFalse(Keyhole.Pci.Bar.TryHex("0x7f49_f00", out _));
        Assert.IsFalse(Keyhole.Pci.Bar.TryHex("_7f49", out _));
    }

    [TestMethod]
    public void What_libxl_says_of_a_guests_map_is_read_where_there_is_no_other_and_named()
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText("""
            libxl: debug: libxl_x86.c:240:e820_sanitize: :	[0 -> 20000] RAM
            libxl: debug: libxl_x86.c:240:e820_sanitize: :	[20000 -> 20200] Reserved

            """));

        Assert.HasCount(2, map.Host.Entries);
        Assert.AreEqual(0x2000_0000UL, map.Host.Entries[1].Address);
        Assert.Contains("not the host's", Remarks(map));
    }

    private const string LibxlSummary = "libxl: debug: libxl_x86.c:111:e820_sanitize: Memory: 1048576kB End of RAM: 0x40000 (PFN) Delta: 0kB, "
        + "PCI start: 3145600kB (0xbffe0 PFN), Balloon 487424kB\n";

    private static readonly string[] s_libxlEntries =
        ["[0 -> 40000] RAM", "[40000 -> bffe0] Unusable", "[bffe0 -> c0000] Reserved", "[fee00 -> fef00] Reserved", "[100000 -> 11dc00] RAM"];

    private static string LibxlsLog(System.Collections.Generic.IEnumerable<string> entries) =>
        LibxlSummary + string.Concat(entries.Select(static entry => $"libxl: debug: libxl_x86.c:232:e820_sanitize: :\t{entry}\n"));

    [TestMethod]
    [DataRow(1, 4, "", "map begins with RAM at 0")]
    [DataRow(0, 2, "", "PCI hole starts at page 0xbffe0")]
    [DataRow(0, 4, "", "its last line is missing")]
    [DataRow(0, 5, "libxl: debug: libxl_x86.c:232:e820_sanitize: :\t[120000 -> 1", "line 7 is no whole entry")]
    [DataRow(0, 5, "libxl: debug: libxl_x86.c:232:e820_sanitize: :\t[120000 -> 121000] Unknown\n", "line 7 is no whole entry")]
    public void What_is_missing_of_libxls_map_is_told(int first, int count, string last, string expected)
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(LibxlsLog(s_libxlEntries.Skip(first).Take(count)) + last));

        Assert.Contains(expected, Remarks(map));
        Assert.IsTrue(map.Host.HasLostEntries);
    }

    [TestMethod]
    public void Of_libxls_whole_map_nothing_is_missing_in_whatever_case_its_types_are_written()
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(LibxlsLog(s_libxlEntries)));
        HostDocument typed = MapFixtures.Expect(MapFixtures.ReadText(LibxlsLog(s_libxlEntries.Select(static entry => entry.ToLowerInvariant()))));

        Assert.IsFalse(map.Host.HasLostEntries);
        Assert.DoesNotContain("missing", Remarks(map));
        Assert.AreEqual(MapFixtures.Show(map.Host.Entries), MapFixtures.Show(typed.Host.Entries));
    }

    [TestMethod]
    public void Lines_left_out_of_a_map_are_warned_of()
    {
        HostDocument map = Read("xen/elided.txt");

        Assert.HasCount(4, map.Host.Entries);
        Assert.Contains("Line 4 leaves out a part of this map", Remarks(map));
        Assert.IsTrue(map.Host.HasLostEntries);
    }

    [TestMethod]
    [DataRow("", "", false)]
    [DataRow("", "(XEN) System RAM: 2047MB (2096764kB)\n", false)]
    [DataRow("", "(XEN) System RAM: 4095MB (4193916kB)\n", true)]
    [DataRow("(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n", "", true)]
    public void A_map_that_has_lost_entries_is_known_and_JSON_carries_it(string lost, string behind, bool expected)
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText((XenMap + behind)[lost.Length..]));

        Assert.AreEqual(expected, map.Host.HasLostEntries);
        using var json = new MemoryStream();
        HostMapWriter.Write(map, HostMapDialect.Json, json);
        Assert.AreEqual(expected, MapFixtures.Expect(MapFixtures.ReadBytes(json.ToArray())).Host.HasLostEntries);
    }

    [TestMethod]
    public void RAM_that_Xen_counts_and_the_map_lacks_is_warned_of() =>
        Assert.Contains("Xen counts 7.91 GiB of RAM (line 4), this map has 2.92 GiB: a part of the map is missing",
            Remarks(Read("xen/sysram-mismatch.txt")));

    [TestMethod]
    public void Xens_count_agrees_with_every_whole_log()
    {
        foreach (string path in MapFixtures.GoldenLogs())
        {
            using FileStream stream = File.OpenRead(path);
            Assert.DoesNotContain("Xen counts", Remarks(MapFixtures.Expect(HostMapReader.Read(stream, path, HostMapOptions.Default))), path);
        }
    }

    [TestMethod]
    [DataRow("mails/one-line.txt", "This map has no RAM")]
    [DataRow("mails/mmio-type.txt", "This map has no RAM")]
    public void A_few_quoted_lines_are_said_to_be_no_machines_map(string name, string expected) => Assert.Contains(expected, Remarks(Read(name)));

    [TestMethod]
    public void A_map_with_RAM_is_no_snippet()
    {
        Assert.Contains("only 15.6 MiB of RAM",
            Remarks(MapFixtures.Expect(MapFixtures.ReadText("BIOS-e820: [mem 0x0000000000000000-0x0000000000f9ffff] usable\n"))));
        Assert.DoesNotContain("of RAM",
            Remarks(MapFixtures.Expect(MapFixtures.ReadText("BIOS-e820: [mem 0x0000000000000000-0x0000000000ffffff] usable\n"))));
    }

    [TestMethod]
    public void A_line_quoted_again_behind_prose_counts_once()
    {
        HostDocument map = Read("mails/quoted-again.txt");

        Assert.HasCount(16, map.Host.Entries);
        Assert.HasCount(1, map.Log!.Maps);
        Assert.AreEqual(16_982_302_720UL,
            map.Host.Entries.Where(static entry => entry.IsRam).Aggregate(0UL, static (sum, entry) => sum + entry.Size));
    }

    [TestMethod]
    public void Another_map_behind_prose_is_a_map_of_its_own()
    {
        const string text =
            "BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable\nBIOS-e820: [mem 0x0000000000100000-0x00000000763f5fff] usable\n"
            + "With the patch it looks like this:\nBIOS-e820: [mem 0x0000000000100000-0x00000000763f4fff] usable\nBIOS-e820: [mem "
            + "0x00000000763f5000-0x00000000763f5fff] reserved\n";

        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(text));

        MapFixtures.AreSame("0 9f000 1\n100000 763f6000 1", map);
        Assert.HasCount(2, map.Log!.Maps);
    }

    [TestMethod]
    [DataRow("mails/wrapped.txt", 21, "0 a0000 1")]
    [DataRow("xen/wrapped-entry.txt", 3, "0 a0000 1")]
    [DataRow("xen/qp-nbsp.eml", 2, "0 a0000 1")]
    public void Maps_that_mail_programs_have_wrapped_or_encoded_are_read(string name, int count, string first)
    {
        HostDocument map = Read(name);

        Assert.HasCount(count, map.Host.Entries);
        Assert.AreEqual(first, MapFixtures.Show(map.Host.Entries.Take(1)));
        Assert.IsNull(map.LogMap!.Error);
    }

    [TestMethod]
    [DataRow(" ")]
    [DataRow("")]
    public void An_entry_wrapped_anywhere_is_the_entry(string lost)
    {
        const string head = "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n";
        const string tail = "(XEN)  [0000000100000000, 000000016dffffff] (usable)\n(XEN) System RAM: 1MB\n";
        foreach (string line in new[]
        {
            "(XEN)  [00000000bfee0000, 00000000bfefefff] (ACPI data)",
            "[    0.000000] BIOS-e820: [mem 0x00000000bfee0000-0x00000000bfefefff] ACPI data",
            " BIOS-e820: 00000000bfee0000 - 00000000bfeff000 (ACPI data)",
        })
        {
            bool isXen = line[0] == '(';
            int from = line.IndexOf("bfee", StringComparison.Ordinal) - 8;
            for (int at = from + 1; at < line.Length - 4; at++)
            {
                // A mail program wraps at a blank and takes it away, a window wraps anywhere.
                if (lost == " " ? line[at] != ' ' : line[at] == ' ' || line[at - 1] == ' ')
                    continue;
                string text = (isXen ? head : "BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n")
                    + $"{line[..at]}\n{line[(at + lost.Length)..]}\n" + (isXen ? tail : "");
                HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(text));

                Assert.AreEqual("bfee0000 bfeff000 3", MapFixtures.Show(map.Host.Entries.Skip(1).Take(1)), text);
            }
        }
    }

    [TestMethod]
    [DataRow("BIOS-e820: [mem 0x00000000bfee0000-0x00000000bfef\nfff] usable\n", 2)]
    [DataRow("BIOS-e820: [mem 0x00000000bfee0000-0x00000000bfefffff]\nBIOS-e820: [mem 0x0000000100000000-0x00000001bfefffff] usable\n", 2)]
    [DataRow("BIOS-e820: [mem 0x00000000bfee0000-0x00000000bfefffff]\n\nusable\n", 2)]
    [DataRow("BIOS-e820: [mem 0x00000000bfee0000-0x00000000bfefffff]\n[    0.000000] usable\n", 2)]
    public void An_entry_that_lacks_something_is_not_made_up(string wrapped, int line) =>
        Assert.AreEqual(line, MapFixtures
            .ExpectError(MapFixtures.ReadText($"BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n{wrapped}")).Line);

    [TestMethod]
    public void An_entry_may_go_over_three_lines() =>
        MapFixtures.AreSame("0 a0000 1\nbfee0000 bff00000 4", MapFixtures.Expect(MapFixtures.ReadText(
            ">> [    0.000000] BIOS-e820: [mem\n>> 0x0000000000000000-0x000000000009ffff]\n>> usable\n>> [    0.000000] BIOS-e820: [mem\n>> "
                + "0x00000000bfee0000-0x00000000bfefffff]\n>> ACPI NVS\n")));

    [TestMethod]
    public void A_map_in_one_line_is_a_map()
    {
        var text = new StringBuilder();
        for (int i = 0; i < 100; i++)
            text.Append(System.Globalization.CultureInfo.InvariantCulture,
                $"BIOS-e820: [mem 0x{(ulong)i << 24:x16}-0x{((ulong)i << 24) + 0xffffff:x16}] {(i % 2 == 0 ? "usable" : "reserved")} ");

        Assert.HasCount(100, MapFixtures.Expect(MapFixtures.ReadText(text + "\n")).Host.Entries);
    }

    [TestMethod]
    [DataRow("memmap=512M$1G", "", "memmap=512M$1G (line 2) did not take effect as far as the log shows it")]
    [DataRow("memmap=512M$1G",
        "user: [mem 0x0000000000000000-0x000000003fffffff] usable\nuser: [mem 0x0000000040000000-0x000000005fffffff] reserved\n",
        "memmap=512M$1G (line 2) took effect")]
    [DataRow("memmap=79G$82G", "", "memmap=79G$82G (line 2) did not take effect")]
    [DataRow("memmap=512M1G", "", "memmap=512M1G (line 2) is not a range to Linux")]
    [DataRow("quiet", "", null)]
    public void A_hosts_memmap_is_told_to_be_in_force_or_not(string option, string after, string? expected)
    {
        string log = $"Linux version 6.1.0\nCommand line: ro {option} console=ttyS0\nBIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] "
            + $"usable\nBIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable\n"
            + $"{(after.Length == 0 ? "" : "user-defined physical RAM map:\n")}{after}[mem 0x80000000-0xffffffff] available for PCI devices\n";

        string remarks = Remarks(MapFixtures.Expect(MapFixtures.ReadText(log)));

        if (expected is null)
            Assert.DoesNotContain("(line 2)", remarks);
        else
            Assert.Contains(expected, remarks);
    }

    [TestMethod]
    [DataRow("memmap=511M$1M", "2 1M 8M|4 8M 9M|2 9M 512M|1 512M 2G",
        "took effect: [0x100000, 0x20000000) is reserved in the map of line 5, but for [0x800000, 0x900000) (nvs): of types that "
            + "overlap Linux takes the higher number")]
    [DataRow("memmap=511M$1M", "2 1M 8M|1 8M 9M|2 9M 512M|1 512M 2G",
        "did not take effect as written: in the map of line 5 [0x800000, 0x900000) (ram) is not reserved")]
    [DataRow("memmap=1M@8M", "1 1M 8M|4 8M 9M|1 9M 2G", "did not take effect: [0x800000, 0x900000) (nvs) stays what the map has there")]
    [DataRow("memmap=1M#1G", "1 1M 1G|3 1G 1025M|1 1025M 2G", "took effect: [0x40000000, 0x40100000) is acpi")]
    [DataRow("memmap=1G!1G", "1 1M 1G|12 1G 2G", "took effect: [0x40000000, 0x80000000) is pram")]
    [DataRow("memmap=1G%1G-1+2", "1 1M 1G|2 1G 2G", "took effect: the ram at [0x40000000, 0x80000000) is reserved")]
    [DataRow("memmap=1G%1G-1", "1 1M 1G", "took effect: the ram at [0x40000000, 0x80000000) is out of the map")]
    [DataRow("memmap=1G%1G+0x2", "1 1M 1G|2 1G 2G", "took effect: [0x40000000, 0x80000000) is reserved")]
    [DataRow("memmap=1G%1G", "1 1M 1G", "took effect: what was at [0x40000000, 0x80000000) is out of the map")]
    [DataRow("memmap=1G%1G-5+2", "1 1M 2G", "changed nothing: the map before it has no unusable at [0x40000000, 0x80000000)")]
    [DataRow("memmap=1G%1G-1+2", "1 1M 2G", "did not take effect as written: in the map of line 5 [0x40000000, 0x80000000) (ram) is not reserved")]
    [DataRow("memmap=1G%1G-1+2x", "1 1M 1G", "memmap=1G%1G-1+2x")]
    [DataRow("memmap=1G$1G,1M#8M", "1 1M 8M|3 8M 9M|1 9M 1G|2 1G 2G", "memmap=1G$1G (line 2) took effect|memmap=1M#8M (line 2) took effect")]
    [DataRow("memmap=1G$1G memmap=exactmap memmap=1G@1M", "1 1M 1025M",
        "memmap=1G$1G (line 2) has no effect: memmap=exactmap, which comes after it, drops what came before|exactmap (line 2) took "
            + "effect|memmap=1G@1M (line 2) took effect")]
    [DataRow("memmap=1G", "1 1M 1G", "memmap=1G (line 2) is in force: the map of line 5 has no RAM beyond 0x40000000")]
    [DataRow("memmap=512M1G", "1 1M 512M",
        "is not a range to Linux: it reads 512 MiB and stops, which makes it a limit of all RAM. Boot loaders take '$'")]
    [DataRow("memmap=512M\\$1G", "1 1M 512M", "The backslash reached the kernel")]
    public void Every_form_of_memmap_is_judged_by_the_map_that_the_kernel_made(string option, string after, string expected)
    {
        string user = string.Concat(after.Split('|').Select(static entry => entry.Split(' '))
            .Select(static entry => $"user: [mem 0x{Bytes(entry[1]):x16}-0x{Bytes(entry[2]) - 1:x16}] {LinuxName(entry[0])}\n"));
        string log = $"Linux version 6.1.0\nCommand line: ro {option} quiet\nBIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] "
            + $"usable\nuser-defined physical RAM map:\n{user}";

        string remarks = Remarks(MapFixtures.Expect(MapFixtures.ReadText(log)));

        if (option == "memmap=1G%1G-1+2x")
            Assert.DoesNotContain("(line 2)", remarks, "Linux stops at what it cannot read, and so do we: nothing is claimed");
        else
            foreach (string part in expected.Split('|'))
                Assert.Contains(part, remarks);
    }

    [TestMethod]
    public void Lines_left_out_behind_a_map_are_not_lines_of_the_map()
    {
        const string map = "(XEN) Xen-e820 RAM map:\n(XEN)  0000000000000000 - 0000000080000000 (usable)\n";
        const string more = "(XEN)  00000000ff000000 - 0000000100000000 (reserved)\n";
        string behind = Remarks(MapFixtures.Expect(MapFixtures.ReadText($"{map}[...]\n(XEN) System RAM: 2048MB\n")));

        Assert.Contains("leaves out a part of this map", Remarks(MapFixtures.Expect(MapFixtures.ReadText($"{map}[...]\n{more}"))));
        Assert.DoesNotContain("leaves out a part of this map", behind);
        Assert.Contains("whether the map goes on there is not to be seen", behind);
        Assert.DoesNotContain("left out", Remarks(MapFixtures.Expect(MapFixtures.ReadText($"{map}(XEN) System RAM: 2048MB (2097152kB)\n[...]\n"))));
    }

    private static ulong Bytes(string text) =>
        ulong.Parse(text[..^1], System.Globalization.CultureInfo.InvariantCulture) << (text[^1] == 'M' ? 20 : 30);

    private static string LinuxName(string type) => type switch
    {
        "1" => "usable",
        "2" => "reserved",
        "3" => "ACPI data",
        "4" => "ACPI NVS",
        _ => $"persistent (type {type})",
    };

    private static string Shown(PfnRange pages) => $"[0x{pages.Start.ToAddress():x}, 0x{pages.End.ToAddress():x})";
}
