// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;

namespace Keyhole.Simulation;

/// <summary>Which machine frames the domain builder gives a new domain, in pfn order. The default is <see cref="Ascending"/>.</summary>
internal readonly struct FramePlacement : IEquatable<FramePlacement>
{
    private enum Order
    {
        Ascending,
        Descending,
        Shuffled,
    }

    private const int MaxExtentOrder = 30;

    private readonly Order _order;
    private readonly int _extentOrder;
    private readonly ulong _seed;

    private FramePlacement(Order order, int extentOrder, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(extentOrder);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(extentOrder, MaxExtentOrder);
        _order = order;
        _extentOrder = extentOrder;
        _seed = seed;
    }

    /// <summary>The lowest free frames, ascending: one run where memory has one.</summary>
    public static FramePlacement Ascending => default;

    /// <summary>
    /// Extents of 2^<paramref name="extentOrder"/> frames from the top of memory downwards, as Xen's allocator mostly gives them to the builder;
    /// within an extent frames ascend. 9 is the 2 MiB that libxl's builder asks for, 0 is wholly descending.
    /// </summary>
    public static FramePlacement Descending(int extentOrder = 9) => new(Order.Descending, extentOrder, 0);

    /// <summary>The lowest free frames cut into extents of 2^<paramref name="extentOrder"/>, which are then shuffled; the same seed gives the same
    /// order.</summary>
    public static FramePlacement Shuffled(ulong seed, int extentOrder = 0) => new(Order.Shuffled, extentOrder, seed);

    /// <inheritdoc/>
    public bool Equals(FramePlacement other) => _order == other._order && _extentOrder == other._extentOrder && _seed == other._seed;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is FramePlacement other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_order, _extentOrder, _seed);

    public static bool operator ==(FramePlacement left, FramePlacement right) => left.Equals(right);

    public static bool operator !=(FramePlacement left, FramePlacement right) => !left.Equals(right);

    /// <summary>Chooses <paramref name="pageCount"/> of the free frames; there must be as many.</summary>
    internal List<MfnRange> Choose(List<MfnRange> free, ulong pageCount)
    {
        var chosen = new List<MfnRange>();
        if (_order == Order.Descending)
            TakeDescending(free, pageCount, chosen);
        else
            TakeAscending(free, pageCount, chosen);
        if (_order == Order.Shuffled)
            Shuffle(chosen);
        return chosen;
    }

    private void TakeAscending(List<MfnRange> free, ulong pageCount, List<MfnRange> chosen)
    {
        ulong extent = _order == Order.Shuffled ? 1UL << _extentOrder : 0;
        foreach (MfnRange run in free)
        {
            ulong start = run.Start.Value;
            while (pageCount > 0 && start < run.End.Value)
            {
                ulong left = run.End.Value - start;
                ulong count = Math.Min(pageCount, extent == 0 ? left : Math.Min(left, extent - (start & (extent - 1))));
                chosen.Add(MfnRange.FromCount(new Mfn(start), count));
                start += count;
                pageCount -= count;
            }
        }
    }

    private void TakeDescending(List<MfnRange> free, ulong pageCount, List<MfnRange> chosen)
    {
        ulong extent = 1UL << _extentOrder;
        for (int i = free.Count - 1; i >= 0; i--)
        {
            ulong end = free[i].End.Value;
            while (pageCount > 0 && end > free[i].Start.Value)
            {
                ulong left = end - free[i].Start.Value;
                ulong count = Math.Min(pageCount, Math.Min(left, ((end - 1) & (extent - 1)) + 1));
                end -= count;
                chosen.Add(MfnRange.FromCount(new Mfn(end), count));
                pageCount -= count;
            }
        }
    }

    private void Shuffle(List<MfnRange> chosen)
    {
        ulong state = _seed;
        for (int i = chosen.Count - 1; i > 0; i--)
        {
            int other = (int)(SplitMix64.Next(ref state) % (ulong)(i + 1));
            (chosen[i], chosen[other]) = (chosen[other], chosen[i]);
        }
    }
}
