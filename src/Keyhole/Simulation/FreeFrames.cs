// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Numerics;
using Keyhole.Addresses;

namespace Keyhole.Simulation;

/// <summary>
/// The frames that nobody owns. Takes aligned blocks of 2^order frames from the top or the bottom, and gives any run back, at the cost of the tree's
/// depth; a subtree that is wholly free or wholly taken is one bit.
/// </summary>
internal sealed class FreeFrames
{
    private const int Bits = 6;
    private const int Fanout = 1 << Bits;
    private const int None = -1;

    private readonly Node _root;
    private readonly int _topShift;
    private readonly Stack<Node>[] _spare;

    /// <summary>Room for frames below <paramref name="length"/>, none of them free.</summary>
    public FreeFrames(ulong length)
    {
        int levels = 1;
        while (length > 1UL << (Bits * levels))
            levels++;
        _topShift = Bits * (levels - 1);
        _spare = new Stack<Node>[levels];
        for (int i = 0; i < levels; i++)
            _spare[i] = new Stack<Node>();
        _root = new Node(_topShift > 0);
    }

    /// <summary>The bits that are multiples of 2^index.</summary>
    private static ReadOnlySpan<ulong> AlignedBits =>
        [ulong.MaxValue, 0x5555_5555_5555_5555, 0x1111_1111_1111_1111, 0x0101_0101_0101_0101, 0x0001_0001_0001_0001, 0x0000_0001_0000_0001, 1];

    /// <summary>Free frames.</summary>
    public ulong Count { get; private set; }

    /// <summary>Takes one aligned block, the highest or the lowest there is. False, and nothing changed, where there is none.</summary>
    public bool TryTake(int order, bool highest, out ulong start)
    {
        start = 0;
        if (order >= Bits + _topShift || _root.LargestOrder(_topShift) < order)
            return false;
        start = Take(_root, _topShift, order, highest);
        Count -= 1UL << order;
        return true;
    }

    public bool IsFree(ulong frame)
    {
        Node node = _root;
        if (frame >> _topShift >= Fanout)
            return false;
        for (int shift = _topShift; ; shift -= Bits)
        {
            int slot = (int)((frame >> shift) & (Fanout - 1));
            if ((node.Full >> slot & 1) != 0)
                return true;
            if (node.Children?[slot] is not { } child)
                return false;
            node = child;
        }
    }

    /// <summary>Gives a run back. None of it may be free.</summary>
    public void Release(ulong start, ulong count)
    {
        if (count == 0)
            return;
        Set(_root, _topShift, 0, start, start + count, true);
        Count += count;
    }

    /// <summary>Takes a run, all of which must be free.</summary>
    public void TakeRange(ulong start, ulong count)
    {
        if (count == 0)
            return;
        Set(_root, _topShift, 0, start, start + count, false);
        Count -= count;
    }

    /// <summary>The free runs in ascending order.</summary>
    public List<MfnRange> Runs()
    {
        var runs = new List<MfnRange>();
        Collect(_root, _topShift, 0, runs);
        return runs;
    }

    private static void Collect(Node node, int shift, ulong nodeBase, List<MfnRange> runs)
    {
        for (int slot = 0; slot < Fanout; slot++)
        {
            ulong from = nodeBase + ((ulong)slot << shift);
            if ((node.Full >> slot & 1) != 0)
            {
                if (runs.Count > 0 && runs[^1].End.Value == from)
                    runs[^1] = MfnRange.FromCount(runs[^1].Start, runs[^1].Count + (1UL << shift));
                else
                    runs.Add(MfnRange.FromCount(new Mfn(from), 1UL << shift));
            }
            else if (node.Children?[slot] is { } child)
            {
                Collect(child, shift - Bits, from, runs);
            }
        }
    }

