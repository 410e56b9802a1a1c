// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Formats.Tar;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;
using SharpCompress.Compressors.BZip2;
using ZstdSharp;

namespace Keyhole.Tests.Reading;

/// <summary>Support bundles and packed logs: the files that matter are found in them, and nothing in them breaks a bound.</summary>
[TestClass]
public sealed class BundleTests
{
    private const string Xen =
        "(XEN) Xen version 4.17.3 (x)\n(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  "
            + "[0000000000100000, 000000007fffffff] (usable)\n";
    private const string Kernel =
        "[    0.000000] Linux version 6.1.0\n[    0.000000] Released 0 page(s)\n[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009efff] "
            + "usable\n[    0.000000] Remapped 7 page(s)\n";
    private const string Expected = "0 9fc00 1\n100000 80000000 1";

    /// <summary>bug/xl-dmesg.out of <see cref="Xen"/>, by: tar --format=ustar, xz -9e.</summary>
    private const string TarXz =
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cf/ALZdADEdSQ4Q9syCTMiD9P7954kObJtU61ZVXDcchiBEts48H8erutMgTcixLS9QrRzuJ/mTu9"
            + "8BhCDB8aiHMiXZusYzd4ixSjG5kNBW0NLIqd9HuvQhN/ljGoaDUTKfOLoBg06sVVV0pG+iLSSm4WOC2TiVMQzm1aDFl5nfbJt2KvUtFUIUiarY"
            + "GhxIIf440SM72u4aAK52RxLhb5mx+/Q+mySDaEYSWh92zoQGRnCEwGwNMAjEyp4AAAAAm5hrp8eEuBEAAdIBgFAAAMLYJiCxxGf7AgAAAAAEWV"
            + "o=";

    /// <summary>A status report of XenServer, the support files of Qubes's HCL report, a sosreport.</summary>
    private static readonly (string, string)[][] s_bundles =
    [
        [("bug-report-1/acpidump.out", "x"), ("bug-report-1/dmesg.out", Kernel), ("bug-report-1/xl-dmesg.out", Xen),
            ("bug-report-1/var/log/messages", Kernel)],
        [("dmesg", Kernel), ("xl-info", "nr_cpus : 4"), ("xl-dmesg", Xen), ("lspci", "00:00.0")],
        [("sosreport-h/proc/iomem", "00000000-0009ffff : System RAM\n"), ("sosreport-h/sos_commands/kernel/dmesg", Kernel),
            ("sosreport-h/sos_commands/xen/xl_dmesg", Xen)],
        [("h/var/log/xen/hypervisor.log", Xen), ("h/dmesg", Kernel)],
    ];

    [TestMethod]
    [DataRow("377abcaf271c0004", "a 7z archive; unpack it (7z x)")]
    [DataRow("526172211a070100", "a RAR archive; unpack it (unrar x, 7z x)")]
    [DataRow("213c617263683e0a", "an ar archive, as .deb files are; unpack it (ar x)")]
    [DataRow("04224d1864a7", "packed by lz4; unpack it (lz4 -d)")]
    [DataRow("4c504b5348485248", "a journal's own file; give what journalctl prints of it")]
    [DataRow("89504e470d0a1a0a", "a picture (PNG); give the text, not a picture of it")]
    [DataRow("504b0506000000000000000000000000000000000000", "an archive with no file in it; give the log")]
    public void A_file_that_nothing_reads_is_told_for_what_it_is_packed_or_not(string hex, string what)
    {
        byte[] file = Convert.FromHexString(hex);

        Assert.Contains($"test.log: the file is {what}", MapFixtures.ExpectError(MapFixtures.ReadBytes(file)).ToString());
        Assert.Contains(what, MapFixtures.ExpectError(MapFixtures.ReadBytes(Gzip(file))).ToString());
    }

    [TestMethod]
    public void What_is_packed_again_and_again_is_refused_and_not_taken_for_a_text()
    {
        byte[] packed = Encoding.ASCII.GetBytes(Xen);
        for (int i = 0; i < 4; i++)
            packed = Gzip(packed);

        Assert.Contains("packed more than 3 times", MapFixtures.ExpectError(MapFixtures.ReadBytes(packed)).ToString());
    }

    [TestMethod]
    public void One_line_is_one_line() =>
        Assert.Contains("no memory map found in 1 line;", MapFixtures.ExpectError(MapFixtures.ReadText("hello\n")).ToString());

