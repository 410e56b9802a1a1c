// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Guests;

namespace Keyhole.Logs;

/// <summary>A boot whose lines are still coming. It says itself which lines cannot be its own any more.</summary>
internal sealed class BootInProgress
{
    private static readonly string[] s_builderWords = ["Dom0 alloc.:", "Init. ramdisk:", "Loaded kernel:", "Phys-Mach map:", "Start info:",
        "Page tables:", "*** Building a PV", Vocabulary.PvhDom0sMap];
    private static readonly string[] s_startWords = ["Xen version", "Command line:", "Built-in command line:", "System RAM:"];

    /// <summary>No boot takes so long, on whatever machine.</summary>
    private const ulong NoBootTakesSeconds = 600;

    /// <summary>A kernel whose first program has started has come up by then.</summary>
    private const ulong BehindProgramsSeconds = 300;

    private readonly BootOwner _owner;
    private readonly int? _domain;
    private readonly int _firstLine;
    private readonly List<LogLine> _xenLines = [];
    private readonly SortedSet<string> _segmentNames = new(StringComparer.Ordinal);
    private BootFacts _facts = new();
    private GuestLayout _segments = GuestLayout.Unknown;
    private LogFact<string>? _release;
    private KernelIdentity? _kernel;
    private LogFact<BootFailure>? _end;
    private LogFact<BootFailure>? _later;
    private LogFact<string>? _sleep;
    private string? _xensCause;
    private ulong _milliseconds;
    private long? _firstClock;

    /// <summary>Seconds since the kernel's start of the line that was noted last, or at least that; null where it bears no stamp.</summary>
    private ulong? _age;
    private bool _hasPanicked;
    private bool _hasBootConsole;
    private bool _isReplayed;
    private LogMap? _map;
    private LogMap? _userMap;
    private LogMap? _pvhMap;
    private int _lastLine;
    private bool _isDom0Loaded;
    private bool _hasCommandLine;
    private bool _hasLinesBeforeMap;
    private bool _hasLinesBehindMap;

    /// <summary>Whether the kernel has said what it says right behind its map ("NX (Execute Disable) protection: active", "last_pfn = …").</summary>
    private bool _isBehindMap;

    public BootInProgress(BootOwner owner, int? domain, int firstLine)
    {
        _owner = owner;
        _domain = domain;
        _firstLine = firstLine;
        _lastLine = firstLine;
    }

    public int FirstLine => _firstLine;

    public bool HasKernelLines => _pvhMap is not null
        || _hasLinesBeforeMap || _hasLinesBehindMap || _map is not null || IsOver || _facts.BootFailure is not null
        || _facts.Survived is not null;

    /// <summary>Whether nothing but sleep tells of it.</summary>
    public bool IsSleepAlone => _sleep is not null && !HasKernelLines && _xenLines.Count == 0;

    /// <summary>Whether its last words have been said, but for a kernel's own.</summary>
    private bool IsOver => _end is not null || _later is not null;

    public static bool IsXensStart(string text) => StartsWithAny(text, s_startWords);

    public static bool IsXensBuilder(string text) => StartsWithAny(text, s_builderWords);

    /// <summary>Whether Xen can still be on its way to this boot's kernel. <paramref name="isStart"/>: with its version, command line or RAM
    /// map.</summary>
    public bool TakesXen(bool isStart) => _owner == BootOwner.Dom0 && !HasKernelLines && _sleep is null && !(isStart && _isDom0Loaded);

    /// <summary>
    /// Whether a message is the first of a log that the kernel's real console shows from its start, after the one for the boot has shown it. Both are
    /// in what a serial line records, and there was one boot. A console for the boot stays until a real one comes, so there is one replay.
    /// </summary>
    public bool BeginsReplay(in KernelMessage message) =>
        _hasBootConsole && !_isReplayed && _end is null && message.Kind == KernelMessageKind.Release && _release is { } release
            && release.Value == message.Text;

