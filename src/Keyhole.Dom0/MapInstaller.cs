// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.E820;

namespace Keyhole.Dom0;

/// <summary>Gives a guest that has never run a map, and takes it back. What was there before is remembered.</summary>
public sealed class MapInstaller(IXenControl xen, AppliedMapStore store)
{
    private const string NothingChanged = "nothing was changed";

    /// <summary>Installs the map. Null when it is in force; otherwise why nothing was changed.</summary>
    /// <param name="earlier">What Keyhole had given the guest before; null where it has the toolstack's own map.</param>
    /// <param name="before">The map in force.</param>
    /// <param name="map">The map to install.</param>
    public XenProblem? Install(LiveGuest guest, AppliedMap? earlier, ImmutableArray<E820Entry> before, LiveMap map)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(map);
        DomainInfo info = guest.Info;
        // Remembered first and installed then: what is remembered but was not installed does no harm.
        var applied = new AppliedMap
        {
            Domain = info.Id,
            Uuid = info.Uuid,
            Policy = map.Policy,
            Installed = map.Map,
            Before = earlier?.Before
            ?? before
        };
        if (store.Save(applied) is { } unsaved)
            return unsaved;
        long result = xen.Calls.SetMemoryMap(info.Id, map.Map.AsSpan());
        if (result >= 0)
            return null;
        if (earlier is not null)
            store.Save(earlier);
        else
            store.Remove(info.Id);
        return XenProblem.Of(guest.Shown, "XENMEM_set_memory_map", result, NothingChanged);
    }

    /// <summary>Puts back what was there before Keyhole's map. Null when it is in force; otherwise why not.</summary>
    public XenProblem? Undo(LiveGuest guest, AppliedMap applied)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(applied);
        long result = xen.Calls.SetMemoryMap(guest.Info.Id, applied.Before.AsSpan());
        return result < 0 ? XenProblem.Of(guest.Shown, "XENMEM_set_memory_map", result, NothingChanged) : store.Remove(guest.Info.Id);
    }
}
