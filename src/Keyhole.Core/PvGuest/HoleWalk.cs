// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.PvGuest;

/// <summary>
/// Goes through the runs of a sorted map that are not RAM, gaps included, each rounded outward to whole frames (xen_foreach_remap_area).
/// The last entry of the map ends the walk: what lies behind it is no run.
/// </summary>
internal ref struct HoleWalk
{
    private readonly ReadOnlySpan<E820Entry> _map;
    private int _next;
    private ulong _start;

    public HoleWalk(ReadOnlySpan<E820Entry> map) => _map = map;

    public PfnRange Current { get; private set; }

    public bool MoveNext()
    {
        while (_next < _map.Length)
        {
            E820Entry entry = _map[_next];
            bool isLast = _next == _map.Length - 1;
            _next++;
            if (!entry.IsRam && !isLast)
                continue;
            Current = PfnRange.FromBounds(Pfn.Containing(_start), Pfn.AtOrAbove(entry.IsRam ? entry.Address : entry.End));
            _start = entry.End;
            if (!Current.IsEmpty)
                return true;
        }

        return false;
    }
}
