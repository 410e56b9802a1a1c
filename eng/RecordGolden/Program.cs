// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Keyhole.RealMachine;
using Keyhole.RealQemu;
using Keyhole.RealXen;

namespace Keyhole.RecordGolden;

/// <summary>Makes the records of the real Xen again and says where they differ from those in the tree.</summary>
internal static class Program
{
    private const string Help = """
        Usage: eng/record-golden [NAME… | FILE.json…] [--xen VERSION] [--linux VERSION] [--matrix] [--out DIR] [--jobs N] [--marks]

        Boots the real Xen, Linux and xl under emulation for each scenario named (all of tests/RealXen/Scenarios without a name), writes NAME.log to
        DIR (artifacts/machines/records without --out) and compares it with the record in tests/fixtures where there is one.
        --xen V    the Xen to boot: 4.14, 4.17 or 4.20
        --linux V  the Linux to boot, as dom0 and as guest: 5.10, 6.1, 6.12 or 7.x, the newest of Debian's testing
        --matrix   every scenario named (without a name, those of the matrix) with each of them; records go to DIR/xen-V-linux-V
        --jobs N   so many machines at a time, 1 or 2 (2 without it)
        --marks    also prints when each section began, in seconds after QEMU's start

        Exit status: 0 every record agrees with the one in the tree; 1 one differs; 2 a run could not be made.

        eng/record-golden --kvm … makes records of guests in the real QEMU instead; eng/record-golden --kvm --help says more.
        eng/record-golden --properties FILE asks QEMU 7.2 and 10.0 which properties their device models have, and writes the table of them
        (src/Keyhole/Guests/Qemu/QemuDeviceProperties.Table.cs).
        """;

    private static readonly Lock s_console = new();

    public static int Main(string[] arguments)
    {
        if (arguments is ["--kvm", .. var of])
        {
            if (of is ["--help" or "-h", ..])
            {
                Console.Out.WriteLine(KvmRecords.Help);
                return 0;
            }

            return KvmRecords.Run(of);
        }

        if (arguments is ["--properties", var file])
        {
            try
            {
                File.WriteAllText(file, DevicePropertyTable.MakeFile());
                return 0;
            }
            catch (Exception e) when (e is HarnessException or IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine($"record-golden: {e.Message}");
                return 2;
            }
        }

        var names = new List<string>();
        string folder = "", xen = "", linux = "";
        bool marks = false, matrix = false;
        int jobs = 2;
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
                case "--matrix":
                    matrix = true;
                    break;
                case "--xen" when i + 1 < arguments.Length:
                    xen = arguments[++i];
                    break;
                case "--linux" when i + 1 < arguments.Length:
                    linux = arguments[++i];
                    break;
                case "--jobs" when i + 1 < arguments.Length && arguments[i + 1] is "1" or "2":
                    jobs = arguments[++i] == "1" ? 1 : 2;
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
            IEnumerable<string> wanted = names.Count > 0 ? names
                : ScenarioFile.Names.Where(name => name.StartsWith(Scenario.Matrix + "/", StringComparison.Ordinal) == matrix);
            Scenario[] scenarios = [.. wanted.Select(ScenarioFile.Load).SelectMany(scenario => Versions(scenario, xen, linux, matrix))];
            folder = folder.Length > 0 ? Directory.CreateDirectory(folder).FullName : Workshop.Records;
            int status = 0;
            // Two at a time, as the machines do (Workshop.MachineSlot); one that fails does not keep the others from being made.
            Parallel.ForEach(scenarios, new ParallelOptions { MaxDegreeOfParallelism = jobs },
                scenario => Raise(ref status, Make(scenario, folder, marks, matrix)));
            return status;
        }
        catch (HarnessException failure)
        {
            Console.Error.WriteLine($"record-golden: {failure.Message}");
            return 2;
        }
    }

    private static IEnumerable<Scenario> Versions(Scenario scenario, string xen, string linux, bool matrix)
    {
        IEnumerable<string> xens = xen.Length > 0 ? [xen] : matrix ? XenRelease.All.Select(release => release.Version) : [scenario.XenVersion];
        IEnumerable<string> linuxes = linux.Length > 0 ? [linux]
            : matrix ? LinuxRelease.All.Select(release => release.Version) : [scenario.LinuxVersion];
        return xens.SelectMany(one => linuxes.Select(other => scenario.On(one, other)));
    }

    private static int Make(Scenario scenario, string folder, bool marks, bool matrix)
    {
        try
        {
            XenRun run = XenMachine.Run(scenario);
            string record = RecordWriter.Write(run);
            string path = Path.Combine(matrix ? Directory.CreateDirectory(Path.Combine(folder, scenario.Pair)).FullName : folder, scenario.Name
                + ".log");
            string golden = Path.Combine(Sources.Fixtures, scenario.RecordFolder, scenario.Name + ".log");
            // Compared before it is written: DIR may be the folder of the fixtures itself.
            ImmutableArray<string>? differences = File.Exists(golden)
                ? RecordComparison.Differences(GoldenRecord.Parse(File.ReadAllText(golden)), GoldenRecord.Parse(record)) : null;
            File.WriteAllText(path, record);
            string verdict = differences switch
            {
                null => "no record in the tree to compare with",
                { IsEmpty: true } => "agrees with the record in the tree",
                { } found => $"differs from the record in the tree in {found.Length} places",
            };
            lock (s_console)
            {
                Console.Out.WriteLine(
                    $"{scenario.Name} ({scenario.Pair}): {(run.End == RunEnd.Halted ? "dom0 halted" : "all done")} after "
                        + $"{run.Elapsed.TotalSeconds:0.0} s; {verdict}; {path}");
                foreach ((TimeSpan at, string line) in marks ? run.Marks : [])
                    Console.Out.WriteLine($"  {at.TotalSeconds,6:0.0} {line}");
                foreach (string difference in differences ?? [])
                    Console.Out.WriteLine($"  {difference}");
            }

            return differences is { IsEmpty: false } ? 1 : 0;
        }
        catch (Exception failure) when (failure is HarnessException or FormatException)
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