    /// <summary>From here on the log says again what it has said.</summary>
    public void BeginReplay() => _isReplayed = true;

    /// <summary>In a replay what only stands before the map stands behind it, and the map comes again.</summary>
    private bool IsReplaying => _isReplayed && _end is null;

    public bool Takes(in KernelMessage message) => message switch
    {
        { Kind: KernelMessageKind.Release } when IsReplaying => false,
        _ when IsReplaying => true,
        // The end of a boot that somebody quotes before a log is none of the boot that begins there.
        { Kind: KernelMessageKind.Release } when _facts.BootFailure is not null || IsOver || _sleep is not null => false,
        { Kind: KernelMessageKind.BootFailure } => true,
        { Kind: KernelMessageKind.LateCommandLine or KernelMessageKind.TraceRelease or KernelMessageKind.Console or KernelMessageKind.DeferredPages
            or KernelMessageKind.MapEdit or KernelMessageKind.RunsOn or KernelMessageKind.Program
            or KernelMessageKind.NoExecute or KernelMessageKind.OptionsTaken or KernelMessageKind.ChangedMapTitle or KernelMessageKind.NotSaved
            or KernelMessageKind.Sleep or KernelMessageKind.Need } => !IsOver,
        { Kind: KernelMessageKind.Segment } => _owner != BootOwner.Dom0 && !HasKernelLines && !_segmentNames.Contains(message.Text!),
        { Kind: KernelMessageKind.PanicMessage } => _map is null && !_hasLinesBehindMap,
        { IsBeforeMap: true } => _map is null && _pvhMap is null && !_hasLinesBehindMap && _facts.PanicMessage is null && !IsOver && _sleep is null
            && !(message.Kind == KernelMessageKind.Release && _hasLinesBeforeMap)
            && !(message.Kind == KernelMessageKind.CommandLine && _hasCommandLine),
        _ => _facts.PanicMessage is null && !IsOver,
    };

    /// <summary>
    /// Whether a message is of another boot, as in what is left of two in a ring buffer: its stamp goes back, and the boot was over. Stamps alone
    /// tell nothing: under Xen they begin again once the kernel has its clock, and who looks for a word after the other in a log has them in pieces.
    /// </summary>
    public bool IsOverBefore(ulong? milliseconds)
    {
        // Processors do not agree to the last digit.
        const ulong apart = 500;
        if (milliseconds is not { } at || at + apart >= _milliseconds || IsReplaying || (_hasBootConsole && !_isReplayed))
            return false;
        return _facts.BootFailure is not null || _facts.PanicMessage is not null || IsOver;
    }

    /// <summary>Notes the stamps of a line of the boot's.</summary>
    public void NoteTime(LogLine line)
    {
        _milliseconds = line.Milliseconds ?? _milliseconds;
        _firstClock ??= line.ClockSeconds;
        _age = line.Milliseconds is { } own ? own / 1000
            : line.ClockSeconds is { } clock && clock >= _firstClock ? (ulong)(clock - _firstClock.Value) : null;
    }

    /// <summary>Whether what a line says comes so long behind the kernel's start that it is none of the boot. Of a log that begins late it may be
    /// more than is known.</summary>
    private bool IsLongAfterBoot => _age >= (_facts.FirstProgramLine is null ? NoBootTakesSeconds : BehindProgramsSeconds);

    /// <summary>Whether a map is the one that the replay shows again.</summary>
    public bool HasAlready(LogMap map) => IsReplaying && _map is { } known && map.Kind == LogMapKind.GuestKernel
        && known.Entries.SequenceEqual(map.Entries);

    public bool Takes(LogMap map) => _map is null && _sleep is null && !_hasLinesBehindMap && _facts.PanicMessage is null
        && map.Kind == LogMapKind.GuestKernel;

    /// <summary>Whether the map goes on with one that foreign lines have cut in two.</summary>
    public bool IsContinuedBy(LogMap map) =>
        _map is { Entries.Length: > 0 } known && !_hasLinesBehindMap && map.Entries.Length > 0 && map.Entries[0].Address >= known.Entries[^1].End;

