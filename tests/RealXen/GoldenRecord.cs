// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.E820;

namespace Keyhole.RealXen;

/// <summary>What a Linux kernel said of its memory while it booted. Absent lines leave null, 0 or an empty array.</summary>
public sealed record KernelReport
{
    public ImmutableArray<E820Entry> E820 { get; init; } = [];

    public long? ReleasedPages { get; init; }

    public long? RemappedPages { get; init; }

    /// <summary>First addresses of where the initrd lay and where it went, in bytes.</summary>
    public (ulong From, ulong To)? InitrdMoved { get; init; }

    /// <summary>The gap taken for PCI devices, end exclusive, in bytes.</summary>
    public (ulong Start, ulong End)? PciGap { get; init; }

    /// <summary>"last_pfn": the end of RAM, and where there is RAM on both sides of it, the end of RAM below 4 GiB, in pages.</summary>
    public ImmutableArray<ulong> LastPfns { get; init; } = [];

    /// <summary>All memory the kernel counts, in KiB (the second number of its "Memory:" line; the first depends on what was free).</summary>
    public long? MemoryKiB { get; init; }

    /// <summary>Messages about BARs that could not be claimed, ranges that could not be remapped, and the conflict that halts the kernel.</summary>
    public ImmutableArray<string> Complaints { get; init; } = [];
}

/// <summary>One guest of a record.</summary>
public sealed record GuestRecord
{
    public required string Name { get; init; }

    /// <summary>The xl.cfg, line by line.</summary>
    public ImmutableArray<string> Config { get; init; } = [];

    /// <summary>libxl's e820_sanitize lines without the place in the source: its summary, then <c>[start -> end] type</c> in page frames.</summary>
    public ImmutableArray<string> XlMap { get; init; } = [];

    /// <summary>"passthrough: …" and errors of xl and libxl.</summary>
    public ImmutableArray<string> XlMessages { get; init; } = [];

    /// <summary>Where the domain builder put kernel, page tables, module0 and phys2mach: first page frame and number of pages.</summary>
    public ImmutableSortedDictionary<string, (ulong FirstPfn, ulong Pages)> Segments { get; init; } =
        ImmutableSortedDictionary<string, (ulong FirstPfn, ulong Pages)>.Empty;

    /// <summary>What hvmloader wrote into Xen's log until it handed over to the firmware, without the domain's number.</summary>
    public ImmutableArray<string> HvmLoader { get; init; } = [];

    /// <summary>What its kernel said; null where the guest was not booted.</summary>
    public KernelReport? Kernel { get; init; }

    public ImmutableArray<string> Iomem { get; init; } = [];

    public ImmutableArray<string> MemInfo { get; init; } = [];

    /// <summary>Network interfaces with their addresses.</summary>
    public ImmutableArray<string> Net { get; init; } = [];

    /// <summary>Output of commands run between its creation and start.</summary>
    public ImmutableArray<string> Output { get; init; } = [];

    /// <summary>Whether it reached its own end; false too where it was not booted.</summary>
    public bool Done { get; init; }

    /// <summary>Whether it died before it was done.</summary>
    public bool Died { get; init; }
}

