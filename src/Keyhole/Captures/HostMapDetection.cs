// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>What the first bytes of a file say of it.</summary>
internal static class HostMapDetection
{
    /// <summary>The dialect that the first bytes speak for; logs and iomem are told apart line by line later.</summary>
    public static HostMapDialect Detect(ReadOnlySpan<byte> head)
    {
        if (LooksPacked(head))
            return HostMapDialect.Packed;
        TextLines text = new(head.ToArray(), Stream.Null);
        while (text.TryRead(out ReadOnlySpan<char> line))
        {
            ReadOnlySpan<char> content = EntryLines.WithoutComment(line);
            if (content.IsEmpty)
                continue;
            // Wikis open quoted text with a word in braces: {noformat}, {code}.
            if (content[0] == '{' && !(content.Length > 1 && char.IsAsciiLetter(content[1])))
                return HostMapDialect.Json;
            return EntryLines.TryRead(content, out _, out _, out _) ? HostMapDialect.Lines : HostMapDialect.Xen;
        }

        // Nothing but comments and blank lines: say so rather than look for a log.
        return head.Contains((byte)'#') ? HostMapDialect.Lines : HostMapDialect.Xen;
    }

    /// <summary>Addresses and sizes below 2^52 and a known type somewhere: no text has the zero bytes where they must be.</summary>
    private static bool LooksPacked(ReadOnlySpan<byte> head)
    {
        bool hasKnownType = false;
        bool isFirst = true;
        for (ReadOnlySpan<byte> rest = head; rest.Length >= E820Entry.WireSizeBytes; rest = rest[E820Entry.WireSizeBytes..])
        {
            ulong start = BinaryPrimitives.ReadUInt64LittleEndian(rest);
            ulong size = BinaryPrimitives.ReadUInt64LittleEndian(rest[8..]);
            E820Type type = (E820Type)BinaryPrimitives.ReadUInt32LittleEndian(rest[16..]);
            if (isFirst && (start > Frames.AddressLimit || size > Frames.AddressLimit))
                return false;
            isFirst = false;
            hasKnownType |= Enum.IsDefined(type) && type != E820Type.None;
        }

        return hasKnownType;
    }
}
