// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text;
using K4os.Compression.LZ4;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;
using ZstdSharp;

namespace Keyhole.Tests.Guests;

/// <summary>
/// Small images of the form that Debian's have: of linux-image-6.1.0-50-amd64 and 6.12.117+deb12-cloud-amd64 this reader gave the _end (0x4430000 and
/// 0x3c30000) and the __bss_stop (0x4400000 and 0x3c00000) that their System.map has.
/// </summary>
[TestClass]
public sealed class KernelImageReaderTests
{
    private const string Version = "6.1.0-50-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-07-02)";
    private static readonly KernelImage s_image = new(Version, 0x1000000, 0x4400000, 0x4430000, 0x4a00000);

    [TestMethod]
    [DataRow("gzip")]
    [DataRow("zstd")]
    [DataRow("lz4")]
    [DataRow("xz")]
    [DataRow("none")]
    public void A_bzImage_gives_its_version_and_where_it_ends_however_it_is_packed(string packer) =>
        Assert.AreEqual(s_image, Read(BzImage(Pack(packer, Elf()))));

    [TestMethod]
    [DataRow("gzip")]
    [DataRow("none")]
    public void An_ELF_file_gives_the_version_of_its_banner(string packer) =>
        Assert.AreEqual(s_image, Read(Pack(packer, Elf($"Linux version %s\0Linux version {Version}\n"))));

    [TestMethod]
    public void Older_kernels_check_to_the_end_of_bss_and_newer_ones_to_the_end_of_the_image()
    {
        Assert.AreEqual(0x4400000UL, s_image.Checked(checksToEnd: false).End);
        Assert.AreEqual(0x4430000UL, s_image.Checked(checksToEnd: true).End);
        Assert.AreEqual(0x4a00000UL, s_image.Loaded.End);
    }

    [TestMethod]
    public void A_brk_that_ends_inside_a_page_has_the_images_end_on_the_next_one() =>
        Assert.AreEqual(0x4431000UL, Read(Elf(Version, brkBytes: 0x30001)).End);

    [TestMethod]
    [DataRow("")]
    [DataRow("#!/bin/sh\necho a script, and no kernel at all\n")]
    [DataRow("\u007fELF")]
    public void What_is_no_kernel_is_refused_in_one_line(string text)
    {
        Assert.IsFalse(KernelImageReader.Read(new MemoryStream(Encoding.Latin1.GetBytes(text)), "vmlinuz").TryGet(out _, out InputError? error));
        Assert.StartsWith("vmlinuz", error.ToString());
        Assert.DoesNotContain('\n', error.ToString());
    }

    /// <summary>Every cut that takes something of the ELF file, and one bit turned at each place: an answer or one line, never an
    /// exception.</summary>
    [TestMethod]
    [DataRow("gzip")]
    [DataRow("zstd")]
    [DataRow("lz4")]
    [DataRow("xz")]
    [DataRow("none")]
    public void A_damaged_image_is_refused_and_never_throws(string packer)
    {
        byte[] whole = BzImage(Pack(packer, Elf()));
        for (int length = 0; length < whole.Length - 200; length += 61)
            Assert.IsFalse(KernelImageReader.Read(new MemoryStream(whole[..length]), "cut").TryGet(out _, out _), $"{length} bytes");
        for (int at = 0; at < whole.Length; at += 7)
        {
            byte[] turned = [.. whole];
            turned[at] ^= (byte)(1 << (at % 8));
            _ = KernelImageReader.Read(new MemoryStream(turned), "damaged").TryGet(out _, out _);
        }
    }

    private static KernelImage Read(byte[] file)
    {
        Assert.IsTrue(KernelImageReader.Read(new MemoryStream(file), "vmlinuz").TryGet(out KernelImage? image, out InputError? error),
            error?.ToString());
        return image;
    }

