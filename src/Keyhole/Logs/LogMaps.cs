// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>The memory maps of a log: whose each is, where it begins and ends, and which are kept. Xen's, the host's kernel's and those of guests
/// whose consoles Xen's log shows may come mixed.</summary>
internal sealed class LogMaps
{
    /// <summary>Entries looked for in a line: a console that loses a line feed makes two, a web page that loses them all one line of a whole
    /// map.</summary>
    private const int MaxEntriesOfALine = 256;

    /// <summary>Maps kept of a kind. Xen's map is found even behind thousands of guests' maps.</summary>
    private const int MaxMapsOfAKind = 64;

    /// <summary>Guests that boot side by side, with lines in between that say whose they are.</summary>
    private const int MaxGuests = 64;

    private readonly string _sourceName;
    private readonly List<MapInProgress> _maps = [];
    private readonly MapSpeaker _xen = new();
    private readonly MapSpeaker _kernel = new();
    private readonly Dictionary<int, MapSpeaker> _guests = [];
    private readonly int[] _mapsOfKind = new int[Enum.GetValues<LogMapKind>().Length];
    private MapSpeaker? _lastToSpeak;
    private MapInProgress? _spare;
    private IomemSyntax _iomem;
    private int _number;

    /// <param name="sourceName">What errors call the log.</param>
    public LogMaps(string sourceName) => _sourceName = sourceName;

    /// <summary>Whether a map is being read: what follows may be of it.</summary>
    public bool AreOpen => _xen.Live is not null || _kernel.Live is not null || (_guests.Count > 0 && IsOpenAmongGuests());

    /// <summary>Maps that were found beyond those that are kept.</summary>
    public int Dropped { get; private set; }

    /// <summary>A line without the blanks that a forum or a mail program has put before each line of /proc/iomem; others as they are.</summary>
    public ReadOnlySpan<char> WithoutIndentation(ReadOnlySpan<char> line) =>
        _kernel.Live?.Kind == LogMapKind.Iomem ? _iomem.WithoutIndentation(line) : line;

    /// <summary>The maps in the order of their first lines. Nothing is read any more.</summary>
    public ImmutableArray<LogMap> ToMaps()
    {
        CloseMap(_xen);
        CloseMap(_kernel);
        CloseGuests();
        LogMap[] maps = [.. _maps.OrderBy(static map => map.FirstLine).Select(static map => map.ToMap())];
        return [.. maps.Where(map => !IsQuotation(map, maps)).Select(map => BrokenMap.Settled(map, maps, _sourceName))];
    }

    /// <summary>Whether a line is one whole entry.</summary>
    public bool IsEntry(ReadOnlySpan<char> line, out LogEntry entry)
    {
        MapSpeaker speaker = SpeakerOf(line, LogPrefix.TryXenBody(line, out _));
        return ReadEntry(speaker, line, isFirst: false, out entry, out ReadOnlySpan<char> rest) == LineKind.Entry && rest.Trim().IsEmpty;
    }

