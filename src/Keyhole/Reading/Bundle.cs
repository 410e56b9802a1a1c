// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Text;
using Keyhole.Diagnostics;

namespace Keyhole.Reading;

/// <summary>
/// What people send instead of a log: a log packed with gzip, or a support bundle (tar or cpio, packed or not) such as XenServer's status report, the
/// support files of Qubes's HCL report or a sosreport. Of a bundle the hypervisor's log and the kernel's are taken, one behind the other, as one
/// text.
/// </summary>
/// <remarks>
/// The archives are read by hand: names and sizes are all that is needed of them, and no header may ask for memory. Everything is bounded: layers,
/// entries, the bytes passed over and those kept.
/// </remarks>
internal static class Bundle
{
    /// <summary>A packed archive, and packed files in it.</summary>
    private const int MaxLayers = 3;

    private const int MaxEntries = 100_000;
    private const long MaxPassedBytes = 4L << 30;
    private const int MaxMemberBytes = 32 << 20;
    private const int MaxNameLength = 4096;
    private const int TarBlock = 512;

    /// <summary>What tells that a file is of use: a memory map's words.</summary>
    private static readonly string[] s_words = ["e820", "RAM map", "Xen: [", "System RAM"];

    /// <summary>How near a member is to the firmware's map: the first of each of the two first ranks is taken, else the first of the next.</summary>
    private enum Rank
    {
        Hypervisor,
        Kernel,
        System,
        Resources,
        Other,
    }

    /// <summary>Takes the wrapping off. What is not wrapped is left as it is.</summary>
    /// <param name="head">The first bytes of the source; those of the text afterwards.</param>
    /// <param name="stream">What goes on behind them.</param>
    /// <exception cref="InvalidDataException">The data is damaged, or packed beyond all bounds.</exception>
    public static void Unwrap(ref ReadOnlyMemory<byte> head, ref Stream stream)
    {
        for (int layer = 0; layer < MaxLayers; layer++)
        {
            if (IsGzip(head.Span))
            {
                stream = new Limited(new GZipStream(new PrefixedStream(head, new Limited(stream, MaxPassedBytes)), CompressionMode.Decompress),
                    MaxPassedBytes);
                head = StreamHead.Read(stream);
            }
            else if (IsTar(head.Span) || IsCpio(head.Span))
            {
                bool isTar = IsTar(head.Span);
                stream = new MemoryStream(Gather(new PrefixedStream(head, new Limited(stream, MaxPassedBytes)), isTar));
                head = StreamHead.Read(stream);
            }
            else
            {
                return;
            }
        }
    }