    [TestMethod]
    public void The_logs_of_hypervisor_and_kernel_are_found_in_every_form_of_bundle()
    {
        foreach ((string, string)[] files in s_bundles)
        {
            foreach (byte[] bundle in new[] { Tar(files), Gzip(Tar(files)), Cpio(files), Gzip(Cpio(files)), OldCpio(files) })
            {
                HostDocument map = MapFixtures.Expect(MapFixtures.ReadBytes(bundle));

                MapFixtures.AreSame(Expected, map);
                ObservedBoot boot = BootLog.Of(map.Log!).Single();
                Assert.AreEqual("6.1.0", boot.Release?.Value);
                Assert.AreEqual(7UL, boot.Facts.Remapped?.Value);
                Assert.AreEqual(BootOwner.Dom0, boot.Owner);
            }
        }
    }

    [TestMethod]
    public void Without_the_hypervisors_log_the_next_best_file_is_read()
    {
        Assert.AreEqual("0 9f000 1",
            MapFixtures.Show(MapFixtures
                .Expect(MapFixtures.ReadBytes(Tar([("a/dmesg", Kernel), ("a/iomem", "00000000-0009ffff : System RAM\n")]))).Host.Entries));
        Assert.AreEqual("0 9f000 1", MapFixtures.Show(MapFixtures.Expect(MapFixtures.ReadBytes(Tar([("a/messages", Kernel)]))).Host.Entries));
        Assert.AreEqual("0 a0000 1",
            MapFixtures.Show(MapFixtures.Expect(MapFixtures.ReadBytes(Tar([("proc/iomem", "00000000-0009ffff : System RAM\n")]))).Host.Entries));
    }