    /// <summary>Reads what a line has for a map. False where it ends amid an entry and nothing of it has been read.</summary>
    /// <param name="line">A line of the log, or one that was put together.</param>
    /// <param name="number">1-based; of one that was put together its first.</param>
    /// <param name="isWhole">Whether no rest of it can come: then it is read as it is.</param>
    public bool TryRead(ReadOnlySpan<char> line, int number, bool isWhole)
    {
        _number = number;
        bool isXen = LogPrefix.TryXenBody(line, out ReadOnlySpan<char> body);
        MapSpeaker whose = SpeakerOf(line, isXen);
        if (TryTitle(whose, line, isXen, body, out ReadOnlySpan<char> behindTitle))
            return behindTitle.Trim().IsEmpty || TryRead(behindTitle, number, isWhole: true);
        // Older kernels end it with no line feed: an entry may stand behind it.
        bool isCountedFirst = AreOpen && OmissionMarks.CountIn(line) is >= 0 and { } at && at <= LogPrefix.LengthBeforeEntry(line);
        if (isCountedFirst)
            NoteOmission(OmissionKind.Counted);
        ReadOnlySpan<char> rest = line;
        for (int read = 0; read < MaxEntriesOfALine; read++)
        {
            // A line of Xen's that lost its line feed may go on with the kernel's.
            MapSpeaker speaker = read == 0 || ReferenceEquals(whose, _kernel) ? whose : SpeakerOf(rest, LogPrefix.TryXenBody(rest, out _));
            LineKind found = ReadEntry(speaker, rest, isFirst: read == 0, out LogEntry entry, out ReadOnlySpan<char> next);
            if (found is LineKind.Other or LineKind.Damaged && read == 0 && isXen && IsCutByXen(line))
            {
                _kernel.Live!.Damage(_sourceName, _number, line);
                break;
            }

            if (found == LineKind.Damaged && read == 0 && entry.Kind != LogMapKind.Iomem && !isWhole)
                return false;
            if (found == LineKind.Other)
                break;
            switch (found)
            {
                case LineKind.Entry:
                    Continue(speaker, entry, line);
                    speaker.Live!.Domain ??= LogPrefix.DomainOf(line);
                    speaker.Live.Add(entry, _sourceName, _number);
                    speaker.KeepPrefix(line);
                    _lastToSpeak = speaker;
                    break;
                case LineKind.Filler:
                    if (speaker.Live is { } filled && filled.Kind == entry.Kind)
                        filled.Dialect = Newer(filled.Dialect, entry.Dialect);
                    break;
                case LineKind.Damaged:
                    Continue(speaker, entry, line);
                    speaker.Live!.Damage(_sourceName, _number, line);
                    break;
                case LineKind.Other:
                    break;
            }

            speaker.HasSpoken = true;
            rest = next;
        }

        if (!isXen)
            body = line;
        if (AreOpen && !isCountedFirst)
            NoteOmission(OmissionMarks.KindOf(body));
        bool isXensStart = isXen && (body.Contains("Xen version", StringComparison.Ordinal)
            || body.Contains("Command line:", StringComparison.Ordinal));
        bool isBootMark = line.Contains("Linux version", StringComparison.Ordinal) || line.Contains("Xen version", StringComparison.Ordinal);
        Pass(_xen, line, body, isOwn: isXen, isStart: isXensStart || (isXen && isBootMark));
        Pass(_kernel, line, body, isOwn: ReferenceEquals(whose, _kernel), isStart: isXensStart || (ReferenceEquals(whose, _kernel) && isBootMark));
        foreach (MapSpeaker guest in _guests.Values)
            Pass(guest, line, body, isOwn: ReferenceEquals(whose, guest), isStart: isXensStart || (ReferenceEquals(whose, guest) && isBootMark));
        return true;
    }

    /// <summary>Whether Xen speaks amid an entry of the host's kernel, as on one serial line: "BIOS-e820: [mem 0x0000(XEN) …".</summary>
    private bool IsCutByXen(ReadOnlySpan<char> line) => _kernel.Live is { HasEntries: true, Kind: LogMapKind.LinuxFirmware or LogMapKind.GuestKernel }
        && (line.Contains("-e820: ", StringComparison.Ordinal) || line.Contains("Xen: [mem", StringComparison.Ordinal));

    /// <summary>Who says a line: a guest where the line says so, else Xen or the host's kernel.</summary>
    private MapSpeaker SpeakerOf(ReadOnlySpan<char> line, bool isXen)
    {
        if (LogPrefix.DomainOf(line) is not { } domain)
            return isXen ? _xen : _kernel;
        if (_guests.TryGetValue(domain, out MapSpeaker? known))
            return known;
        if (_guests.Count == MaxGuests)
            CloseGuests();
        return _guests[domain] = new();
    }

    private bool IsOpenAmongGuests()
    {
        foreach (MapSpeaker guest in _guests.Values)
        {
            if (guest.Live is not null)
                return true;
        }

        return false;
    }

    private void CloseGuests()
    {
        foreach (MapSpeaker guest in _guests.Values)
            CloseMap(guest);
        _guests.Clear();
    }

    /// <summary>Passes over a line that says again what the one before has said.</summary>
    public void PassRepeat(int number)
    {
        _xen.Live?.PassRepeat(number);
        _kernel.Live?.PassRepeat(number);
        foreach (MapSpeaker guest in _guests.Values)
            guest.Live?.PassRepeat(number);
    }

    private void NoteOmission(OmissionKind kind)
    {
        if (kind != OmissionKind.None)
            (_lastToSpeak ?? _kernel).Live?.NoteOmission(_number, isDrawn: kind == OmissionKind.Drawn);
    }

