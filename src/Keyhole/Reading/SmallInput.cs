// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using Keyhole.Diagnostics;

namespace Keyhole.Reading;

/// <summary>
/// A whole input in memory, for the kinds of file that are small by nature (guest configurations, lists of devices): read up to a bound,
/// and decoded from UTF-8 or, by its byte order mark, UTF-16.
/// </summary>
public sealed class SmallInput
{
    private SmallInput(byte[] bytes) => Bytes = bytes;

    /// <summary>Stands in decoded text for bytes that are no UTF-8.</summary>
    public const char Undecodable = '\uFFFD';

#pragma warning disable CA1819 // The reader of the bytes owns them; a copy of each file buys nothing.

    /// <summary>The whole input.</summary>
    public byte[] Bytes { get; }
#pragma warning restore CA1819

    /// <summary>Whether the input starts with the byte order mark of UTF-16.</summary>
    public bool IsUtf16 => Bytes is [0xff, 0xfe, ..] or [0xfe, 0xff, ..];

    /// <summary>Whether the input starts with a byte order mark of any kind.</summary>
    public bool HasByteOrderMark => IsUtf16 || Bytes is [0xef, 0xbb, 0xbf, ..];

    /// <summary>Reads a stream to its end; more than <paramref name="maxSizeBytes"/> bytes is an error that names <paramref name="kind"/> ("a guest's
    /// configuration").</summary>
    public static Parsed<SmallInput> Read(Stream stream, string sourceName, int maxSizeBytes, string kind)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using var bytes = new MemoryStream();
        byte[] chunk = new byte[16 * 1024];
        int count;
        while ((count = stream.Read(chunk, 0, chunk.Length)) > 0)
        {
            if (bytes.Length + count > maxSizeBytes)
                return TooLong(sourceName, maxSizeBytes, kind);
            bytes.Write(chunk, 0, count);
        }

        return new SmallInput(bytes.ToArray());
    }

    /// <summary>The same, where some inputs may be longer: once more than <paramref name="maxSizeBytes"/> have come, the start says whether it is one
    /// of those.</summary>
    public static Parsed<SmallInput> Read(Stream stream, string sourceName, int maxSizeBytes, string kind, Func<SmallInput, bool> mayBeLonger,
        int longerSizeBytes)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(mayBeLonger);
        using var bytes = new MemoryStream();
        byte[] chunk = new byte[16 * 1024];
        int most = maxSizeBytes;
        int count;
        while ((count = stream.Read(chunk, 0, chunk.Length)) > 0)
        {
            bytes.Write(chunk, 0, count);
            if (bytes.Length > most && most < longerSizeBytes && mayBeLonger(new SmallInput(bytes.ToArray())))
                most = longerSizeBytes;
            if (bytes.Length > most)
                return TooLong(sourceName, most, kind);
        }

        return new SmallInput(bytes.ToArray());
    }

    internal static InputError TooLong(string sourceName, int maxSizeBytes, string kind) =>
        InputError.TooLarge(sourceName, null, $"longer than {maxSizeBytes / (1024 * 1024)} MiB, which {kind} never is",
            "check that this is the right file");

    /// <summary>The text, without a byte order mark; <see cref="Undecodable"/> for what is no text.</summary>
    public string Decode() => Bytes switch
    {
        [0xff, 0xfe, ..] => Encoding.Unicode.GetString(Bytes, 2, Bytes.Length - 2),
        [0xfe, 0xff, ..] => Encoding.BigEndianUnicode.GetString(Bytes, 2, Bytes.Length - 2),
        [0xef, 0xbb, 0xbf, ..] => Encoding.UTF8.GetString(Bytes, 3, Bytes.Length - 3),
        _ => Encoding.UTF8.GetString(Bytes),
    };
}
