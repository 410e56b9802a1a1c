// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.IO;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Captures;

/// <summary>Entries of 20 bytes, as firmware and Xen exchange them: <see cref="HostMapDialect.Packed"/>.</summary>
internal static class PackedEntries
{
    public static Parsed<HostDocument> Read(ReadOnlyMemory<byte> head, Stream stream, string sourceName)
    {
        byte[] bytes = new byte[((Host.MaxEntries + 1) * E820Entry.WireSizeBytes) + 1];
        int length = Math.Min(head.Length, bytes.Length);
        head.Span[..length].CopyTo(bytes);
        length += stream.ReadAtLeast(bytes.AsSpan(length), bytes.Length - length, throwOnEndOfStream: false);
        int count = length / E820Entry.WireSizeBytes;
        if (count > Host.MaxEntries)
            return HostMapErrors.TooManyEntries(sourceName, null);
        if (length % E820Entry.WireSizeBytes != 0)
        {
            return InputError.Malformed(
                sourceName, null, $"{length} bytes are not a whole number of entries of {E820Entry.WireSizeBytes} bytes: the last is cut short",
                "give the whole table");
        }

        ImmutableArray<E820Entry>.Builder entries = ImmutableArray.CreateBuilder<E820Entry>(count);
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> bytesOfEntry = bytes.AsSpan(i * E820Entry.WireSizeBytes, E820Entry.WireSizeBytes);
            ulong start = BinaryPrimitives.ReadUInt64LittleEndian(bytesOfEntry);
            ulong size = BinaryPrimitives.ReadUInt64LittleEndian(bytesOfEntry[8..]);
            E820Type type = (E820Type)BinaryPrimitives.ReadUInt32LittleEndian(bytesOfEntry[16..]);
            if (!EntryRange.Sized(start, size).TryMakeEntry(type, $"{sourceName}, entry {i + 1}", null, out E820Entry entry, out InputError? error))
                return error!;
            entries.Add(entry);
        }

        return new HostDocument
        {
            Host = new() { Entries = entries.MoveToImmutable() },
            Dialect = HostMapDialect.Packed,
            Description = $"packed entries, {sourceName}"
        };
    }
}
