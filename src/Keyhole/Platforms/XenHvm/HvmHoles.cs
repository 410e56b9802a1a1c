// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.XenHvm;

/// <summary>Tries holes of an HVM guest on the model.</summary>
internal static class HvmHoles
{
    private const string AsItIs = "as it is";

    private const string LeftToHvmloader = "no mmio_hole";

    /// <summary>The hole of XCP-ng's domain builder before it doubles, and the largest that it makes, in MiB.</summary>
    private const ulong FirstOfXcpNg = 256;

    private const ulong LastOfXcpNg = 2048;

    private static readonly ImmutableArray<ulong> s_sizesMiB = [256, 512, 1024, 2048, 3072, 3840];

    /// <summary>The smallest mmio_hole in MiB with which a guest is as wished; null where there is none. What is left to hvmloader is not looked
    /// at.</summary>
    public static ulong? SmallestFor(Scenario scenario, HvmGuest guest, Func<HvmGuest, bool> isAsWished)
    {
        // Neither more room nor less RAM below 4 GiB makes a guest better all the way: a hole's start decides how BARs are aligned.
        for (ulong mib = HvmSettings.SmallestHoleMiB; mib <= HvmSettings.LargestHoleMiB; mib++)
        {
            if (isAsWished(guest.WithHole(scenario, mib << 20)))
                return mib;
        }

        return null;
    }

    /// <summary>The hole that XCP-ng's domain builder makes for a guest with devices passed through: doubled until the BARs fit below 4 GiB, in
    /// MiB.</summary>
    public static ulong OfXcpNg(Scenario scenario, HvmGuest guest)
    {
        ulong mib = FirstOfXcpNg;
        while (mib < LastOfXcpNg && !HasAllLow(guest.WithHole(scenario, mib << 20)))
            mib *= 2;
        return mib;
    }

    /// <summary>Null where the guest cannot be forecast, or what its devices ask for is not known.</summary>
    public static SettingComparison? Compare(Scenario scenario, IPlatform platform)
    {
        HvmGuest guest = HvmGuest.Of(scenario);
        if ((guest.NotModelled is not null && !guest.DependsOnPatch) || (guest.Topology.Tree is null && guest.Topology.Refusal is null))
            return null;
        var tried = new List<TriedSetting> { Row(scenario, AsItIs, guest) };
        if (guest.Refusal is { } refused && HvmReview.OfDevices(scenario, refused) is { } whatever)
            return new([.. tried], null, $"{whatever.Message}; {whatever.Remedy}", null);
        if (RefusedCombination.ProblemOf(scenario, platform) is { } combined)
            return new([.. tried], null, combined.Remedy is null ? $"{combined.Message}" : $"{combined.Message}; {combined.Remedy}", null);
        ulong? smallest = null, allLow = null;
        // A value that xl refuses is tried as if it were not there.
        HvmGuest open = guest.Settings.Refusal is null ? guest
            : HvmGuest.Of(scenario, guest.Settings with { Refusal = null, HoleBytes = 0 }, guest.Xen);
        if (guest.Topology.Tree is not null)
        {
            smallest = SmallestFor(scenario, open, candidate => candidate.PlacesAll && !IsEnded(scenario, candidate));
            allLow = SmallestFor(scenario, open, candidate => HasAllLow(candidate) && !IsEnded(scenario, candidate));
            if (guest.Settings.HoleBytes != 0 || guest.Settings.Refusal is not null)
                tried.Add(Row(scenario, LeftToHvmloader, open.WithHole(scenario, 0)));
            ImmutableArray<ulong> sizes = [.. s_sizesMiB.Concat(new[] { smallest, allLow }.OfType<ulong>()).Distinct().Order()];
            foreach (ulong mib in sizes)
                tried.Add(Row(scenario, Name(mib), open.WithHole(scenario, mib << 20)));
            ulong xcpNg = OfXcpNg(scenario, open);
            tried.Add(Row(scenario, $"XCP-ng's own hole ({xcpNg} MiB; by its documentation)", open.WithHole(scenario, xcpNg << 20)));
        }

        if (guest.PlacesAll && !IsEnded(scenario, guest))
            return new([.. tried], AsItIs, ReasonToKeep(scenario, guest, allLow), null);
        // hvmloader's own hole is the lightest that helps, where the guest's setting does not.
        bool dropHelps = tried.Count > 1 && tried[1].Setting == LeftToHvmloader && open.WithHole(scenario, 0) is { PlacesAll: true } own
            && !IsEnded(scenario, own);
        if (dropHelps)
            return new([.. tried], LeftToHvmloader, "hvmloader's own hole gives every BAR its place: take mmio_hole= out", null);
        if (smallest is not { } best)
        {
            if (guest.PlacesAll)
                return new([.. tried], null, $"{SmallBars(scenario, guest)}; no mmio_hole= helps", null);
            string why = guest.Refusal is { } words && guest.Topology.Tree is null ? $"the guest is not created: {words}"
                : WhyNone(scenario, open);
            return new([.. tried], null, why, null);
        }

        HvmGuest cured = guest.WithHole(scenario, best << 20);
        string lost = !guest.DependsOnPatch && Lost(guest, cured) is { } text ? $"; it costs {text} of RAM below 4 GiB, which is then above" : "";
        string unmoved = guest.Run is { MovedBytes: > 0 } ? " without moving RAM, of which QEMU in the stubdomain would not learn" : "";
        return new([.. tried], Name(best), $"the smallest hole that gives every BAR its place{unmoved}{lost}{WhoHasIt(scenario)}", Paste(best));
    }

