// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.ReservedRam;

/// <summary>What a Linux of today (settled by 6.1) makes of the firmware's map and memmap= parameters, as /proc/iomem shows it.</summary>
internal static class LinuxIomem
{
    private static readonly ByteRange s_pageZero = ByteRange.FromBounds(0, 0x1000);
    private static readonly ByteRange s_biosArea = ByteRange.FromBounds(X86Layout.IsaStart, X86Layout.IsaEnd);

    /// <summary>The kernel's E820 map at the end of its boot, sorted and without overlaps.</summary>
    /// <param name="reserved">The ranges of memmap=SIZE$START parameters.</param>
    /// <param name="kernel">Where the kernel's image lies, for one that does not move out of the way; else empty. It takes its own place back as
    /// RAM.</param>
    public static ImmutableArray<E820Entry> Forecast(ImmutableArray<E820Entry> firmware, ImmutableArray<ByteRange> reserved, ByteRange kernel)
    {
        Given.Array(firmware, nameof(firmware));
        Given.Array(reserved, nameof(reserved));
        List<E820Entry> map = [.. firmware.Where(static entry => !entry.Wraps)];
        foreach (ByteRange range in reserved)
            map.Add(ToEntry(range, E820Type.Reserved));
        map = Settled(map);
        if (!kernel.IsEmpty && !ByteRanges.Subtract([kernel], RamOf(map)).IsEmpty)
            map = Settled([.. WithoutRange(map, kernel, onlyRam: false), ToEntry(kernel, E820Type.Ram)]);
        if (map.Exists(static entry => entry.IsRam && s_pageZero.Overlaps(RangeOf(entry))))
            map.Add(ToEntry(s_pageZero, E820Type.Reserved));
        return [.. Settled(WithoutRange(map, s_biosArea, onlyRam: true))];
    }

    /// <summary>The map's lines in /proc/iomem. Resources of devices, which a real one has besides, are not the map's.</summary>
    public static string ToText(ImmutableArray<E820Entry> map)
    {
        Given.Array(map, nameof(map));
        var text = new StringBuilder();
        foreach (E820Entry entry in map)
            text.Append(ReservedRamMap.Line(RangeOf(entry), IomemSyntax.NameOf(entry.Type) ?? "Unknown E820 type"));
        return text.ToString();
    }

    internal static ImmutableArray<ByteRange> RamOf(IEnumerable<E820Entry> map) =>
        ByteRanges.Union(map.Where(static entry => entry.IsRam && !entry.Wraps).Select(RangeOf));

    internal static ByteRange RangeOf(E820Entry entry) => ByteRange.FromSize(entry.Address, entry.Size);

    private static E820Entry ToEntry(ByteRange range, E820Type type) => E820Entry.FromSize(range.Start, range.SizeBytes, type);

    private static List<E820Entry> WithoutRange(List<E820Entry> map, ByteRange taken, bool onlyRam)
    {
        List<E820Entry> left = [];
        foreach (E820Entry entry in map)
        {
            if (onlyRam && !entry.IsRam)
            {
                left.Add(entry);
                continue;
            }

            foreach (ByteRange range in ByteRanges.Subtract([RangeOf(entry)], [taken]))
                left.Add(ToEntry(range, entry.Type));
        }

        return left;
    }

    private static List<E820Entry> Settled(List<E820Entry> map) => [.. SortedMap.Of([.. map])];
}
