// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.XenHvm;

/// <summary>HVM guests of Xen: libxl splits their RAM at the hole for devices, hvmloader places the BARs in it and makes the map.</summary>
internal sealed class XenHvmPlatform : IPlatform
{
    public string Name => "xen-hvm";

    public PlatformTraits Traits { get; } = new() { ForecastsFirmware = true };

    public bool UsesPolicy(Scenario scenario) => false;

    public Plan Plan(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        List<Problem> problems = [];
        GuestReview.ReportNotPv("HVM", scenario.Guest, problems);
        GuestReview.ReportMaxmem(scenario.Guest, problems);
        DomainMemory.ReportTooLarge(scenario.Host, scenario.MachineMap, scenario.StartKiB, Traits.IsOvercommitted, problems);
        HvmGuest guest = HvmGuest.Of(scenario);
        HyperTransportAdvice.ReportRam(scenario.Host, scenario.Guest, guest.Run?.HighEnd ?? 0, "give the guest less than 1008 GiB", problems);
        HvmReview.Report(scenario, guest, this, problems);
        HostSide.Report(scenario, problems);
        if (guest.NotModelled is { } what)
        {
            problems.Add(GuestReview.MapNotKnown(what) with
            {
                Remedy = guest.DependsOnBars ? HvmReview.BarsWanted : guest.DependsOnPatch ? HvmStubDomain.HoleRemedy(scenario, guest) : null,
            });
            return Platforms.Plan.NotKnown(this, scenario, problems);
        }

        if (guest.Refusal is { } words)
        {
            return Platforms.Plan.NotKnown(this, scenario,
                problems) with
            { Firmware = new(FirmwareName, guest.Xen.ToString(), GuestOutcome.Refused) { Message = words } };
        }

        HvmloaderRun run = guest.Run!;
        string? end = HvmSmallBars.EndOf(scenario, guest, run);
        bool isPanic = run.PanicMessage is not null;
        // SeaBIOS hands hvmloader's map on; OVMF makes one of its own, with what it keeps for itself.
        bool isMapKnown = !isPanic && end is null && guest.Settings.Firmware == Guests.FirmwareName.SeaBios;
        return Platforms.Plan.NotKnown(this, scenario, problems) with
        {
            IsMapKnown = isMapKnown,
            Entries = isMapKnown ? [.. XenSeaBios.MapOf(run.Map, 1).Select(entry => new PlannedEntry(entry, Why(entry, guest)))] : [],
            RamBelow4GiBKiB = run.LowEnd >> 10,
            Firmware = new(FirmwareName, guest.Xen.ToString(), isPanic ? GuestOutcome.Panics : end is not null ? GuestOutcome.Refused
                : GuestOutcome.Boots)
            {
                Message = run.PanicMessage ?? end,
                Placement = run.Placement,
                // Where BARs begin depends on what all of them need.
                AcpiWindows = isPanic || !guest.Settings.HasAcpi || (guest.Topology.Tree is null && guest.Settings.HoleBytes == 0) ? null
                    : new(ByteRange.FromBounds(run.PciStart, Hvmloader.End), run.High.IsEmpty ? null : run.High),
            },
        };
    }

    /// <summary>Holes side by side: as hvmloader sizes it by itself, doubled sizes, the smallest that places all BARs, and the smallest that has all
    /// of them below 4 GiB.</summary>
    public SettingComparison? CompareSettings(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        return HvmHoles.Compare(scenario, this);
    }

    private const string FirmwareName = "hvmloader";

    private static string Why(E820Entry entry, HvmGuest guest) => entry switch
    {
        { IsRam: true, Address: < Frames.FourGiB } => "the guest's RAM below 4 GiB",
        { IsRam: true } => "the guest's RAM above 4 GiB: what the hole for devices and the video card leave no room for below",
        { Type: E820Type.Nvs } => "hvmloader's: ACPI's tables",
        { Address: < X86Layout.OneMiB } => "SeaBIOS's own data and code",
        { Address: >= Hvmloader.End } => "hvmloader's and the platform's: the last 64 MiB below 4 GiB",
        _ when guest.Memory is { } memory && memory.Told.Contains(ByteRange.FromBounds(entry.Address, entry.End)) =>
            "memory that a device of the host uses by itself (RMRR)",
        _ => "what SeaBIOS keeps at the end of low RAM",
    };
}
