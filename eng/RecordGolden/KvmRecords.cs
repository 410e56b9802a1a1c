// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;
using Keyhole.RealMachine;
using Keyhole.RealQemu;

namespace Keyhole.RecordGolden;

/// <summary>Makes records of guests in the real QEMU, and compares them with those in the tree and with their forecasts.</summary>
internal sealed class KvmRecords
{
    public const string Help = """
        Usage: eng/record-golden --kvm [FILE.jsonl] [--remedies | --random N [--seed S]] [--suite NAME] [--only TEXT] [--limit N]
                                 [--out FILE.jsonl] [--jobs N] [--list]

        Starts guests in the real QEMU under emulation until their firmware has placed the BARs, reads what it did and writes a record of each to FILE
        (artifacts/machines/records/kvm.jsonl without --out). Every record is compared with its forecast, and with the record in tests/fixtures/qemu that
        it is made after. FILE.jsonl: configurations or records of one's own, one JSON document a line, instead of those in the tree.
        --remedies    the guests of the records whose BARs do not all have a place, with what Keyhole recommends for them
        --random N    N guests put together at random; the same ones for the same --seed (of 1 without it)
        --suite NAME  only QEMU and firmware of Debian's bullseye (5.2, SeaBIOS 1.14, OVMF 2020.11), bookworm (7.2, 1.16.2, 2022.11),
                      trixie (10.0, 1.16.3, 2025.02) or testing (11.1, 1.17, 2026.08); several with commas between them
        --only TEXT   only those whose configuration has the text in it: seabios, '"set":"mix4"', secondary-vga
        --limit N     N of them, evenly taken
        --list        says which guests they are and starts none
        --jobs N      so many guests at a time, 1 or 2 (2 without it)

        Exit status: 0 all agree; 1 one differs; 2 a run could not be made.
        """;

    private readonly Lock _gate = new();
    private readonly List<QemuConfig> _own = [];
    private string _out = "", _only = "";
    private string[] _suites = [];
    private int _random, _seed = 1, _limit = int.MaxValue, _jobs = 2;
    private bool _remedies, _list;
    private int _made, _differing, _failed;

    private sealed record Job(QemuConfig Config, Func<QemuRecord, IReadOnlyList<string>> Check, string Title);

    public static int Run(ReadOnlySpan<string> arguments)
    {
        var records = new KvmRecords();
        return records.Read(arguments) is { } complaint ? Complain(complaint) : records.Run();
    }

    private static int Complain(string complaint)
    {
        Console.Error.WriteLine($"record-golden: {complaint}; see --kvm --help");
        return 2;
    }

