// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Keyhole.Forecasts;
using Keyhole.Probing;
using Keyhole.RealMachine;
using Keyhole.RealXen;

namespace Keyhole.RemapVsLinux;

/// <summary>
/// Times the remap of dom0 with all memory on the seed's machine. Linux: from its line "p2m virtual area" to "Remapped", less the same of a run
/// that remaps 98 pages; it maps each page that moves then. Probe: its own phase; it maps memory afterwards, what moved and what did not in one
/// pass that is no longer for the remap. The share of that pass that the moved pages have is told beside it. On a busy computer times say little:
/// with --instructions the emulated machine's clock runs by instructions executed, and a single run is exact; but then a hypercall's way into Xen and
/// back, which costs an emulator much and a processor more than most instructions, counts for next to nothing.
/// </summary>
internal static partial class Program
{
    private const int DefaultRuns = 3;
    private const string InstructionsOption = "--instructions";

    /// <summary>
    /// Dom0's memory in the run that remaps next to nothing: below the hole. What Linux does besides between the two lines hardly depends on it: by
    /// instructions 1353 ms with 1450 MiB, 1360 ms with 2900 MiB.
    /// </summary>
    private const int UnmovedMiB = 2900;
    private const double WantedTimes = 5;
    private const double WantedHypercalls = 100;

    public static int Main(string[] arguments)
    {
        int runs = DefaultRuns;
        bool countsInstructions = arguments is [InstructionsOption, ..];
        if (countsInstructions)
            arguments = arguments[1..];
        if (arguments.Length > 1 || (arguments.Length == 1 && !int.TryParse(arguments[0], NumberStyles.None, CultureInfo.InvariantCulture, out runs))
            || runs == 0)
        {
            Console.Error.WriteLine(
                "remap-vs-linux: give the number of runs, or nothing for 3; --instructions before it counts instructions instead of time");
            return 2;
        }

        try
        {
            return Compare(runs, countsInstructions) ? 0 : 1;
        }
        catch (HarnessException failure)
        {
            Console.Error.WriteLine($"remap-vs-linux: {failure.Message}");
            return 2;
        }
    }

    private static bool Compare(int runs, bool countsInstructions)
    {
        Scenario seed = ScenarioFile.Load("seed8g-all") with { DeadlineSeconds = 900, CountsInstructions = countsInstructions };
        List<double> linux = [], unmoved = [], probe = [], mapped = [], floor = [];
        ulong pages = 0, probeCalls = 0, linuxCalls = 0;
        for (int i = 0; i < runs; i++)
        {
            (double seconds, ulong remapped) = LinuxRemap(XenMachine.Run(seed));
            (double idleSeconds, ulong few) = LinuxRemap(XenMachine.Run(Unmoved(seed)));
            ProbeReport report = ProbeRemap(XenMachine.Run(seed.AsDom0("check=no balloon=0")));
            Write($"run {i + 1}: Linux {seconds * 1000:F0} ms for {remapped} pages, {idleSeconds * 1000:F0} ms for {few}; ");
            Write($"probe {report.MillisecondsOf("remap"):F1} ms and {MappingOfMoved(report):F1} ms of mapping, ");
            Write($"{report.Phase("remap")!.Hypercalls} hypercalls for {report.RemappedPages}\n");
            linux.Add(seconds * 1000);
            unmoved.Add(idleSeconds * 1000);
            probe.Add(report.MillisecondsOf("remap"));
            mapped.Add(report.MillisecondsOf("remap") + MappingOfMoved(report));
            floor.Add(WithinXen(report, "remap") + (WithinXen(report, "map") * ShareOfMoved(report)));
            pages = report.RemappedPages;
            probeCalls = report.Phase("remap")!.Hypercalls;
            // Two a page and one for each page of its list: what Linux's code does, counted page by page in tests.
            BootForecast forecast = Forecaster.Forecast(report.ToRequest());
            linuxCalls = forecast.Hypercalls.Where(static call => call.Name is "mmu_update" or "update_va_mapping")
                .Aggregate(0UL, static (sum, call) => sum + call.Count);
        }

        double linuxMs = Median(linux) - Median(unmoved);
        double times = linuxMs / Median(probe);
        double fewer = (double)linuxCalls / probeCalls;
        Write($"{pages} pages, median of {runs}: Linux {Median(linux):F0} − {Median(unmoved):F0} = {linuxMs:F0} ms, ");
        Write($"probe {Median(probe):F1} ms: {times:F1} times less (wanted {WantedTimes})\n");
        Write($"with the mapping of the moved pages, which the probe would map anyway: {Median(mapped):F1} ms, ");
        Write($"{linuxMs / Median(mapped):F1} times less\n");
        Write($"of that within Xen, which carries out what each page needs once (its M2P entry, its page-table entry): {Median(floor):F1} ms; ");
        Write($"a kernel that did nothing besides would be {linuxMs / Median(floor):F1} times faster than Linux\n");
        Console.Out.WriteLine(FormattableString.Invariant(
            $"hypercalls: Linux {linuxCalls} (reckoned), probe {probeCalls} (counted): {fewer:F0} times fewer (wanted {WantedHypercalls})"));
        return times >= WantedTimes && fewer >= WantedHypercalls;
    }