    /// <summary>What is wrong with BARs of less than a page; null where nothing is.</summary>
    private static string? SmallBars(Scenario scenario, HvmGuest guest)
    {
        var problems = new List<Problem>();
        if (guest.Run is { } run)
            HvmSmallBars.Report(scenario, guest, run, problems);
        return problems is [{ Remedy: { } remedy } problem] ? $"{problem.Message}; {remedy}" : null;
    }

    /// <summary>What is to be done for a guest whose BARs have their place with no mmio_hole: each device is tried alone.</summary>
    public static string WhyNone(Scenario scenario, HvmGuest guest)
    {
        const string none = "no mmio_hole= gives every BAR its place";
        foreach (BarPlacement bar in guest.Run?.Placement?.Bars ?? [])
        {
            if (bar.Why?.Reason == UnplacedReason.Window32Full && !HasPlaceAlone(bar.Bar.SizeBytes))
                return $"{none}: below 4 GiB there is no place for {ByteSize.ToText(bar.Bar.SizeBytes)}, whatever else the guest has";
        }

        // One that does not fit alone fits with no other.
        bool fewerHelp = scenario.Guest.Pci.Length > 1 && scenario.Guest.Pci.Any(one => IsCuredAlone(scenario, guest, one));
        return fewerHelp ? $"{none}: pass fewer devices through" : none;
    }

    private static bool IsCuredAlone(Scenario scenario, HvmGuest guest, PciAssignment device)
    {
        Scenario alone = scenario with { Guest = scenario.Guest with { Pci = [device] } };
        HvmGuest left = HvmGuest.Of(alone, guest.Settings with { HoleBytes = 0 }, guest.Xen);
        return left.PlacesAll || SmallestFor(alone, left, static tried => tried.PlacesAll) is not null;
    }

    /// <summary>Whether the largest hole has an aligned place for a BAR.</summary>
    private static bool HasPlaceAlone(ulong size)
    {
        ulong start = Addresses.Align.Up(Addresses.Frames.FourGiB - (HvmSettings.LargestHoleMiB << 20), size);
        return start < Hvmloader.End && size <= Hvmloader.End - start;
    }

    private static string ReasonToKeep(Scenario scenario, HvmGuest guest, ulong? allLow)
    {
        string kept = ReasonOfPlaces(scenario, guest, allLow);
        return SmallBars(scenario, guest) is { } small ? $"{kept}, though no setting mends this: {small}" : kept;
    }

    private static string ReasonOfPlaces(Scenario scenario, HvmGuest guest, ulong? allLow)
    {
        if (guest.CountHigh == 0)
            return "every BAR has its place below 4 GiB as it is";
        string high = guest.CountHigh == 1 ? "one of them is above 4 GiB, where an operating system of 32 bits does not reach it"
            : string.Create(CultureInfo.InvariantCulture,
                $"{guest.CountHigh} of them are above 4 GiB, where an operating system of 32 bits does not reach them");
        if (allLow is not { } mib)
            return $"every BAR has its place as it is; {high}; no hole holds all of them below";
        string lost = Lost(guest, guest.WithHole(scenario, mib << 20)) is { } text ? $", at the cost of {text} of RAM below 4 GiB" : "";
        return string.Create(CultureInfo.InvariantCulture, $"every BAR has its place as it is; {high}: mmio_hole={mib} has all of them below{lost}");
    }

    /// <summary>That mmio_hole= is out of reach of the toolstack that the guest is written for; empty where it is not.</summary>
    public static string WhoHasIt(Scenario scenario) =>
        OwnWords.XlAlone(scenario.Guest.Toolstack);

    private static string? Lost(HvmGuest before, HvmGuest after) =>
        before.Run is { } was && after.Run is { } now && was.LowEnd > now.LowEnd ? ByteSize.ToText(was.LowEnd - now.LowEnd) : null;

    private static bool HasAllLow(HvmGuest guest) => guest.PlacesAll && guest.CountHigh == 0;

    private static string Name(ulong mib) => string.Create(CultureInfo.InvariantCulture, $"mmio_hole={mib}");

    private static bool IsEnded(Scenario scenario, HvmGuest guest) =>
        guest.Run is { PanicMessage: null } run && HvmSmallBars.EndOf(scenario, guest, run) is not null;

    private static TriedSetting Row(Scenario scenario, string name, HvmGuest guest)
    {
        GuestOutcome outcome = guest.DependsOnPatch ? GuestOutcome.NotKnown
            : guest.Refusal is not null || IsEnded(scenario, guest) ? GuestOutcome.Refused
            : guest.Run?.PanicMessage is not null ? GuestOutcome.Panics : GuestOutcome.Boots;
        int unplaced = guest.Run?.Placement?.CountUnplaced() ?? guest.Topology.Tree?.Functions.Sum(static function => function.Node.Bars.Length) ?? 0;
        return new(name, unplaced, outcome)
        {
            RamBelow4GiBKiB = guest.DependsOnPatch ? null : guest.Run?.LowEnd >> 10,
            AboveFourGiB = guest.DependsOnPatch || guest.Run is null ? null : guest.CountHigh,
        };
    }

    /// <summary>libvirt has no element for it.</summary>
    private static PastedSetting Paste(ulong mib) =>
        new(null, null, null, Name(mib))
        {
            XcpNg =
                string.Create(CultureInfo.InvariantCulture, $"xe vm-param-set uuid=UUID platform:mmio_size_mib={mib}")
        };
}
