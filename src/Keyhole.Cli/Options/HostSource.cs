// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Hosts;

namespace Keyhole.Cli.Options;

/// <summary>The options that say which host: the same for every verb.</summary>
internal sealed class HostSource
{
    private readonly Option<string?> _host = new("--host")
    {
        Description =
            "The host's memory map: a boot log (xl dmesg, dmesg), /proc/iomem, a /sys/firmware/memmap folder, packed E820 entries, lines of START "
                + "END TYPE, or Keyhole's JSON; - reads standard input. Without it: this machine.",
        HelpName = "FILE|-",
    };

    private readonly Option<string?> _from = new("--from")
    {
        Description = "Read the map as this dialect instead of detecting it.",
        HelpName = "DIALECT",
    };

    private readonly Option<string?> _map = new("--map")
    {
        Description = "Which of a log's maps to take, counted from 1.",
        HelpName = "N",
    };

    private readonly Option<bool> _verbose = new("--verbose")
    {
        Description = "List the log's other maps, each with the number that --map takes it by.",
    };

    private readonly Option<bool> _machineMap = new("--machine-map")
    {
        Description = "What Xen adds for dom0 (APICs, IOMMUs) is in the map already.",
    };

    private readonly RangesOption _rmrr =
        new("--rmrr", "Memory of the host that devices use by themselves (RMRR), as A-B (hex, B exclusive), where the log does not say it.");

    private readonly RangesOption _denied =
        new("--denied", "A further range that Xen keeps from dom0, as A-B (hex, B exclusive), where the log does not say it.");

    public HostSource() =>
        _from.CompletionSources.Add(static _ =>
            HostMapDialects.All.Select(static dialect => new System.CommandLine.Completions.CompletionItem(HostMapDialects.NameOf(dialect))));

    public void AddTo(Command command)
    {
        command.Options.Add(_host);
        command.Options.Add(_from);
        command.Options.Add(_map);
        command.Options.Add(_verbose);
        command.Options.Add(_machineMap);
        command.Options.Add(_denied);
        command.Options.Add(_rmrr);
    }

    /// <summary>Whether the user names a host.</summary>
    public bool IsNamed(ParseResult parsed) => parsed.GetValue(_host) is not null;

    public bool IsStandardInput(ParseResult parsed) => parsed.GetValue(_host) == "-";

    /// <summary>What messages call the source.</summary>
    public string NameOf(ParseResult parsed) => parsed.GetValue(_host) is { } path and not "-" ? Files.Shown(path) : "standard input";

    /// <summary>Whether the user says which of a log's maps to take.</summary>
    public bool HasMapNumber(ParseResult parsed) => parsed.GetValue(_map) is not null;

