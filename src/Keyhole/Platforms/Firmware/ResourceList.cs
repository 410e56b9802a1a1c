// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;

namespace Keyhole.Platforms.Firmware;

/// <summary>The kinds of addresses that edk2 hands out, in its order.</summary>
internal enum ResourceKind
{
    Io,
    Memory32,
    Prefetchable32,
    Memory64,
    Prefetchable64,
}

/// <summary>A request in edk2's tree: a BAR, what a bridge needs for what is behind it, or room kept for hot-plug.</summary>
/// <param name="function">Index of the function; −1 for a root bus.</param>
/// <param name="bar">Index among the function's BARs, or one of the constants.</param>
internal sealed class ResourceNode(int function, int bar, ulong length, ulong alignmentMask, ResourceKind kind)
{
    /// <summary>What a bridge or a root bus needs for what is behind it.</summary>
    public const int Window = -1;

    /// <summary>Room kept behind a bridge for devices that are plugged in later.</summary>
    public const int Padding = -2;

    /// <summary>Room in which one option ROM after the other is read.</summary>
    public const int OptionRom = -3;

    /// <summary>A BAR of the virtual functions, for all of them.</summary>
    public const int Virtual = -4;

    public int Function { get; } = function;

    public int Bar { get; } = bar;

    /// <summary>Which of the virtual functions' BARs it is, where it is one of those.</summary>
    public int VirtualBar { get; init; }

    public ulong Length { get; set; } = length;

    /// <summary>Alignment − 1, as edk2 keeps it.</summary>
    public ulong AlignmentMask { get; set; } = alignmentMask;

    public ResourceKind Kind { get; } = kind;

    /// <summary>From the start of the window that it is in.</summary>
    public ulong Offset { get; set; }

    /// <summary>The largest behind that may be taken away, once somebody looked; what is behind does not change, it is made anew.</summary>
    public ResourceNode? LargestBehind { get; set; }

    public bool IsLargestKnown { get; set; }

    public bool IsPadding => Bar == Padding;

    /// <summary>What is behind; null for anything but a window.</summary>
    public ResourceList? Children { get; init; }

    public bool IsRequested => Length > 0 || Children is { Count: > 0 };

    /// <summary>Place of the insertion among those of the same alignment; see <see cref="ResourceList"/>.</summary>
    internal int Epoch { get; set; }

    internal int Sequence { get; set; }

    internal ulong Rest => Length & AlignmentMask;
}

/// <summary>
/// edk2's list of requests: largest alignment first. Among equal ones a request whose length is a multiple of the alignment goes in front of all;
/// another one goes in front of the first that leaves no larger rest. (edk2 finds the place by walking the list; here the list is sorted once it is
/// read.)
/// </summary>
/// <remarks>
/// Why one sort gives the same order: a request without a rest goes to the very front, and no later one can pass it, for every rest is at least its
/// own of 0. So those requests cut the list into stretches that no later insertion reaches; within the front stretch the rests always fall. The
/// stretch is the epoch.
/// </remarks>
internal sealed class ResourceList
{
    private readonly List<ResourceNode> _nodes = [];

    /// <summary>For each alignment how many requests without a rest there are.</summary>
    private readonly int[] _epochs = new int[65];
    private int _sequence;
    private bool _isSorted = true;

    public int Count => _nodes.Count;

    public void Insert(ResourceNode node)
    {
        int bits = System.Numerics.BitOperations.PopCount(node.AlignmentMask);
        node.Epoch = node.Rest == 0 ? ++_epochs[bits] : _epochs[bits];
        node.Sequence = ++_sequence;
        _nodes.Add(node);
        _isSorted = _nodes.Count == 1;
    }

    /// <summary>Takes everything out of another list, first to last.</summary>
    public void Merge(ResourceList other)
    {
        foreach (ResourceNode node in other.Ordered())
            Insert(node);
        other._nodes.Clear();
        Array.Clear(other._epochs);
        other._isSorted = true;
    }

    public List<ResourceNode> Ordered()
    {
        if (!_isSorted)
            _nodes.Sort(Compare);
        _isSorted = true;
        return _nodes;
    }

    private static int Compare(ResourceNode a, ResourceNode b)
    {
        if (a.AlignmentMask != b.AlignmentMask)
            return b.AlignmentMask.CompareTo(a.AlignmentMask);
        if (a.Epoch != b.Epoch)
            return b.Epoch.CompareTo(a.Epoch);
        // The one without a rest began the epoch: all that came after it stand in front.
        if (a.Rest == 0 || b.Rest == 0)
            return (a.Rest == 0).CompareTo(b.Rest == 0);
        return a.Rest != b.Rest ? b.Rest.CompareTo(a.Rest) : b.Sequence.CompareTo(a.Sequence);
    }
}
