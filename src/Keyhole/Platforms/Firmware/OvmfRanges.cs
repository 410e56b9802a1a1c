// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Numerics;
using Keyhole.Addresses;

namespace Keyhole.Platforms.Firmware;

/// <summary>How OVMF gives each root its ranges: kind by kind, the lowest that is free.</summary>
internal static class OvmfRanges
{
    public static SortedSet<ResourceKind> Allocate(
        OvmfWindows windows, ResourceNode[][] pools, ulong?[,] bases, HashSet<(int Root, ResourceKind Kind)> stale)
    {
        List<(ulong Start, ulong End, bool IsIo)> taken = [.. windows.Reserved.Select(static range => (range.Start, range.End, false))];
        var failed = new SortedSet<ResourceKind>();
        for (int root = 0; root < pools.Length; root++)
        {
            ResourceNode[] pool = pools[root];
            // Largest alignment first; of equal ones the later kind.
            var order = new List<int> { 0, 1, 2, 3, 4 };
            order.Sort((a, b) => pool[a].AlignmentMask != pool[b].AlignmentMask ? pool[b].AlignmentMask.CompareTo(pool[a].AlignmentMask)
                : b.CompareTo(a));
            foreach (int kind in order)
            {
                ResourceNode wanted = pool[kind];
                var key = (root, (ResourceKind)kind);
                if (!wanted.IsRequested)
                {
                    if (stale.Contains(key))
                        failed.Add(key.Item2);
                    continue;
                }

                bases[root, kind] = Find(windows, wanted, taken);
                if (bases[root, kind] is { } at)
                {
                    taken.Add((at, at + wanted.Length, wanted.Kind == ResourceKind.Io));
                    stale.Remove(key);
                }
                else
                {
                    failed.Add(key.Item2);
                    stale.Add(key);
                }
            }
        }

        return failed;
    }

    private static ulong? Find(OvmfWindows windows, ResourceNode wanted, List<(ulong Start, ulong End, bool IsIo)> taken)
    {
        if (wanted.Kind == ResourceKind.Io)
            return Find(wanted, windows.Io, 15, taken);
        if (wanted.Kind == ResourceKind.Memory64 && windows.High is { } high && Find(wanted, high, 63, taken) is { } at)
            return at;
        return Find(wanted, windows.Low, 31, taken);
    }

    /// <summary>The lowest free range in a window.</summary>
    private static ulong? Find(ResourceNode wanted, ByteRange window, int mostAlignmentBits, List<(ulong Start, ulong End, bool IsIo)> taken)
    {
        ulong alignment = wanted.AlignmentMask + 1;
        ulong step = 1UL << Math.Min(mostAlignmentBits, BitOperations.Log2(alignment));
        ulong at = Align.Up(window.Start, alignment);
        while (at >= window.Start && at < window.End && wanted.Length <= window.End - at)
        {
            ulong free = at;
            foreach ((ulong start, ulong end, bool isIo) in taken)
            {
                if (isIo == (wanted.Kind == ResourceKind.Io) && at < end && start < at + wanted.Length)
                    free = Math.Max(free, Align.Up(end, step));
            }

            if (free == at)
                return at;
            at = free;
        }

        return null;
    }
}