    /// <summary>Ends a speaker's map where too much has been said since its last entry.</summary>
    private void Pass(MapSpeaker speaker, ReadOnlySpan<char> line, ReadOnlySpan<char> body, bool isOwn, bool isStart)
    {
        bool hasSpoken = speaker.HasSpoken;
        speaker.HasSpoken = false;
        if (speaker.Live is not { } live)
            return;
        if (hasSpoken)
        {
            speaker.ForgetLinesBetween();
            return;
        }

        if (LogPrefix.EndsWithin(line, speaker.Prefix))
            live.Damage(_sourceName, _number, line);
        if (isStart && isOwn && speaker.IsRightBehindEntry)
            live.BrokenOffLine = _number;
        speaker.NoteLineBetween(line, body, isOwn, isLast: ReferenceEquals(speaker, _lastToSpeak));
        if (isStart || speaker.IsOverAfter(isOwn))
            CloseMap(speaker);
    }

    /// <summary>Recognises the line above a map. It ends its speaker's map before it and, from Xen, begins one.</summary>
    /// <param name="behind">What follows the title, where a web page has lost the line feeds.</param>
    private bool TryTitle(MapSpeaker speaker, ReadOnlySpan<char> line, bool isXen, ReadOnlySpan<char> body, out ReadOnlySpan<char> behind)
    {
        behind = default;
        if (!isXen && TbootSyntax.TryTitle(line, out ReadOnlySpan<char> tboots))
        {
            _kernel.Live?.NoteFollowing(isLog: true);
            CloseMap(_kernel);
            _kernel.HasTitled = true;
            Begin(_kernel, LogMapKind.Tboot, HostMapDialect.XenOld, tboots, isMarked: true);
            return true;
        }

        int at = line.IndexOf("RAM map:", StringComparison.Ordinal);
        bool isMemoryMap = false;
        if (at < 0)
        {
            at = line.IndexOf("memory map:", StringComparison.Ordinal);
            isMemoryMap = at >= 0;
        }

        if (at < 0)
            return false;
        behind = line[(line[at..].IndexOf(':') + at + 1)..];
        ReadOnlySpan<char> said = isXen ? body : LogPrefix.KernelMessage(line);
        ReadOnlySpan<char> title = (behind.Trim().IsEmpty || behind.Length >= said.Length ? said : said[..^behind.Length]).Trim().TrimEnd(':');
        bool isDom0 = isXen && isMemoryMap && title.StartsWith("Dom", StringComparison.Ordinal);
        bool isEfi = isXen && isMemoryMap && title.StartsWith("EFI", StringComparison.Ordinal);
        bool isXenRam = !isMemoryMap && !title.Contains("physical RAM map", StringComparison.Ordinal);
        bool isFirmwares = !isDom0 && !isEfi && (isXenRam || title.Contains("provided", StringComparison.Ordinal));
        if (speaker.Live is { HasEntries: true } broken && isFirmwares && speaker.IsRightBehindEntry)
            broken.BrokenOffLine = _number;
        speaker.Live?.NoteFollowing(isLog: true);
        CloseMap(speaker);
        speaker.HasTitled = true;
        if (isDom0 || isEfi || isXenRam)
        {
            LogMapKind kind = isDom0 ? LogMapKind.Dom0BuiltByXen : isEfi ? LogMapKind.Efi : LogMapKind.XenFirmware;
            Begin(speaker, kind, HostMapDialect.Xen, title, isMarked: isXen);
        }

        return true;
    }

    private LineKind ReadEntry(MapSpeaker speaker, ReadOnlySpan<char> line, bool isFirst, out LogEntry entry, out ReadOnlySpan<char> rest)
    {
        LogMapKind? live = speaker.Live?.Kind;
        LineKind found = LineKind.Other;
        entry = default;
        rest = default;
        if (live == LogMapKind.Tboot && TbootSyntax.Read(line, out entry, out rest) is not LineKind.Other and var tboots)
            return tboots;
        if (LogPrefix.TryXenBody(line, out ReadOnlySpan<char> body))
            found = LogEntrySyntax.ReadXen(body, live, out entry, out rest);
        else if (speaker.Live is { IsMarked: false } && live is LogMapKind.XenFirmware && LogEntrySyntax.TryUnmarkedXenBody(line, out body))
            found = LogEntrySyntax.ReadXen(body, live, out entry, out rest);
        if (found == LineKind.Other)
            found = LogEntrySyntax.ReadLinux(line, live, out entry, out rest);
        if (found == LineKind.Other)
            found = LogEntrySyntax.ReadLinuxEfi(line, out entry, out rest);
        return found == LineKind.Other && isFirst ? ReadIomem(speaker, line, out entry) : found;
    }

