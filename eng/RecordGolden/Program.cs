// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Keyhole.RealXen;

namespace Keyhole.RecordGolden;

/// <summary>Makes the golden records anew on the real Xen and says where they differ from those in the tree.</summary>
internal static class Program
{
    private const string Help = """
        Usage: eng/record-golden [NAME… | FILE.json…] [--out DIR] [--marks]

        Boots the real Xen, Linux and xl under emulation for each scenario named (all of tests/RealXen/Scenarios without a name), writes NAME.log to
        DIR (artifacts/realxen/records without --out) and compares it with tests/fixtures/golden/NAME.log where there is one.
        --marks   also prints when each section began, in seconds after QEMU's start

        Exit status: 0 every record agrees with the golden one; 1 one differs; 2 a run could not be made.
        """;

    private static readonly Lock s_console = new();

    public static int Main(string[] arguments)
    {
        var names = new List<string>();
        string folder = "";
        bool marks = false;
        for (int i = 0; i < arguments.Length; i++)
        {
            switch (arguments[i])
            {
                case "--help" or "-h":
                    Console.Out.WriteLine(Help);
                    return 0;
                case "--marks":
                    marks = true;
                    break;
                case "--out" when i + 1 < arguments.Length:
                    folder = arguments[++i];
                    break;
                case ['-', ..]:
                    Console.Error.WriteLine($"record-golden: {arguments[i]}: no such option, or its value is missing; see --help");
                    return 2;
                default:
                    names.Add(arguments[i]);
                    break;
            }
        }

        try
        {
            Scenario[] scenarios = [.. (names.Count > 0 ? names : ScenarioFile.Names).Select(ScenarioFile.Load)];
            folder = folder.Length > 0 ? Directory.CreateDirectory(folder).FullName : Workshop.Records;
            int status = 0;
            // Two at a time, as the machines do (Workshop.MachineSlot); one that fails does not keep the others from being made.
            Parallel.ForEach(scenarios, new ParallelOptions { MaxDegreeOfParallelism = 2 }, scenario => Raise(ref status, Make(scenario, folder, marks)));
            return status;
        }
        catch (RealXenException failure)
        {
            Console.Error.WriteLine($"record-golden: {failure.Message}");
            return 2;
        }
    }

    private static int Make(Scenario scenario, string folder, bool marks)
    {
        try
        {
            XenRun run = XenMachine.Run(scenario);
            string record = RecordWriter.Write(run);
            string path = Path.Combine(folder, scenario.Name + ".log");
            string golden = Path.Combine(Workshop.Golden, scenario.Name + ".log");
            // Compared before it is written: DIR may be the golden folder itself.
            ImmutableArray<string>? differences = File.Exists(golden) ? RecordComparison.Differences(GoldenRecord.Parse(File.ReadAllText(golden)), GoldenRecord.Parse(record)) : null;
            File.WriteAllText(path, record);
            string verdict = differences switch
            {
                null => "no golden record to compare with",
                { IsEmpty: true } => "agrees with the golden record",
                { } found => $"differs from the golden record in {found.Length} places",
            };
            lock (s_console)
            {
                Console.Out.WriteLine($"{scenario.Name}: {(run.End == RunEnd.Halted ? "dom0 halted" : "all done")} after {run.Elapsed.TotalSeconds:0.0} s; {verdict}; {path}");
                foreach ((TimeSpan at, string line) in marks ? run.Marks : [])
                    Console.Out.WriteLine($"  {at.TotalSeconds,6:0.0} {line}");
                foreach (string difference in differences ?? [])
                    Console.Out.WriteLine($"  {difference}");
            }

            return differences is { IsEmpty: false } ? 1 : 0;
        }
        catch (Exception failure) when (failure is RealXenException or FormatException)
        {
            lock (s_console)
                Console.Error.WriteLine($"record-golden: {failure.Message}");
            return 2;
        }
    }

    private static void Raise(ref int status, int to)
    {
        lock (s_console)
            status = Math.Max(status, to);
    }
}
