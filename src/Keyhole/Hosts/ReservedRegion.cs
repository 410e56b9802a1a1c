// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Hosts;

/// <summary>
/// A range of device addresses that the IOMMU keeps for the platform: [Start, End) in bytes, below 2^52. <c>direct</c> ones are RMRRs, which a device
/// reaches whoever owns it; <c>msi</c> is where interrupts go.
/// </summary>
/// <param name="Type">Linux's word: direct, direct-relaxable, reserved, msi.</param>
public readonly record struct ReservedRegion(ulong Start, ulong End, string Type)
{
    /// <summary>Regions that are kept: a group has a handful.</summary>
    public const int MaxCount = 4096;

    /// <summary>The word for an RMRR.</summary>
    public const string Direct = "direct";

    private const int MaxTypeLength = 32;

    /// <summary>Reserved device memory that a log tells, as a region.</summary>
    public static ReservedRegion OfDeviceMemory(PfnRange pages) => new(pages.Start.ToAddress(), pages.End.ToAddress(), Direct);

    /// <summary>Reads <c>/sys/kernel/iommu_groups/*/reserved_regions</c>: <c>0x… 0x… type</c>, the end inclusive.</summary>
    public static Parsed<ReservedRegionList> Read(Stream stream, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sourceName);
        var text = new TextLines(default, stream);
        var regions =
            new SortedSet<(ulong Start, ulong End, string Type)>(Comparer<(ulong Start, ulong End, string Type)>.Create(static (left, right) =>
        {
            int order = left.Start.CompareTo(right.Start);
            if (order == 0)
                order = left.End.CompareTo(right.End);
            return order != 0 ? order : string.CompareOrdinal(left.Type, right.Type);
        }));
        while (text.TryRead(out ReadOnlySpan<char> line))
        {
            ReadOnlySpan<char> content = line.Trim();
            if (content.IsEmpty)
                continue;
            TextCursor cursor = new(content);
            if (!cursor.TryText("0x") || !cursor.TryHex(out ulong start) || !cursor.TryText(" 0x") || !cursor.TryHex(out ulong last)
                || !cursor.TryText(" ")
                || last < start || cursor.Rest.IsEmpty)
            {
                return InputError.Malformed(sourceName, text.Number, $"{InputError.Quote(content)} is not a valid reserved region",
                    "a row is 0xSTART 0xEND TYPE, as Linux writes it");
            }

            if (start >= Frames.AddressLimit)
                continue;
            if (regions.Count == MaxCount)
                return InputError.TooLarge(sourceName, text.Number, $"more than {MaxCount} regions", "check the file");
            regions.Add((start, Math.Min(last, Frames.AddressLimit - 1) + 1, InputError.OneLine(cursor.Rest, MaxTypeLength)));
        }

        var list = ImmutableArray.CreateBuilder<ReservedRegion>();
        foreach ((ulong start, ulong end, string type) in regions)
            list.Add(new(start, end, type));
        return new ReservedRegionList(list.ToImmutable());
    }
}

/// <summary>Reserved regions by address, none twice.</summary>
public sealed record ReservedRegionList(ImmutableArray<ReservedRegion> Regions);
