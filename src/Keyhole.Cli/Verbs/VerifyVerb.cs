// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Verification;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole verify</c>: a real boot's log beside the forecast of it, and why the boot went as it did.</summary>
internal static class VerifyVerb
{
    public static Command Build(CommandConsole console)
    {
        var source = new BootSource();
        var dmesg = new Option<string?>("--dmesg")
        {
            Description = "What the kernel printed: its dmesg, its console's log, or an xl -vvv log with it; - reads standard input. Without it the host's log is searched.",
            HelpName = "FILE|-",
        };
        var number = new Option<int?>("--boot") { Description = "Which of the log's boots to take, counted from 1.", HelpName = "N" };
        var json = new Option<bool>("--json") { Description = "One JSON document on standard output." };
        var command = new Command("verify", "Compare a real boot's log with its forecast, line by line, and explain it: missing memory, a dom0 that does not boot, devices that cannot be claimed.")
        {
            dmesg, number, json,
        };
        source.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole verify --dom0 --host xen.log                           one pasted log of Xen and dom0: what went wrong?
              keyhole verify --dom0 --host xl-dmesg.txt --dmesg dmesg.txt    dom0's lines in a file of their own
              keyhole verify --host xen.log --guest guest.cfg --dmesg guest-console.log
              ssh guest sudo dmesg | keyhole verify --host xen.log --guest guest.cfg --dmesg - --json

            Exit status: 0 the log agrees with the forecast (a halt that was forecast agrees too), 1 it differs, 2 nothing to compare.
            """);
        command.SetAction(parsed =>
        {
            LogScan? log = null;
            string? path = parsed.GetValue(dmesg);
            if (path == "-" && source.HostIsStandardInput(parsed))
                return console.Fail(new("--dmesg", null, "standard input is the host's log already", "leave out --dmesg: the host's log is searched for the kernel's lines"));
            if (path is not null && !Files.Read<LogScan>(console, path, "what the kernel printed", ReadLog).TryGet(out log, out InputError? unreadable))
                return console.Fail(unreadable);
            var taken = new Taken(path is null ? null : path == "-" ? "standard input" : Files.Shown(path), log);
            Parsed<Boot> read = source.Read(parsed, console, host => taken.Look(host, source, parsed, parsed.GetValue(number), console));
            if (!read.TryGet(out Boot? boot, out InputError? error))
            {
                if (taken is not { Boot: { Halts: true } died, WhyNoForecast: { } why })
                    return console.Fail(error);
                BootVerification end = Verifier.WithoutForecast(died, why);
                if (parsed.GetValue(json))
                    JsonText.Write(console, writer => WriteJson(writer, taken, end));
                else
                    PrintEnd(console, taken, end);
                return ExitStatus.No;
            }

            BootVerification verification = Verifier.Compare(boot.Forecast!, taken.Boot!, boot.Plan);
            if (verification.Findings.IsEmpty)
            {
                return console.Fail(new(
                    taken.Name!,
                    taken.Boot!.FirstLine,
                    "the boot's lines say nothing that was forecast",
                    "give more of what the kernel printed: its map, \"Released …\", \"Remapped …\", \"available for PCI devices\""));
            }

            if (parsed.GetValue(json))
                JsonText.Write(console, writer => WriteJson(writer, taken, verification));
            else
                Print(console, boot, taken, verification);
            return verification.Agrees ? ExitStatus.Yes : ExitStatus.No;
        });
        return command;
    }

    private static Parsed<LogScan> ReadLog(System.IO.Stream stream, string name)
    {
        LogScan scan = LogScanner.Scan(stream, name);
        return scan.LineCount == 0 ? new InputError(name, null, "the log is empty", "give what the kernel printed at boot") : scan;
    }

    private static void WriteJson(Utf8JsonWriter writer, Taken taken, BootVerification verification)
    {
        writer.WriteBoolean("agrees", verification.Agrees);
        writer.WriteString("profile", KernelVersions.NameOf(verification.Profile));
        writer.WriteStartObject("boot");
        writer.WriteString("log", taken.Name);
        writer.WriteNumber("number", taken.Boot!.Number);
        writer.WriteNumber("of", taken.BootCount);
        writer.WriteNumber("firstLine", taken.Boot.FirstLine);
        writer.WriteNumber("lastLine", taken.Boot.LastLine);
        if (taken.Boot.Release is { } release)
            writer.WriteString("release", release.Value);
        writer.WriteEndObject();
        WriteFindings(writer, "differences", verification.Differences);
        WriteFindings(writer, "agreements", [.. verification.Findings.Where(static finding => finding.Agrees)]);
        WriteTexts(writer, "notCompared", verification.NotCompared);
        WriteTexts(writer, "explanations", verification.Explanations);
    }

    public static void WriteFindings(Utf8JsonWriter writer, string name, ImmutableArray<Finding> findings)
    {
        writer.WriteStartArray(name);
        foreach (Finding finding in findings)
        {
            writer.WriteStartObject();
            writer.WriteString("what", finding.What);
            writer.WriteString("forecast", finding.Forecast);
            writer.WriteString("observed", finding.Observed);
            if (finding.Line is { } line)
                writer.WriteNumber("line", line);
            else
                writer.WriteNull("line");
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    public static void WriteTexts(Utf8JsonWriter writer, string name, ImmutableArray<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (string text in texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
    }

    /// <summary>All that can be told of a boot whose map is not forecast.</summary>
    private static void PrintEnd(CommandConsole console, Taken taken, BootVerification verification)
    {
        console.Ansi.WriteLine($"log:    {taken.Describe()}");
        foreach (Finding finding in verification.Findings)
            console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"observed: {finding.Observed}, line {finding.Line}"));
        foreach (string text in verification.Explanations)
            console.Ansi.WriteLine(text);
    }

    private static void Print(CommandConsole console, Boot boot, Taken taken, BootVerification verification)
    {
        console.Ansi.WriteLine($"host:   {boot.Plan.Host.Description}");
        console.Ansi.WriteLine($"guest:  {boot.Plan.Guest.Name ?? "(no name)"}, {ByteSize.ToText(boot.Forecast!.Request.PageCount << Addresses.Frames.Shift)}, map: {boot.Plan.Policy}");
        console.Ansi.WriteLine($"log:    {taken.Describe()}");
        console.Ansi.WriteLine($"kernel: {KernelVersions.NameOf(verification.Profile)}");
        int differing = verification.Differences.Length;
        bool halts = taken.Boot!.Halts;
        string verdict = differing == 0 ? halts ? "the kernel halts, as forecast" : "the log agrees with the forecast" : string.Create(CultureInfo.InvariantCulture, $"{differing} of {verification.Findings.Length} lines differ from the forecast");
        console.Ansi.Write(new Text(verdict, new Style(differing == 0 && !halts ? Color.Green : Color.Red)));
        console.Ansi.WriteLine();
        Table table = MapView.NewTable("", "what", "forecast", "observed", "line");
        table.Columns[4].Alignment = Justify.Right;
        foreach (Finding finding in verification.Findings)
        {
            string mark = finding.Agrees ? "=" : "≠";
            table.AddRow(
                new Text(mark, new Style(finding.Agrees ? Color.Green : Color.Red)),
                new Text(finding.What),
                new Text(finding.Forecast ?? "-"),
                new Text(finding.Agrees ? "the same" : finding.Observed ?? "-"),
                new Text(finding.Line?.ToString(CultureInfo.InvariantCulture) ?? ""));
        }

        MapView.WriteTable(console, table);
        if (!verification.NotCompared.IsEmpty)
            console.Ansi.WriteLine($"not in the log: {string.Join("; ", verification.NotCompared)}");
        console.Ansi.WriteLine();
        foreach (string text in verification.Explanations)
            console.Ansi.WriteLine(text);
    }

    /// <summary>The boot that was chosen from the log, once the host has been read.</summary>
    private sealed class Taken(string? name, LogScan? log)
    {
        public string? Name { get; private set; } = name;

        public ObservedBoot? Boot { get; private set; }

        public int BootCount { get; private set; }

        /// <summary>Why there is no forecast to compare with, as a sentence; null where there is one.</summary>
        public string? WhyNoForecast { get; private set; }

        public string Describe()
        {
            string whose = Boot!.Owner switch
            {
                BootOwner.Dom0 => ", dom0's",
                BootOwner.Guest => Boot.Domain is { } domain ? string.Create(CultureInfo.InvariantCulture, $", guest {domain}'s") : ", a guest's",
                BootOwner.Unknown => "",
            };
            string others = BootCount == 1 ? "" : "; --boot N takes another";
            return string.Create(CultureInfo.InvariantCulture, $"boot {Boot.Number} of {BootCount}{whose}, lines {Boot.FirstLine} to {Boot.LastLine} of {Name}{others}");
        }

        public Parsed<BootHints> Look(HostMemoryMap host, BootSource source, ParseResult parsed, int? number, CommandConsole console)
        {
            bool isDom0 = source.IsDom0(parsed);
            if ((log ?? host.Log) is not { } scan)
                return new InputError("--dmesg", null, "the host's map comes from no log, so it holds no boot", "name what the kernel printed with --dmesg");
            Name ??= "the host's log";
            ImmutableArray<ObservedBoot> boots = BootLog.Of(scan);
            BootCount = boots.Length;
            if (!BootLog.Choose(boots, isDom0, number, Name).TryGet(out ObservedBoot? chosen, out InputError? error))
                return error;
            Boot = chosen;
            if (!isDom0)
                return new BootHints { Kernel = chosen.Kernel, CommandLine = chosen.Facts.CommandLine?.Value, Layout = pages => BootEvidence.LayoutOfGuest(chosen, pages) };
            if (log is null && !source.HasMapNumber(parsed))
            {
                if (!BootEvidence.OnTheMapOf(host, chosen, source.HostName(parsed)).TryGet(out HostMemoryMap? own, out error))
                    return error;
                host = own;
            }

            Dom0Log? builder = chosen.Builder ?? (host.Log is { } hostLog ? Dom0Log.Of(hostLog, host.LogMap) : null);
            if (builder?.Pvh is { } pvh)
                WhyNoForecast = $"This dom0 is a PVH one (line {pvh.Line}: {pvh.Value}): Xen makes its map itself, and it is not forecast, so nothing but its end could be looked at.";
            if (builder is null && chosen.Halts)
            {
                // A map and last words copied from a photograph are enough to say what lies in the way.
                builder = BootEvidence.UsualDom0(host);
                console.Remark("the log does not show how Xen builds dom0: it is taken to be a Linux of the size of 6.1 with all of the host's RAM");
            }

            return new BootHints
            {
                Kernel = chosen.Kernel,
                Dom0 = builder,
                Host = BootEvidence.WithPagesReservedIn(host, chosen),
                Layout = _ => BootEvidence.LayoutOfDom0(chosen, builder),
            };
        }
    }
}
