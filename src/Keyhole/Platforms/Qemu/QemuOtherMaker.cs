// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu;

/// <summary>A guest of which nobody tells who made its processor: both firmwares believe a width up to 40 bits only where real processors of that
/// maker have it, and QEMU keeps RAM out of AMD's HyperTransport range.</summary>
internal static class QemuOtherMaker
{
    /// <summary>Tells whether it comes out otherwise with the maker that was not assumed.</summary>
    /// <param name="forecast">With the one that was.</param>
    /// <param name="other">The guest with the other.</param>
    public static void Report(QemuForecast forecast, QemuMachine other, QemuLimits limits, List<Problem> problems)
    {
        if (!QemuForecaster.TryForecast(other, out QemuForecast otherwise, out _) || IsSame(forecast, otherwise))
            return;
        bool isWell = forecast.PlacesAll && limits.Suit(forecast);
        bool isOtherWell = otherwise.PlacesAll && limits.Suit(otherwise);
        string maker = other.Cpu.Vendor == CpuVendor.Amd ? "AMD" : "Intel";
        problems.Add(new(
            Severity.Info,
            ProblemCodes.Assumed,
            $"who made the processor decides: with one of {maker}'s "
                + (isWell == isOtherWell ? "RAM or BARs are elsewhere"
                    : isOtherWell ? "every BAR has its place" : "not every BAR has a place where it works")));
    }

    private static bool IsSame(QemuForecast one, QemuForecast other) => one.Outcome == other.Outcome && one.Memory?.RamEnd == other.Memory?.RamEnd
        && Addresses(one).SequenceEqual(Addresses(other));

    private static IEnumerable<ulong?> Addresses(QemuForecast forecast) =>
        (forecast.Placement?.Bars ?? []).Select(static bar => bar.Address);
}