/// <summary>A record of one boot (tests/fixtures/golden/README.md), taken apart. Addresses are bytes, ends exclusive, unless a name says
/// otherwise.</summary>
public sealed record GoldenRecord
{
    private const RegexOptions Plain = RegexOptions.NonBacktracking;
    private static readonly Regex s_timeStamp = new(@"^(\(early\) )?\[ *[0-9]+\.[0-9]+\] ", Plain | RegexOptions.ExplicitCapture);
    private static readonly Regex s_xenEntry = new(@"^\(XEN\)  \[(?<first>[0-9a-f]{16}), (?<last>[0-9a-f]{16})\] \((?<type>.*)\)$", Plain);
    private static readonly Regex s_linuxEntry = new(@"^(?:Xen|BIOS-e820): \[mem 0x(?<first>[0-9a-f]+)-0x(?<last>[0-9a-f]+)\] (?<type>.*)$", Plain);
    private static readonly Regex s_segment =
        new(@"xc_dom_alloc_segment: +(?<name>[a-z0-9 ]*[a-z0-9]) +: .*\(pfn 0x(?<pfn>[0-9a-f]+) \+ 0x(?<pages>[0-9a-f]+) pages\)", Plain);
    private static readonly Regex s_span = new(@"(?<start>[0-9a-f]{16})->(?<end>[0-9a-f]{16})", Plain);
    private static readonly Regex s_gap = new(@"^\[mem 0x(?<first>[0-9a-f]+)-0x(?<last>[0-9a-f]+)\] available for PCI devices", Plain);
    private static readonly Regex s_moved = new(@"^initrd moved from \[mem 0x(?<from>[0-9a-f]+)-.*\] to \[mem 0x(?<to>[0-9a-f]+)-", Plain);
    private static readonly Regex s_pages = new(@"^(?<what>Released|Remapped) (?<pages>[0-9]+) page", Plain);
    private static readonly Regex s_memory = new(@"^Memory: [0-9]+K/(?<total>[0-9]+)K available", Plain);
    private static readonly Regex s_domain = new(@"^\(d[0-9]+\) ", Plain | RegexOptions.ExplicitCapture);
    private static readonly Regex s_lastPfn = new(@"^last_pfn = 0x(?<pfn>[0-9a-f]+) ", Plain);

    public string XenCommandLine { get; private init; } = "";

    /// <summary>Where Xen had the firmware map from: "Multiboot-e820" or "Xen-e820".</summary>
    public string MapSource { get; private init; } = "";

    public ImmutableArray<E820Entry> FirmwareMap { get; private init; } = [];

    public long SystemRamKiB { get; private init; }

    /// <summary>Spans of "Loaded kernel", "Phys-Mach map", "Start info", "Page tables", "Init. ramdisk" and "Dom0 alloc.", as Xen printed
    /// them.</summary>
    public ImmutableSortedDictionary<string, (ulong Start, ulong End)> Dom0Spans { get; private init; } =
        ImmutableSortedDictionary<string, (ulong Start, ulong End)>.Empty;

    public KernelReport Dom0Kernel { get; private init; } = new();

    /// <summary>Whether dom0 died; its last message is among the complaints of <see cref="Dom0Kernel"/>.</summary>
    public bool Halted { get; private init; }

    public ImmutableArray<string> Dom0Iomem { get; private init; } = [];

    public ImmutableArray<string> Dom0MemInfo { get; private init; } = [];

    /// <summary>The sysfs "resource" lines of the device passed through.</summary>
    public ImmutableArray<string> Bars { get; private init; } = [];

    public ImmutableArray<GuestRecord> Guests { get; private init; } = [];

    /// <summary>Output of commands run in dom0 on no guest's behalf, by name.</summary>
    public ImmutableSortedDictionary<string, ImmutableArray<string>> Outputs { get; private init; } =
        ImmutableSortedDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary>Whether the boot went through all of its steps.</summary>
    public bool AllDone { get; private init; }

    public GuestRecord Guest(string name) => Guests.First(guest => guest.Name == name);

    /// <summary>The same record with only the named guests.</summary>
    public GoldenRecord OnlyGuests(IReadOnlyCollection<string> names) =>
        this with { Guests = [.. Guests.Where(guest => names.Contains(guest.Name))] };

