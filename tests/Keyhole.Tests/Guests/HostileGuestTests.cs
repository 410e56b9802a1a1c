// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

/// <summary>Input that somebody made to hurt: each ends in a guest or one clear line, in bounded time.</summary>
[TestClass]
public sealed class HostileGuestTests
{
    private const string XlSample =
        "# c\r\nname = \"g\\\"é\" ; memory=0x200\nmaxmem='0400'\npci_seize=1\npci=[ '0000:03:00.*@1f,permissive=1', # nic\n "
            + "\"name=x,rdm_policy=strict\",\n]\ndisk=[['a'],[[]]]\ndisk+=['b']\nextra='a\\tb'\nextra+=' \\012c'\n";

    private const string XmlSample =
        "<?xml version='1.0'?>\n<domain type='xen'><name>g&#233;</name><memory unit='MiB'>512</memory><currentMemory>262144</currentMemory><vcpu "
            + "current='1'>2</vcpu>\n<os><type machine='xenpv'>linux</type><cmdline><![CDATA[a<b]]></cmdline></os><features><xen><e820_host "
            + "state='on'/></xen></features>\n<devices><hostdev mode='subsystem' type='pci' managed='yes'><source writeFiltering='no'><address "
            + "domain='0' bus='0x03' slot='1' function='7'/></source></hostdev></devices></domain>";

    /// <summary>What grows with the square of the input takes minutes; what does not takes about a second, on a busy machine a few.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    [TestMethod]
    [DataRow(XlSample)]
    [DataRow(XmlSample)]
    public void Every_truncation_is_read_or_refused_in_one_line(string sample)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(sample);
        Assert.IsTrue(Survives(bytes));
        for (int length = 0; length < bytes.Length; length++)
            Survives(bytes[..length]);
    }

    [TestMethod]
    [DataRow(XlSample, 1)]
    [DataRow(XmlSample, 2)]
    public void Damaged_bytes_are_read_or_refused_in_one_line(string sample, int seed)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(sample);
        var random = new Random(seed);
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = [.. bytes];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            Survives(damaged);
        }
    }

    [TestMethod]
    public void Noise_is_refused_in_one_line()
    {
        var random = new Random(3);
        for (int i = 0; i < 500; i++)
        {
            byte[] noise = new byte[random.Next(1, 400)];
            random.NextBytes(noise);
            Survives(noise);
            noise[0] = (byte)'<';
            Assert.IsFalse(Survives(noise));
        }
    }

    [TestMethod]
    public void Nested_brackets_are_counted_and_not_followed()
    {
        AssertRefused(new string('[', 10_000), "a setting cannot start");
        AssertRefused("\na=" + new string('[', 10_000), "nested more than 64 deep", 2);
        AssertRefused("a=" + new string('[', 10_000) + new string(']', 10_000), "nested more than 64 deep", 1);
        Assert.IsTrue(Survives(Encoding.UTF8.GetBytes("memory=64\na=" + new string('[', 64) + new string(']', 64))));
        AssertRefused(string.Concat(Enumerable.Repeat("<domain type='xen'>", 10_000)), "nested more than 128 deep", 1);
    }

    [TestMethod]
    public void An_endless_quote_is_refused_where_it_starts() =>
        AssertRefused("memory=64\nname='" + new string('x', 1_000_000) + "\n", "no end on its line", 2);

    [TestMethod]
    public void An_entity_bomb_is_refused_before_it_goes_off() =>
        AssertRefused(
            "<?xml version='1.0'?>\n<!DOCTYPE d [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c "
                + "'&b;&b;&b;&b;'>]>\n<domain type='xen'>&c;</domain>", "DTD", 2);

    [TestMethod]
    public void More_than_a_mebibyte_is_refused_without_being_read_to_its_end()
    {
        var endless = new EndlessStream();
        Assert.IsNotNull(GuestReader.Read(endless, "big").Error);
        Assert.IsLessThan(2L * XlConfig.MaxSizeBytes, endless.BytesRead);
        Assert.IsNotNull(XlConfig.Read(new StreamReader(new EndlessStream()), "big").Error);
        Assert.IsNotNull(LibvirtDomain.Read(new EndlessStream(), "big").Error);
    }

    [TestMethod]
    [DataRow("a=1\n")]
    [DataRow("a+='x'\n")]
    [DataRow("a+=['x']\n")]
    [DataRow("a;")]
    [DataRow("#\n")]
    [DataRow(",")]
    [DataRow("a=[1,1,1,1];")]
    [DataRow("zz_unknown=1\n")]
    [DataRow("<a/>")]
    public void A_mebibyte_of_the_same_takes_no_more_than_its_share_of_time(string piece)
    {
        string text = string.Concat(Enumerable.Repeat(piece, (XlConfig.MaxSizeBytes - 100) / piece.Length));
        Survives(Encoding.UTF8.GetBytes(piece[0] == '<' ? $"<domain type='xen'>{text}</domain>" : "memory=64\n" + text));
    }

    [TestMethod]
    public void A_hundred_thousand_different_unknown_keys_take_no_more_than_their_share_of_time() =>
        Assert.IsTrue(Survives(Encoding.UTF8.GetBytes("memory=64\n" + string.Concat(Enumerable.Range(0, 75_000).Select(i => $"memor{i}=1\n")))));

    [TestMethod]
    [DataRow("")]
    [DataRow(" \n\r\n\t")]
    [DataRow("\ufeff")]
    public void An_empty_file_is_called_that(string text) => AssertRefused(text, "empty");

    private static void AssertRefused(string text, string what, int? line = null)
    {
        Parsed<GuestDocument> parsed = GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "g");
        StringAssert.Contains(parsed.Error?.What, what);
        if (line is not null)
            Assert.AreEqual(line, parsed.Error!.Line);
        AssertOneLine(parsed.Error!);
    }

    private static bool Survives(byte[] bytes)
    {
        long start = Stopwatch.GetTimestamp();
        Parsed<GuestDocument> parsed = GuestReader.Read(new MemoryStream(bytes), "g");
        if (parsed.TryGet(out GuestDocument? guest, out InputError? error))
        {
            // What was read can be written, or the reason why not can be said.
            foreach (Parsed<GuestText> written in (Parsed<GuestText>[])[XlConfig.Write(guest), LibvirtDomain.Write(guest)])
            {
                if (written.Error is { } writeError)
                    AssertOneLine(writeError);
                else
                    Assert.IsNull(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(written.Value!.Text)), "again").Error, written.Value.Text);
            }
        }
        else
        {
            AssertOneLine(error);
        }

        Assert.IsLessThan(s_patience, Stopwatch.GetElapsedTime(start));
        return guest is not null;
    }

    private static void AssertOneLine(InputError error)
    {
        string line = error.ToString();
        Assert.IsLessThan(400, line.Length, line);
        Assert.IsFalse(line.Any(char.IsControl), line);
        Assert.IsFalse(line.EndsWith('.'), line);
    }

    private sealed class EndlessStream : Stream
    {
        public long BytesRead { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            buffer.AsSpan(offset, count).Fill((byte)'a');
            BytesRead += count;
            return count;
        }

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
