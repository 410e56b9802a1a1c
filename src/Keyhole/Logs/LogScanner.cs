// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>
/// Finds every memory map in a boot log of any size, with any prefix to its lines, and what else the log says of the host and of its boots:
/// one pass, in memory that does not grow with the log.
/// </summary>
public sealed class LogScanner
{
    /// <summary>Nobody wraps lines that are shorter.</summary>
    internal const int NarrowestWrap = 60;

    private const int MostOmissions = 64;

    private static readonly string[] s_mapWords =
    [
        "e820", "BIOS-88:", "RAM map", "emory map", "Xen: [", "Xen: 0", "modified: ", "user: [", "user: 0", "setup_data: [",
        "extended: ", "(usable)", "(reserved)", "(ACPI ", "(unusable)", "efi: mem",
        "Xen:\t", "\tSystem RAM", "\tReserved", "\treserved",
        "EFI: mem", " attr=0000", " : System RAM", " : Reserved", " : reserved", " : ACPI ", " : Unusable m", " : Persistent ", " : Soft Res",
    ];

    internal static readonly SearchValues<string> MapAndTraitWords =
        SearchValues.Create([.. s_mapWords, .. LogTraits.Words, .. DeviceLines.Words], StringComparison.Ordinal);
    private static readonly SearchValues<string> s_wordsToStopAt = SearchValues.Create(
        [.. s_mapWords, .. LogTraits.Words, .. DeviceLines.Words, .. ReleaseLines.Words, .. OmissionMarks.Words], StringComparison.Ordinal);
    private static readonly SearchValues<string> s_traitWords = SearchValues.Create(LogTraits.Words, StringComparison.Ordinal);
    private static readonly SearchValues<string> s_pciWords = SearchValues.Create(PciLogBuilder.Words, StringComparison.Ordinal);
    private static readonly SearchValues<string> s_messageAndPciWords =
        SearchValues.Create([.. Vocabulary.Marks, .. PciLogBuilder.Words], StringComparison.Ordinal);

    private static readonly SearchValues<string> s_kernelsMapWords =
        SearchValues.Create(["Xen: [", "Xen: 0", "BIOS-e820: "], StringComparison.Ordinal);

    private readonly TextLines _text;
    private readonly LogTraits _traits = new();
    private readonly DeviceLines _devices = new();
    private readonly ReleaseLines _releases = new();
    private readonly LogMaps _maps;
    private readonly LogMessages _messages = new();
    private readonly WrappedLine _held = new();
    private readonly RepeatedLines _repeated = new();
    private readonly PciLogBuilder? _pci;
    private readonly StartErrorLines? _starts;
    private readonly LifeSigns _signs = new();
    private readonly List<int> _omissions = [];

    private readonly char[] _plain = new char[TextLines.MaxLineLength];

    /// <summary>1-based number of the line that is being read; of one that was put together its first.</summary>
    private int _number;

    /// <summary>Whether the line that was read last shows that a kernel goes on.</summary>
    private bool _isSign;

    /// <summary>Whether the line that is being read has been held already, or is whole: it is not held again.</summary>
    private bool _isReleased;

    private LogScanner(TextLines text, string sourceName, bool withPci = false)
    {
        _text = text;
        _maps = new(sourceName);
        _pci = withPci ? new() : null;
        _starts = withPci ? new() : null;
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
        UnreadParts unread = new();
        ReadOnlyMemory<byte> head = StreamHead.ReadText(ref stream, unread);
        LogScanner scanner = new(new(head, stream), sourceName, withPci: true);
        scanner.ReadAll();
        return scanner.ToScan() with { Unread = unread.Told };
    }

    /// <inheritdoc cref="Scan(Stream, string)"/>
    internal static LogScan Scan(ReadOnlyMemory<byte> head, Stream stream, string sourceName)
    {
        UnreadParts unread = new();
        if (head.IsEmpty)
            head = StreamHead.ReadText(ref stream, unread);
        LogScanner scanner = new(new(head, stream), sourceName);
        scanner.ReadAll();
        return scanner.ToScan() with { Unread = unread.Told };
    }

