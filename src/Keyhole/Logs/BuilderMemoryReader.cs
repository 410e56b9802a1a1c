// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What the domain builder says of the memory of one HVM or PVH guest that it makes (<c>xl -vvv create</c>).</summary>
/// <param name="Ram">Where the guest's RAM lies, before any firmware of the guest changes that.</param>
/// <param name="Acpi">Where it puts what the guest gets of ACPI.</param>
internal sealed record BuilderMemory(ImmutableArray<LogFact<ByteRange>> Ram, ImmutableArray<LogFact<ByteRange>> Acpi);

/// <summary>Collects <see cref="BuilderMemory"/> of each guest that a log shows the making of.</summary>
/// <remarks>Source: Xen's tools/libs/guest/xg_dom_x86.c (meminit_hvm, which alone prints ranges) and xg_dom_core.c (xc_dom_load_acpi).</remarks>
internal sealed class BuilderMemoryReader
{
    private const string Range = "range: start=0x";
    private const string Acpi = "xc_dom_load_acpi: ";

    /// <summary>Guests that are kept, and pieces of each.</summary>
    private const int Most = 64;

    /// <summary>One of these stands in every line that tells of it.</summary>
    public static readonly string[] Words = [Range, Acpi];

    private readonly List<BuilderMemory> _guests = [];

    public ImmutableArray<BuilderMemory> ToGuests() => [.. _guests];

    /// <summary>Whether the line is of the builder.</summary>
    public bool TryRead(ReadOnlySpan<char> line, int number)
    {
        if (TextCursor.TryBehind(line, Range, out TextCursor cursor))
        {
            if (cursor.TryHex(out ulong start) && cursor.TryText(" end=0x") && cursor.TryHex(out ulong end) && start < end
                && end <= Frames.AddressLimit)
                AddRam(new(ByteRange.FromBounds(start, end), number));
            return true;
        }

        if (!TextCursor.TryBehind(line, Acpi, out cursor))
            return false;
        if (cursor.TryDecimal(out uint bytes) && cursor.TryText(" bytes at address ") && cursor.TryHex(out ulong address) && bytes > 0
            && address <= Frames.AddressLimit - bytes && _guests is [.., var guest] && guest.Acpi.Length < Most)
            _guests[^1] = guest with { Acpi = guest.Acpi.Add(new(ByteRange.FromSize(address, bytes), number)) };
        return true;
    }

    /// <summary>The ranges of a guest ascend, and its first begins at 0.</summary>
    private void AddRam(LogFact<ByteRange> range)
    {
        if (_guests is [.., var last] && last.Acpi.IsEmpty && last.Ram[^1].Value.End <= range.Value.Start && last.Ram.Length < Most)
            _guests[^1] = last with { Ram = last.Ram.Add(range) };
        else if (_guests.Count < Most)
            _guests.Add(new([range], []));
    }
}