    public void AddXen(LogLine line)
    {
        _xenLines.Add(line);
        _isDom0Loaded |= IsXensBuilder(line.Text);
        _lastLine = line.Number;
    }

    /// <summary>Xen cannot build the domain. The first word is the nearest to the reason.</summary>
    public void NoteCause(string cause) => _xensCause ??= cause;

    /// <summary>Xen says that the domain is gone, or Xen with it. A dom0 that halts and had got through its memory setup was switched off.</summary>
    public void End(BootFailure failure, LogLine line)
    {
        if (failure.Kind == BootFailureKind.Halted && (_facts.PciGap is not null || _facts.Memory is not null || _facts.Remapped is not null
            || _facts.Runs || !_facts.FailedClaims.IsEmpty || !_facts.Needs.IsEmpty || _sleep is not null))
            return;
        // So may one whose programs ran and that met a triple fault.
        if (failure.IsTripleFault && _facts.Runs)
            return;
        if (failure.IsXens)
            failure = failure with { Cause = _xensCause };
        // "Domain 0 crashed" comes twice: of a processor, and of what Xen does then.
        if (_sleep is null)
            _end ??= new(failure, line.Number);
        else
            _later ??= new(failure, line.Number);
        _lastLine = Math.Max(_lastLine, line.Number);
    }

    /// <summary>The machine, or the guest, is put to sleep or wakes up: it has booted.</summary>
    public void NoteSleep(string words, int line)
    {
        _sleep = new(words, line);
        _lastLine = Math.Max(_lastLine, line);
    }

    /// <summary>A line shows that the kernel runs: it got through its memory setup, and an Oops before was not its end.</summary>
    public void NoteLife(int line)
    {
        if (IsOver || _facts.PanicMessage is not null || _hasPanicked)
            return;
        _facts = _facts with { AliveLine = line, Survived = _facts.BootFailure ?? _facts.Survived, BootFailure = null };
        _lastLine = line;
    }

    public void Add(in KernelMessage message, int line)
    {
        if (message.Kind == KernelMessageKind.Sleep)
        {
            NoteSleep(message.Text!, line);
            return;
        }

        if (message.Kind == KernelMessageKind.BootFailure && _sleep is not null)
        {
            _later ??= new(message.BootFailure!.Value, line);
            _lastLine = line;
            return;
        }

        if (_isReplayed && message.Kind is KernelMessageKind.Freed or KernelMessageKind.Populated or KernelMessageKind.NoRangeToRemap)
            return;
        if (message.Kind == KernelMessageKind.Segment)
            AddSegment(message);
        else if (message.Kind is KernelMessageKind.Release or KernelMessageKind.TraceRelease)
        {
            _release ??= new(message.Text!, line);
            _kernel ??= message.Kernel;
        }

        _hasPanicked |= message is { BootFailure.Kind: BootFailureKind.KernelPanic };
        _hasBootConsole |= message is { Kind: KernelMessageKind.Console, Text: "boot" };
        _hasCommandLine |= message.Kind == KernelMessageKind.CommandLine;
        _hasLinesBeforeMap |= message.IsBeforeMap;
        _hasLinesBehindMap |= message.IsBehindMap;
        _isBehindMap |= message.Kind == KernelMessageKind.OptionsTaken || (message.Kind == KernelMessageKind.NoExecute && _map is not null);
        _facts = _facts.With(message, line);
        if (message.Kind == KernelMessageKind.Need && IsLongAfterBoot)
            _facts = _facts with { LateNeeds = _facts.LateNeeds.SetItem(line, _age!.Value) };
        _lastLine = line;
    }

    /// <summary>Words of a kernel that got no memory, where nothing else of it is in the log: they show that it ran.</summary>
    public void AddAlone(in KernelMessage message, int line)
    {
        // It may be all that is left of a boot.
        _age = null;
        Add(message, line);
        _hasLinesBehindMap = true;
    }

