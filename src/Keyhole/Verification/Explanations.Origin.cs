// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <content>Whether the maps of log and forecast are made from a host's.</content>
internal static partial class Explanations
{
    /// <summary>Whether the guest of the log has the host's map and that of the forecast has not, or the reverse; null where both are
    /// alike.</summary>
    private static Phrase? OtherOrigin(BootRequest request, ObservedBoot observed)
    {
        if (request.IsDom0 || observed.Map is not { } map)
            return null;
        bool isForecast = request.Map.Any(IsTheHosts);
        bool isObserved = map.Entries.Any(IsTheHosts);
        if (isObserved && !isForecast)
        {
            string what = $"The map in the log is made from a host's, the forecast's is not: the guest was started with "
                + $"{(request.Toolstack == Toolstack.Xl ? "e820_host=1 or a pci= entry" : OwnWords.HostMap(request.Toolstack))}.";
            return $"{what} Say so with {Setting.HostMap} or {Setting.Device}, or give its configuration with {Setting.Guest}.";
        }

        return isForecast && !isObserved && !observed.MapMayBeginLate && !observed.MapMayEndEarly
            ? "The map in the log is not made from a host's, the forecast's is: the guest was started without "
                + (request.Toolstack == Toolstack.Xl ? "e820_host=1 and without a pci= entry." : $"{OwnWords.HostMap(request.Toolstack)}.")
            : null;
    }
}
