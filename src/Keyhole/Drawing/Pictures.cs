// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Drawing;

/// <summary>The SVG documents of the verbs: what each verb's answer looks like as a picture.</summary>
public static class Pictures
{
    /// <summary>A host's map, with the windows of its devices where it names any.</summary>
    /// <param name="name">What the host is called.</param>
    public static string OfHost(Host host, string name)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(name);
        ImmutableArray<DrawnWindow> windows =
            [.. host.Devices.SelectMany(static device => device.Bars.Where(IsDrawn)
                .Select(bar => Window(bar, device.Address.ToString(), isNumbered: false, null)))];
        MapDrawing drawing = MapDrawing.LayOut([DrawnMaps.OfHost(host)], SvgPainter.Rows,
            new() { Windows = windows, SpareRows = SvgPainter.SpareRows });
        return SvgPainter.Paint(drawing, new("Memory map of a host", [name]));
    }

    /// <summary>The guest's map beside the host's.</summary>
    public static string OfPlan(Plan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        if (plan.Firmware is { Placement: { } placement } firmware)
            return OfFirmware(plan, firmware, placement);
        DrawnDetails details = new() { Windows = Windows(plan), SpareRows = SvgPainter.SpareRows };
        MapDrawing drawing = MapDrawing.LayOut([DrawnMaps.OfMachine(plan), DrawnMaps.OfGuest(plan)], SvgPainter.Rows, details);
        return SvgPainter.Paint(drawing, new(
            $"Map of {NameOf(plan)} by policy {plan.Policy}",
            [plan.HostName, plan.RamBelow4GiBKiB is { } low ? $"{Memory(plan.Guest)}, of which {ByteSize.ToText(low << 10)} below 4 GiB"
                : plan.NotKnownRanges.IsEmpty ? $"{Memory(plan.Guest)}; its map is not known"
                : $"{Memory(plan.Guest)}; a part of its map is not known, for lines of the host's are lost"]));
    }

    /// <summary>A guest with firmware of its own: its map alone, for none of its addresses is the host's, and every BAR where the firmware put
    /// it.</summary>
    private static string OfFirmware(Plan plan, FirmwareReport firmware, PciPlacement placement)
    {
        const int mostBars = 32;
        const int mostLines = 8;
        ImmutableArray<NumberedFunction> functions = placement.Tree.Functions;
        // Of many the largest are drawn.
        ImmutableArray<DrawnWindow> bars =
        [
            .. placement.Bars.Where(static bar => bar is { Address: not null, Bar.Type: not (BarType.Io or BarType.Rom) }
                && bar.Address <= Frames.AddressLimit - bar.Bar.SizeBytes)
                .OrderByDescending(static bar => bar.Bar.SizeBytes).Take(mostBars)
                .Select(bar => new DrawnWindow(bar.Address!.Value, bar.Address.Value + bar.Bar.SizeBytes, Of(bar), null)),
        ];
        List<string> lines =
            [$"{Memory(plan.Guest)}{(plan.RamBelow4GiBKiB is { } low ? $", of which {ByteSize.ToText(low << 10)} below 4 GiB" : "")}"
                + $"{(plan.IsMapKnown ? "" : "; the map that the firmware hands over is not modelled")}"];
        foreach (PlacementWindow window in placement.Windows)
        {
            if (window.Kind != WindowKind.Io)
                lines.Add($"window {(window.Kind == WindowKind.Memory64 ? "above" : "below")} 4 GiB: [0x"
                    + $"{window.Range.Start:x}, 0x{window.Range.End:x})");
        }

        string[] bridges = [.. placement.Bridges.Where(static bridge => bridge.Memory is not null || bridge.Prefetchable is not null).Select(bridge =>
            $"bridge {Name(bridge.Function)}:{(bridge.Memory is { } memory ? $" [0x{memory.Start:x}, 0x{memory.End:x})" : "")}"
                + $"{(bridge.Prefetchable is { } high ? $" prefetchable [0x{high.Start:x}, 0x{high.End:x})" : "")}")];
        string[] unplaced = [.. placement.Bars.Where(static bar => bar.Why is { Reason: not UnplacedReason.NotHandled })
            .Select(bar => $"no address: {Of(bar)}, {ByteSize.ToText(bar.Bar.SizeBytes)}")];
        foreach (string[] some in new[] { bridges, unplaced })
        {
            lines.AddRange(some.Take(mostLines));
            if (some.Length > mostLines)
                lines.Add(string.Create(CultureInfo.InvariantCulture, $"and {some.Length - mostLines} more"));
        }

        DrawnDetails details = new() { Windows = bars, SpareRows = SvgPainter.SpareRows };
        ImmutableArray<E820Entry> map = plan.IsMapKnown ? plan.Map
            : plan.RamBelow4GiBKiB is { } known and not 0 ? [E820Entry.FromSize(0, known << 10, E820Type.Ram)] : [];
        return SvgPainter.Paint(
            MapDrawing.LayOut([new(plan.IsMapKnown ? "guest" : "guest's low RAM", map)], SvgPainter.Rows, details),
            new($"{char.ToUpperInvariant(NameOf(plan)[0])}{NameOf(plan)[1..]} under {firmware.Name} {firmware.Version}"
                + $"{(firmware.Outcome == GuestOutcome.Boots ? "" : $": {firmware.Outcome.NameOf()}")}", [.. lines]));

        string Of(BarPlacement bar) => string.Create(CultureInfo.InvariantCulture, $"BAR {bar.Bar.Index} of {Name(bar.Function)}");

        // As a guest's own tools print it: its PCI domain is 0.
        string Name(int function) => functions[function].Address.ToString()["0000:".Length..];
    }

    /// <summary>What the kernel makes of the map: the machine's, the one that the kernel is given, and its own, with what it moved.</summary>
    public static string OfBoot(Plan plan, BootForecast forecast)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(forecast);
        ImmutableArray<DrawnMap> columns = DrawnMaps.OfBoot(plan, forecast);
        // What lines that are lost decide is not drawn.
        bool isP2mKnown = forecast.IsAgreed(static reading => reading.P2m);
        DrawnDetails details = new()
        {
            Windows = forecast.Bars.IsEmpty ? Windows(plan) : Windows(forecast),
            SpareRows = SvgPainter.SpareRows,
            Moves = !isP2mKnown ? []
                : [.. forecast.P2m.Where(static run => run.Kind is P2mKind.Remapped or P2mKind.NonRam && run.Mfn.Value != P2mRun.UnknownMfn)
                .Select(Move)],
            Identity = forecast.Halts || !isP2mKnown ? []
                : [.. forecast.P2m.Where(static run => run.Kind == P2mKind.Identity)
                    .Select(static run => (run.Range.Start.ToAddress(), run.Range.End.ToAddress()))],
        };
        string outcome = !forecast.IsAgreed(static reading => reading.RemappedPages) || !forecast.IsAgreed(static reading => reading.ReleasedPages)
            ? "what it remaps and releases is not known: lines of the host's map are lost"
            : !forecast.Halts
                ? string.Create(CultureInfo.InvariantCulture, $"{forecast.RemappedPages:#,0} pages remapped, {forecast.ReleasedPages:#,0} released")
            : forecast.Message is { Length: > 0 } words ? $"\"{words}\"" : "it dies without a message";
        return SvgPainter.Paint(
            MapDrawing.LayOut(columns, SvgPainter.Rows, details),
            new(
                $"{KernelReleases.NameOf(forecast.Request.Kernel)} "
                    + $"{(forecast.Boots ? "boots" : forecast.Halts ? "halts" : "on a map: whether it boots is not known")}",
                [
                    plan.HostName,
                    forecast.Request.IsDom0 ? $"dom0 with {ByteSize.ToText(forecast.Request.PageCount << Frames.Shift)}"
                        : $"{NameOf(plan)}, {Memory(plan.Guest)}, policy {plan.Policy}",
                    outcome,
                ]));
    }

    /// <summary>The maps of all policies beside the host's.</summary>
    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static string OfComparison(string hostName, PolicyComparison comparison, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(hostName);
        ArgumentNullException.ThrowIfNull(comparison);
        words ??= SettingNames.Of;
        List<DrawnMap> columns = [];
        List<string> lines = [hostName];
        foreach (ComparedPolicy row in comparison.Policies)
        {
            if (columns.Count == 0)
                columns.Add(DrawnMaps.OfMachine(row.Plan));
            bool isBest = ReferenceEquals(row, comparison.Best);
            columns.Add(DrawnMaps.OfGuest(row.Plan, isBest ? $"★ {row.Policy.Name}" : row.Policy.Name));
            if (isBest)
                lines.Insert(1, comparison.Why.Worded(words));
            else if (row.Against is { } against)
                lines.Add($"{row.Policy.Name}: {against.Worded(words)}");
        }

        if (comparison.Best is null)
            lines.Add(comparison.Why.Worded(words));
        ComparedPolicy? best = comparison.Best;
        DrawnDetails details = new()
        {
            Windows = best?.Forecast is { } forecast ? Windows(forecast) : comparison.Policies is [{ } first, ..] ? Windows(first.Plan) : [],
            SpareRows = SvgPainter.SpareRows,
            Identity = [],
        };
        string title = best is not null ? $"Of all policies, {best.Policy.Name} is recommended"
            : comparison.Settings is { } settings ? settings.Best is { } setting ? $"Of all settings, {setting} is recommended" : "No setting will do"
            : comparison.IsNotKnown ? "Which policy is best is not known" : "No policy will do";
        return SvgPainter.Paint(MapDrawing.LayOut([.. columns], SvgPainter.Rows, details), new(title, [.. lines]));
    }

    /// <summary>How many hosts ask for a hole that starts where, and on how many each guest's BARs have their places. It grows with the guests, never
    /// with the hosts.</summary>
    public static string OfFleet(Fleet fleet)
    {
        ArgumentNullException.ThrowIfNull(fleet);
        return FleetChart.Paint(fleet);
    }

    private static string NameOf(Plan plan) => plan.Guest.Name is { } name ? $"guest {name}" : "a guest";

    private static string Memory(GuestSpec guest)
    {
        string memory = ByteSize.ToText(guest.MemoryKiB << 10);
        string most = ByteSize.ToText(guest.MaxmemKiB << 10);
        return guest.MaxmemKiB <= guest.MemoryKiB ? memory
            : guest.IsPlugged ? $"{memory}, {most} with what is plugged in" : $"{memory}, balloons up to {most}";
    }

    /// <summary>A bridge's window holds those of the devices behind it.</summary>
    private static bool IsDrawn(Bar bar) => bar.Kind != BarKind.BridgeWindow;

    private static ImmutableArray<DrawnWindow> Windows(Plan plan)
    {
        bool isNumbered = plan.Bars.Any(static bar => bar.Index != 0);
        return [.. plan.Bars.Where(IsDrawn).Select(bar => Window(bar, null, isNumbered, MeetsMemory(plan, bar) ? false : null))];
    }

    private static ImmutableArray<DrawnWindow> Windows(BootForecast forecast)
    {
        bool isNumbered = forecast.Bars.Any(static verdict => verdict.Bar.Index != 0);
        return [.. forecast.Bars.Where(static verdict => IsDrawn(verdict.Bar))
            .Select(verdict => Window(verdict.Bar, null, isNumbered,
                forecast.IsAgreed(static reading => reading.Bars) ? verdict.CanBeClaimed : null))];
    }

    private static bool MeetsMemory(Plan plan, Bar bar) =>
        plan.Problems.Any(problem => problem.Code == ProblemCodes.BarConflict && problem.Range.Overlaps(bar.Range));

    /// <param name="isNumbered">Whether the register's number says anything: windows given by hand all have 0.</param>
    private static DrawnWindow Window(Bar bar, string? device, bool isNumbered, bool? isReached)
    {
        string what = bar.Kind switch
        {
            BarKind.Memory => isNumbered ? $"BAR {bar.Index}" : "BAR",
            BarKind.Rom => "ROM",
            BarKind.VirtualFunction => "VF BAR",
            BarKind.BridgeWindow => "bridge",
        };
        return new(bar.Start, bar.End, device is null ? what : $"{device} {what}", isReached);
    }

    private static DrawnMove Move(P2mRun run)
    {
        ulong size = run.Range.Count << Frames.Shift;
        string what = run.Kind == P2mKind.NonRam ? "firmware data" : ByteSize.ToText(size);
        ulong from = run.Mfn.ToAddress();
        return new(from, run.Range.Start.ToAddress(), size, $"{what} from 0x{from:x}");
    }
}
