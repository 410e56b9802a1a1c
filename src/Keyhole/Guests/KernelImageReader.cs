// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.IO;
using System.Text;
using K4os.Compression.LZ4;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>
/// Reads a Linux kernel image for x86: a bzImage (Documentation/arch/x86/boot.rst: setup header at 0x1f1, payload_offset at 0x248) whose payload is
/// packed by gzip, xz, zstd, bzip2 or lz4, or an ELF file, packed or not. Takes memory for a window of the file, never for the whole of it.
/// </summary>
public static class KernelImageReader
{
    /// <summary>A kernel with all drivers built in unpacks to some 100 MiB.</summary>
    private const long MaxElfBytes = 1L << 30;

    /// <summary>Section names stand right before the section headers.</summary>
    private const int NamesWindow = 1 << 20;

    private const int SetupSectorsAt = 0x1f1;
    private const int MagicAt = 0x202;
    private const int ProtocolAt = 0x206;
    private const int VersionAt = 0x20e;
    private const int PayloadOffsetAt = 0x248;
    private const int PayloadLengthAt = 0x24c;
    private const int HeaderLength = 0x250;
    private const uint HeaderMagic = 0x53726448;
    private const ushort FirstProtocolWithPayload = 0x208;
    private const int SectorBytes = 512;
    private const int MaxVersionLength = 256;

    /// <summary>__START_KERNEL_map: the top 2 GiB, where a 64-bit Linux is linked; programs and libraries are not.</summary>
    private const ulong KernelMapping = X86Layout.LinuxKernelMap;

    private const int ElfHeaderLength = 64;
    private const int ElfProgramLength = 56;
    private const int ElfSectionLength = 64;
    private const int MaxHeaders = 1024;
    private const uint LoadSegment = 1;

    private const uint Lz4LegacyMagic = 0x184c2102;
    private const int MaxLz4BlockBytes = 8 << 20;