    public void Add(LogMap map)
    {
        _map = map;
        _lastLine = Math.Max(map.Line, map.EntryLines.IsEmpty ? 0 : map.EntryLines[^1]);
    }

    /// <summary>Whether a map can be the one that the Linux of a PVH dom0 prints: it is what Xen has made of the machine's.</summary>
    public bool TakesFirmwares(LogMap map) => _owner == BootOwner.Dom0 && _map is null && _pvhMap is null && _end is null && !_isReplayed
        && map.Line > _lastLine && Dom0Log.Of(_xenLines) is { Pvh: not null };

    /// <summary>The map of a PVH dom0's Linux, whose other lines may be missing.</summary>
    public void AddFirmwares(LogMap map)
    {
        _pvhMap = map;
        _lastLine = Math.Max(map.Line, map.EntryLines.IsEmpty ? 0 : map.EntryLines[^1]);
    }

    /// <summary>The map as the kernel's command line made it. A replay's is the same.</summary>
    public void AddUsers(LogMap map) => _userMap ??= map;

    /// <summary>Joins a map with the part of it that stands behind foreign lines.</summary>
    public void Continue(LogMap map)
    {
        LogMap known = _map!;
        if (known.Garbled.IsEmpty)
        {
            _map = known with
            {
                Entries = [.. known.Entries, .. map.Entries],
                EntryLines = [.. known.EntryLines, .. map.EntryLines],
                Cuts = [.. known.Cuts, .. map.Cuts.Select(cut => cut + known.Entries.Length)],
                Error = known.Error ?? map.Error,
                Garbled = map.Garbled,
                BehindDamage = map.BehindDamage,
                BehindLines = map.BehindLines,
                BehindCuts = [.. map.BehindCuts.Select(cut => cut + known.Entries.Length)],
            };
        }
        else
        {
            int before = known.Entries.Length + known.BehindDamage.Length;
            _map = known with
            {
                Garbled = [.. known.Garbled, .. map.Garbled],
                BehindDamage = [.. known.BehindDamage, .. map.Entries, .. map.BehindDamage],
                BehindLines = [.. known.BehindLines, .. map.EntryLines, .. map.BehindLines],
                BehindCuts = [.. known.BehindCuts, .. known.BehindDamage.IsEmpty ? [before] : ImmutableArray<int>.Empty,
                    .. map.Cuts.Concat(map.BehindCuts).Select(cut => cut + before)],
            };
        }

        _lastLine = map.EntryLines[^1];
    }

    private bool IsMapClosed => _map?.OpenLine is null && (_hasLinesBehindMap || _isBehindMap);

    public ObservedBoot ToBoot(int number) => new()
    {
        Number = number,
        Owner = _owner,
        Domain = _domain,
        FirstLine = _firstLine,
        LastLine = _lastLine,
        Release = _release,
        Identity = _kernel,
        Map = _map,
        UserMap = _userMap,
        MapMayBeginLate = !_hasLinesBeforeMap,
        MapMayEndEarly = _map is { Error: not null } || !IsMapClosed,
        IsMapClosed = IsMapClosed,
        Facts = _facts,
        EndedByXen = _end,
        EndedLater = _later,
        Sleep = _sleep,
        Builder = Dom0Log.Of(_xenLines),
        Segments = _segments,
        HasKernelLines = HasKernelLines,
    };

    private void AddSegment(in KernelMessage message)
    {
        _segmentNames.Add(message.Text!);
        ByteRange range = message.From;
        _segments = message.Text switch
        {
            "kernel" => _segments with { Kernel = range },
            "page tables" => _segments with { PageTables = range },
            "phys2mach" => _segments with { P2mList = range },
            "module0" or "ramdisk" => _segments with { Initrd = range },
            _ => _segments,
        };
    }

    private static bool StartsWithAny(string text, string[] words)
    {
        ReadOnlySpan<char> trimmed = text.AsSpan().TrimStart();
        foreach (string word in words)
        {
            if (trimmed.StartsWith(word, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}