    private void ReadAll()
    {
        while (true)
        {
            bool isAmid = _maps.AreOpen || _messages.AreOpen || _held.Count > 0 || _pci is { IsOpen: true };
            if (!isAmid && _pci is null && !_signs.AreWanted)
                _text.SkipTo(s_wordsToStopAt, LogMessages.Words);
            if (!_text.TryRead(out ReadOnlySpan<char> line))
                break;
            if (_repeated.Has(line, _text.Number))
            {
                _maps.PassRepeat(_text.Number);
                continue;
            }

            _releases.Read(line, _text.Number);
            _starts?.Read(line, _text.Number);
            if (OmissionMarks.KindOf(line) is OmissionKind.Written or OmissionKind.Counted && _omissions.Count < MostOmissions)
                _omissions.Add(_text.Number);
            _isSign = _signs.AreWanted && !line.ContainsAny(LogMessages.Words) && _signs.Show(line);
            if (!isAmid && _pci is null && !_isSign && !line.ContainsAny(MapAndTraitWords) && !line.ContainsAny(LogMessages.Words))
                continue;
            if (_pci is not null)
            {
                // What stands for lines that are left out has none of the words.
                bool isLogs = line.ContainsAny(MapAndTraitWords) || line.ContainsAny(s_messageAndPciWords);
                _pci.NoteOmission(line, _text.Number, isLogs);
                if (!isAmid && !isLogs && !_isSign)
                    continue;
            }

            _devices.Read(line, _text.Number);
            if (_pci is not null && (_pci.IsOpen || line.ContainsAny(s_pciWords)))
                _pci.Read(line, _text.Number);
            line = WithBlanks(line);
            if (_held.Count == 0 || !GoesOnWithHeld(line))
                Read(line, _text.Number);
        }

        ReleaseHeld();
    }

    /// <summary>A line with blanks for the tabs in it, as tables and editors put them between the words of one: no line of a log means anything
    /// else by a tab. Those that indent it stay.</summary>
    private ReadOnlySpan<char> WithBlanks(ReadOnlySpan<char> line)
    {
        int start = line.Length - line.TrimStart(" \t").Length;
        if (line.Length > _plain.Length || !line[start..].Contains('\t'))
            return line;
        line[..start].CopyTo(_plain);
        line[start..].Replace(_plain.AsSpan(start), '\t', ' ');
        return _plain.AsSpan(0, line.Length);
    }

    private void Read(ReadOnlySpan<char> line, int number)
    {
        _number = number;
        if (_messages.GoOnWith(line))
            return;
        if (!_maps.TryRead(line, number, _isReleased))
        {
            if (Hold(WrappedKind.Entry, line))
                return;
            _maps.TryRead(line, number, isWhole: true);
        }

        if (line.ContainsAny(s_kernelsMapWords))
            _signs.WatchMap();

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
                WrappedKind.Entry => _maps.IsEntry(joined, out entry),
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

    private bool LacksOnlyItsType(ReadOnlySpan<char> next)
    {
        for (int way = _held.Ways - 1; way >= 0; way--)
        {
            ReadOnlySpan<char> joined = _held.Joined(way, next);
            bool isXen = LogPrefix.TryXenBody(joined, out _);
            if (!joined.IsEmpty && _maps.IsEntry($"{joined} {(isXen ? "(usable)" : "usable")}", out _))
                return true;
        }

        return false;
    }

    private void ReadMessages(ReadOnlySpan<char> line)
    {
        // A listing that a forum or a mail program has indented begins where its first line does. A whole entry of a map is no half of another line:
        // what is held is read again.
        if (line.ContainsAny(s_traitWords) && !_traits.TryRead(_maps.WithoutIndentation(line), _number) && line.Length >= NarrowestWrap
            && !_maps.IsEntry(line, out _) && Hold(WrappedKind.Trait, line))
            return;
        if (_isSign && !_isReleased && _number == _text.Number)
        {
            _messages.KeepSign(line, _number);
            return;
        }

        if (!line.ContainsAny(LogMessages.Words) || (!_isReleased && _messages.MayGoOn(line) && Hold(WrappedKind.Message, line)))
            return;
        if (_messages.Keep(line, _number) is { Speaker: LogSpeaker.Kernel } kept && BootFailure.OfKernel(kept.Text) is not null)
            _signs.WatchEnd(kept.Milliseconds);
    }

    private LogScan ToScan() => new()
    {
        Maps = _maps.ToMaps(),
        DroppedMaps = _maps.Dropped,
        Traits = _traits.ToTraits(),
        RootWindows = _traits.ToWindows(),
        TraitLines = _traits.Kept,
        DeviceLines = _devices.Kept,
        ReleaseLines = _releases.ToLines(),
        Lines = _messages.ToLines(),
        LineCount = _text.Number,
        Omissions = [.. _omissions],
        Pci = _pci?.ToLog() ?? PciLog.Empty,
        StartError = _starts?.ToError(),
    };
}
