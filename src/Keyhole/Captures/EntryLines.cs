// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.IO;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>Lines of START END TYPE: <see cref="HostMapDialect.Lines"/>.</summary>
internal static class EntryLines
{
    public static Parsed<HostDocument> Read(ReadOnlyMemory<byte> head, Stream stream, string sourceName)
    {
        TextLines text = new(head, stream);
        ImmutableArray<E820Entry>.Builder entries = ImmutableArray.CreateBuilder<E820Entry>();
        while (text.TryRead(out ReadOnlySpan<char> line))
        {
            ReadOnlySpan<char> content = WithoutComment(line);
            if (content.IsEmpty)
                continue;
            if (!TryRead(content, out ulong start, out ulong end, out uint type))
            {
                return InputError.Malformed(
                    sourceName, text.Number, $"expected START END TYPE, found {InputError.Quote(content)}",
                    "write two hex addresses, the end exclusive, and the type, by number or name (ram, reserved, acpi, "
                        + "nvs, unusable): 0x100000 0x80000000 ram");
            }

            if (!EntryRange.Exclusive(start, end).TryMakeEntry((E820Type)type, sourceName, text.Number, out E820Entry entry, out InputError? error))
                return error!;
            if (entries.Count == Host.MaxEntries)
                return HostMapErrors.TooManyEntries(sourceName, text.Number);
            entries.Add(entry);
        }

        if (entries.Count == 0)
            return InputError.NothingInIt(sourceName, null, "no entries: every line is empty or a comment", "write lines of START END TYPE");
        return new HostDocument
        {
            Host = new() { Entries = entries.ToImmutable() },
            Dialect = HostMapDialect.Lines,
            Description = $"lines of START END TYPE, {sourceName}"
        };
    }

    public static ReadOnlySpan<char> WithoutComment(ReadOnlySpan<char> line)
    {
        int comment = line.IndexOf('#');
        return (comment < 0 ? line : line[..comment]).Trim(" \t");
    }

    public static bool TryRead(ReadOnlySpan<char> line, out ulong start, out ulong end, out uint type)
    {
        end = 0;
        type = 0;
        TextCursor cursor = new(line);
        cursor.TryText("0x");
        if (!cursor.TryHex(out start) || !TryBlanks(ref cursor))
            return false;
        cursor.TryText("0x");
        if (!cursor.TryHex(out end) || !TryBlanks(ref cursor))
            return false;
        if (TryType(cursor.Rest, out E820Type named))
        {
            type = (uint)named;
            return true;
        }

        return cursor.TryDecimal(out type) && cursor.Rest.IsEmpty;
    }

    /// <summary>Our own names and those of kernels and xl, in any case.</summary>
    private static bool TryType(ReadOnlySpan<char> name, out E820Type type)
    {
        const int longest = 16;
        type = default;
        if (name.Length > longest)
            return false;
        Span<char> lower = stackalloc char[longest];
        lower = lower[..name.ToLowerInvariant(lower)];
        ReadOnlySpan<char> known = lower switch
        {
            "usable" => "ram",
            "acpi data" => "acpi",
            "acpi nvs" => "nvs",
            _ => lower,
        };
        return E820TypeNames.TryParse(known, out type);
    }

    private static bool TryBlanks(ref TextCursor cursor)
    {
        int before = cursor.Rest.Length;
        cursor.SkipBlanks();
        return cursor.Rest.Length < before;
    }
}