    private LineKind ReadIomem(MapSpeaker speaker, ReadOnlySpan<char> line, out LogEntry entry)
    {
        if (speaker.Live?.Kind != LogMapKind.Iomem)
            _iomem = default;
        LineKind found = _iomem.Read(line, out EntryRange range, out E820Type type, out bool startsAgain, out bool isAllZero);
        entry = new(LogMapKind.Iomem, HostMapDialect.Iomem, range, type);
        if (startsAgain)
            CloseMap(speaker);
        if (found == LineKind.Damaged && speaker.Live?.Kind != LogMapKind.Iomem)
            return LineKind.Other;
        if (found == LineKind.Entry && isAllZero)
        {
            Continue(speaker, entry, line);
            speaker.Live!.IsHidden(_sourceName, _number);
            return LineKind.Filler;
        }

        return found;
    }

    /// <summary>Makes sure that the map in progress is one that the entry belongs to.</summary>
    private void Continue(MapSpeaker speaker, LogEntry entry, ReadOnlySpan<char> line)
    {
        bool isBehindProse = speaker.Live?.Kind == entry.Kind && speaker.HasProseBetween && speaker.Live.GoesBackWith(entry);
        if (speaker.Live is null || speaker.Live.Kind != entry.Kind || isBehindProse || speaker.Live.StartsAgainWith(entry))
        {
            speaker.Live?.NoteFollowing(!isBehindProse);
            CloseMap(speaker);
            Begin(speaker, entry.Kind, entry.Dialect, TitleOf(entry.Kind, line), isMarked: true);
            speaker.Live!.IsBehindProse = isBehindProse;
        }

        speaker.Live!.Dialect = speaker.Live.HasEntries ? Newer(speaker.Live.Dialect, entry.Dialect) : entry.Dialect;
    }

    /// <summary>Linux 7's words stand only in some lines of its map: one of them tells.</summary>
    private static HostMapDialect Newer(HostMapDialect known, HostMapDialect next) =>
        known == HostMapDialect.Linux && next == HostMapDialect.Linux72 ? next : known;

    private static string TitleOf(LogMapKind kind, ReadOnlySpan<char> line) => kind switch
    {
        LogMapKind.XenFirmware => "RAM map",
        LogMapKind.LinuxFirmware => "BIOS-e820",
        LogMapKind.Efi => "efi",
        LogMapKind.GuestKernel => "Xen",
        LogMapKind.Dom0BuiltByXen => "Dom0 memory map",
        LogMapKind.KernelEdited => line.Contains("user:", StringComparison.Ordinal) ? "user"
            : line.Contains("modified:", StringComparison.Ordinal) ? "modified" : "extended",
        LogMapKind.Iomem => "/proc/iomem",
        LogMapKind.Tboot => "TBOOT",
    };

    private void CloseMap(MapSpeaker speaker)
    {
        if (speaker.Live is { } map && (map.HasEntries || map.HasError))
        {
            if (_mapsOfKind[(int)map.Kind] < MaxMapsOfAKind)
            {
                _mapsOfKind[(int)map.Kind]++;
                _maps.Add(map);
                speaker.Live = null;
                return;
            }

            Dropped = Math.Min(Dropped, int.MaxValue - 1) + 1;
        }

        _spare = speaker.Live ?? _spare;
        speaker.Live = null;
    }

    private void Begin(MapSpeaker speaker, LogMapKind kind, HostMapDialect dialect, ReadOnlySpan<char> title, bool isMarked)
    {
        speaker.Live = _spare ?? new();
        _spare = null;
        speaker.Live.Begin(kind, dialect, title, isMarked);
        speaker.Live.IsTitled = speaker.HasTitled;
        speaker.Restart();
    }

    /// <summary>Whether a map is a few lines of another one that somebody quotes again: all of it stands there.</summary>
    private static bool IsQuotation(LogMap map, LogMap[] all) =>
        map is { IsBehindProse: true, Error: null }
        && Array.Exists(all, other => other.Kind == map.Kind && other.Entries.Length > map.Entries.Length
            && map.Entries.All(entry => other.Entries.Contains(entry)));
}
