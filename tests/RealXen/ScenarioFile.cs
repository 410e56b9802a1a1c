// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>Reads a scenario from its JSON file (docs/real-xen-tests.md describes the form).</summary>
public static class ScenarioFile
{
    private static readonly JsonSerializerOptions s_options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
    };

    /// <summary>Names of the scenarios that come with the harness, in order; those outside of tests/fixtures/golden with their folder:
    /// "hvm/sizes".</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. Directory.GetFiles(Folder, "*.json", SearchOption.AllDirectories)
            .Select(path => Path.ChangeExtension(Path.GetRelativePath(Folder, path), null)).Order(StringComparer.Ordinal),
    ];

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Scenarios");

    /// <summary>The scenario of that name, or in that file where the name ends in .json.</summary>
    /// <exception cref="HarnessException">There is none, or it cannot be read.</exception>
    public static Scenario Load(string nameOrPath)
    {
        bool isPath = nameOrPath.EndsWith(".json", StringComparison.Ordinal);
        string path = isPath ? nameOrPath : Path.Combine(Folder, nameOrPath + ".json");
        if (!File.Exists(path))
            throw new HarnessException($"{nameOrPath}: no such scenario; there are {string.Join(", ", Names)}");
        try
        {
            Form form = JsonSerializer.Deserialize<Form>(File.ReadAllText(path), s_options) ?? throw new HarnessException($"{path}: empty");
            return new Scenario
            {
                Name = Path.GetFileNameWithoutExtension(path),
                Folder = isPath || !nameOrPath.Contains('/', StringComparison.Ordinal) ? "golden" : Path.GetDirectoryName(nameOrPath)!,
                XenVersion = XenRelease.Named(form.XenVersion).Version,
                LinuxVersion = LinuxRelease.Named(form.LinuxVersion).Version,
                Machine = form.Machine,
                Devices = [.. form.Devices],
                FirmwareMap = ParseMap(form.FirmwareMap),
                MemoryMiB = form.MemoryMiB,
                Xen = form.Xen,
                GuestImage = form.GuestImage,
                Assign = form.Assign,
                Dom0ImageBytes = form.Dom0ImageBytes,
                DeadlineSeconds = form.DeadlineSeconds,
                Steps = [.. form.Steps.Select(ParseStep)],
            };
        }
        catch (JsonException error)
        {
            throw new HarnessException($"{path}: {error.Message}", error);
        }
        catch (FormatException error)
        {
            throw new HarnessException($"{path}: {error.Message}", error);
        }
    }

    /// <summary>A map from lines of "START END TYPE": hex, end exclusive, our names of the types.</summary>
    /// <exception cref="FormatException">A line is none.</exception>
    public static ImmutableArray<E820Entry> ParseMap(IEnumerable<string> lines) => [.. lines.Select(ParseEntry)];

    private static E820Entry ParseEntry(string line)
    {
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length != 3 || !ulong.TryParse(words[0], NumberStyles.HexNumber, null, out ulong start) ||
            !ulong.TryParse(words[1], NumberStyles.HexNumber, null, out ulong end) || end <= start
            || !E820TypeNames.TryParse(words[2], out E820Type type))
        {
            throw new FormatException($"\"{line}\" is not a valid map entry; write START END TYPE: hex, end exclusive, ram reserved acpi nvs unusable …");
        }

        return E820Entry.FromBounds(start, end, type);
    }

    private static Step ParseStep(StepForm step)
    {
        if (step is { Guest.Length: > 0, Run: "" })
        {
            return new GuestStep(step.Guest, [.. step.Config])
            {
                Kind = step.Kind,
                Boot = step.Boot,
                Firmware = step.Firmware,
                Linux = step.Linux,
                Map = ParseMap(step.Map),
                BeforeStart = step.BeforeStart,
                Seconds = step.Seconds,
            };
        }

        return step is { Run.Length: > 0, Guest: "" }
            ? new RunStep(step.Run, step.Commands)
            : throw new FormatException("a step has either \"guest\" or \"run\", its name");
    }

    // As written in the file; defaults stand here.
    private sealed record Form
    {
        public string XenVersion { get; init; } = XenRelease.Default.Version;

        public string LinuxVersion { get; init; } = LinuxRelease.Default.Version;

        public Machine Machine { get; init; }

        public string[] Devices { get; init; } = [];

        public string[] FirmwareMap { get; init; } = [];

        public int MemoryMiB { get; init; }

        public string Xen { get; init; } = "";

        public GuestImage GuestImage { get; init; }

        public string Assign { get; init; } = "";

        public long Dom0ImageBytes { get; init; } = Scenario.DefaultDom0ImageBytes;

        public int DeadlineSeconds { get; init; }

        public StepForm[] Steps { get; init; } = [];
    }

    private sealed record StepForm
    {
        public string Guest { get; init; } = "";

        public GuestKind Kind { get; init; }

        public string Run { get; init; } = "";

        public string[] Config { get; init; } = [];

        public bool Boot { get; init; }

        public bool Firmware { get; init; }

        public bool Linux { get; init; }

        public string[] Map { get; init; } = [];

        public string BeforeStart { get; init; } = "";

        public int Seconds { get; init; } = 120;

        public string Commands { get; init; } = "";
    }
}
