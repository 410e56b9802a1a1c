// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.PvGuest;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole boot</c>: what a guest's kernel, or dom0's, makes of its map, and whether it survives.</summary>
internal static class BootVerb
{
    private const ulong MaxMiB = Frames.AddressLimit >> 20;

    public static Command Build(CommandConsole console)
    {
        var source = new BootSource();
        var svg = new SvgOption();
        var json = new Option<bool>("--json") { Description = "One JSON document on standard output." };
        var command = new Command("boot", "Forecast the boot: what the kernel makes of its map, page by page, and whether it survives.") { json };
        svg.AddTo(command);
        source.AddTo(command);
        var memSet = new Option<ulong?>("--mem-set")
        {
            Description = "Forecast besides what becomes of xl mem-set after boot: pages that come or go, and where they lie.",
            HelpName = "MiB",
        };
        command.Options.Add(memSet);
        Examples.AddTo(command, console, """

            Examples:
              keyhole boot --host xen.log --guest guest.cfg
              keyhole boot --host xen.log --guest guest.cfg --kernel linux-7.2
              keyhole boot --host xen.log --dom0                      will dom0 boot on this machine?
              keyhole boot --host map.txt --dom0 --nr-pages 262144 --max 1024
              keyhole boot --host xen.log --guest guest.cfg --mem-set 4096    where will grown memory lie?
              keyhole boot --host xen.log --guest guest.cfg --svg boot.svg        which pages move where, as a picture
            """);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(memSet) is { } size and (0 or > MaxMiB))
                return console.Fail(new("--mem-set", null, string.Create(CultureInfo.InvariantCulture, $"{size} MiB is no size for a guest"), $"give 1 to {MaxMiB} MiB"));
            if (!source.Read(parsed, console).TryGet(out Boot? boot, out InputError? error))
                return console.Fail(error);
            BalloonForecast? balloon = parsed.GetValue(memSet) is { } memoryMiB ? Balloon(boot, memoryMiB) : null;
            if (svg.Write(parsed, () => Pictures.OfBoot(boot.Plan, boot.Forecast!)) is { } unwritten)
                return console.Fail(unwritten);
            if (parsed.GetValue(json))
                JsonText.Write(console, writer => WriteJson(writer, boot, balloon));
            else
                Print(console, boot, balloon);
            return boot.HasErrors || balloon?.Problems.Any(static problem => problem.Severity == Severity.Error) == true ? ExitStatus.No : ExitStatus.Yes;
        });
        return command;
    }

    /// <summary>Null for a kernel that halts: it has no balloon.</summary>
    private static BalloonForecast? Balloon(Boot boot, ulong memoryMiB)
    {
        BootForecast forecast = boot.Forecast!;
        ulong? maxPages = forecast.Request.IsDom0 ? forecast.Request.MaxPages : boot.Plan.Guest.MaxmemKiB >> (Frames.Shift - 10);
        return forecast.Boots ? BalloonForecast.Of(forecast, memoryMiB << (20 - Frames.Shift), maxPages, BalloonMoment.Later) : null;
    }

    public static void WriteJson(Utf8JsonWriter writer, Boot boot, BalloonForecast? balloon = null)
    {
        BootForecast forecast = boot.Forecast!;
        PlanVerb.WriteJson(writer, boot.Plan with { Problems = [.. forecast.ProblemsWith(boot.Plan), .. balloon?.Problems ?? []] });
        writer.WriteString("kernel", KernelVersions.NameOf(forecast.Request.Kernel));
        writer.WriteString("outcome", GuestOutcomes.NameOf(forecast.Outcome));
        if (forecast.Message is { } message)
            writer.WriteString("message", message);
        writer.WriteStartArray("kernelE820");
        foreach (E820Entry entry in forecast.KernelMap)
        {
            writer.WriteStartObject();
            writer.WriteEntry(entry);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("nrPages", forecast.Request.PageCount);
        writer.WriteNumber("releasedPages", forecast.ReleasedPages);
        writer.WriteNumber("remappedPages", forecast.RemappedPages);
        writer.WriteNumber("populatedPages", forecast.PopulatedPages);
        writer.WriteStartArray("extra");
        foreach (ByteRange region in forecast.Extra)
        {
            writer.WriteStartObject();
            writer.WriteRange(region.Start, region.End);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        WriteP2m(writer, forecast);
        writer.WriteStartObject("hypercalls");
        foreach ((string name, ulong count) in forecast.Hypercalls)
            writer.WriteNumber(name, count);
        writer.WriteEndObject();
        if (forecast.PciGap.IsEmpty)
        {
            writer.WriteNull("pciGap");
        }
        else
        {
            writer.WriteStartObject("pciGap");
            writer.WriteRange(forecast.PciGap.Start, forecast.PciGap.End);
            writer.WriteEndObject();
        }

        writer.WriteStartArray("moved");
        foreach (MovedRange moved in forecast.Moved)
        {
            writer.WriteStartObject();
            writer.WriteString("what", moved.What);
            writer.WriteAddress("from", moved.From.Start);
            writer.WriteAddress("to", moved.To.Start);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("account");
        foreach (AccountLine line in forecast.Account)
        {
            writer.WriteStartObject();
            writer.WriteString("what", line.What);
            writer.WriteNumber("pages", line.PageCount);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("bars");
        foreach (BarVerdict verdict in forecast.Bars)
        {
            writer.WriteStartObject();
            writer.WriteRange(verdict.Bar.Start, verdict.Bar.End);
            writer.WriteBoolean("claimed", verdict.CanBeClaimed);
            writer.WriteBoolean("identity", verdict.IsIdentity);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (balloon is not null)
            WriteBalloon(writer, balloon);
        writer.WriteStartArray("switchedOff");
        foreach (string what in forecast.SwitchedOff)
            writer.WriteStringValue(what);
        writer.WriteEndArray();
        writer.WriteStartArray("log");
        foreach (string line in forecast.Log)
            writer.WriteStringValue(line);
        writer.WriteEndArray();
    }

    private static void WriteBalloon(Utf8JsonWriter writer, BalloonForecast balloon)
    {
        writer.WriteStartObject("balloon");
        writer.WriteNumber("fromPages", balloon.FromPages);
        writer.WriteNumber("targetPages", balloon.TargetPages);
        writer.WriteNumber("toPages", balloon.ToPages);
        writer.WriteNumber("extraPages", balloon.ExtraPages);
        writer.WriteNumber("hotplugPages", balloon.HotplugPages);
        if (!balloon.Hotplug.IsEmpty)
        {
            writer.WriteStartObject("hotplug");
            writer.WriteRange(balloon.Hotplug.Start, balloon.Hotplug.End);
            writer.WriteEndObject();
        }

        writer.WriteNumber("scratchPages", balloon.ScratchPages);
        writer.WriteNumber("beyondMaximumPages", balloon.BeyondMaximumPages);
        writer.WriteNumber("beyondRoomPages", balloon.BeyondRoomPages);
        writer.WriteNumber("batches", balloon.Batches);
        writer.WriteStartObject("hypercalls");
        foreach ((string name, ulong count) in balloon.Hypercalls)
            writer.WriteNumber(name, count);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    public static string NameOf(P2mKind kind) => kind switch
    {
        P2mKind.Invalid => "invalid",
        P2mKind.Ram => "ram",
        P2mKind.Remapped or P2mKind.NonRam => "remapped",
        P2mKind.Identity => "identity",
    };

    private static void WriteP2m(Utf8JsonWriter writer, BootForecast forecast)
    {
        writer.WriteStartArray("p2m");
        foreach (P2mRun run in forecast.P2m)
        {
            writer.WriteStartObject();
            writer.WriteAddress("start", run.Range.Start.Value);
            writer.WriteAddress("end", run.Range.End.Value);
            writer.WriteString("kind", NameOf(run.Kind));
            // Machine frames of RAM are Xen's choice; what is known is which of the guest's frames they were. Firmware data has its own.
            if (run.Kind == P2mKind.NonRam)
                writer.WriteAddress("mfn", run.Mfn.Value);
            else if (run.Kind == P2mKind.Remapped)
                writer.WriteAddress("fromPfn", run.Mfn.Value);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void Print(CommandConsole console, Boot boot, BalloonForecast? balloon)
    {
        BootForecast forecast = boot.Forecast!;
        console.Ansi.WriteLine($"host:   {boot.Plan.Host.Description}");
        console.Ansi.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"guest:  {boot.Plan.Guest.Name ?? "(no name)"}, {forecast.Request.PageCount} pages ({ByteSize.ToText(forecast.Request.PageCount << Frames.Shift)}), map: {boot.Plan.Policy}"));
        console.Ansi.WriteLine($"kernel: {KernelVersions.NameOf(forecast.Request.Kernel)}");
        (string verdict, Color colour) = forecast.Outcome switch
        {
            GuestOutcome.Boots => ("it boots", Color.Green),
            GuestOutcome.NotKnown => ("whether it boots is not known", Color.Yellow),
            _ => ("it halts", Color.Red),
        };
        console.Ansi.Write(new Text(verdict, new Style(colour)));
        console.Ansi.WriteLine(forecast.Message is { Length: > 0 } message ? $": \"{message}\"" : forecast.Outcome == GuestOutcome.Halts ? ", without a word" : "");
        console.Ansi.WriteLine();
        if (!forecast.Account.IsEmpty)
            PrintAccount(console, forecast);
        if (!forecast.P2m.IsEmpty)
            PrintP2m(console, forecast);
        foreach (MovedRange moved in forecast.Moved)
            console.Ansi.WriteLine($"moved: {moved.What} from [{MapView.Hex(moved.From.Start)}, {MapView.Hex(moved.From.End)}) to [{MapView.Hex(moved.To.Start)}, {MapView.Hex(moved.To.End)})");
        if (!forecast.KernelMap.IsEmpty)
        {
            MapView.Draw(console, [new("host", boot.Plan.MachineMap), new("map given", forecast.Request.Map), new("kernel's map", forecast.KernelMap)]);
            console.Ansi.WriteLine();
        }

        if (!forecast.SwitchedOff.IsEmpty)
        {
            console.Ansi.WriteLine($"Off under Xen: {string.Join(", ", forecast.SwitchedOff)}");
            console.Ansi.WriteLine();
        }

        console.Ansi.WriteLine("The kernel will say:");
        foreach (string line in forecast.Log)
            console.Ansi.WriteLine($"  {line}");
        console.Ansi.WriteLine();
        if (balloon is not null)
            PrintBalloon(console, balloon);
        MapView.WriteProblems(console, [.. forecast.ProblemsWith(boot.Plan), .. balloon?.Problems ?? []]);
    }

    private static void PrintBalloon(CommandConsole console, BalloonForecast balloon)
    {
        console.Ansi.WriteLine(
            $"Balloon: from {ByteSize.ToText(balloon.FromPages << Frames.Shift)} to {ByteSize.ToText(balloon.ToPages << Frames.Shift)} in {Number(balloon.Batches)} batches");
        if (balloon.FromPages > balloon.ToPages)
            console.Ansi.WriteLine($"  {Number(balloon.FromPages - balloon.ToPages)} pages are given back to Xen");
        if (balloon.ExtraPages != 0)
            console.Ansi.WriteLine($"  {Number(balloon.ExtraPages)} pages come into the map's extra memory");
        if (balloon.ScratchPages != 0)
            console.Ansi.WriteLine($"  {Number(balloon.ScratchPages)} pages of extra memory are in the kernel's scratch pool, out of the balloon's reach");
        if (!balloon.Hotplug.IsEmpty)
            console.Ansi.WriteLine($"  {Number(balloon.HotplugPages)} pages come by hotplug, at [{MapView.Hex(balloon.Hotplug.Start)}, {MapView.Hex(balloon.Hotplug.End)})");
        foreach ((string name, ulong count) in balloon.Hypercalls)
            console.Ansi.WriteLine($"  {name}: {Number(count)} calls");
        console.Ansi.WriteLine();
    }

    private static void PrintAccount(CommandConsole console, BootForecast forecast)
    {
        Table table = MapView.NewTable("pages", "size", "what becomes of them");
        table.Columns[0].Alignment = Justify.Right;
        table.Columns[1].Alignment = Justify.Right;
        foreach (AccountLine line in forecast.Account)
            table.AddRow(new Text(Number(line.PageCount)), new Text(ByteSize.ToText(line.PageCount << Frames.Shift)), new Text(line.What));
        table.AddRow(new Text(Number(forecast.Request.PageCount)), new Text(ByteSize.ToText(forecast.Request.PageCount << Frames.Shift)), new Text("in all"));
        MapView.WriteTable(console, table);
        if (forecast.PopulatedPages != 0)
            console.Ansi.WriteLine($"{Number(forecast.PopulatedPages)} pages are got anew for those given back");
        ulong extra = forecast.Extra.Aggregate(0UL, static (sum, region) => sum + region.SizeBytes);
        if (extra != 0)
            console.Ansi.WriteLine($"{ByteSize.ToText(extra)} more of RAM in the map, for the balloon");
        console.Ansi.WriteLine();
    }

    private static void PrintP2m(CommandConsole console, BootForecast forecast)
    {
        Table table = MapView.NewTable("P2M from frame", "to frame", "pages", "behind them");
        table.Columns[2].Alignment = Justify.Right;
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
            table.AddRow(new Text(MapView.Hex(run.Range.Start.Value)), new Text(MapView.Hex(run.Range.End.Value)), new Text(Number(run.Range.Count)), new Text(behind));
        }

        MapView.WriteTable(console, table);
        console.Ansi.WriteLine($"Linux's P2M tree takes {Number(forecast.P2mTreePages)} pages");
        console.Ansi.WriteLine();
    }

    private static string Number(ulong count) => count.ToString("#,0", CultureInfo.InvariantCulture);
}
