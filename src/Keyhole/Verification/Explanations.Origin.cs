// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <content>Whether the maps of log and forecast are made from a host's.</content>
internal static partial class Explanations
{
    /// <summary>
    /// The piece that an old Linux reserves itself, from its mfn_list to its pt_base: the only one that is no RAM, with RAM on both sides, which
    /// libxl's map of a host's never has. Null where there is none, or the kernel is not known to be so old.
    /// </summary>
    /// <remarks>Source: xen_memory_setup of 2.6.29 (e820_add_region) and of 2.6.32 (reserve_early, which leaves the map as it is); xen-devel, 12
    /// January 2009: "TEXT DATA BSS 0000100000 - 0000812fdc", "INIT_PG_TABLE 0000870000", and the piece between them.</remarks>
    private static E820Entry? OwnPieceIn(LogMap map, ObservedBoot observed)
    {
        const uint firstWithout = 32;
        var release = new TextCursor(observed.Release?.Value);
        if (!release.TryText("2.6.") || !release.TryDecimal(out uint minor) || minor >= firstWithout)
            return null;
        E820Entry[] others = [.. map.Entries.Where(IsTheHosts)];
        return others is [{ Type: E820Type.Reserved } piece] && map.Entries.Any(entry => entry.IsRam && entry.End == piece.Address)
            && map.Entries.Any(entry => entry.IsRam && entry.Address == piece.End) ? piece : null;
    }

    /// <summary>Whether the guest of the log has the host's map and that of the forecast has not, or the reverse; null where both are
    /// alike.</summary>
    private static Phrase? OtherOrigin(BootRequest request, ObservedBoot observed, Plan? plan)
    {
        if (request.IsDom0 || observed.Map is not { } map)
            return null;
        if (OwnPieceIn(map, observed) is { } own)
        {
            return $"Linux before 2.6.32 marks the list of its frames and its start info, which lie behind its kernel, as reserved itself: "
                + $"{Verifier.Range(own.Range)} (line {map.EntryLines[map.Entries.IndexOf(own)]}) is that, and no region of a host's.";
        }

        if (!LibxlPolicy.IsKnownTo(plan?.Host.Traits.XenVersion))
            return null;
        bool isForecast = request.Map.Any(IsTheHosts);
        bool isObserved = map.Entries.Any(IsTheHosts);
        if (isObserved && !isForecast)
        {
            string what = $"The map in the log is made from a host's, the forecast's is not: the guest was started with "
                + $"{(request.Toolstack == Toolstack.Xl ? "e820_host=1 or a pci= entry" : OwnWords.HostMap(request.Toolstack))}.";
            return request.Toolstack == Toolstack.Xl
                ? (Phrase)$"{what} Say so with {Setting.HostMap} or {Setting.Device}, or give its configuration with {Setting.Guest}."
                : (Phrase)$"{what} Say so with {Setting.HostMap}, or give its configuration with {Setting.Guest}.";
        }

        return isForecast && !isObserved && !observed.MapMayBeginLate && !observed.MapMayEndEarly && map.Cuts.IsEmpty && map.Garbled.IsEmpty
            ? "The map in the log is not made from a host's, the forecast's is: the guest was started without "
                + (request.Toolstack == Toolstack.Xl ? "e820_host=1 and without a pci= entry." : $"{OwnWords.HostMap(request.Toolstack)}.")
            : null;
    }
}
