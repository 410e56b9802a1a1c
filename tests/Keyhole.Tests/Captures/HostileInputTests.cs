// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

/// <summary>Everything read is hostile: one clear line, no exception, bounded time and memory.</summary>
[TestClass]
public sealed class HostileInputTests
{
    private const string SmallLog =
        "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [000000000009fc00, 000000000009ffff] (reserved)\n"
        + "(XEN)  [0000000000100000, 000000007fffffff] (usable)\n";

    [TestMethod]
    [DataRow("", "test.log: the input is empty; give the output of 'xl dmesg', 'dmesg' or 'sudo cat /proc/iomem'")]
    [DataRow("\n\n",
        "test.log: no memory map found in 2 lines; give the output of 'xl dmesg', 'dmesg' or 'sudo cat /proc/iomem', or name "
            + "the dialect with HostMapOptions.From")]
    [DataRow("# nothing\n", "test.log: no entries: every line is empty or a comment; write lines of START END TYPE")]
    [DataRow("0 1000 1\n2000 1000 2\n", "test.log:2: the entry [0x2000, 0x1000) ends before it starts; check the capture; the start comes first")]
    [DataRow("0 1000 1\n1000 10000000000001 2\n",
        "test.log:2: the entry [0x1000, 0x10000000000001) reaches above 2^52, where no physical address is; check the "
            + "capture; x86 has at most 52 address bits")]
    [DataRow("0 ffffffffffffffff 2\n",
        "test.log:1: the entry [0x0, 0xffffffffffffffff) reaches above 2^52, where no physical address is; check the "
            + "capture; x86 has at most 52 address bits")]
    [DataRow("0 1000 1\n0x1000 0x2000\n",
        "test.log:2: expected START END TYPE, found \"0x1000 0x2000\"; write two hex addresses, the end exclusive, and the type, by number or name "
            + "(ram, reserved, acpi, nvs, unusable): 0x100000 0x80000000 ram")]
    [DataRow("0 1000 1\n1 12345678901234567 1\n",
        "test.log:2: expected START END TYPE, found \"1 12345678901234567 1\"; write two hex addresses, the end exclusive, and the type, by number "
            + "or name (ram, reserved, acpi, nvs, unusable): 0x100000 0x80000000 ram")]
    [DataRow("0 1000 1\n1000 2000 4294967296\n",
        "test.log:2: expected START END TYPE, found \"1000 2000 4294967296\"; write two hex addresses, the end exclusive, and the type, by number "
            + "or name (ram, reserved, acpi, nvs, unusable): 0x100000 0x80000000 ram")]
    [DataRow("0 1000 1\n1000 20\0",
        "test.log:2: expected START END TYPE, found \"1000 20\"; write two hex addresses, the end exclusive, and the type, by number or name (ram, "
            + "reserved, acpi, nvs, unusable): 0x100000 0x80000000 ram")]
    [DataRow("BIOS-e820: [mem 0x0000000000002000-0x0000000000000fff] usable\n",
        "test.log:1: the entry [0x2000, 0xfff] ends before it starts; check the capture; the start comes first")]
    [DataRow("BIOS-e820: [mem 0x0000000000002000-0xffffffffffffffff] usable\n",
        "test.log:1: the entry [0x2000, 0xffffffffffffffff] reaches above 2^52, where no physical address is; check the "
            + "capture; x86 has at most 52 address bits")]
    [DataRow("BIOS-e820: [mem 0xffffffffffffffff-0x0000000000000000] usable\n",
        "test.log:1: the entry [0xffffffffffffffff, 0x0] reaches above 2^52, where no physical address is; check the "
            + "capture; x86 has at most 52 address bits")]
    [DataRow("BIOS-e820: [mem 0x0000000000002000-0x0000000000002fff] us\x7f\n",
        "test.log:1: an entry of the memory map is cut short or garbled: \"BIOS-e820: [mem 0x0000000000002000-0x0000000000002fff] us?\"; give "
            + "the whole log, its lines not wrapped")]
    [DataRow("00000000-00000fff : Reserved\n00001000-0009\n",
        "test.log:2: an entry of the memory map is cut short or garbled: \"00001000-0009\"; give the whole log, its lines not wrapped")]
    [DataRow("00000000-00000fff : Reserved\n00001000-0009ffff : System R",
        "test.log:2: an entry of the memory map is cut short or garbled: \"00001000-0009ffff : System R\"; give "
            + "the whole log, its lines not wrapped")]
    [DataRow("{ \"__CURSOR\" : \"s=1\", \"MESSAGE\" : \"(XEN) Xen-e820 RAM map:\" }\n{ \"MESSAGE\" : \"x\" }\n",
        "test.log: no memory map found in 2 lines; give the output of 'xl dmesg', 'dmesg' or 'sudo cat /proc/iomem', or name the dialect with "
            + "HostMapOptions.From")]
    [DataRow("\x1f\x8b\x08 gzip",
        "test.log: the packed file cannot be read: its gzip data are cut short or damaged; unpack it (zcat, xzcat, "
            + "unzip, tar xf, cpio -i) and name the log in it")]
    public void Bad_input_is_told_in_one_line(string input, string expected) =>
        Assert.AreEqual(expected, MapFixtures.ExpectError(MapFixtures.ReadText(input)).ToString());

