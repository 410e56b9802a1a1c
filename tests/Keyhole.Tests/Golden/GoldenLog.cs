// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.E820;

namespace Keyhole.Tests.Golden;

/// <summary>A record of the real Xen, libxl and Linux, taken apart with simple means of its own: the judge must not depend on the code it
/// judges.</summary>
internal sealed partial class GoldenLog
{
    private static readonly Dictionary<string, E820Type> s_types = new(StringComparer.Ordinal)
    {
        ["usable"] = E820Type.Ram,
        ["reserved"] = E820Type.Reserved,
        ["ACPI data"] = E820Type.Acpi,
        ["ACPI NVS"] = E820Type.Nvs,
        ["unusable"] = E820Type.Unusable,
        ["RAM"] = E820Type.Ram,
        ["Reserved"] = E820Type.Reserved,
        ["ACPI"] = E820Type.Acpi,
        ["Unusable"] = E820Type.Unusable,
    };

    private GoldenLog(string name, string[] lines)
    {
        Name = name;
        Lines = lines;
    }

    public string Name { get; }

    public string[] Lines { get; }

    /// <summary>The lines before the first section: Xen and dom0's kernel.</summary>
    public IEnumerable<string> Head => Lines.TakeWhile(line => !line.StartsWith("=== ", StringComparison.Ordinal) || line == "=== HALTED");

    public IReadOnlyList<E820Entry> Firmware =>
        [.. Head.Select(line => FirmwareLine().Match(line)).Where(match => match.Success).Select(ToEntry)];

    public static IEnumerable<string> Names =>
        Directory.GetFiles(Folder, "*.log").Select(path => Path.GetFileNameWithoutExtension(path)!).Order(StringComparer.Ordinal);

    public static string Folder => Path.Combine(AppContext.BaseDirectory, "fixtures", "golden");

    public static GoldenLog Load(string name) => new(name, File.ReadAllLines(Path.Combine(Folder, name + ".log")));

    /// <summary>A record of another folder of the fixtures: "linux612/seed8g".</summary>
    public static GoldenLog LoadOther(string name) => new(name, File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "fixtures", name + ".log")));

    /// <summary>The lines of a kernel's own map, as entries.</summary>
    public static IReadOnlyList<E820Entry> KernelMap(IEnumerable<string> lines) =>
        [.. lines.Select(line => KernelLine().Match(line)).Where(match => match.Success).Select(ToEntry)];

    public IReadOnlyList<GoldenGuest> Guests()
    {
        List<GoldenGuest> guests = [];
        for (int i = 0; i < Lines.Length; i++)
        {
            if (!Lines[i].StartsWith("=== GUEST ", StringComparison.Ordinal))
                continue;
            string name = Lines[i]["=== GUEST ".Length..];
            List<string> config = [];
            List<string> xl = [];
            List<string> kernel = [];
            List<string> sink = config;
            for (i++; i < Lines.Length && !Lines[i].StartsWith("=== GUEST ", StringComparison.Ordinal) && Lines[i] != "=== ALLDONE"; i++)
            {
                if (Lines[i] == "=== XL")
                    sink = xl;
                else if (Lines[i] == "=== KERNEL")
                    sink = kernel;
                else
                    sink.Add(Lines[i]);
            }

            i--;
            guests.Add(new(name, config, xl, kernel));
        }

        return guests;
    }

    internal static E820Entry ToEntry(Match match)
    {
        ulong start = ulong.Parse(match.Groups["start"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        ulong end = ulong.Parse(match.Groups["end"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        E820Type type = s_types[match.Groups["type"].Value];
        return match.Groups["frames"].Success
            ? E820Entry.FromSize(start << 12, unchecked((end - start) << 12), type)
            : E820Entry.FromBounds(start, end + 1, type);
    }

    [GeneratedRegex(@"^\(XEN\)  \[(?<start>[0-9a-f]{16}), (?<end>[0-9a-f]{16})\] \((?<type>.*)\)$")]
    private static partial Regex FirmwareLine();

    [GeneratedRegex(@"Xen: \[mem 0x(?<start>[0-9a-f]+)-0x(?<end>[0-9a-f]+)\] (?<type>.*)$")]
    private static partial Regex KernelLine();
}

/// <summary>One guest of a record: its xl.cfg, what xl printed, and what its kernel printed where it was booted.</summary>
internal sealed partial record GoldenGuest(string Name, IReadOnlyList<string> Config, IReadOnlyList<string> Xl, IReadOnlyList<string> Kernel)
{
    /// <summary>32 MiB where the configuration is silent: the record "nomem" shows it.</summary>
    public ulong MemoryMiB => Has("memory") ? Number("memory") : 32;

    public ulong MaxmemMiB => Has("maxmem") ? Number("maxmem") : MemoryMiB;

    public bool UsesHostMap => Has("pci") || (Has("e820_host") && Number("e820_host") != 0);

    public bool WasBooted => Kernel.Count > 0;

    /// <summary>libxl's map in whole frames, as its log shows it.</summary>
    public IReadOnlyList<E820Entry> LibxlMap =>
        [.. Xl.Select(line => LibxlLine().Match(line)).Where(match => match.Success).Select(GoldenLog.ToEntry)];

    private bool Has(string key) => Config.Any(line => line.StartsWith(key + "=", StringComparison.Ordinal));

    private ulong Number(string key) =>
        ulong.Parse(Config.Single(line => line.StartsWith(key + "=", StringComparison.Ordinal))[(key.Length + 1)..], CultureInfo.InvariantCulture);

    [GeneratedRegex(@"e820_sanitize: :\t(?<frames>\[)(?<start>[0-9a-f]+) -> (?<end>[0-9a-f]+)\] (?<type>.*)$")]
    private static partial Regex LibxlLine();
}
