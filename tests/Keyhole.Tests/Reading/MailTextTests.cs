// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Reading;

/// <summary>Logs inside of mails: what the mail's encoding did to them is undone, and errors name the mail's own lines.</summary>
[TestClass]
public sealed class MailTextTests
{
    private const string Log = "(XEN) Command line: dom0_mem=1G,max:1G console=vga noreboot=1 loglvl=all guest_loglvl=all com1=115200,8n1\n"
        + "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [0000000000100000, 000000007fffffff] "
        + "(usable)\n(XEN) System RAM: 2047MB (2096764kB)\n";

    [TestMethod]
    public void Each_encoding_gives_the_same_log()
    {
        string quoted = Quoted(Log);
        string base64 = Convert.ToBase64String(Encoding.ASCII.GetBytes(Log), Base64FormattingOptions.InsertLineBreaks);
        foreach (string mail in new[]
        {
            Log,
            $"Content-Transfer-Encoding: quoted-printable\n\n{quoted}",
            $"From: a@b\r\nSubject: x\r\ncontent-transfer-encoding:\r\n QUOTED-PRINTABLE\r\n\r\n"
                + $"{quoted.Replace("\n", "\r\n", StringComparison.Ordinal)}",
            $"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n{base64}\n",
            $"From x Mon\nMessage-ID: <1>\n\nhello\n\nFrom y Tue\nContent-Transfer-Encoding: base64\n\n{base64}\n",
            $"MIME-Version: 1.0\nReceived: x\nContent-Type: multipart/mixed; boundary=\"-0123456789\"\n\n---0123456789\nContent-Type: "
                + $"text/plain\n\nhello\n---0123456789\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
                + $"{base64}\n---0123456789\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<br>=20\n---0123456789--\n",
            quoted,
        })
        {
            HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(mail));

            MapFixtures.AreSame("0 9fc00 1\n100000 80000000 1", map);
            Assert.AreEqual("Command line: dom0_mem=1G,max:1G console=vga noreboot=1 loglvl=all guest_loglvl=all com1=115200,8n1",
                map.Log!.Lines.Single(static line => line.Text.StartsWith("Command", StringComparison.Ordinal)).Text, mail);
        }
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void What_is_packed_in_an_attachment_is_unpacked(bool isBeforeAnotherPart)
    {
        byte[] log = Encoding.ASCII.GetBytes(Log);
        foreach (byte[] packed in new[] { Gzip(log), Zip("xl-dmesg.txt", log), Gzip(Zip("a/xl-dmesg.txt", log)) })
        {
            string mail = MailWith(packed) + (isBeforeAnotherPart ? "--0123456789\nContent-Type: text/plain\n\nThank you\n--0123456789--\n" : "");

            MapFixtures.AreSame("0 9fc00 1\n100000 80000000 1", MapFixtures.Expect(MapFixtures.ReadText(mail)));
        }
    }

    [TestMethod]
    public void An_attachment_that_is_damaged_or_holds_no_log_leaves_the_rest_of_the_mail_as_it_is()
    {
        byte[] packed = Gzip(Encoding.ASCII.GetBytes(Log.Replace("7fffffff", "6fffffff", StringComparison.Ordinal)));
        foreach (byte[] other in new[] { packed[..^12], [.. packed[..20], 0xff, 0xff, 0xff, .. packed[23..]], Zip("a.bin", [0, 1, 2]), Gzip([]) })
            MapFixtures.AreSame("0 9fc00 1\n100000 80000000 1", MapFixtures.Expect(MapFixtures.ReadText(
                $"{MailWith(other)}--0123456789\nContent-Type: text/plain\n\n{Log}--0123456789--\n")));
    }

    [TestMethod]
    public void An_attachment_that_is_damaged_is_told_and_an_error_of_the_rest_names_it()
    {
        byte[] packed = Gzip(Encoding.ASCII.GetBytes(Log));
        byte[] sevenZip = [(byte)'7', (byte)'z', 0xbc, 0xaf, 0x27, 0x1c, 0, 4, 1, 2, 3];
        byte[] tar = BundleTests.TarOf([("x/xl-dmesg.gz", packed[..^12])]);
        foreach ((byte[] attached, string what) in new[]
        {
            (packed[..^12], "was not read: its gzip data are cut short or damaged"),
            ([.. packed[..20], 0xff, 0xff, 0xff, .. packed[23..]], "was not read: its gzip data are cut short or damaged"),
            (Gzip(tar), "was not read: x/xl-dmesg.gz was not read: its gzip data are cut short or damaged, and no other of its files is a log"),
            (sevenZip, "was not read: it is a 7z archive; unpack it (7z x) and name the log in it"),
        })
        {
            string told = $"the attachment xl dmesg.gz (line 10) {what}";
            string mail = MailWith(attached);

            HostDocument map = MapFixtures.Expect(MapFixtures.ReadText($"{mail}--0123456789\nContent-Type: text/plain\n\n{Log}--0123456789--\n"));
            InputError error = MapFixtures.ExpectError(MapFixtures.ReadText($"{mail}--0123456789--\n"));

            Assert.AreEqual(told, map.Remarks[0].ToString());
            Assert.Contains($"; {told}; give the output", error.ToString());
        }
    }