    [TestMethod]
    [DataRow(0x10_0000UL, 0xffff_ffff_ffff_ff00UL, "[0x100000, 0x100000000000fff00)")]
    [DataRow(0xffff_ffff_ffff_f000UL, 0x1000UL, "[0xfffffffffffff000, 0x10000000000000000)")]
    [DataRow(0xf_0000_0000_0000UL, 0x1_0000_0000_1000UL, "[0xf000000000000, 0x10000000001000)")]
    public void An_entry_of_start_and_size_beyond_2_to_the_52_is_told_with_its_true_end(ulong start, ulong sizeBytes, string told)
    {
        byte[] packed = new byte[40];
        packed[8] = 0xf0;
        packed[16] = 1;
        BitConverter.TryWriteBytes(packed.AsSpan(20), start);
        BitConverter.TryWriteBytes(packed.AsSpan(28), sizeBytes);
        packed[36] = 1;

        string error = MapFixtures.ExpectError(HostMapReader.Read(new MemoryStream(packed), "test.log", new() { From = HostMapDialect.Packed }))
            .ToString();

        Assert.AreEqual(
            $"test.log, entry 2: the entry {told} reaches above 2^52, where no physical address is; check the "
                + $"capture; x86 has at most 52 address bits", error);
    }

    [TestMethod]
    public void A_limit_of_2_to_the_52_is_an_end_and_no_start_beyond()
    {
        Assert.AreEqual("0 10000000000000 1", MapFixtures.Show(MapFixtures.Expect(MapFixtures.ReadText("0 10000000000000 1\n")).Host.Entries));
        MapFixtures.ExpectError(MapFixtures.ReadText("10000000000001 10000000000001 1\n"));
    }

