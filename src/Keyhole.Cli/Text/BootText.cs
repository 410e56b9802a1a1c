// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Forecasts;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Cli.Text;

/// <summary><c>boot</c>'s answer in words.</summary>
internal static class BootText
{
    public static void Write(CommandConsole console, BootAnswer answer)
    {
        console.Ansi.WriteLine($"host:   {answer.Plan.HostName}");
        ulong pages = answer.Plan.Scenario.StartPages;
        string map = !answer.Plan.HasPolicy ? "" : $", map: {answer.Policy}";
        console.Ansi.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"guest:  {answer.Guest.Name ?? "(no name)"}, {pages} pages ({ByteSize.ToText(pages << Frames.Shift)}){map}"));
        if (answer.Kernel is { } kernel)
            console.Ansi.WriteLine((answer.KernelImage is { } image ? $"kernel: {kernel}, [{image.Start}, {image.End}) by its image"
                : $"kernel: {kernel}") + (answer.KernelIsAssumed == true ? KernelOption.Assumed : ""));
        (string verdict, TextColour colour) = answer.Reached switch
        {
            GuestOutcome.Boots when answer.Plan.IsTooLargeForHost => ("it is not built; its kernel would boot", TextColour.Red),
            GuestOutcome.Boots => ("it boots", TextColour.Green),
            GuestOutcome.NotKnown => ("whether it boots is not known", TextColour.Yellow),
            GuestOutcome.Halts => ("it halts", TextColour.Red),
            GuestOutcome.Refused => ("it is not started", TextColour.Red),
            GuestOutcome.GivesUp => ("its firmware gives up on its devices", TextColour.Red),
            GuestOutcome.Panics => ("its firmware panics", TextColour.Red),
            GuestOutcome.Hangs => ("its firmware hangs", TextColour.Red),
        };
        console.Ansi.Write(verdict, colour);
        if (answer.IfKernelEndsBy is { } shorter && shorter.Outcome != answer.Outcome)
            console.Ansi.Write($" if it reaches beyond {shorter.Address}, which is not known");
        console.Ansi.WriteLine(answer.Message is { Length: > 0 } message ? $": \"{message}\""
            : answer.Reached == GuestOutcome.Halts ? ", without a message" : "");
        console.Ansi.WriteLine();
        if (answer.Account is { IsEmpty: false } account)
        {
            WriteAccount(console, answer, account, pages);
        }
        else if (answer.Account is null && answer.NotKnown is not null)
        {
            console.Ansi.WriteLine("What becomes of its pages is not known: lines of the host's map are lost.");
            console.Ansi.WriteLine();
        }

        if (answer.Forecast is { } forecast)
            WriteMemory(console, answer, forecast);
        if (answer.SwitchedOff is { IsEmpty: false } switchedOff)
        {
            console.Ansi.WriteLine($"Off under Xen: {string.Join(", ", switchedOff)}");
            console.Ansi.WriteLine();
        }

        if (answer.Log is { IsEmpty: false } log)
        {
            console.Ansi.WriteLine(answer.NotKnown is not null ? "The kernel will say, among other things:" : "The kernel will say:");
            foreach (string line in log)
                console.Ansi.WriteLine($"  {line}");
            console.Ansi.WriteLine();
        }

        if (answer.Balloon is { } balloon)
            WriteBalloon(console, balloon);
        MapView.WriteProblems(console, answer.Problems);
    }

    private static void WriteMemory(CommandConsole console, BootAnswer answer, BootForecast forecast)
    {
        if (answer.P2m is { IsEmpty: false })
            WriteP2m(console, forecast);
        foreach (MovedRange moved in answer.Moved is null ? [] : forecast.Moved)
            console.Ansi.WriteLine($"moved: {moved.What} from {Shown(moved.From)} to {Shown(moved.To)}");
        if (forecast.KernelMap.IsEmpty)
            return;
        MapView.Draw(console, DrawnMaps.OfBoot(answer.Plan, forecast));
        console.Ansi.WriteLine();
    }

    private static string Shown(ByteRange range) => $"[{MapView.Hex(range.Start)}, {MapView.Hex(range.End)})";

    private static void WriteBalloon(CommandConsole console, BalloonAnswer balloon)
    {
        console.Ansi.WriteLine(
            $"Balloon: from {ByteSize.ToText(balloon.FromPages << Frames.Shift)} to {ByteSize.ToText(balloon.ToPages << Frames.Shift)} "
                + $"in {Number(balloon.Batches)} batches");
        if (balloon.FromPages > balloon.ToPages)
            console.Ansi.WriteLine($"  {Number(balloon.FromPages - balloon.ToPages)} pages are given back to Xen");
        if (balloon.ExtraPages != 0)
            console.Ansi.WriteLine($"  {Number(balloon.ExtraPages)} pages come into the map's extra memory");
        if (balloon.ScratchPages != 0)
            console.Ansi.WriteLine(
                $"  {Number(balloon.ScratchPages)} pages of extra memory are in the kernel's scratch pool, out of the balloon's reach");
        if (balloon.Hotplug is { } hotplug)
            console.Ansi.WriteLine($"  {Number(balloon.HotplugPages)} pages come by hotplug, at [{hotplug.Start}, {hotplug.End})");
        foreach ((string name, ulong count) in balloon.Hypercalls)
            console.Ansi.WriteLine($"  {name}: {Number(count)} calls");
        console.Ansi.WriteLine();
    }

    private static void WriteAccount(CommandConsole console, BootAnswer answer, ImmutableArray<AccountAnswer> account, ulong pages)
    {
        TextTable table = MapView.NewTable("What becomes of the memory", "pages", "size", "what becomes of them");
        table.AlignRight(0);
        table.AlignRight(1);
        foreach (AccountAnswer line in account)
            table.AddRow(MapView.Cell(Number(line.Pages)), MapView.Cell(ByteSize.ToText(line.Pages << Frames.Shift)), MapView.Cell(line.What));
        table.AddRow(MapView.Cell(Number(pages)), MapView.Cell(ByteSize.ToText(pages << Frames.Shift)), MapView.Cell("in all"));
        MapView.WriteTable(console, table);
        if (answer.PopulatedPages is { } populated and not 0)
            console.Ansi.WriteLine($"{Number(populated)} pages are got again for those given back");
        ulong extra = (answer.Extra ?? [])
            .Aggregate(0UL, static (sum, region) => region.End.Value < region.Start.Value ? sum : sum + region.End.Value - region.Start.Value);
        if (extra != 0)
            console.Ansi.WriteLine($"{ByteSize.ToText(extra)} more of RAM in the map, for the balloon");
        console.Ansi.WriteLine();
    }

    private static void WriteP2m(CommandConsole console, BootForecast forecast)
    {
        TextTable table = MapView.NewTable("What is behind each frame", "P2M from frame", "to frame", "pages", "behind them");
        table.AlignRight(2);
        foreach (P2mRun run in forecast.P2m)
        {
            string behind = run.Kind switch
            {
                P2mKind.Invalid => "nothing (room for the balloon)",
                P2mKind.Ram => "RAM",
                P2mKind.Remapped => $"RAM moved from frame {MapView.Hex(run.Mfn.Value)}",
                P2mKind.Identity => "identity",
                P2mKind.NonRam => $"firmware data at machine frame {MapView.Hex(run.Mfn.Value)}",
            };
            table.AddRow(
                MapView.Cell(MapView.Hex(run.Range.Start.Value)), MapView.Cell(MapView.Hex(run.Range.End.Value)),
                MapView.Cell(Number(run.Range.Count)), MapView.Cell(behind));
        }

        MapView.WriteTable(console, table);
        console.Ansi.WriteLine($"Linux's P2M tree takes {Number(forecast.P2mTreePages)} pages");
        console.Ansi.WriteLine();
    }

    private static string Number(ulong count) => count.ToString("#,0", CultureInfo.InvariantCulture);
}
