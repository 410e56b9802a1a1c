// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>
/// Finds every memory map in a boot log of any size, with any prefix to its lines, and what else the log says of the host and of its boots:
/// one pass, in memory that does not grow with the log.
/// </summary>
public sealed class LogScanner
{
    /// <summary>Entries looked for in a line: a console that loses a line feed makes two, a web page that loses them all one line of a whole
    /// map.</summary>
    private const int MaxEntriesOfALine = 256;

    /// <summary>Maps kept of a kind. Xen's map is found even behind thousands of guests' maps.</summary>
    private const int MaxMapsOfAKind = 64;

    /// <summary>Nobody wraps lines that are shorter.</summary>
    internal const int NarrowestWrap = 60;

    private static readonly string[] s_mapWords =
    [
        "e820", "BIOS-88:", "RAM map", "emory map", "Xen: [", "Xen: 0", "modified: ", "user: [", "user: 0", "setup_data: [",
        "extended: ", "(usable)", "(reserved)", "(ACPI ", "(unusable)", "efi: mem",
        "EFI: mem", " attr=0000", " : System RAM", " : Reserved", " : reserved", " : ACPI ", " : Unusable m", " : Persistent ", " : Soft Res",
    ];

    internal static readonly SearchValues<string> MapAndTraitWords =
        SearchValues.Create([.. s_mapWords, .. LogTraits.Words], StringComparison.Ordinal);
    private static readonly SearchValues<string> s_traitWords = SearchValues.Create(LogTraits.Words, StringComparison.Ordinal);
    private static readonly SearchValues<string> s_pciWords = SearchValues.Create(PciLogBuilder.Words, StringComparison.Ordinal);
    private static readonly SearchValues<string> s_messageAndPciWords =
        SearchValues.Create([.. Vocabulary.Marks, .. PciLogBuilder.Words], StringComparison.Ordinal);

    private readonly string _sourceName;
    private readonly TextLines _text;
    private readonly LogTraits _traits = new();
    private readonly List<MapInProgress> _maps = [];
    private readonly MapSpeaker _xen = new();
    private readonly MapSpeaker _kernel = new();
    private readonly LogMessages _messages = new();
    private readonly WrappedLine _held = new();
    private readonly PciLogBuilder? _pci;
    private MapSpeaker? _lastToSpeak;
    private readonly int[] _mapsOfKind = new int[Enum.GetValues<LogMapKind>().Length];
    private MapInProgress? _spare;
    private IomemSyntax _iomem;
    private int _droppedMaps;

    /// <summary>1-based number of the line that is being read; of one that was put together its first.</summary>
    private int _number;

    /// <summary>Whether the line that is being read has been held already, or is whole: it is not held again.</summary>
    private bool _isReleased;

    private LogScanner(TextLines text, string sourceName, bool withPci = false)
    {
        _text = text;
        _sourceName = sourceName;
        _pci = withPci ? new() : null;
    }