    /// <summary>What follows <c>--map</c> where it is not a number: <c>apply</c> took a file there before it had <c>--guest-map</c>. Null
    /// otherwise.</summary>
    public string? FileInMap(ParseResult parsed) =>
        parsed.GetValue(_map) is { } text && !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _) ? text : null;

    /// <param name="unusedDenied">Why the verb has no use for <c>--denied</c>, as a remedy; null where it has one.</param>
    /// <param name="isMapFile">Whether the verb takes a file behind <c>--map</c> as its own.</param>
    /// <param name="isWhole">Whether this machine is wanted with what no plan needs.</param>
    /// <param name="needsNoMap">Whether a log without a map will do.</param>
    public Parsed<HostDocument> Read(ParseResult parsed, CommandConsole console, string? unusedDenied = null, bool isMapFile = false,
        bool isWhole = false, bool needsNoMap = false)
    {
        if (!Options(parsed, isMapFile).TryGet(out HostMapOptions? options, out InputError? error))
            return error;
        options = options with { NeedsNoMap = needsNoMap };
        Parsed<HostDocument> read = parsed.GetValue(_host) is { } path ? ReadNamed(path, console, options)
            : new MachineCapture(console.Dom0).Read(isWhole);
        if (!read.TryGet(out HostDocument? map, out error))
            return error;
        if (parsed.GetValue(_machineMap))
            map = map with { Host = map.Host with { IsMachineMap = true } };
        if (_denied.Read(parsed, out ImmutableArray<ByteRange> denied) is { } deniedError)
            return deniedError;
        if (_rmrr.Read(parsed, out ImmutableArray<ByteRange> rmrr) is { } rmrrError)
            return rmrrError;
        for (int i = 0; i < denied.Length; i++)
        {
            Host before = map.Host;
            HostTraits traits = before.Traits;
            map = map with { Host = before with { Traits = traits with { OtherDenied = traits.OtherDenied.Add(Pages(denied[i])) } } };
            if ((unusedDenied ?? WhyUnchanged(before, map.Host)) is { } why)
                console.Remark($"{_denied.Name} {parsed.GetValue(_denied)![i]} has no effect: {why}");
        }

        foreach (ByteRange range in rmrr)
        {
            HostTraits traits = map.Host.Traits;
            PfnRange pages = Pages(range);
            map = map with
            {
                Host = map.Host with
                {
                    Traits = traits with { ReservedDeviceMemory = traits.ReservedDeviceMemory.Add(pages) },
                    ReservedRegions = [.. map.Host.ReservedRegions.Append(ReservedRegion.OfDeviceMemory(pages))
                        .OrderBy(static region => region.Start)],
                },
            };
        }

        foreach (Phrase remark in map.Remarks)
            console.Remark(remark);
        TellOtherMaps(parsed, console, map);
        return map;
    }

    /// <summary>The document with its description saying that nobody named the host: a guest that was pasted is often of another one.</summary>
    public static HostDocument AsThisMachine(HostDocument host) => host.Description.StartsWith(ThisMachine, System.StringComparison.Ordinal) ? host
        : host with { Description = $"{ThisMachine} ({host.Description})" };

    /// <summary>What such a description begins with.</summary>
    public const string ThisMachine = "this machine";

    private static PfnRange Pages(ByteRange range) => PfnRange.FromBounds(Pfn.Containing(range.Start), Pfn.AtOrAbove(range.End));

    /// <summary>One line, whatever their number, unless the user wants all.</summary>
    private void TellOtherMaps(ParseResult parsed, CommandConsole console, HostDocument map)
    {
        if (map.OtherMapCount == 0 || HasMapNumber(parsed))
            return;
        bool isVerbose = parsed.GetValue(_verbose);
        foreach (Phrase other in isVerbose || map.OtherMapCount == 1 ? map.OtherMaps : [])
            console.Remark($"the log has another map, {other}");
        long untold = map.OtherMapCount - (isVerbose ? map.OtherMaps.Length : 0);
        if (untold > (isVerbose ? 0 : 1))
            console.Remark(
                $"the log has {untold} {(isVerbose ? "further" : "other")} maps: "
                    + $"{(isVerbose ? "" : "--verbose lists them, ")}{Setting.MapNumber} N takes one");
    }

    /// <summary>Why a denied range left the machine map as it was; null where it did not.</summary>
    private static string? WhyUnchanged(Host before, Host after)
    {
        if (!after.MachineEntries.IsEmpty)
            return "the source has the map that Xen itself gave, which names all that dom0 may not map";
        if (after.IsMachineMap)
            return "what Xen adds for dom0 is in the map already";
        return MachineMap.Of(before).SequenceEqual(MachineMap.Of(after))
            ? "Xen adds ranges in the gaps of the host's map only, and none is left there" : null;
    }

    /// <summary>Reads another host than the one that the options describe.</summary>
    public static Parsed<HostDocument> ReadOther(string path, CommandConsole console) => ReadNamed(path, console, HostMapOptions.Default);

    private static Parsed<HostDocument> ReadNamed(string path, CommandConsole console, HostMapOptions options) =>
        path != "-" && Directory.Exists(path)
            ? MemmapFolderReader.Read(path)
            : Files.Read(console, path, "a boot log or another source of a memory map", (stream, name) => HostMapReader.Read(stream, name, options));

    private Parsed<HostMapOptions> Options(ParseResult parsed, bool isMapFile)
    {
        HostMapDialect? from = null;
        if (parsed.GetValue(_from) is { } name)
        {
            if (!HostMapDialects.TryParse(name, out HostMapDialect dialect))
                return Dialects.Unknown("--from", name);
            from = dialect;
        }

        string? text = isMapFile && FileInMap(parsed) is not null ? null : parsed.GetValue(_map);
        if (!IsNamed(parsed) && (from is null ? text is null ? null : _map.Name : _from.Name) is { } given)
            return InputError.Missing(given, null, "this says how to read a source, and none is named: without --host it is this machine",
                "name the source with --host");
        if (text is null)
            return new HostMapOptions { From = from };
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int map) && map > 0
            ? new HostMapOptions { From = from, MapNumber = map }
            : InputError.Malformed(_map.Name, null, $"{InputError.Quote(text)} is not the number of a map", "count the log's maps from 1");
    }
}

/// <summary>Dialects as option values.</summary>
internal static class Dialects
{
    public static InputError Unknown(string option, string name) => InputError.UnknownWord(
        option,
        null,
        $"{InputError.Quote(name)} is not a dialect",
        $"take one of {string.Join(' ', HostMapDialects.All.Select(HostMapDialects.NameOf))}");
}