    /// <exception cref="FormatException">A line is not of a record's form.</exception>
    public static GoldenRecord Parse(string text)
    {
        List<(string Heading, List<string> Lines)> sections = Cut(text);
        List<string> head = sections[0].Lines;
        var record = new GoldenRecord
        {
            XenCommandLine = head.FirstOrDefault(line => line.StartsWith(CommandLine, StringComparison.Ordinal))?[CommandLine.Length..]
                ?? throw new FormatException("no line \"(XEN) Command line:\""),
            MapSource = head.Where(line => line.EndsWith(" RAM map:", StringComparison.Ordinal))
                .Select(line => line["(XEN) ".Length..^" RAM map:".Length]).FirstOrDefault() ?? "",
            FirmwareMap = Entries(head, "(XEN)  [", s_xenEntry),
            SystemRamKiB = head.Where(line => line.StartsWith("(XEN) System RAM:", StringComparison.Ordinal))
                .Select(line => Number(line[(line.IndexOf('(', 6) + 1)..^"kB)".Length])).FirstOrDefault(),
            Dom0Spans = Spans(head),
            Dom0Kernel = Report(head.Where(line => !line.StartsWith("(XEN)", StringComparison.Ordinal))),
        };

        GuestRecord? guest = null;
        string running = "";
        foreach ((string heading, List<string> lines) in sections.Skip(1))
        {
            string[] words = heading.Split(' ', 2);
            if (words[0] is "GUEST" && guest is not null)
            {
                record = record with { Guests = record.Guests.Add(guest) };
                guest = null;
            }

            switch (words[0])
            {
                case "DOM0-IOMEM":
                    record = record with { Dom0Iomem = [.. lines] };
                    break;
                case "DOM0-MEMINFO":
                    record = record with { Dom0MemInfo = [.. lines] };
                    break;
                case "BARS":
                    record = record with { Bars = record.Bars.AddRange(lines) };
                    break;
                case "HALTED":
                    record = record with { Halted = true };
                    break;
                case "ALLDONE":
                    record = record with { AllDone = true };
                    break;
                case "GUEST":
                    guest = new GuestRecord { Name = words[1], Config = [.. lines] };
                    break;
                case "RUN":
                    running = words[1];
                    if (guest is null || guest.Name != running)
                        record = record with { Outputs = record.Outputs.SetItem(running, [.. lines]) };
                    else
                        guest = guest with { Output = [.. lines] };
                    break;
                case "STATUS":
                    if (guest is null || guest.Name != running)
                        record = record with { Outputs = record.Outputs.SetItem(running, record.Outputs[running].Add(heading)) };
                    else
                        guest = guest with { Output = guest.Output.Add(heading) };
                    break;
                case "END":
                    break;
                default:
                    guest = AddTo(guest ?? throw new FormatException($"\"=== {heading}\" outside of a guest"), words[0], lines);
                    break;
            }
        }

        return guest is null ? record : record with { Guests = record.Guests.Add(guest) };
    }

    private const string CommandLine = "(XEN) Command line: ";

    private static GuestRecord AddTo(GuestRecord guest, string heading, List<string> lines) => heading switch
    {
        "XL" => guest with
        {
            XlMap = [.. lines.Where(line => line.Contains("e820_sanitize: ", StringComparison.Ordinal))
                .Select(line => After(line, "e820_sanitize: ").TrimStart(':', '\t'))],
            XlMessages = [.. lines.Where(line => line.StartsWith("libxl: error", StringComparison.Ordinal)
                || line.StartsWith("ERROR: ", StringComparison.Ordinal) || line.Contains(" passthrough: ", StringComparison.Ordinal))],
            Segments = Matches(lines, "xc_dom_alloc_segment", s_segment)
                .ToImmutableSortedDictionary(match => match.Groups["name"].Value, match => (Hex(match, "pfn"), Hex(match, "pages"))),
        },
        "HVMLOADER" => guest with { HvmLoader = [.. lines.Select(line => s_domain.Replace(line, ""))] },
        "KERNEL" => guest with { Kernel = Report(lines) },
        "IOMEM" => guest with { Iomem = [.. lines] },
        "MEMINFO" => guest with { MemInfo = [.. lines] },
        // The guest repeats what its kernel complained of here.
        "NET" => guest with { Net = [.. lines.Where(line => line.StartsWith('/'))] },
        "DONE" => guest with { Done = true },
        "DIED" => guest with { Died = true },
        "SILENT" => guest,
        _ => throw new FormatException($"\"=== {heading}\" is not a section of a record"),
    };

