// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Reading;

namespace Keyhole.Probing;

/// <summary>Reads a probe's report out of a console's text: lines that hold <c>{"keyhole":</c>; whatever else is there is passed over.</summary>
public static class ProbeReportReader
{
    /// <summary>Lines of a report; a probe writes some thousand at most.</summary>
    public const int MaxLines = 100_000;

    /// <summary>How each line of a report begins.</summary>
    public const string Mark = "{\"keyhole\":\"";

    private const int MaxDetails = 32;

    /// <param name="stream">The console's text.</param>
    /// <param name="sourceName">Its name for errors.</param>
    public static Parsed<ProbeReport> Read(Stream stream, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var lines = new TextLines(StreamHead.Read(stream), stream);
        var report = new Builder();
        int count = 0;
        while (lines.TryRead(out ReadOnlySpan<char> line))
        {
            int start = line.IndexOf(Mark, StringComparison.Ordinal);
            if (start < 0)
                continue;
            if (++count > MaxLines)
                return InputError.TooLarge(sourceName, lines.Number, $"more than {MaxLines} lines of a report", "give the console of one probe");
            int end = line.LastIndexOf('}');
            if (end < start || !TryParse(line[start..(end + 1)], out JsonDocument? document))
                return InputError.Malformed(sourceName, lines.Number, $"broken line of a probe's report: {InputError.Quote(line[start..])}",
                    "give the console's whole text");
            using (document)
            {
                if (!report.Take(document.RootElement, lines.Number, out InputErrorCode code, out ErrorText what))
                    return new InputError(code, sourceName, lines.Number, what, "give the console of a probe of this version");
            }
        }

        return count == 0
            ? InputError.NothingInIt(sourceName, null, "no line of a probe's report", "give the console of a guest whose kernel is the probe")
            : report.Finish();
    }