    /// <summary>Reads <paramref name="stream"/> to its end. A log without any map is no error here: its list of maps is empty.</summary>
    /// <param name="stream">The log; UTF-16, what a mail encodes, what is packed and support bundles are recognised, everything else is taken as
    /// bytes.</param>
    /// <param name="sourceName">What errors call it.</param>
    /// <exception cref="InvalidDataException">What is packed is damaged, or holds no log.</exception>
    public static LogScan Scan(Stream stream, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sourceName);
        return Scan(default, stream, sourceName);
    }

    /// <summary>The same, with what a guest's log says of its PCI functions.</summary>
    /// <inheritdoc cref="Scan(Stream, string)"/>
    public static LogScan ScanWithPci(Stream stream, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sourceName);
        ReadOnlyMemory<byte> head = StreamHead.ReadText(ref stream);
        LogScanner scanner = new(new(head, stream), sourceName, withPci: true);
        scanner.ReadAll();
        return scanner.ToScan();
    }

    /// <inheritdoc cref="Scan(Stream, string)"/>
    internal static LogScan Scan(ReadOnlyMemory<byte> head, Stream stream, string sourceName)
    {
        if (head.IsEmpty)
            head = StreamHead.ReadText(ref stream);
        LogScanner scanner = new(new(head, stream), sourceName);
        scanner.ReadAll();
        return scanner.ToScan();
    }

    private void ReadAll()
    {
        while (true)
        {
            if (_xen.Live is null && _kernel.Live is null && !_messages.AreOpen && _held.Count == 0 && _pci is not { IsOpen: true })
                _text.SkipTo(MapAndTraitWords, _pci is null ? LogMessages.Words : s_messageAndPciWords);
            if (!_text.TryRead(out ReadOnlySpan<char> line))
                break;
            if (_pci is not null && (_pci.IsOpen || line.ContainsAny(s_pciWords)))
                _pci.Read(line, _text.Number);
            if (_held.Count == 0 || !GoesOnWithHeld(line))
                Read(line, _text.Number);
        }

        ReleaseHeld();
        CloseMap(_xen);
        CloseMap(_kernel);
    }

    private void Read(ReadOnlySpan<char> line, int number)
    {
        _number = number;
        if (_messages.GoOnWith(line) || !TryReadMapLine(line))
            return;
        ReadMessages(line);
    }

    /// <summary>Keeps a line that ends amid what it says until the next one is known. False where it was kept before.</summary>
    private bool Hold(WrappedKind kind, ReadOnlySpan<char> line) => !_isReleased && _held.TryBegin(kind, line, _number);

    /// <summary>Takes a line for the rest of the one that is held. Where it is not, the held one is read as it is.</summary>
    private bool GoesOnWithHeld(ReadOnlySpan<char> line)
    {
        ReadOnlySpan<char> next = WrappedLine.ContinuationIn(line);
        if (!next.IsEmpty && _held.HasRoomFor(next))
        {
            if (TryJoin(next, out int way))
            {
                ReadOnlySpan<char> joined = _held.Joined(way, next);
                int number = _held.Number;
                _held.Clear();
                _isReleased = true;
                Read(joined, number);
                _isReleased = false;
                return true;
            }

            // An entry that lacks its type alone, in a third line.
            if (_held is { Kind: WrappedKind.Entry, Count: 1 } && LacksOnlyItsType(next) && _held.TryAdd(next, _text.Number))
                return true;
        }

        ReleaseHeld();
        return false;
    }

    private void ReleaseHeld()
    {
        int count = _held.Count;
        _held.Clear();
        _isReleased = true;
        for (int i = 0; i < count; i++)
            Read(_held.Piece(i), _held.NumberOf(i));
        _isReleased = false;
    }

    /// <summary>Finds the one way to join what is held with a further line so that it makes a whole. Two ways with two meanings are none.</summary>
    private bool TryJoin(ReadOnlySpan<char> next, out int found)
    {
        found = -1;
        LogEntry firstEntry = default;
        KernelMessage firstMessage = default;
        // Blanks everywhere first: that is how mails are wrapped.
        for (int way = _held.Ways - 1; way >= 0; way--)
        {
            ReadOnlySpan<char> joined = _held.Joined(way, next);
            LogEntry entry = default;
            KernelMessage message = default;
            bool isWhole = _held.Kind switch
            {
                WrappedKind.Entry => IsEntry(joined, out entry),
                WrappedKind.Message => KernelMessage.TryParseWhole(LogMessages.TextOf(joined), out message),
                WrappedKind.Trait => way == _held.Ways - 1 && LogTraits.Understands(joined),
            };
            if (!isWhole)
                continue;
            if (found >= 0 && (entry != firstEntry || message != firstMessage))
                return false;
            found = way;
            firstEntry = entry;
            firstMessage = message;
        }

        return found >= 0;
    }

    private bool IsEntry(ReadOnlySpan<char> line, out LogEntry entry)
    {
        MapSpeaker speaker = LogPrefix.TryXenBody(line, out _) ? _xen : _kernel;
        return ReadEntry(speaker, line, isFirst: false, out entry, out ReadOnlySpan<char> rest) == LineKind.Entry && rest.Trim().IsEmpty;
    }

    private bool LacksOnlyItsType(ReadOnlySpan<char> next)
    {
        for (int way = _held.Ways - 1; way >= 0; way--)
        {
            ReadOnlySpan<char> joined = _held.Joined(way, next);
            bool isXen = LogPrefix.TryXenBody(joined, out _);
            if (!joined.IsEmpty && IsEntry($"{joined} {(isXen ? "(usable)" : "usable")}", out _))
                return true;
        }

        return false;
    }

    private void ReadMessages(ReadOnlySpan<char> line)
    {
        // A listing that a forum or a mail program has indented begins where its first line does.
        ReadOnlySpan<char> own = _kernel.Live?.Kind == LogMapKind.Iomem ? _iomem.WithoutIndentation(line) : line;
        if (line.ContainsAny(s_traitWords) && !_traits.TryRead(own) && line.Length >= NarrowestWrap && Hold(WrappedKind.Trait, line))
            return;
        if (!line.ContainsAny(LogMessages.Words) || (!_isReleased && _messages.MayGoOn(line) && Hold(WrappedKind.Message, line)))
            return;
        _messages.Keep(line, _number);
    }

    private LogScan ToScan()
    {
        LogMap[] maps = [.. _maps.OrderBy(static map => map.FirstLine).Select(static map => map.ToMap())];
        return new()
        {
            Maps = [.. maps.Where(map => !IsQuotation(map, maps))],
            DroppedMaps = _droppedMaps,
            Traits = _traits.ToTraits(),
            Lines = _messages.ToLines(),
            LineCount = _text.Number,
            Pci = _pci?.ToLog() ?? PciLog.Empty,
        };
    }

    /// <summary>Whether a map is a few lines of another one that somebody quotes again: all of it stands there.</summary>
    private static bool IsQuotation(LogMap map, LogMap[] all) =>
        map is { IsBehindProse: true, Error: null }
        && Array.Exists(all, other => other.Kind == map.Kind && other.Entries.Length > map.Entries.Length
            && map.Entries.All(entry => other.Entries.Contains(entry)));

    /// <summary>Reads what a line has for a map. False where it is held, so that nothing may be read from it yet.</summary>
    private bool TryReadMapLine(ReadOnlySpan<char> line)
    {
        bool isXen = LogPrefix.TryXenBody(line, out ReadOnlySpan<char> body);
        if (TryTitle(line, isXen, body))
            return true;
        ReadOnlySpan<char> rest = line;
        for (int read = 0; read < MaxEntriesOfALine; read++)
        {
            // A line of Xen's that lost its line feed may go on with the kernel's.
            MapSpeaker speaker = read == 0 ? (isXen ? _xen : _kernel) : LogPrefix.TryXenBody(rest, out _) ? _xen : _kernel;
            LineKind found = ReadEntry(speaker, rest, isFirst: read == 0, out LogEntry entry, out ReadOnlySpan<char> next);
            if (found == LineKind.Damaged && read == 0 && entry.Kind != LogMapKind.Iomem && Hold(WrappedKind.Entry, line))
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
        if (MapSpeaker.IsOmission(body))
            (_lastToSpeak ?? _kernel).Live?.NoteOmission(_number);
        bool isXensStart = isXen && (body.Contains("Xen version", StringComparison.Ordinal)
            || body.Contains("Command line:", StringComparison.Ordinal));
        bool isBootMark = line.Contains("Linux version", StringComparison.Ordinal) || line.Contains("Xen version", StringComparison.Ordinal);
        Pass(_xen, line, body, isOwn: isXen, isStart: isXensStart || (isXen && isBootMark));
        Pass(_kernel, line, body, isOwn: !isXen, isStart: isXensStart || (!isXen && isBootMark));
        return true;
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
        speaker.NoteLineBetween(line, body, isOwn, isLast: ReferenceEquals(speaker, _lastToSpeak));
        if (isStart || speaker.IsOverAfter(isOwn))
            CloseMap(speaker);
    }

    /// <summary>Recognises the line above a map. It ends its speaker's map before it and, from Xen, begins one.</summary>
    private bool TryTitle(ReadOnlySpan<char> line, bool isXen, ReadOnlySpan<char> body)
    {
        int at = line.IndexOf("RAM map:", StringComparison.Ordinal);
        bool isMemoryMap = false;
        if (at < 0)
        {
            at = line.IndexOf("memory map:", StringComparison.Ordinal);
            isMemoryMap = at >= 0;
        }

        if (at < 0)
            return false;
        MapSpeaker speaker = isXen ? _xen : _kernel;
        ReadOnlySpan<char> title = (isXen ? body : LogPrefix.KernelMessage(line)).Trim().TrimEnd(':');
        bool isDom0 = isXen && isMemoryMap && title.StartsWith("Dom", StringComparison.Ordinal);
        bool isEfi = isXen && isMemoryMap && title.StartsWith("EFI", StringComparison.Ordinal);
        bool isXenRam = !isMemoryMap && !title.Contains("physical RAM map", StringComparison.Ordinal);
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
        // Guests whose consoles Xen's log shows boot side by side.
        bool isOtherGuests = speaker.Live is { Kind: LogMapKind.GuestKernel, HasEntries: true } live && entry.Kind == LogMapKind.GuestKernel
            && live.Domain is { } domain && LogPrefix.DomainOf(line) is { } other && domain != other;
        bool isBehindProse = speaker.Live?.Kind == entry.Kind && speaker.HasProseBetween && speaker.Live.GoesBackWith(entry);
        if (speaker.Live is null || speaker.Live.Kind != entry.Kind || isOtherGuests || isBehindProse || speaker.Live.StartsAgainWith(entry))
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

            _droppedMaps = Math.Min(_droppedMaps, int.MaxValue - 1) + 1;
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
}