    [TestMethod]
    [DataRow(2)]
    [DataRow(3)]
    [DataRow(4)]
    public void An_entry_cut_short_in_the_middle_of_a_map_names_its_line(int number)
    {
        string[] lines = SmallLog.TrimEnd('\n').Split('\n');
        string whole = lines[number - 1];
        for (int length = "(XEN)  ".Length + 1; length < whole.Length; length++)
        {
            lines[number - 1] = whole[..length];
            InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(string.Join('\n', lines) + "\n"));
            Assert.AreEqual(number, error.Line, lines[number - 1]);
        }
    }

    /// <summary>A host with more than these is no host; each that is kept costs a region of its own in the machine map.</summary>
    [TestMethod]
    [DataRow(0, 0)]
    [DataRow(255, 255)]
    [DataRow(256, 256)]
    [DataRow(257, 256)]
    [DataRow(20_000, 256)]
    public void Of_register_pages_and_device_memory_that_a_log_names_no_more_than_256_are_kept(int named, int kept)
    {
        StringBuilder log = new(SmallLog);
        for (int i = 0; i < named; i++)
        {
            ulong at = 0xc000_0000UL + ((ulong)i << 12);
            log.Append(CultureInfo.InvariantCulture, $"(XEN) IOAPIC[{i}]: apic_id {i}, version 17, address 0x{at:x}, GSI 0-23\n");
            log.Append(CultureInfo.InvariantCulture, $"(XEN) [VT-D]  dmaru->address = {at:x}\n");
            log.Append(CultureInfo.InvariantCulture, $"(XEN) [VT-D]  RMRR region: base_addr {at:x} end_addr {at + 0xfff:x}\n");
        }

        HostTraits traits = MapFixtures.Expect(MapFixtures.ReadText(log.ToString())).Host.Traits;

        Assert.HasCount(kept, traits.IoApics);
        Assert.HasCount(kept, traits.Iommus);
        Assert.HasCount(kept, traits.ReservedDeviceMemory);
    }

    [TestMethod]
    public void A_line_cut_within_its_stamp_is_not_passed_over()
    {
        string log = SmallLog.Replace("(XEN)", "(XEN) [2024-01-01 12:00:00]", StringComparison.Ordinal);
        string[] lines = log.TrimEnd('\n').Split('\n');
        string stamp = "(XEN) [2024-01-01 12:00:07]";
        for (int length = 1; length < stamp.Length; length++)
        {
            lines[2] = stamp[..length];
            Assert.AreEqual(3, MapFixtures.ExpectError(MapFixtures.ReadText(string.Join('\n', lines) + "\n")).Line, lines[2]);
        }

        // A whole stamp is an empty message, which a log may hold.
        lines[2] = stamp;
        Assert.HasCount(2, MapFixtures.Expect(MapFixtures.ReadText(string.Join('\n', lines) + "\n")).Host.Entries);
    }

    [TestMethod]
    [DataRow("> ", ">")]
    [DataRow("> > ", "> >")]
    [DataRow("| ", "|")]
    [DataRow("\t", "\t")]
    [DataRow("Nov 20 19:09:40 host kernel: ", "Nov 20 19:09:40 host kernel: ")]
    [DataRow("Nov 20 19:09:40 host kernel: ", "Nov 20 19:09:41 host kernel:")]
    [DataRow("2026-11-20T19:09:40+0000 host hypervisor.log[1234]: ", "2026-11-20T19:09:41+0000 host hypervisor.log[1234]:")]
    public void An_empty_message_behind_a_prefix_is_no_cut_line(string prefix, string empty)
    {
        const string log = "Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\nXen: [mem 0x0000000000100000-0x000000001fffffff] usable";

        Assert.HasCount(2, MapFixtures.Expect(MapFixtures.ReadText($"{prefix}{log.ReplaceLineEndings($"\n{prefix}")}\n{empty}\n")).Host.Entries);
    }

    [TestMethod]
    public void A_damaged_map_does_not_stand_in_the_way_of_the_log_s_other_maps()
    {
        string log = SmallLog.Replace("(reserved)", "(reser", StringComparison.Ordinal)
            + "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n";
        InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(log));
        Assert.AreEqual("give the whole log, its lines not wrapped, or take another of the log's 2 maps with HostMapOptions.MapNumber N",
            error.Remedy.ToString());
        Assert.Contains("HostMapOptions.MapNumber 1: Xen's firmware map (Xen-e820 RAM map), line 2, 1 entry, damaged",
            MapFixtures.Expect(MapFixtures.ReadText(log, new() { MapNumber = 2 })).OtherMaps[^1].ToString());
    }

    [TestMethod]
    public void No_truncation_of_a_log_gives_a_smaller_map_unless_it_ends_between_lines()
    {
        for (int length = 0; length < SmallLog.Length; length++)
        {
            string cut = SmallLog[..length];
            if (!MapFixtures.ReadText(cut).TryGet(out HostDocument? map, out InputError? error))
            {
                Assert.IsFalse(error.ToString().Any(char.IsControl));
                continue;
            }

            // A last line that holds "(XEN)" and nothing else says no more than one that is missing.
            bool endsBetweenLines = cut.EndsWith('\n') || cut.EndsWith(')') || cut.EndsWith("\n(XEN)", StringComparison.Ordinal) || cut.EndsWith(' ');
            Assert.IsTrue(endsBetweenLines, $"{cut.Split('\n')[^1]} gave {map.Host.Entries.Length} entries");
        }
    }

    [TestMethod]
    [DataRow("seed8g-3g.log")]
    [DataRow("nvskernel.log")]
    public void No_truncation_of_a_golden_log_throws(string name)
    {
        byte[] log = File.ReadAllBytes(Path.Combine(MapFixtures.Folder("golden"), name));
        for (int length = 0; length < log.Length; length++)
            Probe(log[..length]);
    }

    [TestMethod]
    public void No_flip_of_bytes_throws()
    {
        string json = "{\"source\":{\"dialect\":\"xen\",\"description\":\"d\"},\"entries\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"type\":\"ram\"}],"
            + "\"traits\":{\"ioApics\":[\"0xfec00000\"],\"cpuFamily\":23},\"devices\":[{\"address\":\"0000:00:02.0\",\"bars\":[{\"index\":0,\"start\":\"0x0\",\"end\":\"0x1000\"}]}]}";
        byte[][] seeds =
        [
            File.ReadAllBytes(Path.Combine(MapFixtures.Folder("golden"), "seed8g-3g.log")),
            Encoding.ASCII.GetBytes(SmallLog),
            Encoding.Unicode.GetBytes(SmallLog),
            Encoding.ASCII.GetBytes("0 1000 1\n1000 2000 2\n2000 3000 4\n"),
            Encoding.ASCII.GetBytes(json),
            [.. Enumerable.Range(0, 5)
                .SelectMany(i => (byte[])[.. BitConverter.GetBytes(0x1000UL * (ulong)i), .. BitConverter.GetBytes(0x1000UL),
                    .. BitConverter.GetBytes(1u)])],
            File.ReadAllBytes(Path.Combine(MapFixtures.Folder("hosts"), "msi-h61m-p23", "iomem.txt")),
        ];
        Random random = new(20131220);
        foreach (byte[] seed in seeds)
        {
            for (int round = 0; round < 2000; round++)
            {
                byte[] mutated = (byte[])seed.Clone();
                for (int flips = random.Next(1, 6); flips > 0; flips--)
                    mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
                Probe(mutated);
            }
        }
    }

    [TestMethod]
    public void Binary_noise_is_no_map()
    {
        byte[] noise = new byte[1 << 20];
        new Random(1).NextBytes(noise);
        MapFixtures.ExpectError(MapFixtures.ReadBytes(noise));
        MapFixtures.ExpectError(MapFixtures.ReadBytes(new byte[100_000]));
    }

    [TestMethod]
    public void A_map_of_100_000_entries_is_refused_at_the_1025th()
    {
        static string Many(Func<int, string> line) => string.Concat(Enumerable.Range(0, 100_000).Select(line));
        InputError log =
            MapFixtures.ExpectError(MapFixtures.ReadText(
                Many(i => $"BIOS-e820: [mem 0x{i * 4096L:x16}-0x{(i * 4096L) + 4095:x16}] {(i % 2 == 0 ? "usable" : "reserved")}\n")));
        Assert.AreEqual("test.log:1025: the memory map has more than 1024 entries; no firmware has so many and Xen keeps no more; check the capture",
            log.ToString());
        Assert.AreEqual(1025, MapFixtures.ExpectError(MapFixtures.ReadText(Many(i => $"{i * 4096L:x} {(i + 1) * 4096L:x} 1\n"))).Line);
        Assert.AreEqual(1025, MapFixtures
            .ExpectError(MapFixtures.ReadText(Many(i => $"{i * 4096L:x8}-{(i * 4096L) + 4095:x8} : System RAM\n"))).Line);
        MapFixtures.ExpectError(MapFixtures.ReadText(
            $"{{\"entries\":[{string.Join(',', Enumerable.Repeat("{\"start\":\"0x0\",\"end\":\"0x1\",\"type\":\"ram\"}", 1025))}]}}"));
        byte[] packed = [.. BitConverter.GetBytes(0UL), .. BitConverter.GetBytes(0x1000UL), .. BitConverter.GetBytes(1u)];
        MapFixtures.ExpectError(MapFixtures.ReadBytes([.. Enumerable.Repeat(packed, 100_000).SelectMany(bytes => bytes)]));
        Assert.HasCount(Host.MaxEntries,
            MapFixtures.Expect(MapFixtures.ReadBytes([.. Enumerable.Repeat(packed, 1024).SelectMany(bytes => bytes)])).Host.Entries);
    }

    [TestMethod]
    public void Thousands_of_guests_maps_do_not_hide_Xen_s()
    {
        StringBuilder log = new();
        for (int i = 0; i < 5000; i++)
            log.Append("Linux version 6.1\n[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\n");
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log + SmallLog));
        Assert.StartsWith("Xen's firmware map", map.Description);
        Assert.HasCount(12, map.OtherMaps);
        Assert.IsLessThan(map.OtherMapCount, (long)map.OtherMaps.Length);
    }

    [TestMethod]
    [DataRow("{", 1)]
    [DataRow("{\"entries\":[", 1)]
    [DataRow("{}", 1)]
    [DataRow("{\"entries\":[]}", 1)]
    [DataRow("{\"entries\":7}", 1)]
    [DataRow("{\n\"entries\":[\n{\"start\":0,\"end\":\"0x1\",\"type\":\"ram\"}]}", 3)]
    [DataRow("{\"entries\":[\n{\"start\":\"0x0\",\"end\":\"0x11111111111111111\",\"type\":\"ram\"}]}", 2)]
    [DataRow("{\"entries\":[\n{\"start\":\"0x2000\",\"end\":\"0x1000\",\"type\":\"ram\"}]}", 2)]
    [DataRow("{\"entries\":[\n\n{\"start\":\"0x0\",\"end\":\"0x1\",\"type\":\"cheese\"}]}", 3)]
    [DataRow("{\"entries\":[{\"start\":\"0x0\",\"start\":\"0x0\",\"end\":\"0x1\",\"type\":\"ram\"}]}", 1)]
    [DataRow("{\"entries\":[{\"end\":\"0x1\",\"type\":\"ram\"}]}", 1)]
    [DataRow("{\"entries\":[{\"start\":\"0x0\",\"end\":\"0x1\",\"type\":\"ram\"}],\n\"entries\":[]}", 2)]
    [DataRow("{\"entries\":[{\"start\":\"0x0\",\"end\":\"0x1\",\"type\":\"ram\"}]}\n}", 2)]
    [DataRow("{\"x\":123456789012345678901234567890e999999,\"entries\":null}", 1)]
    [DataRow("{\"traits\":{\"cpuFamily\":1e400},\"entries\":[{\"start\":\"0x0\",\"end\":\"0x1\",\"type\":\"ram\"}]}", 1)]
    [DataRow("{\"traits\":{\"physicalAddressBits\":64}}", 1)]
    [DataRow("{\"traits\":{\"ioApics\":[\"0xffffffffffffffff\"]}}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"zz\"}]}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"00:02.0\",\"msix\":[]}]\n}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"00:02.0\",\"msix\":{\"bar\":3,\"offset\":\"0x2000\"}}]\n}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"00:02.0\",\"msix\":{\"bar\":6,\"offset\":\"0x2000\",\"vectors\":64}}]\n}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"00:02.0\",\"msix\":{\"bar\":3,\"offset\":\"0x2004\",\"vectors\":64}}]\n}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"00:02.0\",\"msix\":{\"bar\":3,\"offset\":\"0x100000000\",\"vectors\":64}}]\n}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"00:02.0\",\"msix\":{\"bar\":3,\"offset\":\"0x2000\",\"vectors\":0}}]\n}", 1)]
    [DataRow("{\"devices\":[{\"address\":\"00:02.0\",\"msix\":{\"bar\":3,\"offset\":\"0x2000\",\"vectors\":2049}}]\n}", 1)]
    [DataRow("{\"entries\":[{\"start\":\"\\ud800\",\"end\":\"0x1\",\"type\":\"ram\"}]}", 1)]
    [DataRow("{\"entries\":[{\"start\":\"\xff\xfe\",\"end\":\"0x1\",\"type\":\"ram\"}]}", 1)]
    [DataRow("{// comment\n}", 1)]
    public void Bad_JSON_is_told_with_its_line(string json, int line) =>
        Assert.AreEqual(line, MapFixtures.ExpectError(MapFixtures.ReadText(json)).Line);

    /// <summary>Which of two values was meant nobody can tell.</summary>
    [TestMethod]
    [DataRow("\"traits\":{\"physicalAddressBits\":36,\"physicalAddressBits\":46}", "physicalAddressBits")]
    [DataRow("\"traits\":{\"iommuInUse\":true,\"iommu\":\"vt-d\",\"iommuInUse\":false}", "iommuInUse")]
    [DataRow("\"traits\":{\"complaints\":{\"reallocates\":true,\"reallocates\":false}}", "reallocates")]
    [DataRow("\"traits\":{\"complaints\":{\"hugePages\":[{\"page\":\"0x200000\",\"count\":16,\"count\":1}]}}", "count")]
    [DataRow("\"traits\":{\"firmware\":{\"vendor\":\"a\",\"vendor\":\"b\"}}", "vendor")]
    [DataRow("\"traits\":{\"rootWindows\":[{\"bus\":\"0000:00\",\"start\":\"0x80000000\",\"end\":\"0xa0000000\",\"end\":\"0xe0000000\"}]}", "end")]
    [DataRow("\"traits\":{\"deviceMemoryOwners\":[{\"device\":\"0000:00:02.0\",\"device\":\"0000:00:03.0\"}]}", "device")]
    [DataRow("\"devices\":[{\"address\":\"00:02.0\",\"address\":\"00:03.0\"}]", "address")]
    [DataRow("\"devices\":[{\"address\":\"00:02.0\",\"bars\":[{\"index\":0,\"index\":1}]}]", "index")]
    [DataRow("\"reservedRegions\":[{\"start\":\"0x1000\",\"start\":\"0x2000\"}]", "start")]
    [DataRow("\"source\":{\"description\":\"a\",\"description\":\"b\"}", "description")]
    public void A_member_that_is_there_twice_is_refused_wherever_it_stands(string json, string member) =>
        Assert.AreEqual($"test.log:1: \"{member}\" is there twice; keep one of them", MapFixtures.ExpectError(MapFixtures.ReadText(
            $"{{{json},\"entries\":[{{\"start\":\"0x0\",\"end\":\"0xa0000\",\"type\":\"ram\"}}]}}")).ToString());

    [TestMethod]
    public void Deep_long_and_large_JSON_is_refused()
    {
        const string entries = "\"entries\":[{\"start\":\"0x0\",\"end\":\"0x1\",\"type\":\"ram\"}]";
        MapFixtures.ExpectError(MapFixtures.ReadText($"{{\"x\":{new string('[', 1_000_000)}"));
        MapFixtures.ExpectError(MapFixtures.ReadText($"{{\"x\":{string.Concat(Enumerable.Repeat("{\"x\":", 500_000))}"));
        MapFixtures.ExpectError(MapFixtures.ReadText($"{{\"source\":\"{new string('a', 1_000_000)}\",{entries}}}"));
        MapFixtures.ExpectError(MapFixtures.ReadText($"{{\"x\":\"{new string('a', 20_000_000)}\",{entries}}}"));
        MapFixtures.Expect(MapFixtures.ReadText($"{{\"x\":\"{new string('a', 1_000_000)}\",\"x\":[[[1e999]]],{entries}}}"));
    }

    private static void Probe(byte[] bytes)
    {
        if (MapFixtures.ReadBytes(bytes).TryGet(out HostDocument? map, out InputError? error))
        {
            Assert.IsInRange(1, Host.MaxEntries, map.Host.Entries.Length);
            Assert.IsTrue(map.Host.Entries.All(entry => !entry.Wraps && entry.End <= 1UL << 52));
            Assert.IsFalse(map.Remarks.Select(static remark => remark.ToString()).Append(map.Description).Any(line => line.Any(char.IsControl)),
                "text from the input is made fit for one line");
        }
        else
        {
            Assert.IsFalse(error.ToString().Any(char.IsControl), error.ToString());
        }
    }
}
