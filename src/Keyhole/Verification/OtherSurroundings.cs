// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
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

    /// <summary>Up to here each number of processors is tried, then each of these.</summary>
    private const int EachNumber = 64;

    private static readonly int[] s_numbers =
        [.. Enumerable.Range(1, EachNumber), 72, 80, 96, 112, 120, 128, 144, 160, 176, 192, 208, 224, 240, 255, 256, 288];

    private static readonly Match[] s_matches = [Match.Whole, Match.Part];

    private static readonly (CpuVendor Vendor, string Name)[] s_makers = [(CpuVendor.Amd, "AMD"), (CpuVendor.Intel, "Intel")];

    /// <summary>
    /// What often is told wrongly, or not at all, is tried: the address width of the processor, the firmware's release, both, the release of QEMU,
    /// how many processors there are, who made them. Where all that the log shows then agrees, that is said.
    /// </summary>
    /// <param name="missing">What is said where lines may be missing; null where that explains nothing.</param>
    /// <param name="isBetween">Whether the log names a firmware that is between two releases.</param>
    /// <param name="everything">What of the log agrees then: of one that is cut no more than it has.</param>
    public static IEnumerable<Phrase> WithWhich(Plan plan, ObservedBoot observed, LogScan scan, string? missing, bool isBetween, string everything)
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
        ImmutableArray<Finding> forecast = FindingsOf(plan);
        QemuSurroundings around = scenario.Qemu;
        QemuGuest guest = QemuUsualGuest.Of(scenario);
        int number = Math.Max(guest.Machine.Cpus, guest.Machine.MaxCpus);
        QemuFirmware[] firmwares =
            [.. s_firmwares.Select(Firmware).Where(firmware => firmware.Name == plan.Firmware.Choice)];
        Tried<int>[] widths = [.. s_widths.Select(bits => In(bits, around with { PhysBits = bits }))];
        Tried<QemuFirmware>[] releases = [.. firmwares.Select(firmware => In(firmware, around with { Firmware = firmware }))];
        Tried<string>[] emulators =
            [.. s_emulators.Where(_ => around.Emulator is null).Select(text => In(text, around with { Emulator = Emulator(text) }))];
        Tried<string>[] makers = [.. s_makers.Select(maker => In(maker.Name, around with { Vendor = maker.Vendor }))];
        Tried<int>[] numbers = [.. s_numbers.Select(count => Of(count, guest.Machine.Sockets))];
        Tried<int>[] sockets =
            [.. s_numbers.Where(_ => numbers.All(static tried => tried.Match == Match.No)).Select(count => Of(count, count))];
        foreach (Match wanted in s_matches)
        {
            string all = wanted == Match.Whole ? everything : $"{everything}, as far as the map is known then,";
            List<Phrase> found = [];
            if (Matching(widths, wanted) is { Length: > 0 } bits)
                found.Add($"{all} agrees where the guest's processor has {OneOf([.. bits.Select(Text)])} address bits.");
            if (Matching(releases, wanted) is { Length: > 0 } named)
                found.Add($"{all} agrees with {OneOf([.. named.Select(static firmware => firmware.ToString())])}.");
            if (Matching(emulators, wanted) is { Length: > 0 } versions)
                found.Add($"{all} agrees with QEMU {OneOf(versions)}.");
            if (Matching(makers, wanted) is { Length: > 0 } names)
                found.Add($"{all} agrees where the guest's processor is one of {OneOf(names)}'s.");
            if (Matching(numbers, wanted) is { Length: > 0 } counts)
                found.Add($"{all} agrees where the guest has {Processors(counts)}, those that can be plugged in counted (maxcpus); the "
                    + $"forecast is for {Text(number)}.");
            if (Matching(sockets, wanted) is { Length: > 0 } each)
                found.Add($"{all} agrees where the guest has {Processors(each)}, each a socket of its own; the forecast is for "
                    + $"{Text(number)}.");
            foreach (Phrase text in found)
                yield return text;
            if (found.Count > 0)
                yield break;
        }

        string[] pairs =
        [
            .. from firmware in firmwares
                from bits in s_widths
                where IsWhole(around with { Firmware = firmware, PhysBits = bits })
                select $"{firmware} and {Text(bits)}",
        ];
        string[] others =
        [
            .. from maker in s_makers
                from bits in s_widths
                where IsWhole(around with { Vendor = maker.Vendor, PhysBits = bits })
                select $"{maker.Name}'s with {Text(bits)} address bits",
            .. from maker in s_makers
                from firmware in firmwares
                where IsWhole(around with { Vendor = maker.Vendor, Firmware = firmware })
                select $"{maker.Name}'s with {firmware}",
        ];
        if (pairs.Length > 0)
            yield return $"{everything} agrees with {OneOf(pairs)} address bits.";
        if (others.Length > 0)
            yield return $"{everything} agrees where the guest's processor is one of {OneOf(others)}.";
        if (pairs.Length + others.Length == 0)
            yield return "With none of the usual address widths, makers and numbers of processors, releases of the firmware and releases of QEMU "
                + "does everything agree: what differs has another reason, such as "
                + $"{(isBetween ? "its firmware, which is between two releases, " : "")}"
                + $"{(missing is null ? "" : "lines that are missing, ")}other devices or another machine type than was told.";

        static QemuFirmware Firmware(string name) => QemuFirmware.TryParse(name, out QemuFirmware firmware) ? firmware
            : throw new InvalidOperationException(name);

        static QemuVersion Emulator(string text) => QemuVersion.TryParse(text, out QemuVersion version) ? version
            : throw new InvalidOperationException(text);

        bool AgreesOn(XenVersion xen) => AgreeAll(FindingsOf(
            Planner.Plan(scenario with { Host = scenario.Host with { Traits = scenario.Host.Traits with { XenVersion = xen } } })));

        Tried<T> In<T>(T value, QemuSurroundings other) => new(value, MatchOf(Planner.Plan(scenario with { Qemu = other })));

        bool IsWhole(QemuSurroundings other) => In(0, other).Match == Match.Whole;

        Tried<int> Of(int processors, int sockets)
        {
            QemuMachine machine = guest.Machine with { Cpus = processors, MaxCpus = 0, Sockets = sockets };
            return new(processors, MatchOf(Planner.Plan(scenario with { Guest = scenario.Guest with { Qemu = guest with { Machine = machine } } })));
        }

        Match MatchOf(Plan other)
        {
            ImmutableArray<Finding> findings = FindingsOf(other);
            if (!AgreeAll(findings))
                return Match.No;
            HashSet<int> lines = [.. LinesIn(findings)];
            // A forecast that leaves open all that this one differs in would agree with anything.
            return LinesIn(forecast).All(lines.Contains) ? Match.Whole
                : LinesIn(forecast.Where(static finding => !finding.Agrees)).Any(lines.Contains) ? Match.Part : Match.No;
        }

        ImmutableArray<Finding> FindingsOf(Plan other) => FirmwareVerifier.CompareOnly(other, observed, scan, []).Findings;

        bool AgreeAll(ImmutableArray<Finding> findings) =>
            findings.All(finding => finding.Agrees || (finding.What == Verifier.OutcomeWhat && observed.Halts));
    }

    /// <summary>The lines of a map that were compared.</summary>
    private static IEnumerable<int> LinesIn(IEnumerable<Finding> findings) => findings
        .Where(static finding => finding is { What: MapComparison.What, Line: not null, Observed: not null })
        .Select(static finding => finding.Line!.Value);

    private static T[] Matching<T>(Tried<T>[] tried, Match wanted) => [.. tried.Where(one => one.Match == wanted).Select(static one => one.Value)];

    private static string Processors(int[] numbers) => $"{OneOf(Runs(numbers))} processor{(numbers is [1] ? "" : "s")}";

    private static string OneOf(string[] names) => names.Length == 1 ? names[0] : $"{string.Join(", ", names[..^1])} or {names[^1]}";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>How much of a log agrees with a forecast.</summary>
    private enum Match
    {
        /// <summary>Something differs, or nothing is known where something did.</summary>
        No,

        /// <summary>All that is forecast, which is less of the map than before, and some of what had differed.</summary>
        Part,

        /// <summary>All of it.</summary>
        Whole,
    }

    private readonly record struct Tried<T>(T Value, Match Match);

    /// <summary>Numbers that follow each other as one: <c>5 to 8</c>.</summary>
    private static string[] Runs(int[] numbers)
    {
        List<string> runs = [];
        for (int from = 0; from < numbers.Length;)
        {
            int to = from;
            while (to + 1 < numbers.Length && Array.IndexOf(s_numbers, numbers[to + 1]) == Array.IndexOf(s_numbers, numbers[to]) + 1)
                to++;
            runs.Add(to == from ? Text(numbers[from]) : $"{Text(numbers[from])} to {Text(numbers[to])}");
            from = to + 1;
        }

        return [.. runs];
    }
}