    private string? Read(ReadOnlySpan<string> arguments)
    {
        for (int i = 0; i < arguments.Length; i++)
        {
            string? value = i + 1 < arguments.Length ? arguments[i + 1] : null;
            switch (arguments[i])
            {
                case "--remedies":
                    _remedies = true;
                    continue;
                case "--list":
                    _list = true;
                    continue;
                case "--random" when Number(value, out _random):
                case "--seed" when Number(value, out _seed):
                case "--limit" when Number(value, out _limit):
                case "--jobs" when Number(value, out _jobs) && _jobs is 1 or 2:
                    break;
                case "--out" when value is not null:
                    _out = value;
                    break;
                case "--only" when value is not null:
                    _only = value;
                    break;
                case "--suite" when value is not null:
                    _suites = value.Split(',');
                    if (_suites.FirstOrDefault(static suite => FirmwareRelease.All.All(release => release.Suite.Name != suite)) is { } unknown)
                        return $"--suite {unknown}: bullseye, bookworm, trixie and testing are there";
                    break;
                case ['-', ..]:
                    return $"{arguments[i]}: no such option, or its value is missing";
                default:
                    if (!File.Exists(arguments[i]))
                        return $"{arguments[i]}: no such file";
                    _own.AddRange(File.ReadLines(arguments[i]).Select(Own));
                    continue;
            }

            i++;
        }

        return null;

        static bool Number(string? text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    private static QemuConfig Own(string line)
    {
        JsonElement json = JsonDocument.Parse(line).RootElement;
        return new(json.TryGetProperty("config", out JsonElement config) ? config : json);
    }

    private int Run()
    {
        Job[] jobs = [.. Wanted().Where(job => job.Config.ToString().Contains(_only, StringComparison.Ordinal))];
        if (jobs.Length > _limit)
            jobs = [.. Enumerable.Range(0, _limit).Select(i => jobs[(int)((long)i * jobs.Length / _limit)])];
        if (_list)
        {
            foreach (Job job in jobs)
                Console.Out.WriteLine($"{job.Title}: {job.Config}");
            return 0;
        }

        string path = _out.Length > 0 ? Path.GetFullPath(_out) : Path.Combine(Workshop.Records, "kvm.jsonl");
        using (var to = new StreamWriter(path))
            Parallel.ForEach(jobs, new ParallelOptions { MaxDegreeOfParallelism = _jobs }, job => Make(job, to));
        Console.Out.WriteLine($"{_made} of {jobs.Length} made, {_differing} differ, {_failed} could not be made; {path}");
        return _failed > 0 ? 2 : _differing > 0 ? 1 : 0;
    }

    private IEnumerable<Job> Wanted()
    {
        if (_random > 0)
        {
            string[] emulators = [.. EmulatorRelease.All.Where(release => Has(release.Suite)).Select(static release => release.Version)];
            string[] firmwares = [.. FirmwareRelease.All.Where(release => Has(release.Suite)).Select(static release => release.Name)];
            var guests = new RandomGuests(_seed, emulators, firmwares);
            return Enumerable.Range(0, _random).Select(i => new Job(guests.Next(), QemuComparison.Compare, $"seed {_seed}, {i + 1}"));
        }

        if (_own.Count > 0)
            return _own.Select(static (config, i) => new Job(config, QemuComparison.Compare, $"line {i + 1}"));
        if (_remedies)
        {
            return Remedy.OfAll(QemuRecord.All.Concat(QemuRecord.Random)).Where(remedy => CanBeStarted(remedy.Config))
                .Select(static remedy => new Job(remedy.Config, remedy.Check, $"remedy of line {remedy.Of.Line}, {remedy.Trial.Name}"));
        }

        return QemuRecord.All.Where(record => CanBeStarted(record.Config)).Select(static record => new Job(record.Config,
            made => [.. RecordDifferences.Of(record, made), .. QemuComparison.Compare(made)], $"line {record.Line}"));
    }

    private bool Has(DebianSuite suite) => _suites.Length == 0 || _suites.Contains(suite.Name);

    private bool CanBeStarted(QemuConfig config) => config.CanBeStarted && Has(FirmwareRelease.Named(config.Firmware).Suite)
        && Has(EmulatorRelease.Named(config.Emulator).Suite);

    private void Make(Job job, StreamWriter to)
    {
        try
        {
            JsonObject json = QemuGuest.Record(job.Config);
            string line = json.ToJsonString();
            var made = new QemuRecord(JsonDocument.Parse(line).RootElement, 0);
            IReadOnlyList<string> differences = job.Check(made);
            lock (_gate)
            {
                _made++;
                to.WriteLine(line);
                to.Flush();
                if (differences.Count == 0)
                {
                    Console.Out.WriteLine($"{job.Title}: {made.Outcome}, as forecast ({json["seconds"] ?? 0} s)");
                    return;
                }

                _differing++;
                Console.Out.WriteLine($"{job.Title}: DIFFERS: {job.Config}");
                foreach (string difference in differences)
                    Console.Out.WriteLine($"    {difference}");
            }
        }
        catch (HarnessException failure)
        {
            lock (_gate)
            {
                _failed++;
                Console.Error.WriteLine($"record-golden: {job.Title}: {failure.Message}");
            }
        }
    }
}
