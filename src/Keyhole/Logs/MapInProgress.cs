// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>A map whose lines are still coming. One that is not kept is used again: a log of titles costs no memory.</summary>
internal sealed class MapInProgress
{
    private const int MaxTitleLength = 60;

    private readonly List<E820Entry> _entries = [];
    private readonly List<int> _entryLines = [];
    private readonly List<int> _cuts = [];
    private readonly List<E820Entry> _behindDamage = [];
    private readonly List<int> _behindLines = [];
    private readonly List<int> _behindCuts = [];
    private readonly List<int> _garbled = [];
    private readonly char[] _title = new char[MaxTitleLength];
    private int _titleLength;
    private InputError? _error;
    private E820Entry _first;
    private bool _isCutHere;
    private int _omissionLine;
    private bool _isOmissionDrawn;
    private int _cutLine;
    private int _lastLine;
    private int _repeats;
    private bool? _isFollowed;
    private string _source = "";

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

    /// <summary>The line right behind its last entry that begins another boot or its map, 1-based; 0 where none does.</summary>
    public int BrokenOffLine { get; set; }

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
        _cuts.Clear();
        _behindDamage.Clear();
        _behindLines.Clear();
        _behindCuts.Clear();
        _garbled.Clear();
        _error = null;
        _isCutHere = false;
        _omissionLine = 0;
        _cutLine = 0;
        _lastLine = 0;
        _repeats = 0;
        _isFollowed = null;
        IsBehindProse = false;
        BrokenOffLine = 0;
        FirstLine = 0;
    }

    /// <summary>Lines are left out here. Before the first entry that is no matter of the map.</summary>
    /// <param name="line">1-based.</param>
    /// <param name="isDrawn">Whether it may as well be the end of a quotation: then it tells nothing of what is behind the map.</param>
    public void NoteOmission(int line, bool isDrawn)
    {
        _isOmissionDrawn = _omissionLine == 0 ? isDrawn : _isOmissionDrawn;
        _isCutHere = HasEntries;
        _omissionLine = _omissionLine == 0 && HasEntries ? line : _omissionLine;
    }

    /// <summary>The last entry's line stands once more: what comes next is right behind it all the same.</summary>
    public void PassRepeat(int line)
    {
        if (_lastLine != line - 1)
            return;
        _lastLine = line;
        _repeats++;
    }

    /// <summary>What comes next behind the last entry: a message or another map of its log, or what somebody has written.</summary>
    public void NoteFollowing(bool isLog) => _isFollowed ??= HasEntries ? isLog : null;

    public void Add(LogEntry read, string source, int line)
    {
        NoteLine(line);
        _source = source;
        // That lines of the map itself were left out only an entry behind them shows.
        _cutLine = _cutLine == 0 ? _omissionLine : _cutLine;
        _lastLine = line;
        _isFollowed = null;
        if (!read.Range.TryMakeEntry(read.Type, source, line, out E820Entry entry, out InputError? error))
        {
            _error ??= error;
            AddGarbled(line);
            return;
        }

        if (_error is not null)
        {
            AddBehindDamage(entry, line);
            return;
        }

        if (!HasEntries)
            _first = entry;
        bool isCutHere = _isCutHere;
        _isCutHere = false;
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

        if (isCutHere)
            _cuts.Add(_entries.Count);
        _entries.Add(entry);
        _entryLines.Add(line);
    }

    /// <summary>What stands behind an entry that cannot be read is kept apart: it is of use to whom a part of the map says something.</summary>
    private void AddBehindDamage(E820Entry entry, int line)
    {
        if (_garbled.Count == 0 || _entries.Count + _behindDamage.Count >= Host.MaxEntries)
            return;
        if (_isCutHere)
            _behindCuts.Add(_entries.Count + _behindDamage.Count);
        _isCutHere = false;
        _behindDamage.Add(entry);
        _behindLines.Add(line);
    }

    private void AddGarbled(int line)
    {
        _isCutHere = true;
        if (_garbled.Count < Host.MaxEntries)
            _garbled.Add(line);
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
        AddGarbled(line);
        _error ??= InputError.Malformed(source, line, $"an entry of the memory map is cut short or garbled: {InputError.Quote(text.Trim())}",
            "give the whole log, its lines not wrapped");
    }

    public void IsHidden(string source, int line)
    {
        NoteLine(line);
        _error ??= InputError.Unreadable(source, line, "/proc/iomem shows only zeros for addresses, as to every user but root",
            "read it as root: sudo cat /proc/iomem");
    }

    public LogMap ToMap()
    {
        RemoveBlockSaidTwice();
        return ToMapOfAll();
    }

    /// <summary>Of a block of lines that was pasted twice, from the map's start to the block's end, the second counts: it goes on.</summary>
    private void RemoveBlockSaidTwice()
    {
        const int fewest = 3;
        for (int length = fewest; length * 2 <= _entries.Count && Kind != LogMapKind.Iomem && _cuts.Count == 0; length++)
        {
            ReadOnlySpan<E820Entry> all = CollectionsMarshal.AsSpan(_entries);
            if (!all[length].Equals(all[0]) || !all[..length].SequenceEqual(all.Slice(length, length)))
                continue;
            _entries.RemoveRange(0, length);
            _entryLines.RemoveRange(0, length);
            return;
        }
    }

    private LogMap ToMapOfAll() => new(Kind, Dialect, InputError.OneLine(_title.AsSpan(0, _titleLength), MaxTitleLength), FirstLine, [.. _entries],
        [.. _entryLines], _error ?? ReversalIn() ?? MixtureIn())
    {
        Domain = Domain,
        IsBehindProse = IsBehindProse,
        IsTitled = IsTitled,
        IsFollowedByLog = _isFollowed,
        BrokenOffLine = BrokenOffLine == 0 ? null : BrokenOffLine,
        Cuts = [.. _cuts],
        Garbled = [.. _garbled],
        BehindDamage = [.. _behindDamage],
        BehindLines = [.. _behindLines],
        BehindCuts = [.. _behindCuts],
        CutLine = _cutLine == 0 ? null : _cutLine,
        OpenLine = _cutLine == 0 && _omissionLine != 0 && !_isOmissionDrawn && _omissionLine == _lastLine + 1 ? _omissionLine : null,
    };

    /// <summary>Lines from the last to the first, as journalctl -r prints them: all that is told by their order would be wrong.</summary>
    private InputError? ReversalIn()
    {
        const int fewest = 4;
        bool isReversed = Kind is LogMapKind.LinuxFirmware or LogMapKind.GuestKernel or LogMapKind.XenFirmware && _entries.Count >= fewest
            && _entries[^1].Address == 0;
        for (int i = 1; isReversed && i < _entries.Count; i++)
            isReversed = !_entries[i].Wraps && _entries[i].End <= _entries[i - 1].Address;
        return !isReversed ? null : InputError.Malformed(_source, _entryLines[0],
            "the map stands there from its end to its start: the log is in reverse order",
            "give it from its first line on: journalctl without -r, or through tac");
    }

    /// <summary>Lines of two maps, mixed line by line or as by their stamps: some entries are over others, and they are those of maps in turns, or
    /// most stand there twice. Xen and Linux put a map in order before they print it, but for one with an entry that wraps.</summary>
    private InputError? MixtureIn()
    {
        if (Kind is not (LogMapKind.LinuxFirmware or LogMapKind.GuestKernel or LogMapKind.XenFirmware))
            return null;
        int[] order = [.. Enumerable.Range(0, _entries.Count)];
        Array.Sort(order, (left, right) => (_entries[left].Address, _entries[left].End, left).CompareTo(
            (_entries[right].Address, _entries[right].End, right)));
        int twice = 0;
        int over = -1;
        for (int i = 1; i < order.Length; i++)
        {
            E820Entry before = _entries[order[i - 1]], entry = _entries[order[i]];
            if (before.Equals(entry))
                twice++;
            else if (!before.Wraps && !entry.Wraps && before.Range.Overlaps(entry.Range))
                over = over < 0 ? order[i] : Math.Min(over, order[i]);
        }

        // A log that says every line twice is one boot's.
        bool isDoubled = _repeats >= _entries.Count;
        bool isMostlyTwice = (twice + _repeats) * 3 >= _entries.Count + _repeats && Kind != LogMapKind.XenFirmware;
        return over < 0 || isDoubled || !(isMostlyTwice || IsOfMapsInTurns()) ? null : InputError.Malformed(_source, _entryLines[over],
            $"the lines of two maps are mixed here, of two boots, machines or guests: {_entries[over].Range} is over another of the entries",
            "give the log of one boot of one machine, its lines in their order: one console's file, or journalctl -b without -m");
    }

    /// <summary>Whether the entries are those of a few maps in turns: each in order, as far as its entries go, and each beginning at the memory's
    /// start.</summary>
    private bool IsOfMapsInTurns()
    {
        const int mostMaps = 4;
        const int fewestEntries = 3;
        List<(ulong End, int Count)> maps = [];
        foreach (E820Entry entry in _entries)
        {
            int at = -1;
            for (int i = 0; i < maps.Count; i++)
            {
                if (maps[i].End <= entry.Address && (at < 0 || maps[i].End > maps[at].End))
                    at = i;
            }

            if (entry.Wraps || (at < 0 && (maps.Count == mostMaps || entry.Address >= X86Layout.OneMiB)))
                return false;
            if (at < 0)
                maps.Add((entry.End, 1));
            else
                maps[at] = (entry.End, maps[at].Count + 1);
        }

        return maps.Count > 1 && maps.TrueForAll(static map => map.Count >= fewestEntries);
    }

    private void NoteLine(int line) => FirstLine = FirstLine == 0 ? line : FirstLine;
}
