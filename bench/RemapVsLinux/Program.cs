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
using Keyhole.RealXen;

namespace Keyhole.RemapVsLinux;

/// <summary>
/// Times the remap of dom0 with all memory on the seed's machine. Linux: from its line "p2m virtual area" to "Remapped", less what that takes
/// without a remap: two runs that remap 98 pages, and the straight line through them. Probe: its own phase, page tables for the targets included. On a busy computer times say little:
/// with --instructions the emulated machine's clock runs by instructions executed, and a single run is exact.
/// </summary>
internal static partial class Program
{
    private const int DefaultRuns = 3;
    private const string InstructionsOption = "--instructions";
    private const int SmallMiB = 1450;
    private const int LargeMiB = 2900;

    /// <summary>What dom0 has on the seed's machine, with its list of frames: 2020599 pages.</summary>
    private const int SeedMiB = 7893;
    private const double WantedTimes = 5;
    private const double WantedHypercalls = 100;

    public static int Main(string[] arguments)
    {
        int runs = DefaultRuns;
        bool countsInstructions = arguments is [InstructionsOption, ..];
        if (countsInstructions)
            arguments = arguments[1..];
        if (arguments.Length > 1 || (arguments.Length == 1 && !int.TryParse(arguments[0], NumberStyles.None, CultureInfo.InvariantCulture, out runs)) || runs == 0)
        {
            Console.Error.WriteLine("remap-vs-linux: give the number of runs, or nothing for 3; --instructions before it counts instructions instead of time");
            return 2;
        }

        try
        {
            return Compare(runs, countsInstructions) ? 0 : 1;
        }
        catch (RealXenException failure)
        {
            Console.Error.WriteLine($"remap-vs-linux: {failure.Message}");
            return 2;
        }
    }

    private static bool Compare(int runs, bool countsInstructions)
    {
        Scenario seed = ScenarioFile.Load("seed8g-all") with { DeadlineSeconds = 900, CountsInstructions = countsInstructions };
        List<double> linux = [], small = [], large = [], probe = [];
        ulong pages = 0, probeCalls = 0, linuxCalls = 0;
        for (int i = 0; i < runs; i++)
        {
            (double seconds, ulong remapped) = LinuxRemap(XenMachine.Run(seed));
            (double smallSeconds, ulong few) = LinuxRemap(XenMachine.Run(Unmoved(seed, SmallMiB)));
            (double largeSeconds, _) = LinuxRemap(XenMachine.Run(Unmoved(seed, LargeMiB)));
            ProbeReport report = ProbeRemap(XenMachine.Run(seed.AsDom0("check=no balloon=0")));
            Console.Out.WriteLine(FormattableString.Invariant(
                $"run {i + 1}: Linux {seconds * 1000:F0} ms for {remapped} pages; {smallSeconds * 1000:F0} and {largeSeconds * 1000:F0} ms for {few} ({SmallMiB} and {LargeMiB} MiB); probe {report.MillisecondsOf("remap"):F1} ms, {report.Phase("remap")!.Hypercalls} hypercalls for {report.RemappedPages}"));
            linux.Add(seconds * 1000);
            small.Add(smallSeconds * 1000);
            large.Add(largeSeconds * 1000);
            probe.Add(report.MillisecondsOf("remap"));
            pages = report.RemappedPages;
            probeCalls = report.Phase("remap")!.Hypercalls;
            // Two a page and one for each page of its list: what Linux's code does, counted page by page in tests.
            BootForecast forecast = Forecaster.Forecast(report.ToRequest());
            linuxCalls = forecast.Hypercalls.Where(static call => call.Name is "mmu_update" or "update_va_mapping").Aggregate(0UL, static (sum, call) => sum + call.Count);
        }

        // What Linux does besides between the two lines grows with the list of frames: taken on in a straight line to the seed's machine.
        double unmoved = Median(large) + ((Median(large) - Median(small)) * (SeedMiB - LargeMiB) / (LargeMiB - SmallMiB));
        double linuxMs = Median(linux) - unmoved;
        double times = linuxMs / Median(probe);
        double fewer = (double)linuxCalls / probeCalls;
        Console.Out.WriteLine(FormattableString.Invariant($"{pages} pages, median of {runs}: Linux {Median(linux):F0} − {unmoved:F0} = {linuxMs:F0} ms, probe {Median(probe):F1} ms: {times:F1} times less (wanted {WantedTimes})"));
        Console.Out.WriteLine(FormattableString.Invariant($"hypercalls: Linux {linuxCalls} (reckoned), probe {probeCalls} (counted): {fewer:F0} times fewer (wanted {WantedHypercalls})"));
        return times >= WantedTimes && fewer >= WantedHypercalls;
    }

    /// <summary>A dom0 that ends below the large hole, on a map without the small ones, and without extra memory, which would have to be made invalid.</summary>
    private static Scenario Unmoved(Scenario seed, int memoryMiB) => seed with
    {
        Name = FormattableString.Invariant($"seed8g-unmoved-{memoryMiB}"),
        Xen = FormattableString.Invariant($"dom0_mem={memoryMiB}M,max:{memoryMiB}M"),
        FirmwareMap = ScenarioFile.ParseMap(["0 9ec00 ram", "9ec00 a0000 reserved", "e0000 100000 reserved", "100000 bad80000 ram", "100000000 23fe00000 ram"]),
    };

    private static (double Seconds, ulong Pages) LinuxRemap(XenRun run)
    {
        Match begun = P2mArea().Match(run.Serial);
        Match ended = Remapped().Match(run.Serial);
        if (!begun.Success || !ended.Success)
            throw new RealXenException($"{run.Scenario.Name}: Linux does not say when it remaps");
        return (Seconds(ended) - Seconds(begun), ulong.Parse(ended.Groups["pages"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture));

        static double Seconds(Match match) => double.Parse(match.Groups["seconds"].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
    }

    private static ProbeReport ProbeRemap(XenRun run)
    {
        if (!ProbeReportReader.Read(new MemoryStream(Encoding.Latin1.GetBytes(run.Serial)), run.Scenario.Name).TryGet(out ProbeReport? report, out Reading.InputError? error))
            throw new RealXenException(error.ToString());
        return report.Passed == true ? report : throw new RealXenException($"{run.Scenario.Name}: the probe is not content: {report.Trap}");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    [GeneratedRegex(@"\[\s*(?<seconds>[0-9.]+)\] p2m virtual area", RegexOptions.NonBacktracking)]
    private static partial Regex P2mArea();

    [GeneratedRegex(@"\[\s*(?<seconds>[0-9.]+)\] Remapped (?<pages>[0-9]+) page", RegexOptions.NonBacktracking)]
    private static partial Regex Remapped();
}
