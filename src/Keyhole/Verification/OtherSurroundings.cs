// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPvh;

namespace Keyhole.Verification;

/// <summary>The surroundings of a guest, its processor, firmware, QEMU and toolstack, with which all of a log would agree.</summary>
internal static class OtherSurroundings
{
    /// <summary>Widths that processors have; each is tried where a log differs.</summary>
    private static readonly int[] s_widths = [36, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 52];

    private static readonly string[] s_emulators = ["4.2", "5.2", "6.2", "7.2", "8.2", "9.2", "10.0"];

    private static readonly string[] s_firmwares =
    [
        "seabios-1.14.0", "seabios-1.16.2", "seabios-1.16.3", "seabios-1.17.0",
        "ovmf-2020.11", "ovmf-2022.11", "ovmf-2023.05", "ovmf-2023.11", "ovmf-2024.08", "ovmf-2025.02", "edk2-stable202505",
    ];

    /// <summary>
    /// What often is told wrongly, or not at all, is tried: the address width of the processor, the firmware's release, both. Where all that the log
    /// shows then agrees, that is said.
    /// </summary>
    /// <param name="missing">What is said where lines may be missing; null where that explains nothing.</param>
    /// <param name="everything">What of the log agrees then: of one that is cut no more than it has.</param>
    public static IEnumerable<Phrase> WithWhich(Plan plan, ObservedBoot observed, LogScan scan, string? missing, string everything)
    {
        if (missing is not null)
            yield return missing;
        Scenario scenario = plan.Scenario;
        if (scenario.Guest.Type == GuestType.Pvh)
        {
            string[] named = [.. PvhToolstack.Named.Where(one => AgreesOn(one.Xen)).Select(static one => one.Releases)];
            if (named.Length > 0)
                yield return $"{everything} agrees with the toolstack of Xen {string.Join("; or of ", named)}.";
        }

        if (!plan.Platform.Traits.TakesSurroundings || plan.Firmware is null)
            yield break;
        QemuFirmware[] firmwares =
            [.. s_firmwares.Select(Firmware).Where(firmware => firmware.Name == plan.Firmware.Choice)];
        string[] widths = [.. s_widths.Where(bits => Agrees(bits, null)).Select(static bits => bits.ToString(CultureInfo.InvariantCulture))];
        string[] releases = [.. firmwares.Where(firmware => Agrees(null, firmware)).Select(static firmware => firmware.ToString())];
        if (widths.Length > 0)
            yield return $"{everything} agrees where the guest's processor has {OneOf(widths)} address bits.";
        if (releases.Length > 0)
            yield return $"{everything} agrees with {OneOf(releases)}.";
        string[] emulators = [.. s_emulators.Where(text => scenario.Qemu.Emulator is null && Agrees(null, null, Emulator(text)))];
        if (emulators.Length > 0)
            yield return $"{everything} agrees with QEMU {OneOf(emulators)}.";
        if (widths.Length + releases.Length + emulators.Length > 0)
            yield break;
        string[] pairs =
            [.. from firmware in firmwares from bits in s_widths where Agrees(bits, firmware) select string.Create(CultureInfo.InvariantCulture,
                $"{firmware} and {bits}")];
        yield return pairs.Length > 0
            ? (Phrase)$"{everything} agrees with {OneOf(pairs)} address bits."
            : "With none of the usual address widths, releases of the firmware and releases of QEMU does everything agree: what differs has another "
                + $"reason, such as {(missing is null ? "" : "lines that are missing, ")}other devices or another machine type than was told.";

        static QemuFirmware Firmware(string name) => QemuFirmware.TryParse(name, out QemuFirmware firmware) ? firmware
            : throw new InvalidOperationException(name);

        static QemuVersion Emulator(string text) => QemuVersion.TryParse(text, out QemuVersion version) ? version
            : throw new InvalidOperationException(text);

        static string OneOf(string[] names) => names.Length == 1 ? names[0] : $"{string.Join(", ", names[..^1])} or {names[^1]}";

        bool AgreesOn(XenVersion xen) => FirmwareVerifier.CompareOnly(
            Planner.Plan(scenario with { Host = scenario.Host with { Traits = scenario.Host.Traits with { XenVersion = xen } } }), observed, scan, [])
            .Findings.All(finding => finding.Agrees || (finding.What == Verifier.OutcomeWhat && observed.Halts));

        bool Agrees(int? bits, QemuFirmware? firmware, QemuVersion? emulator = null) => FirmwareVerifier.CompareOnly(
            Planner.Plan(scenario with
            {
                Qemu = scenario.Qemu with
                {
                    PhysBits = bits ?? scenario.Qemu.PhysBits,
                    Firmware = firmware
                ?? scenario.Qemu.Firmware,
                    Emulator = emulator ?? scenario.Qemu.Emulator
                }
            }),
            observed, scan, []).Findings.All(finding => finding.Agrees || (finding.What == Verifier.OutcomeWhat && observed.Halts));
    }
}
