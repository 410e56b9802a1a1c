// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

[TestClass]
public sealed class HostMapReaderTests
{
    private const string ThreeEntries = "0 9fc00 1\n9fc00 a0000 2\n100000 80000000 1";

    private const string XenLog = """
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 000000000009ffff] (reserved)
        (XEN)  [0000000000100000, 000000007fffffff] (usable)
        (XEN) System RAM: 2047MB (2096764kB)

        """;

    private const string LinuxLog = """
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable
        [    0.000000] NX (Execute Disable) protection: active

        """;

    /// <summary>What is forecast of such a host comes to nothing as long as its Xen dies.</summary>
    [TestMethod]
    [DataRow("(XEN) Panic on CPU 0:\n(XEN) Not enough memory to relocate Xen\n", "line 6: \"Not enough memory to relocate Xen\"")]
    [DataRow("(XEN) Scrubbing Free RAM in background\n", null)]
    public void That_Xen_itself_dies_in_a_host_s_log_is_told(string lines, string? told)
    {
        HostDocument host = MapFixtures.Expect(MapFixtures.ReadText("(XEN) Xen version 4.17.0 (a@b) debug=n\n(XEN) Command line: dom0_mem=1G\n"
            + "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [0000000000100000, 000000007fffffff] (usable)\n"
            + lines));

        string remarks = string.Join('\n', host.Remarks);
        Assert.AreEqual(told is not null, remarks.Contains($"Xen itself dies in this log ({told}", StringComparison.Ordinal), remarks);
    }

