// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Drawing;

/// <summary>The columns of the verbs' drawings, in pictures as in text: what lines that a host's source has lost decide is not known in any of
/// them.</summary>
public static class DrawnMaps
{
    /// <summary>A host's own map.</summary>
    public static DrawnMap OfHost(Host host)
    {
        ArgumentNullException.ThrowIfNull(host);
        return new("host", host.Entries) { NotKnown = host.LostRanges };
    }

    /// <summary>The host's map with Xen's additions, but where lines of it are lost: what Xen adds there depends on them.</summary>
    public static DrawnMap OfMachine(Plan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        // Xen itself gave the whole of the map.
        return !plan.Host.MachineEntries.IsEmpty || plan.MachineMap.IsEmpty ? new("host", plan.MachineMap)
            : new("host", MachineMap.Known(plan.MachineMap, plan.Host)) { NotKnown = plan.Host.LostRanges };
    }

    /// <summary>The guest's map.</summary>
    public static DrawnMap OfGuest(Plan plan, string title = "guest")
    {
        ArgumentNullException.ThrowIfNull(plan);
        return new(title, plan.Map) { NotKnown = plan.NotKnownRanges };
    }

    /// <summary>The machine's map, the one that the kernel is given unless it is dom0's, and what it makes of it.</summary>
    public static ImmutableArray<DrawnMap> OfBoot(Plan plan, BootForecast forecast)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(forecast);
        ImmutableArray<DrawnMap> columns = plan.MachineMap.IsEmpty ? [] : [OfMachine(plan)];
        if (!forecast.Request.IsDom0)
        {
            columns = columns.Add(new("map given", forecast.Request.Map)
            {
                NotKnown = forecast.Readings.IsEmpty ? []
                    : MapReadings.Differences([.. forecast.Readings.Select(static reading => reading.Request.Map)]),
            });
        }

        return forecast.KernelMap.IsEmpty ? columns
            : columns.Add(new($"map of {KernelReleases.NameOf(forecast.Request.Kernel)}", forecast.KernelMap) { NotKnown = forecast.NotKnownRanges });
    }
}
