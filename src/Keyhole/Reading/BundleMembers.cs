// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Text;

namespace Keyhole.Reading;

/// <summary>A file, folder or link of an archive.</summary>
/// <param name="Name">With its folders, as the archive tells it: hostile.</param>
/// <param name="SizeBytes">As the archive tells it.</param>
/// <param name="Read">Its bytes, as many as <paramref name="SizeBytes"/> at the most; to be called before the next member is asked for, once.</param>
internal sealed record BundleMember(string Name, long SizeBytes, bool IsFile, Func<byte[]> Read);

/// <summary>The members of an archive, one behind the other.</summary>
/// <remarks>
/// tar and cpio are read by hand: names and sizes are all that is needed of them, and no header may ask for memory. A ZIP file has its list of
/// members at its end: it is taken into memory.
/// </remarks>
internal static class BundleMembers
{
    private const int MaxNameLength = 4096;
    private const int TarBlock = 512;

    /// <summary>Logs that people attach to a report; the list of its members takes some times as much memory.</summary>
    private const int MaxZipBytes = 64 << 20;

    /// <param name="head">The first bytes.</param>
    /// <param name="archive">From its first byte on.</param>
    /// <returns>Null where it is no archive that is known. What it gives may throw <see cref="InvalidDataException"/>: a damaged archive.</returns>
    public static IEnumerable<BundleMember>? Of(ReadOnlySpan<byte> head, Stream archive)
    {
        if (head.Length >= TarBlock && IsTar(head))
            return Tar(archive);
        if (IsCpio(head))
            return Cpio(archive);
        // Its first file; the end of one without any; the mark of one that was to be in several parts.
        return head.StartsWith("PK\u0003\u0004"u8) || head.StartsWith("PK\u0005\u0006"u8) || head.StartsWith("PK\a\b"u8) ? Zip(archive) : null;
    }

    private static bool IsTar(ReadOnlySpan<byte> header) => header[257..].StartsWith("ustar"u8);

    /// <summary>cpio's "new" formats, which every cpio writes with -H newc, and its old one of octal digits.</summary>
    private static bool IsCpio(ReadOnlySpan<byte> head) => head.StartsWith("070701"u8) || head.StartsWith("070702"u8) || head.StartsWith("070707"u8);

    private static IEnumerable<BundleMember> Tar(Stream archive)
    {
        string? longName = null;
        while (TryTarHeader(archive, out string name, out long size, out char type))
        {
            long padded = (size + TarBlock - 1) / TarBlock * TarBlock;
            // "L" of GNU's tar and "x" of POSIX's: the name of the entry behind.
            if (type is 'L' or 'x' && size <= MaxNameLength * 2)
            {
                byte[] text = ReadExactly(archive, size);
                Skip(archive, padded - size);
                longName = type == 'L' ? Encoding.UTF8.GetString(text).TrimEnd('\0') : PathIn(text) ?? longName;
                continue;
            }

            long left = padded;
            yield return new BundleMember(longName ?? name, size, type is '0' or '\0', () =>
            {
                byte[] bytes = ReadExactly(archive, size);
                left -= size;
                return bytes;
            });
            longName = null;
            SkipMember(archive, left, padded - size);
        }
    }

    private static IEnumerable<BundleMember> Cpio(Stream archive)
    {
        while (TryCpioHeader(archive, out string name, out long size, out bool isFile, out int alignment))
        {
            long padded = (size + alignment - 1) / alignment * alignment;
            long left = padded;
            yield return new BundleMember(name, size, isFile, () =>
            {
                byte[] bytes = ReadExactly(archive, size);
                left -= size;
                return bytes;
            });
            SkipMember(archive, left, padded - size);
        }
    }

    private static IEnumerable<BundleMember> Zip(Stream archive)
    {
        using var bytes = new MemoryStream();
        byte[] chunk = new byte[StreamHead.MaxLength];
        for (int read; (read = archive.Read(chunk, 0, chunk.Length)) > 0;)
        {
            if (bytes.Length + read > MaxZipBytes)
                throw new InvalidDataException($"it is a ZIP archive of more than {MaxZipBytes >> 20} MiB");
            bytes.Write(chunk, 0, read);
        }

        using var zip = new ZipArchive(bytes, ZipArchiveMode.Read);
        foreach (ZipArchiveEntry entry in zip.Entries)
        {
            yield return new BundleMember(entry.FullName, entry.Length, !entry.FullName.EndsWith('/'), () =>
            {
                try
                {
                    using Stream member = entry.Open();
                    return ReadExactly(member, entry.Length);
                }
                catch (NotSupportedException exception)
                {
                    throw new InvalidDataException("a file of the ZIP archive is packed in a way that is not known, or encrypted", exception);
                }
            });
        }
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
        int read = archive.ReadAtLeast(header, header.Length, throwOnEndOfStream: false);
        if (read == 0 || header[0] == 0)
            return false;
        if (read < header.Length)
            throw CutShort();
        if (!IsTar(header) || header[sizeField] >= 0x80)
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
    private static bool TryCpioHeader(Stream archive, out string name, out long size, out bool isFile, out int alignment)
    {
        const int newLength = 110;
        const int oldLength = 76;
        name = "";
        size = 0;
        isFile = false;
        alignment = 1;
        byte[] header = new byte[newLength];
        int read = archive.ReadAtLeast(header.AsSpan(0, oldLength), oldLength, throwOnEndOfStream: false);
        if (read == 0)
            return false;
        if (read < oldLength)
            throw CutShort();
        bool isOld = header.AsSpan().StartsWith("070707"u8);
        if (!IsCpio(header))
            throw new InvalidDataException("an entry of the cpio archive has no header that can be read");
        if (!isOld && archive.ReadAtLeast(header.AsSpan(oldLength), newLength - oldLength, throwOnEndOfStream: false) < newLength - oldLength)
            throw CutShort();
        long mode = isOld ? Number(header.AsSpan(18, 6), 8) : Number(header.AsSpan(14, 8), 16);
        size = isOld ? Number(header.AsSpan(65, 11), 8) : Number(header.AsSpan(54, 8), 16);
        long nameLength = isOld ? Number(header.AsSpan(59, 6), 8) : Number(header.AsSpan(94, 8), 16);
        if (nameLength is <= 0 or > MaxNameLength)
            throw new InvalidDataException("an entry of the cpio archive has no name that can be read");
        name = TextOf(ReadExactly(archive, nameLength));
        if (!isOld)
            Skip(archive, (4 - ((newLength + nameLength) % 4)) % 4);
        alignment = isOld ? 1 : 4;
        const long typeMask = 0xf000;
        const long regularFile = 0x8000;
        isFile = (mode & typeMask) == regularFile;
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

    /// <param name="size">No more than a bound that the caller keeps.</param>
    private static byte[] ReadExactly(Stream archive, long size)
    {
        byte[] bytes = new byte[size];
        if (archive.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
            throw CutShort();
        return bytes;
    }

    /// <summary>Passes over what is left of a member, whose padding some programs leave out at the archive's end.</summary>
    private static void SkipMember(Stream archive, long left, long padding)
    {
        if (Skip(archive, left) > padding)
            throw CutShort();
    }

    private static InvalidDataException CutShort() => new("the archive is cut short");

    /// <returns>How much of it is not there.</returns>
    private static long Skip(Stream archive, long count)
    {
        Span<byte> buffer = stackalloc byte[4096];
        while (count > 0)
        {
            int read = archive.Read(buffer[..(int)Math.Min(count, buffer.Length)]);
            if (read == 0)
                break;
            count -= read;
        }

        return count;
    }
}
