// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>Virtual machines of QEMU under KVM: QEMU splits their RAM at 4 GiB, and their firmware places the BARs and makes the map.</summary>
internal sealed class QemuPlatform : IPlatform
{
    public string Name => "qemu";

    public PlatformTraits Traits { get; } = new() { IsOvercommitted = true, ForecastsFirmware = true, TakesSurroundings = true };

    public bool UsesPolicy(Scenario scenario) => false;

    public Plan Plan(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        List<Problem> problems = [];
        GuestReview.ReportMaxmem(scenario.Guest, problems);
        QemuGuest guest = QemuUsualGuest.Of(scenario);
        bool isPinned = QemuStops.NeedsIommu(guest.Machine);
        if (!scenario.Host.Entries.IsEmpty)
            DomainMemory.ReportTooLarge(scenario.Host, scenario.MachineMap, scenario.StartKiB, Traits.IsOvercommitted, problems, isPinned: isPinned);

        QemuSurroundings around = Around(scenario);
        if (!guest.TryResolve(around, out QemuMachine machine, out ImmutableArray<QemuAssumption> assumptions))
        {
            string name = around.MachineName ?? guest.MachineName;
            problems.Add(GuestReview.MapNotKnown(guest.WhyNotKnown(around)
                ?? $"the machine type {InputError.Quote(name)} is not one of QEMU's pc and q35 types"));
            return Platforms.Plan.NotKnown(this, scenario, problems);
        }

        if (FirmwareNotKnown(assumptions) is { } why)
        {
            HostSide.Report(scenario, problems);
            // To say so of a build for confidential guests would get it the map of another one.
            problems.Add(QemuFirmwareGuess.IsConfidential(guest.FirmwareFile) ? GuestReview.MapNotKnown(why)
                : GuestReview.MapNotKnown(why) with { Remedy = $"if it is SeaBIOS or OVMF, say so: {Setting.Firmware}" });
            return Platforms.Plan.NotKnown(this, scenario, problems);
        }

        foreach (QemuAssumption assumption in assumptions)
            problems.Add(new(Severity.Info, ProblemCodes.Assumed, assumption.Message));
        foreach (QemuDevice device in guest.Machine.Devices)
        {
            if (HostFunctions.TryGetSlot(device, out PciAddress slot) && IsOnlyLogged(scenario, slot))
            {
                problems.Add(new(Severity.Info, ProblemCodes.Assumed, $"the functions of the host's device {slot.ToString()[..^2]} are those that "
                    + "the host's log names, which may be a part of them"));
            }
        }

        HostSide.Report(scenario, problems);
        QemuLimits limits = LimitsOf(scenario, guest, around, machine);
        QemuWidths.ReportReservedMemory(scenario, machine, problems);
        QemuHostWords.Report(scenario, guest, machine, limits, problems);
        QemuRepeatedDevice.Report(guest, machine, problems);
        if (!QemuForecaster.TryForecast(machine, out QemuForecast forecast, out QemuUnknown unknown))
        {
            // Where RAM lies does not depend on the devices.
            if (QemuMemory.TryLayOut(machine, out QemuMemory ram, out _) && limits.StopsStart(ram))
                QemuWidths.ReportRam(limits, ram, Remedy(scenario, guest, around, machine, problems), problems);
            string whose = unknown.Driver.Length == 0 ? "" : unknown.AreMany ? $" ({unknown.DeviceName})"
                : $" ({InputError.Quote($"{unknown.Driver} {unknown.DeviceName}".Trim())})";
            string which = unknown.AreMany ? "them" : "it";
            problems.Add(GuestReview.MapNotKnown($"{unknown.What}{whose}") with
            {
                Remedy = unknown.IsOfHost ? (Phrase)$"give what lspci -vv prints of {which} on the host: {Setting.DeviceListing}" : null,
            });
            return Platforms.Plan.NotKnown(this, scenario, problems);
        }

        string? remedy = Remedy(scenario, guest, around, machine, forecast, problems);
        QemuIgnoredSettings.Report(guest, RequestFor(scenario, guest, around, machine), remedy, problems);
        ReportHyperTransport(forecast, guest.Dialect, problems);
        QemuWidths.Report(scenario.Host.Traits, limits, forecast, asksWidth: (around.PhysBits ?? guest.Cpu.PhysBits) is not null, remedy, problems);
        if (WiderOf(guest, around, assumptions) is { } wider)
        {
            QemuWidths.ReportWiderProcessor(limits, forecast, wider,
                () => LimitRemedy(guest, RequestFor(scenario, guest, around, machine), [machine, wider]), problems);
        }

        if (assumptions.Any(static assumption => assumption.Unknown == Guests.QemuUnknown.CpuVendor) && guest.TryResolve(
            around with { HostVendor = machine.Cpu.Vendor == CpuVendor.Amd ? CpuVendor.Intel : CpuVendor.Amd }, out QemuMachine others, out _))
            QemuOtherMaker.Report(forecast, others, limits, problems);
        ReportOutcome(forecast, remedy, problems);
        QemuUnseen.Report(forecast, remedy, problems);
        QemuOtherFirmware.Report(forecast, limits, remedy, problems);
        QemuBarProblems.Report(forecast, remedy, problems);
        QemuLinuxRoom.Report(forecast, scenario.Guest.Kernel is not null, problems);
        GuestOutcome outcome = limits.OutcomeOf(forecast);
        string? stop = outcome is GuestOutcome.Boots or GuestOutcome.NotKnown ? QemuStops.WordsOf(scenario, guest, machine) : null;
        bool isMapKnown = !forecast.E820.IsDefault;
        if (!isMapKnown && forecast.Outcome == GuestOutcome.Boots)
        {
            problems.Add(new(
                Severity.Info, ProblemCodes.MapNotKnown,
                "the E820 map that this firmware hands over is not modelled; where RAM is split, and every BAR's address, are known"));
        }

        foreach (UnsettledRange unsettled in isMapKnown ? forecast.Unsettled : [])
            problems.Add(unsettled.ToProblem());

        return Platforms.Plan.NotKnown(this, scenario, problems) with
        {
            IsMapKnown = isMapKnown,
            IsMemoryPinned = isPinned,
            Entries = isMapKnown ? [.. forecast.E820.Select(entry => new PlannedEntry(entry, Why(entry, forecast)))] : [],
            RamBelow4GiBKiB = forecast.Memory is { } memory ? Math.Min(memory.LowEnd, Frames.FourGiB) >> 10 : null,
            Firmware = new FirmwareReport(machine.Firmware.Name == FirmwareName.SeaBios ? "seabios" : "ovmf", machine.Firmware.VersionText,
                stop is not null || (outcome is GuestOutcome.Boots or GuestOutcome.NotKnown && problems.Exists(QemuStops.IsStop))
                    ? GuestOutcome.Refused : outcome)
            {
                Choice = machine.Firmware.Name,
                Message = stop ?? (limits.StopsStart(forecast.Memory) ? QemuWidths.MapRefusal : forecast.Message),
                Placement = forecast.Placement,
                AcpiWindows = forecast.Acpi,
                Unsettled = forecast.Unsettled,
            },
        };
    }