    private ulong Take(Node node, int shift, int order, bool highest)
    {
        if (order >= shift)
        {
            ulong starts = AlignedRuns(node.Full, order - shift);
            int slot = highest ? BitOperations.Log2(starts) : BitOperations.TrailingZeroCount(starts);
            int width = 1 << (order - shift);
            node.Full &= ~((width == Fanout ? ulong.MaxValue : (1UL << width) - 1) << slot);
            return (ulong)slot << shift;
        }

        int chosen = node.Choose(order, highest);
        Node child = (node.Full >> chosen & 1) != 0 ? Open(node, chosen, shift, true) : node.Children![chosen]!;
        ulong within = Take(child, shift - Bits, order, highest);
        Close(node, chosen, shift, child);
        return ((ulong)chosen << shift) + within;
    }

    private void Set(Node node, int shift, ulong nodeBase, ulong start, ulong end, bool free)
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
                node.Full = free ? node.Full | (1UL << slot) : node.Full & ~(1UL << slot);
                continue;
            }

            Node child = node.Children![slot] ?? Open(node, slot, shift, (node.Full >> slot & 1) != 0);
            Set(child, shift - Bits, from, start, end, free);
            Close(node, slot, shift, child);
        }
    }

    /// <summary>Replaces a slot that is wholly free or wholly taken by a child that says the same.</summary>
    private Node Open(Node node, int slot, int shift, bool free)
    {
        Stack<Node> spare = _spare[(shift - Bits) / Bits];
        Node child = spare.Count > 0 ? spare.Pop() : new Node(shift > Bits);
        child.Full = free ? ulong.MaxValue : 0;
        node.Full &= ~(1UL << slot);
        node.Children![slot] = child;
        node.Mixed |= 1UL << slot;
        return child;
    }

    /// <summary>After a child changed: drops it where one bit says it all, else notes the largest block in it.</summary>
    private void Close(Node node, int slot, int shift, Node child)
    {
        if (child.Mixed != 0 || (child.Full != 0 && child.Full != ulong.MaxValue))
        {
            node.Orders![slot] = (sbyte)child.LargestOrder(shift - Bits);
            return;
        }

        if (child.Full != 0)
            node.Full |= 1UL << slot;
        node.Mixed &= ~(1UL << slot);
        node.Children![slot] = null;
        node.Orders![slot] = None;
        _spare[(shift - Bits) / Bits].Push(child);
    }

    /// <summary>Of the bits at which an aligned run of 2^order set bits starts, those at which one of 2^(order + 1) does.</summary>
    private static ulong Doubled(ulong starts, int order) => starts & (starts >> (1 << order)) & AlignedBits[order + 1];

    /// <summary>Bits at which an aligned run of 2^order set bits starts.</summary>
    private static ulong AlignedRuns(ulong bits, int order)
    {
        for (int doubled = 0; doubled < order; doubled++)
            bits = Doubled(bits, doubled);
        return bits;
    }

    private sealed class Node
    {
        public readonly Node?[]? Children;
        public readonly sbyte[]? Orders;

        /// <summary>Slots that are wholly free.</summary>
        public ulong Full;

        /// <summary>Slots with a child, neither wholly free nor wholly taken.</summary>
        public ulong Mixed;

        public Node(bool hasChildren)
        {
            if (!hasChildren)
                return;
            Children = new Node?[Fanout];
            Orders = new sbyte[Fanout];
            Array.Fill(Orders, (sbyte)None);
        }

        public int LargestOrder(int shift)
        {
            if (Full != 0)
            {
                int order = 0;
                for (ulong starts = Doubled(Full, 0); starts != 0; starts = order < Bits ? Doubled(starts, order) : 0)
                    order++;
                return shift + order;
            }

            int largest = None;
            for (ulong rest = Mixed; rest != 0; rest &= rest - 1)
                largest = Math.Max(largest, Orders![BitOperations.TrailingZeroCount(rest)]);
            return largest;
        }

        /// <summary>The highest or lowest slot that holds a block of an order below the slot's own size.</summary>
        public int Choose(int order, bool highest)
        {
            ulong rest = Full | Mixed;
            while (true)
            {
                int slot = highest ? BitOperations.Log2(rest) : BitOperations.TrailingZeroCount(rest);
                if ((Full >> slot & 1) != 0 || Orders![slot] >= order)
                    return slot;
                rest &= ~(1UL << slot);
            }
        }
    }
}
