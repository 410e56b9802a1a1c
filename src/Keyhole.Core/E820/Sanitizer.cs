// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.E820;

/// <summary>
/// Linux's <c>sanitize_e820_map</c> (later <c>e820__update_table</c>): sorts a map, resolves overlaps in favour of the highest type
/// number, merges neighbours of the same type. O(n log n), allocates nothing.
/// </summary>
/// <remarks>
/// Its peculiarities are kept because every guest kernel has them: a map of fewer than two entries and a map in which any entry wraps are
/// refused and stay untouched; since 4.1 PRAM (12) is never merged and is split at every edge of another entry inside it; entries of type 0
/// vanish; the result is cut silently when the table is full.
/// </remarks>
public static class Sanitizer
{
    /// <summary>The most entries that are sanitised in place: those of Linux's largest table, and an iBFT area that it adds.</summary>
    public const int MaxInPlace = 384;

    /// <summary>Ints of scratch that a map of <paramref name="entryCount"/> entries needs.</summary>
    public static int ScratchLength(int entryCount) => 4 * entryCount;

    /// <summary>Sanitises the first <paramref name="count"/> entries of <paramref name="map"/> in place.</summary>
    /// <param name="map">The table, at most <see cref="MaxInPlace"/> entries of it in use.</param>
    /// <param name="count">Entries in use on entry.</param>
    /// <param name="limit">The most entries the result may have; at most the length of <paramref name="map"/>.</param>
    /// <param name="newCount">Entries in use on return; <paramref name="count"/> when refused.</param>
    /// <param name="keepsPramApart">PRAM is never merged: since 4.1.</param>
    /// <returns>False, and nothing changed, where Linux returns −1, or when more entries than <see cref="MaxInPlace"/> are in use.</returns>
    public static bool TrySanitizeInPlace(Span<E820Entry> map, int count, int limit, out int newCount, bool keepsPramApart = true)
    {
        newCount = count;
        if (count > MaxInPlace)
            return false;
        Span<E820Entry> source = stackalloc E820Entry[MaxInPlace];
        Span<int> scratch = stackalloc int[4 * MaxInPlace];
        source = source.Slice(0, count);
        map.Slice(0, count).CopyTo(source);
        if (!TrySanitize(source, map.Slice(0, limit), scratch, out int made, keepsPramApart))
            return false;
        newCount = made;
        return true;
    }

    /// <summary>Sanitises <paramref name="source"/> into <paramref name="destination"/>; the two must not overlap.</summary>
    /// <param name="source">The map as it came, in any order.</param>
    /// <param name="destination">Receives the result, cut at its length. Untouched when refused.</param>
    /// <param name="scratch">At least <see cref="ScratchLength"/> ints.</param>
    /// <param name="count">Entries written; 0 when refused.</param>
    /// <param name="keepsPramApart">PRAM is never merged: since 4.1.</param>
    /// <returns>False where Linux returns −1: fewer than two entries, or one that wraps.</returns>
    public static bool TrySanitize(ReadOnlySpan<E820Entry> source, Span<E820Entry> destination, Span<int> scratch, out int count,
        bool keepsPramApart = true)
    {
        count = 0;
        if (source.Length < 2)
            return false;
        foreach (E820Entry entry in source)
        {
            if (entry.Wraps)
                return false;
        }

        Span<int> points = scratch.Slice(0, 2 * source.Length);
        Span<int> heap = scratch.Slice(2 * source.Length, source.Length);
        Span<int> live = scratch.Slice(3 * source.Length, source.Length);
        int pointCount = 0;
        for (int i = 0; i < source.Length; i++)
        {
            if (source[i].Size == 0)
                continue;
            points[pointCount++] = 2 * i;
            points[pointCount++] = (2 * i) + 1;
        }

        points = points.Slice(0, pointCount);
        SortPoints(source, points);
        count = Sweep(source, points, heap, live, keepsPramApart, destination);
        return true;
    }

