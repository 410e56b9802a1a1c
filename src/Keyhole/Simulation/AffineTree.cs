// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Simulation;

/// <summary>A value that a run of keys shares up to the distance from the run's start.</summary>
internal interface IAffine<T>
    where T : struct, IAffine<T>
{
    /// <summary>The value <paramref name="distance"/> keys further on in the same run.</summary>
    T Advance(ulong distance);

    bool Same(in T other);
}

/// <summary>Receives runs of equal (up to <see cref="IAffine{T}.Advance"/>) values, in key order, neighbours merged.</summary>
internal delegate void RunVisitor<T>(ulong start, ulong count, in T first)
    where T : struct, IAffine<T>;

/// <summary>
/// A map from every key below 2^(6·levels) to a value, kept like page tables with superpages: a subtree whose values continue each other is
/// one entry. Reading, writing one key and writing a range cost the tree's depth; memory follows the deviations, not the keys.
/// </summary>
internal sealed class AffineTree<T>
    where T : struct, IAffine<T>
{
    private const int Bits = 6;
    private const int Fanout = 1 << Bits;
    private const int CacheSize = 16;

    private readonly Node _root;
    private readonly int _topShift;
    private readonly Leaf[] _cache = new Leaf[CacheSize];

    /// <summary>A tree in which every key has the default value.</summary>
    public AffineTree(int levels)
    {
        _topShift = Bits * (levels - 1);
        _root = new Node(_topShift > 0);
        Length = KeysAt(levels);
    }

    /// <summary>Keys are below this.</summary>
    public ulong Length { get; }

    public static ulong KeysAt(int levels) => 1UL << (Bits * levels);

    /// <summary>The fewest levels that hold <paramref name="length"/> keys.</summary>
    public static int LevelsFor(ulong length)
    {
        int levels = 1;
        while (levels < 10 && length > KeysAt(levels))
            levels++;
        return levels;
    }

    /// <summary>The value of a key; the default for keys outside the tree.</summary>
    public T Get(ulong key)
    {
        if (key >= Length)
            return default;
        ref readonly Leaf cached = ref _cache[(int)((key >> Bits) & (CacheSize - 1))];
        if (cached.Values is { } values && cached.Base == key >> Bits)
            return values[(int)(key & (Fanout - 1))];
        Node node = _root;
        for (int shift = _topShift; ; shift -= Bits)
        {
            int slot = (int)((key >> shift) & (Fanout - 1));
            if (shift == 0)
                return node.Values[slot];
            if (node.Children![slot] is not { } child)
                return node.Values[slot].Advance(key & ((1UL << shift) - 1));
            node = child;
        }
    }

    /// <summary>The value of a key, to be changed in place. The key must be below <see cref="Length"/>.</summary>
    public ref T Edit(ulong key)
    {
        ref Leaf cached = ref _cache[(int)((key >> Bits) & (CacheSize - 1))];
        if (cached.Values is { } values && cached.Base == key >> Bits)
            return ref values[(int)(key & (Fanout - 1))];
        Node node = _root;
        for (int shift = _topShift; shift > 0; shift -= Bits)
            node = node.Split((int)((key >> shift) & (Fanout - 1)), shift);
        cached.Base = key >> Bits;
        cached.Values = node.Values;
        return ref node.Values[(int)(key & (Fanout - 1))];
    }

    /// <summary>Gives [start, start + count) the values that continue <paramref name="first"/>. The range must lie below
    /// <see cref="Length"/>.</summary>
    public void SetRange(ulong start, ulong count, in T first)
    {
        if (count == 1)
        {
            Edit(start) = first;
            return;
        }

        if (count == 0)
            return;
        // A leaf below the range may go: nothing may be cached of it.
        Array.Clear(_cache);
        Set(_root, _topShift, 0, start, start + count, first);
    }

    /// <summary>Visits the runs that cover [start, start + count), default values included.</summary>
    public void Visit(ulong start, ulong count, RunVisitor<T> visitor)
    {
        var pending = new Run { Visitor = visitor };
        if (count > 0)
            Visit(_root, _topShift, 0, start, start + count, ref pending);
        pending.Flush();
    }

    /// <summary>Whether [start, start + count) is one run that continues the value at its start.</summary>
    public bool IsOneRun(ulong start, ulong count, out T first)
    {
        first = Get(start);
        return count == 1 || Continues(_root, _topShift, 0, start, start + count, first);
    }

    private static bool Continues(Node node, int shift, ulong nodeBase, ulong start, ulong end, in T first)
    {
        int slot = start <= nodeBase ? 0 : (int)((start - nodeBase) >> shift);
        for (; slot < Fanout; slot++)
        {
            ulong from = nodeBase + ((ulong)slot << shift);
            if (from >= end)
                return true;
            if (node.Children?[slot] is { } child)
            {
                if (!Continues(child, shift - Bits, from, start, end, first))
                    return false;
                continue;
            }

            ulong clipped = Math.Max(from, start);
            if (!first.Advance(clipped - start).Same(node.Values[slot].Advance(clipped - from)))
                return false;
        }

        return true;
    }

    private static void Set(Node node, int shift, ulong nodeBase, ulong start, ulong end, in T first)
    {
        ulong size = 1UL << shift;
        int slot = start <= nodeBase ? 0 : (int)((start - nodeBase) >> shift);
        for (; slot < Fanout; slot++)
        {
            ulong from = nodeBase + ((ulong)slot << shift);
            if (from >= end)
                return;
            if (from >= start && end - from >= size)
            {
                node.Values[slot] = first.Advance(from - start);
                if (node.Children is { } children)
                    children[slot] = null;
            }
            else
            {
                Set(node.Split(slot, shift), shift - Bits, from, start, end, first);
            }
        }
    }

    private static void Visit(Node node, int shift, ulong nodeBase, ulong start, ulong end, ref Run pending)
    {
        int slot = start <= nodeBase ? 0 : (int)((start - nodeBase) >> shift);
        for (; slot < Fanout; slot++)
        {
            ulong from = nodeBase + ((ulong)slot << shift);
            if (from >= end)
                return;
            if (node.Children?[slot] is { } child)
            {
                Visit(child, shift - Bits, from, start, end, ref pending);
                continue;
            }

            ulong clippedFrom = Math.Max(from, start);
            ulong clippedEnd = Math.Min(from + (1UL << shift), end);
            pending.Add(clippedFrom, clippedEnd - clippedFrom, node.Values[slot].Advance(clippedFrom - from));
        }
    }

    private struct Leaf
    {
        public ulong Base;
        public T[]? Values;
    }

    private struct Run
    {
        public RunVisitor<T> Visitor;
        private ulong _start;
        private ulong _count;
        private T _first;

        public void Add(ulong start, ulong count, in T first)
        {
            if (_count > 0 && _start + _count == start && _first.Advance(_count).Same(first))
            {
                _count += count;
                return;
            }

            Flush();
            _start = start;
            _count = count;
            _first = first;
        }

        public void Flush()
        {
            if (_count > 0)
                Visitor(_start, _count, _first);
            _count = 0;
        }
    }

    private sealed class Node
    {
        public readonly T[] Values = new T[Fanout];
        public readonly Node?[]? Children;

        public Node(bool hasChildren) => Children = hasChildren ? new Node?[Fanout] : null;

        /// <summary>The child below a slot, made from the slot's run where there was none.</summary>
        public Node Split(int slot, int shift)
        {
            if (Children![slot] is { } there)
                return there;
            int childShift = shift - Bits;
            var child = new Node(childShift > 0);
            T first = Values[slot];
            for (int i = 0; i < Fanout; i++)
                child.Values[i] = first.Advance((ulong)i << childShift);
            Children[slot] = child;
            return child;
        }
    }
}
