// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenHvm;

namespace Keyhole.Verification;

/// <summary>RAM of an HVM guest that hvmloader moved above 4 GiB by its own words, where the forecast leaves it: libxl forbids it, as QEMU does not
/// learn of it.</summary>
/// <remarks>Source: Xen's tools/firmware/hvmloader/pci.c; the records <c>moved</c> and <c>moved-linux</c> of tests/fixtures/hvm.</remarks>
internal static class MovedRam
{
    private const ulong MiB = 1UL << 20;

    /// <summary>What the lines explain, and what to change; empty where they do not explain to the last page what differs of the map.</summary>
    public static ImmutableArray<Phrase> Of(Plan plan, ObservedBoot observed, LogScan scan, ImmutableArray<Finding> findings)
    {
        if (plan.Guest.Type != GuestType.Hvm || !findings.Any(static finding => !finding.Agrees && IsOfMap(finding)))
            return [];
        ImmutableArray<MovedRamSighting> moves = LastIn(scan.Pci, observed);
        if (moves.IsEmpty || WithMoved(plan, moves) is not { } moved
            || !FirmwareVerifier.CompareOnly(moved, observed, scan, []).Findings.All(static finding => finding.Agrees || !IsOfMap(finding)))
            return [];
        ByteRange range = ByteRange.FromBounds(moves[^1].From, EndOf(moves[0]));
        string lines = moves.Length == 1 ? $"line {moves[0].Line}" : $"lines {moves[0].Line} to {moves[^1].Line}";
        string pages = (range.SizeBytes >> Frames.Shift).ToString("#,0", CultureInfo.InvariantCulture);
        string size = $"{pages} pages ({ByteSize.ToText(range.SizeBytes)})";
        string what = $"hvmloader moved the RAM at {Verifier.Range(range)}, {size}, above 4 GiB to make room for BARs ({lines}): what differs of "
            + "the map comes of that. libxl forbids it (hvmloader/allow-memory-relocate in xenstore) but for a QEMU in a stubdomain before Xen "
            + "4.17.4 and 4.18.1; QEMU does not learn of it, so that BARs in that range are not reached (a network card passed through reads as "
            + "ones only), and the guest may crash.";
        return Hole(plan.Scenario, moved, range.Start) is { } mib
            ? [what, $"What to change: {HvmStubDomain.WithHole(plan.Scenario, mib)}."] : [what];
    }

    private static bool IsOfMap(Finding finding) => finding.What is MapComparison.What or FirmwareVerifier.GapWhat;

    private static ulong EndOf(MovedRamSighting move) => move.From + (move.Pages << Frames.Shift);

    /// <summary>hvmloader moves the last pages first, each part right below the one before; of several starts of a guest the last one.</summary>
    private static ImmutableArray<MovedRamSighting> LastIn(PciLog log, ObservedBoot observed)
    {
        MovedRamSighting[] own = [.. log.MovedRam.Where(move => move.Line <= observed.LastLine
            && (observed.Domain is null || move.Domain == observed.Domain))];
        if (own.Select(static move => move.Domain).Distinct().Count() != 1)
            return [];
        int first = own.Length - 1;
        while (first > 0 && EndOf(own[first]) == own[first - 1].From && own[first].To == own[first - 1].To + (own[first - 1].Pages << Frames.Shift))
            first--;
        return [.. own[first..]];
    }

    /// <summary>The plan with RAM moved as the lines say; null where that is no RAM of the plan's.</summary>
    private static Plan? WithMoved(Plan plan, ImmutableArray<MovedRamSighting> moves)
    {
        ulong end = EndOf(moves[0]);
        ulong bytes = end - moves[^1].From;
        var entries = plan.Entries.ToBuilder();
        int high = entries.ToList().FindIndex(planned => planned.Entry is { IsRam: true, Address: Frames.FourGiB }
            && planned.Entry.End == moves[0].To);
        if (high < 0 && moves[0].To != Frames.FourGiB)
            return null;
        if (high < 0)
            entries.Add(new(E820Entry.FromSize(Frames.FourGiB, bytes, E820Type.Ram), ""));
        else
            entries[high] = entries[high] with { Entry = E820Entry.FromSize(Frames.FourGiB, entries[high].Entry.Size + bytes, E820Type.Ram) };
        // What a BIOS keeps at the end of RAM moves down with it.
        for (ulong at = end; ;)
        {
            int index = entries.ToList().FindIndex(planned => planned.Entry.End == at && planned.Entry.Address < at);
            if (index < 0)
                return null;
            E820Entry entry = entries[index].Entry;
            bool isRam = entry.IsRam;
            if (isRam ? entry.Size <= bytes : entry.Address <= bytes)
                return null;
            entries[index] = entries[index] with
            {
                Entry = E820Entry.FromBounds(isRam ? entry.Address : entry.Address - bytes, entry.End - bytes, entry.Type),
            };
            if (isRam)
                return plan with { Entries = [.. entries.OrderBy(static planned => planned.Entry.Address)] };
            at = entry.Address;
        }
    }

    /// <summary>The mmio_hole= in MiB with which the guest starts with the map that hvmloader made, so that there is nothing to move; null where
    /// there is none. hvmloader's hole is then where it came to by itself.</summary>
    private static ulong? Hole(Scenario scenario, Plan moved, ulong start)
    {
        ulong mib = (Frames.FourGiB - start) / MiB;
        if (start % MiB != 0 || mib is < HvmSettings.SmallestHoleMiB or > HvmSettings.LargestHoleMiB)
            return null;
        Plan tried = Planner.Plan(scenario with { Guest = scenario.Guest with { Hvm = scenario.Guest.Hvm with { HoleBytes = mib * MiB } } });
        return tried.IsMapKnown && tried.Firmware is { Outcome: GuestOutcome.Boots } && !tried.HasErrors
            && RamOf(tried).SequenceEqual(RamOf(moved)) ? mib : null;

        static ImmutableArray<E820Entry> RamOf(Plan plan) => SortedMap.RamOf(plan.Map.AsSpan());
    }
}
