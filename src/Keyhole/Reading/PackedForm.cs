// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.IO;
using System.IO.Compression;
using SharpCompress.Common;
using SharpCompress.Compressors.BZip2;
using SharpCompress.Compressors.Xz;
using ZstdSharp;

namespace Keyhole.Reading;

/// <summary>A form in which a single file is packed, known by its first bytes.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Start">The first bytes of each such file.</param>
/// <param name="Open">The library that unpacks it.</param>
internal sealed record PackedForm(string Name, ImmutableArray<byte> Start, Func<Stream, Stream> Open)
{
    /// <summary>
    /// What XenServer (bzip2), sosreport (xz), journald (zstd) and everybody else (gzip) pack with.
    /// </summary>
    private static readonly PackedForm[] s_all =
    [
        new("gzip", [0x1f, 0x8b, 0x08], static packed => new GZipStream(packed, CompressionMode.Decompress)),
        new("xz", [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0], static packed => new XZStream(packed)),
        new("zstd", [0x28, 0xb5, 0x2f, 0xfd], static packed => new DecompressionStream(packed)),
        new("bzip2", [(byte)'B', (byte)'Z', (byte)'h'],
            static packed => BZip2Stream.Create(packed, SharpCompress.Compressors.CompressionMode.Decompress, decompressConcatenated: true)),
    ];

    /// <param name="head">The first bytes of a file.</param>
    /// <returns>Null where they are of no packed file that is known.</returns>
    public static PackedForm? Of(ReadOnlySpan<byte> head)
    {
        foreach (PackedForm form in s_all)
        {
            if (head.StartsWith(form.Start.AsSpan()))
                return form;
        }

        return null;
    }

    /// <summary>What a packed file holds, up to a limit.</summary>
    /// <param name="packed">From its first byte on.</param>
    /// <returns>A stream that tells of all that is wrong by <see cref="InvalidDataException"/>.</returns>
    public Stream Unpack(Stream packed, long limit) => new Unpacked(this, new WholeReads(packed), limit);

    /// <summary>gzip's last four bytes count what is unpacked (RFC 1952), of several files one behind the other that of the last; .NET's reader does
    /// not look, and takes a file that is cut short for a whole one.</summary>
    private bool IsCutShort(uint count, ulong unpackedBytes) => Name == "gzip" && count > unpackedBytes;

    /// <summary>The libraries tell of damage in many ways; what it means is the same.</summary>
    private sealed class Unpacked(PackedForm form, WholeReads packed, long limit) : ForwardStream
    {
        private Stream? _unpacking;
        private long _read;

        public override int Read(Span<byte> buffer)
        {
            int read;
            try
            {
                _unpacking ??= form.Open(packed);
                read = _unpacking.Read(buffer);
                _read += read;
                if (read == 0 && !buffer.IsEmpty && form.IsCutShort(packed.LastWord, (ulong)_read))
                    throw new EndOfStreamException();
            }
            catch (Exception exception) when (exception is SharpCompressException or ZstdException or ArgumentException
                or InvalidOperationException or IndexOutOfRangeException or OverflowException or NotSupportedException or EndOfStreamException
                or NullReferenceException || (exception is InvalidDataException && !packed.HasFailed))
            {
                throw new InvalidDataException($"its {form.Name} data are cut short or damaged", exception);
            }

            return _read <= limit ? read : throw new InvalidDataException("it holds more than is ever read");
        }
    }

    /// <summary>The reader of xz takes less than it asked for as the end.</summary>
    private sealed class WholeReads(Stream packed) : ForwardStream
    {
        private readonly byte[] _last = new byte[sizeof(uint)];

        /// <summary>The last four bytes that were read.</summary>
        public uint LastWord => BinaryPrimitives.ReadUInt32LittleEndian(_last);

        /// <summary>Whether what is packed could not be read itself.</summary>
        public bool HasFailed { get; private set; }

        public override int Read(Span<byte> buffer)
        {
            HasFailed = true;
            int read = packed.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            HasFailed = false;
            ReadOnlySpan<byte> got = buffer[..read];
            if (read >= _last.Length)
            {
                got[^_last.Length..].CopyTo(_last);
            }
            else
            {
                _last.AsSpan(read).CopyTo(_last);
                got.CopyTo(_last.AsSpan(_last.Length - read));
            }

            return read;
        }
    }
}