    [TestMethod]
    public void A_packed_log_is_a_log_and_one_in_a_bundle_too()
    {
        MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(Gzip(Encoding.ASCII.GetBytes(Xen)))));
        MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(TarOf([("x/xl-dmesg.out.gz", Gzip(Encoding.ASCII.GetBytes(Xen)))]))));
    }

    [TestMethod]
    public void A_log_in_an_archive_that_cannot_be_unpacked_is_told_beside_what_is_read()
    {
        byte[] damaged = Gzip(Encoding.ASCII.GetBytes(Xen))[..^12];
        (string, byte[]) kernel = ("a/dmesg", Encoding.ASCII.GetBytes(Kernel));

        HostDocument map = MapFixtures.Expect(MapFixtures.ReadBytes(TarOf([("a/xl-dmesg.gz", damaged), kernel, ("a/x.gz", damaged)])));
        InputError error = MapFixtures.ExpectError(MapFixtures.ReadBytes(TarOf([("a/xl-dmesg.gz", damaged)])));

        Assert.AreEqual("a/xl-dmesg.gz was not read: its gzip data are cut short or damaged", string.Join('|', map.Unread));
        Assert.Contains("a/xl-dmesg.gz was not read: its gzip data are cut short or damaged, and no other of its files is a log", error.ToString());
    }

    [TestMethod]
    public void Of_an_archive_that_is_cut_short_what_is_whole_is_read_and_the_rest_told()
    {
        byte[] tar = TarOf(
            [("a/dmesg", Encoding.ASCII.GetBytes(Kernel)), ("a/x", []), ("a/big.bin", new byte[5000]), ("a/xl-dmesg", Encoding.ASCII.GetBytes(Xen))]);
        byte[] random = new byte[50_000];
        new Random(1).NextBytes(random);
        byte[] packed = Gzip(TarOf([("a/dmesg", Encoding.ASCII.GetBytes(Kernel)), ("a/x", []), ("a/big.bin", random)]));

        int big = tar.AsSpan().LastIndexOf("a/big.bin"u8);

        foreach ((byte[] cut, string why) in new[]
        {
            (tar[..(big + 2000)], "the archive is"), (tar[..(big + 100)], "the archive is"), (packed[..40_000], "its gzip data are"),
        })
        {
            HostDocument map = MapFixtures.Expect(MapFixtures.ReadBytes(cut));

            Assert.Contains("in the archive was not read: " + why + " cut short", string.Join('|', map.Unread));
            Assert.AreEqual("0 9f000 1", MapFixtures.Show(map.Host.Entries));
        }
    }

    [TestMethod]
    public void A_file_of_UTF16_in_an_archive_is_text()
    {
        foreach (Encoding encoding in new[] { Encoding.Unicode, Encoding.BigEndianUnicode })
        {
            byte[] log = [.. encoding.GetPreamble(), .. encoding.GetBytes(Xen.Replace("\n", "\r\n", StringComparison.Ordinal))];

            MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(Zip([("xl-dmesg.txt", log)]))));
        }
    }

    [TestMethod]
    public void Bundles_are_read_in_every_form_that_their_tools_pack_them_in()
    {
        byte[] tar = Tar(s_bundles[0]);
        foreach (byte[] packed in new[] { Gzip(tar), Bzip2(tar), Zstd(tar), Zip([.. s_bundles[0].Select(AsBytes)]) })
            MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(packed)));
        MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(Convert.FromBase64String(TarXz))));
    }

    [TestMethod]
    public void A_log_is_read_in_every_form_that_it_is_packed_in_within_a_bundle_too()
    {
        byte[] log = Encoding.ASCII.GetBytes(Xen);
        foreach (byte[] packed in new[] { Gzip(log), Bzip2(log), Zstd(log) })
        {
            MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(packed)));
            MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(TarOf([("x/xl-dmesg.out.x", packed)]))));
        }
    }

    [TestMethod]
    public void What_is_packed_and_cut_or_damaged_is_refused_in_one_line()
    {
        foreach (byte[] packed in new[] { Gzip(Tar(s_bundles[0])), Bzip2(Tar(s_bundles[0])), Zstd(Tar(s_bundles[0])),
            Zip([.. s_bundles[0].Select(AsBytes)]), Convert.FromBase64String(TarXz) })
        {
            for (int at = 16; at < packed.Length; at += 1 + (packed.Length / 40))
            {
                byte[] damaged = [.. packed];
                damaged[at] ^= 0x5a;
                foreach (byte[] bytes in new[] { packed[..at], damaged })
                {
                    if (!HostMapReader.Read(new MemoryStream(bytes), "x", HostMapOptions.Default).TryGet(out _, out InputError? error))
                        Assert.IsFalse(error.ToString().Any(char.IsControl));
                }
            }
        }
    }

    [TestMethod]
    public void The_only_log_in_a_bundle_is_read_whatever_its_name_is() =>
        MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(
            Zip([("my boot.txt", Encoding.ASCII.GetBytes(Xen)), ("photo.jpg", "e820\0"u8.ToArray()), ("notes.txt", "x"u8.ToArray())]))));

    [TestMethod]
    public void Of_several_logs_that_no_name_tells_apart_none_is_taken()
    {
        byte[] log = Encoding.ASCII.GetBytes(Xen);

        Assert.Contains("no name tells which is the host's: a.txt, b.txt",
            MapFixtures.ExpectError(MapFixtures.ReadBytes(Zip([("a.txt", log), ("b.txt", log)]))).What);
    }

    [TestMethod]
    public void What_was_taken_from_a_bundle_is_told_with_the_lines_of_each_file()
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadBytes(Tar(s_bundles[0])));

        Assert.Contains("taken from the bundle: bug-report-1/xl-dmesg.out (lines 1 to 5), bug-report-1/dmesg.out (line 6 on)",
            map.Remarks.Select(static remark => remark.ToString()).ToArray());
        Assert.AreEqual(9, BootLog.Of(map.Log!).Single().Facts.Remapped!.Value.Line);
    }

    [TestMethod]
    public void A_gzip_file_that_is_cut_short_is_no_whole_one()
    {
        byte[] whole = Gzip(Encoding.ASCII.GetBytes(Xen));

        MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes(whole)));
        Assert.Contains("its gzip data are cut short or damaged", MapFixtures.ExpectError(MapFixtures.ReadBytes(whole[..^4])).What);
        Assert.Contains("its gzip data are cut short or damaged", MapFixtures.ExpectError(MapFixtures.ReadBytes(whole[..^20])).What);
    }

    [TestMethod]
    public void Gzip_files_one_behind_the_other_are_one_log()
    {
        byte[] first = Gzip(Encoding.ASCII.GetBytes("(XEN) Xen version 4.17.3 (x)\n"));

        MapFixtures.AreSame(Expected, MapFixtures.Expect(MapFixtures.ReadBytes([.. first, .. Gzip(Encoding.ASCII.GetBytes(Xen))])));
    }

    [TestMethod]
    public void A_name_longer_than_a_header_holds_is_read() =>
        MapFixtures.AreSame(Expected,
            MapFixtures.Expect(MapFixtures.ReadBytes(Tar([($"{new string('a', 120)}/{new string('b', 120)}/xl-dmesg", Xen)]))));

    [TestMethod]
    public void A_bundle_without_a_log_says_what_is_looked_for() =>
        Assert.Contains("an xl dmesg, a dmesg, a journal or an iomem is looked for",
            MapFixtures.ExpectError(MapFixtures.ReadBytes(Tar([("a/b", "x"), ("a/xl-dmesg", "nothing of use")]))).What);

    [TestMethod]
    public void A_bundle_cut_anywhere_is_read_or_refused_in_one_line()
    {
        foreach (byte[] bundle in new[] { Tar(s_bundles[0]), Gzip(Tar(s_bundles[0])), Cpio(s_bundles[1]) })
        {
            for (int length = 0; length < bundle.Length; length += 1 + (length / 40))
            {
                if (!HostMapReader.Read(new MemoryStream(bundle, 0, length), "x", HostMapOptions.Default).TryGet(out _, out InputError? error))
                    Assert.IsFalse(error.ToString().Any(char.IsControl));
            }
        }
    }

    [TestMethod]
    public void What_unpacks_to_more_than_is_ever_read_is_refused()
    {
        // A file of the kernel's name that unpacks to 100 MiB of a map's words.
        byte[] bomb = Gzip(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("e820 e820 e820 e820 \n", 5_000_000))));

        Assert.Contains("dmesg.gz was not read: it holds more than is ever read",
            MapFixtures.ExpectError(MapFixtures.ReadBytes(TarOf([("dmesg.gz", bomb)]))).What);
    }

    private static byte[] Tar((string Name, string Text)[] files) =>
        TarOf([.. files.Select(static file => (file.Name, Encoding.ASCII.GetBytes(file.Text)))]);

    internal static byte[] TarOf((string Name, byte[] Bytes)[] files)
    {
        using var bytes = new MemoryStream();
        using (var tar = new TarWriter(bytes, TarEntryFormat.Pax, leaveOpen: true))
        {
            foreach ((string name, byte[] content) in files)
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) });
        }

        return bytes.ToArray();
    }

    private static byte[] Cpio((string Name, string Text)[] files)
    {
        var archive = new StringBuilder();
        foreach ((string name, string text) in files.Append(("TRAILER!!!", "")))
        {
            archive.Append(CultureInfo.InvariantCulture,
                $"07070100000001000081A4{new string('0', 32)}{text.Length:x8}{new string('0', 32)}{name.Length + 1:x8}00000000{name}\0");
            Pad();
            archive.Append(text);
            Pad();
        }

        return Encoding.ASCII.GetBytes(archive.ToString());

        void Pad() => archive.Append('\0', (4 - (archive.Length % 4)) % 4);
    }

    private static byte[] OldCpio((string Name, string Text)[] files)
    {
        var archive = new StringBuilder();
        foreach ((string name, string text) in files.Append(("TRAILER!!!", "")))
        {
            string nameLength = Convert.ToString(name.Length + 1, 8).PadLeft(6, '0');
            string size = Convert.ToString(text.Length, 8).PadLeft(11, '0');
            archive.Append(CultureInfo.InvariantCulture,
                $"070707000001000001100644{new string('0', 24)}{new string('0', 11)}{nameLength}{size}{name}\0{text}");
        }

        return Encoding.ASCII.GetBytes(archive.ToString());
    }

    private static (string, byte[]) AsBytes((string Name, string Text) file) => (file.Name, Encoding.ASCII.GetBytes(file.Text));

    private static byte[] Zip((string Name, byte[] Bytes)[] files)
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach ((string name, byte[] content) in files)
            {
                using Stream member = zip.CreateEntry(name).Open();
                member.Write(content);
            }
        }

        return bytes.ToArray();
    }

    private static byte[] Bzip2(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (Stream bzip2 = BZip2Stream.Create(packed, SharpCompress.Compressors.CompressionMode.Compress, false, leaveOpen: true))
            bzip2.Write(bytes);
        return packed.ToArray();
    }

    private static byte[] Zstd(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var zstd = new CompressionStream(packed, leaveOpen: true))
            zstd.Write(bytes);
        return packed.ToArray();
    }

    private static byte[] Gzip(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(bytes);
        return packed.ToArray();
    }
}
