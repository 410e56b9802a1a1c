// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.Qemu;

/// <summary>Settings of the user's that the firmware, or QEMU itself, reads and does not take.</summary>
internal static class QemuIgnoredSettings
{
    /// <param name="remedy">What was tried and works for what is wrong with the guest's BARs; null for nothing.</param>
    public static void Report(QemuGuest guest, QemuCureRequest request, string? remedy, List<Problem> problems)
    {
        ReportWidth(guest, request, problems);
        QemuMachine machine = request.Machine;
        ReportMistyped(guest, request, remedy, problems);
        if (machine.Firmware.Name != FirmwareName.Ovmf || machine.FwCfgValue(OvmfWindows.WindowName) is not { } text
            || OvmfWindows.TryReadWindow(text, out _))
            return;
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.SettingIgnored,
            string.Create(CultureInfo.InvariantCulture,
                $"OVMF ignores {OvmfWindows.WindowName}={InputError.Quote(text)} (\"ignoring malformed 64-bit PCI host aperture size from fw_cfg\"): "
                    + $"it takes whole MiB up to {OvmfWindows.LargestWindowMiB}, in decimal digits without a unit"),
            Remedy: AsMeant(guest, request, text) ?? remedy ?? "take it out, for it does nothing"));
    }

    /// <summary>A name that is nearly that of OVMF's window: OVMF looks for no other.</summary>
    private static void ReportMistyped(QemuGuest guest, QemuCureRequest request, string? remedy, List<Problem> problems)
    {
        foreach (QemuFwCfg blob in request.Machine.Firmware.Name == FirmwareName.Ovmf ? request.Machine.FwCfg : [])
        {
            if (blob.Name == OvmfWindows.WindowName || !blob.Name.Contains("PciMmio64", StringComparison.OrdinalIgnoreCase))
                continue;
            string named = InputError.Quote(blob.Name);
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.SettingIgnored,
                $"OVMF has no setting {named}: its window above 4 GiB is set by {OvmfWindows.WindowName}",
                Remedy: (AsMeant(guest, request, blob.Value) ?? remedy) is { } instead ? $"in place of it: {instead}"
                    : "take it out, for it does nothing"));
        }
    }

    /// <summary>A width of the guest's own beside the host's: <c>-cpu host</c> asks for the latter.</summary>
    /// <remarks>Source: QEMU's host_cpu_adjust_phys_bits.</remarks>
    private static void ReportWidth(QemuGuest guest, QemuCureRequest request, List<Problem> problems)
    {
        if (guest.Cpu.PhysBits is not { } bits || !request.HasHostsWidth)
            return;
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.SettingIgnored,
            string.Create(CultureInfo.InvariantCulture,
                $"phys-bits={bits} does nothing: with host-phys-bits, which -cpu host has by default, QEMU gives the guest the width of the host's "
                    + $"processor"),
            Remedy: $"take it out, for it does nothing; {OwnWords.WidthLimit(guest.Dialect)} is what lowers the width"));
    }

    /// <summary>A size with a unit, or hex digits, as it may have been meant: where the guest is well with it.</summary>
    private static string? AsMeant(QemuGuest guest, QemuCureRequest request, string text)
    {
        if (!QemuNumber.TrySize(text, out ulong meant))
            return null;
        bool hasUnit = char.IsAsciiLetter(text.AsSpan().Trim()[^1]) && !text.Contains("0x", StringComparison.OrdinalIgnoreCase);
        ulong sizeMiB = hasUnit ? meant >> 20 : meant;
        var change = new QemuChange(QemuSetting.OvmfWindow, sizeMiB, "");
        if (sizeMiB is 0 or > OvmfWindows.LargestWindowMiB
            || !QemuForecaster.TryForecast(change.ApplyTo(request.Machine), out QemuForecast forecast, out _)
            || !QemuCures.IsWell(forecast, request.Limits))
            return null;
        QemuPaste paste = QemuPaste.Of(guest, request, [change]);
        return $"{paste.OneLine}{paste.InBrackets}";
    }
}