    /// <summary>A dom0 that ends below the large hole, on a map without the small ones, and without extra memory, which would have to be made
    /// invalid.</summary>
    private static Scenario Unmoved(Scenario seed) => seed with
    {
        Name = "seed8g-unmoved",
        Xen = FormattableString.Invariant($"dom0_mem={UnmovedMiB}M,max:{UnmovedMiB}M"),
        FirmwareMap = ScenarioFile.ParseMap(["0 9ec00 ram", "9ec00 a0000 reserved", "e0000 100000 reserved", "100000 bad80000 ram",
            "100000000 23fe00000 ram"]),
    };

    private static (double Seconds, ulong Pages) LinuxRemap(XenRun run)
    {
        Match begun = P2mArea().Match(run.Serial);
        Match ended = Remapped().Match(run.Serial);
        if (!begun.Success || !ended.Success)
            throw new HarnessException($"{run.Scenario.Name}: Linux does not say when it remaps");
        return (Seconds(ended) - Seconds(begun), ulong.Parse(ended.Groups["pages"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture));

        static double Seconds(Match match) =>
            double.Parse(match.Groups["seconds"].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
    }

    private static ProbeReport ProbeRemap(XenRun run)
    {
        if (!ProbeReportReader.Read(new MemoryStream(Encoding.Latin1.GetBytes(run.Serial)), run.Scenario.Name)
            .TryGet(out ProbeReport? report, out Diagnostics.InputError? error))
            throw new HarnessException(error.ToString());
        return report.Passed == true ? report : throw new HarnessException($"{run.Scenario.Name}: the probe is not content: {report.Trap}");
    }

    /// <summary>What the moved pages take of the pass that maps all memory, in milliseconds.</summary>
    private static double MappingOfMoved(ProbeReport report) => report.MillisecondsOf("map") * ShareOfMoved(report);

    private static double ShareOfMoved(ProbeReport report) => (double)report.RemappedPages / report.Phase("map")!.PageCount;

    /// <summary>The part of a phase in which Xen carried out batches of updates: no kernel can do with less, unless it moves or maps fewer
    /// pages.</summary>
    private static double WithinXen(ProbeReport report, string phase)
    {
        ProbePhase figures = report.Phase(phase)!;
        return figures.Ticks == 0 ? 0 : report.MillisecondsOf(phase) * figures.MmuUpdateTicks / figures.Ticks;
    }

    private static void Write(FormattableString text) => Console.Out.Write(FormattableString.Invariant(text));

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    [GeneratedRegex(@"\[\s*(?<seconds>[0-9.]+)\] p2m virtual area", RegexOptions.NonBacktracking)]
    private static partial Regex P2mArea();

    [GeneratedRegex(@"\[\s*(?<seconds>[0-9.]+)\] Remapped (?<pages>[0-9]+) page", RegexOptions.NonBacktracking)]
    private static partial Regex Remapped();
}