    /// <summary>One pass over the edges in address order; the heap's top tells the highest type that covers the current address.</summary>
    private static int Sweep(
        ReadOnlySpan<E820Entry> source, ReadOnlySpan<int> points, Span<int> heap, Span<int> live, bool keepsPramApart, Span<E820Entry> destination)
    {
        int made = 0;
        int heapCount = 0;
        E820Type lastType = E820Type.None;
        ulong lastAddress = 0;
        foreach (int point in points)
        {
            int index = point >> 1;
            if ((point & 1) == 0)
            {
                live[index] = 1;
                Push(source, heap, heapCount, index);
                heapCount++;
            }
            else
            {
                live[index] = 0;
            }

            while (heapCount > 0 && live[heap[0]] == 0)
            {
                heapCount--;
                Pop(source, heap, heapCount);
            }

            E820Type type = heapCount == 0 ? E820Type.None : source[heap[0]].Type;
            if (type == lastType && (type != E820Type.Pram || !keepsPramApart))
                continue;
            ulong address = AddressOf(source, point);
            if (lastType != E820Type.None && address != lastAddress)
            {
                // Linux cuts here too, when the entry would have been the first beyond the table.
                if (made == destination.Length)
                    return made;
                destination[made] = E820Entry.FromBounds(lastAddress, address, lastType);
                made++;
            }

            lastAddress = address;
            lastType = type;
        }

        return made;
    }

    private static ulong AddressOf(ReadOnlySpan<E820Entry> source, int point)
    {
        ref readonly E820Entry entry = ref source[point >> 1];
        return (point & 1) == 0 ? entry.Address : entry.End;
    }

    /// <summary>By address; at the same address starts come before ends, so that neighbours of one type merge.</summary>
    private static bool Precedes(ReadOnlySpan<E820Entry> source, int left, int right)
    {
        ulong leftAddress = AddressOf(source, left);
        ulong rightAddress = AddressOf(source, right);
        return leftAddress != rightAddress ? leftAddress < rightAddress : (left & 1) < (right & 1);
    }

    /// <summary>Heap sort: O(n log n) whatever the order, which comes from outside, and without a buffer.</summary>
    private static void SortPoints(ReadOnlySpan<E820Entry> source, Span<int> points)
    {
        for (int root = (points.Length / 2) - 1; root >= 0; root--)
            SiftPoint(source, points, root);
        for (int last = points.Length - 1; last > 0; last--)
        {
            (points[0], points[last]) = (points[last], points[0]);
            SiftPoint(source, points.Slice(0, last), 0);
        }
    }

    private static void SiftPoint(ReadOnlySpan<E820Entry> source, Span<int> points, int root)
    {
        while (true)
        {
            int child = (2 * root) + 1;
            if (child >= points.Length)
                return;
            int above = points[root];
            int below = points[child];
            if (child + 1 < points.Length && points[child + 1] is var other && Precedes(source, below, other))
            {
                child++;
                below = other;
            }

            if (!Precedes(source, above, below))
                return;
            points[root] = below;
            points[child] = above;
            root = child;
        }
    }

    private static void Push(ReadOnlySpan<E820Entry> source, Span<int> heap, int heapCount, int index)
    {
        int child = heapCount;
        heap[child] = index;
        while (child > 0)
        {
            int parent = (child - 1) / 2;
            if (source[heap[parent]].Type >= source[heap[child]].Type)
                return;
            (heap[parent], heap[child]) = (heap[child], heap[parent]);
            child = parent;
        }
    }

    private static void Pop(ReadOnlySpan<E820Entry> source, Span<int> heap, int newCount)
    {
        heap[0] = heap[newCount];
        int root = 0;
        while (true)
        {
            int child = (2 * root) + 1;
            if (child >= newCount)
                return;
            if (child + 1 < newCount && source[heap[child]].Type < source[heap[child + 1]].Type)
                child++;
            if (source[heap[root]].Type >= source[heap[child]].Type)
                return;
            (heap[root], heap[child]) = (heap[child], heap[root]);
            root = child;
        }
    }
}
