// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Logs;

/// <summary>Which of a log's boots is looked at where nobody says it: the one behind the host's map, or the one that tells of its memory. Mails quote
/// the end of a boot, or its first lines, before the log that they bring.</summary>
internal static class BootChoice
{
    /// <summary>Of boots of one kind; a boot that tells more comes before one that tells less, else the first.</summary>
    private enum Worth
    {
        /// <summary>A kernel that names itself, and no more.</summary>
        Name,

        /// <summary>An end alone, of which the log does not show to which boot it belongs.</summary>
        End,

        /// <summary>What can be compared.</summary>
        Memory,
    }

    /// <summary>Null where no boot of the log is of the kind.</summary>
    /// <param name="boots">All of one log.</param>
    /// <param name="wantsDom0">dom0's boot, else a guest's.</param>
    /// <param name="hostMap">The map of this very log that is taken for the host's; null for a map from elsewhere.</param>
    public static ObservedBoot? Of(ImmutableArray<ObservedBoot> boots, bool wantsDom0, LogMap? hostMap)
    {
        if (wantsDom0 && hostMap is { } map && boots.FirstOrDefault(boot => IsBehind(boot, map)) is { } behind)
            return behind;
        BootOwner owner = wantsDom0 ? BootOwner.Dom0 : BootOwner.Guest;
        // Several maps that are quoted, one with what its kernel says further: the others are there for comparison.
        return boots.Where(boot => boot.Owner == owner).MaxBy(WorthOf)
            ?? boots.Where(static boot => boot.Owner == BootOwner.Unknown && !IsMapAlone(boot)).MaxBy(WorthOf)
            ?? boots.FirstOrDefault(static boot => boot.Owner == BootOwner.Unknown);
    }

    /// <summary>Why that boot was chosen and not the first one; null where it is the first of its kind.</summary>
    public static Phrase? WhyNotTheFirst(ImmutableArray<ObservedBoot> boots, ObservedBoot chosen, LogMap? hostMap)
    {
        ObservedBoot? first = boots.FirstOrDefault(boot => boot.Owner == chosen.Owner
            && (boot.Owner != BootOwner.Unknown || !IsMapAlone(boot)));
        if (first is null || first.Number >= chosen.Number)
            return null;
        string why = hostMap is { } map && IsBehind(chosen, map)
            ? string.Create(CultureInfo.InvariantCulture, $"The host's map (line {map.Line}) is of boot {chosen.Number}: that one is looked at.")
            : string.Create(CultureInfo.InvariantCulture,
                $"Boot {chosen.Number} is looked at, the first that tells of its memory.");
        return $"{why} Boot {first.Number} (line {first.FirstLine}){EndOf(first)} can be taken with {Setting.BootNumber} {first.Number}.";
    }

    private static bool IsBehind(ObservedBoot boot, LogMap map) =>
        boot.Owner != BootOwner.Guest && map.Domain is null && boot.FirstLine <= map.Line && boot.LastLine >= map.Line;

    private static Worth WorthOf(ObservedBoot boot)
    {
        BootFacts facts = boot.Facts;
        bool tellsMemory = boot.Map is not null || facts is { PanicMessage: not null } or { Released: not null } or { Remapped: not null }
            or { IdentitySet: not null } or { PciGap: not null } or { Memory: not null } or { Ramdisk: not null }
            || !facts.Freed.IsEmpty || !facts.Populated.IsEmpty || !facts.FailedClaims.IsEmpty;
        // A kernel that names itself and ends is a boot that died early.
        return tellsMemory || (boot.Release is not null && boot.Halts) ? Worth.Memory
            : boot.Halts || boot.EndedLater is not null ? Worth.End : Worth.Name;
    }

    private static string EndOf(ObservedBoot boot) => boot.BootFailure is { } end
        ? string.Create(CultureInfo.InvariantCulture, $", which ends with {InputError.Quote(end.Value.Words)},") : "";

    private static bool IsMapAlone(ObservedBoot boot) =>
        boot is { MapMayBeginLate: true, Halts: false, Map.EntryLines: [.., var last] } && boot.LastLine == last;
}