    [TestMethod]
    public void Base64_of_a_text_that_is_cut_or_garbled_is_told()
    {
        string base64 = Convert.ToBase64String(Encoding.ASCII.GetBytes(Log), Base64FormattingOptions.InsertLineBreaks);
        string[] lines = base64.Split('\n');
        foreach ((string text, string what) in new[]
        {
            (base64[..^30], "the mail ends before it does"),
            ($"{lines[0]}\n{lines[1]}\nyou???see*\n{string.Join('\n', lines[2..])}\n--0123456789--\n", "line 17 is no base64"),
            ($"{base64.TrimEnd('=')[..^3]}\n--0123456789--\n", "its base64 is cut short"),
        })
        {
            HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(MailWith(text)));

            Assert.AreEqual($"the attachment xl dmesg.gz (line 10) is not whole: {what}", map.Remarks[0].ToString());
        }
    }

    [TestMethod]
    public void Attachments_that_are_whole_or_hold_no_log_and_what_a_mailing_list_adds_are_not_told()
    {
        string log = Convert.ToBase64String(
            Encoding.ASCII.GetBytes(Log + (Log.Length % 3 == 0 ? "\n" : "")), Base64FormattingOptions.InsertLineBreaks);
        foreach (string mail in new[]
        {
            MailWith(Gzip(Encoding.ASCII.GetBytes(Log))) + "--0123456789--\n",
            MailWith(log) + "\n_______________________________________________\nXen-devel mailing list\nhttps://lists.xen.org/xen-devel\n",
            MailWith(log) + "\n--0123456789--\nXen-devel mailing list\nhttps://lists.xen.org/xen-devel\n",
            $"{MailWith(Zip("a.bin", [0, 1, 2]))}--0123456789\nContent-Type: text/plain\n\n{Log}--0123456789--\n",
            $"{MailWith([0x89, (byte)'P', (byte)'N', (byte)'G', 1, 2, 3, 4, 5])}--0123456789\nContent-Type: text/plain\n\n{Log}--0123456789--\n",
        })
        {
            HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(mail));

            Assert.IsEmpty(map.Unread, mail);
        }
    }

    private static string MailWith(string base64) => MailWith([])[..^1] + base64;

    private static string MailWith(byte[] attached) =>
        "Message-ID: <1@x>\nSubject: log\nContent-Type: multipart/mixed; boundary=\"0123456789\"\n\n--0123456789\nContent-Type: text/plain\n\n"
            + "here it is\n--0123456789\nContent-Type: application/gzip\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment;\n"
            + "\tfilename=\"xl dmesg.gz\"\n\n"
            + $"{Convert.ToBase64String(attached, Base64FormattingOptions.InsertLineBreaks)}\n";

    private static byte[] Gzip(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var zip = new GZipStream(packed, CompressionLevel.Optimal))
            zip.Write(bytes);
        return packed.ToArray();
    }

    private static byte[] Zip(string name, byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var archive = new ZipArchive(packed, ZipArchiveMode.Create))
        {
            using Stream entry = archive.CreateEntry(name).Open();
            entry.Write(bytes);
        }

        return packed.ToArray();
    }

    [TestMethod]
    public void An_error_names_the_line_of_the_mail()
    {
        string mail =
            $"Content-Transfer-Encoding: quoted-printable\n\n{Quoted(Log.Replace("7fffffff] (usable)", "7fffffff] (us", StringComparison.Ordinal))}";

        InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(mail));

        Assert.AreEqual(1 + Array.FindIndex(mail.Split('\n'),
            static line => line.Contains("(us", StringComparison.Ordinal) && !line.Contains("usable", StringComparison.Ordinal)), error.Line);
    }

    [TestMethod]
    public void A_log_with_options_is_not_taken_for_quoted_printable()
    {
        // The log as it is names an option whose value looks like an escape.
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(Log.Replace("loglvl=all", "memmap=3D", StringComparison.Ordinal)));

        Assert.Contains("memmap=3D", map.Log!.Lines[0].Text);
    }

    [TestMethod]
    public void Hard_blanks_of_quoted_printable_are_blanks() => Assert.AreEqual(
        "0 a0000 1\n100000 80000000 1",
        MapFixtures.Show(MapFixtures
            .Expect(MapFixtures.ReadText(
                "(XEN) Multiboot-e820 RAM map:\n(XEN) =C2=A0[0000000000000000, 000000000009ffff] (usable)\n(XEN) "
                    + "=C2=A0[0000000000100000, 000000007fffffff] (usable)\n")).Host.Entries));

    [TestMethod]
    public void A_mail_cut_anywhere_is_read_or_refused_in_one_line()
    {
        byte[] mail =
            Encoding.ASCII.GetBytes(
                $"Content-Transfer-Encoding: base64\n\n"
                    + $"{Convert.ToBase64String(Encoding.ASCII.GetBytes(Log), Base64FormattingOptions.InsertLineBreaks)}\n");
        byte[] quoted = Encoding.ASCII.GetBytes($"Content-Transfer-Encoding: quoted-printable\n\n{Quoted(Log)}");
        foreach (byte[] whole in new[] { mail, quoted })
        {
            for (int length = 0; length < whole.Length; length++)
            {
                if (!HostMapReader.Read(new MemoryStream(whole, 0, length), "x", HostMapOptions.Default).TryGet(out _, out InputError? error))
                    Assert.IsFalse(error.ToString().Any(char.IsControl));
            }
        }
    }

    private static string Quoted(string text)
    {
        const int longest = 76;
        var quoted = new StringBuilder();
        foreach (string line in text.TrimEnd('\n').Split('\n'))
        {
            string rest = line.Replace("=", "=3D", StringComparison.Ordinal);
            while (rest.Length > longest)
            {
                int at = longest - 1;
                while (rest[at - 1] == '=' || rest[at - 2] == '=')
                    at--;
                quoted.Append(rest.AsSpan(0, at)).Append("=\n");
                rest = rest[at..];
            }

            quoted.Append(rest).Append('\n');
        }

        return quoted.ToString();
    }
}
