// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using Keyhole.Diagnostics;
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
    /// <summary>Lines that may stand between two entries of a map, as serial consoles mix them.</summary>
    private const int MaxLinesBetween = 8;

    /// <summary>How many when Xen and a kernel speak in turns: a whole map of the other's may stand in between.</summary>
    private const int MaxForeignLinesBetween = 256;

    /// <summary>Entries looked for in a line: a console that loses a line feed makes two, a web page that loses them all one line of a whole
    /// map.</summary>
    private const int MaxEntriesOfALine = 256;

    /// <summary>Maps kept of a kind. Xen's map is found even behind thousands of guests' maps.</summary>
    private const int MaxMapsOfAKind = 64;

    private const int MaxLinesOfAWord = 256;
    private const int MaxLineTextLength = 512;

    /// <summary>Xen's command line has up to 1,023 characters, Linux's 2,047.</summary>
    private const int MaxCommandLineLength = 2048;

    private const string CommandLineWord = "ommand line";

    /// <summary>Xen's panic, in a frame of asterisks: its reason stands in the next line.</summary>
    private const string PanicWord = Vocabulary.XenPanic;

    /// <summary>Nobody wraps lines that are shorter.</summary>
    private const int NarrowestWrap = 60;

    private const int MaxTitleLength = 60;

    /// <summary>Stamps and names before an entry that are compared; a longer prefix is cut here.</summary>
    private const int LongestPrefix = 200;

    private static readonly string[] s_mapWords =
    [
        "e820", "BIOS-88:", "RAM map", "emory map", "Xen: [", "Xen: 0", "modified: ", "user: [", "user: 0", "setup_data: [",
        "extended: ", "(usable)", "(reserved)", "(ACPI ", "(unusable)", "efi: mem",
        "EFI: mem", " : System RAM", " : Reserved", " : reserved", " : ACPI ", " : Unusable m", " : Persistent ", " : Soft Res",
    ];

    /// <summary>What a kernel or Xen says about memory while it boots; <see cref="LogScan.Lines"/> keeps the lines that hold one.</summary>
    private static readonly string[] s_messageWords = Vocabulary.Marks;

    private static readonly SearchValues<string> s_mapAndTraitWords =
        SearchValues.Create([.. s_mapWords, .. LogTraits.Words], StringComparison.Ordinal);
    private static readonly SearchValues<string> s_traitWords = SearchValues.Create(LogTraits.Words, StringComparison.Ordinal);
    private static readonly SearchValues<string> s_allMessageWords = SearchValues.Create(s_messageWords, StringComparison.Ordinal);
    private static readonly SearchValues<string> s_pciWords = SearchValues.Create(PciLogBuilder.Words, StringComparison.Ordinal);
    private static readonly SearchValues<string> s_messageAndPciWords =
        SearchValues.Create([.. s_messageWords, .. PciLogBuilder.Words], StringComparison.Ordinal);

    private readonly string _sourceName;
    private readonly TextLines _text;
    private readonly LogTraits _traits = new();
    private readonly List<MapInProgress> _maps = [];
    private readonly List<LogLine> _lines = [];
    private readonly int[] _linesOfWord = new int[s_messageWords.Length];
    private readonly Speaker _xen = new();
    private readonly Speaker _kernel = new();
    private readonly WrappedLine _held = new();
    private readonly PciLogBuilder? _pci;
    private Speaker? _lastToSpeak;
    private readonly int[] _mapsOfKind = new int[Enum.GetValues<LogMapKind>().Length];
    private MapInProgress? _spare;
    private IomemSyntax _iomem;
    private int _droppedMaps;

    /// <summary>1-based number of the line that is being read; of one that was put together its first.</summary>
    private int _number;

    /// <summary>Whether the last line kept is Xen's panic, and its next line tells why.</summary>
    private bool _wantsReason;

    /// <summary>Length of the last line kept where it is one that may go on: what a kernel says of itself or of its end, behind a stamp or its
    /// name. Else 0.</summary>
    private int _wordsLength;

    /// <summary>Whether the line that is being read has been held already, or is whole: it is not held again.</summary>
    private bool _isReleased;

    /// <summary>What stands before who speaks where the last line was a command line, which the next one may go on with; else null.</summary>
    private string? _beforeCommandLine;

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
            if (_xen.Live is null && _kernel.Live is null && _beforeCommandLine is null && _held.Count == 0 && !_wantsReason && _wordsLength == 0)
                _text.SkipTo(s_mapAndTraitWords, _pci is null ? s_allMessageWords : s_messageAndPciWords);
            if (!_text.TryRead(out ReadOnlySpan<char> line))
                break;
            if (_pci is not null && line.ContainsAny(s_pciWords))
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
        if (_wantsReason && LogEntrySyntax.TryXenBody(line, out ReadOnlySpan<char> reason))
        {
            _wantsReason = false;
            _lines[^1] = _lines[^1] with { Text = InputError.OneLine($"{_lines[^1].Text} {reason.Trim()}", MaxLineTextLength) };
            return;
        }

        if (GoesOnWithWords(line) || GoesOnWithCommandLine(line) || !TryReadMapLine(line))
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
                WrappedKind.Message => KernelMessage.TryParseWhole(TextOf(joined), out message),
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
        Speaker speaker = LogEntrySyntax.TryXenBody(line, out _) ? _xen : _kernel;
        return ReadEntry(speaker, line, isFirst: false, out entry, out ReadOnlySpan<char> rest) == LineKind.Entry && rest.Trim().IsEmpty;
    }

    private bool LacksOnlyItsType(ReadOnlySpan<char> next)
    {
        for (int way = _held.Ways - 1; way >= 0; way--)
        {
            ReadOnlySpan<char> joined = _held.Joined(way, next);
            bool isXen = LogEntrySyntax.TryXenBody(joined, out _);
            if (!joined.IsEmpty && IsEntry($"{joined} {(isXen ? "(usable)" : "usable")}", out _))
                return true;
        }

        return false;
    }

    private LogScan ToScan()
    {
        LogMap[] maps = [.. _maps.OrderBy(static map => map.FirstLine).Select(static map => map.ToMap())];
        return new()
        {
            Maps = [.. maps.Where(map => !IsQuotation(map, maps))],
            DroppedMaps = _droppedMaps,
            Traits = _traits.ToTraits(),
            Lines = [.. _lines],
            LineCount = _text.Number,
            Pci = _pci?.ToLog() ?? PciLog.Empty,
        };
    }

    /// <summary>Whether a map is a few lines of another one that somebody quotes again: all of it stands there.</summary>
    private static bool IsQuotation(LogMap map, LogMap[] all) =>
        map is { IsBehindProse: true, Error: null }
        && Array.Exists(all, other => other.Kind == map.Kind && other.Entries.Length > map.Entries.Length
            && map.Entries.All(entry => other.Entries.Contains(entry)));

    private void ReadMessages(ReadOnlySpan<char> line)
    {
        // A listing that a forum or a mail program has indented begins where its first line does.
        ReadOnlySpan<char> own = _kernel.Live?.Kind == LogMapKind.Iomem ? _iomem.WithoutIndentation(line) : line;
        if (line.ContainsAny(s_traitWords) && !_traits.TryRead(own) && line.Length >= NarrowestWrap && Hold(WrappedKind.Trait, line))
            return;
        if (!line.ContainsAny(s_allMessageWords))
            return;
        for (int i = 0; i < s_messageWords.Length; i++)
        {
            if (!line.Contains(s_messageWords[i], StringComparison.Ordinal))
                continue;
            if (_linesOfWord[i] < MaxLinesOfAWord)
            {
                if (line.Length >= NarrowestWrap && !_isReleased && KernelMessage.MayGoOn(TextOf(line)) && Hold(WrappedKind.Message, line))
                    return;
                _linesOfWord[i]++;
                bool isCommandLine = s_messageWords[i] == CommandLineWord;
                LogLine kept = ToLogLine(line, isCommandLine ? MaxCommandLineLength : MaxLineTextLength);
                _lines.Add(kept);
                _wantsReason = s_messageWords[i] == PanicWord && kept.Speaker == LogSpeaker.Xen;
                if (kept.Speaker == LogSpeaker.Kernel && WrappedLine.ContinuationIn(line).IsEmpty
                    && KernelMessage.Parse(kept.Text) is { Kind: KernelMessageKind.Release }
                        or { BootFailure: { Kind: BootFailureKind.KernelPanic } })
                    _wordsLength = line.TrimEnd(' ').Length;
                if (isCommandLine && line.Length >= NarrowestWrap)
                    _beforeCommandLine = BeforeSpeaker(line).ToString();
            }

            return;
        }
    }

    /// <summary>What a mail program or a log collector has put before a line of Xen's; before a kernel's the marks of a citation.</summary>
    private static ReadOnlySpan<char> BeforeSpeaker(ReadOnlySpan<char> line)
    {
        int mark = line.IndexOf(LogEntrySyntax.XenMark, StringComparison.Ordinal);
        return mark >= 0 ? line[..mark] : line[..(line.Length - CitedLine.Unmarked(line).Length)];
    }

    /// <summary>A line without time stamps and other prefixes.</summary>
    private static ReadOnlySpan<char> TextOf(ReadOnlySpan<char> line) =>
        (LogEntrySyntax.TryXenBody(line, out ReadOnlySpan<char> body) ? body : LogEntrySyntax.KernelMessage(line)).Trim();

    /// <summary>
    /// Takes a line that carries nobody's mark, right behind one that a kernel has marked, for the rest of what it says, where its first word would
    /// not have fitted there.
    /// </summary>
    private bool GoesOnWithWords(ReadOnlySpan<char> line)
    {
        // Mail programs wrap at 72 to 78 columns; screens amid a word.
        const int usualWidth = 76, screenWidth = 80;
        int length = _wordsLength;
        _wordsLength = 0;
        if (length == 0)
            return false;
        ReadOnlySpan<char> text = WrappedLine.ContinuationIn(line);
        int word = text.IndexOf(' ');
        word = word < 0 ? text.Length : word;
        string known = _lines[^1].Text;
        bool mayBeWrapped = !text.IsEmpty && length <= screenWidth && length + 1 + word > usualWidth;
        if (!mayBeWrapped || known.Length + 1 + text.Length > MaxLineTextLength || line.ContainsAny(s_mapAndTraitWords)
            || line.ContainsAny(s_allMessageWords))
            return false;
        _lines[^1] = _lines[^1] with { Text = InputError.OneLine($"{known}{(length == screenWidth ? "" : " ")}{text}", MaxLineTextLength) };
        _wordsLength = line.TrimEnd(' ').Length;
        return true;
    }

    /// <summary>Takes a line that carries nobody's mark, right behind a command line, for the rest of it.</summary>
    private bool GoesOnWithCommandLine(ReadOnlySpan<char> line)
    {
        if (_beforeCommandLine is not { } before)
            return false;
        ReadOnlySpan<char> text = line.StartsWith(before, StringComparison.Ordinal) ? line[before.Length..] : line;
        text = text.Trim();
        LogLine commandLine = _lines[^1];
        // Stamps and names of those who speak have brackets or a colon; options of Xen's have colons, but never at the end of a word.
        bool isMessage = text.ContainsAny('(', '[') || text.EndsWith(':') || text.Contains(": ", StringComparison.Ordinal);
        if (isMessage || text.IsEmpty || commandLine.Wrapped.Length + text.Length >= MaxCommandLineLength)
        {
            _beforeCommandLine = null;
            return false;
        }

        _lines[^1] = commandLine with { Wrapped = $"{commandLine.Wrapped}\n{InputError.OneLine(text, MaxCommandLineLength)}" };
        return true;
    }

    private LogLine ToLogLine(ReadOnlySpan<char> line, int maxLength)
    {
        bool isXen = LogEntrySyntax.TryXenBody(line, out ReadOnlySpan<char> text);
        if (!isXen)
            text = LogEntrySyntax.KernelMessage(line);
        return new(_number, isXen ? LogSpeaker.Xen : LogSpeaker.Kernel,
            InputError.OneLine(text.Trim(), maxLength))
        { Domain = LogEntrySyntax.DomainOf(line) };
    }

    /// <summary>Reads what a line has for a map. False where it is held, so that nothing may be read from it yet.</summary>
    private bool TryReadMapLine(ReadOnlySpan<char> line)
    {
        bool isXen = LogEntrySyntax.TryXenBody(line, out ReadOnlySpan<char> body);
        if (TryTitle(line, isXen, body))
            return true;
        ReadOnlySpan<char> rest = line;
        for (int read = 0; read < MaxEntriesOfALine; read++)
        {
            // A line of Xen's that lost its line feed may go on with the kernel's.
            Speaker speaker = read == 0 ? (isXen ? _xen : _kernel) : LogEntrySyntax.TryXenBody(rest, out _) ? _xen : _kernel;
            LineKind found = ReadEntry(speaker, rest, isFirst: read == 0, out LogEntry entry, out ReadOnlySpan<char> next);
            if (found == LineKind.Damaged && read == 0 && entry.Kind != LogMapKind.Iomem && Hold(WrappedKind.Entry, line))
                return false;
            if (found == LineKind.Other)
                break;
            switch (found)
            {
                case LineKind.Entry:
                    Continue(speaker, entry, line);
                    speaker.Live!.Domain ??= LogEntrySyntax.DomainOf(line);
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

        if (IsOmission(isXen ? body : line))
            (_lastToSpeak ?? _kernel).Live?.NoteOmission(_number);
        bool isXensStart = isXen && (body.Contains("Xen version", StringComparison.Ordinal)
            || body.Contains("Command line:", StringComparison.Ordinal));
        bool isBootMark = line.Contains("Linux version", StringComparison.Ordinal) || line.Contains("Xen version", StringComparison.Ordinal);
        Pass(_xen, line, isOwn: isXen, isStart: isXensStart || (isXen && isBootMark));
        Pass(_kernel, line, isOwn: !isXen, isStart: isXensStart || (!isXen && isBootMark));
        return true;
    }

    /// <summary>What people write where they leave lines out; UTF-8 is read as Latin-1.</summary>
    private static bool IsOmission(ReadOnlySpan<char> text)
    {
        text = text.Trim(" \t>|[](){}<>-*").TrimEnd(':');
        const string ellipsisInUtf8 = "\u00e2\u0080\u00a6";
        return text is "..." or "...." or "....." or ".." or ellipsisInUtf8 || text.Equals("snip", StringComparison.OrdinalIgnoreCase)
            || text.Equals("snipped", StringComparison.OrdinalIgnoreCase)
            || text.Equals("cut", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Ends a speaker's map where too much has been said since its last entry.</summary>
    private void Pass(Speaker speaker, ReadOnlySpan<char> line, bool isOwn, bool isStart)
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

        if (LogEntrySyntax.EndsWithinPrefix(line, speaker.Prefix))
            live.Damage(_sourceName, _number, line);
        speaker.NoteLineBetween(line);
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
        Speaker speaker = isXen ? _xen : _kernel;
        ReadOnlySpan<char> title = (isXen ? body : LogEntrySyntax.KernelMessage(line)).Trim().TrimEnd(':');
        bool isDom0 = isXen && isMemoryMap && title.StartsWith("Dom", StringComparison.Ordinal);
        bool isEfi = isXen && isMemoryMap && title.StartsWith("EFI", StringComparison.Ordinal);
        bool isXenRam = !isMemoryMap && !title.Contains("physical RAM map", StringComparison.Ordinal);
        CloseMap(speaker);
        speaker.HasTitled = true;
        if (isDom0 || isEfi || isXenRam)
        {
            LogMapKind kind = isDom0 ? LogMapKind.Dom0BuiltByXen : isEfi ? LogMapKind.Efi : LogMapKind.XenFirmware;
            Begin(speaker, kind, HostMapDialect.Xen, title, isMarked: isXen);
        }

        return true;
    }

    private LineKind ReadEntry(Speaker speaker, ReadOnlySpan<char> line, bool isFirst, out LogEntry entry, out ReadOnlySpan<char> rest)
    {
        LogMapKind? live = speaker.Live?.Kind;
        LineKind found = LineKind.Other;
        entry = default;
        rest = default;
        if (LogEntrySyntax.TryXenBody(line, out ReadOnlySpan<char> body))
            found = LogEntrySyntax.ReadXen(body, live, out entry, out rest);
        else if (speaker.Live is { IsMarked: false } && live is LogMapKind.XenFirmware && LogEntrySyntax.TryUnmarkedXenBody(line, out body))
            found = LogEntrySyntax.ReadXen(body, live, out entry, out rest);
        if (found == LineKind.Other)
            found = LogEntrySyntax.ReadLinux(line, live, out entry, out rest);
        if (found == LineKind.Other)
            found = LogEntrySyntax.ReadLinuxEfi(line, out entry, out rest);
        return found == LineKind.Other && isFirst ? ReadIomem(speaker, line, out entry) : found;
    }

    private LineKind ReadIomem(Speaker speaker, ReadOnlySpan<char> line, out LogEntry entry)
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
    private void Continue(Speaker speaker, LogEntry entry, ReadOnlySpan<char> line)
    {
        // Guests whose consoles Xen's log shows boot side by side.
        bool isOtherGuests = speaker.Live is { Kind: LogMapKind.GuestKernel, HasEntries: true } live && entry.Kind == LogMapKind.GuestKernel
            && live.Domain is { } domain && LogEntrySyntax.DomainOf(line) is { } other && domain != other;
        bool isBehindProse = speaker.Live?.Kind == entry.Kind && speaker.HasProseBetween && speaker.Live.GoesBackWith(entry);
        if (speaker.Live is null || speaker.Live.Kind != entry.Kind || isOtherGuests || isBehindProse || speaker.Live.StartsAgainWith(entry))
        {
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

    private void CloseMap(Speaker speaker)
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

    private void Begin(Speaker speaker, LogMapKind kind, HostMapDialect dialect, ReadOnlySpan<char> title, bool isMarked)
    {
        speaker.Live = _spare ?? new();
        _spare = null;
        speaker.Live.Begin(kind, dialect, title, isMarked);
        speaker.Live.IsTitled = speaker.HasTitled;
        speaker.Restart();
    }

    /// <summary>One of the two that speak in a log, with the map that it is printing. Their lines may come mixed: neither ends the other's
    /// map.</summary>
    private sealed class Speaker
    {
        private readonly char[] _prefix = new char[LongestPrefix];
        private int _prefixLength;
        private int _ownLines;
        private int _foreignLines;

        public MapInProgress? Live { get; set; }

        /// <summary>Whether the line that is being read holds something of its map.</summary>
        public bool HasSpoken { get; set; }

        /// <summary>Whether the line above a map was its last word about maps.</summary>
        public bool HasTitled { get; set; }

        /// <summary>Whether somebody has written something between the last entry and the line that is being read: no message, no blank
        /// line.</summary>
        public bool HasProseBetween { get; private set; }

        public ReadOnlySpan<char> Prefix => _prefix.AsSpan(0, _prefixLength);

        public void NoteLineBetween(ReadOnlySpan<char> line) => HasProseBetween |= !WrappedLine.ContinuationIn(line).IsEmpty && !IsOmission(line);

        public void KeepPrefix(ReadOnlySpan<char> line)
        {
            _prefixLength = Math.Min(LogEntrySyntax.PrefixLength(line), LongestPrefix);
            line[.._prefixLength].CopyTo(_prefix);
        }

        public void ForgetLinesBetween()
        {
            HasProseBetween = false;
            _ownLines = 0;
            _foreignLines = 0;
        }

        public void Restart()
        {
            _prefixLength = 0;
            HasTitled = false;
            ForgetLinesBetween();
        }

        public bool IsOverAfter(bool isOwn)
        {
            if (isOwn)
                _ownLines++;
            else
                _foreignLines++;
            return _ownLines > MaxLinesBetween || _foreignLines > MaxForeignLinesBetween;
        }
    }

    /// <summary>A map whose lines are still coming. One that is not kept is used again: a log of titles costs no memory.</summary>
    private sealed class MapInProgress
    {
        private readonly List<E820Entry> _entries = [];
        private readonly List<int> _entryLines = [];
        private readonly char[] _title = new char[MaxTitleLength];
        private int _titleLength;
        private InputError? _error;
        private E820Entry _first;
        private int _omissionLine;
        private int _cutLine;
        private int _lastLine;

        /// <summary>1-based; 0 before its first entry.</summary>
        public int FirstLine { get; private set; }

        public LogMapKind Kind { get; private set; }

        public HostMapDialect Dialect { get; set; }

        public int? Domain { get; set; }

        /// <summary>Whether its lines carry "(XEN)": then those without are not its own.</summary>
        public bool IsMarked { get; private set; }

        /// <summary>Whether the line above it is in the log.</summary>
        public bool IsTitled { get; set; }

        /// <inheritdoc cref="LogMap.IsBehindProse"/>
        public bool IsBehindProse { get; set; }

        public bool HasEntries => _entries.Count > 0;

        public bool HasError => _error is not null;

        public void Begin(LogMapKind kind, HostMapDialect dialect, ReadOnlySpan<char> title, bool isMarked)
        {
            Kind = kind;
            Dialect = dialect;
            Domain = null;
            IsMarked = isMarked;
            _titleLength = Math.Min(title.Length, MaxTitleLength);
            title[.._titleLength].CopyTo(_title);
            _entries.Clear();
            _entryLines.Clear();
            _error = null;
            _omissionLine = 0;
            _cutLine = 0;
            _lastLine = 0;
            IsBehindProse = false;
            FirstLine = 0;
        }

        /// <summary>Somebody has left lines out here. Before the first entry that is no matter of the map.</summary>
        public void NoteOmission(int line) => _omissionLine = _omissionLine == 0 && HasEntries ? line : _omissionLine;

        public void Add(LogEntry read, string source, int line)
        {
            NoteLine(line);
            // That lines of the map itself were left out only an entry behind them shows.
            _cutLine = _cutLine == 0 ? _omissionLine : _cutLine;
            _lastLine = line;
            if (_error is not null)
                return;
            if (!read.Range.TryMakeEntry(read.Type, source, line, out E820Entry entry, out _error))
                return;
            if (!HasEntries)
                _first = entry;
            // EFI has several types for what E820 knows one of; loaders merge such neighbours.
            if (Kind == LogMapKind.Efi && HasEntries && _entries[^1].Type == entry.Type && _entries[^1].End == entry.Address)
            {
                _entries[^1] = E820Entry.FromBounds(_entries[^1].Address, entry.End, entry.Type);
                return;
            }

            if (_entries.Count == Host.MaxEntries)
            {
                _error = HostMapErrors.TooManyEntries(source, line);
                return;
            }

            _entries.Add(entry);
            _entryLines.Add(line);
        }

        /// <summary>
        /// Whether an entry is the map's first once more: another boot's, in what somebody has filtered out of a log, titles and all. A firmware's
        /// map may hold an entry twice. /proc/iomem is told apart by its reader.
        /// </summary>
        public bool StartsAgainWith(LogEntry read) =>
            !IsTitled && _entries.Count > 1 && Kind != LogMapKind.Iomem && read.Range.TryMakeEntry(read.Type, "", null, out E820Entry entry, out _)
                && entry.Equals(_first);

        /// <summary>Whether an entry lies on or before the map's last one and meets one of the map: a line quoted again, or another map.</summary>
        public bool GoesBackWith(LogEntry read)
        {
            if (!HasEntries || Kind == LogMapKind.Iomem || !read.Range.TryMakeEntry(read.Type, "", null, out E820Entry entry, out _)
                || entry.Address > _entries[^1].Address)
                return false;
            foreach (E820Entry known in _entries)
            {
                if (known.Equals(entry) || known.Range.Overlaps(entry.Range))
                    return true;
            }

            return false;
        }

        public void Damage(string source, int line, ReadOnlySpan<char> text)
        {
            NoteLine(line);
            _error ??= InputError.Malformed(source, line, $"an entry of the memory map is cut short or garbled: {InputError.Quote(text.Trim())}",
                "give the whole log, its lines not wrapped");
        }

        public void IsHidden(string source, int line)
        {
            NoteLine(line);
            _error ??= InputError.Unreadable(source, line, "/proc/iomem shows only zeros for addresses, as to every user but root",
                "read it as root: sudo cat /proc/iomem");
        }

        public LogMap ToMap() => new(Kind, Dialect, InputError.OneLine(_title.AsSpan(0, _titleLength), MaxTitleLength), FirstLine, [.. _entries],
            [.. _entryLines], _error)
        {
            Domain = Domain,
            IsBehindProse = IsBehindProse,
            CutLine = _cutLine == 0 ? null : _cutLine,
            OpenLine = _cutLine == 0 && _omissionLine != 0 && _omissionLine == _lastLine + 1 ? _omissionLine : null,
        };

        private void NoteLine(int line) => FirstLine = FirstLine == 0 ? line : FirstLine;
    }
}
