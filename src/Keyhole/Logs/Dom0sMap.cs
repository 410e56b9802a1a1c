// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>
/// What dom0's kernel prints of its map tells what Xen added to the firmware's: the best witness for IOMMU and APIC pages, where a log has it.
/// </summary>
internal static class Dom0sMap
{
    /// <summary>
    /// Whole pages above 1 MiB that dom0 has reserved and the firmware's map does not name. Only from the first kernel behind Xen's map, and
    /// only if it has all that the firmware reserves: the map of another guest would not. Where lines of the firmware's map are lost it may name
    /// them.
    /// </summary>
    /// <param name="lost">Where lines of the firmware's map are lost.</param>
    public static ImmutableArray<PfnRange> DeniedBy(LogScan scan, LogMap firmware, ImmutableArray<ByteRange> lost)
    {
        foreach (LogMap map in scan.Maps)
        {
            if (map.Kind != LogMapKind.GuestKernel || map.Line < firmware.Line || map.Error is not null)
                continue;
            return IsOfThisHost(map.Entries, firmware.Entries) ? Additions(map.Entries, firmware.Entries, lost) : [];
        }

        return [];
    }

    /// <summary>Whether what a kernel under Xen made of its map has all that a firmware's reserves.</summary>
    public static bool IsOfThisHost(ImmutableArray<E820Entry> dom0, ImmutableArray<E820Entry> firmware)
    {
        foreach (E820Entry entry in firmware)
        {
            // dom0 takes UNUSABLE for RAM, and reserves the first MiB as it likes.
            if (entry.Address >= X86Layout.OneMiB && entry.Size != 0 && entry.Type is not (E820Type.Ram or E820Type.Unusable)
                && !IsCovered(dom0, entry))
                return false;
        }

        return true;
    }

    private static bool IsCovered(ImmutableArray<E820Entry> map, E820Entry wanted)
    {
        foreach (E820Entry entry in map)
        {
            if (entry.Type == wanted.Type && entry.Address <= wanted.Address && entry.End >= wanted.End)
                return true;
        }

        return false;
    }

    private static ImmutableArray<PfnRange> Additions(ImmutableArray<E820Entry> dom0, ImmutableArray<E820Entry> firmware,
        ImmutableArray<ByteRange> lost)
    {
        var added = ImmutableArray.CreateBuilder<PfnRange>();
        ImmutableArray<PfnRange> gaps = MachineMap.GapsOf(firmware.Sort(static (left, right) => left.Address.CompareTo(right.Address)));
        foreach (E820Entry entry in dom0)
        {
            if (entry.Type != E820Type.Reserved || entry.Address < X86Layout.OneMiB)
                continue;
            foreach (PfnRange gap in gaps)
            {
                PfnRange part = PfnRange.FromBounds(Pfn.Containing(entry.Address), Pfn.AtOrAbove(entry.End)).Intersect(gap);
                if (!part.IsEmpty && !lost.Any(range => range.Overlaps(ByteRange.FromFrames(part))))
                    added.Add(part);
            }
        }

        return added.ToImmutable();
    }
}
