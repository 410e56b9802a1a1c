// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Drawing;

namespace Keyhole.Cli.Text;

/// <summary><c>plan</c>'s answer in words.</summary>
internal static class PlanText
{
    public static void Write(CommandConsole console, PlanAnswer answer)
    {
        GuestAnswer guest = answer.Guest;
        string most = string.Create(CultureInfo.InvariantCulture, $"{guest.MaxmemKiB >> 10} MiB");
        string balloon = guest.MaxmemKiB == guest.MemoryKiB ? "" : guest.IsPlugged ? $", {most} with what is plugged in" : $", balloons up to {most}";
        string devices = guest.Pci.IsEmpty ? "" : $", with {string.Join(' ', guest.Pci.Select(static assignment => assignment.Split(',')[0]))}";
        console.Ansi.WriteLine($"host:   {answer.Plan.HostName}");
        console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"guest:  {guest.Name ?? "(no name)"}, {guest.MemoryKiB >> 10} MiB{balloon}{devices}"));
        // Where nobody chooses a map there is nothing to name.
        if (answer.Plan.HasPolicy)
            console.Ansi.WriteLine($"policy: {answer.Policy}");
        if (answer.E820 is { IsEmpty: false } entries)
        {
            MapView.WriteEntries(console, entries);
            foreach (RangeAnswer range in answer.NotKnown ?? [])
            {
                // Where nobody knows the end.
                string end = range.End.Value >= Frames.AddressLimit ? "…" : range.End.ToString();
                console.Ansi.WriteLine($"not known, for lines of the host's map are lost: [{range.Start}, {end})");
            }

            WriteLowRam(console, answer);
            console.Ansi.WriteLine();
            MapView.Draw(console, [DrawnMaps.OfMachine(answer.Plan), DrawnMaps.OfGuest(answer.Plan)]);
            console.Ansi.WriteLine();
        }
        else if (answer.RamBelow4GiBKiB is not null)
        {
            WriteLowRam(console, answer);
            console.Ansi.WriteLine();
        }

        if (answer.HostWindows is { } windows)
            WriteHostWindows(console, windows);
        if (answer.Firmware is { } firmware)
            WriteFirmware(console, answer, firmware);
        else if (answer.Outcome is { } outcome)
            console.Ansi.WriteLine($"outcome: {outcome}");
        MapView.WriteProblems(console, answer.Problems);
    }

    private static void WriteLowRam(CommandConsole console, PlanAnswer answer)
    {
        if (answer.RamBelow4GiBKiB is { } lowKiB)
            console.Ansi.WriteLine($"RAM below 4 GiB: {ByteSize.ToText(lowKiB << 10)}");
        else if (answer.NotKnown is not null)
            console.Ansi.WriteLine("RAM below 4 GiB: not known");
    }

    /// <summary>What was read, so that "fits" is told apart from "not read".</summary>
    private static void WriteHostWindows(CommandConsole console, ImmutableArray<HostWindowAnswer> windows)
    {
        console.Ansi.WriteLine("the devices' windows on the host, as read:");
        TextTable table = MapView.NewTable("Windows of the devices on the host", "function", "BAR", "size", "kind", "on the host");
        foreach (HostWindowAnswer window in windows)
        {
            table.AddRow(
                MapView.Cell(window.Bdf ?? ""),
                MapView.Cell(window.Bar.ToString(CultureInfo.InvariantCulture)),
                MapView.Cell(window.Size is { } size ? ByteSize.ToText(size.Value) : "not told"),
                MapView.Cell(window.Kind),
                window.Start is { } start ? MapView.Cell($"{start} to {window.End}") : MapView.Cell($"none: {window.Why}", TextColour.Red));
        }

        MapView.WriteTable(console, table);
        console.Ansi.WriteLine();
    }

    /// <summary>How far the guest's firmware gets, its windows, and where each BAR lies.</summary>
    private static void WriteFirmware(CommandConsole console, PlanAnswer answer, FirmwareAnswer firmware)
    {
        console.Ansi.WriteLine($"firmware: {firmware.Name} {firmware.Version}: {answer.Outcome}"
            + (answer.Outcome == "boots" && answer.Plan.IsTooLargeForHost ? " on a host with the memory" : ""));
        foreach (WindowAnswer window in answer.Windows ?? [])
            console.Ansi.WriteLine($"window {window.Kind}: [{window.Start}, {window.End})");
        if (answer.Bars is not { IsEmpty: false } bars)
            return;
        TextTable table = MapView.NewTable("Where each BAR will be", "function", "device", "BAR", "size", "kind", "address");
        table.AlignRight(3);
        foreach (BarAnswer bar in bars)
        {
            if (bar is PlacedBarAnswer placed)
            {
                table.AddRow(
                    MapView.Cell(placed.Bdf),
                    MapView.Cell(placed.Device ?? ""),
                    MapView.Cell(placed.Bar.ToString(CultureInfo.InvariantCulture)),
                    MapView.Cell(ByteSize.ToText(placed.Size.Value)),
                    MapView.Cell(placed.Kind),
                    placed.Address is { } address ? MapView.Cell(address.ToString())
                        : MapView.Cell("none", placed.Why is null ? TextColour.None : TextColour.Red));
            }
        }

        MapView.WriteTable(console, table);
        foreach (VirtualBarAnswer more in answer.VirtualFunctions ?? [])
        {
            string whose = string.Create(CultureInfo.InvariantCulture, $"{more.Count} virtual functions of {more.Bdf}");
            string which = more is { Bar: { } bar, Size: { } size }
                ? string.Create(CultureInfo.InvariantCulture, $", BAR {bar}, {ByteSize.ToText(size.Value)} each ({more.Kind})") : "";
            console.Ansi.WriteLine($"{whose}{which}: {(more.Start is { } start ? $"[{start}, {more.End})" : more.Why)}");
        }

        console.Ansi.WriteLine();
    }
}