    private static bool IsGzip(ReadOnlySpan<byte> head) => head.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b, 0x08]);

    private static bool IsTar(ReadOnlySpan<byte> head) => head.Length >= TarBlock && head[257..].StartsWith("ustar"u8);

    /// <summary>cpio's "new" formats, which every cpio writes with -H newc, and its old one of octal digits.</summary>
    private static bool IsCpio(ReadOnlySpan<byte> head) => head.StartsWith("070701"u8) || head.StartsWith("070702"u8) || head.StartsWith("070707"u8);

    private static byte[] Gather(Stream archive, bool isTar)
    {
        Dictionary<Rank, byte[]> found = [];
        long passed = 0;
        string? longName = null;
        for (int entry = 0; entry < MaxEntries && passed < MaxPassedBytes; entry++)
        {
            int alignment = TarBlock;
            if (!(isTar ? TryTarHeader(archive, out string name, out long size, out char type)
                : TryCpioHeader(archive, out name, out size, out type, out alignment)))
                break;
            passed += size;
            long padded = (size + alignment - 1) / alignment * alignment;
            // "L" of GNU's tar and "x" of POSIX's: the name of the entry behind.
            if (type is 'L' or 'x' && size <= MaxNameLength * 2)
            {
                byte[] text = ReadExactly(archive, (int)size);
                Skip(archive, padded - size);
                longName = type == 'L' ? Encoding.UTF8.GetString(text).TrimEnd('\0') : PathIn(text) ?? longName;
                continue;
            }

            name = longName ?? name;
            longName = null;
            Rank rank = RankOf(name);
            bool isWanted = type is '0' or '\0' && size is > 0 and <= MaxMemberBytes && rank != Rank.Other && !found.ContainsKey(rank);
            if (!isWanted)
            {
                Skip(archive, padded);
            }
            else
            {
                byte[] member = ReadExactly(archive, (int)size);
                Skip(archive, padded - size);
                if (Unpacked(member) is { } text && IsOfUse(text))
                    found[rank] = text;
            }
        }

        byte[] joined = Joined(found);
        return joined.Length > 0 ? joined
            : throw new InvalidDataException(
                "none of its files is a log or a list of resources with a memory map: an xl dmesg, a dmesg, a journal or an iomem is looked for");
    }

    /// <summary>The hypervisor's log and the kernel's; without either the system's, then the list of resources.</summary>
    private static byte[] Joined(Dictionary<Rank, byte[]> found)
    {
        if (!found.ContainsKey(Rank.Hypervisor) && !found.ContainsKey(Rank.Kernel))
            return found.TryGetValue(Rank.System, out byte[]? system) ? system
                : found.TryGetValue(Rank.Resources, out byte[]? resources) ? resources : [];
        using var all = new MemoryStream();
        foreach (Rank rank in (ReadOnlySpan<Rank>)[Rank.Hypervisor, Rank.Kernel])
        {
            if (!found.TryGetValue(rank, out byte[]? text))
                continue;
            all.Write(text);
            all.WriteByte((byte)'\n');
        }

        return all.ToArray();
    }

    private static Rank RankOf(string path)
    {
        string name = path[(path.LastIndexOf('/') + 1)..].ToLowerInvariant();
        bool isDmesg = name.Contains("dmesg", StringComparison.Ordinal);
        if ((isDmesg && (name.Contains("xl", StringComparison.Ordinal) || name.Contains("xm", StringComparison.Ordinal)
            || name.Contains("xen", StringComparison.Ordinal) || name.Contains("hypervisor", StringComparison.Ordinal)))
            || name.StartsWith("hypervisor.log", StringComparison.Ordinal))
            return Rank.Hypervisor;
        if (isDmesg)
            return Rank.Kernel;
        if (name.StartsWith("journalctl", StringComparison.Ordinal) || name.StartsWith("kern.log", StringComparison.Ordinal)
            || name.StartsWith("messages", StringComparison.Ordinal)
            || name.StartsWith("boot.log", StringComparison.Ordinal) || name.StartsWith("syslog", StringComparison.Ordinal)
            || name.Contains("console", StringComparison.Ordinal))
            return Rank.System;
        return name.StartsWith("iomem", StringComparison.Ordinal) || name.EndsWith("proc_iomem", StringComparison.Ordinal) ? Rank.Resources
            : Rank.Other;
    }

    /// <summary>A member that is packed itself; null where it is damaged or too long.</summary>
    private static byte[]? Unpacked(byte[] member)
    {
        if (!IsGzip(member))
            return member;
        try
        {
            using var packed = new GZipStream(new MemoryStream(member), CompressionMode.Decompress);
            using var text = new MemoryStream();
            new Limited(packed, MaxMemberBytes).CopyTo(text);
            return text.ToArray();
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    private static bool IsOfUse(byte[] text)
    {
        foreach (string word in s_words)
        {
            if (text.AsSpan().IndexOf(Encoding.ASCII.GetBytes(word)) >= 0)
                return true;
        }

        return false;
    }

    private static bool TryTarHeader(Stream archive, out string name, out long size, out char type)
    {
        const int sizeField = 124;
        const int sizeLength = 12;
        const int typeField = 156;
        const int prefixField = 345;
        name = "";
        size = 0;
        type = default;
        byte[] header = new byte[TarBlock];
        if (archive.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length || header[0] == 0)
            return false;
        if (!header.AsSpan(257).StartsWith("ustar"u8) || header[sizeField] >= 0x80)
            throw new InvalidDataException("an entry of the tar archive has no header that can be read");
        name = $"{TextOf(header.AsSpan(prefixField, 155))}/{TextOf(header.AsSpan(0, 100))}";
        type = (char)header[typeField];
        foreach (byte digit in header.AsSpan(sizeField, sizeLength))
        {
            if (digit is >= (byte)'0' and <= (byte)'7')
                size = (size * 8) + (digit - '0');
        }

        return true;
    }

    /// <param name="alignment">What follows starts at a multiple of it.</param>
    private static bool TryCpioHeader(Stream archive, out string name, out long size, out char type, out int alignment)
    {
        const int newLength = 110;
        const int oldLength = 76;
        name = "";
        size = 0;
        type = default;
        alignment = 1;
        byte[] header = new byte[newLength];
        if (archive.ReadAtLeast(header.AsSpan(0, oldLength), oldLength, throwOnEndOfStream: false) < oldLength)
            return false;
        bool isOld = header.AsSpan().StartsWith("070707"u8);
        if (!IsCpio(header))
            throw new InvalidDataException("an entry of the cpio archive has no header that can be read");
        if (!isOld && archive.ReadAtLeast(header.AsSpan(oldLength), newLength - oldLength, throwOnEndOfStream: false) < newLength - oldLength)
            return false;
        long mode = isOld ? Number(header.AsSpan(18, 6), 8) : Number(header.AsSpan(14, 8), 16);
        size = isOld ? Number(header.AsSpan(65, 11), 8) : Number(header.AsSpan(54, 8), 16);
        long nameLength = isOld ? Number(header.AsSpan(59, 6), 8) : Number(header.AsSpan(94, 8), 16);
        if (nameLength is <= 0 or > MaxNameLength)
            throw new InvalidDataException("an entry of the cpio archive has no name that can be read");
        name = TextOf(ReadExactly(archive, (int)nameLength));
        if (!isOld)
            Skip(archive, (4 - ((newLength + nameLength) % 4)) % 4);
        alignment = isOld ? 1 : 4;
        const long typeMask = 0xf000;
        const long regularFile = 0x8000;
        type = (mode & typeMask) == regularFile ? '0' : '5';
        return name != "TRAILER!!!";
    }

    private static long Number(ReadOnlySpan<byte> digits, int radix)
    {
        long value = 0;
        foreach (byte digit in digits)
        {
            if (!char.IsAsciiHexDigit((char)digit))
                throw new InvalidDataException("an entry of the archive has no size that can be read");
            value = (value * radix) + int.Parse([(char)digit], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        }

        return value;
    }

    /// <summary>The path of a POSIX header's records: "27 path=…".</summary>
    private static string? PathIn(byte[] records)
    {
        foreach (string record in Encoding.UTF8.GetString(records).Split('\n'))
        {
            int at = record.IndexOf(" path=", StringComparison.Ordinal);
            if (at >= 0)
                return record[(at + " path=".Length)..];
        }

        return null;
    }

    private static string TextOf(ReadOnlySpan<byte> field)
    {
        int end = field.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? field : field[..end]);
    }

    private static byte[] ReadExactly(Stream archive, int size)
    {
        byte[] bytes = new byte[size];
        if (archive.ReadAtLeast(bytes, size, throwOnEndOfStream: false) < size)
            throw new InvalidDataException("the archive is cut short");
        return bytes;
    }

    private static void Skip(Stream archive, long count)
    {
        Span<byte> buffer = stackalloc byte[4096];
        while (count > 0)
        {
            int read = archive.Read(buffer[..(int)Math.Min(count, buffer.Length)]);
            if (read == 0)
                return;
            count -= read;
        }
    }

    /// <summary>The rest of a stream, up to a limit.</summary>
    private sealed class Limited(Stream rest, long limit) : ForwardStream
    {
        private long _left = limit;

        public override int Read(Span<byte> buffer)
        {
            int read = rest.Read(buffer);
            _left -= read;
            return _left >= 0 ? read : throw new InvalidDataException("it holds more than is ever read");
        }
    }
}

/// <summary>What is told of a packed file that cannot be read.</summary>
public static class PackedErrors
{
    /// <param name="sourceName">What the error calls the file.</param>
    /// <param name="damaged">What the unpacking found.</param>
    public static InputError Unreadable(string sourceName, InvalidDataException damaged)
    {
        const int longest = 160;
        ArgumentNullException.ThrowIfNull(damaged);
        return InputError.Unreadable(sourceName, null, $"the packed file cannot be read: {InputError.OneLine(damaged.Message.TrimEnd('.'), longest)}",
            "unpack it (zcat, tar xf, cpio -i) and name the log in it");
    }
}