    private static List<(string Heading, List<string> Lines)> Cut(string text)
    {
        var sections = new List<(string Heading, List<string> Lines)> { ("", []) };
        foreach (string line in text.Split('\n'))
        {
            if (line.StartsWith("=== ", StringComparison.Ordinal))
                sections.Add((line["=== ".Length..].TrimEnd(), []));
            else if (line.Length > 0)
                sections[^1].Lines.Add(line);
        }

        return sections;
    }

    private static KernelReport Report(IEnumerable<string> lines)
    {
        string[] said = [.. lines.Select(line => s_timeStamp.Replace(line, ""))];
        Match[] pages = Matches(said, " page", s_pages);
        Match? moved = Matches(said, "initrd moved", s_moved).FirstOrDefault();
        Match? gap = Matches(said, "available for PCI", s_gap).FirstOrDefault();
        return new KernelReport
        {
            E820 = Entries(said, ": [mem 0x", s_linuxEntry),
            ReleasedPages = PagesOf("Released"),
            RemappedPages = PagesOf("Remapped"),
            InitrdMoved = moved is null ? null : (Hex(moved, "from"), Hex(moved, "to")),
            PciGap = gap is null ? null : (Hex(gap, "first"), Hex(gap, "last") + 1),
            LastPfns = [.. Matches(said, "last_pfn", s_lastPfn).Select(match => Hex(match, "pfn"))],
            MemoryKiB = Matches(said, "Memory: ", s_memory).Select(match => (long?)Number(match.Groups["total"].Value)).FirstOrDefault(),
            Complaints = [.. said.Where(line => line.Contains("claim", StringComparison.Ordinal)
                || line.Contains("conflicts with E820", StringComparison.Ordinal) ||
                line.StartsWith("Unable to find", StringComparison.Ordinal))],
        };

        long? PagesOf(string what) => pages.Where(match => match.Groups["what"].Value == what)
            .Select(match => (long?)Number(match.Groups["pages"].Value)).FirstOrDefault();
    }

    private static ImmutableSortedDictionary<string, (ulong Start, ulong End)> Spans(List<string> head)
    {
        string[] names = ["Dom0 alloc.", "Init. ramdisk", "Loaded kernel", "Phys-Mach map", "Start info", "Page tables"];
        ImmutableSortedDictionary<string, (ulong Start, ulong End)> spans = ImmutableSortedDictionary<string, (ulong Start, ulong End)>.Empty;
        foreach (string line in head)
        {
            if (names.FirstOrDefault(name => line.StartsWith($"(XEN)  {name}:", StringComparison.Ordinal)) is { } named
                && s_span.Match(line) is { Success: true } span)
                spans = spans.SetItem(named, (Hex(span, "start"), Hex(span, "end")));
        }

        return spans;
    }

    private static ImmutableArray<E820Entry> Entries(IEnumerable<string> lines, string mark, Regex form) =>
        [.. Matches(lines, mark, form)
            .Select(match => E820Entry.FromBounds(Hex(match, "first"), Hex(match, "last") + 1, TypeOf(match.Groups["type"].Value)))];

    private static E820Type TypeOf(string name) => name switch
    {
        "usable" => E820Type.Ram,
        "reserved" => E820Type.Reserved,
        "ACPI data" => E820Type.Acpi,
        "ACPI NVS" => E820Type.Nvs,
        "unusable" => E820Type.Unusable,
        _ => throw new FormatException($"\"{name}\" is not a type of memory that a record has"),
    };

    // The mark is a part of every line of that form: looking for it first spares most lines the regular expression.
    private static Match[] Matches(IEnumerable<string> lines, string mark, Regex form) =>
        [.. lines.Where(line => line.Contains(mark, StringComparison.Ordinal)).Select(line => form.Match(line)).Where(match => match.Success)];

    private static ulong Hex(Match match, string group) => ulong.Parse(match.Groups[group].Value, NumberStyles.HexNumber);

    private static long Number(string digits) => long.Parse(digits, NumberStyles.None);

    private static string After(string line, string mark) => line[(line.IndexOf(mark, StringComparison.Ordinal) + mark.Length)..];
}