    /// <summary>Escapes are not taken: a probe writes none, and half a character behind one would throw where it is read.</summary>
    private static bool TryParse(ReadOnlySpan<char> text, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out JsonDocument? document)
    {
        document = null;
        if (text.Contains('\\'))
            return false;
        try
        {
            document = JsonDocument.Parse(text.ToString(), new JsonDocumentOptions { MaxDepth = 2 });
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private sealed class Builder
    {
        private readonly ImmutableArray<E820Entry>.Builder _map = ImmutableArray.CreateBuilder<E820Entry>();
        private readonly ImmutableArray<E820Entry>.Builder _kernelMap = ImmutableArray.CreateBuilder<E820Entry>();
        private readonly ImmutableArray<ByteRange>.Builder _extra = ImmutableArray.CreateBuilder<ByteRange>();
        private readonly ImmutableArray<P2mRun>.Builder _p2m = ImmutableArray.CreateBuilder<P2mRun>();
        private readonly ImmutableArray<ProbeCheck>.Builder _checks = ImmutableArray.CreateBuilder<ProbeCheck>();
        private readonly ImmutableArray<ProbePhase>.Builder _phases = ImmutableArray.CreateBuilder<ProbePhase>();
        private readonly ImmutableArray<(string, ulong)>.Builder _hypercalls = ImmutableArray.CreateBuilder<(string, ulong)>();
        private ProbeReport _report = new();
        private bool _hasStarted;

        public bool Take(JsonElement line, int number, out InputErrorCode code, out ErrorText what)
        {
            // By its place: a later member may have the name again.
            string kind = line.EnumerateObject().First().Value.GetString() ?? "";
            code = InputErrorCode.Missing;
            what = $"a line of kind {InputError.Quote(kind)} lacks what belongs there";
            if (kind == "start")
            {
                code = InputErrorCode.Repeated;
                what = "a second report begins";
                bool isFirst = !_hasStarted;
                _hasStarted = true;
                return isFirst && TakeStart(line, out code, out what);
            }

            switch (kind)
            {
                case "layout":
                    return TakeLayout(line);
                case "map":
                    return TakeEntry(line, _map);
                case "kernelMap":
                    return TakeEntry(line, _kernelMap);
                case "extra":
                    if (!TryRange(line, ulong.MaxValue, out ulong start, out ulong end))
                        return false;
                    _extra.Add(ByteRange.FromBounds(start, end));
                    return true;
                case "p2m":
                    return TakeRun(line);
                case "forecast" or "result":
                    return TakeResult(line);
                case "check":
                    return TakeCheck(line, number);
                case "phase":
                    return TakePhase(line);
                case "hypercalls":
                    foreach (JsonProperty property in line.EnumerateObject().Skip(1).Take(MaxDetails))
                    {
                        if (property.Value.ValueKind != JsonValueKind.Number || !property.Value.TryGetUInt64(out ulong count))
                            return false;
                        _hypercalls.Add((Fit(property.Name), count));
                    }

                    return true;
                case "trap":
                    _report = _report with { Trap = TrapOf(line) };
                    return _report.Trap is not null;
                case "verdict":
                    if (!TryFlag(line, "passed", out bool passed))
                        return false;
                    _report = _report with { Passed = passed, CheckCount = TryNumber(line, "checks", out ulong checks) ? checks : null };
                    return true;
                default:
                    // Notes and events, and what later versions add.
                    return true;
            }
        }

        private static string? TrapOf(JsonElement line) =>
            Details(line) is { IsEmpty: false } details
                ? string.Join(", ", details.Select(static detail => detail.Name == "what" ? detail.Value : $"{detail.Name} {detail.Value}")) : null;

        public ProbeReport Finish() => _report with
        {
            Map = _map.ToImmutable(),
            KernelMap = _kernelMap.ToImmutable(),
            Extra = [.. _extra.OrderBy(static range => range.Start)],
            P2m = _p2m.ToImmutable(),
            Checks = _checks.ToImmutable(),
            Phases = _phases.ToImmutable(),
            Hypercalls = _hypercalls.ToImmutable(),
        };

        private bool TakeStart(JsonElement line, out InputErrorCode code, out ErrorText what)
        {
            code = InputErrorCode.Missing;
            what = "the report's first line lacks what belongs there";
            string kernel = Text(line, "kernel");
            if (!TryNumber(line, "version", out ulong version) || !TryNumber(line, "nrPages", out ulong pages)
                || !TryFlag(line, "dom0", out bool isDom0))
                return false;
            if (version != 1 || !KernelReleases.TryParseName(kernel, out KernelRelease profile))
            {
                code = InputErrorCode.NotSupported;
                what = $"a report of version {version} on {InputError.Quote(kernel)}";
                return false;
            }

            TryNumber(line, "ticksPerMs", out ulong ticks);
            // No limit is all ones in 32 bits; an error, which has no number here, says nothing either.
            bool isLimited = TryNumber(line, "maxPages", out ulong max) && max != uint.MaxValue;
            _report = _report with
            {
                IsDom0 = isDom0,
                Kernel = profile,
                PageCount = pages,
                MaxPages = isLimited ? max : null,
                TicksPerMillisecond = ticks
            };
            return pages <= Frames.MaxCount;
        }

        private bool TakeLayout(JsonElement line)
        {
            if (!TryRange(line, Frames.AddressLimit, out ulong start, out ulong end))
                return false;
            ByteRange range = ByteRange.FromBounds(start, end);
            GuestLayout layout = _report.Layout;
            _report = _report with
            {
                Layout = Text(line, "name") switch
                {
                    "kernel" => layout with { Kernel = range },
                    "startInfo" => layout with { StartInfo = range },
                    "pageTables" => layout with { PageTables = range },
                    "p2mList" => layout with { P2mList = range },
                    "initrd" => layout with { Initrd = range },
                    _ => layout,
                },
            };
            return true;
        }

        private static bool TakeEntry(JsonElement line, ImmutableArray<E820Entry>.Builder map)
        {
            if (!TryRange(line, ulong.MaxValue, out ulong start, out ulong end) || !TryNumber(line, "type", out ulong type) || type > uint.MaxValue)
                return false;
            map.Add(E820Entry.FromBounds(start, end, (E820Type)type));
            return true;
        }

        private bool TakeRun(JsonElement line)
        {
            if (!TryRange(line, Frames.MaxCount, out ulong start, out ulong end))
                return false;
            P2mKind? kind = Text(line, "kind") switch
            {
                "ram" => P2mKind.Ram,
                "remapped" => P2mKind.Remapped,
                "identity" => P2mKind.Identity,
                "nonRam" => P2mKind.NonRam,
                "invalid" => P2mKind.Invalid,
                _ => null,
            };
            TryHex(line, "mfn", out ulong mfn);
            ulong expected = _p2m.Count == 0 ? 0 : _p2m[^1].Range.End.Value;
            if (kind is not { } known || start != expected || end == start || mfn > Frames.MaxCount)
                return false;
            _p2m.Add(new(PfnRange.FromBounds(new Pfn(start), new Pfn(end)), known, new Mfn(mfn)));
            return true;
        }

        private bool TakeResult(JsonElement line)
        {
            if (!TryNumber(line, "halt", out ulong halt) || !Enum.IsDefined((HaltReason)Math.Min(halt, int.MaxValue)) ||
                !TryNumber(line, "released", out ulong released) || !TryNumber(line, "remapped", out ulong remapped)
                || !TryNumber(line, "populated", out ulong populated) ||
                !TryHex(line, "pciGapStart", out ulong gapStart) || !TryHex(line, "pciGapEnd", out ulong gapEnd))
            {
                return false;
            }

            _report = _report with
            {
                Halt = (HaltReason)halt,
                ReleasedPages = released,
                RemappedPages = remapped,
                PopulatedPages = populated,
                PciGap = ByteRange.FromBounds(gapStart, gapEnd),
            };
            return true;
        }

        private bool TakeCheck(JsonElement line, int number)
        {
            if (!TryFlag(line, "passed", out bool passed))
                return false;
            ImmutableArray<(string Name, string Value)> details = [.. Details(line).Where(static detail => detail.Name is not ("name" or "passed"))];
            _checks.Add(new(Text(line, "name"), passed, details, number));
            return true;
        }

        private bool TakePhase(JsonElement line)
        {
            if (!TryNumber(line, "pages", out ulong pages) || !TryNumber(line, "ticks", out ulong ticks)
                || !TryNumber(line, "hypercalls", out ulong hypercalls))
                return false;
            // Probes of earlier builds do not tell the last.
            TryNumber(line, "mmuUpdateTicks", out ulong mmuUpdate);
            _phases.Add(new(Text(line, "name"), pages, ticks, hypercalls) { MmuUpdateTicks = mmuUpdate });
            return true;
        }

        private static ImmutableArray<(string Name, string Value)> Details(JsonElement line) =>
            [.. line.EnumerateObject().Skip(1).Take(MaxDetails).Select(static property => (Fit(property.Name), Fit(property.Value.ToString())))];

        private static string Text(JsonElement line, string name) =>
            line.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? Fit(value.GetString() ?? "") : "";

        /// <summary>Text of somebody else's, fit for one line.</summary>
        private static string Fit(string text)
        {
            const int MaxLength = 80;
            return InputError.OneLine(text, MaxLength);
        }

        private static bool TryFlag(JsonElement line, string name, out bool value)
        {
            value = line.TryGetProperty(name, out JsonElement found) && found.ValueKind == JsonValueKind.True;
            return found.ValueKind is JsonValueKind.True or JsonValueKind.False;
        }

        private static bool TryNumber(JsonElement line, string name, out ulong value)
        {
            value = 0;
            return line.TryGetProperty(name, out JsonElement found) && found.ValueKind == JsonValueKind.Number && found.TryGetUInt64(out value);
        }

        private static bool TryHex(JsonElement line, string name, out ulong value)
        {
            value = 0;
            string text = Text(line, name);
            return text.StartsWith("0x", StringComparison.Ordinal)
                && ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
        }

        private static bool TryRange(JsonElement line, ulong limit, out ulong start, out ulong end)
        {
            end = 0;
            return TryHex(line, "start", out start) && TryHex(line, "end", out end) && start <= end && end <= limit;
        }
    }
}