    [TestMethod]
    [DataRow("", "(XEN)  [0000000000000000, 000000000009fbff] (usable)", HostMapDialect.Xen)]
    [DataRow("(XEN)", "(XEN) [2024-01-01 12:00:00.123]  [0000000000000000, 000000000009fbff] (usable)", HostMapDialect.Xen)]
    [DataRow("(XEN)", "(XEN) [    0.000000]  [0000000000000000, 000000000009fbff] (usable)", HostMapDialect.Xen)]
    [DataRow("(XEN)", "(XEN) [0000000000.000]  0000000000000000 - 000000000009fc00 (usable)", HostMapDialect.XenOld)]
    [DataRow("(XEN)", "(XEN) [00000012f6a8b3c4]  [0000000000000000, 000000000009fbff] (usable)", HostMapDialect.Xen)]
    [DataRow("(XEN)", "(XEN) [00000012f6a8b3c4]  0000000000000000 - 000000000009fc00 (usable)", HostMapDialect.XenOld)]
    [DataRow("(XEN)", "Nov 20 12:00:00 dom0 hypervisor: (XEN)  0000000000000000 - 000000000009fc00 (usable)", HostMapDialect.XenOld)]
    [DataRow("", "> (XEN)  0000000000000000 - 000000000009fc00 (usable)", HostMapDialect.XenOld)]
    [DataRow("Xen-e820 RAM map:", " [0000000000000000, 000000000009fbff] (usable)", HostMapDialect.Xen)]
    [DataRow("Xen-e820 RAM map:", " 0000000000000000 - 000000000009fc00 (usable)", HostMapDialect.XenOld)]
    [DataRow("", "BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable", HostMapDialect.Linux)]
    [DataRow("", "[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009fbff] usable", HostMapDialect.Linux)]
    [DataRow("", "(early) [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009fbff] usable\r\r", HostMapDialect.Linux)]
    [DataRow("", "Jun 19 18:06:35 host kernel: BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable", HostMapDialect.Linux)]
    [DataRow("", "installer/syslog:Apr  8 15:47:48 ubuntu kernel: [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable",
        HostMapDialect.Linux)]
    [DataRow("", "kern  :info  : [Fri Apr  7 00:04:12 2023] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable", HostMapDialect.Linux)]
    [DataRow("", "<6>[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable", HostMapDialect.Linux)]
    [DataRow("", "\x1b[32m[    0.000000] \x1b[0m\x1b[33mBIOS-e820: \x1b[0m[mem 0x0000000000000000-0x000000000009fbff] usable\x1b[0m",
        HostMapDialect.Linux)]
    [DataRow("", "\x1b[32m[    0.000000] \x1b[0m\x1b[33mXen:\x1b[0m [mem 0x0000000000000000-0x000000000009fbff] usable", HostMapDialect.Linux)]
    [DataRow("", "\u00c2\u00a0[\u00c2\u00a0\u00c2\u00a0\u00c2\u00a00.000000]\u00c2\u00a0Xen:\u00c2\u00a0[mem\u00c2\u00a00x0000000000000000-0x000000000009fbff]\u00c2\u00a0usable", HostMapDialect.Linux)]
    [DataRow("", "&gt; (XEN)\u00a0\u00a0[0000000000000000,\u00a0000000000009fbff]\u00a0(usable)", HostMapDialect.Xen)]
    [DataRow("", "\0\0\0BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable", HostMapDialect.Linux)]
    [DataRow("", "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff]  System RAM", HostMapDialect.Linux72)]
    [DataRow("", "[    0.000000]  BIOS-e820: 0000000000000000 - 000000000009fc00 (usable)", HostMapDialect.LinuxOld)]
    [DataRow("", " Xen: 0000000000000000 - 000000000009fc00 (usable)", HostMapDialect.LinuxOld)]
    [DataRow("", "efi: mem00: type=7, attr=0xf, range=[0x0000000000000000-0x000000000009fc00) (0MB)", HostMapDialect.Efi)]
    [DataRow("", "[    0.000000] efi: mem00: [Conventional Memory|   |  |  |  |   |WB|WT|WC|UC] range=[0x0000000000000000-0x000000000009fbff] (0MB)",
        HostMapDialect.Efi)]
    [DataRow("(XEN) EFI memory map:", "(XEN)  0000000000000-000000009fbff type=7 attr=000000000000000f", HostMapDialect.Efi)]
    [DataRow("", "00000000-0009fbff : System RAM", HostMapDialect.Iomem)]
    [DataRow("", "> > 00000000-0009fbff : System RAM", HostMapDialect.Iomem)]
    [DataRow("# a comment", "0x0 0x9fc00 1", HostMapDialect.Lines)]
    [DataRow("", "0 9FC00\t1 # RAM", HostMapDialect.Lines)]
    public void An_entry_is_found_behind_any_prefix(string before, string line, HostMapDialect dialect)
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText($"{before}\n{line}\n"));
        MapFixtures.AreSame("0 9fc00 1", map);
        Assert.AreEqual(dialect, map.Dialect);
    }

    [TestMethod]
    [DataRow("usable", 1u)]
    [DataRow("reserved", 2u)]
    [DataRow("ACPI data", 3u)]
    [DataRow("ACPI NVS", 4u)]
    [DataRow("unusable", 5u)]
    [DataRow("persistent (type 7)", 7u)]
    [DataRow("persistent (type 12)", 12u)]
    [DataRow("persistent RAM (type 7)", 7u)]
    [DataRow("soft reserved", 0xefffffffu)]
    [DataRow("type 20", 20u)]
    public void Every_type_that_Linux_prints_is_known(string name, uint type)
    {
        MapFixtures.AreSame($"1000 2000 {type}",
            MapFixtures.Expect(MapFixtures.ReadText($"BIOS-e820: [mem 0x0000000000001000-0x0000000000001fff] {name}\n")));
    }

    [TestMethod]
    [DataRow("\r\n")]
    [DataRow("\n\r")]
    [DataRow("\r\r\n")]
    [DataRow("\r")]
    public void Any_line_end_will_do(string lineEnd) =>
        MapFixtures.AreSame(ThreeEntries, MapFixtures.Expect(MapFixtures.ReadText(XenLog.ReplaceLineEndings(lineEnd))));

    [TestMethod]
    [DataRow("utf-16", true)]
    [DataRow("utf-16", false)]
    [DataRow("utf-16BE", true)]
    [DataRow("utf-16BE", false)]
    [DataRow("utf-8", true)]
    public void Unicode_is_decoded_with_and_without_its_mark(string name, bool hasMark)
    {
        Encoding encoding = Encoding.GetEncoding(name);
        byte[] bytes = [.. hasMark ? encoding.GetPreamble() : [], .. encoding.GetBytes(XenLog)];
        MapFixtures.AreSame(ThreeEntries, MapFixtures.Expect(MapFixtures.ReadBytes(bytes)));
        // An odd last byte is no reason to fail.
        MapFixtures.AreSame(ThreeEntries, MapFixtures.Expect(MapFixtures.ReadBytes([.. bytes, 0x20])));
    }

    [TestMethod]
    public void Xen_s_map_comes_before_Linux_s_and_the_kernel_s()
    {
        string guest = LinuxLog.Replace("BIOS-e820: [", "Xen: [", StringComparison.Ordinal);
        HostDocument xen = MapFixtures.Expect(MapFixtures.ReadText(guest + LinuxLog + XenLog));
        Assert.AreEqual("Xen's firmware map (Xen-e820 RAM map), line 12 of test.log", xen.Description);
        Assert.AreEqual("HostMapOptions.MapNumber 1: map of a kernel under Xen (Xen), line 2, 3 entries", xen.OtherMaps[0].ToString());
        Assert.AreEqual("HostMapOptions.MapNumber 2: Linux's firmware map (BIOS-e820), line 7, 3 entries", xen.OtherMaps[1].ToString());

        HostDocument linux = MapFixtures.Expect(MapFixtures.ReadText(guest + LinuxLog));
        Assert.AreEqual("Linux's firmware map (BIOS-e820), line 7 of test.log", linux.Description);
        HostDocument kernel = MapFixtures.Expect(MapFixtures.ReadText(guest));
        Assert.IsTrue(kernel.Host.IsMachineMap);
        Assert.StartsWith("This is the view of a kernel under Xen", kernel.Remarks[0].ToString());
    }

    [TestMethod]
    [DataRow("[    0.1] ACPI in unprivileged domain disabled\n", "", "This is a guest's own map")]
    [DataRow("[    0.1] Command line: root=/dev/xvda1 ro\n", "", "This is a guest's own map")]
    [DataRow("", "[    0.2] DMI: Dell Inc. Latitude E6420/032T9K, BIOS A05 09/26/2011\n", "This is dom0's own view")]
    [DataRow("", "[    0.2] ACPI: RSDP 0x00000000000FE300 000024 (v02 DELL  )\n", "This is dom0's own view")]
    [DataRow("", "[    0.2] NX (Execute Disable) protection: active\n", "This is the view of a kernel under Xen")]
    public void Whose_map_a_kernel_under_Xen_shows_is_said_where_its_log_tells(string before, string behind, string expected)
    {
        const string map = """
            [    0.1] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.1] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
            [    0.1] Xen: [mem 0x00000000fee00000-0x00000000fee00fff] reserved

            """;
        string version = "[    0.0] Linux version 6.1.90 (a@b) #1 SMP\n";

        Assert.StartsWith(expected, MapFixtures.Expect(MapFixtures.ReadText(version + before + map + behind)).Remarks[0].ToString());
    }

    [TestMethod]
    public void A_whole_map_of_nothing_but_RAM_above_1_MiB_is_a_guests()
    {
        const string log = """
            [    0.0] Linux version 6.1.90 (a@b) #1 SMP
            [    0.1] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.1] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
            [    0.1] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
            [    0.2] [mem 0x40000000-0xffffffff] available for PCI devices

            """;

        Assert.StartsWith("This is a guest's own map", MapFixtures.Expect(MapFixtures.ReadText(log)).Remarks[0].ToString());
    }

    [TestMethod]
    public void Of_Xen_s_two_verbose_maps_the_one_it_works_with_is_taken()
    {
        string initial = XenLog.Replace("Xen-e820", "Initial Xen-e820", StringComparison.Ordinal);
        Assert.AreEqual("Xen's firmware map (Xen-e820 RAM map), line 7 of test.log",
            MapFixtures.Expect(MapFixtures.ReadText(initial + XenLog)).Description);
        Assert.AreEqual("Xen's firmware map (Initial Xen-e820 RAM map), line 2 of test.log",
            MapFixtures.Expect(MapFixtures.ReadText(initial)).Description);
    }

    [TestMethod]
    public void A_log_that_begins_within_its_map_says_so()
    {
        string log = string.Join('\n', LinuxLog.Split('\n').Skip(2));
        Assert.AreEqual(
            "The log begins with this map's entry at 0x9fc00: entries before it may be lost, as when the kernel's buffer has run over",
            MapFixtures.Expect(MapFixtures.ReadText(log)).Remarks.Single());
        Assert.ContainsSingle(MapFixtures.Expect(MapFixtures.ReadText("0009fbff] usable\n" + log)).Remarks);
        Assert.IsEmpty(MapFixtures.Expect(MapFixtures.ReadText(string.Join('\n', LinuxLog.Split('\n').Skip(1)))).Remarks);
    }

    [TestMethod]
    [DataRow("0x0000000030000000-0x000000003fffffff", true)]
    [DataRow("0x0000000000100000-0x000000003fffffff", false)]
    public void A_map_without_RAM_at_1_MiB_is_a_crash_kernels_and_no_hosts(string ram, bool isCrashKernels)
    {
        string log = LinuxLog.Replace("0x0000000000100000-0x000000007fffffff", ram, StringComparison.Ordinal);

        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log));

        Assert.AreEqual(isCrashKernels ? RamShown.Part : RamShown.All, map.Host.RamShown);
        Assert.AreEqual(isCrashKernels, map.Remarks.Any(static remark => remark.ToString().Contains("started after a crash", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("", null)]
    [DataRow("(d1) Detected Xen v4.20.5-pre\n", "4.20")]
    public void A_log_whose_head_is_lost_names_its_Xen_where_hvmloader_does(string line, string? xen) =>
        Assert.AreEqual(xen, MapFixtures.Expect(MapFixtures.ReadText(line + LinuxLog)).Host.Traits.XenVersion?.ToString());

    /// <summary>As a terminal's scrollback pasted twice; an entry that the firmware has twice stays.</summary>
    [TestMethod]
    public void A_block_of_a_maps_lines_that_stands_twice_is_read_once()
    {
        string[] lines = LinuxLog.Split('\n');
        string log = string.Join('\n', [.. lines[..4], .. lines[1..]]);

        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log));

        MapFixtures.AreSame(ThreeEntries, map);
    }

    /// <summary>OVMF alone has NVS at 8 MiB, by which it is known; another map's entry there is an entry like any other.</summary>
    [TestMethod]
    [DataRow("0x0000000000800000-0x0000000000807fff] ACPI NVS")]
    [DataRow("0x0000000000800000-0x00000000008fffff] ACPI NVS")]
    [DataRow("0x0000000000800000-0x00000000008fffff] reserved")]
    public void An_entry_at_8_MiB_is_read_once(string entry)
    {
        string log = LinuxLog.Replace("0x0000000000100000-0x000000007fffffff] usable",
            $"0x0000000000100000-0x00000000007fffff] usable\n[    0.000000] BIOS-e820: [mem {entry}\n"
                + "[    0.000000] BIOS-e820: [mem 0x0000000000900000-0x000000007fffffff] usable", StringComparison.Ordinal);

        Assert.ContainsSingle(MapFixtures.Expect(MapFixtures.ReadText(log)).Host.Entries.Where(static one => one.Address == 0x800000));
    }

    /// <summary>Kexec and some firmware leave out the first page or a part of it.</summary>
    [TestMethod]
    [DataRow("")]
    [DataRow("Linux version 6.1.0\n")]
    public void A_map_under_its_own_heading_has_lost_no_entry_before_its_first(string above)
    {
        string log = above + LinuxLog[LinuxLog.IndexOf("BIOS-provided", StringComparison.Ordinal)..]
            .Replace("0x0000000000000000-", "0x0000000000000100-", StringComparison.Ordinal);

        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log));

        Assert.AreEqual(0x100UL, map.Host.Entries[0].Address);
        Assert.IsFalse(map.Host.HasLostEntries);
        Assert.IsEmpty(map.Remarks);
    }

    [TestMethod]
    [DataRow(LinuxLog, "BIOS-e820: ")]
    [DataRow(XenLog, "(XEN)  [")]
    public void Maps_of_several_boots_that_somebody_has_filtered_out_of_a_log_are_told_apart(string log, string word)
    {
        string filtered = string.Concat(log.Split('\n').Where(line => line.Contains(word, StringComparison.Ordinal))
            .Select(static line => line + '\n'));

        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(filtered + filtered + filtered));

        MapFixtures.AreSame(ThreeEntries, map);
        Assert.HasCount(3, map.Log!.Maps);
    }

    [TestMethod]
    [DataRow(HostMapDialect.Linux)]
    [DataRow(HostMapDialect.Xen)]
    public void A_firmwares_map_that_holds_an_entry_twice_is_one_map(HostMapDialect dialect)
    {
        E820Entry ram = E820Entry.FromBounds(0, 0x9f000, E820Type.Ram);
        E820Entry[] entries = [ram, E820Entry.FromBounds(0x100000, 0x200000, E820Type.Ram), ram];
        using MemoryStream written = new();
        HostDocument linux = MapFixtures.Expect(MapFixtures.ReadText(LinuxLog));
        Assert.IsNull(HostMapWriter.Write(linux with { Host = linux.Host with { Entries = [.. entries] } }, dialect, written));

        HostDocument read = MapFixtures.Expect(MapFixtures.ReadText(Encoding.UTF8.GetString(written.ToArray())));

        CollectionAssert.AreEqual(entries, read.Host.Entries.ToArray());
    }

    /// <summary>Whatever the first line of it that is left: Xen's map of seed8g.log has RAM, reserved ranges in a row, ACPI data and NVS.</summary>
    [TestMethod]
    public void A_log_that_begins_anywhere_within_Xen_s_map_says_so()
    {
        string[] log = File.ReadAllLines(Path.Combine(MapFixtures.Folder("golden"), "seed8g.log"));
        int first = Array.FindIndex(log, static line => line.StartsWith("(XEN)  [0000000000000000", StringComparison.Ordinal));
        int end = Array.FindIndex(log, static line => line.StartsWith("(XEN) System RAM", StringComparison.Ordinal));
        for (int cut = first + 1; cut < end; cut++)
        {
            HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(string.Join('\n', log[cut..])));
            Assert.HasCount(end - cut, map.Host.Entries, log[cut]);
            Assert.StartsWith("The log begins with this map's entry at ", map.Remarks[0].ToString());
        }
    }

    [TestMethod]
    public void A_source_says_how_much_of_the_hosts_RAM_it_shows()
    {
        Assert.AreEqual(RamShown.All, Shown(XenLog));
        Assert.AreEqual(RamShown.All, Shown(LinuxLog));
        Assert.AreEqual(RamShown.Part, Shown(string.Join('\n', LinuxLog.Split('\n').Skip(2))));
        Assert.AreEqual(RamShown.Part, Shown("Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\n"));
        Assert.AreEqual(RamShown.KernelsShare, Shown("00001000-0009ffff : System RAM\n00100000-7fffffff : System RAM\n"));
        Assert.AreEqual(RamShown.KernelsShare, Shown("user-defined physical RAM map:\nuser: [mem 0x0000000000000000-0x000000000009fbff] usable\n"));

        static RamShown Shown(string text) => MapFixtures.Expect(MapFixtures.ReadText(text)).Host.RamShown;
    }

    [TestMethod]
    public void A_map_is_chosen_by_its_number()
    {
        string log = XenLog + LinuxLog.Replace("7fffffff", "6fffffff", StringComparison.Ordinal);
        MapFixtures.AreSame("0 9fc00 1\n9fc00 a0000 2\n100000 70000000 1", MapFixtures.Expect(MapFixtures.ReadText(log, new() { MapNumber = 2 })));
        InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(log, new() { MapNumber = 3 }));
        Assert.AreEqual("test.log: there is no map 3: the log has 2; choose HostMapOptions.MapNumber 1 to 2", error.ToString());
        MapFixtures.ExpectError(MapFixtures.ReadText(log, new() { MapNumber = 0 }));
        MapFixtures.ExpectError(MapFixtures.ReadText(log, new() { MapNumber = 1, From = HostMapDialect.Linux }));
        MapFixtures.ExpectError(MapFixtures.ReadText("0 1000 1\n", new() { MapNumber = 2 }));
    }

    [TestMethod]
    public void A_dialect_can_be_forced()
    {
        Assert.AreEqual(HostMapDialect.Linux,
            MapFixtures.Expect(MapFixtures.ReadText(XenLog + LinuxLog, new() { From = HostMapDialect.Linux })).Dialect);
        InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(XenLog + LinuxLog, new() { From = HostMapDialect.XenOld }));
        Assert.AreEqual("test.log: no map in the dialect xen-4.13; found xen, linux; leave out HostMapOptions.From", error.ToString());
        MapFixtures.ExpectError(MapFixtures.ReadText(XenLog, new() { From = HostMapDialect.Memmap }));
        MapFixtures.ExpectError(MapFixtures.ReadText(XenLog, new() { From = HostMapDialect.Json }));
        Assert.AreEqual(1, MapFixtures.ExpectError(MapFixtures.ReadText(XenLog, new() { From = HostMapDialect.Lines })).Line);
    }

    [TestMethod]
    public void What_the_kernel_does_to_its_map_later_is_not_the_firmware_s()
    {
        string log = LinuxLog + """
            [    0.000000] e820: update [mem 0x00000000-0x00000fff] usable ==> reserved
            [    0.000000] e820: remove [mem 0x000a0000-0x000fffff] usable
            [    0.000000] e820: last_pfn = 0x80000 max_arch_pfn = 0x400000000
            [    0.000000] user-defined physical RAM map:
            [    0.000000] user: [mem 0x0000000000000000-0x000000000009fbff] usable
            [    0.000000] extended physical RAM map:
            [    0.000000] reserve setup_data: [mem 0x0000000000000000-0x000000000009fbff] usable
            [    0.000000] modified physical RAM map:
            [    0.000000] modified: [mem 0x0000000000000000-0x0000000000000fff] reserved
            [    0.000000]   node   0: [mem 0x0000000000001000-0x000000000009efff]
            [    0.000000] ACPI: Reserving FACP table memory at [mem 0xdef79000-0xdef790f3]

            """;
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log));
        MapFixtures.AreSame(ThreeEntries, map);
        Assert.HasCount(3, map.OtherMaps);
        LogScan scan = LogScanner.Scan(new MemoryStream(Encoding.Latin1.GetBytes(log)), "log");
        CollectionAssert.AreEqual(
            (LogMapKind[])[LogMapKind.LinuxFirmware, LogMapKind.KernelEdited, LogMapKind.KernelEdited, LogMapKind.KernelEdited],
            scan.Maps.Select(found => found.Kind).ToArray());
    }

    [TestMethod]
    public void A_guest_s_own_maps_on_Xen_s_console_are_not_the_host_s()
    {
        string log = "(XEN) HVM4: BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"
            + "(XEN) HVM4:   0: 0000000000000000 - 000000000009fc00 = 1 RAM\n(XEN) HVM4: e820 map has 8 items:\n"
            + "(d1) BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n" + XenLog;
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log));
        Assert.StartsWith("Xen's firmware map", map.Description);
        Assert.AreEqual("HostMapOptions.MapNumber 1: map of a kernel under Xen (Xen), line 1, 1 entry", map.OtherMaps[0].ToString());
        Assert.AreEqual("HostMapOptions.MapNumber 2: map of a kernel under Xen (Xen), line 4, 1 entry", map.OtherMaps[1].ToString());
    }

    [TestMethod]
    public void The_map_that_Xen_gives_a_PVH_dom0_is_known_as_such()
    {
        string log = XenLog
            + "(XEN) Dom0 memory map:\n(XEN)  [0000000000000000, 000000000009dfff] (usable)\n(XEN)  [00000000000a0000, "
            + "00000000000fffff] (reserved)\n(XEN) done\n";
        Assert.AreEqual("HostMapOptions.MapNumber 2: map that Xen built for dom0 (Dom0 memory map), line 7, 2 entries",
            MapFixtures.Expect(MapFixtures.ReadText(log)).OtherMaps[0].ToString());
        Assert.IsTrue(MapFixtures.Expect(MapFixtures.ReadText(log, new() { MapNumber = 2 })).Host.IsMachineMap);
    }

    [TestMethod]
    public void EFI_neighbours_of_one_E820_type_are_one_entry()
    {
        string log = """
            (XEN) EFI memory map:
            (XEN)  0000000000000-0000000057fff type=7 attr=000000000000000f
            (XEN)  0000000058000-0000000058fff type=0 attr=000000000000000f
            (XEN)  0000000059000-000000008ffff type=3 attr=000000000000000f
            (XEN)  0000000090000-000000009ffff type=4 attr=000000000000000f
            (XEN)  0000000100000-00000001fffff type=10 attr=000000000000000f
            (XEN)  0000000200000-00000002fffff type=9 attr=000000000000000f
            (XEN)  0000000300000-00000003fffff type=6 attr=800000000000000f

            """;
        MapFixtures.AreSame("0 58000 1\n58000 59000 2\n59000 a0000 1\n100000 200000 4\n200000 300000 3\n300000 400000 2",
            MapFixtures.Expect(MapFixtures.ReadText(log)));
    }

    [TestMethod]
    public void Other_lines_between_entries_are_passed_over()
    {
        string log = XenLog.Replace("(XEN)  [00000000001", "systemd[1]: Started Something.\n\n(XEN) noise: [abc, def]\n(XEN)  [00000000001",
            StringComparison.Ordinal);
        MapFixtures.AreSame(ThreeEntries, MapFixtures.Expect(MapFixtures.ReadText(log)));
    }

    [TestMethod]
    public void Xen_s_lines_and_a_kernel_s_may_come_in_turns()
    {
        string[] xen = XenLog.Split('\n');
        string[] kernel = LinuxLog.Replace("BIOS-e820:", "Xen:", StringComparison.Ordinal).Split('\n');
        string mixed = string.Join('\n', xen.Zip(kernel, static (one, other) => $"{one}\n{other}"));
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(mixed));
        MapFixtures.AreSame(ThreeEntries, map);
        Assert.AreEqual("HostMapOptions.MapNumber 2: map of a kernel under Xen (Xen), line 4, 3 entries", map.OtherMaps.Single().ToString());
    }

    [TestMethod]
    public void The_maps_of_two_boots_of_Xen_stay_apart()
    {
        string boot = "(XEN) Command line: dom0_mem=1G\n" + string.Concat(XenLog.Split('\n').Take(3).Select(static line => line + "\n"));
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(boot + boot));
        MapFixtures.AreSame("0 9fc00 1\n9fc00 a0000 2", map);
        Assert.AreEqual("HostMapOptions.MapNumber 2: Xen's firmware map (Xen-e820 RAM map), line 7, 2 entries", map.OtherMaps[^1].ToString());
    }

    [TestMethod]
    public void What_Xen_says_without_its_name_after_its_map_is_no_entry()
    {
        string log = XenLog.Replace("(XEN) System RAM: 2047MB (2096764kB)",
            "(XEN)  Dom0 alloc.:   0000000168000000->0000000170000000 (219623 pages to be allocated)", StringComparison.Ordinal);
        MapFixtures.AreSame(ThreeEntries, MapFixtures.Expect(MapFixtures.ReadText(log.Replace("(XEN) ", "", StringComparison.Ordinal))));
    }

    [TestMethod]
    public void Two_entries_that_lost_their_line_feed_are_both_read()
    {
        MapFixtures.AreSame(ThreeEntries,
            MapFixtures.Expect(MapFixtures.ReadText(XenLog.Replace("(usable)\n(XEN)  [", "(usable)(XEN)  [", StringComparison.Ordinal))));
    }

    [TestMethod]
    public void A_cited_iomem_keeps_its_nesting()
    {
        string iomem = """
            > 00000000-0009fbff : System RAM
            >   00001000-00001fff : Reserved
            > 0009fc00-0009ffff : Reserved
            >
            > 00100000-7fffffff : System RAM
            >   01000000-01e01d31 : Kernel code
            """;
        MapFixtures.AreSame(ThreeEntries, MapFixtures.Expect(MapFixtures.ReadText(iomem)));
    }

    [TestMethod]
    public void Iomem_counts_firmware_resources_wherever_they_are_nested()
    {
        string iomem = """
            00000000-00000fff : Reserved
            00001000-0009dfff : System RAM
            0009e000-0009ebff : RAM buffer
            000a0000-000bffff : PCI Bus 0000:00
            00100000-1fffffff : System RAM
              01000000-01e01d31 : Kernel code
              1e000000-1effffff : Crash kernel
              1f000000-1f000fff : Reserved
            20000000-201fffff : reserved
              20000000-200fffff : PCI Bus 0000:01
                20000000-200000ff : Reserved
            bad80000-badc8fff : ACPI Non-volatile Storage
            badc9000-badd0fff : ACPI Tables
            badd1000-badd1fff : Unusable memory
            c0000000-febfffff : PCI Bus 0000:00
              e0000000-efffffff : PCI MMCONFIG 0000 [bus 00-ff]
                e0000000-efffffff : Reserved
                  e0000000-efffffff : pnp 00:05
            100000000-17fffffff : Persistent Memory
            180000000-1ffffffff : Persistent Memory (legacy)
            200000000-27fffffff : Soft Reserved
            280000000-280000fff : Unknown E820 type

            """;
        MapFixtures.AreSame(
            "0 1000 2\n1000 9e000 1\n100000 20000000 1\n20000000 20200000 2\nbad80000 badc9000 4\nbadc9000 badd1000 3\nbadd1000 badd2000 5\n"
            + "e0000000 f0000000 2\n100000000 180000000 7\n180000000 200000000 12\n200000000 280000000 4026531839\n280000000 280001000 2",
            MapFixtures.Expect(MapFixtures.ReadText(iomem)));
    }

    [TestMethod]
    public void An_iomem_of_zeros_says_who_may_read_it()
    {
        InputError error =
            MapFixtures.ExpectError(MapFixtures.ReadText(
                "00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n"));
        Assert.AreEqual("test.log:1: /proc/iomem shows only zeros for addresses, as to every user but root; read it as root: sudo cat /proc/iomem",
            error.ToString());
    }

    [TestMethod]
    public void Packed_entries_are_recognised()
    {
        byte[] bytes = [.. BitConverter.GetBytes(0x100000UL), .. BitConverter.GetBytes(0x1000UL), .. BitConverter.GetBytes(1u)];
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadBytes([.. bytes, .. bytes]));
        Assert.AreEqual(HostMapDialect.Packed, map.Dialect);
        MapFixtures.AreSame("100000 101000 1\n100000 101000 1", map);
        Assert.AreEqual(
            "test.log: 39 bytes are not a whole number of entries of 20 bytes: the last is cut short; give the whole table",
            MapFixtures.ExpectError(MapFixtures.ReadBytes([.. bytes, .. bytes[..19]])).ToString());
    }

    [TestMethod]
    public void A_memmap_folder_is_read_in_the_order_of_its_numbers()
    {
        MemmapEntry[] folder =
        [
            new("10", "0x100000\n", "0x1fffff\n", "System RAM\n"),
            new("9", "0x9fc00\n", "0x9ffff\n", "reserved\n"),
            new("0", "0x0\n", "0x9fbff\n", "System RAM\n"),
            new("11", "0x200000\n", "0x200fff\n", "Unknown E820 type\n"),
        ];
        HostDocument map = MapFixtures.Expect(HostMapReader.ReadMemmap(folder, "memmap"));
        MapFixtures.AreSame("0 9fc00 1\n9fc00 a0000 2\n100000 200000 1\n200000 201000 2", map);
        Assert.AreEqual(HostMapDialect.Memmap, map.Dialect);
    }

    [TestMethod]
    [DataRow("x", "0x0", "0xfff", "Reserved", "is not a valid number")]
    [DataRow("0", "zero", "0xfff", "Reserved", "is not a valid address")]
    [DataRow("0", "0x0", "0x1fffffffffffffffff", "Reserved", "is not a valid address")]
    [DataRow("0", "0x0", "0xfff", "Cheese", "unknown type \"Cheese\"")]
    [DataRow("0", "0x2000", "0xfff", "Reserved", "ends before it starts")]
    public void A_bad_memmap_entry_is_named(string name, string start, string end, string type, string what)
    {
        InputError error = MapFixtures.ExpectError(HostMapReader.ReadMemmap([new(name, start, end, type)], "memmap"));
        Assert.AreEqual($"memmap/{name}", error.Source);
        Assert.Contains(what, error.What);
    }

    [TestMethod]
    public void A_memmap_folder_without_entries_or_with_too_many_is_refused()
    {
        MapFixtures.ExpectError(HostMapReader.ReadMemmap([], "memmap"));
        MapFixtures.ExpectError(HostMapReader.ReadMemmap([new("1", "0x0", "0xfff", "Reserved"), new("1", "0x0", "0xfff", "Reserved")], "memmap"));
        MapFixtures.ExpectError(HostMapReader.ReadMemmap(Enumerable.Range(0, int.MaxValue)
            .Select(i => new MemmapEntry($"{i}", "0x0", "0xfff", "Reserved")), "memmap"));
    }

    [TestMethod]
    public void Traits_of_the_host_are_read_from_Xen_s_log()
    {
        HostTraits traits = MapFixtures.Expect(MapFixtures.ReadText(XenLog + """
            (XEN) CPU Vendor: AMD, Family 23 (0x17), Model 8 (0x8), Stepping 2 (raw 00800f82)
            (XEN) IOAPIC[0]: apic_id 8, version 33, address 0xfec00000, GSI 0-23
            (XEN) IOAPIC[1]: apic_id 9, version 33, address 0xfec01000, GSI 24-55
            (XEN) [VT-D]  dmaru->address = fed90000
            (XEN) [VT-D]Host address width 39

            """)).Host.Traits;
        Assert.AreEqual("fec00000 fec01000 | fed90000 | AuthenticAMD 23 ", Show(traits));
        Assert.AreEqual(39, traits.AcpiAddressBits);
    }

    [TestMethod]
    [DataRow("smpboot: CPU0: Intel(R) Core(TM) i7-3770 CPU @ 3.40GHz (family: 0x6, model: 0x3a, stepping: 0x9)", " |  | GenuineIntel 6 36")]
    [DataRow("smpboot: CPU0: Intel(R) Core(TM) i3-2100 CPU @ 3.10GHz (fam: 06, model: 2a, stepping: 07)", " |  | GenuineIntel 6 36")]
    [DataRow("[    0.1] smpboot: CPU0: AMD EPYC 7302 16-Core Processor (family: 0x17, model: 0x31, stepping: 0x0)", " |  | AuthenticAMD 23 ")]
    [DataRow("DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap c0000020660462 ecap f0101a", " | fed90000 |   ")]
    [DataRow("DMAR: DRHD base: 0x000000fed91000 flags: 0x1", " | fed91000 |   ")]
    [DataRow("AMD-Vi:        mmio-addr: 00000000feb80000", " | feb80000 |   ")]
    [DataRow("IOAPIC[0]: apic_id 2, version 32, address 0xfec00000, GSI 0-23", "fec00000 |  |   ")]
    [DataRow("address sizes\t: 46 bits physical, 48 bits virtual", " |  |   46")]
    [DataRow("vendor_id\t: AuthenticAMD", " |  | AuthenticAMD  ")]
    [DataRow("Vendor ID:                       GenuineIntel", " |  | GenuineIntel  ")]
    [DataRow("vendor_id\t: somebody", " |  |   ")]
    [DataRow("IOAPIC[0]: address 0xffffffffffffffff", " |  |   ")]
    [DataRow("CPU0: hot (temperature: 0x6)", " |  |   ")]
    public void Traits_of_the_host_are_read_from_Linux_s_log(string line, string expected) =>
        Assert.AreEqual(expected, Show(MapFixtures.Expect(MapFixtures.ReadText($"{LinuxLog}{line}\n")).Host.Traits));

    [TestMethod]
    [DataRow("(XEN) [ 8.484769] 0000:03:00.0: not mapping BAR [fe900, fe90f] invalid")]
    [DataRow("(XEN) [    7.577312]  [00000000a0, 00000000ff] RW")]
    [DataRow("(XEN) 0000:04:00.0: not mapping BAR [fe700, fe77f] invalid")]
    public void What_Xen_says_of_devices_and_frames_behind_a_map_is_no_damaged_entry(string line)
    {
        const string map = "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n"
            + "(XEN)  [0000000000100000, 000000007fffffff] (usable)\n";

        MapFixtures.AreSame("0 9fc00 1\n100000 80000000 1", MapFixtures.Expect(MapFixtures.ReadText($"{map}{line}\n")));
    }

    [TestMethod]
    public void Lines_about_a_boot_are_kept_without_their_prefixes()
    {
        string log = """
            (XEN) [    1.000000] Dom0 alloc.:   0000000228000000->0000000230000000 (219623 pages to be allocated)
            (early) [    0.000000] Released 0 page(s)
            Nov 20 12:00:00 host kernel: Remapped 97 page(s)
            [Fri Apr  7 00:04:12 2023] Freeing 9d-100 pfn range: 99 pages freed
            nothing to see

            """;
        LogScan scan = LogScanner.Scan(new MemoryStream(Encoding.Latin1.GetBytes(log)), "log");
        Assert.AreEqual(
            "1 Xen Dom0 alloc.:   0000000228000000->0000000230000000 (219623 pages to be allocated)\n2 Kernel Released 0 page(s)\n"
            + "3 Kernel Remapped 97 page(s)\n4 Kernel Freeing 9d-100 pfn range: 99 pages freed",
            string.Join('\n', scan.Lines.Select(line => $"{line.Number} {line.Speaker} {line.Text}")));
        Assert.AreEqual(5, scan.LineCount);
    }

    private static string Show(HostTraits traits) =>
        $"{string.Join(' ', traits.IoApics.Select(address => $"{address:x}"))} | "
            + $"{string.Join(' ', traits.Iommus.Select(address => $"{address:x}"))} | "
        + $"{traits.CpuVendor} {traits.CpuFamily} {traits.PhysicalAddressBits}";
}