    private static byte[] BzImage(byte[] payload)
    {
        byte[] file = new byte[(5 * 512) + 16];
        file[0x1f1] = 4;
        "HdrS"u8.CopyTo(file.AsSpan(0x202));
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x206), 0x20f);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(0x20e), 0x300);
        Encoding.ASCII.GetBytes(Version).CopyTo(file, 0x500);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(0x248), 16);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(0x24c), payload.Length);
        return [.. file, .. payload, .. new byte[64]];
    }

    private static byte[] Pack(string packer, byte[] bytes)
    {
        switch (packer)
        {
            case "none":
                return bytes;
            case "gzip":
                var packed = new MemoryStream();
                using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true))
                    gzip.Write(bytes);
                return [.. packed.ToArray(), .. Length(bytes)];
            case "zstd":
                using (var compressor = new Compressor())
                    return [.. compressor.Wrap(bytes), .. Length(bytes)];
            case "lz4":
                byte[] block = new byte[LZ4Codec.MaximumOutputSize(bytes.Length)];
                int length = LZ4Codec.Encode(bytes, block);
                return [0x02, 0x21, 0x4c, 0x18, .. BitConverter.GetBytes(length), .. block.AsSpan(0, length), .. Length(bytes)];
            default:
                // Of the same ELF file, by: xz --check=crc32 --x86 --lzma2=dict=1MiB
                return [.. Convert.FromBase64String(XzOfElf), .. Length(bytes)];
        }
    }

    /// <summary>The kernel's makefiles append the unpacked length.</summary>
    private static byte[] Length(byte[] bytes) => BitConverter.GetBytes(bytes.Length);

    /// <summary>Two segments, and behind them the section headers that a stripped kernel keeps.</summary>
    private static byte[] Elf(string text = "", ulong brkBytes = 0x30000)
    {
        const ulong kernelMap = 0xffffffff80000000;
        byte[] names = "\0.text\0.bss\0.brk\0.init.scratch\0.shstrtab\0"u8.ToArray();
        byte[] body = [.. Enumerable.Range(0, 3000).Select(static i => (byte)((i * i >> 3) & 0xff)), .. Encoding.ASCII.GetBytes(text),
            .. new byte[512]];
        int namesAt = 64 + (2 * 56) + body.Length;
        int sectionsAt = (namesAt + names.Length + 7) & ~7;
        var file = new byte[sectionsAt + (6 * 64)];
        new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(file, 0);
        Put16(16, 2);
        Put16(18, 62);
        Put64(32, 64);
        Put64(40, (ulong)sectionsAt);
        Put16(54, 56);
        Put16(56, 2);
        Put16(58, 64);
        Put16(60, 6);
        Put16(62, 5);
        Segment(64, kernelMap + 0x1000000, 0x1000000, 0x1000000);
        Segment(64 + 56, kernelMap + 0x2000000, 0x2000000, 0x2a00000);
        body.CopyTo(file, 64 + (2 * 56));
        names.CopyTo(file, namesAt);
        Section(1, 1, kernelMap + 0x1000000, 0x800000, 0);
        Section(2, 7, kernelMap + 0x4000000, 0x400000, 0);
        Section(3, 12, kernelMap + 0x4400000, brkBytes, 0);
        Section(4, 17, kernelMap + 0x4600000, 0x400000, 0);
        Section(5, 31, 0, (ulong)names.Length, (ulong)namesAt);
        return file;

        void Put16(int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(at), value);
        void Put64(int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(at), value);
        void Segment(int at, ulong address, ulong physical, ulong size)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), 1);
            Put64(at + 16, address);
            Put64(at + 24, physical);
            Put64(at + 40, size);
        }

        void Section(int number, uint name, ulong address, ulong size, ulong offset)
        {
            int at = sectionsAt + (number * 64);
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(at), name);
            Put64(at + 16, address);
            Put64(at + 24, offset);
            Put64(at + 32, size);
        }
    }

    private const string XzOfElf = 
        "/Td6WFoAAAFpIt42AgEEACEBEACLIW9J4BAXBHldAD+RRYRoPYmm2orMk+JP2/1yz3warus9bEiWPWWy0tATglPPYCjlBQoRztCwWYVUMfGVDrx8IC/a6skq"
        + "Yj3N1UK+/3zIGMmk1/CPuPYKbOhHoDQjZ4cSS9V5KvAfiWB0MwYZnWUHtY59KWt1D/zz2NaXewTlOiDveiI7JwbkW2/ggrTZCJQ7hsdyZ85G6fIpTSBoBVfz"
        + "QVqzRTYBztgnTBKeyFnwiZcyIlF5YaJ6A7amT+vlaSgRDUR2q2cCGOJc8nVhT7zaBqbtCi6NsQGKhWaTULhFMZ1SB0UHR07zyCVsJ13ulbU++YZMOH0WJ+Yy"
        + "2yNFBVQysBMAyN3OwFTId+IJNCNk8Dt2okrBpvmVJKNSzl4OCCqYwT0T7xqELJXsg6/xKU9l9b2W/AgtaDcLwupwnz3OhE+Ns6HSGu6I3mB3uA/kHa7NMltR"
        + "58pL7ayXP2QD4gFhtiwdeWl2h2rhe1K8t+8GTzrsUKyAOtUtq6GrcdIegz+sPPQamTq7vFjlElfvYSdyI5fsTOSfToEIbRmomk0o0w4+3TKVqs3rt9G/eQzi"
        + "LSdlIsn3WZKLcTDoiXU5HXw+N/w6wMepny/VF9vcAd2z8LMwct0/1EGu6broKaSnjFJIbs4/A3abnXEeDV8NsKiIHICrvwE83yc+PYTasTIBZBTw7JEW1maB"
        + "nK7gu3exkSkNo8K55SGuHnhMNo4ZqdljAm5lndB4/uzbf0b/nRHL1tla3rgmzJRvDqrTtUmIYqvWu1Kt75Q6Deu/E/9K5+SvNigk+Ya8mbN9LlLtpmTJi7r6"
        + "PdY9aFeuIH+UuTmpVljhd9kzk2vdvl3QdClk9dFGeLI2P1Ri5/jaQKIfun8xdR3VO2vfxa7DxfcnQ2eFvpGECmU7i7RuC38mB006GtqYEEzEn+QevXR7npUp"
        + "yYOM8ZbR6QgIIFc+fGTtA7DRQaXT/qr68686Zs/jEGbt8U4V77voYDk96iY02fqs6ufQUJ6Vap4vFeNOhljjlO1Zrr/12HD/JAXsV9CjazlwDp55pJzLirqG"
        + "HUJ00w0Vs5j6AjF0COT568bzlXmJBgkItKQXIGJCOlr1NX9Wv5ULEMvG7wVGIYNapWRywqohb0DlbfYTTSGMcl2ePuENiBZWBOBgSLxW3/fzfAsk5Lw/FCFJ"
        + "TG23VS5ONZxtR55HwJUxYcbtiJJli0OXLnRLf5n+iI2T09PFoku5cgNZ5xfJTuNzFWGbh0WItdSYr4m4lGL+IepDLklJTnbblGWekUsZWdLo7xdOxgjtQL2h"
        + "FLRyC6HGhk1MbS9NVo2Fe9rzd+8rzYwam+VNJfEWtjFkveFG2reWmxm0nD61ZUdb52knjNG9d2QoHeXBkO9O72GJ/oOC3rOy4HwSaL4wuvi2YqDqYncMNLqk"
        + "OahFdZziyyoQK2MdGT8FB9aSVyommax/ACOgL98e6XQ//6dEHcHz8tLpBOhTYLfVMzTZQljB5+9gBDIg+6+xURdmsWhYTT1ts8P5JUklzGQLS2VG2E44P6bt"
        + "zrZQABcAAAAAAPuW26kAAZEJmCAAAOH8xlg+MA2LAgAAAAABWVo=";
}
