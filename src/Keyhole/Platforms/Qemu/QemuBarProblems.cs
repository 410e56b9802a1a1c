// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.Qemu;

/// <summary>What is wrong with a guest's BARs, one problem for each cause: of eight cards that one window has no room for, that is said once. Which
/// limit decides for each BAR stands beside the BAR.</summary>
internal static class QemuBarProblems
{
    /// <summary>BARs that a problem names; of more the rest is counted.</summary>
    private const int MostNamed = 8;

    /// <param name="remedy">What was tried and works; null for nothing.</param>
    public static void Report(QemuForecast forecast, string? remedy, List<Problem> problems)
    {
        if (forecast.Placement is not { } placement || forecast.Outcome == GuestOutcome.Refused)
            return;
        ReportUnplaced(placement, remedy, problems);
        foreach (IGrouping<BarFault, FaultyBar> same in forecast.Faults.GroupBy(static fault => fault.Fault))
            problems.Add(Misplaced(placement, same.Key, [.. same], remedy));
    }

    /// <summary>BARs, named: "BAR 1 of 0000:01:00.0 (16 GiB, mem64-prefetchable)", and of many how many more there are.</summary>
    internal static string NamesOf(PciPlacement placement, IReadOnlyList<(int Function, BarRequest Bar)> bars)
    {
        bool isOne = bars.Count == 1;
        string[] names = [.. bars.Take(bars.Count > MostNamed ? MostNamed - 1 : MostNamed).Select(bar => string.Create(CultureInfo.InvariantCulture,
            $"BAR {bar.Bar.Index} of {placement.Tree.Functions[bar.Function].Address} ({ByteSize.ToText(bar.Bar.SizeBytes)}")
            + (isOne ? $", {bar.Bar.Type.Name()})" : ")"))];
        return bars.Count > MostNamed
            ? string.Create(CultureInfo.InvariantCulture, $"{string.Join(", ", names)} and {bars.Count - names.Length} more")
            : isOne ? names[0] : $"{string.Join(", ", names[..^1])} and {names[^1]}";
    }

    private static void ReportUnplaced(PciPlacement placement, string? remedy, List<Problem> problems)
    {
        // What a firmware never maps is no fault; where it gave the whole tree up, one problem says so.
        BarPlacement[] unplaced = [.. placement.Bars.Where(static bar =>
            bar.Why is { Reason: not (UnplacedReason.NotHandled or UnplacedReason.TreeGivenUp or UnplacedReason.NotReached) })];
        ILookup<int, BarPlacement> leftOut = unplaced.Where(static bar => bar.IsLeftOutWithAnother).ToLookup(static bar => bar.Function);
        var causes = unplaced.Where(static bar => !bar.IsLeftOutWithAnother)
            .GroupBy(static bar => (bar.Why!.Reason, bar.Why.Available, bar.Why.AddressBits, bar.Why.Because));
        var told = new HashSet<int>();
        foreach (var cause in causes)
        {
            BarPlacement[] bars = [.. cause];
            // Of several that were left out one after the other, the first was when all were there.
            Unplaced why = bars.MaxBy(static bar => bar.Why!.NeededBytes).Why!;
            BarPlacement[] others = [.. bars.Select(static bar => bar.Function).Distinct().Where(told.Add).SelectMany(function => leftOut[function])];
            problems.Add(new(
                Severity.Error,
                ProblemCodes.BarUnplaced,
                $"{NamesOf(placement, [.. bars.Select(static bar => (bar.Function, bar.Bar))])} {(bars.Length == 1 ? "gets" : "get")} no address: "
                    + $"{why.ToText(bars.Length == 1)}{Others(bars, others)}",
                Remedy: remedy));
        }

        BarPlacement[] alone = [.. leftOut.Where(group => !told.Contains(group.Key)).SelectMany(static group => group)];
        if (alone.Length > 0)
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.BarUnplaced,
                $"{NamesOf(placement, [.. alone.Select(static bar => (bar.Function, bar.Bar))])} {(alone.Length == 1 ? "gets" : "get")} no address: "
                    + alone[0].WhyText,
                Remedy: remedy));
        }
    }

    private static string Others(BarPlacement[] bars, BarPlacement[] others)
    {
        if (others.Length == 0)
            return "";
        string[] registers = [.. others.Select(static bar => bar.Bar.Index.ToString(CultureInfo.InvariantCulture))];
        string which = bars.Any(bar => bar.Function != bars[0].Function)
            ? string.Create(CultureInfo.InvariantCulture, $"{others.Length} other BARs of these devices")
            : registers.Length == 1 ? $"BAR {registers[0]} of the device"
            : $"BARs {string.Join(", ", registers[..^1])} and {registers[^1]} of the device";
        return $"; the firmware then leaves out {which}, too";
    }

    private static Problem Misplaced(PciPlacement placement, BarFault fault, FaultyBar[] bars, string? remedy)
    {
        bool isOne = bars.Length == 1;
        string what = fault switch
        {
            BarFault.Misaligned => "that the firmware writes is not a multiple of its size",
            BarFault.OverRam => "overlaps RAM",
            BarFault.OverReserved => "overlaps addresses that the machine keeps for something else",
            BarFault.BeyondAddressWidth => "ends beyond what the guest's processor can address",
        };
        ulong end = isOne ? unchecked(bars[0].Address + bars[0].Bar.SizeBytes) : 0;
        return new(
            fault == BarFault.OverReserved ? Severity.Warning : Severity.Error,
            ProblemCodes.BarUnplaced,
            $"{NamesOf(placement, [.. bars.Select(static bar => (bar.Function, bar.Bar))])} {(isOne ? "is" : "are")} put where "
                + $"{(isOne ? "it does" : "they do")} not work: the address {(isOne ? "" : "of each ")}{what}{Kept(fault, bars)}",
            isOne ? bars[0].Address : null,
            isOne && end > bars[0].Address ? end : null,
            fault == BarFault.OverReserved ? null : remedy);
    }

    /// <summary>What was written, and what the registers keep of it: the place that is told of the BAR.</summary>
    private static string Kept(BarFault fault, FaultyBar[] bars)
    {
        if (fault != BarFault.Misaligned)
            return "";
        string written = Listed.Of([.. bars.Select(static bar => string.Create(CultureInfo.InvariantCulture, $"0x{bar.Address:x}"))]);
        return bars.Length == 1
            ? string.Create(CultureInfo.InvariantCulture,
                $" ({written}), and the register keeps 0x{Align.Down(bars[0].Address, bars[0].Bar.SizeBytes):x} of it, which its bridge does not "
                    + $"forward to it or another device has")
            : $" ({written}), and the registers keep the multiples below, which the bridges do not forward to them or other devices have";
    }
}