    /// <summary>Reads an image from its first byte on.</summary>
    /// <param name="sourceName">What errors call it.</param>
    /// <returns>The error says what the file is not, or where it is cut or broken.</returns>
    public static Parsed<KernelImage> Read(Stream stream, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sourceName);
        try
        {
            byte[] head = new byte[HeaderLength];
            int length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
            var all = new PrefixedStream(head.AsMemory(0, length), stream);
            if (length == HeaderLength && BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(MagicAt)) == HeaderMagic)
                return ReadBzImage(head, all, sourceName);
            return ReadPacked(all, sourceName, null) ?? NoKernel(sourceName);
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or ArgumentException or InvalidOperationException
            or IndexOutOfRangeException or OverflowException or NotSupportedException)
        {
            // The packers' libraries say so in many ways; what it means for the user is the same.
            return InputError.Unreadable(sourceName, null, "the kernel in it cannot be unpacked",
                "is the file cut short or damaged? give the whole vmlinuz");
        }
    }

    private static InputError NoKernel(string sourceName) =>
        InputError.NothingInIt(sourceName, null, "is neither a bzImage nor an ELF file of a 64-bit x86 Linux", "give the guest's vmlinuz or vmlinux");

    private static Parsed<KernelImage> ReadBzImage(byte[] head, PrefixedStream all, string sourceName)
    {
        ushort protocol = BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(ProtocolAt));
        if (protocol < FirstProtocolWithPayload)
            return InputError.NotSupported(sourceName, null, "is a bzImage older than Linux 2.6.26, whose payload has no address",
                "give its vmlinux");
        int sectors = head[SetupSectorsAt] == 0 ? 4 : head[SetupSectorsAt];
        int setupLength = (sectors + 1) * SectorBytes;
        byte[] setup = new byte[setupLength];
        all.ReadExactly(setup);
        int versionAt = BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(VersionAt)) + SectorBytes;
        string? version = versionAt > SectorBytes && versionAt < setupLength ? Text(setup.AsSpan(versionAt)) : null;
        uint offset = BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(PayloadOffsetAt));
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(PayloadLengthAt));
        if (offset > int.MaxValue || length is 0 or > int.MaxValue)
            return InputError.NotSupported(sourceName, null, "is a bzImage without a payload", "give the guest's vmlinuz");
        _ = Skip(all, offset);
        return ReadPacked(new PrefixedStream(default, new BoundedStream(all, length)), sourceName, version) ?? NoKernel(sourceName);
    }

    /// <summary>Null where the stream is nothing that is known.</summary>
    private static Parsed<KernelImage>? ReadPacked(PrefixedStream packed, string sourceName, string? version)
    {
        byte[] magic = new byte[6];
        int length = packed.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false);
        var whole = new PrefixedStream(magic.AsMemory(0, length), packed);
        if (length < magic.Length)
            return null;
        ReadOnlySpan<byte> start = magic;
        if (start.StartsWith("\u007fELF"u8))
            return ReadElf(whole, sourceName, version);
        if (PackedForm.Of(start) is { } form)
            return ReadElf(form.Unpack(whole, MaxElfBytes), sourceName, version);
        if (BinaryPrimitives.ReadUInt32LittleEndian(start) == Lz4LegacyMagic)
            return ReadElf(new Lz4LegacyStream(whole), sourceName, version);
        if (start[0] == 0x5d)
            return InputError.NotSupported(sourceName, null, "is packed by lzma, which no distribution uses now", "give its vmlinux");
        return null;
    }

    private static Parsed<KernelImage>? ReadElf(Stream stream, string sourceName, string? version)
    {
        byte[] header = new byte[ElfHeaderLength];
        stream.ReadExactly(header);
        ReadOnlySpan<byte> elf = header;
        const byte is64Bit = 2;
        const byte isLittleEndian = 1;
        const ushort x8664 = 62;
        if (!elf.StartsWith("\u007fELF"u8) || elf[4] != is64Bit || elf[5] != isLittleEndian
            || BinaryPrimitives.ReadUInt16LittleEndian(elf[18..]) != x8664)
            return null;
        ulong programsAt = BinaryPrimitives.ReadUInt64LittleEndian(elf[32..]);
        ulong sectionsAt = BinaryPrimitives.ReadUInt64LittleEndian(elf[40..]);
        int programs = BinaryPrimitives.ReadUInt16LittleEndian(elf[56..]);
        int sections = BinaryPrimitives.ReadUInt16LittleEndian(elf[60..]);
        int names = BinaryPrimitives.ReadUInt16LittleEndian(elf[62..]);
        if (programsAt != ElfHeaderLength || programs is 0 or > MaxHeaders || sections > MaxHeaders || sectionsAt > (ulong)MaxElfBytes)
            return Broken(sourceName);
        byte[] programTable = new byte[programs * ElfProgramLength];
        stream.ReadExactly(programTable);
        if (!TrySegments(programTable, out ulong start, out ulong virtualOffset, out ulong loadedEnd) || unchecked(start
            + virtualOffset) < KernelMapping)
            return Broken(sourceName);
        if (sections == 0 || sectionsAt < (ulong)(ElfHeaderLength + programTable.Length))
            return InputError.NotSupported(sourceName, null, "has no section headers, so that nothing says where it ends",
                "give the vmlinuz that the distribution ships");
        ulong windowAt = ulong.Max(sectionsAt - ulong.Min(sectionsAt, NamesWindow), (ulong)(ElfHeaderLength + programTable.Length));
        string? banner = Skip(stream, (long)windowAt - (ElfHeaderLength + programTable.Length), version is null);
        byte[] window = new byte[(int)(sectionsAt - windowAt) + (sections * ElfSectionLength)];
        stream.ReadExactly(window);
        if (version is null)
            banner ??= Banner(window);
        ReadOnlySpan<byte> table = window.AsSpan((int)(sectionsAt - windowAt));
        return Sections(table, names, window, windowAt, virtualOffset, out ulong bssStop, out ulong end) && start < bssStop && bssStop <= end
            ? new KernelImage(version ?? banner, start, bssStop, end, ulong.Max(loadedEnd, end))
            : Broken(sourceName);
    }

    private static InputError Broken(string sourceName) =>
        InputError.NothingInIt(sourceName, null, "is an ELF file, but not one of a Linux kernel", "give the guest's vmlinuz or vmlinux");

    private static bool TrySegments(ReadOnlySpan<byte> table, out ulong start, out ulong virtualOffset, out ulong end)
    {
        start = ulong.MaxValue;
        virtualOffset = 0;
        end = 0;
        for (; !table.IsEmpty; table = table[ElfProgramLength..])
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(table) != LoadSegment)
                continue;
            ulong virtualAddress = BinaryPrimitives.ReadUInt64LittleEndian(table[16..]);
            ulong physical = BinaryPrimitives.ReadUInt64LittleEndian(table[24..]);
            ulong size = BinaryPrimitives.ReadUInt64LittleEndian(table[40..]);
            if (physical > Frames.AddressLimit || size > Frames.AddressLimit || physical + size > Frames.AddressLimit)
                return false;
            if (physical < start)
            {
                start = physical;
                virtualOffset = unchecked(virtualAddress - physical);
            }

            end = ulong.Max(end, physical + size);
        }

        return start < end;
    }

    /// <summary>
    /// Where <c>.bss</c> and <c>.brk</c> end: the link script has <c>__bss_stop</c> at the one and <c>_end</c>, on a page's edge, behind the other.
    /// A stripped image has no symbols, but these sections' headers.
    /// </summary>
    private static bool Sections(
        ReadOnlySpan<byte> table, int names, ReadOnlySpan<byte> window, ulong windowAt, ulong virtualOffset, out ulong bssStop, out ulong end)
    {
        bssStop = 0;
        end = 0;
        if (names * ElfSectionLength >= table.Length)
            return false;
        ulong namesAt = BinaryPrimitives.ReadUInt64LittleEndian(table[((names * ElfSectionLength) + 24)..]);
        if (namesAt < windowAt || namesAt - windowAt >= (ulong)window.Length)
            return false;
        ReadOnlySpan<byte> strings = window[(int)(namesAt - windowAt)..];
        for (ReadOnlySpan<byte> rest = table; rest.Length >= ElfSectionLength; rest = rest[ElfSectionLength..])
        {
            uint name = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            if (name >= (uint)strings.Length)
                continue;
            ulong sectionEnd = unchecked(
                BinaryPrimitives.ReadUInt64LittleEndian(rest[16..]) + BinaryPrimitives.ReadUInt64LittleEndian(rest[32..]) - virtualOffset);
            if (sectionEnd > Frames.AddressLimit)
                continue;
            if (strings[(int)name..].StartsWith(".bss\0"u8))
                bssStop = sectionEnd;
            else if (strings[(int)name..].StartsWith(".brk\0"u8))
                end = Pfn.AtOrAbove(sectionEnd).ToAddress();
        }

        if (end == 0)
            end = Pfn.AtOrAbove(bssStop).ToAddress();
        return bssStop != 0;
    }

    private static string? Text(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOfAny((byte)0, (byte)'\n');
        ReadOnlySpan<byte> text = bytes[..(end < 0 ? bytes.Length : end)];
        return text.IsEmpty ? null : InputError.OneLine(Encoding.Latin1.GetString(text[..int.Min(text.Length, MaxVersionLength)]), MaxVersionLength);
    }

    private static ReadOnlySpan<byte> Words => "Linux version "u8;

    /// <summary>What follows "Linux version ", where it is a version: the format string "Linux version %s" that stands there too is none.</summary>
    private static string? Banner(ReadOnlySpan<byte> bytes)
    {
        for (int at = bytes.IndexOf(Words); at >= 0; at = bytes.IndexOf(Words))
        {
            bytes = bytes[(at + Words.Length)..];
            if (bytes.Length > MaxVersionLength && bytes[0] is >= (byte)'0' and <= (byte)'9')
                return Text(bytes);
        }

        return null;
    }

    /// <summary>Reads on; the version of a banner that comes by is returned, where one is looked for.</summary>
    private static string? Skip(Stream stream, long count, bool looksForBanner = false)
    {
        byte[] buffer = new byte[64 * 1024];
        int kept = 0;
        string? found = null;
        while (count > 0)
        {
            int read = stream.Read(buffer, kept, (int)long.Min(count, buffer.Length - kept));
            if (read == 0)
                throw new EndOfStreamException();
            count -= read;
            if (!looksForBanner || found is not null)
                continue;
            ReadOnlySpan<byte> seen = buffer.AsSpan(0, kept + read);
            found = Banner(seen);
            kept = int.Min(seen.Length, MaxVersionLength + Words.Length);
            seen[^kept..].CopyTo(buffer);
        }

        return found;
    }

    /// <summary>So many bytes of a stream and no more.</summary>
    private sealed class BoundedStream(Stream inner, long length) : ForwardStream
    {
        private long _left = length;

        public override int Read(Span<byte> buffer)
        {
            int read = inner.Read(buffer[..(int)long.Min(buffer.Length, _left)]);
            _left -= read;
            return read;
        }
    }

    /// <summary>The lz4 that the kernel is packed with: a magic number, then blocks of up to 8 MiB, each behind its packed length; the image's length
    /// at the end.</summary>
    private sealed class Lz4LegacyStream(Stream inner) : ForwardStream
    {
        private byte[] _block = [];
        private int _at;
        private int _end;
        private bool _isOpened;

        public override int Read(Span<byte> buffer)
        {
            if (_at == _end && !TryBlock())
                return 0;
            int length = int.Min(buffer.Length, _end - _at);
            _block.AsSpan(_at, length).CopyTo(buffer);
            _at += length;
            return length;
        }

        private bool TryBlock()
        {
            Span<byte> word = stackalloc byte[4];
            if (!_isOpened)
                inner.ReadExactly(word);
            _isOpened = true;
            if (inner.ReadAtLeast(word, word.Length, throwOnEndOfStream: false) < word.Length)
                return false;
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(word);
            if (length == Lz4LegacyMagic)
                return TryBlock();
            if (length == 0 || length > (uint)LZ4Codec.MaximumOutputSize(MaxLz4BlockBytes))
                return false;
            byte[] packed = new byte[length];
            if (inner.ReadAtLeast(packed, packed.Length, throwOnEndOfStream: false) < packed.Length)
                return false;
            if (_block.Length == 0)
                _block = new byte[MaxLz4BlockBytes];
            _at = 0;
            _end = LZ4Codec.Decode(packed, _block);
            if (_end < 0)
                throw new InvalidDataException();
            return _end > 0;
        }
    }
}
