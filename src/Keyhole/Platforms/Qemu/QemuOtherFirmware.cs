// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.Qemu;

/// <summary>A guest of which the firmware may be one of several releases.</summary>
internal static class QemuOtherFirmware
{
    /// <summary>Whether the guest is well with each of the firmwares that it may have beside the one that is assumed.</summary>
    public static bool IsWellWithAll(QemuMachine machine, QemuLimits limits)
    {
        foreach (QemuFirmware other in Differing(machine))
        {
            if (!IsWellWith(other, machine, limits))
                return false;
        }

        return true;
    }

    /// <summary>Tells with which of them it goes otherwise.</summary>
    public static void Report(QemuForecast forecast, QemuLimits limits, string? remedy, List<Problem> problems)
    {
        QemuMachine machine = forecast.Machine;
        bool isWell = forecast.PlacesAll && limits.Suit(forecast);
        List<QemuFirmware> differing = [];
        foreach (QemuFirmware other in Differing(machine))
        {
            if (IsWellWith(other, machine, limits) != isWell)
                differing.Add(other);
        }

        if (differing.Count == 0)
            return;
        string which = string.Join(" or ", differing);
        problems.Add(isWell
            ? new(Severity.Warning, ProblemCodes.FirmwareDecides, $"with {which}, which the host may have just as well, not every BAR has a place "
                + $"where it works; with {machine.Firmware} every one has", Remedy: remedy)
            : new(Severity.Info, ProblemCodes.FirmwareDecides,
                $"with {which}, which the host may have just as well, every BAR has its place as it is"));
    }

    /// <summary>Of the others that lay windows as one before does, only that one is tried.</summary>
    private static IEnumerable<QemuFirmware> Differing(QemuMachine machine) => machine.OtherFirmware.Prepend(machine.Firmware)
        .DistinctBy(static firmware => firmware.Name == FirmwareName.Ovmf ? (object)OvmfRelease.Of(firmware) : firmware).Skip(1);

    private static bool IsWellWith(QemuFirmware other, QemuMachine machine, QemuLimits limits) =>
        QemuForecaster.TryForecast(machine with { Firmware = other, OtherFirmware = [] }, out QemuForecast forecast, out _)
            && QemuCures.IsWell(forecast, limits);
}