    private static string Untried(QemuCure cure) => cure.IsNameRefused ? "QEMU refuses a name that is there twice, whatever is set"
        : cure.RefusedBy is { } who ? $"{who} refuses the {(who == "QEMU" ? "command" : "configuration")} itself, whatever is set"
        : cure.IsPlugRefused ? "QEMU refuses one of the devices, or how they are plugged together, whatever else is set"
        : "what one of the devices asks for is not known";

    /// <summary>Where the firmware places all BARs with one of the settings: then something else is in the way.</summary>
    private static string ThatWorks(QemuCure cure) =>
        cure.Trials.Any(static trial => trial.Unplaced == 0 && trial.Outcome == GuestOutcome.Boots)
            ? " that works on this host (see its problems)" : "";

    private const string NotCounted = "what the devices that are passed through ask for is not told and not counted: give their lspci -vv";

    public SettingComparison? CompareSettings(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        QemuGuest guest = QemuUsualGuest.Of(scenario);
        QemuSurroundings around = Around(scenario);
        if (!guest.TryResolve(around, out QemuMachine machine, out ImmutableArray<QemuAssumption> assumptions)
            || FirmwareNotKnown(assumptions) is not null)
            return null;
        QemuCureRequest request = RequestFor(scenario, guest, around, machine);
        if (!QemuCures.TryFind(request, out QemuCure cure))
            return null;
        if (cure.Trials[0].Outcome is GuestOutcome.Boots or GuestOutcome.NotKnown && QemuStops.WordsOf(scenario, guest, machine) is not null)
        {
            return new([new TriedSetting(cure.Trials[0].Name, cure.Trials[0].Unplaced, GuestOutcome.Refused)], Best: null,
                QemuStops.WhyOf(scenario, guest, machine), Paste: null);
        }

        if (cure.IsWell && WiderOf(guest, around, assumptions) is { } wider
            && QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _)
            && QemuWidths.HasBarsBeyondOnWider(request.Limits, forecast, wider))
            return ForAnyProcessor(guest, request, cure.Trials[0], [machine, wider]);
        QemuPaste? paste = cure.Best is { } best && !cure.IsWell ? QemuPaste.Of(guest, request, best.Changes) : null;
        string why = cure.IsWell ? "every BAR has its place as it is"
            : cure.IsUntried ? $"none could be tried: {Untried(cure)}"
            : cure.Best is null ? cure.IsStartOnly ? "with none of the settings that were tried does QEMU start the guest"
                : $"with none of the settings that were tried does every BAR get a place{ThatWorks(cure)}"
            : cure.IsStartOnly ? $"the lightest change that was found with which QEMU starts the guest; {NotCounted}"
            : $"the lightest change that was found with which the guest boots and every BAR has its place";
        return new(
            [.. cure.Trials.Select(trial => new TriedSetting(trial.Name, cure.IsStartOnly ? null : trial.Unplaced, trial.Outcome))],
            cure.Best?.Name,
            why,
            paste is null ? null : PasteOf(paste));
    }

    /// <summary>The guest on a host whose processor has more address bits than are assumed; null where they are told.</summary>
    private static QemuMachine? WiderOf(QemuGuest guest, QemuSurroundings around, ImmutableArray<QemuAssumption> assumptions) =>
        assumptions.Any(static assumption => assumption.Unknown == Guests.QemuUnknown.PhysBits)
        // More than the width may follow from the host's.
        && guest.TryResolve(around with { HostPhysBits = QemuWidths.WiderBits }, out QemuMachine wider, out _) ? wider : null;

    /// <summary>For a guest that is well as it is on one of the processors that the host may have, and not on the other.</summary>
    private static SettingComparison ForAnyProcessor(QemuGuest guest, QemuCureRequest request, QemuTrial asItIs, ReadOnlySpan<QemuMachine> machines)
    {
        var said = new TriedSetting(asItIs.Name, asItIs.Unplaced, asItIs.Outcome);
        if (LimitFor(request, machines) is not { } change)
        {
            return new([said], asItIs.Name, "every BAR has its place as it is, if the processor has no more address bits than are assumed",
                Paste: null);
        }

        QemuPaste paste = QemuPaste.Of(guest, request, [change]);
        return new([said, said with { Setting = change.Name }], change.Name,
            "every BAR has its place then whatever the processor has, and as it is only if that has no more address bits than are assumed",
            PasteOf(paste));
    }

    private static PastedSetting PasteOf(QemuPaste paste) => new(paste.Libvirt, paste.Qemu, paste.Proxmox, Xl: null)
    {
        Beside = paste.Notes.IsEmpty ? null : string.Join("; ", paste.Notes),
    };

    /// <summary>Why there can be no forecast: nobody says which firmware the guest has. Null where that is known.</summary>
    private static string? FirmwareNotKnown(ImmutableArray<QemuAssumption> assumptions) =>
        assumptions.FirstOrDefault(static assumption => assumption.Unknown == Guests.QemuUnknown.FirmwareName).Message;

    private QemuCureRequest RequestFor(Scenario scenario, QemuGuest guest, QemuSurroundings around, QemuMachine machine)
    {
        QemuCureRequest request = new(machine)
        {
            Limits = LimitsOf(scenario, guest, around, machine),
            KnowsIommu = scenario.Host.Traits.IommuAddressBits is not null || !machine.Devices.Any(HostFunctions.IsOne),
            HasHostsWidth = around.PhysBits is { } told ? guest.TellsHostsWidth(around.MachineName ?? guest.MachineName, told)
                : guest.TakesHostPhysBits(around.MachineName ?? guest.MachineName),
            CanHaveGiBPages = !guest.IsKvm || around.HostHasGiBPages != false,
            NamesSlots = guest.Dialect != QemuDialect.Proxmox,
            WithBoard = guest.Dialect != QemuDialect.Options ? null : name =>
            {
                Scenario other = scenario with { Qemu = scenario.Qemu with { MachineName = name } };
                return QemuUsualGuest.Of(other).TryResolve(Around(other), out QemuMachine rebuilt, out _) ? rebuilt : null;
            },
        };
        return guest.WithLines is not { } withLines ? request : request with
        {
            WithBoard = name => QemuPaste.Of(guest, request, [new(QemuSetting.Board, 0, name)]).Proxmox is { } lines
                && withLines(lines, []) is { } other
                && other.TryResolve(around with { MachineName = null }, out QemuMachine onBoard, out _) ? onBoard : null,
            Rebuilt = changes => QemuPaste.Of(guest, request, changes) is var paste
                && withLines(paste.Proxmox ?? "", paste.Dropped) is { } changed
                && changed.TryResolve(changes.Any(static change => change.Setting is QemuSetting.MachineVersion or QemuSetting.Board)
                    ? around with { MachineName = null } : around, out QemuMachine rebuilt, out _) ? rebuilt : null,
        };
    }

    /// <summary>What cures a guest whose BARs have no place, as tried; null where nothing has to be cured, or nothing that was tried does. That is
    /// told then.</summary>
    private string? Remedy(Scenario scenario, QemuGuest guest, QemuSurroundings around, QemuMachine machine, QemuForecast forecast,
        List<Problem> problems)
    {
        if (!scenario.SeeksRemedies)
            return null;
        if (QemuCures.IsWell(forecast, LimitsOf(scenario, guest, around, machine)))
            return null;
        return Remedy(scenario, guest, around, machine, problems, forecast.Instead is null);
    }

    /// <summary>The same, for a guest that is not well.</summary>
    private string? Remedy(Scenario scenario, QemuGuest guest, QemuSurroundings around, QemuMachine machine, List<Problem> problems,
        bool tellsFailure = true)
    {
        QemuCureRequest request = RequestFor(scenario, guest, around, machine);
        if (!scenario.SeeksRemedies || !QemuCures.TryFind(request, out QemuCure cure))
            return null;
        if (cure.Best is { } best)
        {
            QemuPaste paste = QemuPaste.Of(guest, request, best.Changes);
            string what = cure.IsStartOnly ? $"with which QEMU starts the guest ({NotCounted})" : "with which every BAR has its place";
            return $"{best.Name}, {what}: {paste.OneLine}{paste.InBrackets}";
        }

        // What is to be written in place of a refused value is told with the refusal.
        if (!tellsFailure)
            return null;
        problems.Add(new(
            Severity.Info,
            ProblemCodes.NoSettingHelps,
            cure.IsUntried ? $"no setting could be tried: {Untried(cure)}"
                : cure.IsStartOnly ? $"with none of the settings that were tried does QEMU start the guest: "
                    + $"{string.Join(", ", cure.Trials.Skip(1).Select(static trial => trial.Name))}"
                : $"none of the settings that were tried gives every BAR a place{ThatWorks(cure)}: "
                    + $"{string.Join(", ", cure.Trials.Skip(1).Select(static trial => trial.Name))}"));
        return null;
    }

    /// <summary>Whether nothing but the host's log tells of a device.</summary>
    private static bool IsOnlyLogged(Scenario scenario, PciAddress slot)
    {
        return scenario.LoggedDevices.Any(IsOf) && !scenario.Qemu.Devices.Concat(scenario.Host.Devices).Any(IsOf);

        bool IsOf(PciDevice device) => (device.Address.Domain, device.Address.Bus, device.Address.Device) == (slot.Domain, slot.Bus, slot.Device);
    }

    private static QemuLimits LimitsOf(Scenario scenario, QemuGuest guest, QemuSurroundings around, QemuMachine machine) =>
        QemuLimits.Of(scenario.Host.Traits, machine, around.HostKernel ?? guest.HostKernel);

    private static string? LimitRemedy(QemuGuest guest, QemuCureRequest request, ReadOnlySpan<QemuMachine> machines)
    {
        if (LimitFor(request, machines) is not { } change)
            return null;
        QemuPaste paste = QemuPaste.Of(guest, request, [change]);
        return $"{change.Name}, with which every BAR has its place whatever the processor has: {paste.OneLine}{paste.InBrackets}";
    }

    /// <summary>The IOMMU's width as the limit of the guest's, where it is well with that; null else.</summary>
    /// <param name="machines">The guest on each of the hosts that this may be.</param>
    private static QemuChange? LimitFor(QemuCureRequest request, ReadOnlySpan<QemuMachine> machines)
    {
        var change = new QemuChange(QemuSetting.PhysBits, (ulong)request.Limits.IommuBits!.Value, "");
        foreach (QemuMachine machine in machines)
        {
            if (!QemuForecaster.TryForecast(change.ApplyTo(machine), out QemuForecast limited, out _) || !QemuCures.IsWell(limited, request.Limits))
                return null;
        }

        return change;
    }

    private static QemuSurroundings Around(Scenario scenario)
    {
        QemuSurroundings said = scenario.Qemu;
        QemuSurroundings host = QemuSurroundings.Of(scenario.Host.Traits, [.. said.Devices.Concat(scenario.Host.Devices)
            .Concat(scenario.LoggedDevices).DistinctBy(static device => device.Address)]);
        return said with
        {
            HostVendor = said.HostVendor ?? host.HostVendor,
            HostPhysBits = said.HostPhysBits ?? host.HostPhysBits,
            HostAcpiBits = said.HostAcpiBits ?? host.HostAcpiBits,
            Mapped = said.Mapped ?? host.Mapped,
            HostHasGiBPages = said.HostHasGiBPages ?? host.HostHasGiBPages,
            HostKernel = said.HostKernel ?? host.HostKernel,
            Devices = host.Devices,
            Bars = said.Bars.IsEmpty ? QemuUsualGuest.Unlisted(scenario) : said.Bars,
        };
    }

    /// <summary>RAM that QEMU has moved out of the range's way.</summary>
    private static void ReportHyperTransport(QemuForecast forecast, QemuDialect dialect, List<Problem> problems)
    {
        ByteRange taken = X86Layout.HyperTransport;
        if (forecast.Memory is { High.Start: var high } && high == taken.End && forecast.Machine.Devices.Any(HostFunctions.IsOne))
        {
            bool isOfHotplug = QemuMemory.TryLayOut(forecast.Machine with { MaxMemoryBytes = 0, MemorySlots = 0 }, out QemuMemory without, out _)
                && without.High.Start < high;
            problems.Add(new(
                Severity.Info,
                ProblemCodes.HyperTransport,
                "QEMU puts the RAM above 4 GiB at 1 TiB, for AMD's HyperTransport range would be in its way: NVIDIA's driver for Windows is reported "
                    + "to fail on that (Code 43)",
                forecast.Memory.High.Start,
                forecast.Memory.High.End,
                isOfHotplug ? $"without room for memory to be plugged in ({OwnWords.Room(dialect)}) it stays at 4 GiB" : null));
        }
    }

    private static void ReportOutcome(QemuForecast forecast, string? remedy, List<Problem> problems)
    {
        string? said = forecast.Message is { Length: > 0 } message ? $": {message}" : "";
        string cause = forecast.Cause is { } reason ? $": {reason}" : "";
        StartRefusal? refusal = forecast.Machine.Refusal;
        string because = refusal is { Cause.Length: > 0 } ? $" ({refusal.Cause})" : forecast.Cause is { } behind ? $" ({behind})" : "";
        string? what = forecast.Outcome switch
        {
            GuestOutcome.Boots or GuestOutcome.NotKnown or GuestOutcome.Halts => null,
            GuestOutcome.Refused => $"{refusal?.Program ?? "QEMU"} refuses to start the guest{said}{because}",
            GuestOutcome.GivesUp => $"the firmware gives up on its PCI devices: none gets an address, and the guest has no display and no disk{said}",
            GuestOutcome.Panics => $"the firmware stops{said}",
            GuestOutcome.Hangs when forecast.Machine.Firmware.Name == FirmwareName.SeaBios =>
                "SeaBIOS never ends: with an expander it numbers the buses again and again, because a bridge asks for fewer buses in reserve "
                    + "(bus-reserve) than it has already",
            GuestOutcome.Hangs => $"the firmware never ends{said}{cause}",
        };
        if (forecast is { Outcome: GuestOutcome.Hangs, Machine.Firmware.Name: FirmwareName.SeaBios })
            remedy ??= "take bus-reserve= out of the bridges";
        if (forecast is { Outcome: GuestOutcome.Hangs, Message: Ovmf.NeedsQ35 })
            remedy = "take the image without system management mode (OVMF_CODE_4M.fd), or a q35 board";
        if (what is not null)
            problems.Add(new(Severity.Error, ProblemCodes.GuestDoesNotStart, what, Remedy: forecast.Instead ?? remedy));
    }

    private static string Why(E820Entry entry, QemuForecast forecast) => entry switch
    {
        { IsRam: true } when entry.Address < Frames.FourGiB => "the guest's RAM below 4 GiB",
        { IsRam: true } => "the guest's RAM above 4 GiB",
        _ when entry.Address >= Frames.FourGiB => "QEMU's: no address of RAM or of a device may be here",
        _ when entry.Address < X86Layout.IsaStart && forecast.Machine.Firmware.Name == FirmwareName.Ovmf =>
            "the firmware's, for system management mode",
        _ when entry.Address < X86Layout.OneMiB => "the firmware's: its data, video memory and ROMs",
        { Type: E820Type.Nvs } when entry.Address < X86Layout.LinuxStart => "the firmware's, for a resume from suspend",
        _ when forecast.Memory is { } memory && entry.Address < memory.LowEnd => "the firmware's tables and data at the end of low RAM",
        _ => "the board's: the firmware's ROM, registers or configuration space",
    };
}
